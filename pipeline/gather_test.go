package pipeline

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
)

// TestPositions: records that do not follow on the lane's position are never
// taken; a hole is legal only while the log reaches down to the position.
func TestPositions(t *testing.T) {
	id := [16]byte{1}
	cases := map[string]struct {
		topic kgo.FetchTopic
		part  kgo.FetchPartition
		park  ParkCode
		err   error
	}{
		"below the position":       {part: kgo.FetchPartition{Records: []*kgo.Record{{Offset: 4}}}, park: ParkRewound, err: errRebuild},
		"behind a deleted stretch": {part: kgo.FetchPartition{LogStartOffset: 6, Records: []*kgo.Record{{Offset: 6}}}, park: ParkOutOfRange, err: errRebuild},
		"another topic id":         {topic: kgo.FetchTopic{TopicID: [16]byte{2}}, part: kgo.FetchPartition{Records: []*kgo.Record{{Offset: 5}}}, park: ParkTopicRecreated, err: errRebuild},
		"data loss":                {part: kgo.FetchPartition{Err: &kgo.ErrDataLoss{}, Records: []*kgo.Record{{Offset: 5}}}, park: ParkDataLoss, err: errRebuild},
		"too large and endless":    {part: kgo.FetchPartition{Err: &kgo.ErrDecompressTooLarge{Topic: "events", Offset: 5, NextOffset: 5}}, park: ParkBatchTooLarge, err: errRebuild},
		"too large, behind a hole": {part: kgo.FetchPartition{LogStartOffset: 7, Err: &kgo.ErrDecompressTooLarge{Topic: "events", Offset: 7, NextOffset: 9}}, park: ParkOutOfRange, err: errRebuild},
		"of a lane that went":      {part: kgo.FetchPartition{Partition: 1, Records: []*kgo.Record{{Offset: 5}}}, err: errDropped},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBoard(zerolog.Nop(), newMetrics(), time.Now)
			s := &session{w: &worker{cfg: new(Config), board: b}}
			l := &lane{topic: "events", offset: 5, position: 5}
			l.TopicID = id
			s.lanes.add(l)
			c.topic.Topic, c.topic.Partitions = "events", []kgo.FetchPartition{c.part}
			if _, err := s.takeTopic(&c.topic); !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			st := b.status(1)
			if c.park == "" && len(st.Parked) == 0 {
				return
			}
			if len(st.Parked) != 1 || st.Parked[0].Code != c.park || st.Parked[0].Mend == "" {
				t.Errorf("parked %+v, want %s", st.Parked, c.park)
			}
		})
	}
}

// TestAuditTrimmed: without a commit, and with the beginning of the audit gone,
// nobody can tell whether the lane was ever decided.
func TestAuditTrimmed(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.input(rigInput, 0, 1)
	r.audited(1)
	to := r.heads(rigInput)[0].AuditPartition
	run.stop()
	r.forget(rigInput, 0)
	if err := r.stack.Kafka.DeleteRecords("consent.audit", to, 1); err != nil {
		t.Fatal(err)
	}
	run = r.start()
	r.eventually("parked", func() bool {
		st := run.Status()
		return len(st.Parked) == 1 && st.Parked[0].Code == ParkAuditTrimmed && st.Parked[0].Partition == 0
	})
	run.stop()
	if got := r.outputNumbers(rigInput + ".service"); got[1] != 1 {
		t.Errorf("service got %v", got)
	}
}

// TestAuditGrown: a lane whose commit is gone is known by its audit records also where
// the audit topic has more partitions by now, and the lane would go to another one.
func TestAuditGrown(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.input(rigInput, 0, 1)
	r.audited(1)
	h := r.heads(rigInput)[0]
	run.stop()
	r.forget(rigInput, 0)
	l, n := audit.Lane{TopicID: h.TopicID}, 3
	for l.AuditPartition(int32(n)) == h.AuditPartition {
		n++
	}
	if _, err := r.adm.UpdatePartitions(t.Context(), n, r.cfg.Topics.Audit); err != nil {
		t.Fatal(err)
	}
	r.input(rigInput, 0, 2)
	run = r.start()
	r.eventually("parked", run.parked(ParkAuditHolds, ""))
	run.stop()
	if got := r.outputNumbers(rigInput + ".service"); got[1] != 1 {
		t.Errorf("service got %v", got)
	}
}

// TestGatherBytes: a batch is not much larger than Limits.Bytes, whatever one
// fetch brought, and no record is lost or decided twice for it.
func TestGatherBytes(t *testing.T) {
	const limit, large = 1 << 20, 1 << 18
	r := newRig(t, func(cfg *Config) {
		cfg.Limits.Bytes, cfg.Limits.Wait = limit, time.Second
		cfg.Metrics = prometheus.NewRegistry()
	})
	zeros := fmt.Sprintf(`{"id":"1","pad":"%0*d"}`, large, 0)
	cl := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(32<<20))
	var rs []*kgo.Record
	for range 100 { // 25 MB in a few kB
		rs = append(rs, &kgo.Record{Topic: rigInput, Value: []byte(zeros)})
	}
	for range 5 {
		rs = append(rs, &kgo.Record{Topic: rigInput, Value: []byte(`{"id":"1"}`)})
	}
	if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	s := r.session()
	seen, fullest := int64(0), 0
	for seen < 105 {
		if err := s.gather(t.Context()); err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, it := range s.batch.Items() {
			if it.Offset != seen {
				t.Fatalf("offset %d, want %d", it.Offset, seen)
			}
			seen++
			bytes += len(it.Value)
		}
		if n := len(s.batch.Items()); bytes > limit+large {
			t.Errorf("a batch of %d records and %d bytes", n, bytes)
		}
		fullest = max(fullest, bytes) // a slow machine may take the waiting time for less
		s.clear()
	}
	if fullest < limit {
		t.Errorf("no batch was full: %d bytes at most", fullest)
	}
}

// TestManyHeaders: a header without name and value takes two bytes of the log and
// eighty here. Such records are small batches, and what they took is given back.
func TestManyHeaders(t *testing.T) {
	r := newRig(t)
	var rs []*kgo.Record
	for range 8 {
		rs = append(rs, &kgo.Record{Topic: rigInput, Value: []byte(`{"id":"1"}`), Headers: make([]kgo.RecordHeader, 60_000)})
	}
	r.produce(rs...)
	s := r.session()
	for seen := 0; seen < len(rs); s.clear() {
		if err := s.gather(t.Context()); err != nil {
			t.Fatal(err)
		}
		n := len(s.batch.Items())
		if n > 3 {
			t.Fatalf("%d records of 5 MB each in one batch", n)
		}
		seen += n
	}
	if n := cap(s.inHeaders); n > maxHeaders {
		t.Errorf("room for %d headers is kept", n)
	}
}

// What a poll says of the member counts whatever became of its lanes.
func TestFencedBy(t *testing.T) {
	lost := kgo.NewErrFetch(&kgo.ErrGroupSession{Err: kerr.FencedInstanceID})
	if !fencedBy(lost) || fencedBy(kgo.NewErrFetch(kerr.RebalanceInProgress)) || fencedBy(nil) {
		t.Error("FENCED_INSTANCE_ID, and nothing else, says that another process is this member")
	}
}
