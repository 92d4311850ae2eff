package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/consentstream/consentstream/schemas"
)

// HoldCode says why a worker holds its batch. The set is closed: codes are
// metric labels and appear in logs and on the health page.
type HoldCode string

// The codes of a hold.
const (
	HoldKafka            HoldCode = "kafka_unreachable"
	HoldUnauthorized     HoldCode = "kafka_unauthorized"
	HoldGroup            HoldCode = "group"
	HoldFence            HoldCode = "fence"                     // no end offsets of the consent topic
	HoldConsentTopic     HoldCode = "consent_topic_changed"     // other id or partition count than before
	HoldConsentUnread    HoldCode = "consent_events_unreadable" // a record batch of the consent topic
	HoldWatermark        HoldCode = "watermark_behind"          // states do not cover the fence yet
	HoldConsentTxn       HoldCode = "consent_transaction_open"  // a foreign transaction on the consent topic
	HoldCut              HoldCode = "states_inconsistent"       // a row above its watermark
	HoldStates           HoldCode = "states"                    // the store says why in Detail
	HoldClock            HoldCode = "clock"                     // more than 2 s from the store's clock
	HoldRegistry         HoldCode = "registry"                  // away: a schema can be neither looked up nor registered
	HoldIncompatible     HoldCode = "output_schema_incompatible"
	HoldProduce          HoldCode = "produce"
	HoldCommit           HoldCode = "commit"              // a commit whose result is not known
	HoldHanging          HoldCode = "transaction_hanging" // one of ours is over, but open in a partition, and nobody knows how it ended
	HoldAuditSchema      HoldCode = "audit_schema"
	HoldAuditScan        HoldCode = "audit_scan_unfinished" // a lane without a commit, that the audit may know
	HoldOutdated         HoldCode = "outdated"
	HoldFencePartitions  HoldCode = "consent_partitions_exceeded" // more than 256: does not fit the offset metadata
	HoldTopicSettings    HoldCode = "topic_settings"              // what refuses a start: Detail says it
	HoldMetadataTooLarge HoldCode = "offset_metadata_too_large"
)

// Hold is the error of an attempt that must be made again: nothing was emitted,
// nothing is lost (promise P10).
type Hold struct {
	Code   HoldCode `json:"reason"`
	Detail string   `json:"detail,omitempty"`  // a code of the dependency, never its text
	Mend   string   `json:"command,omitempty"` // the command that helps; "" where waiting is all there is to do
	// untilCommit: met after the decisions, so that deciding again does not end it.
	untilCommit bool
	// progress says how far is what is waited for; nil: that cannot be told. It replaces
	// Detail by the code of what keeps it from going on.
	progress func() (done, of int64, detail string)
	// batch: met at the end of a session, whose lanes these are. The next one goes
	// on with them, if the group gives it one, and so does the hold.
	batch []laneKey
}

func (h *Hold) Error() string {
	if h.Detail == "" {
		return "hold: " + string(h.Code)
	}
	return "hold: " + string(h.Code) + ": " + h.Detail
}

func hold(code HoldCode, detail string) *Hold { return &Hold{Code: code, Detail: detail} }

// statesHold turns a store's error into a hold without its text.
func statesHold(err error) *Hold {
	h := hold(HoldStates, "error")
	var coded interface{ HoldCode() string }
	if errors.As(err, &coded) {
		h.Detail = coded.HoldCode()
	}
	var mend interface{ Mend() string }
	if errors.As(err, &mend) {
		h.Mend = mend.Mend()
	}
	return h
}

// registryHold turns a schema registry's error into a hold: what was asked of it, and
// the cause in words of our own.
func (cfg *Config) registryHold(asked string, err error) *Hold {
	h := hold(HoldRegistry, asked)
	var away *schemas.UnavailableError
	if errors.As(err, &away) && away.Cause != schemas.CauseStopped {
		h.Detail += ": " + away.Cause
	}
	if cfg.RegistryURL != "" {
		h.Mend = cfg.registry("-i", "/subjects")
	}
	return h
}

// pacer spaces the attempts of a hold: 50 ms, doubling up to 500 ms.
type pacer struct{ next time.Duration }

const (
	pauseMin = 50 * time.Millisecond
	pauseMax = 500 * time.Millisecond
)

// wait sleeps; it reports false where ctx ended first.
func (p *pacer) wait(ctx context.Context) bool {
	if p.next == 0 {
		p.next = pauseMin
	}
	d := p.next
	p.next = min(2*p.next, pauseMax)
	return sleep(ctx, d)
}

func (p *pacer) reset() { p.next = 0 }

// The other outcomes of an attempt. Each is an instruction to the worker.
var (
	// errDropped: an owned lane went away; the batch is dropped, its records
	// belong to the next owner.
	errDropped = errors.New("a lane was lost, the batch is dropped")
	// errRetry: the transaction was aborted for certain; poll again from the
	// committed offsets.
	errRetry = errors.New("the transaction was aborted")
	// errRebuild: the session is spoilt or a result is unknown; discard the
	// client, build a new one, resume from committed offsets and metadata.
	errRebuild = errors.New("the session must be rebuilt")
	// errOutdated: a lane was committed under a newer policy or key epoch.
	errOutdated = errors.New("this instance is outdated")
)

// Stop ends the process: going on, or being restarted into the same state,
// would be wrong.
type Stop struct {
	Reason string // for people, with what to do
}

func (s *Stop) Error() string { return s.Reason }
