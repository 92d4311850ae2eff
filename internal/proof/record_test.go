package proof

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// record is a drawn record: one part or, where it is split, its elements.
type record struct {
	engine.Input
	parts []part
	who   []int // by subject; of those that stand in the value, of no account
}

// part is what is decided at once, and whom it is about.
type part struct {
	value *value
	who   []int // by subject
}

// instants are event times of one decision: in the time that is covered by the
// consents, or later than now, which counts as now.
var instants = []string{"1795160000000", "1795170000000", "1795262400000", "1890000000000"}

func (w *world) drawRecord(d *drawer) record {
	r := record{Input: engine.Input{Offset: offset, Timestamp: nowMs - int64(d.n(0, 2))*day}}
	for i := range w.stream.Subjects {
		r.who = append(r.who, w.drawWho(d, i))
		r.who[i] = r.who[w.called(i)[0]]
	}
	n := 1
	if w.stream.Split != "" {
		n = d.n(0, 3)
	}
	for range n {
		r.parts = append(r.parts, w.drawPart(d, r.who))
	}
	r.Key, r.Headers = w.drawKeyText(d, r.who), slices.Concat(d.headers(), w.naming(d, r.who), w.timing(d))
	w.write(d, &r)
	return r
}

// drawWho draws the person that a subject is: mostly one who consents.
func (w *world) drawWho(d *drawer, subject int) int {
	if subject == w.main() {
		return pick(d.T, []int{0, 0, 0, 0, 0, 1, 1, 2, 3, nobody})
	}
	return pick(d.T, []int{0, 1, 2, 3, nobody})
}

// drawPart draws a part; who are those whom the record as a whole names.
func (w *world) drawPart(d *drawer, who []int) part {
	p := part{who: slices.Clone(who)}
	for i := range p.who {
		if w.inParts(i) {
			p.who[i] = w.drawWho(d, i)
			p.who[i] = p.who[w.called(i)[0]]
		}
	}
	if w.stream.Format == schemas.Avro {
		p.value = d.avro(&shape{kind: "record", names: w.shape.names, kids: w.shape.kids})
	} else {
		p.value = d.object(w.shape)
	}
	for i := range p.who {
		if w.byPath(i) && w.called(i)[0] == i {
			w.identify(d, &p, i)
		}
	}
	p.set(d, "at", pick(d.T, instants))
	return p
}

// set gives a member of the part a scalar.
func (p *part) set(d *drawer, name, lit string) {
	if i := slices.Index(p.value.names, name); i >= 0 {
		p.value.kids[i] = &value{lit: lit}
		return
	}
	d.add(p.value, name, &value{lit: lit})
}

// get is such a scalar; "" where there is none.
func (p *part) get(name string) string {
	if i := slices.Index(p.value.names, name); i >= 0 {
		return p.value.kids[i].lit
	}
	return ""
}

// remove takes away a member, and what is called so but for case. In Avro it is null.
func (p *part) remove(d *drawer, name string) {
	for i := len(p.value.names) - 1; i >= 0; i-- {
		switch v := p.value; {
		case !strings.EqualFold(v.names[i], name):
		case d.format == schemas.Avro:
			v.kids[i] = &value{lit: "null"}
		default:
			v.names, v.kids, v.escape = slices.Delete(v.names, i, i+1), slices.Delete(v.kids, i, i+1), slices.Delete(v.escape, i, i+1)
		}
	}
}

// identify writes who a subject is where the value says so. Of several places those
// that are there must name the same one, and one must be there.
func (w *world) identify(d *drawer, p *part, subject int) {
	paths, who := w.stream.Subjects[subject].Paths, p.who[subject]
	put := func(path string, who int, format schemas.Format) { p.set(d, path, pick(d.T, w.spellings(who, format))) }
	if len(paths) == 1 {
		put(paths[0], who, d.format)
		return
	}
	for _, path := range paths {
		p.remove(d, path)
	}
	if d.rarely(2) {
		paths = []string{paths[1], paths[0]}
	}
	if who != nobody {
		if put(paths[0], who, d.format); d.rarely(2) {
			put(paths[1], who, d.format)
		}
		return
	}
	switch d.n(0, 3) {
	case 0:
		put(paths[0], 0, d.format)
		put(paths[1], d.n(1, 3), d.format)
	case 1:
		put(paths[0], 0, d.format)
		put(paths[1], nobody, schemas.Avro)
	case 2: // readers of JSON may take the one for the other
		if put(paths[0], 0, d.format); d.format == schemas.JSON {
			put(strings.ToUpper(paths[1]), d.n(0, 3), d.format)
		} else {
			put(paths[1], nobody, schemas.Avro)
		}
	}
}

func (w *world) write(d *drawer, r *record) {
	var values []*value
	for _, p := range r.parts {
		values = append(values, p.value)
	}
	switch {
	case w.stream.Split != "":
		r.Value = w.encodeAround(d, values)
	case w.stream.Format == schemas.Avro:
		r.Value = values[0].frame(w.shape)
	default:
		r.Value = w.frame(values[0])
	}
}

// drawKeyText draws the key. It names whom the wiring says that it names.
func (w *world) drawKeyText(d *drawer, who []int) []byte {
	i := w.keyed()
	switch {
	case i >= 0 && w.byKey(i) && !(w.byPath(i) && d.rarely(8)):
		return w.spelled(d, who[i])
	case d.rarely(4) || i >= 0 && w.byKey(i):
		return nil
	}
	return d.text()
}

func (d *drawer) text() []byte { return []byte(unquote(pick(d.T, texts))) }

func (d *drawer) headers() (list []engine.Header) {
	for range d.n(0, 3) {
		h := engine.Header{Key: pick(d.T, []string{"h", "i", "I", "", "other", "cs-proof"}), Value: d.text()}
		if d.rarely(5) {
			h.Value = nil
		}
		list = append(list, h)
	}
	return list
}

// naming are the headers that name a subject, after the others.
func (w *world) naming(d *drawer, who []int) (list []engine.Header) {
	for i, s := range w.stream.Subjects {
		if s.Header == "" || w.called(i)[0] < i || who[i] == nobody && d.rarely(2) {
			continue
		}
		list = append(list, engine.Header{Key: s.Header, Value: w.spelled(d, who[i])})
	}
	return list
}

// timeHeader is one that can say when a record was.
const timeHeader = "when"

// timing is the header that says when it was, if one does; now and then not.
func (w *world) timing(d *drawer) []engine.Header {
	if w.stream.EventTime.Header == "" || d.rarely(6) {
		return nil
	}
	ms, err := strconv.ParseInt(pick(d.T, instants), 10, 64)
	if err != nil {
		panic(err) // these tests made it
	}
	return []engine.Header{{Key: timeHeader, Value: time.UnixMilli(ms).UTC().AppendFormat(nil, time.RFC3339)}}
}

func path(name string) position { return position{{kind: member, name: name}} }

// quoted is the literal of a text among those that are drawn.
func quoted(text []byte) string {
	for _, lit := range texts {
		if unquote(lit) == string(text) {
			return lit
		}
	}
	return fmt.Sprintf("%q", text)
}

// describe is a record for people and for comparison.
func describe(in *engine.Input) string {
	return fmt.Sprintf("time %d key %q null %v headers %q value %q", in.Timestamp, in.Key, in.Key == nil, in.Headers, in.Value)
}

func (r *record) describe() string {
	var b strings.Builder
	b.WriteString(describe(&r.Input))
	for _, p := range r.parts {
		fmt.Fprintf(&b, "\n\t%v %s", p.who, p.value.json())
	}
	return b.String()
}

func (w *world) describe(purpose int) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "split %q subjects %+v key %+v headers %+v\n", w.stream.Split, w.stream.Subjects, w.stream.Key, w.stream.Headers)
	for _, p := range w.people {
		fmt.Fprintf(&b, "%+v ", p)
	}
	b.WriteByte('\n')
	describeRules(&b, "", w.rules)
	p := &w.policy.Purposes[purpose]
	fmt.Fprintf(&b, "%s basis %v\n", p.ID, p.Basis)
	for _, r := range p.Treat {
		fmt.Fprintf(&b, "\t%s: %v explicit %v ground %q\n", r.Category, r.Treatment, r.RequiresExplicit, r.Ground)
	}
	if w.stream.Format == schemas.JSONSchema {
		fmt.Fprintf(&b, "%s\nwiring %s", w.writer, w.stream.Schema)
	} else {
		b.WriteString(strings.ReplaceAll(w.avsc(w.shape), "\n", ""))
	}
	return b.String()
}

func describeRules(b *bytes.Buffer, in string, rules []rule) {
	for _, r := range rules {
		fmt.Fprintf(b, "%s%s: %s of %q", in, r.text, r.category, r.subject)
		if r.nested != nil {
			fmt.Fprintf(b, " a text in encoding %d", r.nested.encoding)
		}
		b.WriteByte('\n')
		if r.nested != nil {
			describeRules(b, in+"\t", r.nested.rules)
		}
	}
}

// object draws what usually is of a record, which is an object.
func (d *drawer) object(s *shape) *value {
	v := d.json(s)
	for v.kind != object {
		v = d.json(s)
	}
	return v
}

// same reports whether two records are one, except for how their headers are held.
func same(a, b *engine.Input) bool { return describe(a) == describe(b) }

func (w *world) look(t *rapid.T, r *record) (map[string]string, string) {
	topics, fault, err := w.shows(r.Input, w.stream.Split == "")
	if err != nil {
		t.Fatal(err)
	}
	return topics, fault
}
