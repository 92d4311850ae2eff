package proof

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
)

// drawTombstone draws a record without value: whom it is about, its key and its
// headers alone say.
func (w *world) drawTombstone(d *drawer) record {
	r := record{Input: engine.Input{Offset: offset, Timestamp: nowMs - int64(d.n(0, 2))*day}}
	for i := range w.stream.Subjects {
		r.who = append(r.who, nobody)
		if w.byKey(i) || w.stream.Subjects[i].Header != "" {
			r.who[i] = w.drawWho(d, i)
		}
	}
	for i := range r.who {
		r.who[i] = r.who[w.called(i)[0]]
	}
	r.Key, r.Headers = w.drawKeyText(d, r.who), slices.Concat(d.headers(), w.naming(d, r.who), w.timing(d))
	return r
}

// tombstone is another tombstone that a purpose must not be able to tell from r. One
// with a pseudonym for a key goes out whatever the consent, and then without headers.
func (w *world) tombstone(d *drawer, purpose int, r *record) record {
	o := &rival{drawer: *d, w: w, purpose: purpose}
	v := w.view(purpose, r.who)
	if v.gets() {
		o.parts = append(o.parts, &changer{drawer: *d, view: v, from: &part{value: &value{kind: object}}})
	}
	_, _, keyed, _ := w.keyRule()
	for i, who := range r.who {
		if keyed < 0 || !slices.Contains(w.called(i), keyed) {
			who = o.swap(i, who, o.parts)
		}
		o.who = append(o.who, who)
	}
	for i := range o.who {
		o.who[i] = o.who[w.called(i)[0]]
	}
	to := record{Input: engine.Input{Offset: offset, Timestamp: nowMs - int64(d.n(0, 2))*day, Key: w.otherKey(d, purpose, r)}, who: o.who}
	to.Headers = slices.Concat(o.listed(r.Headers), o.said(r.Headers, subjectHeader, func() []engine.Header { return w.naming(d, o.who) }),
		o.said(r.Headers, timeHeader, func() []engine.Header { return w.timing(d) }))
	return to
}

// otherKey is another key of a tombstone. What a purpose does not see of the key, it
// gets no tombstones by.
func (w *world) otherKey(d *drawer, purpose int, r *record) []byte {
	as, _, keyed, _ := w.keyRule()
	how, _ := w.policy.Purposes[purpose].Rule(as)
	switch {
	case !w.matters(purpose, as):
		return pick(d.T, [][]byte{nil, d.text(), r.Key})
	case r.Key != nil && keyed >= 0 && r.who[keyed] != nobody && how.Treatment.Name == "pseudonymize":
		return w.spelled(d, r.who[keyed])
	}
	return r.Key
}

// tombstones compares two that a purpose must not be able to tell apart.
func (n *tally) tombstones(t *rapid.T, d *drawer, w *world, purpose int) {
	one := w.drawTombstone(d)
	other := w.tombstone(d, purpose, &one)
	if same(&one.Input, &other.Input) {
		return
	}
	id := w.policy.Purposes[purpose].ID
	first, fault := w.look(t, &one)
	if second, otherFault := w.look(t, &other); first[id] != second[id] || fault != otherFault {
		n.found = true
		t.Fatalf("%s sees what it may not of a tombstone:\n%s%s\nand\n%s%s\nof\n%v %s\n%v %s\n%s", id, first[id], fault, second[id], otherFault,
			one.who, describe(&one.Input), other.who, describe(&other.Input), w.describe(purpose))
	}
	n.add("of tombstones", true)
	n.add("of tombstones that go out", first[id] != "")
}
