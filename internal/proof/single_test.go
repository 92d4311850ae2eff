package proof

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// drawSingles draws a world of records that are single values of JSON: all else about
// them is in their keys and headers.
func drawSingles(t *rapid.T, format schemas.Format) *world {
	d := &drawer{T: t, format: schemas.JSON}
	w := &world{shape: &shape{kind: pick(t, scalarKinds[:11])}, binds: "all"}
	w.stream = engine.Stream{Topic: "in", Format: format, Subjects: []engine.SubjectRule{{Name: "customer", Namespace: "crm", Key: true}}}
	if d.rarely(3) {
		w.stream.Subjects[0].Header = subjectHeader
		w.stream.Subjects[0].Key = d.rarely(2)
	} else if d.rarely(2) {
		w.stream.Subjects = append(w.stream.Subjects, engine.SubjectRule{Name: "sender", Namespace: "erp", Header: subjectHeader})
	}
	if d.rarely(3) {
		w.stream.EventTime.Header = timeHeader
	}
	w.drawKey(d)
	if k := &w.stream.Key; k.Subject != "" && !w.stream.Subjects[w.subject(k.Subject)].Key {
		k.Subject = ""
	}
	c := pick(t, slices.Concat(categories[w.shape.family()], categories[""]))
	w.rules = []rule{{text: "", category: c, subject: w.bind(d, c)}}
	w.drawPolicy(d)
	w.writer = w.drawSchema(d)
	if d.rarely(2) {
		w.stream.Schema = w.drawSchema(d)
	}
	if err := w.open(); err != nil {
		t.Skip("nothing would be left: ", err)
	}
	if w.drawPeople(d); w.say() != nil {
		t.Fatal("nobody is heard")
	}
	return w
}

// drawSingle draws a record that is a single value.
func (w *world) drawSingle(d *drawer) record {
	r := w.drawTombstone(d)
	v := d.wild(0)
	if !d.rarely(6) {
		v.lit = d.literal(w.shape.kind)
	}
	w.single(d, &r, v.lit)
	return r
}

func (w *world) single(d *drawer, r *record, lit string) {
	v := &value{lit: lit}
	r.parts = []part{{value: v, who: r.who}}
	r.Value = w.frame(v)
	if d.rarely(2) {
		r.Value = append(r.Value, " \n"...)
	}
}

// otherSingle is another record that a purpose must not be able to tell from r.
func (w *world) otherSingle(d *drawer, purpose int, r *record) record {
	o := w.rival(d, purpose, r)
	to := record{Input: engine.Input{Offset: offset, Timestamp: nowMs - int64(d.n(0, 2))*day}, who: o.who}
	if o.any(func(c *changer) bool { return w.stream.EventTime.Header != "" && c.seesHeader(timeHeader) }) {
		to.Timestamp = r.Timestamp
	}
	lit := d.wild(0).lit
	if len(o.parts) == 0 { // who it is about decides that there is nothing
		to.who = r.who
	} else if t, seen := o.parts[0].sees(nil); seen {
		lit = d.twin(t, r.parts[0].value.lit)
	}
	to.Key, to.Headers = o.key(r.Key), slices.Concat(o.listed(r.Headers), o.said(r.Headers, subjectHeader, func() []engine.Header { return w.naming(d, to.who) }),
		o.said(r.Headers, timeHeader, func() []engine.Header { return w.timing(d) }))
	if len(o.parts) == 0 {
		to.Key = w.drawKeyText(d, to.who)
	}
	w.single(d, &to, lit)
	return to
}

// P6 of records that are single values.
func TestNoninterferenceOfSingleValues(t *testing.T) {
	pairs, written := 0, 0
	check(t, 1+min(100, pairsWanted(t)/1000), func(rt *rapid.T) {
		n, of := singles(rt)
		pairs, written = pairs+n, written+of
	})
	t.Logf("%d pairs, %d with an output", pairs, written)
	if written < pairs/3 {
		t.Error("too few with an output")
	}
}

// singles compares pairs of one drawn configuration; written are those with an output.
func singles(rt *rapid.T) (pairs, written int) {
	w := drawSingles(rt, pick(rt, []schemas.Format{schemas.JSON, schemas.JSONSchema}))
	d := &drawer{T: rt, format: schemas.JSON}
	for range pairsEach {
		one := w.drawSingle(d)
		first, fault := w.look(rt, &one)
		for i := range w.policy.Purposes {
			other := w.otherSingle(d, i, &one)
			id := w.policy.Purposes[i].ID
			if second, otherFault := w.look(rt, &other); first[id] != second[id] || fault != otherFault {
				rt.Fatalf("%s sees what it may not:\n%s%s\nand\n%s%s\nof\n%s\n%s\n%s", id, first[id], fault, second[id], otherFault, one.describe(), other.describe(), w.describe(i))
			}
			if pairs++; first[id] != "" {
				written++
			}
		}
	}
	return pairs, written
}
