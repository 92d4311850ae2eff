package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
)

// The commit protocol. Each step says what a kill during it leaves; what "the
// successor" is can be the same process restarted, or another one.
//
// In all cases the successor's OffsetFetch waits until the transaction that a
// dead worker left open has been ended: at once where the successor has the
// same transactional id (its InitProducerID aborts it), else by the broker after
// Limits.Txn. Readers with read_committed wait equally long, and no longer.

// transact runs one transaction. The errors are instructions to the worker: see
// hold.go.
func (s *session) transact(ctx context.Context) error {
	// 1. Gather. Nothing of the batch exists outside this process.
	// Kill: the successor polls the same records from the committed offsets.
	s.lap.start()
	if err := s.gather(ctx); err != nil {
		return err
	}
	s.lap.done(s.w.metrics, stageGather)
	if ctx.Err() != nil {
		return errDropped // shutting down, or the group's callbacks want an end
	}
	// Kafka may have given up markers of the last transaction, also of one that it
	// said was committed: what this one does would decide that anew.
	if err := s.lastOver(ctx); err != nil {
		return err
	}
	if len(s.batch.Items()) == 0 {
		return s.transactIdle(ctx)
	}
	// 2. Begin. kgo does this in memory; the broker learns of the transaction
	// with the first produced record, so a hold below keeps nothing open there.
	// Kill: as before.
	if err := s.begin(); err != nil {
		return err
	}
	// 3. Fence, states, decisions: as often as it takes. What is decided is
	// staged record by record; nothing is produced before every decision of the
	// batch is final.
	// Kill: as before; a hold can be killed at any time.
	f, m, err := s.decideHolding(ctx)
	if err != nil {
		return err
	}
	// 4. Produce what was staged, and await every promise.
	// Kill: the records lie in an open transaction that read_committed readers
	// never see; it is aborted. The successor decides the same records anew,
	// with a newer fence. Their audit leaves get the same indexes, since the
	// chain's head was never committed.
	s.lap.start()
	if err := s.produce(); err != nil {
		return err
	}
	s.lap.done(s.w.metrics, stageProduce)
	// 5. Commit: offsets and lane heads join the transaction, then it ends.
	// Kill before the coordinator has written the commit: as in step 4.
	// Kill after that: everything is visible, and the successor goes on with
	// the new heads. There is no third outcome, but we may not learn which.
	return s.commit(f, m.Now)
}

// transactIdle commits fence and offsets without records: it shows, in the committed
// metadata, that idle lanes too are past a fence (promise P4), and moves committed
// offsets over control records to the end of the log. Nothing is decided, so no
// state is read: the fence says that no LATER decision uses an older state.
func (s *session) transactIdle(ctx context.Context) error {
	if len(s.lanes.snapshot()) == 0 {
		if s.settled.Load() {
			s.w.board.release(s.w.number) // nothing is there that could be held
		}
		return nil
	}
	f, err := s.takeFence(ctx)
	if err != nil {
		return err
	}
	s.w.board.release(s.w.number)
	if err := s.checkLanes(f); err != nil {
		return err
	}
	if !s.moved(f) {
		return nil
	}
	if err := s.begin(); err != nil {
		return err
	}
	return s.commit(f, 0)
}

// moved reports whether some lane has something new to commit.
func (s *session) moved(f *fence) bool {
	for _, l := range s.lanes.snapshot() {
		h := &l.head
		if l.position != l.offset || h.Revision != s.w.revision || h.KeyEpoch != s.w.keyEpoch || !consent.Vector(h.Fence).Covers(f.vector) {
			return true
		}
	}
	return false
}

func (s *session) begin() error {
	err := s.txn.Begin()
	switch {
	case err == nil:
		s.begun = time.Now()
		return nil
	case errors.Is(err, kerr.ProducerFenced):
		return s.fenced()
	default:
		return errRebuild
	}
}

// decideHolding decides the batch, holding as long as something is missing.
// Every attempt has its own fence, states and time; a lane that went away
// meanwhile ends it, since its next owner decides those records.
func (s *session) decideHolding(ctx context.Context) (*fence, engine.Moment, error) {
	var pace pacer
	for {
		f, m, err := s.decide(ctx)
		var h *Hold
		switch {
		case err == nil:
			s.w.board.release(s.w.number)
			return f, m, nil
		case !errors.As(err, &h), h.untilCommit:
			return nil, m, err
		}
		s.w.board.hold(s.w.number, h)
		if !pace.wait(ctx) || s.lanes.losses() != s.losses || len(s.failed) > 0 {
			return nil, m, errDropped
		}
	}
}

// decide makes one attempt.
func (s *session) decide(ctx context.Context) (f *fence, m engine.Moment, err error) {
	s.lap.start()
	if err := s.resolveSchemas(ctx); err != nil {
		return nil, m, err
	}
	s.lap.done(s.w.metrics, stageSchemas)
	if f, err = s.takeFence(ctx); err != nil {
		return nil, m, err
	}
	if err := s.checkLanes(f); err != nil {
		return nil, m, err
	}
	s.lap.done(s.w.metrics, stageFence)
	if err := s.readStates(ctx, f, s.batch.Tags()); err != nil {
		return nil, m, err
	}
	s.lap.done(s.w.metrics, stageStates)
	m = engine.Moment{Fence: f.vector}
	if m.Now, err = s.decidedAt(); err != nil {
		return nil, m, err
	}
	if err := s.stage(m, f); err != nil {
		return nil, m, err
	}
	s.lap.done(s.w.metrics, stageDecide)
	return f, m, nil
}

// checkLanes compares the topic ids that a broker named a moment ago with those
// of our lanes: offsets are committed by name, so a commit after a topic was
// recreated would skip the new topic's first records in silence (KAFKA.md 1).
func (s *session) checkLanes(f *fence) error {
	for _, l := range s.lanes.snapshot() {
		info, err := f.top.topic(l.topic)
		if err != nil {
			return kafkaHold(HoldKafka, err)
		}
		if info.id != l.TopicID {
			return s.park(l, ParkTopicRecreated)
		}
	}
	return s.w.setPartitions(f.top)
}

// errVeto is our own refusal inside the commit; kgo aborts for certain then.
var errVeto = errors.New("the commit was vetoed")

// commit ends the transaction with offsets and heads of ALL lanes that the
// worker owns at that moment. decidedAt is 0 where nothing was decided. End has
// its own, long patience: shutting down must not cut it short, since a cancelled
// End leaves a client in an unknown state.
func (s *session) commit(f *fence, decidedAt int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.w.cfg.Limits.End)
	defer cancel()
	s.lap.start()
	asked := false // the broker may have been asked to commit
	committed, err := s.txn.End(kgo.PreTxnCommitFnContext(ctx, func(req *kmsg.TxnOffsetCommitRequest) error {
		err := s.fillCommit(req, f, decidedAt)
		asked = err == nil
		s.touched = s.touched || asked
		return err
	}), kgo.TryCommit)
	s.ended = true
	switch {
	case committed && err == nil:
		s.over(outcomeCommitted)
		s.lap.done(s.w.metrics, stageEnd)
		s.adopt()
		return nil
	case errors.Is(err, kerr.OffsetMetadataTooLarge), errors.Is(err, audit.ErrHeadTooLarge):
		return &Hold{Code: HoldMetadataTooLarge, untilCommit: true, Mend: fmt.Sprintf("set offset.metadata.max.bytes=%d in the brokers' configuration and restart them", audit.MaxHead)}
	case errors.Is(err, errVeto), err == nil && !asked:
		// Aborted for certain: by our veto, or because of a rebalance.
		return errRetry
	case errors.Is(err, kerr.FencedInstanceID):
		return s.fenced()
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidTxnState), errors.Is(err, kerr.InvalidProducerEpoch):
		// The broker or a successor has ended the transaction, if it was not committed
		// before. To begin again here would throw out that successor.
		return errEpoch
	default:
		// Unknown: the transaction may be committed. So it may be without an error:
		// kgo calls it an abort, as after a rebalance, when the broker answers that it
		// does not know what became of the commit. Nothing may be concluded from this
		// client any more; the committed offsets will tell.
		if s.w.unsaid++; err != nil || s.w.unsaid > rebalanced {
			s.w.board.hold(s.w.number, s.unknown(err))
		}
		return errRebuild
	}
}

// rebalanced is how many commits in a row a rebalance may abort; more is something else.
const rebalanced = 3

// unknown is shown until a commit succeeds: one that never has a result, as of a
// group that we may not commit to, would else begin again for ever without a word.
func (s *session) unknown(err error) *Hold {
	h := kafkaHold(HoldCommit, err)
	h.untilCommit = true
	for _, l := range s.committing {
		h.batch = append(h.batch, l.key())
	}
	return h
}

// fillCommit writes offset and metadata of every owned lane into the request,
// and vetoes a partition that is not ours to commit. kgo calls it with its
// transaction lock held: it must not block.
func (s *session) fillCommit(req *kmsg.TxnOffsetCommitRequest, f *fence, decidedAt int64) error {
	if s.w.cfg.Now().Sub(f.at) > s.w.cfg.Limits.FenceAge {
		s.w.shrink(len(s.batch.Items()))
		return errVeto // withdrawals since then would be unbounded (promise P4)
	}
	s.committing = s.lanes.snapshot()
	ours := make(map[source]*lane, len(s.committing))
	for _, l := range s.committing {
		ours[source{topic: l.topic, partition: l.Partition}] = l
	}
	for _, l := range s.active {
		if ours[source{topic: l.topic, partition: l.Partition}] != l {
			return errVeto // lost, or lost and assigned again
		}
	}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			if ours[source{topic: req.Topics[i].Topic, partition: req.Topics[i].Partitions[j].Partition}] == nil {
				return errVeto
			}
		}
	}
	req.Topics = req.Topics[:0]
	for _, l := range s.committing {
		if err := s.fillLane(req, l, f, decidedAt); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) fillLane(req *kmsg.TxnOffsetCommitRequest, l *lane, f *fence, decidedAt int64) error {
	l.pending = s.w.nextHead(l, f, decidedAt)
	key, _, err := s.w.offsetKey(l.pending.KeyEpoch)
	if err != nil {
		return errVeto
	}
	metadata, err := l.pending.Encode(key, l.Partition, l.position)
	if err != nil {
		return errors.Join(errVeto, err)
	}
	n := len(req.Topics)
	if n == 0 || req.Topics[n-1].Topic != l.topic {
		t := kmsg.NewTxnOffsetCommitRequestTopic()
		t.Topic, t.TopicID = l.topic, l.TopicID
		req.Topics = append(req.Topics, t)
		n++
	}
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = l.Partition, l.position, l.positionEpoch, &metadata
	req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, p)
	return nil
}

// nextHead is the head that the open transaction gives l. Fence and decision
// time never fall: a lane that came from another worker while this transaction
// ran may stand above ours already.
func (w *worker) nextHead(l *lane, f *fence, decidedAt int64) (h audit.Head) {
	h = l.head
	if l.inBatch {
		h.NextIndex, h.NextSource, h.Hash, h.Closed = l.next.Next, l.next.NextSource, l.next.Head, l.next.Closed
		h.DecidedAt = max(h.DecidedAt, decidedAt)
	}
	h.Policy, h.Revision = w.policyDigest, w.revision
	h.KeyEpoch, h.KeyCheck, h.ConsentTopicID = w.keyEpoch, w.keyCheck, w.consentID
	h.Fence = make([]int64, len(f.vector))
	copy(h.Fence, f.vector)
	for p := range min(len(h.Fence), len(l.head.Fence)) {
		h.Fence[p] = max(h.Fence[p], l.head.Fence[p])
	}
	return h
}

// adopt takes over what is now known to be committed.
func (s *session) adopt() {
	s.w.unsaid = 0
	for _, l := range s.committing {
		l.head, l.offset, l.epoch = l.pending, l.position, l.positionEpoch
		if l.inBatch {
			l.unknown = nil // they may be registered since
		}
	}
	for i, o := range s.sheet.origin {
		if o < 0 {
			s.w.published[string(s.sheet.records[i].Key)] = true
		}
	}
	clear(s.refused) // what was refused is in quarantine now, or was of a lane that went
	s.suspects = nil
	if len(s.batch.Items()) > 0 {
		s.w.grow()
		s.w.board.committed(s.w.number)
		s.w.board.quarantined(s.tally.quarantined)
	} else {
		s.w.board.committedIdle(s.w.number)
	}
	s.w.metrics.committed(s)
}
