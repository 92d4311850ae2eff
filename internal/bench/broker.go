package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/internal/bench/load"
)

// broker is the real broker of all runs, or with an empty address none: then
// each child has its own.
type broker struct {
	address, prefix string
	load            load.Config
	admin           *kadm.Client
	topics          []string
	shapes          map[string]shape // by format, as the product wrote
}

// openBroker fills the real broker once for all runs.
func openBroker(ctx context.Context, o options) (*broker, error) {
	b := &broker{
		address: os.Getenv("CONSENTSTREAM_KAFKA"),
		prefix:  fmt.Sprintf("bench-%d", time.Now().Unix()),
		load:    load.Config{Now: time.Now().UnixMilli(), SchemaID: 1},
		shapes:  make(map[string]shape),
	}
	for format, s := range shapes {
		b.shapes[format] = s
	}
	if b.address == "" {
		return b, nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		return nil, err
	}
	b.admin = kadm.NewClient(cl)
	for _, format := range o.formats {
		s := &spec{Format: format, Broker: b.address, Prefix: b.prefix, Records: o.records, Partitions: o.partitions, Load: b.load}
		b.topics = append(append(b.topics, s.input()), s.outputs()...)
		if err := prepare(ctx, s); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

// close removes the topics: a scratch broker stays usable for the next run.
func (b *broker) close() {
	if b.admin == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := b.admin.DeleteTopics(ctx, b.topics...); err != nil {
		fmt.Fprintln(os.Stderr, "bench: topics stay:", err)
	}
	b.admin.Close()
}

// prepare creates the topics of a spec and fills its input.
func prepare(ctx context.Context, s *spec) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Broker), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(20*time.Millisecond), kgo.MaxBufferedRecords(1<<16))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	created, err := adm.CreateTopics(ctx, int32(s.Partitions), 1, nil, append(s.outputs(), s.input())...)
	if err != nil {
		return err
	}
	for _, c := range created.Sorted() {
		if c.Err != nil && c.Topic != s.audit() { // the formats share it
			return fmt.Errorf("create %s: %w", c.Topic, c.Err)
		}
	}
	return fill(ctx, cl, s)
}

// fill writes the input: records of one subject are in one partition.
func fill(ctx context.Context, cl *kgo.Client, s *spec) error {
	g := load.New(s.Load)
	event := g.Contact
	if s.Format == "json" {
		event = g.Marketing
	}
	errs := make(chan error, 1)
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			select {
			case errs <- err:
			default:
			}
		}
	}
	for i := range s.Records {
		key, value := event(make([]byte, 0, 1024), i)
		cl.Produce(ctx, &kgo.Record{Topic: s.input(), Partition: partition(key, s.Partitions), Key: key, Value: value}, promise)
	}
	err := cl.Flush(ctx)
	select {
	case e := <-errs:
		return errors.Join(err, e)
	default:
		return err
	}
}

func partition(key []byte, n int) int32 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return int32(mix(h) % uint64(n))
}

// learn makes the floor write what the product was seen to write.
func (b *broker) learn(s *spec, r *result) {
	if s.Job == "product" {
		b.shapes[s.Format] = r.Shape
	}
}
