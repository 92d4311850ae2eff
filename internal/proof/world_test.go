package proof

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// world is a drawn configuration: a shape, a wiring, a policy, and what the
// people have said.
type world struct {
	*rig
	shape  *shape // of what is decided at once
	around *shape // Avro: of a record that is split; nil for none
	writer string // the schema of records, "" of plain JSON
	stream engine.Stream
	policy *policy.Policy
	rules  []rule
	binds  string // whom rules bind to: "all" to anybody, now and then
	people []person
}

// rootNames are the members of a record that say when it was, and of whom it is.
var rootNames = []string{"at", "id", "id2", "by", "by2", "to", "to2"}

// categories are what positions of a family usually have.
var categories = map[string][]string{
	"text":   {"user.contact.email", "user.device.ip_address", "user.name", "user.unique_id", "user.behavior.browsing_history"},
	"number": {"user.financial", "user.behavior"},
	"time":   {"user.demographic.date_of_birth"},
	"other":  {"user.behavior", "system.operations"},
	"":       {"user.behavior", "user.contact", "user.health_and_medical"},
}

// textCategories are those whose treatments all take text, as key and headers are.
var textCategories = []string{"user.contact.email", "user.device.ip_address", "user.name", "user.unique_id", "user.contact", "user.health_and_medical"}

// treatments are what a category is usually given, besides what fits anything.
var treatments = map[string][]policy.Treatment{
	"user.contact.email":             {treatment("generalize", "email", "domain"), treatment("mask", "keep_first", int64(1)), treatment("pseudonymize")},
	"user.contact":                   {treatment("truncate", "n", int64(2)), treatment("mask", "keep_last", int64(1))},
	"user.device.ip_address":         {treatment("generalize", "ip_prefix", "24,48")},
	"user.behavior.browsing_history": {treatment("generalize", "url_query", ""), treatment("generalize", "query", "utm")},
	"user.name":                      {treatment("truncate", "n", int64(2)), treatment("mask", "keep_first", int64(1))},
	"user.unique_id":                 {treatment("pseudonymize"), treatment("encrypt")},
	"user.financial":                 {treatment("generalize", "bucket", int64(10)), treatment("pseudonymize")},
	"user.behavior":                  {treatment("generalize", "bucket", int64(10)), treatment("encrypt")},
	"user.demographic.date_of_birth": {treatment("generalize", "date", "year"), treatment("date_shift", "days", int64(30))},
	"user.health_and_medical":        {treatment("mask")},
}

func treatment(name string, param ...any) policy.Treatment {
	t := policy.Treatment{Name: name}
	if len(param) == 2 {
		t.Params = []policy.Param{{Name: param[0].(string), Value: param[1]}}
	}
	return t
}

var anywhere = []policy.Treatment{treatment("keep"), treatment("keep"), treatment("keep"), treatment("drop"), treatment("redact"), treatment("constant", "value", "same")}

// drawWorld draws until a configuration is one that lint would let pass.
func drawWorld(t *rapid.T, format schemas.Format, whole bool) *world {
	d := &drawer{T: t, format: valuesOf(format)}
	w := &world{stream: engine.Stream{Topic: "in", Format: format, EventTime: engine.TimeRule{Path: "at"}}}
	w.drawStream(d, whole)
	w.drawPolicy(d)
	w.writer = w.drawSchema(d)
	for err := w.open(); err != nil; err = w.open() {
		if len(w.rules) == 2 {
			t.Fatalf("%v with the least of wirings", err)
		}
		w.rules = w.rules[:len(w.rules)-1]
	}
	w.wireSchema(d)
	if w.drawPeople(d); w.say() != nil {
		t.Fatal("nobody is heard")
	}
	return w
}

// wireSchema has the wiring say, now and then, which schema it is for.
func (w *world) wireSchema(d *drawer) {
	if w.stream.Format == schemas.JSON || !d.rarely(2) {
		return
	}
	if w.stream.Schema = w.writer; d.rarely(2) && w.stream.Format == schemas.JSONSchema {
		w.stream.Schema = w.drawSchema(d)
	}
	refused := map[string]bool{} // by lint, for that schema
	w.stream.Fields = fields(w.rules)
	for _, f := range engine.Check(engine.Config{Policy: w.policy, Streams: []engine.Stream{w.stream}}) {
		path := strings.TrimPrefix(f.At, "streams[0].fields[")
		if i := strings.LastIndexByte(path, ']'); !f.Warning && i > 0 {
			refused[path[:i]] = true
		}
	}
	rules := slices.DeleteFunc(slices.Clone(w.rules), func(r rule) bool { return refused[r.text] })
	before := w.rules
	if w.rules = rules; w.open() == nil {
		return
	}
	w.rules, w.stream.Schema = before, ""
	if err := w.open(); err != nil {
		d.Fatal(err)
	}
}

func (w *world) open() (err error) {
	w.stream.Fields = fields(w.rules)
	if w.rig, err = open(w.policy, w.stream); err == nil && w.stream.Format.Framed() {
		err = w.install(1, w.writer)
	}
	return err
}

// fields are rules as the engine takes them.
func fields(rules []rule) (list []engine.FieldRule) {
	for _, r := range rules {
		f := engine.FieldRule{Path: r.text, Category: r.category, Subject: r.subject}
		if r.nested != nil {
			f.Nested = &engine.NestedRule{Encoding: r.nested.encoding, Fields: fields(r.nested.rules)}
		}
		list = append(list, f)
	}
	return list
}

// drawStream draws the wiring, of records that are whole or of any.
func (w *world) drawStream(d *drawer, whole bool) {
	if d.format == schemas.JSON {
		w.stream.EventTime.Unit = "ms"
	}
	if d.rarely(4) {
		w.stream.EventTime = engine.TimeRule{Header: timeHeader}
	}
	if !whole && d.rarely(3) {
		w.stream.Split = pick(d.T, splits[d.format])
	}
	if d.format == schemas.Avro && d.rarely(3) {
		d.tagged, w.stream.Tags = true, []engine.TagRule{{Tag: "MAIL", Category: "user.contact.email"}, {Tag: "PII", Category: "user.contact"}, {Tag: "PUBLIC", Category: "user.behavior"}}
	}
	w.drawSubjects(d)
	w.shape = d.root(w.stream.Subjects)
	if w.stream.Split != "" && d.format == schemas.Avro {
		w.around = w.drawAround(d)
	}
	w.drawKey(d)
	w.drawFields(d)
}

func (w *world) drawKey(d *drawer) {
	switch d.n(0, 2) {
	case 1:
		w.stream.Key.Subject = pick(d.T, w.stream.Subjects).Name
		if w.stream.Subjects[0].Key {
			w.stream.Key.Subject = w.stream.Subjects[0].Name // nobody else's
		}
	case 2:
		w.stream.Key.Category = pick(d.T, textCategories)
	}
	for _, name := range []string{"", "h", "i", subjectHeader, timeHeader} {
		if name == "h" || name == "i" || d.rarely(2) {
			w.stream.Headers = append(w.stream.Headers, w.drawHeader(d, name))
		}
	}
}

func (w *world) drawHeader(d *drawer, name string) engine.HeaderRule {
	h := engine.HeaderRule{Name: name, Category: pick(d.T, textCategories)}
	h.Subject = w.bind(d, h.Category)
	return h
}

// drawFields draws the rules: those of the subject and the time first.
func (w *world) drawFields(d *drawer) {
	rules := []rule{w.newRule(d, "id", "user.unique_id"), w.newRule(d, "at", "system")}
	for _, path := range []string{"by", "to"} {
		if !d.rarely(3) {
			rules = append(rules, w.newRule(d, path, "user.unique_id"))
		}
	}
	for _, s := range w.stream.Subjects {
		if len(s.Paths) == 2 && slices.ContainsFunc(rules, func(r rule) bool { return r.text == s.Paths[0] }) {
			rules = add(rules, w.newRule(d, s.Paths[1], "user.unique_id"))
		}
	}
	w.rules = w.drawRules(d, w.shape, rules)
}

// drawRules adds rules for what is in a shape.
func (w *world) drawRules(d *drawer, s *shape, rules []rule) []rule {
	shapes := map[string]*shape{}
	for _, path := range s.paths("", shapes) {
		if d.rarely(4) || d.tagged && d.rarely(2) || slices.Contains(rootNames, path) {
			continue
		}
		if kid := shapes[path]; kid != nil && kid.kind == "text" && !d.rarely(6) {
			rules = add(rules, w.drawText(d, vary(d, path), kid))
			continue
		}
		rules = w.drawRule(d, rules, path, shapes[path].family())
	}
	for range d.n(0, 2) {
		rules = add(rules, w.newRule(d, pick(d.T, []string{"**.a", "**.b", "*", "**", "**[*]", "a.*", "**.*~key", "b.*~key", "a[0]", "c[1].a", "d.**.a", "b.a", "d.c", `**[k=="v"]`, `b[k=="w"].a`, "a.b"}),
			pick(d.T, []string{"user.name", "user.behavior", "user.financial", "user.health_and_medical"})))
	}
	return rules
}

// newRule draws whom a rule's position is about.
func (w *world) newRule(d *drawer, path, category string) rule {
	r := newRule(path, category)
	r.subject = w.bind(d, category)
	return r
}

func (w *world) drawRule(d *drawer, rules []rule, path, family string) []rule {
	c := pick(d.T, categories[family])
	if d.rarely(5) {
		c = pick(d.T, categories[""])
	}
	rules = add(rules, w.newRule(d, vary(d, path), c))
	if i := strings.LastIndex(path, ".*"); i > 0 && !strings.HasSuffix(path, "~key") && d.rarely(4) { // which entry may be both
		rules = add(rules, w.newRule(d, path[:i]+"."+pick(d.T, names)+path[i+2:], pick(d.T, categories[""])))
	}
	if strings.Contains(path, "[*]") && d.rarely(5) { // which elements may be both
		rules = add(rules, w.newRule(d, strings.Replace(path, "[*]", `[k=="v"]`, 1), pick(d.T, categories[""])))
		rules = add(rules, w.newRule(d, strings.Replace(path, "[*]", pick(d.T, []string{"[0]", "[1]", `[k=="v"]`}), 1), c))
	}
	return rules
}

// drawText classifies what is in a text, of which it names something.
func (w *world) drawText(d *drawer, path string, s *shape) rule {
	r := newRule(path, "")
	r.subject = w.bind(d, "user")
	if in := s.kids[0]; in.kind != "record" { // its values are single ones
		c := pick(d.T, slices.Concat(categories[in.family()], categories[""]))
		r.nested = &nest{encoding: s.encoding, rules: []rule{{category: c, subject: w.bind(d, c)}}}
		return r
	}
	r.nested = &nest{encoding: s.encoding, rules: w.drawRules(d, s.kids[0], nil)}
	if len(r.nested.rules) == 0 {
		r.nested.rules = []rule{w.newRule(d, s.kids[0].names[0], "user.contact")}
	}
	return r
}

// vary writes some steps of a path in a wider or narrower way.
func vary(d *drawer, path string) string {
	if strings.Contains(path, "[*]") && d.rarely(3) {
		path = strings.Replace(path, "[*]", pick(d.T, []string{"[0]", "[1]", `[k=="v"]`, `[k=="w"]`}), 1)
	}
	if i := strings.IndexByte(path, '.'); i > 0 && d.rarely(6) {
		path = pick(d.T, []string{"*", "**"}) + path[i:]
	}
	return path
}

func (w *world) drawPolicy(d *drawer) {
	w.policy = &policy.Policy{Revision: 1, Namespaces: []policy.Namespace{{Name: "crm", Normalize: "trim"}, {Name: "erp", Normalize: "trim"}}}
	for i := range d.n(1, 3) {
		p := policy.Purpose{ID: fmt.Sprintf("p%d", i), DataUse: "essential.service", Basis: pick(d.T, []policy.Basis{policy.Consent, policy.Contract})}
		p.Treat = append(p.Treat, policy.Rule{Category: "user.unique_id", Treatment: pick(d.T, []policy.Treatment{treatment("keep"), treatment("pseudonymize"), treatment("encrypt"), treatment("drop")})})
		// something is always left, so that lint has nothing to say
		p.Treat = append(p.Treat, policy.Rule{Category: "system", Treatment: pick(d.T, []policy.Treatment{treatment("keep"), treatment("keep"), treatment("generalize", "date", "year"), treatment("redact")})})
		for _, c := range slices.Sorted(maps.Keys(treatments)) {
			if c != "user.unique_id" && !d.rarely(5) {
				p.Treat = append(p.Treat, drawRule(d, c))
			}
		}
		w.policy.Purposes = append(w.policy.Purposes, p)
		w.stream.Purposes = append(w.stream.Purposes, p.ID)
	}
}

func drawRule(d *drawer, category string) policy.Rule {
	r := policy.Rule{Category: category, Treatment: pick(d.T, slices.Concat(anywhere, treatments[category]))}
	if r.Treatment.Name == "constant" || r.Treatment.Name == "drop" {
		return r
	}
	r.RequiresExplicit = d.rarely(4)
	if policy.Special(category) && d.rarely(2) {
		r.Ground = "art9_2_h"
	}
	return r
}
