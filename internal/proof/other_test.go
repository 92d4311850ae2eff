package proof

import (
	"slices"
	"strings"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
)

// rival makes of a record another one that a purpose must not be able to tell from
// it. Of the parts that the purpose gets it keeps what it may see of them, in their
// order; of the others nothing.
type rival struct {
	drawer
	w       *world
	purpose int
	parts   []*changer // of those that the purpose gets
	who     []int      // the people of the other record as a whole
}

func (w *world) rival(d *drawer, purpose int, r *record) *rival {
	o := &rival{drawer: *d, w: w, purpose: purpose}
	for i := range r.parts {
		if v := w.view(purpose, r.parts[i].who); v.gets() {
			o.parts = append(o.parts, &changer{drawer: *d, view: v, from: &r.parts[i]})
		}
	}
	for i, who := range r.who {
		o.who = append(o.who, o.swap(i, who, o.parts))
		o.who[i] = o.who[w.called(i)[0]]
	}
	return o
}

// other is a record that the purpose must not be able to tell from r.
func (o *rival) other(r *record) record {
	if len(o.parts) == 0 {
		return o.nothing(r)
	}
	to := record{Input: r.Input, who: o.who}
	if !o.any(func(c *changer) bool {
		_, seen := c.sees(path("at"))
		return seen || o.w.stream.EventTime.Header != "" && c.seesHeader(timeHeader)
	}) {
		to.Timestamp = nowMs - int64(o.n(0, 2))*day
	}
	for _, c := range o.parts {
		to.parts = append(to.parts, o.part(c))
	}
	o.mix(&to)
	to.Key, to.Headers = o.key(r.Key), slices.Concat(o.listed(r.Headers), o.said(r.Headers, subjectHeader, func() []engine.Header { return o.w.naming(&o.drawer, o.who) }),
		o.said(r.Headers, timeHeader, func() []engine.Header { return o.w.timing(&o.drawer) }))
	o.w.write(&o.drawer, &to)
	return to
}

// nothing is a record that the purpose gets nothing of, as it does of r.
func (o *rival) nothing(r *record) record {
	for range 5 {
		if to := o.w.drawRecord(&o.drawer); len(o.w.rival(&o.drawer, o.purpose, &to).parts) == 0 {
			return to
		}
	}
	return *r
}

// mix puts elements among the others that the purpose gets nothing of.
func (o *rival) mix(to *record) {
	if o.w.stream.Split == "" {
		return
	}
	for range o.n(0, 2) {
		p := o.w.drawPart(&o.drawer, to.who)
		if !o.w.view(o.purpose, p.who).gets() {
			to.parts = slices.Insert(to.parts, o.n(0, len(to.parts)), p)
		}
	}
}

func (o *rival) any(holds func(c *changer) bool) bool { return slices.ContainsFunc(o.parts, holds) }

// swap is who else a subject of some parts may be: anybody of whom the purpose has
// heard the same or, where it does not matter to it, another.
func (o *rival) swap(subject, who int, parts []*changer) int {
	group := o.w.called(subject)
	if o.shifts() || slices.ContainsFunc(parts, func(c *changer) bool {
		return slices.ContainsFunc(group, func(i int) bool { return o.reveals(c, i) })
	}) {
		return who
	}
	alike := func(p int) bool {
		return !slices.ContainsFunc(group, func(i int) bool {
			return o.w.bears(o.purpose, i) && o.w.standing(o.purpose, i, p) != o.w.standing(o.purpose, i, who)
		})
	}
	people := []int{0, 1, 2, 3, nobody}
	return pick(o.T, slices.DeleteFunc(people, func(p int) bool { return !alike(p) }))
}

// shifts reports whether the purpose has dates moved by whose they are.
func (o *rival) shifts() bool {
	return slices.ContainsFunc(o.w.policy.Purposes[o.purpose].Treat, func(r policy.Rule) bool { return r.Treatment.Name == "date_shift" })
}

// reveals reports whether the purpose sees who a subject of a part is, in some way.
func (o *rival) reveals(c *changer, subject int) bool {
	byPath := o.seesPath(c, subject)
	_, byKey := c.seesRecordKey()
	_, _, keyed, _ := o.w.keyRule()
	name := o.w.stream.Subjects[subject].Header
	return byPath || byKey && keyed == subject || name != "" && c.seesHeader(name)
}

// bears reports whether what is shown to a purpose may depend on what a subject has
// said: it is the main one, or something is about it.
func (w *world) bears(purpose, subject int) bool {
	cat, of, _, _ := w.keyRule()
	if subject == w.main() || w.matters(purpose, cat) && slices.Contains(of, subject) {
		return true
	}
	for _, h := range w.stream.Headers {
		if w.matters(purpose, h.Category) && slices.Contains(w.headerAbout(h), subject) {
			return true
		}
	}
	one := w.subject(w.binds)
	byTags := slices.ContainsFunc(w.stream.Tags, func(r engine.TagRule) bool { return w.matters(purpose, r.Category) })
	return one < 0 || one == subject || byTags || w.anyOf(purpose, subject, w.rules)
}

// anyOf reports whether by some of the rules something may be about a subject, of which
// all that are bound are bound to another one.
func (w *world) anyOf(purpose, subject int, rules []rule) bool {
	return slices.ContainsFunc(rules, func(r rule) bool {
		if r.nested != nil {
			return r.subject == "" || w.anyOf(purpose, subject, r.nested.rules)
		}
		own := slices.ContainsFunc(w.stream.Subjects[subject].Paths, func(at string) bool { return named([]rule{r}, path(at)) }) || states(r.path, nil)[len(r.path)]
		return w.matters(purpose, r.category) && (own || r.subject == "" && personal(r.category))
	})
}

// matters reports whether a purpose does with a category what can depend on a decision.
func (w *world) matters(purpose int, category string) bool {
	r, ok := w.policy.Purposes[purpose].Rule(category)
	return ok && r.Treatment.Name != "drop" && r.Treatment.Name != "redact" && r.Treatment.Name != ""
}

// part is what another part may be.
func (o *rival) part(c *changer) part {
	to := part{who: slices.Clone(o.who)}
	for i, who := range c.who {
		if o.w.inParts(i) {
			to.who[i] = o.swap(i, who, []*changer{c})
			to.who[i] = to.who[o.w.called(i)[0]]
		}
	}
	to.value = c.whole()
	for i := range to.who {
		if o.w.byPath(i) && o.w.called(i)[0] == i {
			o.identify(c, &to, i)
		}
	}
	at := c.from.get("at")
	if _, seen := c.sees(path("at")); !seen {
		at = pick(o.T, instants)
	}
	to.set(&o.drawer, "at", at)
	return to
}

// identify writes who a subject is where the value says so, in another spelling
// where the purpose sees none.
func (o *rival) identify(c *changer, to *part, subject int) {
	_, _, keyed, inValue := o.w.keyRule()
	k, bySeenKey := c.seesRecordKey()
	bySeenKey = bySeenKey && inValue && slices.Contains(o.w.called(subject), keyed)
	if !o.seesPath(c, subject) && !bySeenKey {
		o.w.identify(&o.drawer, to, subject)
		return
	}
	for _, name := range o.w.stream.Subjects[subject].Paths {
		lit := c.from.get(name)
		if lit == "" || lit == "null" || to.who[subject] == nobody {
			o.leave(c, to, name)
			continue
		}
		t, seen := c.sees(path(name))
		if !(seen && t.Name != "pseudonymize" || bySeenKey && k.Name != "pseudonymize") {
			lit = pick(o.T, o.w.spellings(to.who[subject], o.format))
		}
		to.set(&o.drawer, name, lit)
	}
}

// leave leaves a member of a part as it was, also one that is called so but for case.
func (o *rival) leave(c *changer, to *part, name string) {
	if lit := c.from.get(name); lit != "" {
		to.set(&o.drawer, name, lit)
		return
	}
	to.remove(&o.drawer, name)
	if near := c.from.get(strings.ToUpper(name)); near != "" {
		to.set(&o.drawer, strings.ToUpper(name), near)
	}
}

// seesPath reports whether the purpose sees one of the places where the value says who
// a subject is.
func (o *rival) seesPath(c *changer, subject int) bool {
	return slices.ContainsFunc(o.w.stream.Subjects[subject].Paths, func(at string) bool { _, seen := c.sees(path(at)); return seen })
}

// key is another key.
func (o *rival) key(key []byte) []byte {
	_, _, keyed, inValue := o.w.keyRule()
	var how policy.Treatment
	seen := !inValue && o.any(func(c *changer) bool {
		t, seen := c.seesRecordKey()
		if seen {
			how = t
		}
		return seen
	})
	switch {
	case !seen, how.Name == "pseudonymize" && keyed >= 0 && o.who[keyed] != nobody && key != nil:
		return o.freeKey(seen)
	case key != nil && keyed < 0:
		return []byte(unquote(o.twin(how, quoted(key))))
	}
	return key
}

// freeKey is a key of which the purpose sees at most whom it names, and that there is
// one.
func (o *rival) freeKey(there bool) []byte {
	if there {
		return o.w.spelled(&o.drawer, o.who[o.w.keyed()])
	}
	return o.w.drawKeyText(&o.drawer, o.who)
}

// listed changes the headers that the purpose does not see and keeps the order of
// the others.
func (o *rival) listed(from []engine.Header) (to []engine.Header) {
	seen := func(h engine.Header) bool {
		return h.Value != nil && o.any(func(c *changer) bool { return c.seesHeader(h.Key) })
	}
	to, at := slices.DeleteFunc(o.headers(), seen), 0
	for _, h := range from {
		if h.Key == subjectHeader || h.Key == timeHeader || !seen(h) {
			continue
		}
		at = o.n(at, len(to))
		to = slices.Insert(to, at, h)
		at++
	}
	return to
}

// said are the headers that say who a record is about or when it was: where the purpose
// does not see them, others.
func (o *rival) said(from []engine.Header, name string, others func() []engine.Header) []engine.Header {
	if !o.any(func(c *changer) bool { return c.seesHeader(name) }) {
		return others()
	}
	return slices.DeleteFunc(slices.Clone(from), func(h engine.Header) bool { return h.Key != name })
}

// seesRecordKey is the treatment by which the purpose sees the key.
func (v *view) seesRecordKey() (policy.Treatment, bool) {
	cat, of, _, _ := v.w.keyRule()
	return v.shown(cat, of)
}

func (v *view) seesHeader(name string) bool {
	for _, h := range v.w.stream.Headers {
		if h.Name == name {
			_, seen := v.shown(h.Category, v.w.headerAbout(h))
			return seen
		}
	}
	return false
}
