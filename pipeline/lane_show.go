package pipeline

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/schemas"
)

// LaneState is what Kafka knows of a lane: its offset metadata where that can be
// believed, else its audit records.
type LaneState struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	TopicID     string `json:"topic_id"`      // of the topic now
	LaneTopicID string `json:"lane_topic_id"` // of the lane's records; another one: the topic was recreated
	Committed   int64  `json:"committed"`     // -1: no commit
	Metadata    string `json:"metadata"`      // "valid", "missing", or what is wrong with it
	Source      string `json:"source"`        // of what follows: "metadata", "audit", or "none"
	NextIndex   int64  `json:"next_index"`    // of the audit chain
	NextSource  int64  `json:"next_source"`   // first offset that is not audited
	LastLeaf    string `json:"last_leaf"`     // hex
	Revision    int64  `json:"revision"`      // of the policy
	DecidedAt   int64  `json:"decided_at"`    // ms
	AuditPart   int32  `json:"audit_partition"`
	LogStart    int64  `json:"log_start"`
	LogEnd      int64  `json:"log_end"`
	// Sound: nothing is seen to be wrong, so an enforcer goes on at Committed by itself.
	// It may park the lane all the same for what only reading shows: ParkDataLoss,
	// ParkRewound, ParkBatchTooLarge.
	Sound   bool   `json:"sound"`
	Warning string `json:"warning,omitempty"`
	// Unstarted is why an enforcer does not start a lane that neither a commit nor the
	// audit knows: ParkAuditTrimmed; "": it does.
	Unstarted ParkCode `json:"unstarted,omitempty"`
	// Fault is ParkCorrupt where a record batch among the next ones fails its
	// checksum: the one at FaultAt. It ends before FaultEnd, if its header can be
	// believed; -1: it cannot.
	Fault         ParkCode `json:"fault,omitempty"`
	FaultAt       int64    `json:"fault_at,omitempty"`
	FaultEnd      int64    `json:"fault_end,omitempty"`
	head          audit.Head
	lane          audit.Lane
	info, audited topicInfo
}

// LaneShow says where a lane stands and what could be done with it.
func (e *Enforcer) LaneShow(ctx context.Context, topic string, partition int32) (*LaneState, error) {
	w, cl, err := e.laneTool(ctx)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	return w.laneState(ctx, cl, topic, partition)
}

// laneTool is a worker without a session, for reading and resetting lanes.
func (e *Enforcer) laneTool(ctx context.Context) (*worker, *kgo.Client, error) {
	cl, err := kgo.NewClient(append((&worker{cfg: &e.cfg, id: e.cfg.memberID(0) + ".lane"}).clientOpts(), e.cfg.KafkaOpts...)...)
	if err != nil {
		return nil, nil, err
	}
	top, err := askTopology(ctx, cl, []string{e.cfg.Topics.Consent})
	if err != nil {
		cl.Close()
		return nil, nil, fmt.Errorf("no answer of Kafka at %s: %s", strings.Join(e.cfg.SeedBrokers, ", "), errorCode(err))
	}
	consented, err := top.consent(e.cfg.Topics.Consent)
	if err != nil {
		cl.Close()
		return nil, nil, fmt.Errorf("topic %s: %s", e.cfg.Topics.Consent, errorCode(err))
	}
	w, err := e.newWorker(0, &ground{consent: consented})
	if err != nil {
		cl.Close()
		return nil, nil, err
	}
	w.guard.stop()
	w.id = e.cfg.memberID(0) + ".lane"
	return w, cl, nil
}

func (w *worker) laneState(ctx context.Context, cl *kgo.Client, topic string, partition int32) (*LaneState, error) {
	if w.engine.Stream(topic) == nil {
		return nil, fmt.Errorf("topic %s is no stream of the configuration", topic)
	}
	top, err := askTopology(ctx, cl, []string{topic, w.cfg.Topics.Audit})
	if err != nil {
		return nil, err
	}
	st := &LaneState{Topic: topic, Partition: partition, Committed: -1, Source: "none"}
	if st.info, err = top.topic(topic); err != nil {
		return nil, fmt.Errorf("topic %s: %s", topic, errorCode(err))
	}
	if st.audited, err = top.topic(w.cfg.Topics.Audit); err != nil {
		return nil, fmt.Errorf("topic %s: %s", w.cfg.Topics.Audit, errorCode(err))
	}
	if partition < 0 || partition >= st.info.partitions() {
		return nil, fmt.Errorf("topic %s has %d partitions", topic, st.info.partitions())
	}
	st.TopicID = hex.EncodeToString(st.info.id[:])
	st.lane = audit.Lane{Cluster: top.cluster, Group: w.cfg.Group, TopicID: st.info.id, Topic: topic, Partition: partition}
	if err := st.readLog(ctx, cl); err != nil {
		return nil, err
	}
	if err := w.readCommit(ctx, cl, st); err != nil {
		return nil, err
	}
	if st.Source == "none" {
		if err := w.readAuditHead(ctx, cl, st); err != nil {
			return nil, err
		}
	}
	st.show()
	err = st.lookAtLog(ctx, cl)
	st.Sound = err == nil && w.sound(st)
	return st, err
}

// sound is LaneState.Sound; judge and restore are what enforcers go by.
func (w *worker) sound(st *LaneState) bool {
	h := &st.head
	return st.Source == "metadata" && h.TopicID == st.info.id && w.otherPast(st) == nil &&
		h.AuditPartition >= 0 && h.AuditPartition < st.audited.partitions() &&
		h.NextSource <= st.Committed && st.LogStart <= st.Committed && st.Committed <= st.LogEnd && st.Fault == ""
}

// lookAtLog finds where the log cannot be read after what was committed, which is
// why a lane is parked as batch_corrupt.
func (st *LaneState) lookAtLog(ctx context.Context, cl *kgo.Client) error {
	if st.Committed < st.LogStart || st.Committed >= st.LogEnd {
		return nil
	}
	raw, err := fetchRaw(ctx, cl, st.Topic, st.info, st.Partition, st.Committed)
	if err != nil {
		return fmt.Errorf("reading topic %s: %s", st.Topic, errorCode(err))
	}
	b, err := raw.firstUnreadable(st.Committed)
	if err != nil || !b.damaged {
		return nil // what is not damaged is dealt with when it is read
	}
	st.Fault, st.FaultAt, st.FaultEnd = ParkCorrupt, b.first, b.next
	return nil
}

func (st *LaneState) readLog(ctx context.Context, cl *kgo.Client) error {
	starts, err := listOffsets(ctx, cl, st.Topic, st.info, listStart, false)
	if err != nil {
		return err
	}
	ends, err := listOffsets(ctx, cl, st.Topic, st.info, listEnd, true)
	if err != nil {
		return err
	}
	st.LogStart, st.LogEnd = starts[st.Partition], ends[st.Partition]
	return nil
}

// readCommit reads the group's commit and believes its metadata if the MAC is
// right.
func (w *worker) readCommit(ctx context.Context, cl *kgo.Client, st *LaneState) error {
	commits, err := committedOffsets(ctx, cl, w.cfg.Group, st.Topic, st.info)
	if err != nil {
		return fmt.Errorf("offsets of group %s: %s", w.cfg.Group, errorCode(err))
	}
	o, ok := commits[st.Partition]
	if !ok {
		st.Metadata = "missing"
		return nil
	}
	st.Committed = o.offset
	h, err := audit.DecodeHead(o.metadata, w.cfg.Group, st.Partition, o.offset, w.offsetKey)
	switch {
	case errors.Is(err, audit.ErrHeadMissing):
		st.Metadata = "missing"
	case err != nil:
		st.Metadata = err.Error() // codes and numbers only
	default:
		st.Metadata, st.Source, st.head = "valid", "metadata", h
	}
	return nil
}

// readAuditHead finds the lane's last audit record, under the topic's present id
// or, if there is none, under an earlier one. Records behind the last signature
// that verifies are not ours: whoever may write the audit topic can append them.
func (w *worker) readAuditHead(ctx context.Context, cl *kgo.Client, st *LaneState) error {
	starts, ends, err := w.auditPositions(ctx, cl, st.audited)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(auditPartitions(&st.lane, len(starts)), func(p int32) bool { return starts[p] > 0 }) {
		st.Unstarted = ParkAuditTrimmed
	}
	found := map[[16]byte]*tail{}
	if err := w.readAudit(ctx, starts, ends, func(r *kgo.Record) { w.follow(st, r, found) }); err != nil {
		return err
	}
	t := found[st.info.id]
	for _, other := range found {
		if t == nil || t.topicID != st.info.id && other.at > t.at {
			t = other
		}
	}
	if t == nil {
		return nil
	}
	if t.unsigned >= maxUnsigned {
		return fmt.Errorf("partition %d of the audit topic holds more than %d records of the lane that nobody signed", t.partition, maxUnsigned)
	}
	if t.signed.Next == 0 {
		st.Warning = fmt.Sprintf("%d audit records name this lane, and the key file's signature is on none", t.unsigned)
		return nil
	}
	st.Source, st.head, st.Unstarted = "audit", t.head(w, st), ""
	if t.unsigned > 0 {
		st.Warning = fmt.Sprintf("%d audit records behind the last valid signature are ignored", t.unsigned)
	}
	return nil
}

// tail is the end of one lane's chain as a scan of the audit topic finds it. Only
// a signature makes a record count: whoever may write the audit topic can put
// others before, after and between ours, also into other partitions, and can
// repeat ours. A signature covers lane, index and the leaf, which says the rest,
// so the signed leaf with the highest index is the end.
type tail struct {
	topicID   [16]byte
	partition int32       // of the audit topic
	at        int64       // append time of the last signed record, ms
	signed    audit.Chain // up to the last signature that verifies; Next 0: none
	context   audit.Context
	unsigned  int // records since then
	// contexts of these, by leaf: the context of a signed leaf stands in an
	// earlier one, which only the chain of hashes tells from a forged one.
	contexts map[audit.Hash]*audit.Context
}

// maxUnsigned bounds the memory that records without a signature cost; a
// transaction has 10,000 at most.
const maxUnsigned = 1 << 20

// follow takes one audit record into account if it is of this lane.
func (w *worker) follow(st *LaneState, r *kgo.Record, found map[[16]byte]*tail) {
	_, payload, f := schemas.ParseFrame(r.Value)
	if f != nil {
		return
	}
	a, err := audit.DecodeRecord(payload)
	if err != nil || a.Lane.Cluster != st.lane.Cluster || a.Lane.Group != st.lane.Group || a.Lane.Topic != st.Topic || a.Lane.Partition != st.Partition {
		return
	}
	t := found[a.Lane.TopicID]
	if t == nil {
		t = &tail{topicID: a.Lane.TopicID, partition: r.Partition, contexts: map[audit.Hash]*audit.Context{}}
		found[a.Lane.TopicID] = t
	}
	if t.unsigned >= maxUnsigned {
		return
	}
	leaf, context := audit.LeafHash(payload), a.Context
	if context == nil {
		context = t.contexts[a.Prev]
	}
	t.unsigned++
	t.contexts[leaf] = context
	if a.Index < t.signed.Next || len(r.Headers) != 1 || r.Headers[0].Key != headerSig ||
		!audit.VerifySig(w.cfg.Keys.Public(), &a.Lane, a.Index, leaf, r.Headers[0].Value) {
		return
	}
	t.sign(&a, leaf, context)
	t.partition, t.at = r.Partition, r.Timestamp.UnixMilli()
}

// sign makes a the end of what is believed.
func (t *tail) sign(a *audit.Record, leaf audit.Hash, context *audit.Context) {
	t.signed = audit.After(a, leaf)
	t.unsigned = 0
	clear(t.contexts)
	if context != nil {
		t.context = *context
	}
}

func (t *tail) head(w *worker, st *LaneState) audit.Head {
	return audit.Head{
		Group: w.cfg.Group, TopicID: t.topicID,
		NextIndex: t.signed.Next, NextSource: t.signed.NextSource, Hash: t.signed.Head, Closed: t.signed.Closed,
		Policy: t.context.Policy, Revision: t.context.Revision, KeyEpoch: t.context.KeyEpoch, KeyCheck: t.context.KeyCheck,
		AuditTopicID: st.audited.id, AuditPartition: t.partition,
		ConsentTopicID: t.context.ConsentTopicID, DecidedAt: t.context.DecidedAt, Fence: t.context.Fence,
	}
}

// show copies what was found into the fields for people.
func (st *LaneState) show() {
	h := &st.head
	if st.Source == "none" {
		return
	}
	st.LaneTopicID = hex.EncodeToString(h.TopicID[:])
	st.NextIndex, st.NextSource, st.LastLeaf = h.NextIndex, h.NextSource, hex.EncodeToString(h.Hash[:])
	st.Revision, st.DecidedAt, st.AuditPart = h.Revision, h.DecidedAt, h.AuditPartition
}
