package proof

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// record is a drawn record.
type record struct {
	engine.Input
	value *value
	who   string
}

// instants are event times of one decision: in the time that is covered by the
// consents, or later than now, which counts as now.
var instants = []string{"1795160000000", "1795170000000", "1795262400000", "1890000000000"}

// spellings are one person, as the namespace crm normalises them.
func spellings(who string) []string {
	return []string{`"` + who + `"`, `" ` + who + ` "`, `"\u0034` + who[1:] + `"`}
}

func (w *world) drawRecord(d *drawer) record {
	r := record{who: people[0], Input: engine.Input{Offset: offset, Timestamp: nowMs - int64(d.n(0, 2))*day}}
	if w.stream.Format == schemas.Avro {
		r.value = d.avro(w.shape)
	} else {
		r.value = d.json(w.shape)
		for r.value.kind != object {
			r.value = d.json(w.shape)
		}
	}
	r.set(d, "id", pick(d.T, spellings(r.who)))
	r.set(d, "at", pick(d.T, instants))
	r.Key, r.Headers = d.key(w, r.who), d.headers()
	r.write(w)
	return r
}

// set gives a member of the record a scalar.
func (r *record) set(d *drawer, name, lit string) {
	if i := slices.Index(r.value.names, name); i >= 0 {
		r.value.kids[i] = &value{lit: lit}
		return
	}
	d.add(r.value, name, &value{lit: lit})
}

func (r *record) get(name string) string { return r.value.kids[slices.Index(r.value.names, name)].lit }

func (r *record) write(w *world) {
	if w.stream.Format == schemas.Avro {
		r.Value = r.value.frame(w.shape)
	} else {
		r.Value = []byte(r.value.json())
	}
}

func (d *drawer) key(w *world, who string) []byte {
	switch {
	case w.stream.Key.Subject != "":
		return []byte(unquote(pick(d.T, spellings(who))))
	case d.rarely(4):
		return nil
	}
	return d.text()
}

func (d *drawer) text() []byte { return []byte(unquote(pick(d.T, texts))) }

func (d *drawer) headers() (list []engine.Header) {
	for range d.n(0, 3) {
		h := engine.Header{Key: pick(d.T, []string{"h", "i", "I", "other", "cs-proof"}), Value: d.text()}
		if d.rarely(5) {
			h.Value = nil
		}
		list = append(list, h)
	}
	return list
}

// other is a record that the purpose must not be able to tell from r.
func (c *changer) other(r record) record {
	o := record{Input: r.Input, who: r.who}
	if o.value = c.value(r.value); c.anybody() {
		o.who = pick(c.T, people)
	}
	// What decides, and what the purpose sees of it.
	id, at := r.get("id"), r.get("at")
	if t, seen := c.w.sees(c.purpose, path("id")); !seen || t.Name == "pseudonymize" {
		id = pick(c.T, spellings(o.who))
	}
	if _, seen := c.w.sees(c.purpose, path("at")); !seen {
		at = pick(c.T, instants)
		o.Timestamp = nowMs - int64(c.n(0, 2))*day
	}
	o.set(&c.drawer, "id", id)
	o.set(&c.drawer, "at", at)
	o.Key, o.Headers = c.changeKey(r.Key, o.who), c.changeHeaders(r.Headers)
	o.write(c.w)
	return o
}

func path(name string) position { return position{{kind: member, name: name}} }

func (c *changer) value(v *value) *value {
	if c.w.stream.Format == schemas.Avro {
		return c.avro(v, c.w.shape, nil)
	}
	o := v.clone()
	if _, seen := c.w.sees(c.purpose, nil); !seen {
		o.pad = pick(c.T, []string{"", " "})
	}
	c.members(o, nil)
	return o
}

// anybody reports that the record may be anybody's who has said the same: the
// purpose does not see whose it is, in no way.
func (c *changer) anybody() bool {
	for _, r := range c.w.policy.Purposes[c.purpose].Treat {
		if r.Treatment.Name == "date_shift" {
			return false
		}
	}
	_, seen := c.w.sees(c.purpose, path("id"))
	return !seen
}

func (c *changer) changeKey(key []byte, who string) []byte {
	cat := c.w.stream.Key.Category
	if c.w.stream.Key.Subject != "" {
		cat = category(c.w.rules, path("id"), false)
	}
	t, seen := c.w.shown(c.purpose, cat)
	switch {
	case !seen, t.Name == "pseudonymize" && c.w.stream.Key.Subject != "":
		return c.key(c.w, who)
	case key != nil:
		return []byte(unquote(c.twin(t, quoted(key))))
	}
	return nil
}

// quoted is the literal of a text among those that are drawn.
func quoted(text []byte) string {
	for _, lit := range texts {
		if unquote(lit) == string(text) {
			return lit
		}
	}
	return fmt.Sprintf("%q", text)
}

// changeHeaders changes those that the purpose does not see and keeps the
// order of the others.
func (c *changer) changeHeaders(from []engine.Header) (to []engine.Header) {
	to = slices.DeleteFunc(c.headers(), func(h engine.Header) bool { return c.seesHeader(h.Key) && h.Value != nil })
	at := 0
	for _, h := range from {
		if h.Value == nil || !c.seesHeader(h.Key) {
			continue
		}
		at = c.n(at, len(to))
		to = slices.Insert(to, at, h)
		at++
	}
	return to
}

func (c *changer) seesHeader(name string) bool {
	for _, h := range c.w.stream.Headers {
		if h.Name == name {
			_, seen := c.w.shown(c.purpose, h.Category)
			return seen
		}
	}
	return false
}

// describe is a record for people and for comparison.
func describe(in *engine.Input) string {
	return fmt.Sprintf("time %d key %q null %v headers %q value %q", in.Timestamp, in.Key, in.Key == nil, in.Headers, in.Value)
}

func (r *record) describe() string { return describe(&r.Input) + "\n\t" + r.value.json() }

func (w *world) describe(purpose int) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "key %+v headers %v\n", w.stream.Key, w.stream.Headers)
	for i := range w.rules {
		t, ok := w.shown(purpose, w.rules[i].category)
		fmt.Fprintf(&b, "%s: %s, shown %v by %v\n", w.rules[i].text, w.rules[i].category, ok, t)
	}
	fmt.Fprintf(&b, "policy %s\n%s", w.policy.Canonical(), strings.ReplaceAll(w.shape.avsc(), "\n", ""))
	return b.String()
}
