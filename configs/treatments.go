package configs

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"unicode"

	"github.com/consentstream/consentstream/policy"
)

// bareTreatments are those that are written as a word; the others take
// parameters and are written as a map with one word.
var (
	bareTreatments  = []string{"keep", "drop", "redact", "pseudonymize", "encrypt"}
	paramTreatments = []string{"keep", "pseudonymize", "mask", "truncate", "constant", "encrypt", "generalize", "date_shift"}
	allTreatments   = []string{"keep", "drop", "redact", "pseudonymize", "mask", "truncate", "constant", "encrypt", "generalize", "date_shift"}
)

// treat reads the rules of a purpose, in the file's order.
func (l *loader) treat(o object) []policy.Rule {
	var rules []policy.Rule
	for _, e := range o.freeEntries("treat") {
		category := e.key.Value
		if !policy.ValidCategory(category) {
			near := nearestKey(category, policy.Categories())
			l.report(e.keyPlace(), near, "%s %s", e.name, notACategory(near))
		}
		r, ok := l.treatment(e)
		if !ok {
			continue
		}
		if l.redactedAnyway(r) {
			l.warn(e.keyPlace(), "%s is a special category (GDPR articles 9 and 10): without requires: explicit_consent or a ground: it is redacted", e.name)
		}
		rules = append(rules, r)
	}
	return rules
}

// redactedAnyway reports whether policy.Purpose.Rule turns a rule into redact: it
// does so for a special or criminal category that would show without a gate
// (DECISION D23).
func (l *loader) redactedAnyway(r policy.Rule) bool {
	p := policy.Purpose{Treat: []policy.Rule{r}}
	effective, ok := p.Rule(r.Category)
	return ok && effective.Treatment.Name != r.Treatment.Name
}

// treatment reads a word or a map with one word; e's key is the category.
func (l *loader) treatment(e item) (policy.Rule, bool) {
	if shapeOf(e.node) == "a map" {
		return l.paramTreatment(e)
	}
	s, ok := l.scalar(e)
	switch {
	case !ok:
	case slices.Contains(bareTreatments, s.text):
		return policy.Rule{Category: e.key.Value, Treatment: policy.Treatment{Name: s.text}}, true
	case slices.Contains(paramTreatments, s.text):
		l.report(e.place(), "", "%s takes parameters: %s", s.text, example(s.text))
	default:
		l.report(e.place(), s.nearest(allTreatments), "%s is not a treatment; the treatments are %s", s.shown(), either(allTreatments))
	}
	return policy.Rule{}, false
}

// example shows how a treatment with parameters is written.
func example(name string) string {
	return map[string]string{
		"mask":       `{mask: {keep_first: 1}}`,
		"truncate":   `{truncate: 4}`,
		"constant":   `{constant: "unknown"}`,
		"generalize": `{generalize: {date: year}}`,
		"date_shift": `{date_shift: {days: 30}}`,
	}[name]
}

func (l *loader) paramTreatment(e item) (policy.Rule, bool) {
	entries, ok := l.entries(e, false)
	if !ok {
		return policy.Rule{}, false
	}
	if len(entries) != 1 || len(e.node.Content) != 2 {
		l.report(e.place(), "", "a treatment is one word, or a map with one word such as %s", example("mask"))
		return policy.Rule{}, false
	}
	before := l.errors()
	r := l.params(entries[0], e.key.Value)
	return r, l.errors() == before
}

// withObject are the treatments whose parameters are a map of their own.
var withObject = map[string]struct {
	section section
	read    func(*loader, object, *policy.Rule) // what stands beside the gate; nil: nothing
}{
	"keep": {keepSection, nil}, "pseudonymize": {pseudonymizeSection, nil}, "encrypt": {encryptSection, nil},
	"mask": {maskSection, (*loader).mask}, "generalize": {generalizeSection, (*loader).generalize},
	"date_shift": {dateShiftSection, (*loader).dateShift},
}

// params reads the parameters of the treatment that e.key names.
func (l *loader) params(e item, category string) policy.Rule {
	name := e.key.Value
	r := policy.Rule{Category: category, Treatment: policy.Treatment{Name: name}}
	t, ok := withObject[name]
	switch {
	case ok:
		l.objectParams(e, t.section, t.read, &r)
	case name == "truncate":
		if n, ok := l.integer(e, 1, math.MaxInt32); ok {
			r.Treatment.Params = []policy.Param{{Name: "n", Value: n}}
		}
	case name == "constant":
		if v, ok := l.constant(e); ok {
			r.Treatment.Params = []policy.Param{{Name: "value", Value: v}}
		}
	case slices.Contains(bareTreatments, name):
		l.report(e.keyPlace(), "", "%s takes no parameters", name)
	default:
		l.report(e.keyPlace(), policy.Nearest(name, allTreatments), "%s is not a treatment; the treatments are %s", quote(name), either(allTreatments))
	}
	return r
}

// objectParams reads a treatment's map: its gate and its own parameters.
func (l *loader) objectParams(e item, s section, read func(*loader, object, *policy.Rule), r *policy.Rule) {
	o, ok := l.object(e, s)
	if !ok {
		return
	}
	l.gate(o, r)
	if read == nil {
		return
	}
	read(l, o, r)
	slices.SortFunc(r.Treatment.Params, func(a, b policy.Param) int { return cmp.Compare(a.Name, b.Name) })
}

// gate reads the field gate (DECISION D23).
func (l *loader) gate(o object, r *policy.Rule) {
	r.RequiresExplicit = o.choice("requires", "", []string{"explicit_consent"}, nil) != ""
	it, ok := o.items["ground"]
	if !ok {
		return
	}
	grounds := policy.Grounds(r.Category)
	s, ok := l.scalar(it)
	switch {
	case !ok:
	case r.RequiresExplicit:
		l.report(it.keyPlace(), "", "requires and ground exclude each other: explicit consent is a ground of its own")
	case len(grounds) == 0:
		l.report(it.keyPlace(), "", "ground is for special categories (GDPR article 9) and convictions (article 10), and %s is neither", quote(r.Category))
	case s.text == "art9_2_a":
		l.report(it.place(), "", "article 9(2)(a) is explicit consent: write requires: explicit_consent")
	case !slices.Contains(grounds, s.text):
		l.report(it.place(), s.nearest(grounds), "%s must be %s, not %s", it.name, either(grounds), s.shown())
	default:
		r.Ground = s.text
	}
}

func (l *loader) mask(o object, r *policy.Rule) {
	for _, name := range []string{"keep_first", "keep_last"} {
		if _, ok := o.items[name]; ok {
			r.Treatment.Params = append(r.Treatment.Params, policy.Param{Name: name, Value: o.integer(name, 0, 0, 1000)})
		}
	}
	if it, ok := o.items["char"]; ok {
		if s, ok := l.scalar(it); ok {
			if c := []rune(s.text); len(c) != 1 || !unicode.IsPrint(c[0]) {
				l.report(it.place(), "", "%s must be one printable character, not %s", it.name, s.shown())
			}
			r.Treatment.Params = append(r.Treatment.Params, policy.Param{Name: "char", Value: s.text})
		}
	}
}

// constant reads the value of a constant: text, integer, number or boolean, as
// YAML's core schema types it; what a reference stands for is text.
func (l *loader) constant(e item) (any, bool) {
	s, ok := l.scalar(e)
	if !ok {
		return nil, false
	}
	if s.isText() || s.refers() {
		return s.text, true
	}
	switch e.node.Tag {
	case "!!bool":
		return s.text == "true", l.plain(e, s, s.text == "true" || s.text == "false")
	case "!!int":
		n, err := strconv.ParseInt(s.text, 10, 64)
		return n, l.plain(e, s, err == nil && decimal.MatchString(s.text))
	case "!!float":
		f, err := strconv.ParseFloat(s.text, 64)
		return f, l.plain(e, s, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f))
	}
	return s.text, true
}

// plain adds an error, unless ok, for a number that YAML readers do not all read
// alike. It returns ok.
func (l *loader) plain(e item, s scalar, ok bool) bool {
	if !ok {
		l.report(e.place(), "", "%s is not a plain decimal number, true or false; put quotes around text", s.shown())
	}
	return ok
}
