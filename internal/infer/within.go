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

// Covered reports that one of rules covers the field: its category cascades to it.
func (f *Field) Covered(rules []schemas.Path) bool {
	return slices.ContainsFunc(rules, func(r schemas.Path) bool { return r.Covers(f.Path) })
}

// New are the fields that no rule covers.
func New(fields []Field, rules []schemas.Path) []Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f Field) bool { return f.Covered(rules) })
}
