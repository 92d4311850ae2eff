package pipeline

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/schemas"
)

// A fresh start gives a lane that has no commit its genesis. It replaces "no
// commit" by a number and commits that, with the genesis as metadata, before
// the first poll (DESIGN section 6, step 5): from then on a missing commit can
// only mean that somebody deleted it.
//
// Kill before the commit: nothing happened. Kill after it: the lane exists with
// index 0, and its next owner restores it like any other.

// startFresh decides on every partition of a topic that has no commit.
func (s *session) startFresh(ctx context.Context, cl *kgo.Client, top *topology, info topicInfo, fresh []*lane, verdicts map[int32]verdict) error {
	if len(fresh) == 0 {
		return nil
	}
	audited, err := top.topic(s.w.cfg.Topics.Audit)
	if err != nil {
		return err
	}
	starts, err := listOffsets(ctx, cl, fresh[0].topic, info, listStart, false)
	if err != nil {
		return err
	}
	held, err := s.w.heldByAudit(ctx, cl, audited, fresh)
	if err != nil {
		return err
	}
	var begun []*lane
	for _, l := range fresh {
		if code := held[l]; code != "" {
			verdicts[l.Partition] = verdict{park: s.parkedLane(l, code, -1)}
			continue
		}
		s.w.genesis(l, audited, starts[l.Partition])
		verdicts[l.Partition] = verdict{lane: l}
		begun = append(begun, l)
	}
	member, generation := cl.GroupMetadata()
	return s.w.commitGenesis(ctx, cl, begun, member, generation)
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

// heldByAudit finds the lanes that the audit topic knows although the group has
// no commit for them: their offsets were deleted, and starting over would put a
// second chain beside the first. Where the audit's beginning is gone nobody can
// tell, so the lane is parked as well.
func (w *worker) heldByAudit(ctx context.Context, cl *kgo.Client, audited topicInfo, fresh []*lane) (map[*lane]ParkCode, error) {
	held := map[*lane]ParkCode{}
	starts, err := listOffsets(ctx, cl, w.cfg.Topics.Audit, audited, listStart, false)
	if err != nil {
		return nil, err
	}
	ends, err := listOffsets(ctx, cl, w.cfg.Topics.Audit, audited, listEnd, true)
	if err != nil {
		return nil, err
	}
	scan := map[int32][]*lane{}
	for _, l := range fresh {
		in := auditPartitions(&l.Lane.Lane, audited)
		if slices.ContainsFunc(in, func(p int32) bool { return starts[p] > 0 }) {
			held[l] = ParkAuditTrimmed
			continue
		}
		for _, p := range in {
			if ends[p] > 0 {
				scan[p] = append(scan[p], l)
			}
		}
	}
	return held, w.scanAudit(ctx, scan, ends, held)
}

// auditPartitions are those that a lane's records can be in. The audit topic may have
// had fewer partitions at the lane's genesis, and a lane stays where it began.
func auditPartitions(l *audit.Lane, audited topicInfo) (all []int32) {
	for n := range audited.partitions() {
		if p := l.AuditPartition(n + 1); !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// scanAudit reads audit partitions up to ends, within Limits.Scan, and marks the
// lanes that it meets. It does not trust records: what does not decode, or carries
// another lane, is somebody else's.
func (w *worker) scanAudit(ctx context.Context, scan map[int32][]*lane, ends []int64, held map[*lane]ParkCode) error {
	left := map[int32]int64{}
	for p := range scan {
		left[p] = ends[p]
	}
	err := w.readAudit(ctx, left, func(r *kgo.Record) {
		for _, l := range scan[r.Partition] {
			if l.ownsAudit(r.Value) {
				held[l] = ParkAuditHolds
			}
		}
	})
	for p := range left {
		for _, l := range scan[p] {
			if held[l] == "" {
				held[l] = ParkAuditUnread
			}
		}
	}
	return err
}

// readAudit hands out the committed records of audit partitions from offset 0 up to
// ends. What is in ends afterwards could not be read within Limits.Scan.
func (w *worker) readAudit(ctx context.Context, ends map[int32]int64, each func(*kgo.Record)) error {
	if len(ends) == 0 {
		return nil
	}
	from := map[int32]kgo.Offset{}
	for p := range ends {
		from[p] = kgo.NewOffset().At(0)
	}
	cl, err := w.newReader(map[string]map[int32]kgo.Offset{w.cfg.Topics.Audit: from})
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Limits.Scan)
	defer cancel()
	for len(ends) > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err0(); err != nil && !errors.Is(err, errFetchFull) {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				each(r)
			}
			if r.Offset+1 >= ends[r.Partition] {
				delete(ends, r.Partition)
			}
		})
	}
	return nil
}

// ownsAudit reports whether a framed audit record belongs to l.
func (l *lane) ownsAudit(value []byte) bool {
	r, ok := decodeAudit(value)
	return ok && r.Lane.Group == l.Group && r.Lane.TopicID == l.TopicID && r.Lane.Partition == l.Partition
}

// decodeAudit decodes a framed audit record; false for what is none.
func decodeAudit(value []byte) (audit.Record, bool) {
	_, payload, f := schemas.ParseFrame(value)
	if f != nil {
		return audit.Record{}, false
	}
	r, err := audit.DecodeRecord(payload)
	return r, err == nil
}

// newReader makes a client without group and transactions that reads committed
// records, control records too (they carry positions to the very end).
func (w *worker) newReader(from map[string]map[int32]kgo.Offset) (*kgo.Client, error) {
	unpacker, err := newUnpacker(w.cfg.Limits.Unpacked)
	if err != nil {
		return nil, err
	}
	opts := append(append(w.clientOpts(), unpacker.opts()...),
		kgo.ConsumePartitions(from), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	return kgo.NewClient(append(opts, w.cfg.KafkaOpts...)...)
}
