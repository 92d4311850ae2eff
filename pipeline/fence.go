package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
)

// fence is F of promise P3: the end offsets of the consent topic, taken after
// the last record of the batch was polled. Every consent event that Kafka
// acknowledged (acks=all) before that lies below it.
type fence struct {
	vector  consent.Vector
	consent [16]byte // the consent topic's id
	info    topicInfo
	top     *topology // of all topics that the worker uses
	at      time.Time // when it was asked for: what Limits.FenceAge counts from
}

// maxFencePartitions is how many consent partitions the offset metadata holds.
const maxFencePartitions = 256

// takeFence asks for the high watermarks (read_uncommitted: an acknowledged
// event behind another producer's open transaction lies above the last stable
// offset and must not be missed) between two Metadata answers that show the
// same consent topic: else the answer could come from a topic that was
// recreated in between, or miss a partition that was just added (DECISION D5).
func (s *session) takeFence(ctx context.Context) (*fence, error) {
	if h := s.w.limits.unfit.Load(); h != nil {
		return nil, h
	}
	f := &fence{at: s.w.cfg.Now()}
	var err error
	if f.top, err = askTopology(ctx, s.cl, s.w.allTopics); err != nil {
		return nil, kafkaHold(HoldKafka, err)
	}
	if f.info, err = f.top.topic(s.w.cfg.Topics.Consent); err != nil {
		return nil, kafkaHold(HoldFence, err)
	}
	f.consent = f.info.id
	if err := s.sameConsentTopic(f.info); err != nil {
		return nil, err
	}
	if f.vector, err = listOffsets(ctx, s.cl, s.w.cfg.Topics.Consent, f.info, listEnd, false); err != nil {
		return nil, kafkaHold(HoldFence, err)
	}
	after, err := askTopology(ctx, s.cl, []string{s.w.cfg.Topics.Consent})
	if err != nil {
		return nil, kafkaHold(HoldKafka, err)
	}
	again, err := after.topic(s.w.cfg.Topics.Consent)
	if err != nil {
		return nil, kafkaHold(HoldFence, err)
	}
	if err := s.sameConsentTopic(again); err != nil {
		return nil, err
	}
	return f, s.fenceRises(f)
}

// sameConsentTopic compares with what the process started on. A change ends in
// a new epoch of the state store, which only a restart gives (DECISION D5).
func (s *session) sameConsentTopic(info topicInfo) error {
	switch {
	case info.partitions() > maxFencePartitions:
		return &Hold{Code: HoldFencePartitions, Mend: fewerPartitions(s.w.cfg.Topics.Consent)}
	case info.id != s.w.consentID:
		return &Hold{Code: HoldConsentTopic, Detail: "id", Mend: "restart all instances: the state is rebuilt for the new topic"}
	case info.partitions() != s.w.consentPartitions:
		return &Hold{Code: HoldConsentTopic, Detail: "partition_count", Mend: "restart all instances: the state is rebuilt for the new partition count"}
	}
	return nil
}

// fewerPartitions: Kafka takes no partition away from a topic.
func fewerPartitions(topic string) string {
	return fmt.Sprintf("create a consent topic with at most %d partitions, copy the events of %s to it with their keys, each partition in its order, and name it and a new consumer_group in the wiring", maxFencePartitions, topic)
}

// fenceRises refuses a fence below the one that a lane was committed with: the
// consent log lost acknowledged events, so nothing can be decided on it.
func (s *session) fenceRises(f *fence) error {
	for _, l := range s.lanes.snapshot() {
		for p, o := range l.head.Fence {
			if p < len(f.vector) && f.vector[p] < o {
				return &Stop{Reason: "the consent topic lost records: its end is below the fence of committed decisions; restore the topic, or rebuild with a new one"}
			}
		}
	}
	return nil
}

// patience is how long an attempt polls for the watermark before it becomes a
// hold: the projector is normally a few ms behind.
const patience = 200 * time.Millisecond

// readStates reads the states of all tags until every one was read at or above
// the fence. While consent events flow the first read is often too early, which
// is on the path of every transaction then: so only one state that is behind is
// asked for every millisecond, and all of them when that one has come.
func (s *session) readStates(ctx context.Context, f *fence, tags []consent.Tag) error {
	s.snap.Reset(0)
	if len(tags) == 0 {
		// Nobody's consent is asked for: only denials and removals follow. But the
		// time of what is decided counts ever after, so it is compared (D1).
		return s.read(ctx, nil, &s.snap)
	}
	if h := s.w.states.Load(); h != nil {
		return h
	}
	for deadline := s.w.cfg.Now().Add(patience); ; {
		if err := s.read(ctx, tags, &s.snap); err != nil {
			return err
		}
		late := uncovered(&s.snap, f)
		if late < 0 {
			return s.notTruncated(ctx, f)
		}
		if s.w.cfg.Now().After(deadline) {
			return s.behind(ctx, f)
		}
		if err := s.awaitState(ctx, f, tags[late:late+1], deadline); err != nil {
			return err
		}
	}
}

// awaitState waits until one state can be read at or above the fence, or until
// the deadline.
func (s *session) awaitState(ctx context.Context, f *fence, tag []consent.Tag, deadline time.Time) error {
	for s.w.cfg.Now().Before(deadline) {
		if !sleep(ctx, time.Millisecond) {
			return errDropped
		}
		if err := s.read(ctx, tag, &s.probe); err != nil {
			return err
		}
		if uncovered(&s.probe, f) < 0 {
			return nil
		}
	}
	return nil
}

func (s *session) read(ctx context.Context, tags []consent.Tag, into *consent.Snapshot) error {
	if err := s.w.cfg.States.Read(ctx, tags, into); err != nil {
		return statesHold(err)
	}
	if into.Len() != len(tags) {
		return hold(HoldStates, "answer_incomplete")
	}
	return nil
}

// uncovered is the index of an answer below the fence, -1 for none.
func uncovered(snap *consent.Snapshot, f *fence) int {
	for i, cut := range snap.Cut {
		if len(cut) != len(f.vector) || !cut.Covers(f.vector) {
			return i
		}
	}
	return -1
}

// behind names the hold: a foreign transaction that keeps the last stable
// offset below the fence has its own reason, since only its owner can end it.
func (s *session) behind(ctx context.Context, f *fence) error {
	stable, err := listOffsets(ctx, s.cl, s.w.cfg.Topics.Consent, f.info, listEnd, true)
	if err == nil && !consent.Vector(stable).Covers(f.vector) {
		return &Hold{Code: HoldConsentTxn, Mend: s.w.cfg.command("kafka-transactions", "find-hanging --topic "+s.w.cfg.Topics.Consent)}
	}
	return hold(HoldWatermark, "")
}

// notTruncated checks a watermark above the fence, which is normal while events
// flow, against end offsets read afterwards: above those too, the log was
// truncated or the state belongs to another log (DECISION D4).
func (s *session) notTruncated(ctx context.Context, f *fence) error {
	above := false
	for _, cut := range s.snap.Cut {
		above = above || !f.vector.Covers(cut)
	}
	if !above {
		return nil
	}
	ends, err := listOffsets(ctx, s.cl, s.w.cfg.Topics.Consent, f.info, listEnd, false)
	if err != nil {
		return kafkaHold(HoldFence, err)
	}
	for _, cut := range s.snap.Cut {
		if !consent.Vector(ends).Covers(cut) {
			return &Stop{Reason: "consent states are ahead of the consent topic: the topic lost records, or Redis holds another cluster's state"}
		}
	}
	return nil
}

// maxSkew is how far our clock may be from the store's (DECISION D1).
const maxSkew = 2000 // ms

// decidedAt is the one clock reading of a transaction. It never falls below
// what a lane was last decided at.
func (s *session) decidedAt() (int64, error) {
	now := s.w.cfg.milliseconds()
	for _, l := range s.active {
		now = max(now, l.head.DecidedAt)
	}
	if skewed(now, s.snap.ServerTime) {
		return 0, &Hold{Code: HoldClock, Mend: "chronyc tracking   # on this host and on the Redis host"}
	}
	return now, nil
}

// skewed compares our time with the store's, in ms; 0: the store told none.
func skewed(now, server int64) bool {
	return server != 0 && (now-server > maxSkew || server-now > maxSkew)
}

// auditContext is what all decisions of the transaction share (AUDIT A11).
func (w *worker) auditContext(m engine.Moment, f *fence) audit.Context {
	return audit.Context{
		Policy: w.policyDigest, Revision: w.revision, DecidedAt: m.Now,
		ConsentTopicID: f.consent, Fence: m.Fence,
		KeyEpoch: w.keyEpoch, KeyCheck: w.keyCheck,
		SignKey: w.cfg.Keys.SignID(), Version: w.cfg.Version,
	}
}
