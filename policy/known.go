package policy

import "slices"

// Concerns reports whether a consent event that names id can concern a purpose
// of p: the purpose itself, one above it ("marketing" for marketing.email), or "*".
// An event about anything else is kept and changes no decision.
func (p *Policy) Concerns(id string) bool {
	return slices.ContainsFunc(p.Purposes, func(own Purpose) bool { return concerns(id, own.ID) })
}

// PurposeIDs lists the purposes' ids, in policy order.
func (p *Policy) PurposeIDs() []string {
	ids := make([]string, len(p.Purposes))
	for i := range p.Purposes {
		ids[i] = p.Purposes[i].ID
	}
	return ids
}
