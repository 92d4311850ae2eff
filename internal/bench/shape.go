package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// purposes of the measured configuration; 70 % of the subjects permit each.
var purposes = []string{"analytics", "marketing.email", "service"}

// shape is what a job writes, by output (purposes in order, then audit).
type shape []flow

// flow is one output: records per input record, and the mean size of a value in
// bytes.
type flow struct {
	Rate float64
	Size int
}

// shapes are what the floor writes where the product was not measured in the
// same run: the sizes that configs/demo's treatments leave of such records.
var shapes = map[string]shape{
	"avro": {{0.7, 150}, {0.7, 130}, {0.7, 330}, {1, 300}},
	"json": {{0.7, 420}, {0.7, 200}, {0.7, 620}, {1, 300}},
}

// bytes is the mean size of all output values per input record.
func (s shape) bytes() float64 {
	sum := 0.0
	for _, f := range s {
		sum += f.Rate * float64(f.Size)
	}
	return sum
}

// written gives the end offsets of the outputs, summed over partitions.
func written(ctx context.Context, adm *kadm.Client, s *spec) ([]int64, error) {
	ends, err := adm.ListEndOffsets(ctx, s.outputs()...)
	if err != nil {
		return nil, err
	}
	if err := ends.Error(); err != nil {
		return nil, err
	}
	sums := make([]int64, len(s.outputs()))
	for i, topic := range s.outputs() {
		for _, o := range ends[topic] {
			sums[i] += o.Offset
		}
	}
	return sums, nil
}

// measureShape counts by end offsets and reads a sample for the sizes. End
// offsets also count what was aborted (a rebalance while workers join), so
// counts are taken relative to the audit topic, which has exactly one committed
// record per input record.
func measureShape(ctx context.Context, adm *kadm.Client, s *spec, before []int64) (shape, error) {
	after, err := written(ctx, adm, s)
	if err != nil {
		return nil, err
	}
	last := len(after) - 1
	audits := after[last] - before[last]
	measured := make(shape, len(after))
	for i, topic := range s.outputs() {
		measured[i].Rate = float64(after[i]-before[i]) / float64(max(audits, 1))
		if measured[i].Size, err = meanSize(ctx, s, topic); err != nil {
			return nil, err
		}
	}
	return measured, nil
}

// meanSize looks at some thousand records of a topic.
func meanSize(ctx context.Context, s *spec, topic string) (int, error) {
	records, err := sample(ctx, s, topic, 1000)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	sum := 0
	for _, r := range records {
		sum += len(r.Value)
	}
	return sum / len(records), nil
}

// sample reads about n of a topic's last records, of all its partitions.
func sample(ctx context.Context, s *spec, topic string, n int) ([]*kgo.Record, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Broker), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd().Relative(-2*int64(n))), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n && ctx.Err() == nil {
		records = append(records, cl.PollFetches(ctx).Records()...)
	}
	return records, nil
}

// stored is what the outputs take in the brokers' logs, in bytes: what was sent,
// compressed.
func stored(ctx context.Context, adm *kadm.Client, s *spec) (int64, error) {
	topics := kadm.TopicsSet{}
	for _, t := range s.outputs() {
		for p := range int32(s.Partitions) {
			topics.Add(t, p)
		}
	}
	dirs, err := adm.DescribeAllLogDirs(ctx, topics)
	if err != nil {
		return 0, err
	}
	sum := int64(0)
	for _, broker := range dirs {
		if err := broker.Error(); err != nil {
			return 0, err
		}
		broker.Each(func(d kadm.DescribedLogDir) { sum += d.Size() })
	}
	return sum, nil
}
