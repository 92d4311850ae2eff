package engine_test

import (
	"bytes"
	"os"
	"path"
	"syscall"
	"testing"
	"time"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/bench/load"
	"github.com/consentstream/consentstream/internal/keys"
)

// BenchmarkLoad is BenchmarkRecord with the records, policy and wiring of `make
// bench`: 50,000 people in no order, more than a processor's cache has room for,
// whose rows are encoded as the state store keeps them.
func BenchmarkLoad(b *testing.B) {
	for _, format := range []string{"avro", "json"} {
		b.Run(format, func(b *testing.B) {
			l := openLoad(b, format)
			for range len(l.in) / batchSize {
				l.batch(b)
			}
			b.SetBytes(int64(len(l.in[0].Value)))
			b.ReportAllocs()
			b.ResetTimer()
			start := cpuTime(b)
			for n := 0; n < b.N; n += batchSize {
				l.batch(b)
			}
			b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is the processor time of this process: unlike the time on the clock it
// does not count what others do on the machine.
func cpuTime(tb testing.TB) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// benchLoad is the engine of `make bench` at work.
type benchLoad struct {
	lane  *engine.Lane
	b     *engine.Batch
	in    []engine.Input
	next  int // of in
	rows  map[consent.Tag][]byte
	fence consent.Vector
	snap  consent.Snapshot
	leaf  []byte
}

func openLoad(tb testing.TB, format string) *benchLoad {
	tb.Helper()
	read := func(name string) ([]byte, error) {
		if path.Base(name) == "contacts.avsc" {
			return []byte(load.ContactSchema), nil
		}
		return os.ReadFile(name)
	}
	vars := map[string]string{"BENCH_CODEC": "lz4", "BENCH_KAFKA": "localhost:9092", "BENCH_REDIS": "localhost:6379", "BENCH_REGISTRY": "http://localhost:8081"}
	env := func(name string) (string, bool) {
		if v := vars[name]; v != "" {
			return v, true
		}
		return "b." + name, true
	}
	cfg, findings := configs.Load("../internal/bench/config/"+format+".yaml", env, read)
	if cfg == nil {
		tb.Fatalf("the configuration of the benchmark does not load: %v", findings)
	}
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{7}, 256)), "test")
	if err != nil {
		tb.Fatal(err)
	}
	e, err := engine.New(engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: ring})
	if err != nil {
		tb.Fatal(err)
	}
	s := e.Stream("b.BENCH_INPUT")
	l := &benchLoad{lane: &engine.Lane{Lane: audit.Lane{Cluster: "c", Group: "g", Topic: "b.BENCH_INPUT"}, Stream: s}, b: e.NewBatch()}
	g := load.New(load.Config{SchemaID: 1, Now: nowMs})
	if format == "avro" {
		installLoad(tb, s)
	}
	for i := range 100_000 {
		in := engine.Input{Offset: int64(i), Timestamp: nowMs}
		if format == "avro" {
			in.Key, in.Value = g.Contact(nil, i)
		} else {
			in.Key, in.Value = g.Marketing(nil, i)
		}
		l.in = append(l.in, in)
	}
	tagger, err := engine.Tagger(cfg.Policy, ring)
	if err != nil {
		tb.Fatal(err)
	}
	l.consents(tb, g, tagger, engine.Namespaces(cfg.Policy))
	return l
}

func installLoad(tb testing.TB, s *engine.CompiledStream) {
	plan, err := s.Plan(1, load.ContactSchema)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range plan.Outputs() {
		plan.Outputs()[i].SchemaID = 10 + i
	}
	s.Install(1, plan)
}

func (l *benchLoad) consents(tb testing.TB, g *load.Generator, tagger *consent.Tagger, ns consent.Namespaces) {
	l.rows = map[consent.Tag][]byte{}
	for s := range g.Subjects() {
		key, value := g.Grant(nil, s, []string{"analytics", "marketing.email", "service"}, "acme-mailer")
		if value == nil {
			continue
		}
		ev := consent.Parse(key, value, consent.Position{Offset: int64(s)}, nowMs, ns)
		if ev.Malformed != consent.NoFault {
			tb.Fatalf("consent event: %s", ev.Malformed)
		}
		for id := range ev.Subjects {
			tag, _ := tagger.TagOf(id)
			row := consent.NewRow()
			row.Fold(&ev)
			l.rows[tag] = row.AppendTo(nil)
		}
	}
	l.fence = consent.Vector{int64(g.Subjects())}
}

func (l *benchLoad) batch(tb testing.TB) {
	l.b.Reset()
	for range batchSize {
		l.b.Add(l.lane, l.in[l.next])
		l.next = (l.next + 1) % len(l.in)
	}
	tags := l.b.Tags()
	l.snap.Reset(len(tags))
	for i, tag := range tags {
		l.snap.Cut[i] = l.fence
		if row := l.rows[tag]; row != nil {
			l.snap.SetEncoded(i, row)
		}
	}
	chain := audit.NewChain(l.lane.Lane, 0)
	err := l.b.Decide(&l.snap, engine.Moment{Now: nowMs, Fence: l.fence}, func(it *engine.Item) (err error) {
		if it.State != engine.StateDecided {
			tb.Fatal(it.State, it.Fault)
		}
		l.leaf, err = chain.Append(l.leaf[:0], &it.Audit)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}
