package pipeline

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/schemas"
)

// farRegistry takes its time for every question, and counts them. It remembers
// nothing, as the registry client does not for long.
type farRegistry struct {
	Registry
	trip time.Duration

	mu              sync.Mutex
	asked           map[int]int
	now, mostAtOnce int
}

func (f *farRegistry) Schema(ctx context.Context, id int, format schemas.Format) (string, error) {
	f.count(id, 1)
	defer f.count(id, -1)
	if !sleep(ctx, f.trip) {
		return "", ctx.Err()
	}
	return f.Registry.Schema(ctx, id, format)
}

func (f *farRegistry) count(id, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[id] += max(n, 0)
	f.now += n
	f.mostAtOnce = max(f.mostAtOnce, f.now)
}

// TestUnknownSchemaFlood (P9): a writer names a new schema id in each of its
// records, and nobody has registered any. The registry answers in 20 ms, so that
// asking for one after the other would take forty seconds. The records of the
// worker's other lane go on at their pace meanwhile; each of the flood's is
// quarantined once, and each id is asked for about once.
func TestUnknownSchemaFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &farRegistry{trip: 20 * time.Millisecond, asked: map[int]int{}}
		r := newVirtualRig(t, avroOnly)
		id := r.variant(1)
		far.Registry = r.memoryRegistry
		run := r.start(func(cfg *Config) { cfg.Registry, cfg.Limits.Records = far, 100 }) // twenty rounds of the flood
		r.contacts(1, id)
		r.audited(1)
		const flood, first = 2000, 1000
		var rs []*kgo.Record
		for n := range flood {
			rs = append(rs, contact(first+n))
		}
		r.produce(rs...)
		r.eventually("the flood has come", func() bool { return far.total() > fewStrangers })
		began, slowest, waited := time.Now(), time.Duration(0), time.Duration(0)
		const others = 15
		for n := range others {
			time.Sleep(100 * time.Millisecond)
			at := time.Now()
			r.contacts(1, id)
			r.eventually("the other lane goes on", func() bool { return r.heads(rigInput)[1].NextSource == int64(n)+2 })
			slowest, waited = max(slowest, time.Since(at)), waited+time.Since(at)
		}
		if len(r.byLane(0)) == flood {
			t.Fatalf("the flood is over after %v: it shows nothing", time.Since(began))
		}
		if slowest > 500*time.Millisecond {
			t.Errorf("a record of the other lane waited for %v", slowest)
		}
		if waited > others*100*time.Millisecond {
			t.Errorf("the records of the other lane waited for %v altogether", waited)
		}
		seen := r.exactlyOnce(r.chains(r.audited(flood+others+1)), rigInput, 0, flood)
		t.Logf("the other lane waited for %v at most, %v altogether; the flood took %v", slowest, waited, time.Since(began))
		for o, a := range seen {
			if a.Detail != string(schemas.CodeUnknownSchema) {
				t.Fatalf("offset %d: %s", o, a.Detail)
			}
		}
		if far.mostAtOnce > askAtOnce+1 {
			t.Errorf("%d questions at once", far.mostAtOnce)
		}
		if n := far.total(); n > flood+flood/10 {
			t.Errorf("%d questions for %d ids", n, flood)
		}
		run.stop()
	})
}

func (f *farRegistry) total() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, times := range f.asked {
		n += times
	}
	return n
}

// TestLookup: what was answered is not asked again, and a registry that is away is
// not asked for thousands of ids, again and again.
func TestLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memoryRegistry{texts: []string{"1", "2"}, kind: map[int]schemas.Format{1: schemas.Avro, 2: schemas.Avro}, down: errBroken}
		far := &farRegistry{Registry: m, trip: time.Millisecond, asked: map[int]int{}}
		q := &lookup{registry: far, format: schemas.Avro, unknown: map[int]bool{}}
		for id := range 1000 {
			q.ids = append(q.ids, id+1)
		}
		if q.ask(t.Context()) || len(q.ids) != 1000 || far.total() > 2*askAtOnce {
			t.Errorf("while it is away: %d ids are left after %d questions", len(q.ids), far.total())
		}
		m.down = nil
		far.asked = map[int]int{}
		if !q.ask(t.Context()) || len(q.unknown) != 998 || q.unknown[1] || q.unknown[2] || far.total() != 1000 {
			t.Errorf("%d ids are unknown after %d questions", len(q.unknown), far.total())
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		q = &lookup{registry: far, format: schemas.Avro, unknown: map[int]bool{}, ids: []int{7, 8}}
		if q.ask(ended) || !slices.Equal(q.ids, []int{7, 8}) || !errors.Is(ended.Err(), context.Canceled) {
			t.Errorf("after its end: %v", q.ids)
		}
	})
}
