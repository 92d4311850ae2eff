package pipeline

import (
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/engine"
)

// compressed produces a record that the unpacker sees.
func (r *rig) compressed(rec *kgo.Record) {
	r.t.Helper()
	cl := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.GzipCompression()))
	if err := cl.ProduceSync(r.t.Context(), rec).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

// TestLetGo: a session whose transaction has ended holds nothing of what it read,
// be it a key or a header that came out again.
func TestLetGo(t *testing.T) {
	for name, value := range map[string]string{"passed": `{"id":"7","action":"click","n":7}`, "quarantined": `{`} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) {
				cfg.Engine.Streams[0].Headers = []engine.HeaderRule{{Name: "trace", Category: "system.operations"}}
			})
			r.compressed(&kgo.Record{Topic: rigInput, Key: []byte("7"), Value: []byte(value + strings.Repeat(" ", 500)), Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte("abc")}}})
			s := r.session()
			u := s.cl.OptValue(kgo.WithDecompressor).(*unpacker)
			for n := 0; n == 0; {
				if err := s.transact(t.Context()); err != nil {
					t.Fatal(err)
				}
				n = len(s.batch.Items())
				if n > 0 && u.held.Load() == 0 {
					t.Fatal("nothing was counted")
				}
				s.clear()
			}
			for range 100 {
				if runtime.GC(); u.held.Load() == 0 {
					return
				}
				time.Sleep(time.Millisecond)
			}
			t.Errorf("%d bytes are held", u.held.Load())
		})
	}
}

// A sheet holds nothing of what was taken back.
func TestSheetLetsGo(t *testing.T) {
	sh := newSheet()
	for range 3 {
		sh.headers = append(sh.headers, kgo.RecordHeader{Key: "h", Value: []byte("v")})
		sh.add(0, rigInput, 0).Key = []byte("k")
	}
	sh.rewind(sheetMark{records: 1, headers: 1})
	sh.failures = append(sh.failures, failure{record: &kgo.Record{}})
	sh.reset()
	for i, r := range sh.records[:cap(sh.records)] {
		if !reflect.ValueOf(r).IsZero() {
			t.Errorf("record %d is held", i)
		}
	}
	for i, h := range sh.headers[:cap(sh.headers)] {
		if !reflect.ValueOf(h).IsZero() {
			t.Errorf("header %d is held", i)
		}
	}
	for i, f := range sh.failures[:cap(sh.failures)] {
		if f.record != nil {
			t.Errorf("failure %d is held", i)
		}
	}
}
