package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/internal/keys"
)

// The group's callbacks. kgo calls them from its group goroutine: fetched and
// adjust one after the other whenever partitions were added, revoked when they
// go. They may run while the worker is inside a transaction.

// verdict is what becomes of an assigned partition: a lane, a reason to park, or one
// that waits until the audit was looked through.
type verdict struct {
	lane   *lane
	park   *Parked
	unseen *lane
}

// onFetched restores the head of every added lane from the offset metadata. An
// error ends the group session, which is tried again from the start.
func (s *session) onFetched(ctx context.Context, cl *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	err := s.judge(ctx, cl, resp)
	if err != nil && ctx.Err() == nil && len(s.failed) == 0 {
		s.w.board.hold(s.w.number, kafkaHold(HoldGroup, err))
	}
	return err
}

func (s *session) judge(ctx context.Context, cl *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	s.verdicts = map[string]map[int32]verdict{}
	if len(resp.Groups) != 1 {
		return errors.New("the offset answer is not of one group")
	}
	top, err := askTopology(ctx, cl, s.w.allTopics)
	if err != nil {
		return err
	}
	fresh := map[string][]*lane{}
	for i := range resp.Groups[0].Topics {
		t := &resp.Groups[0].Topics[i]
		name := t.Topic
		if name == "" {
			name = top.nameOf(t.TopicID)
		}
		begin, err := s.judgeTopic(top, name, t)
		if err != nil {
			return err
		}
		if len(begin) > 0 {
			fresh[name] = begin
		}
	}
	return s.startFresh(ctx, cl, top, fresh)
}

// nameOf finds a topic by id: newer offset answers name topics by id only.
func (t *topology) nameOf(id [16]byte) string {
	for name, info := range t.topics {
		if info.id == id {
			return name
		}
	}
	return ""
}

// judgeTopic gives verdicts on what has a commit, and the lanes that have none.
func (s *session) judgeTopic(top *topology, name string, t *kmsg.OffsetFetchResponseGroupTopic) (fresh []*lane, err error) {
	info, err := top.topic(name)
	if err != nil {
		return nil, err
	}
	verdicts := map[int32]verdict{}
	s.verdicts[name] = verdicts
	for i := range t.Partitions {
		p := &t.Partitions[i]
		if kerr.ErrorForCode(p.ErrorCode) != nil {
			continue // kgo surfaces it as a poll error and does not assign the partition
		}
		if p.Partition >= info.partitions() {
			return nil, kerr.UnknownTopicOrPartition // added a moment ago, and not known to every broker yet
		}
		l := s.newLane(top, name, info, p.Partition)
		if parked := s.w.board.parked(name, p.Partition, info.id); parked != nil {
			verdicts[p.Partition] = verdict{park: parked}
			continue
		}
		if p.Offset < 0 {
			fresh = append(fresh, l)
			continue
		}
		metadata := ""
		if p.Metadata != nil {
			metadata = *p.Metadata
		}
		v, err := s.restore(l, top, p.Offset, p.LeaderEpoch, metadata)
		if err != nil {
			return nil, err
		}
		verdicts[p.Partition] = v
	}
	return fresh, nil
}

func (s *session) newLane(top *topology, topic string, info topicInfo, partition int32) *lane {
	l := &lane{topic: topic, epoch: -1, positionEpoch: -1}
	l.Lane.Lane = audit.Lane{Cluster: top.cluster, Group: s.w.cfg.Group, TopicID: info.id, Topic: topic, Partition: partition}
	l.Stream = s.w.engine.Stream(topic)
	return l
}

// restore makes a lane from what was last committed, or says why it cannot
// (DESIGN section 6, steps 5 and 6). Nothing in the metadata is believed before its
// MAC is checked, except the key epoch that it names.
func (s *session) restore(l *lane, top *topology, offset int64, epoch int32, metadata string) (verdict, error) {
	park := func(code ParkCode) (verdict, error) {
		return verdict{park: s.parkedLane(l, code, offset)}, nil
	}
	named := int32(0) // the key epoch that the metadata names
	h, err := audit.DecodeHead(metadata, s.w.cfg.Group, l.Partition, offset, func(epoch int32) ([]byte, [8]byte, error) {
		named = epoch
		return s.w.offsetKey(epoch)
	})
	switch {
	case errors.Is(err, audit.ErrHeadMissing):
		return park(ParkNoMetadata)
	case errors.Is(err, audit.ErrHeadEpoch) && named > s.w.keyEpoch:
		return verdict{}, s.becomeOutdated("key_epoch")
	case errors.Is(err, audit.ErrHeadEpoch):
		return park(ParkKeyEpoch)
	case errors.Is(err, audit.ErrHeadOtherKey):
		return verdict{}, s.fail(wrongKeys(named))
	case err != nil:
		return park(ParkBadMetadata)
	}
	audited, err := top.topic(s.w.cfg.Topics.Audit)
	if err != nil {
		return verdict{}, err
	}
	switch {
	case h.KeyEpoch > s.w.keyEpoch:
		return verdict{}, s.becomeOutdated("key_epoch")
	case h.Revision > s.w.revision:
		return verdict{}, s.becomeOutdated("policy_revision")
	case h.Closed:
		return park(ParkClosed)
	case h.TopicID != l.TopicID:
		return park(ParkTopicRecreated)
	case h.AuditTopicID != audited.id:
		return park(ParkAuditTopic)
	case h.AuditPartition < 0 || h.AuditPartition >= audited.partitions():
		return park(ParkAuditTopic)
	case h.ConsentTopicID != s.w.consentID:
		return park(ParkConsentTopic)
	case h.Revision == s.w.revision && h.Policy != s.w.policyDigest:
		return park(ParkPolicyText)
	case h.NextSource > offset:
		return park(ParkBehindAudit)
	}
	l.head, l.offset, l.epoch = h, offset, epoch
	l.rewind()
	return verdict{lane: l}, nil
}

// offsetKey is the key under which the metadata of a key epoch is MACed, and
// the epoch's check value.
func (w *worker) offsetKey(epoch int32) (key []byte, check [8]byte, err error) {
	if check, err = w.cfg.Keys.Check(int(epoch)); err != nil {
		return nil, check, err
	}
	key, err = w.cfg.Keys.Derive(keys.UseOffset, "", int(epoch))
	return key, check, err
}

func wrongKeys(epoch int32) *Stop {
	return &Stop{Reason: fmt.Sprintf("key epoch %d of the key file is not the one that the lanes were committed under: this is another key file", epoch)}
}

// errNoVerdict: kgo asks about a partition that judge was not asked about.
var errNoVerdict = errors.New("a partition was assigned whose commit was not looked at")

// adjust drops partitions that are parked or not decided on yet, so that the other lanes
// run on, and gives fresh lanes their start. A partition without a verdict ends the group session,
// which is tried again: kgo would start it at its own default, and dropped it would
// stand still without a word.
func (s *session) adjust(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	for topic, partitions := range offsets {
		for p := range partitions {
			v := s.verdicts[topic][p]
			switch {
			case v.lane != nil:
				s.lanes.add(v.lane)
				s.w.board.unpark(topic, p)
				partitions[p] = kgo.NewOffset().At(v.lane.offset).WithEpoch(v.lane.epoch)
				s.w.log.Info().Str("topic", topic).Int32("partition", p).Int64("offset", v.lane.offset).Int64("index", v.lane.head.NextIndex).Msg("lane assigned")
			case v.park != nil:
				s.w.board.park(v.park)
				delete(partitions, p)
			case v.unseen != nil:
				s.unseen.add(v.unseen)
				s.w.board.unpark(topic, p)
				s.w.board.holdLane(s.w.number, v.unseen.key(), s.w.scan.hold(v.unseen))
				delete(partitions, p)
			default:
				return nil, errNoVerdict
			}
		}
	}
	s.w.board.assigned(s.w.number, s.lanes.snapshot())
	s.settled.Store(true)
	return offsets, nil
}

// onAssigned is called before the offsets of what was added are fetched, and also
// where nothing was: with more workers than partitions some have no lane, and are
// in the group and ready all the same.
func (s *session) onAssigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	switch given := s.given.Add(count(added)); {
	case count(added) > 0:
		s.settled.Store(false)
	case given == 0:
		s.settled.Store(true)
		s.w.board.assigned(s.w.number, nil)
	}
}

func count(partitions map[string][]int32) (n int64) {
	for _, ps := range partitions {
		n += int64(len(ps))
	}
	return n
}

// onRevoked takes lanes out of the live assignment: what the open transaction
// holds of them is dropped (kgo aborts it at End).
func (s *session) onRevoked(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	s.lanes.remove(gone)
	if s.given.Add(-count(gone)) == 0 {
		s.settled.Store(false) // until the group says again that there is nothing
	}
	if s.closing.Load() {
		return // not the group's doing: what was parked stays so in the next session
	}
	s.unseen.remove(gone)
	s.w.board.unassign(s.w.number, gone)
	if count(gone) > 0 { // each try to join that fails says so again, with nothing
		s.w.board.committed(s.w.number) // what held it may have gone with them
	}
	s.w.board.assigned(s.w.number, s.lanes.snapshot())
}

// becomeOutdated ends the session for good: the instance leaves the group and
// waits to be replaced. Rejoining would take lanes from newer instances again
// and again (DESIGN section 6, step 6).
func (s *session) becomeOutdated(why string) error {
	s.w.board.outdate(why)
	return s.fail(errOutdated)
}

// fail tells the worker from a callback; the first failure counts.
func (s *session) fail(err error) error {
	select {
	case s.failed <- err:
	default:
	}
	s.interrupt()
	return err
}

func (s *session) parkedLane(l *lane, code ParkCode, offset int64) *Parked {
	return s.w.cfg.newParked(l.topic, l.Partition, l.TopicID, code, offset)
}
