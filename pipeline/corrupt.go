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
	at          int  // where it lies in the bytes of the log
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

// errNoBatch: what comes next in the log can be read.
var errNoBatch = errors.New("no record batch that cannot be read")

// findUnreadable looks for a record batch that cannot be read and has no record
// before it from an offset on: where there is one, it was damaged on its way, and
// what is behind it is not to be judged before it was read. The partition's leader
// is asked past the client's fetch loop.
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
		raw, err := fetchRaw(ctx, cl, topic, info, partition, at)
		if err != nil {
			return storedBatch{}, err
		}
		b, err := raw.firstUnreadable(at)
		if raw.records(at, b.at) {
			return b, errNoBatch
		}
		if !errors.Is(err, errNoBatch) || b.next <= at {
			return b, err
		}
		at = b.next
	}
}

// rawLog is a piece of a partition's log as it is stored, and the client's own way
// to unpack it: with another one's bounds a batch could be readable that the client
// cannot read (a zstd window of more than Limits.Unpacked), or unpack to gigabytes.
type rawLog struct {
	kmsg.FetchResponseTopicPartition
	unpack kgo.Decompressor
}

// process reads some bytes of the log as the client does.
func (l *rawLog) process(batches []byte, at int64) (kgo.FetchPartition, int64) {
	p := l.FetchResponseTopicPartition
	p.RecordBatches = batches
	return kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: at, KeepControlRecords: true, IsolationLevel: kgo.ReadCommitted()}, &p, l.unpack, nil)
}

// records reports that the first n bytes of the log have something to read.
func (l *rawLog) records(at int64, n int) bool {
	p, _ := l.process(l.RecordBatches[:n], at)
	return len(p.Records) > 0
}

// fetchRaw fetches what the log has from an offset on, as it is stored.
func fetchRaw(ctx context.Context, cl *kgo.Client, topic string, info topicInfo, partition int32, at int64) (*rawLog, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 100, 1, fetchBytes/4, -1
	req.IsolationLevel = 1 // read_committed: names what was aborted
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
	raw := &rawLog{unpack: cl.OptValue(kgo.WithDecompressor).(kgo.Decompressor)}
	if u, ok := raw.unpack.(*unpacker); ok {
		raw.unpack = u.one
	}
	err = kerr.ErrorForCode(fetched.ErrorCode)
	for _, t := range fetched.Topics {
		for _, p := range t.Partitions {
			raw.FetchResponseTopicPartition = p
			return raw, errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
		}
	}
	return raw, err
}

// The record batch format, magic 2: offsets of fields, and the header's size.
const (
	atLength, atEpoch, atMagic, atCRC, atCovered, atLastDelta = 8, 12, 16, 17, 21, 23

	batchHeader = 61
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// firstUnreadable gives the first batch that ends behind offset at and cannot be
// read, else errNoBatch with the end of the last whole batch. The end of the log is
// cut off anywhere, but a first batch is always whole.
func (l *rawLog) firstUnreadable(at int64) (storedBatch, error) {
	end := storedBatch{next: -1}
	for first := true; end.at < len(l.RecordBatches); first = false {
		log := l.RecordBatches[end.at:]
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
			return storedBatch{first: max(at, end.next), next: -1, damaged: true, at: end.at}, nil
		}
		b := readHeader(log[:size])
		b.at = end.at
		if from := max(at, end.next); b.damaged && (b.first > from || b.next <= from) {
			b.first, b.next = from, -1 // the header cannot be right
		}
		if b.damaged || b.next > at && !l.readable(log[:size], at) {
			return b, nil
		}
		end.at, end.next = end.at+int(size), b.next
	}
	return end, errNoBatch
}

func readHeader(batch []byte) storedBatch {
	b := storedBatch{first: int64(binary.BigEndian.Uint64(batch)), epoch: int32(binary.BigEndian.Uint32(batch[atEpoch:]))}
	b.next = b.first + int64(int32(binary.BigEndian.Uint32(batch[atLastDelta:]))) + 1
	b.damaged = batch[atMagic] != 2 || crc32.Checksum(batch[atCovered:], castagnoli) != binary.BigEndian.Uint32(batch[atCRC:])
	return b
}

// readable reports that the client can read a batch.
func (l *rawLog) readable(batch []byte, at int64) bool {
	p, next := l.process(batch, at)
	return p.Err == nil && next > at
}
