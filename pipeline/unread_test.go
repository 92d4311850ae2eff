package pipeline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
)

// bomb produces one compressed record batch of n records of size zeros each.
func (r *rig) bomb(topic string, partition int32, n, size int) {
	r.t.Helper()
	cl := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(time.Second), kgo.ProducerBatchMaxBytes(16<<20),
		kgo.ProducerBatchCompression(kgo.GzipCompression()))
	var rs []*kgo.Record
	var results kgo.FirstErrPromise
	for range n {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: partition, Value: make([]byte, size)})
		cl.Produce(r.t.Context(), rs[len(rs)-1], results.Promise())
	}
	if err := errors.Join(cl.Flush(r.t.Context()), results.Err()); err != nil { // without the linger's second
		r.t.Fatal(err)
	}
	for i, rec := range rs {
		if rec.Offset != rs[0].Offset+int64(i) {
			r.t.Fatal("the records are not one batch")
		}
	}
}

// TestBatchTooLarge: a batch that decompresses to more than we hold costs its
// own records only (P9), also where it holds more than one transaction takes,
// where it lies between good records, and where the transaction fails at first.
func TestBatchTooLarge(t *testing.T) {
	for _, records := range []int{0, 2, 4} {
		t.Run(fmt.Sprintf("records=%d", records), func(t *testing.T) {
			r := newRig(t, func(cfg *Config) {
				cfg.Limits.Records = records
				cfg.Limits.Unpacked = 1 << 20
			})
			r.input(rigInput, 0, 1, 2)
			r.bomb(rigInput, 0, 5, 1<<20)
			r.input(rigInput, 0, 3)
			r.bomb(rigInput, 0, 1, 2<<20)
			r.input(rigInput, 0, 4)
			r.input(rigInput, 1, 5)
			denied := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "consent.audit", Err: kerr.TopicAuthorizationFailed, Count: 2})
			run := r.start()
			lanes := r.chains(r.audited(11))
			seen := r.exactlyOnce(lanes, rigInput, 0, 10)
			for o, a := range seen {
				unread := o >= 2 && o <= 6 || o == 8
				if (a.Kind == audit.LeafQuarantine) != unread || unread && a.Detail != "batch_too_large" {
					t.Errorf("offset %d: %v %s", o, a.Kind, a.Detail)
				}
			}
			if q := r.read("consent.quarantine"); len(q) != 6 || !strings.Contains(string(q[0].Value), `"detail":"batch_too_large"`) {
				t.Errorf("%d quarantine records", len(q))
			}
			if got := r.outputNumbers(rigInput + ".service"); len(got) != 5 {
				t.Errorf("service got %v", got)
			}
			if denied.Hits() != 2 {
				t.Errorf("%d transactions failed", denied.Hits())
			}
			if st := run.Status(); len(st.Parked) > 0 {
				t.Errorf("parked: %+v", st.Parked[0])
			}
			run.stop()
		})
	}
}

// TestLarge: a record beyond Kafka's default limit, on topics that take it, is a
// record like any other.
func TestLarge(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Engine.Streams[0].RecordBytes = 4 << 20 })
	for _, topic := range []string{rigInput, rigInput + ".service"} {
		if _, err := r.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: kadm.StringPtr("4194304")}}, topic); err != nil {
			t.Fatal(err)
		}
	}
	large := &kgo.Record{Topic: rigInput, Value: []byte(`{"id":"2","n":2,"action":"` + strings.Repeat("x", 3<<20) + `"}`)}
	r.input(rigInput, 0, 1)
	if err := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(4<<20)).ProduceSync(t.Context(), large).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r.input(rigInput, 0, 3)
	r.start()
	r.exactlyOnce(r.chains(r.audited(3)), rigInput, 0, 3)
	if got := r.outputNumbers(rigInput + ".service"); len(got) != 3 {
		t.Errorf("service got %v", got)
	}
}

// TestBatchTooLargeDropped: kgo reports such a batch once and never fetches its
// partition again. An abort that discards the fetch with the report must not let
// the lane stand still in silence.
func TestBatchTooLargeDropped(t *testing.T) {
	r := newRig(t, func(cfg *Config) {
		cfg.Limits.Records, cfg.Limits.Wait = 1, time.Second
		cfg.Limits.Unpacked = 1 << 20
	})
	r.input(rigInput, 0, 1, 2, 3)
	r.bomb(rigInput, 1, 1, 2<<20)
	denied := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "consent.audit", Err: kerr.TopicAuthorizationFailed, Count: 3})
	run := r.start()
	lanes := r.chains(r.audited(4))
	r.exactlyOnce(lanes, rigInput, 0, 3)
	r.exactlyOnce(lanes, rigInput, 1, 1)
	if denied.Hits() != 3 {
		t.Errorf("%d transactions failed", denied.Hits())
	}
	run.stop()
}

// TestBatchTooLargeFlood: a writer produces one such batch after the other. The
// records of the worker's other lane go on at their pace meanwhile.
func TestBatchTooLargeFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newVirtualRig(t, func(cfg *Config) { cfg.Limits.Unpacked = 1 << 20 })
		const flood, others = 100, 20
		for range flood {
			r.bomb(rigInput, 0, 1, 2<<20)
		}
		r.input(rigInput, 1, 1)
		run := r.start()
		r.eventually("it works", func() bool { return r.heads(rigInput)[1].NextSource == 1 })
		began, waited := time.Now(), time.Duration(0)
		for n := range others {
			time.Sleep(10 * time.Millisecond)
			at := time.Now()
			r.input(rigInput, 1, 2+n)
			r.eventually("the other lane goes on", func() bool { return r.heads(rigInput)[1].NextSource == int64(n)+2 })
			waited += time.Since(at)
		}
		if r.heads(rigInput)[0].NextSource == flood {
			t.Errorf("the flood is over after %v: it shows nothing", time.Since(began))
		}
		if waited > others*30*time.Millisecond {
			t.Errorf("the records of the other lane waited for %v altogether", waited)
		}
		lanes := r.chains(r.audited(flood + others + 1))
		r.exactlyOnce(lanes, rigInput, 0, flood)
		r.exactlyOnce(lanes, rigInput, 1, others+1)
		if n := strings.Count(r.log.String(), "lane assigned"); n != 2 {
			t.Errorf("%d lanes were assigned: sessions were rebuilt", n)
		}
		t.Logf("the other lane waited for %v altogether; the flood took %v", waited, time.Since(began))
		run.stop()
	})
}

// TestBatchTooLargeChurn: whatever fails while such batches come among good records,
// and whoever joins, every record is decided once and in order, and the lanes are
// never left alone.
func TestBatchTooLargeChurn(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	r := newRig(t, func(cfg *Config) { cfg.Limits.Unpacked, cfg.Limits.Records = 1<<20, 5 })
	run := r.start()
	r.eventually("ready", func() bool { return run.Status().Ready })
	sent, good, faults := [2]int64{}, 0, 0
	var other *running
	for step := range 80 {
		p := int32(random.IntN(2))
		switch random.IntN(4) {
		case 0:
			n := 1 + random.IntN(8)
			r.bomb(rigInput, p, n, 1<<21/n+1000)
			sent[p] += int64(n)
		case 1:
			if faults++; faults > 5 {
				break
			}
			r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "consent.audit", Err: kerr.TopicAuthorizationFailed, Count: 1})
		default:
			good++
			r.input(rigInput, p, good)
			sent[p]++
		}
		switch step {
		case 30:
			other = r.start(func(cfg *Config) { cfg.Instance = "1" })
		case 60:
			// One that leaves before it has joined keeps its place for the session timeout.
			r.eventually("each has a lane", func() bool { return run.Status().Lanes == 1 && other.Status().Lanes == 1 })
			other.stop()
		}
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
	}
	lanes := r.chains(r.audited(int(sent[0] + sent[1])))
	r.exactlyOnce(lanes, rigInput, 0, sent[0])
	r.exactlyOnce(lanes, rigInput, 1, sent[1])
	if got := r.outputNumbers(rigInput + ".service"); len(got) != good {
		t.Errorf("service got %d of %d", len(got), good)
	}
	if st := run.Status(); len(st.Parked) > 0 {
		t.Errorf("parked: %+v", st.Parked[0])
	}
	run.stop()
}
