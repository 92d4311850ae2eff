package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// reasonReset is the reason of the leaves that LaneReset writes.
const reasonReset = "LANE_RESET"

// Reset is what LaneReset is told.
type Reset struct {
	To     int64  // offset to go on from
	Reason string // the operator's, for the audit
	Force  bool   // also where nothing is seen to be wrong with the lane
}

// LaneReset is the way out of a parked lane, of data loss and of offsets that
// are out of range: it sets the lane to an offset, and leaves a signed audit leaf
// that says which records were given up, cites the last committed leaf, and
// holds the operator's reason. On a topic id of its own (the topic was
// recreated) it closes the old lane and begins the new one with a leaf that
// cites the closing. One that nobody can tell whether the audit knew begins with a
// leaf that cites nothing, at the start of the log.
//
// It is allowed while the group is empty, and joins it itself while it works, so
// that no enforcer can start in between. Leaf and commit are one transaction: a
// kill leaves both or neither. The offset is never below what was audited already.
// A lane that goes on by itself is reset by force only: that would give up records
// that can be read.
func (e *Enforcer) LaneReset(ctx context.Context, topic string, partition int32, r Reset) (*LaneState, error) {
	w, cl, err := e.laneTool(ctx)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	if err := w.groupIsEmpty(ctx, cl); err != nil {
		return nil, err
	}
	st, err := w.laneState(ctx, cl, topic, partition)
	if err != nil {
		return nil, err
	}
	if err := w.mayReset(st, r); err != nil {
		return nil, err
	}
	if err := w.checkClock(ctx, ConsentTopic{Cluster: st.lane.Cluster, ID: w.consentID, Partitions: int(w.consentPartitions)}); err != nil {
		return nil, err
	}
	if w.auditSchema, err = e.registerAudit(ctx); err != nil {
		return nil, err
	}
	if err := w.reset(ctx, st, r); err != nil {
		return nil, unfinished(err)
	}
	return w.laneState(ctx, cl, topic, partition)
}

func (w *worker) groupIsEmpty(ctx context.Context, cl *kgo.Client) error {
	groups, err := kadm.NewClient(cl).DescribeGroups(ctx, w.cfg.Group)
	if err != nil {
		return err
	}
	switch g := groups[w.cfg.Group]; g.State {
	case "Empty", "Dead", "":
		return nil
	default:
		return fmt.Errorf("group %s is %s with %d members: stop all enforcers first", w.cfg.Group, g.State, len(g.Members))
	}
}

// mayReset refuses what would put a second decision beside a first, or hide
// that something was skipped.
func (w *worker) mayReset(st *LaneState, r Reset) error {
	same := st.head.TopicID == st.info.id
	switch {
	case r.Reason == "":
		return errors.New("a reason is needed: it is written to the audit")
	case st.Source == "none" && st.Warning != "":
		return errors.New(st.Warning + ": use the key file that it ran with")
	case st.Source == "none" && st.Unstarted == "":
		return errors.New("nothing was ever decided on this lane: an enforcer starts it by itself")
	}
	if err := w.otherPast(st); err != nil {
		return err
	}
	switch {
	case same && r.To < st.head.NextSource:
		return fmt.Errorf("offset %d is below %d: what lies there was decided and audited already", r.To, st.head.NextSource)
	case r.To < st.LogStart || r.To > st.LogEnd:
		return fmt.Errorf("offset %d is outside the log, which reaches from %d to %d", r.To, st.LogStart, st.LogEnd)
	case w.sound(st) && !r.Force:
		return fmt.Errorf("nothing is seen to be wrong with the lane: an enforcer goes on at offset %d by itself. If it was parked all the same (%s, %s, %s), or records are to be given up on purpose, add --force",
			st.Committed, ParkDataLoss, ParkRewound, ParkBatchTooLarge)
	}
	return nil
}

// otherPast is what the lane was committed under that is not what there is now.
func (w *worker) otherPast(st *LaneState) error {
	same := st.head.TopicID == st.info.id
	switch {
	case st.Source == "metadata" && st.head.AuditTopicID != st.audited.id:
		return errors.New("the lane's chain is in another audit topic: restore that topic, or start a new consumer group")
	case st.head.Revision > w.revision:
		return fmt.Errorf("the lane was committed under policy revision %d, this configuration has %d", st.head.Revision, w.revision)
	case st.head.KeyEpoch > w.keyEpoch:
		return fmt.Errorf("the lane was committed under key epoch %d, this key file's is %d", st.head.KeyEpoch, w.keyEpoch)
	case st.head.Revision == w.revision && st.head.Policy != w.policyDigest:
		return fmt.Errorf("the lane was committed under another text of policy revision %d: give the changed policy a higher revision", w.revision)
	case st.head.KeyEpoch == w.keyEpoch && st.head.KeyCheck != w.keyCheck:
		return fmt.Errorf("the lane was committed under another key file: key epoch %d is not the same", w.keyEpoch)
	case same && st.head.ConsentTopicID != w.consentID:
		return errors.New("the lane was decided on another consent topic, whose offsets mean nothing here: restore that topic, or start a new consumer group")
	case same && st.head.Closed:
		return errors.New("the lane is closed")
	}
	return nil
}

// checkClock refuses to write times that later decisions could not be made at: they
// never fall, and have to be the state store's (DECISION D1).
func (w *worker) checkClock(ctx context.Context, topic ConsentTopic) error {
	_ = w.cfg.States.Check(ctx, topic) // names the topic; a store whose states do not count has a clock too
	var snap consent.Snapshot
	if err := w.cfg.States.Read(ctx, nil, &snap); err != nil {
		return fmt.Errorf("this machine's clock cannot be compared with the state store's: %s", statesHold(err).words())
	}
	if skewed(w.cfg.milliseconds(), snap.ServerTime) {
		return errors.New("this machine's clock is more than 2 s from the state store's: set it first (chronyc tracking)")
	}
	return nil
}

// reset writes leaves and commit in one transaction.
func (w *worker) reset(ctx context.Context, st *LaneState, r Reset) error {
	if err := w.settle(ctx); err != nil {
		return err
	}
	s, err := w.openReset(ctx, st)
	if err != nil {
		return err
	}
	defer s.close()
	f, err := s.takeFence(ctx)
	if err != nil {
		return err
	}
	l, err := s.resetLeaves(st, f, r)
	if err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	if err := s.produce(); err != nil {
		_ = s.endAborted()
		return err
	}
	s.lanes.add(l)
	return s.commit(f, l.pending.DecidedAt)
}

// openReset joins the group as its only member and takes no partition.
func (w *worker) openReset(ctx context.Context, st *LaneState) (*session, error) {
	base, abandon := context.WithCancel(context.Background())
	s := &session{w: w, batch: w.engine.NewBatch(), sheet: newSheet(), failed: make(chan error, 1), interrupt: func() {}, abandon: abandon}
	joined := make(chan struct{}, 1)
	opts := append(w.clientOpts(), kgo.WithContext(base), kgo.ConsumerGroup(w.cfg.Group), kgo.ConsumeTopics(st.Topic),
		kgo.SessionTimeout(w.cfg.Limits.Session), kgo.HeartbeatInterval(w.cfg.Limits.Session*3/10), // a killed reset keeps the group for so long
		kgo.TransactionalID(w.id), kgo.TransactionTimeout(w.cfg.Limits.Txn), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.AdjustFetchOffsetsFn(func(context.Context, map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			select {
			case joined <- struct{}{}:
			default:
			}
			return map[string]map[int32]kgo.Offset{}, nil
		}))
	var err error
	if s.txn, err = kgo.NewGroupTransactSession(append(opts, w.cfg.KafkaOpts...)...); err != nil {
		abandon()
		return nil, err
	}
	s.cl = s.txn.Client()
	select {
	case <-joined:
		return s, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(w.cfg.Limits.End):
		err = errors.New("joining the group takes too long")
	}
	s.close()
	return nil, err
}

// unfinished tells an operator what became of a transaction that did not end
// well; a worker would just go on.
func unfinished(err error) error {
	switch {
	case errors.Is(err, errRetry):
		return errors.New("nothing was changed, since Kafka refused the transaction: try again")
	case errors.Is(err, errRebuild), errors.Is(err, errEpoch):
		return errors.New("the connection to Kafka broke: `consentstream lane show` tells whether the lane was reset; if not, try again")
	}
	return err
}

// resetLeaves puts the leaves on the sheet and gives the lane to commit.
func (s *session) resetLeaves(st *LaneState, f *fence, r Reset) (*lane, error) {
	now := max(s.w.cfg.milliseconds(), st.head.DecidedAt)
	s.context = s.w.auditContext(engine.Moment{Now: now, Fence: f.vector}, f)
	old := audit.Chain{Lane: st.lane, Next: st.head.NextIndex, Head: st.head.Hash, NextSource: st.head.NextSource, Closed: st.head.Closed}
	old.Lane.TopicID = st.head.TopicID
	cites := &st.head.Hash
	l := &lane{topic: st.Topic, epoch: -1, positionEpoch: -1, head: st.head, inBatch: true}
	l.Lane.Lane = st.lane
	l.next = old
	if st.head.TopicID != st.info.id {
		switch {
		case st.Source == "none":
			cites = nil // there is nothing before it
		case !old.Closed:
			if err := s.stageLeaf(&old, st.head.AuditPartition, audit.Record{Kind: audit.LeafClosed, Offset: old.NextSource, Cites: cites, Note: r.Reason}); err != nil {
				return nil, err
			}
			cites = &old.Head
		}
		s.w.genesis(l, st.audited, st.LogStart)
		l.next = l.chain()
	}
	if err := s.stageLeaf(&l.next, l.head.AuditPartition, audit.Record{Kind: audit.LeafGap, Offset: r.To, Cites: cites, Note: r.Reason}); err != nil {
		return nil, err
	}
	l.position = r.To
	l.inBatch = true
	l.pending.DecidedAt = now
	return l, nil
}

// stageLeaf appends a signed leaf that is a lane's transaction by itself.
func (s *session) stageLeaf(chain *audit.Chain, partition int32, rec audit.Record) error {
	rec.Context, rec.Reason = &s.context, reasonReset
	value, err := chain.Append(schemas.AppendFrame(nil, s.w.auditSchema), &rec)
	if err != nil {
		return err
	}
	sig := s.w.cfg.Keys.Sign(audit.SigMessage(&chain.Lane, chain.Next-1, chain.Head))
	r := s.sheet.add(-1, s.w.cfg.Topics.Audit, partition)
	r.Value, r.Headers = value, []kgo.RecordHeader{{Key: headerSig, Value: sig[:]}}
	return nil
}
