package proof

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// pairsEach is how many pairs are made of one drawn configuration, for each of
// its purposes.
const pairsEach = 6

// thorough reports whether this is the run that takes its time.
func thorough() bool { return os.Getenv("CONSENTSTREAM_PAIRS") != "" }

// pairsWanted is CONSENTSTREAM_PAIRS, by default what takes a few seconds.
func pairsWanted(t *testing.T) int {
	if !thorough() {
		return 4000
	}
	text := os.Getenv("CONSENTSTREAM_PAIRS")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CONSENTSTREAM_PAIRS=%q is no number of pairs", text)
	}
	return n
}

// tally counts pairs whose records differ.
type tally struct {
	wanted int
	pairs  int
	of     map[string]int // these kinds
	found  bool
}

// pairsToTell is how many pairs tell how often each kind is: of one configuration come
// many pairs, so that in a few thousand a kind is a third as often now and then.
const pairsToTell = 20_000

// kinds are what pairs must be often enough, by how few of all that may be, in percent.
var kinds = map[schemas.Format]map[string]int{
	schemas.JSON: {"with an output": 60, "split": 20, "of several people": 40, "with texts of JSON": 14, "with texts of single values": 2, "with several paths of a subject": 20,
		"with two names at one place": 10, "with the time in a header": 15, "with a header without a name": 25, "of tombstones": 80, "of tombstones that go out": 5},
	schemas.JSONSchema: {"with an output": 60, "split": 20, "of several people": 40, "with texts of JSON": 14, "with texts of single values": 2, "with several paths of a subject": 20,
		"with two names at one place": 10, "with the time in a header": 15, "with a header without a name": 25, "of tombstones": 80, "of tombstones that go out": 5,
		"in another schema": 60, "in another schema than the wiring's": 30},
	schemas.Avro: {"with an output": 60, "split": 20, "of several people": 40, "with texts of JSON": 14, "with texts of single values": 2, "with several paths of a subject": 20,
		"with two names at one place": 10, "with the time in a header": 15, "with a header without a name": 25, "of tombstones": 80, "of tombstones that go out": 5,
		"with tags": 20, "of types used twice": 2, "of types in themselves": 10, "in a later schema": 50, "in a later schema than the wiring's": 20},
}

// P6, docs/noninterference.md: of two records that differ only where a purpose
// may not look, it gets the same output, byte for byte, or of neither one.
func TestNoninterference(t *testing.T) {
	wanted := pairsWanted(t)
	set(t, "rapid.checks", uint64(wanted))
	t.Logf("to repeat this run: CONSENTSTREAM_SEED=%d CONSENTSTREAM_PAIRS=%d go test ./internal/proof -run Noninterference; "+
		"to repeat what it finds, alone: CONSENTSTREAM_PAIRS=1 and, as CONSENTSTREAM_SEED, the -rapid.seed that is given with it", seed(t), wanted)
	for name, format := range map[string]schemas.Format{"json": schemas.JSON, "json_schema": schemas.JSONSchema, "avro": schemas.Avro} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := tally{wanted: wanted / 3, of: map[string]int{}}
			rapid.Check(t, func(rt *rapid.T) { n.property(rt, format) })
			t.Logf("%s: %d pairs of records: %v", name, n.pairs, n.of)
			for kind, percent := range kinds[format] {
				if n.pairs > pairsToTell && n.of[kind] < n.pairs*percent/100 {
					t.Errorf("too few %s", kind)
				}
			}
		})
	}
}

func (n *tally) property(t *rapid.T, format schemas.Format) {
	if n.pairs >= n.wanted && !n.found {
		return // rapid has more checks than are needed
	}
	w := drawWorld(t, format, false)
	d := &drawer{T: t, format: valuesOf(format)}
	var later *evolution
	if format == schemas.Avro {
		later = w.evolve(d)
	}
	resaid := format == schemas.JSONSchema && w.install(evolvedID, w.drawSchema(d)) == nil
	for range pairsEach {
		one := w.drawRecord(d)
		first, fault := w.look(t, &one)
		for i := range w.policy.Purposes {
			other := w.rival(d, i, &one).other(&one)
			if same(&one.Input, &other.Input) {
				continue
			}
			id := w.policy.Purposes[i].ID
			if second, otherFault := w.look(t, &other); first[id] != second[id] || fault != otherFault {
				n.found = true
				t.Fatalf("%s sees what it may not:\n%s%s\nand\n%s%s\nof\n%s\n%s\n%s", id, first[id], fault, second[id], otherFault, one.describe(), other.describe(), w.describe(i))
			}
			if later != nil && n.later(t, d, later, i, &one, &other) {
				n.add("in a later schema", true)
				n.add("in a later schema than the wiring's", w.stream.Schema != "")
			}
			if resaid {
				n.resaid(t, w, i, &one, &other)
			}
			n.tombstones(t, d, w, i)
			n.count(w, first[id] != "")
		}
	}
}

// later compares two records, of which a purpose sees the same, in a later schema.
func (n *tally) later(t *rapid.T, d *drawer, e *evolution, purpose int, one, other *record) bool {
	a, fine := e.later(d, one, purpose)
	b, fine2 := e.later(d, other, purpose)
	if !fine || !fine2 || same(&a.Input, &b.Input) {
		return false
	}
	id := e.policy.Purposes[purpose].ID
	first, fault := e.look(t, &a)
	second, otherFault := e.look(t, &b)
	if first[id] != second[id] || fault != otherFault {
		n.found = true
		t.Fatalf("%s sees what it may not, in a later schema:\n%s%s\nand\n%s%s\nof\n%s\n%s\nas\n%s\n%s\nof\n%s\n%s", id, first[id], fault, second[id], otherFault,
			one.describe(), other.describe(), a.describe(), b.describe(), e.first.describe(purpose), e.describe(purpose))
	}
	return true
}

// resaid compares two records, of which a purpose sees the same, with another JSON Schema.
func (n *tally) resaid(t *rapid.T, w *world, purpose int, one, other *record) {
	a, b := *one, *other
	a.Value, b.Value = reframed(one.Value), reframed(other.Value)
	id := w.policy.Purposes[purpose].ID
	first, fault := w.look(t, &a)
	if second, otherFault := w.look(t, &b); first[id] != second[id] || fault != otherFault {
		n.found = true
		t.Fatalf("%s sees what it may not, by another schema:\n%s%s\nand\n%s%s\nof\n%s\n%s\nof\n%s", id, first[id], fault, second[id], otherFault,
			one.describe(), other.describe(), w.describe(purpose))
	}
	n.add("in another schema", true)
	n.add("in another schema than the wiring's", w.stream.Schema != "")
}

func (n *tally) count(w *world, written bool) {
	n.pairs++
	n.add("with an output", written)
	n.add("split", w.stream.Split != "")
	n.add("of several people", len(w.stream.Subjects) > 1)
	n.add("with texts of JSON", slices.ContainsFunc(w.rules, func(r rule) bool { return r.nested != nil }))
	n.add("with texts of single values", slices.ContainsFunc(w.rules, func(r rule) bool { return r.nested != nil && r.nested.single() }))
	n.add("with several paths of a subject", slices.ContainsFunc(w.stream.Subjects, func(s engine.SubjectRule) bool { return len(s.Paths) > 1 }))
	n.add("with two names at one place", slices.ContainsFunc(w.everybody(), func(i int) bool { return len(w.called(i)) > 1 }))
	n.add("with the time in a header", w.stream.EventTime.Header != "")
	n.add("with a header without a name", w.stream.Headers[0].Name == "")
	n.add("with tags", len(w.stream.Tags) > 0)
	types, self := map[int]int{}, false
	w.shape.records(nil, func(r *shape, _ position, _ bool) { types[r.id], self = types[r.id]+1, self || r.within })
	n.add("of types in themselves", self)
	n.add("of types used twice", !self && len(types) > 0 && slices.Max(slices.Collect(maps.Values(types))) > 1)
}

func (n *tally) add(kind string, is bool) {
	if is {
		n.of[kind]++
	}
}

// The derived schema, and by it the id in an output's frame, says nothing of a
// field that the purpose does not see: neither that it is there nor its type.
func TestUnseenFieldsLeaveSchemasAlone(t *testing.T) {
	compared := 0
	check(t, 1+min(20, pairsWanted(t)/1000), func(rt *rapid.T) { compared += unseenFields(rt) })
	t.Logf("%d schemas compared", compared)
	if compared < 30 {
		t.Errorf("only %d schemas were compared", compared)
	}
}

func unseenFields(rt *rapid.T) (compared int) {
	w := drawWorld(rt, schemas.Avro, false)
	d := &drawer{T: rt, format: schemas.Avro, types: 1000}
	wider, at := w.shape.with(d)
	if wider == nil {
		return 0
	}
	one, err := w.rig.stream.Plan(1, w.avsc(w.shape))
	if err != nil {
		rt.Fatal(err)
	}
	other, err := w.rig.stream.Plan(2, w.avsc(wider))
	if err != nil {
		rt.Fatalf("%v: %s", err, w.avsc(wider))
	}
	before, after := derived(one), derived(other)
	for i := range w.policy.Purposes {
		if id := w.policy.Purposes[i].ID; !slices.ContainsFunc(at, func(pos position) bool { return w.categoryOf(pos) != "" }) { // redacted, it would be there as null
			compared++
			if before[id] != after[id] {
				rt.Fatalf("%s:\n%s\n%s\nof\n%s\n%s\n%s", id, before[id], after[id], w.avsc(w.shape), w.avsc(wider), w.describe(i))
			}
		}
	}
	return compared
}

func derived(p *engine.Plan) map[string]string {
	texts := map[string]string{}
	for _, o := range p.Outputs() {
		texts[o.Purpose] = o.Schema
	}
	return texts
}

// with is a copy of a shape of which one type has a field more, and where that then
// lies; nil where that could be in an array, a map or itself.
func (s *shape) with(d *drawer) (wider *shape, at []position) {
	var ids []int
	s.copy(func(r *shape) { ids = append(ids, r.id) })
	id, fine := pick(d.T, ids), true
	wider = s.copy(func(r *shape) {
		if r.id == id {
			i := d.n(0, len(r.names))
			r.names, r.kids = slices.Insert(r.names, i, "zz"), slices.Insert(r.kids, i, d.clash(s))
		}
	})
	s.records(nil, func(r *shape, pos position, plain bool) {
		if r.id == id {
			zz := pos.then(place{kind: member, name: "zz"})
			at, fine = append(at, zz, zz.then(place{kind: member, name: "x"})), fine && plain
		}
	})
	if !fine {
		return nil, nil
	}
	return wider, at
}

// clash draws a type that may be called as one that is derived for a path.
func (d *drawer) clash(beside *shape) *shape {
	var derived []string // of a type that is used again
	seen := map[int]bool{}
	beside.records(nil, func(r *shape, pos position, _ bool) {
		name := fmt.Sprintf("R%d", r.id)
		for _, at := range pos {
			name += "_" + at.name
		}
		if seen[r.id] {
			derived = append(derived, name)
		}
		seen[r.id] = true
	})
	if len(derived) == 0 || d.rarely(4) {
		return d.shape(0)
	}
	return &shape{kind: "record", id: 9000, called: pick(d.T, derived), names: []string{"x"}, kids: []*shape{{kind: "long"}}}
}

// records calls each for all records of a shape; plain says that only records lead to it.
func (s *shape) records(pos position, each func(r *shape, pos position, plain bool)) {
	s.recordsIn(pos, true, each)
}

func (s *shape) recordsIn(pos position, plain bool, each func(r *shape, pos position, plain bool)) {
	if s.kind == "text" {
		return
	}
	if s.kind == "record" {
		each(s, pos, plain && !s.within)
	}
	if s.within {
		return
	}
	for i, kid := range s.kids {
		if s.kind == "record" {
			kid.recordsIn(pos.then(place{kind: member, name: s.names[i]}), plain, each)
		} else {
			kid.recordsIn(pos, false, each)
		}
	}
}
