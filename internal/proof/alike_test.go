package proof

import (
	"slices"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
)

// Which elements a predicate chose is not for a purpose to see that sees the same of
// all elements. Each of these was once taken for another.
func TestAlike(t *testing.T) {
	for name, c := range map[string]struct {
		all, chosen, others string // categories of a[*], a[k=="v"].x and a[*].x
		want                bool
	}{
		"kept alike":                        {"user.contact", "user.contact", "", true},
		"what binds them reaches into them": {"user.contact", "user.contact", "", false},
		"one is not seen":                   {"", "user.contact", "", false},
		"neither is seen":                   {"", "user.health_and_medical", "", true},
		"a treatment comes to the named":    {"user.name", "user.name", "", false},
		"both are named":                    {"", "user.name", "user.name", true},
		"a token is of its path":            {"", "user.unique_id", "user.unique_id", false},
		"a pseudonym is of its category":    {"", "user.financial", "user.behavior", false},
		"a pseudonym of the same category":  {"", "user.financial", "user.financial", true},
	} {
		treat := func(category, name string) policy.Rule {
			return policy.Rule{Category: category, Treatment: treatment(name)}
		}
		w := &world{policy: &policy.Policy{Purposes: []policy.Purpose{{Treat: []policy.Rule{treat("user.contact", "keep"), treat("user.name", "mask"),
			treat("user.unique_id", "encrypt"), treat("user.financial", "pseudonymize"), treat("user.behavior", "pseudonymize")}}}}}
		for path, category := range map[string]string{"a[*]": c.all, `a[k=="v"].x`: c.chosen, "a[*].x": c.others} {
			if category != "" {
				w.rules = add(w.rules, newRule(path, category))
			}
		}
		w.stream.Subjects, w.people = []engine.SubjectRule{{Name: "customer"}}, []person{{said: []string{"expressed"}}}
		if name == "what binds them reaches into them" {
			i := slices.IndexFunc(w.rules, func(r rule) bool { return r.text == `a[k=="v"].x` })
			w.rules[i].subject = "customer"
		}
		if got := (&changer{view: w.view(0, []int{0})}).alike(path("a")); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
