package pipeline

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkGather polls and scans records of 300 bytes from the in-process broker,
// 10,000 a batch. Fetching and unpacking run beside it and are in the time.
func BenchmarkGather(b *testing.B) {
	const total = 100_000
	s := benchSession(b, total)
	b.ReportAllocs()
	for b.Loop() {
		for seen := 0; seen < total; {
			if err := s.gather(b.Context()); err != nil {
				b.Fatal(err)
			}
			seen += len(s.batch.Items())
			s.clear()
		}
		b.StopTimer()
		s.ended = false
		if err := s.begin(); err != nil {
			b.Fatal(err)
		}
		if err := s.abort(errRetry); err != nil { // back to the beginning
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/total, "ns/record")
}

// benchSession owns two lanes with records.
func benchSession(b *testing.B, records int) *session {
	b.Helper()
	r := newRig(b, func(cfg *Config) {
		cfg.Metrics = prometheus.NewRegistry()
		cfg.Limits.Wait = time.Second
	})
	value := fmt.Appendf(nil, `{"id":"7","action":"click","email":"c@example.org","n":7,"pad":"%0200d"}`, 0)
	var rs []*kgo.Record
	for i := range records {
		rs = append(rs, &kgo.Record{Topic: rigInput, Partition: int32(i % 2), Key: []byte("7"), Value: value})
	}
	r.produce(rs...)
	return r.session()
}
