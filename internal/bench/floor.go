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
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression(),
	"snappy": kgo.SnappyCompression(), "zstd": kgo.ZstdCompression(),
}

// floor copies with one session per worker until ctx ends.
func floor(ctx context.Context, s *spec, kafka []kgo.Opt) error {
	group, ctx := errgroup.WithContext(ctx)
	for n := range s.Workers {
		group.Go(func() error { return copyLoop(ctx, s, n, kafka) })
	}
	return group.Wait()
}

func copyLoop(ctx context.Context, s *spec, number int, kafka []kgo.Opt) error {
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
	c := newCopier(s, session)
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
	input   []*kgo.Record
	output  []kgo.Record
	headers []kgo.RecordHeader
	text    []byte // input values one after the other, for outputs longer than their input
	failed  atomic.Pointer[error]
	promise func(*kgo.Record, error)
}

func newCopier(s *spec, session *kgo.GroupTransactSession) *copier {
	most := batchRecords * len(s.Shape)
	c := &copier{
		spec: s, session: session, topics: s.outputs(),
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

// produce writes prefixes of the input's own bytes, so that they compress about
// as well as the product's outputs do.
func (c *copier) produce(ctx context.Context) {
	n := 0
	for _, in := range c.input {
		for i, f := range c.spec.Shape {
			draw := mix(uint64(in.Partition)<<56 ^ uint64(in.Offset)<<2 ^ uint64(i))
			if float64(draw>>11)/(1<<53) >= f.Rate {
				continue
			}
			out, header := &c.output[n], c.headers[n:n+1:n+1]
			n++
			*out = kgo.Record{Topic: c.topics[i], Value: c.value(in, f.Size, draw), Timestamp: in.Timestamp}
			out.Partition = int32(draw % uint64(c.spec.Partitions))
			if i == len(c.spec.Shape)-1 {
				out.Partition = in.Partition // a lane's audit is in one partition
			} else {
				header[0] = kgo.RecordHeader{Key: "cs-proof", Value: in.Value[:min(proofBytes, len(in.Value))]}
				out.Key, out.Headers = in.Value[:min(tokenBytes, len(in.Value))], header
			}
			c.session.Produce(ctx, out, c.promise)
		}
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
