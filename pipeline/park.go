package pipeline

import (
	"fmt"
)

// ParkCode says why a lane is set aside until somebody decides. The set is
// closed.
type ParkCode string

// The codes of a parked lane.
const (
	ParkNoMetadata     ParkCode = "metadata_missing"   // committed without metadata: somebody else's commit, or a group reset
	ParkBadMetadata    ParkCode = "metadata_invalid"   // malformed, or its MAC is wrong
	ParkKeyEpoch       ParkCode = "metadata_key_epoch" // under a key epoch that the key file no longer holds
	ParkTopicRecreated ParkCode = "topic_recreated"    // committed for another topic of this name
	ParkAuditTopic     ParkCode = "audit_topic_changed"
	ParkConsentTopic   ParkCode = "consent_topic_changed"
	ParkPolicyText     ParkCode = "policy_digest_changed" // same revision, other text
	ParkBehindAudit    ParkCode = "offset_below_audit"    // next_source above the committed offset: records would be audited twice
	ParkAuditHolds     ParkCode = "audit_holds_lane"      // no commit, but audit records: offsets were deleted
	ParkAuditTrimmed   ParkCode = "audit_trimmed"         // no commit, and whether audit records were there cannot be told
	ParkDataLoss       ParkCode = "data_loss"             // the log was truncated below what was read
	ParkOutOfRange     ParkCode = "offset_out_of_range"   // the records after the committed offset are gone
	ParkRewound        ParkCode = "offset_below_position" // the broker gave records again that were committed
	ParkClosed         ParkCode = "lane_closed"           // a closed leaf was the last: this topic id is finished
	ParkBatchTooLarge  ParkCode = "batch_too_large"       // a record batch decompresses above the limit and says no end (else: takeUnread)
	ParkCorrupt        ParkCode = "batch_corrupt"         // the log is damaged: a record batch fails its checksum, twice
)

// Parked is one parked lane.
type Parked struct {
	Topic     string   `json:"topic"`
	Partition int32    `json:"partition"`
	TopicID   [16]byte `json:"-"`
	Code      ParkCode `json:"reason"`
	Offset    int64    `json:"offset"` // committed; -1: none
	Mend      string   `json:"command"`
}

func (cfg *Config) newParked(topic string, partition int32, id [16]byte, code ParkCode, offset int64) *Parked {
	p := &Parked{Topic: topic, Partition: partition, TopicID: id, Code: code, Offset: offset}
	lane := fmt.Sprintf("--topic %s --partition %d", topic, partition)
	show, reset := cfg.lane("show", lane), cfg.lane("reset", lane+" --to OFFSET --reason TEXT")
	switch code {
	case ParkPolicyText:
		p.Mend = "give the changed policy a higher revision"
	case ParkKeyEpoch:
		p.Mend = "put the key epoch back into the key file as \"verify\""
	case ParkConsentTopic, ParkAuditTopic:
		p.Mend = "restore the topic, or start a new consumer group"
	case ParkDataLoss, ParkRewound, ParkBatchTooLarge: // where `lane reset` sees nothing wrong
		p.Mend = show + "; " + reset + " --force"
	case ParkCorrupt:
		p.Mend = show + "   # names the batch; let a replica with an undamaged log lead (kafka-leader-election) and restart, or give the batch up: " + reset
	default:
		p.Mend = show + "; " + reset
	}
	return p
}
