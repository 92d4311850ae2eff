package engine

import (
	"encoding/json"
	"reflect"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/avro"
)

// Everybody does the same work.
func TestPeersDoTheSameWork(t *testing.T) {
	for i := range works {
		w := &works[i]
		t.Run(w.name, func(t *testing.T) {
			o := newOurs(t, w)
			for name, peer := range peers(t, w) {
				for _, src := range w.records()[:20] {
					want, got := outputs(t, w, o, o, src), outputs(t, w, o, peer, src)
					if !reflect.DeepEqual(want, got) {
						t.Fatalf("%s gives\n%s\nwe\n%s", name, got, want)
					}
				}
			}
		})
	}
}

// outputs are what each purpose gets, decoded.
func outputs(t *testing.T, w *work, o *ours, d doer, src []byte) (all []any) {
	t.Helper()
	err := d.do(src, func(out []byte) {
		var v any
		if w.schema != "" {
			if rest, err := avro.MustParse(o.views[len(all)].Schema()).Decode(out, &v); err != nil || len(rest) > 0 {
				t.Fatalf("%v, %d bytes left", err, len(rest))
			}
		} else if err := json.Unmarshal(out, &v); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		all = append(all, v)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// In steady state nothing is allocated for a record (DESIGN section 8).
func TestNothingIsAllocated(t *testing.T) {
	for i := range works {
		o, records := newOurs(t, &works[i]), works[i].records()
		n := 0
		if allocs := testing.AllocsPerRun(500, func() { n++; step(t, o, records[n%len(records)]) }); allocs != 0 {
			t.Errorf("%s: %v allocations a record", works[i].name, allocs)
		}
	}
}

func step(tb testing.TB, d doer, src []byte) {
	if err := d.do(src, func([]byte) {}); err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkEngine(b *testing.B) {
	for i := range works {
		w := &works[i]
		measure(b, w, "consentstream", newOurs(b, w))
		for _, name := range []string{"goavro", "twmb-avro", "encoding-json", "jsontext"} {
			if peer, ok := peers(b, w)[name]; ok {
				measure(b, w, name, peer)
			}
		}
	}
}

func measure(b *testing.B, w *work, name string, d doer) {
	b.Run(w.name+"/by="+name, func(b *testing.B) {
		records := w.records()
		for n := range records {
			step(b, d, records[n])
		}
		b.ReportAllocs()
		start, n := cpuTime(), 0
		for ; b.Loop(); n++ {
			step(b, d, records[n%len(records)])
		}
		b.ReportMetric(float64(cpuTime()-start)/float64(n), "cpu-ns/op")
	})
}

// cpuTime is the processor time of this process: unlike the time on the clock it
// does not count what others do on the machine, and it counts the collector.
func cpuTime() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		panic(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
