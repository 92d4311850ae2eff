package proof

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/race"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

const (
	megabyte  = 1_000_000
	maxMemory = 64 << 20
	maxTime   = 100 * time.Millisecond
)

// cost is what a record costs in a process that has seen none.
type cost struct {
	time    time.Duration // of all processors, the collection of garbage included
	memory  uint64        // what it allocates or, where that is too much, holds at most while garbage is collected
	outcome string
}

func (c cost) fine() bool { return c.time <= maxTime && c.memory <= maxMemory }

// worst is the most that any record has cost.
type worst struct {
	cost
	records int
}

// P9: no record of a megabyte costs more than 64 MB and 100 ms, whatever it is made
// of and whatever the configuration makes of it, for up to three purposes.
func TestCostIsBounded(t *testing.T) {
	if race.Enabled {
		t.Skip("measures")
	}
	var most worst
	check(t, 1+pairsWanted(t)/50_000, most.property)
	t.Log(&most)
}

func (m *worst) add(c cost) {
	m.records++
	m.memory, m.time = max(m.memory, c.memory), max(m.time, c.time)
}

func (m *worst) String() string {
	return fmt.Sprintf("%d records, at most %v and %d MB", m.records, m.time.Round(time.Millisecond), m.memory>>20)
}

func (m *worst) property(t *rapid.T) {
	format := pick(t, []schemas.Format{schemas.JSON, schemas.Avro})
	w := drawWorld(t, format, true)
	in := w.hostile(&drawer{T: t, format: format})
	c := w.cost(t, in)
	m.add(c)
	if !c.fine() {
		t.Fatalf("%d bytes (%.60q...) %s cost %v and %d MB\n%s", len(in.Value), in.Value, c.outcome, c.time, c.memory>>20, w.describe(0))
	}
}

// tries is how often a record that seems too dear is tried again, and pause the time
// between two tries: what others do on the machine makes memory slow, and so processor
// time long, until they are done.
const (
	tries = 40
	pause = 50 * time.Millisecond
)

// cost is the least of several runs.
func (r *rig) cost(t rapid.TB, in engine.Input) (c cost) {
	c.time = time.Hour
	for n := 0; n < 2 && c.time > maxTime/3 || n < tries && c.time > maxTime; n++ {
		var before, after runtime.MemStats
		if n > 2 {
			time.Sleep(pause)
		}
		runtime.GC()
		runtime.ReadMemStats(&before)
		took, outcome := r.timed(t, in)
		runtime.ReadMemStats(&after)
		c.time, c.memory, c.outcome = min(c.time, took), max(c.memory, after.TotalAlloc-before.TotalAlloc), outcome
	}
	if c.memory > maxMemory {
		c.memory = r.held(t, in)
	}
	return c
}

func (r *rig) timed(t rapid.TB, in engine.Input) (took time.Duration, outcome string) {
	r.batch = r.engine.NewBatch()
	start := processTime()
	if err := r.decide(in, func(it *engine.Item) { outcome = fmt.Sprint(it.Fault, len(it.Outputs)) }); err != nil {
		t.Fatal(err)
	}
	return processTime() - start, outcome
}

// held looks at the heap every now and then, and collects garbage often.
func (r *rig) held(t rapid.TB, in engine.Input) uint64 {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	heap := func() uint64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	before, most, done := heap(), uint64(0), make(chan struct{})
	go func() {
		defer close(done)
		r.timed(t, in)
	}()
	for {
		select {
		case <-done:
			return max(most, before) - before
		case <-time.After(100 * time.Microsecond):
			most = max(most, heap())
		}
	}
}

func processTime() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		panic(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// hostile draws a record of at most a megabyte that is much of something.
func (w *world) hostile(d *drawer) engine.Input {
	in := engine.Input{Offset: offset, Timestamp: nowMs, Key: []byte("42")}
	if d.rarely(8) {
		in.Key = []byte(strings.Repeat("k", megabyte))
	}
	if w.stream.Format == schemas.JSON {
		in.Value = []byte(fmt.Sprintf(`{"id":"42","by":"42","to":"42","at":%d,%s}`, nowMs, d.much(4)))
		return in
	}
	v := d.avro(w.shape)
	for i, name := range w.shape.names {
		switch name {
		case "id", "by", "to":
			v.kids[i] = &value{lit: `"42"`}
		case "at":
			v.kids[i] = &value{lit: fmt.Sprint(nowMs)}
		}
	}
	v.swell(d, w.shape, megabyte)
	in.Value = v.frame(w.shape)
	return in
}

// much is members of an object that take about a megabyte.
func (d *drawer) much(kinds int) string {
	name := func() string { return pick(d.T, names) }
	unit := pick(d.T, []string{"0", "{}", "[]", `""`, "null", `{"a":0}`, `{"k":"v","a":1}`, `{"\u0061":{"b":[{}]}}`, `"\n\u00e9"`, `{"a":{"a":{"a":{}}}}`, d.wild(3).json()})
	size := megabyte - 300
	switch d.n(1, kinds) {
	case 1: // many elements
		return fmt.Sprintf("%q:[%s]", name(), strings.Repeat(unit+",", size/(len(unit)+1))+unit)
	case 2: // many members
		var b strings.Builder
		for i := 0; b.Len() < size-len(unit)-20; i++ {
			fmt.Fprintf(&b, `"%x":%s,`, i, unit)
		}
		return fmt.Sprintf("%q:{%s\"y\":0}", name(), b.String())
	case 3: // one long text
		text := pick(d.T, []string{"x", `\n`, `\u00e9`, `\ud83d\ude00`, "é", " "})
		return fmt.Sprintf("%q:\"%s\"", name(), strings.Repeat(text, size/len(text)))
	}
	// deep, and much at the bottom
	open, end := fmt.Sprintf(`{%q:`, name()), "}"
	if d.rarely(2) {
		open, end = `[{"k":"v","a":`, "}]"
	}
	depth := d.n(1, 29)
	return fmt.Sprintf("%q:%s[%s]%s", name(), strings.Repeat(open, depth), strings.Repeat(unit+",", (size-20*depth)/(len(unit)+1))+unit, strings.Repeat(end, depth))
}

// swell makes one array, map or text of a value as long as it can be.
func (v *value) swell(d *drawer, s *shape, size int) (done bool) {
	switch {
	case v.kind == single || v.kind == text:
		return false
	case s.kind == "union":
		return v.swell(d, s.kids[v.branch], size)
	case s.kind != "record" && !d.rarely(3):
		v.repeat(d, s, size)
		return true
	}
	at := d.n(0, max(0, len(v.kids)-1))
	for i := range v.kids {
		k := (at + i) % len(v.kids)
		if v.kids[k].swell(d, s.kid(k), size) {
			return true
		}
	}
	return false
}

func (v *value) repeat(d *drawer, s *shape, size int) {
	unit := d.avro(s.kids[0])
	each := len(unit.encode(nil, s.kids[0])) + 1
	if s.kind == "map" {
		each += 6
	}
	v.names, v.kids = nil, nil
	for i := range size / each {
		if v.kids = append(v.kids, unit); s.kind == "map" {
			v.names = append(v.names, fmt.Sprintf("%x", i))
		}
	}
}

// The record that makes most work for a treatment costs no more than others.
func TestDearestTreatments(t *testing.T) {
	if race.Enabled {
		t.Skip("measures")
	}
	for _, tr := range append(escapes, treatment("generalize", "date", "year"), treatment("generalize", "url_query", ""), treatment("date_shift", "days", int64(30))) {
		for _, text := range []string{"%d", `"2026-02-%02d"`, `"/a%d?b"`} {
			r := listing(t, tr)
			var list strings.Builder
			for i := range megabyte / (len(text) + 1) {
				fmt.Fprintf(&list, text+",", i%27+1) // no value as the one before
			}
			in := engine.Input{Key: []byte("42"), Value: []byte(`{"l":[` + list.String() + "0]}")}
			if c := r.cost(t, in); !c.fine() {
				t.Errorf("%v of %d bytes: %v and %d MB, %s", tr, len(in.Value), c.time, c.memory>>20, c.outcome)
			}
		}
	}
}

// listing is a stream whose elements get a treatment.
func listing(t *testing.T, tr policy.Treatment) *rig {
	t.Helper()
	p := policy.Purpose{ID: "p", DataUse: "essential.service", Basis: policy.Contract,
		Treat: []policy.Rule{{Category: "user.behavior", Treatment: tr}, {Category: "system", Treatment: treatment("keep")}}}
	r, err := open(&policy.Policy{Revision: 1, Namespaces: []policy.Namespace{{Name: "crm", Normalize: "trim"}}, Purposes: []policy.Purpose{p}},
		engine.Stream{Topic: "in", Format: schemas.JSON, Purposes: []string{"p"}, Subjects: []engine.SubjectRule{{Name: "customer", Namespace: "crm", Key: true}},
			Fields: []engine.FieldRule{{Path: "l[*]", Category: "user.behavior"}, {Path: "always", Category: "system"}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
