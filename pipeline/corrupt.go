package pipeline

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/schemas"
)

// A record batch that kgo cannot read is reported as an error of its partition,
// again at every fetch, with no type and no offset that could be relied on, and
// for some faults kgo moves on behind it. So the log is fetched a second time and
// looked at here: where the checksum of a batch is wrong again, the log is damaged
// and the lane is parked; where it is right and the batch still cannot be read,
// its writer made it so, and its records go to quarantine like those of a batch
// that is too large (P9). What can be read the second time was damaged on its way.

// codeBatchUnreadable is the code of records that nobody can read: their record
// batch does not unpack, or not to what its header says.
const codeBatchUnreadable schemas.Code = "batch_unreadable"

// storedBatch is what the header of a record batch in the log says.
type storedBatch struct {
	first, next int64 // its offsets: [first, next); next is -1 where that cannot be told
	epoch       int32
	damaged     bool // its checksum is wrong: nothing of the header is certain
}

// takeDoubtful deals with a partition's error that is no answer of Kafka's, which
// is else the hold h. What could be read before the fault is committed first: then
// the session ends, and the next one begins at the fault.
func (s *session) takeDoubtful(p *kgo.FetchPartition, l *lane, h *Hold) error {
	s.reopen = true // kgo may have moved on
	if len(p.Records) > 0 || l.position != l.offset {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	b, err := findUnreadable(ctx, s.cl, l.topic, l.Partition, l.position)
	switch {
	case errors.Is(err, errNoBatch):
		return errRebuild
	case err != nil:
		return h
	case b.damaged:
		return s.park(l, ParkCorrupt)
	}
	return s.takeUnread(p, l, b, codeBatchUnreadable)
}

// isAnswer reports that err is something that Kafka said.
func isAnswer(err error) bool {
	var ke *kerr.Error
	return errors.As(err, &ke)
}

// errNoBatch: all that is in the log can be read.
var errNoBatch = errors.New("no record batch that cannot be read")

// findUnreadable looks for the first record batch from an offset on that cannot be
// read. The partition's leader is asked past the client's fetch loop.
func findUnreadable(ctx context.Context, cl *kgo.Client, topic string, partition int32, at int64) (storedBatch, error) {
	top, err := askTopology(ctx, cl, []string{topic})
	if err != nil {
		return storedBatch{}, err
	}
	info, err := top.topic(topic)
	if err != nil {
		return storedBatch{}, err
	}
	if partition >= info.partitions() || info.leaders[partition].node < 0 {
		return storedBatch{}, kerr.LeaderNotAvailable
	}
	for {
		log, err := fetchRaw(ctx, cl, topic, info, partition, at)
		if err != nil {
			return storedBatch{}, err
		}
		b, err := firstUnreadable(log, at)
		if !errors.Is(err, errNoBatch) || b.next <= at {
			return b, err
		}
		at = b.next
	}
}

// fetchRaw fetches what the log has from an offset on, as it is stored.
func fetchRaw(ctx context.Context, cl *kgo.Client, topic string, info topicInfo, partition int32, at int64) ([]byte, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 100, 1, fetchBytes/4, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, info.id
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.CurrentLeaderEpoch, rp.FetchOffset, rp.PartitionMaxBytes = partition, info.leaders[partition].epoch, at, fetchBytes/4
	t.Partitions = append(t.Partitions, rp)
	req.Topics = append(req.Topics, t)
	resp, err := cl.Broker(int(info.leaders[partition].node)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	fetched := resp.(*kmsg.FetchResponse)
	err = kerr.ErrorForCode(fetched.ErrorCode)
	for _, t := range fetched.Topics {
		for _, p := range t.Partitions {
			return p.RecordBatches, errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
		}
	}
	return nil, err
}

// The record batch format, magic 2: offsets of fields, and the header's size.
const (
	atLength, atEpoch, atMagic, atCRC, atCovered, atLastDelta = 8, 12, 16, 17, 21, 23

	batchHeader = 61
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// firstUnreadable gives the first batch that ends behind offset at and cannot be
// read, else errNoBatch with the end of the last whole batch. The end of log is cut
// off anywhere, but a first batch is always whole.
func firstUnreadable(log []byte, at int64) (storedBatch, error) {
	end := storedBatch{next: -1}
	for first := true; len(log) > 0; first = false {
		whole := len(log) >= batchHeader
		size := int64(0)
		if whole {
			size = 12 + int64(int32(binary.BigEndian.Uint32(log[atLength:])))
			whole = size <= int64(len(log))
		}
		switch {
		case !whole && !first:
			return end, errNoBatch
		case !whole, size < batchHeader:
			return storedBatch{first: max(at, end.next), next: -1, damaged: true}, nil
		}
		b := readHeader(log[:size])
		if from := max(at, end.next); b.damaged && (b.first > from || b.next <= from) {
			b.first, b.next = from, -1 // the header cannot be right
		}
		if b.damaged || b.next > at && !readable(log[:size], at) {
			return b, nil
		}
		log, end.next = log[size:], b.next
	}
	return end, errNoBatch
}

func readHeader(batch []byte) storedBatch {
	b := storedBatch{first: int64(binary.BigEndian.Uint64(batch)), epoch: int32(binary.BigEndian.Uint32(batch[atEpoch:]))}
	b.next = b.first + int64(int32(binary.BigEndian.Uint32(batch[atLastDelta:]))) + 1
	b.damaged = batch[atMagic] != 2 || crc32.Checksum(batch[atCovered:], castagnoli) != binary.BigEndian.Uint32(batch[atCRC:])
	return b
}

// readable reads one batch as the client does. It unpacks without a limit: the
// client has unpacked this one within its own, or has failed to.
func readable(batch []byte, at int64) bool {
	p, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: at, KeepControlRecords: true},
		&kmsg.FetchResponseTopicPartition{RecordBatches: batch}, kgo.DefaultDecompressor(), nil)
	return p.Err == nil && next > at
}
