package policy

import "strings"

// Concerns reports whether a consent event that names id can concern a purpose
// of p: the purpose itself, or one above it ("marketing" for marketing.email).
// An event about anything else is kept and changes no decision.
func (p *Policy) Concerns(id string) bool {
	if id == "*" {
		return true
	}
	for i := range p.Purposes {
		if own := p.Purposes[i].ID; own == id || strings.HasPrefix(own, id+".") {
			return true
		}
	}
	return false
}

// PurposeIDs lists the purposes' ids, in policy order.
func (p *Policy) PurposeIDs() []string {
	ids := make([]string, len(p.Purposes))
	for i := range p.Purposes {
		ids[i] = p.Purposes[i].ID
	}
	return ids
}
