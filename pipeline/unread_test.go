package pipeline

import (
	"fmt"
	"strings"
	"testing"
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
	for range n {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: partition, Value: make([]byte, size)})
	}
	if err := cl.ProduceSync(r.t.Context(), rs...).FirstErr(); err != nil {
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
