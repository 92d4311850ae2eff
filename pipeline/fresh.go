package pipeline

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
)

// A fresh start gives a lane that has no commit its genesis. It replaces "no
// commit" by a number and commits that, with the genesis as metadata, before
// the first poll (DESIGN section 6, step 5): from then on a missing commit can
// only mean that somebody deleted it.
//
// Kill before the commit: nothing happened. Kill after it: the lane exists with
// index 0, and its next owner restores it like any other.

// startFresh decides on partitions that have no commit, by topic: they begin, are parked,
// or wait until the audit was looked through.
func (s *session) startFresh(ctx context.Context, cl *kgo.Client, top *topology, fresh map[string][]*lane) error {
	if len(fresh) == 0 {
		return nil
	}
	audited, err := top.topic(s.w.cfg.Topics.Audit)
	if err != nil {
		return err
	}
	ends, err := s.w.lookThroughAudit(ctx, cl, top, audited, slices.Concat(slices.Collect(maps.Values(fresh))...))
	if err != nil {
		return err
	}
	for topic, lanes := range fresh {
		if err := s.startTopic(ctx, cl, topic, top.topics[topic], audited, lanes, ends); err != nil {
			return err
		}
	}
	return nil
}

// startTopic gives lanes of one topic their verdicts, as of ends of the audit, and those
// that begin their genesis.
func (s *session) startTopic(ctx context.Context, cl *kgo.Client, topic string, info, audited topicInfo, lanes []*lane, ends []int64) error {
	starts, err := listOffsets(ctx, cl, topic, info, listStart, false)
	if err != nil {
		return err
	}
	var begun []*lane
	for _, l := range lanes {
		code, ok := s.w.scan.answer(l, ends)
		switch {
		case !ok:
			s.verdicts[topic][l.Partition] = verdict{unseen: l}
		case code != "":
			s.verdicts[topic][l.Partition] = verdict{park: s.parkedLane(l, code, -1)}
		default:
			s.w.genesis(l, audited, starts[l.Partition])
			s.verdicts[topic][l.Partition] = verdict{lane: l}
			begun = append(begun, l)
		}
	}
	member, generation := cl.GroupMetadata()
	return s.w.commitGenesis(ctx, cl, begun, member, generation)
}

// lookThroughAudit has the audit looked through for lanes, up to the ends that it gives,
// and waits for that for Limits.Look.
func (w *worker) lookThroughAudit(ctx context.Context, cl *kgo.Client, top *topology, audited topicInfo, lanes []*lane) ([]int64, error) {
	before := w.scan.point()
	starts, ends, err := w.auditPositions(ctx, cl, audited)
	if err != nil {
		return nil, err
	}
	w.scan.seek(audited, w.inputLanes(top), lanes, starts, ends, before)
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Limits.Look)
	defer cancel()
	w.scan.await(ctx, lanes, ends)
	return ends, nil
}

// inputLanes are all lanes of our inputs.
func (w *worker) inputLanes(top *topology) map[laneID]bool {
	lanes := map[laneID]bool{}
	for _, topic := range w.cfg.inputs() {
		info := top.topics[topic]
		for p := range info.leaders {
			lanes[laneID{info.id, int32(p)}] = false
		}
	}
	return lanes
}

// genesis fills in the head of a lane that starts at offset start.
func (w *worker) genesis(l *lane, audited topicInfo, start int64) {
	l.head = audit.Head{
		Group: w.cfg.Group, TopicID: l.TopicID,
		NextSource: start, Hash: l.Lane.Lane.Genesis(start),
		Policy: w.policyDigest, Revision: w.revision,
		KeyEpoch: w.keyEpoch, KeyCheck: w.keyCheck,
		AuditTopicID: audited.id, AuditPartition: l.AuditPartition(audited.partitions()),
		ConsentTopicID: w.consentID,
		Fence:          make([]int64, w.consentPartitions),
	}
	l.offset = start
	l.rewind()
}

// commitGenesis commits offset and metadata outside a transaction. member ""
// and generation -1 commit on behalf of an empty group.
func (w *worker) commitGenesis(ctx context.Context, cl *kgo.Client, lanes []*lane, member string, generation int32) error {
	if len(lanes) == 0 {
		return nil
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = w.cfg.Group, member, generation
	if member != "" {
		req.InstanceID = kmsg.StringPtr(w.id)
	}
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = lanes[0].topic, lanes[0].TopicID
	for _, l := range lanes {
		p, err := w.genesisPartition(l)
		if err != nil {
			return err
		}
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *worker) genesisPartition(l *lane) (p kmsg.OffsetCommitRequestTopicPartition, err error) {
	p = kmsg.NewOffsetCommitRequestTopicPartition()
	key, _, err := w.offsetKey(l.head.KeyEpoch)
	if err != nil {
		return p, err
	}
	metadata, err := l.head.Encode(key, l.Partition, l.offset)
	p.Partition, p.Offset, p.Metadata = l.Partition, l.offset, &metadata
	return p, err
}
