package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTaxonomy(t *testing.T) {
	if n, m := len(fideslang.Categories), len(DataUses()); n != 85 || m != 56 {
		t.Errorf("%d categories, %d data uses", n, m)
	}
	for name, list := range map[string][]string{
		"categories": fideslang.Categories, "uses": fideslang.Uses, "extensions": fideslang.Extensions,
		"special": fideslang.Special, "criminal": fideslang.Criminal,
	} {
		if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
			t.Errorf("%s: not ascending and unique", name)
		}
		for _, key := range list {
			i := strings.LastIndexByte(key, '.')
			if name != "extensions" && name != "special" && name != "criminal" && i > 0 && !slices.Contains(list, key[:i]) {
				t.Errorf("%s: %s has no parent", name, key)
			}
			if name != "uses" && !ValidCategory(key) {
				t.Errorf("%s: %s is not valid", name, key)
			}
		}
	}
	if fideslang.Source == "" || TaxonomyVersion() == "" {
		t.Error("source or version not named")
	}
}

func TestValidCategory(t *testing.T) {
	for key, want := range map[string]bool{
		"user": true, "user.contact.email": true, "x.user.union_membership": true, "x.user.union_membership.branch": true,
		"x.loyalty": true, "x.user.shoe_size": true,
		"": false, "User": false, "user.": false, "user.email": false, "user.contact.emails": false, "x": false, "x.": false,
		"x..a": false, "x.A": false, "x.user.union_membrship": false, "x.user.union_member_ship": false, "x.usr.union_membership": false,
		"x.user.union_membrship.branch": false,
	} {
		if ValidCategory(key) != want {
			t.Errorf("%q: %t", key, !want)
		}
	}
	if !ValidDataUse("essential.service") || ValidDataUse("essential.servic") || ValidDataUse("") {
		t.Error("data uses")
	}
}

func TestSensitive(t *testing.T) {
	for key, want := range map[string][2]bool{
		"user.health_and_medical": {true, false}, "user.health_and_medical.genetic": {true, false}, "user.health_and_medicals": {},
		"user.biometric.voice": {true, false}, "user.authorization.biometric": {true, false}, "user.authorization": {},
		"user.demographic": {}, "user.demographic.religious_belief": {true, false}, "user.criminal_history": {false, true},
		"x.user.union_membership": {true, false}, "user": {}, "": {},
	} {
		if got := [2]bool{Special(key), Criminal(key)}; got != want {
			t.Errorf("%q: %v", key, got)
		}
	}
}

// TestRule is D23 and the cascade of DESIGN section 4.
func TestRule(t *testing.T) {
	rule := func(category, treatment string) Rule {
		return Rule{Category: category, Treatment: Treatment{Name: treatment}}
	}
	gated := func(category, treatment string) Rule {
		r := rule(category, treatment)
		r.RequiresExplicit = true
		return r
	}
	grounded := func(category, ground string) Rule {
		r := rule(category, "keep")
		r.Ground = ground
		return r
	}
	for _, c := range []struct {
		name, category string
		treat          []Rule
		want           string // treatment, "" for no rule
		gated          bool
	}{
		{"no rule", "user.name", nil, "", false},
		{"the same key", "user.name", []Rule{rule("user.name", "keep")}, "keep", false},
		{"a parent's", "user.name.first", []Rule{rule("user", "keep")}, "keep", false},
		{"only at dots", "user.named", []Rule{rule("user.name", "keep")}, "", false},
		{"never a child's", "user.name", []Rule{rule("user.name.first", "keep")}, "", false},
		{"the most specific", "user.name.first", []Rule{rule("user.name", "redact"), rule("user", "keep")}, "redact", false},
		{"the empty key covers nothing", "user.name", []Rule{rule("", "keep")}, "", false},
		{"an empty category has no rule", "", []Rule{rule("user", "keep")}, "", false},
		{"special: not by a broader key", "user.health_and_medical", []Rule{rule("user", "keep")}, "", false},
		{"special: not by a broader gate", "user.demographic.religious_belief", []Rule{gated("user.demographic", "keep")}, "", false},
		{"special: named without a gate", "user.health_and_medical", []Rule{rule("user.health_and_medical", "keep")}, "redact", false},
		{"special: pseudonymized without a gate", "user.health_and_medical", []Rule{rule("user.health_and_medical", "pseudonymize")}, "redact", false},
		{"special: a treatment not known yet", "user.health_and_medical", []Rule{rule("user.health_and_medical", "sparkle")}, "redact", false},
		{"special: constant shows nothing", "user.health_and_medical", []Rule{rule("user.health_and_medical", "constant")}, "constant", false},
		{"special: drop", "user.health_and_medical", []Rule{rule("user.health_and_medical", "drop")}, "drop", false},
		{"special: gated", "user.health_and_medical", []Rule{gated("user.health_and_medical", "keep")}, "keep", true},
		{"special: below the key that names it", "user.health_and_medical.genetic", []Rule{gated("user.health_and_medical", "keep"), rule("user", "keep")}, "keep", true},
		{"special: named more closely, without a gate", "user.health_and_medical.genetic",
			[]Rule{gated("user.health_and_medical", "keep"), rule("user.health_and_medical.genetic", "keep")}, "redact", false},
		{"criminal", "user.criminal_history", []Rule{rule("user", "keep")}, "", false},
		{"criminal: gated", "user.criminal_history", []Rule{gated("user.criminal_history", "keep")}, "keep", true},
		{"criminal: named without a gate", "user.criminal_history", []Rule{rule("user.criminal_history", "mask")}, "redact", false},
		{"a parent of special ones is not special itself", "user.demographic", []Rule{rule("user", "keep")}, "keep", false},
		{"extension", "x.user.union_membership", []Rule{rule("x.user", "keep")}, "", false},
		{"special: on a ground", "user.health_and_medical.genetic", []Rule{grounded("user.health_and_medical", "art9_2_h")}, "keep", false},
		{"special: on the ground of convictions", "user.health_and_medical", []Rule{grounded("user.health_and_medical", "art10")}, "redact", false},
		{"special: on explicit consent, which is no ground", "user.health_and_medical", []Rule{grounded("user.health_and_medical", "art9_2_a")}, "redact", false},
		{"special: on a ground in another spelling", "user.health_and_medical", []Rule{grounded("user.health_and_medical", "Art9_2_h")}, "redact", false},
		{"special: a ground of a broader key", "user.health_and_medical", []Rule{grounded("user", "art9_2_h")}, "", false},
		{"criminal: on its ground", "user.criminal_history", []Rule{grounded("user.criminal_history", "art10")}, "keep", false},
		{"criminal: on a ground of article 9", "user.criminal_history", []Rule{grounded("user.criminal_history", "art9_2_b")}, "redact", false},
	} {
		p := Purpose{Treat: c.treat}
		got, ok := p.Rule(c.category)
		if ok != (c.want != "") || got.Treatment.Name != c.want || got.RequiresExplicit != c.gated {
			t.Errorf("%s: %+v, %t", c.name, got, ok)
		}
		slices.Reverse(p.Treat)
		if again, _ := p.Rule(c.category); again.Category != got.Category {
			t.Errorf("%s: the order of rules matters", c.name)
		}
	}
}

// TestRuleNeverWidens: whatever the rules, a special or criminal category shows
// something only behind a gate.
func TestRuleNeverWidens(t *testing.T) {
	all := Categories()
	rapid.Check(t, func(t *rapid.T) {
		var p Purpose
		for range rapid.IntRange(0, 6).Draw(t, "rules") {
			p.Treat = append(p.Treat, Rule{
				Category:         rapid.SampledFrom(all).Draw(t, "key"),
				Treatment:        Treatment{Name: rapid.SampledFrom([]string{"keep", "drop", "redact", "mask", "pseudonymize"}).Draw(t, "treatment")},
				RequiresExplicit: rapid.Bool().Draw(t, "gate"),
				Ground:           rapid.SampledFrom([]string{"", "art9_2_b", "art10", "art9_2_a", "x"}).Draw(t, "ground"),
			})
		}
		for _, category := range all {
			r, ok := p.Rule(category)
			if ok && !covers(r.Category, category) {
				t.Fatalf("%s is ruled by %s", category, r.Category)
			}
			if (Special(category) || Criminal(category)) && r.Treatment.Shows() && !r.RequiresExplicit &&
				(r.Ground != "art9_2_b" || !Special(category)) && (r.Ground != "art10" || !Criminal(category)) {
				t.Fatalf("%s is shown by %+v", category, r)
			}
		}
	})
}

func TestNearest(t *testing.T) {
	for typed, want := range map[string]string{
		"user.contact.emial": "user.contact.email", "User.Contact.Email": "user.contact.email",
		"qqqqqqqqqqqqq": "", strings.Repeat("x", 200): "", "system.operation": "system.operations",
	} {
		if got := Nearest(typed, Categories()); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"abc", "abc", 0}, {"ab", "ba", 1}, {"abcd", "badc", 2}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("%q %q: %d", c.a, c.b, got)
		}
	}
}
