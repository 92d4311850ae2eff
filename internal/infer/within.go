package infer

import (
	"slices"

	"github.com/consentstream/consentstream/schemas"
)

// Elements is the path of the elements of an event that is an array itself.
const Elements = "[*]"

// Arrays reports whether the events that fields are of are arrays.
func Arrays(fields []Field) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return f.Path[0].Kind == schemas.StepElements })
}

// Within are the fields below a path, with their paths from there.
func Within(fields []Field, at schemas.Path) []Field {
	var out []Field
	for _, f := range fields {
		if n := len(at); len(f.Path) > n && slices.Equal(f.Path[:n], at) {
			f.Path = f.Path[n:]
			f.Once = once(f.Path)
			out = append(out, f)
		}
	}
	return out
}

// Rule is a rule of a wiring: a path that has a category, or a text of JSON with
// rules for what is in it.
type Rule struct {
	Path   schemas.Path
	Nested bool
	Inside []Rule
}

// Covered reports whether one of rules covers the field: its category cascades to it.
func (f *Field) Covered(rules []Rule) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool { return r.Path.Covers(f.Path) })
}

// New are the fields that no rule covers. Of a text that is looked into, they are
// those in it.
func New(fields []Field, rules []Rule) []Field {
	var out []Field
	for _, f := range fields {
		i := slices.IndexFunc(rules, func(r Rule) bool { return r.Nested && r.Path.Covers(f.Path) })
		switch {
		case i >= 0 && f.Encoding != "":
			if f.Inside = New(f.Inside, rules[i].Inside); len(f.Inside) > 0 {
				f.Notes = append(slices.Clone(f.Notes), "add these to the lines that it has")
				out = append(out, f)
			}
		case !f.Covered(rules) && !(f.hollow && f.above(rules)):
			out = append(out, f)
		}
	}
	return out
}

// above reports whether a rule is for what may lie in the field.
func (f *Field) above(rules []Rule) bool {
	n := len(f.Path)
	return slices.ContainsFunc(rules, func(r Rule) bool { return len(r.Path) > n && slices.Equal(r.Path[:n], f.Path) })
}
