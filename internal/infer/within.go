package infer

import (
	"slices"

	"github.com/consentstream/consentstream/schemas"
)

// Elements is the path of the elements of an event that is an array itself.
const Elements = "[*]"

// Within are the fields within the elements at split: with their paths there.
// What lies elsewhere is not of these records.
func Within(fields []Field, split schemas.Path) []Field {
	var out []Field
	for _, f := range fields {
		if n := len(split); len(f.Path) > n && slices.Equal(f.Path[:n], split) {
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

// Covered reports that one of rules covers the field: its category cascades to it.
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
		case !f.Covered(rules):
			out = append(out, f)
		}
	}
	return out
}
