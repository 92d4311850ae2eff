package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// The product's knobs (DESIGN section 6, pipeline): a floor with others would
// not be the floor of this product.
const (
	batchRecords = 10_000
	batchBytes   = 8 << 20
	batchWait    = 100 * time.Millisecond
	tokenBytes   = 28 // a pseudonym as key
	proofBytes   = 16 // the cs-proof header
	seenRecords  = 8000
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression(),
	"snappy": kgo.SnappyCompression(), "zstd": kgo.ZstdCompression(),
}

// floor copies with one session per worker until ctx ends.
func floor(ctx context.Context, s *spec, kafka []kgo.Opt) error {
	seen, err := whatWasWritten(ctx, s)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for n := range s.Workers {
		group.Go(func() error { return copyLoop(ctx, s, n, kafka, seen) })
	}
	return group.Wait()
}

// whatWasWritten reads records that the product has written to each output: what
// a codec finds in them, and what the broker then stores, is the same. It is nil
// where the product was not run before on the same broker.
func whatWasWritten(ctx context.Context, s *spec) ([][]*kgo.Record, error) {
	if s.Audited == "" {
		return nil, nil
	}
	var seen [][]*kgo.Record
	for _, topic := range append(s.purposeTopics(), s.Audited) {
		records, err := sample(ctx, s, topic, seenRecords)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			return nil, fmt.Errorf("nothing to be read on %s", topic)
		}
		seen = append(seen, records)
	}
	return seen, nil
}

func copyLoop(ctx context.Context, s *spec, number int, kafka []kgo.Opt, seen [][]*kgo.Record) error {
	id := fmt.Sprintf("%s.0.%d", s.Group, number)
	session, err := kgo.NewGroupTransactSession(append([]kgo.Opt{
		kgo.ConsumerGroup(s.Group), kgo.InstanceID(id), kgo.ConsumeTopics(s.input()),
		kgo.SessionTimeout(10 * time.Second), kgo.HeartbeatInterval(3 * time.Second),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(8 << 20), kgo.FetchMaxPartitionBytes(2 << 20),
		kgo.TransactionalID(id), kgo.TransactionTimeout(10 * time.Second), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(1 << 20), kgo.ProducerLinger(20 * time.Millisecond),
		kgo.MaxBufferedRecords(1 << 18), kgo.ProducerBatchCompression(codecs[s.Codec]),
	}, kafka...)...)
	if err != nil {
		return err
	}
	defer session.Close()
	c := newCopier(s, session, seen)
	for ctx.Err() == nil {
		if err := c.transact(ctx); err != nil {
			return err
		}
	}
	return nil
}

// copier owns the buffers of a worker: after the first batches it allocates
// nothing of its own.
type copier struct {
	spec    *spec
	session *kgo.GroupTransactSession
	topics  []string
	seen    [][]*kgo.Record // by output, what the product wrote; nil: prefixes of the input
	turn    int
	input   []*kgo.Record
	output  []kgo.Record
	headers []kgo.RecordHeader
	text    []byte // input values one after the other, for outputs longer than their input
	failed  atomic.Pointer[error]
	promise func(*kgo.Record, error)
}

func newCopier(s *spec, session *kgo.GroupTransactSession, seen [][]*kgo.Record) *copier {
	most := batchRecords * len(s.Shape)
	c := &copier{
		spec: s, session: session, seen: seen, topics: s.outputs(),
		input: make([]*kgo.Record, 0, batchRecords), output: make([]kgo.Record, most), headers: make([]kgo.RecordHeader, most),
	}
	c.promise = func(_ *kgo.Record, err error) {
		if err != nil {
			c.failed.Store(&err)
		}
	}
	return c
}

func (c *copier) transact(ctx context.Context) error {
	if c.gather(ctx); len(c.input) == 0 {
		return nil
	}
	if err := c.session.Begin(); err != nil {
		return err
	}
	c.produce(ctx)
	// End flushes: it returns after every promise.
	_, err := c.session.End(context.WithoutCancel(ctx), kgo.TryCommit)
	if failed := c.failed.Load(); failed != nil {
		err = errors.Join(err, *failed)
	}
	return err
}

func (c *copier) gather(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, batchWait)
	defer cancel()
	c.input = c.input[:0]
	bytes := 0
	for len(c.input) < batchRecords && bytes < batchBytes && ctx.Err() == nil {
		fetches := c.session.PollRecords(ctx, batchRecords-len(c.input))
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				c.input = append(c.input, r)
				bytes += len(r.Key) + len(r.Value)
			}
		})
	}
}

// produce writes as many records to each output as the product does.
func (c *copier) produce(ctx context.Context) {
	n := 0
	for _, in := range c.input {
		for i, f := range c.spec.Shape {
			draw := mix(uint64(in.Partition)<<56 ^ uint64(in.Offset)<<2 ^ uint64(i))
			if float64(draw>>11)/(1<<53) >= f.Rate {
				continue
			}
			out := &c.output[n]
			*out = kgo.Record{Topic: c.topics[i], Timestamp: in.Timestamp, Partition: int32(draw % uint64(c.spec.Partitions))}
			audit := i == len(c.spec.Shape)-1
			if audit {
				out.Partition = in.Partition // a lane's audit is in one partition
			}
			if c.seen != nil {
				c.turn++
				was := c.seen[i][c.turn%len(c.seen[i])]
				out.Key, out.Value, out.Headers = was.Key, was.Value, was.Headers
			} else {
				c.prefixes(in, out, c.headers[n:n+1:n+1], audit, f.Size, draw)
			}
			n++
			c.session.Produce(ctx, out, c.promise)
		}
	}
}

// prefixes fills a record with the input's own bytes, so that they compress about
// as well as the product's outputs do.
func (c *copier) prefixes(in, out *kgo.Record, header []kgo.RecordHeader, audit bool, size int, draw uint64) {
	out.Value = c.value(in, size, draw)
	if !audit {
		header[0] = kgo.RecordHeader{Key: "cs-proof", Value: in.Value[:min(proofBytes, len(in.Value))]}
		out.Key, out.Headers = in.Value[:min(tokenBytes, len(in.Value))], header
	}
}

// value gives size bytes of input: the record's own, or where that is too short a
// stretch of the first batch.
func (c *copier) value(in *kgo.Record, size int, draw uint64) []byte {
	if size <= len(in.Value) {
		return in.Value[:size]
	}
	if len(c.text) < 1<<20 {
		c.text = append(c.text, in.Value...)
	}
	if len(c.text) <= size {
		return in.Value
	}
	at := int(draw % uint64(len(c.text)-size))
	return c.text[at : at+size]
}

// mix is the finalizer of MurmurHash3.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xFF51AFD7ED558CCD
	h ^= h >> 33
	h *= 0xC4CEB9FE1A85EC53
	return h ^ h>>33
}
