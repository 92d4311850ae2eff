package proof

import (
	"fmt"
	"maps"
	"math/bits"
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
	shape    *shape
	stream   engine.Stream
	policy   *policy.Policy
	rules    []rule
	explicit []bool // by purpose: the people have consented explicitly
	limited  bool   // they have limited the use of sensitive data
}

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
	"user.behavior.browsing_history": {treatment("generalize", "url_query", "")},
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
func drawWorld(t *rapid.T, format schemas.Format) *world {
	d := &drawer{T: t, format: format}
	w := &world{shape: d.root()}
	w.drawWiring(d)
	w.drawPolicy(d)
	for err := w.open(); err != nil; err = w.open() {
		if len(w.rules) == 2 {
			t.Fatalf("%v with the least of wirings", err)
		}
		w.rules = w.rules[:len(w.rules)-1]
		w.stream.Fields = w.stream.Fields[:len(w.rules)]
	}
	w.say(t)
	return w
}

func (w *world) open() (err error) {
	if w.rig, err = open(w.policy, w.stream); err == nil && w.stream.Format == schemas.Avro {
		err = w.install(1, w.shape.avsc())
	}
	return err
}

func (w *world) drawWiring(d *drawer) {
	w.stream = engine.Stream{Topic: "in", Format: d.format, EventTime: engine.TimeRule{Path: "at"},
		Subjects: []engine.SubjectRule{{Name: "customer", Namespace: "crm", Paths: []string{"id"}}}}
	if d.format == schemas.JSON {
		w.stream.EventTime.Unit = "ms"
	}
	w.classify("id", "user.unique_id")
	w.classify("at", "system")
	families := map[string]string{}
	for _, path := range w.shape.paths("", families)[2:] {
		if d.rarely(4) {
			continue
		}
		c := pick(d.T, categories[families[path]])
		if d.rarely(5) {
			c = pick(d.T, categories[""])
		}
		w.classify(vary(d, path), c)
		if strings.Contains(path, "[*]") && d.rarely(5) { // which elements may be both
			w.classify(strings.Replace(path, "[*]", `[k=="v"]`, 1), pick(d.T, categories[""]))
			w.classify(strings.Replace(path, "[*]", pick(d.T, []string{"[0]", "[1]", `[k=="v"]`}), 1), c)
		}
	}
	for range d.n(0, 2) {
		w.classify(pick(d.T, []string{"**.a", "**.b", "*", "**", "**[*]", "a.*", "**.*~key", "b.*~key", "a[0]", "c[1].a", "d.**.a", `**[k=="v"]`, `b[k=="w"].a`, "a.b"}),
			pick(d.T, []string{"user.name", "user.behavior", "user.financial", "user.health_and_medical"}))
	}
	switch d.n(0, 2) {
	case 1:
		w.stream.Key.Subject = "customer"
	case 2:
		w.stream.Key.Category = pick(d.T, textCategories)
	}
	w.stream.Headers = []engine.HeaderRule{{Name: "h", Category: pick(d.T, textCategories)}, {Name: "i", Category: pick(d.T, textCategories)}}
}

// classify adds a rule where none has its path.
func (w *world) classify(path, category string) {
	r := newRule(path, category)
	for i := range w.rules {
		if w.rules[i].path.String() == r.path.String() {
			return
		}
	}
	w.rules = append(w.rules, r)
	w.stream.Fields = append(w.stream.Fields, engine.FieldRule{Path: path, Category: category})
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
	w.policy = &policy.Policy{Revision: 1, Namespaces: []policy.Namespace{{Name: "crm", Normalize: "trim"}}}
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
		w.explicit = append(w.explicit, !d.rarely(3))
	}
	w.limited = d.rarely(3)
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

// say gives two people the same consents.
func (w *world) say(t *rapid.T) {
	for i := range w.policy.Purposes {
		kind := "expressed"
		if w.explicit[i] {
			kind = "explicit"
		}
		grant := fmt.Sprintf(`,"purposes":[%q],"consent_type":%q,"asserted_at":"2026-01-01T10:00:00Z","notice":{"id":"n","version":"1"},"evidence":{"method":"web_form","source":"shop"}`, w.policy.Purposes[i].ID, kind)
		for _, who := range people {
			if err := w.event(who, "grant", grant); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, who := range people {
		if !w.limited {
			continue
		}
		if err := w.event(who, "limit_sensitive", ""); err != nil {
			t.Fatal(err)
		}
	}
}

// shown is the treatment by which a purpose sees something of a category; false
// where it sees nothing.
func (w *world) shown(purpose int, category string) (policy.Treatment, bool) {
	r, ok := w.policy.Purposes[purpose].Rule(category)
	switch {
	case category == "" || !ok || slices.Contains([]string{"", "drop", "redact", "constant"}, r.Treatment.Name),
		policy.Special(category) && !r.RequiresExplicit && r.Ground == "",
		r.RequiresExplicit && !w.explicit[purpose],
		bits.OnesCount32(r.Gate()) > 0 && !r.RequiresExplicit && w.limited:
		return policy.Treatment{}, false
	}
	return r.Treatment, true
}

// sees is the treatment by which a purpose sees the value at a position.
func (w *world) sees(purpose int, pos position) (policy.Treatment, bool) {
	if claimed(w.rules, pos) {
		return policy.Treatment{}, false
	}
	return w.shown(purpose, category(w.rules, pos, false))
}

// passes reports that entries go out under the key of the one at a position, or
// what stands for it: that of a constant is there for each entry.
func (w *world) passes(purpose int, pos position) bool {
	if _, ok := w.seesKey(purpose, pos); ok {
		return true
	}
	r, ok := w.policy.Purposes[purpose].Rule(category(w.rules, pos, true))
	return ok && r.Treatment.Name == "constant"
}

func (w *world) seesKey(purpose int, pos position) (policy.Treatment, bool) {
	if claimed(w.rules, pos) {
		return policy.Treatment{}, false
	}
	return w.shown(purpose, category(w.rules, pos, true))
}

// peeks reports that a purpose may see something at a position, or could see
// something below it if there were.
func (w *world) peeks(purpose int, pos position) bool {
	if _, ok := w.sees(purpose, pos); ok {
		return true
	}
	if claimed(w.rules, pos) {
		return false
	}
	for i := range w.rules {
		if _, ok := w.shown(purpose, w.rules[i].category); ok && continues(w.rules[i].path, pos) {
			return true
		}
	}
	return false
}
