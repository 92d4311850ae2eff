package engine_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/race"
)

// listed is a record of n listed elements, about 4 bytes each.
func listed(n int) []byte {
	return []byte(`{"id":"42","l":[` + strings.TrimSuffix(strings.Repeat("[0],", n), ",") + `]}`)
}

func listRig(t testing.TB) *rig {
	return newRig(t, jsonStream("id", "user.unique_id", "l[*]", "user.behavior"), contract("p", "user", "keep"), contract("q", "user", "drop", "user.behavior", "truncate", "user.unique_id", "keep"))
}

// A long record's output is what a short one's is: its tape is made twice.
func TestLongRecords(t *testing.T) {
	r := listRig(t)
	long, short := engine.Input{Value: listed(5000)}, engine.Input{Value: listed(3)}
	items := r.decide(long, short, engine.Input{Value: listed(7000)}, long)
	for i, n := range []int{5000, 3, 7000, 5000} {
		if got := written(items[i], "p"); got != string(listed(n)) {
			t.Errorf("item %d: %d bytes, want %d", i, len(got), len(listed(n)))
		}
		if d := decision(t, items[i], "q"); int(d.Withheld) != n {
			t.Errorf("item %d: %d values withheld, want %d", i, d.Withheld, n)
		}
	}
}

// Many records, none of them long, together need more than a batch keeps.
func TestManyEntries(t *testing.T) {
	r := listRig(t)
	var in []engine.Input
	for i := range 300 {
		in = append(in, engine.Input{Value: listed(4000 - i)})
	}
	for i, it := range r.decide(in...) {
		if len(written(it, "p")) != len(in[i].Value) {
			t.Fatalf("item %d: %d bytes of %d, fault %v", i, len(written(it, "p")), len(in[i].Value), it.Fault)
		}
	}
}

// What unusual batches needed is given back: one whose every item was large
// once, in one position after the other, holds little afterwards.
func TestMemoryIsGivenBack(t *testing.T) {
	r := listRig(t)
	small := engine.Input{Value: listed(1)}
	text := engine.Input{Value: []byte(`{"id":"42","l":["` + strings.Repeat(`\n`, 2_500_000) + `"]}`)}
	before := heap()
	for i := range 10 {
		in := make([]engine.Input, 10)
		for k := range in {
			in[k] = small
		}
		in[i] = engine.Input{Value: listed(100_000)}
		in[9-i] = text
		r.decide(in...)
	}
	for range 2 {
		r.decide(small)
	}
	r.batch.Reset()
	if after := heap(); after > before+(10<<20) {
		t.Errorf("%d MiB before, %d MiB after", before>>20, after>>20)
	}
	runtime.KeepAlive(r)
}

// What one batch needs is bounded while it lasts, and what one huge record or
// many large outputs needed is gone after it.
func TestBatchMemoryIsBounded(t *testing.T) {
	r := listRig(t)
	before := heap()
	check := func(what string, most uint64) {
		t.Helper()
		if after := heap(); after > before+most<<20 {
			t.Errorf("%s: %d MiB before, %d MiB after", what, before>>20, after>>20)
		}
	}
	in := make([]engine.Input, 1200)
	for i := range in {
		in[i] = engine.Input{Value: listed(4000 - i%7)}
	}
	before = heap() // the records themselves are the caller's
	r.add(in...)
	check("1200 records of 4000 elements", 80)
	r = listRig(t)
	clear(in)
	before = heap()
	for n, want := range map[int]engine.State{500_000: engine.StateDecided, 1_500_000: engine.StateFaulted} {
		if it := r.decide(engine.Input{Value: listed(n)})[0]; it.State != want {
			t.Errorf("%d elements: state %d, %v", n, it.State, it.Fault)
		}
		r.batch.Reset()
		check(fmt.Sprintf("a record of %d elements", n), 29) // maxEntries
	}
	r = listRig(t)
	text := []byte(`{"id":"42","l":["` + strings.Repeat("x", 120_000) + `"]}`)
	many := make([]engine.Input, 300)
	for i := range many {
		many[i] = engine.Input{Value: text}
	}
	r.decide(many...)
	r.batch.Reset()
	check("300 outputs of 120 kB", 40)
	runtime.KeepAlive(r)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// After Reset a batch holds no byte of the records that it was given.
func TestResetForgetsInputs(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Key.Category, w.Headers = "user.contact", []engine.HeaderRule{{Name: "h", Category: "user.contact"}}
	r := newRig(t, w, contract("p", "user", "keep"))
	freed := make(chan string, 3)
	func() {
		in := engine.Input{Key: bytes.Repeat([]byte("k"), 4096), Value: append([]byte(`{"id":"42"}`), bytes.Repeat([]byte(" "), 4096)...),
			Headers: []engine.Header{{Key: "h", Value: bytes.Repeat([]byte("h"), 4096)}}}
		for name, b := range map[string][]byte{"key": in.Key, "value": in.Value, "header": in.Headers[0].Value} {
			runtime.AddCleanup(&b[0], func(name string) { freed <- name }, name)
		}
		if it := r.decide(in)[0]; len(it.Outputs) != 1 {
			t.Fatal(it.Fault)
		}
	}()
	r.batch.Reset()
	for range 20 {
		runtime.GC()
		if len(freed) == 3 {
			break
		}
		runtime.Gosched()
	}
	if len(freed) != 3 {
		t.Errorf("only %d of key, value and header were let go", len(freed))
	}
	runtime.KeepAlive(r)
}

// In steady state nothing is allocated for a record (DESIGN section 8).
func TestNoAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("measures")
	}
	for _, topic := range []string{"crm.contacts", "marketing.events"} {
		d := openDemo(t)
		in := d.inputs(t, topic)[:200]
		b, run := d.steady(t, topic, in)
		for range 3 {
			run()
		}
		if n := testing.AllocsPerRun(10, run); n > 5 { // the vector of the in-process state, once a batch
			t.Errorf("%s: %v allocations for %d records", topic, n, len(in))
		}
		if len(b.Items()) != len(in) {
			t.Error("not all records")
		}
	}
	r := newRig(t, avroStream("id", "user.unique_id"), contract("p", "user", "keep"))
	bad := []engine.Input{{}, {Value: []byte{0}}, {Value: []byte{0, 0, 0, 0, 9, 1}}}
	for range 3 {
		r.decide(bad...)
	}
	if n := testing.AllocsPerRun(10, func() { r.decide(bad...) }); n > 20 {
		t.Errorf("%v allocations for %d bad records", n, len(bad))
	}
}

// Chunks stay within bounds after outputs of every size.
func TestOutputsOfEverySize(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id", "t", "user.behavior"), contract("p", "user", "keep"), contract("q", "user", "keep"))
	for round := range 3 {
		var in []engine.Input
		for i := range 12 {
			in = append(in, engine.Input{Value: fmt.Appendf(nil, `{"id":"42","t":"%s"}`, strings.Repeat(string(rune('a'+i)), (i*7+round)%12*60_000))})
		}
		for i, it := range r.decide(in...) {
			for _, p := range []string{"p", "q"} {
				if written(it, p) != string(in[i].Value) {
					t.Fatalf("round %d, record %d: %d bytes of %d", round, i, len(written(it, p)), len(in[i].Value))
				}
			}
		}
	}
}
