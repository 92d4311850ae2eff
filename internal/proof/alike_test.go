package proof

import (
	"testing"

	"github.com/consentstream/consentstream/policy"
)

// Which elements a predicate chose is not for a purpose to see that sees the same of
// all elements. Each of these was once taken for another.
func TestAlike(t *testing.T) {
	for name, c := range map[string]struct {
		all, chosen, others string // categories of a[*], a[k=="v"].x and a[*].x
		want                bool
	}{
		"kept alike":                       {"user.contact", "user.contact", "", true},
		"one is not seen":                  {"", "user.contact", "", false},
		"neither is seen":                  {"", "user.health_and_medical", "", true},
		"a treatment comes to the named":   {"user.name", "user.name", "", false},
		"both are named":                   {"", "user.name", "user.name", true},
		"a token is of its path":           {"", "user.unique_id", "user.unique_id", false},
		"a pseudonym is of its category":   {"", "user.financial", "user.behavior", false},
		"a pseudonym of the same category": {"", "user.financial", "user.financial", true},
	} {
		treat := func(category, name string) policy.Rule {
			return policy.Rule{Category: category, Treatment: treatment(name)}
		}
		w := &world{explicit: []bool{false}, policy: &policy.Policy{Purposes: []policy.Purpose{{Treat: []policy.Rule{treat("user.contact", "keep"), treat("user.name", "mask"),
			treat("user.unique_id", "encrypt"), treat("user.financial", "pseudonymize"), treat("user.behavior", "pseudonymize")}}}}}
		for path, category := range map[string]string{"a[*]": c.all, `a[k=="v"].x`: c.chosen, "a[*].x": c.others} {
			if category != "" {
				w.classify(path, category)
			}
		}
		if got := (&changer{w: w}).alike(path("a")); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
