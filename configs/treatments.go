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
	bareTreatments  = []string{"keep", "drop", "redact", "pseudonymize"}
	paramTreatments = []string{"keep", "pseudonymize", "mask", "truncate", "constant"}
	allTreatments   = []string{"keep", "drop", "redact", "pseudonymize", "mask", "truncate", "constant"}
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
		r.Category = category
		if l.redactedAnyway(r) {
			l.warn(e.keyPlace(), "%s is a special category (GDPR articles 9 and 10): without {requires: explicit_consent} it is redacted", e.name)
		}
		rules = append(rules, r)
	}
	return rules
}

// redactedAnyway reports a rule that policy.Purpose.Rule turns into redact: a
// special or criminal category that would show without a gate (DECISION D23).
func (l *loader) redactedAnyway(r policy.Rule) bool {
	p := policy.Purpose{Treat: []policy.Rule{r}}
	effective, ok := p.Rule(r.Category)
	return ok && effective.Treatment.Name != r.Treatment.Name
}

// treatment reads a word or a map with one word.
func (l *loader) treatment(e item) (policy.Rule, bool) {
	if shapeOf(e.node) == "a map" {
		return l.paramTreatment(e)
	}
	s, ok := l.scalar(e)
	switch {
	case !ok:
	case slices.Contains(bareTreatments, s.text):
		return policy.Rule{Treatment: policy.Treatment{Name: s.text}}, true
	case slices.Contains(paramTreatments, s.text):
		l.report(e.place(), "", "%s takes parameters: %s", s.text, example(s.text))
	case slices.Contains(laterTreatments, s.text):
		l.report(e.place(), "", "the treatment %s is not supported yet", s.text)
	default:
		l.report(e.place(), s.nearest(allTreatments), "%s is not a treatment; the treatments are %s", s.shown(), either(allTreatments))
	}
	return policy.Rule{}, false
}

// example shows how a treatment with parameters is written.
func example(name string) string {
	return map[string]string{
		"mask":     `{mask: {keep_first: 1}}`,
		"truncate": `{truncate: 4}`,
		"constant": `{constant: "unknown"}`,
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
	r := l.params(entries[0])
	return r, l.errors() == before
}

// params reads the parameters of the treatment that e.key names.
func (l *loader) params(e item) policy.Rule {
	name := e.key.Value
	r := policy.Rule{Treatment: policy.Treatment{Name: name}}
	switch {
	case name == "keep":
		l.gate(e, keepSection, &r)
	case name == "pseudonymize":
		l.gate(e, pseudonymizeSection, &r)
	case name == "mask":
		l.mask(e, &r)
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
	case slices.Contains(laterTreatments, name):
		l.report(e.keyPlace(), "", "the treatment %s is not supported yet", name)
	default:
		l.report(e.keyPlace(), policy.Nearest(name, allTreatments), "%s is not a treatment; the treatments are %s", quote(name), either(allTreatments))
	}
	return r
}

// gate reads the parameters of keep and pseudonymize: the field gate.
func (l *loader) gate(e item, s section, r *policy.Rule) {
	if o, ok := l.object(e, s); ok {
		r.RequiresExplicit = o.choice("requires", "", []string{"explicit_consent"}, nil) != ""
	}
}

func (l *loader) mask(e item, r *policy.Rule) {
	o, ok := l.object(e, maskSection)
	if !ok {
		return
	}
	r.RequiresExplicit = o.choice("requires", "", []string{"explicit_consent"}, nil) != ""
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
	slices.SortFunc(r.Treatment.Params, func(a, b policy.Param) int { return cmp.Compare(a.Name, b.Name) })
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

// plain reports a number that YAML readers write in several ways.
func (l *loader) plain(e item, s scalar, ok bool) bool {
	if !ok {
		l.report(e.place(), "", "%s is not a plain decimal number, true or false; put quotes around text", s.shown())
	}
	return ok
}
