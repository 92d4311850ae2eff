package policy

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
)

//go:embed fideslang.json
var fideslangJSON []byte

// taxonomy is the data file: every list ascending.
type taxonomy struct {
	Source     string   `json:"source"`
	Version    string   `json:"version"`
	Note       string   `json:"note"`
	Categories []string `json:"data_categories"`
	Uses       []string `json:"data_uses"`
	Extensions []string `json:"extensions"`
	Special    []string `json:"special"`
	Criminal   []string `json:"criminal"`
}

// fideslang is read once and never changed.
var fideslang = func() (t taxonomy) {
	if err := json.Unmarshal(fideslangJSON, &t); err != nil {
		panic("policy: fideslang.json: " + err.Error())
	}
	return t
}()

// TaxonomyVersion is the version of the taxonomy in use; it is part of the
// policy's digest.
func TaxonomyVersion() string { return fideslang.Version }

// Categories are all category keys that ship, ascending by taxonomy then
// extensions. The caller owns the list.
func Categories() []string { return slices.Concat(fideslang.Categories, fideslang.Extensions) }

// DataUses are all data uses that ship, ascending. The caller owns the list.
func DataUses() []string { return slices.Clone(fideslang.Uses) }

// ValidCategory reports whether key is a category: fideslang's or one below `x.`.
// An extension that is spelled almost like one that ships is refused: a slip
// must not take a category out of the special ones.
func ValidCategory(key string) bool {
	if _, ok := slices.BinarySearch(fideslang.Categories, key); ok {
		return true
	}
	if !strings.HasPrefix(key, "x.") || !wellFormed(key) {
		return false
	}
	for _, known := range fideslang.Extensions {
		if covers(known, key) {
			return true
		}
		if n := len(strings.Split(known, ".")); distance(known, firstNames(key, n)) <= 2 {
			return false
		}
	}
	return true
}

// firstNames is key cut to its first n names.
func firstNames(key string, n int) string {
	names := strings.Split(key, ".")
	return strings.Join(names[:min(n, len(names))], ".")
}

// ValidDataUse reports whether key is one of fideslang's data uses.
func ValidDataUse(key string) bool {
	_, ok := slices.BinarySearch(fideslang.Uses, key)
	return ok
}

// wellFormed reports whether key is lower-case names joined by dots.
func wellFormed(key string) bool {
	for name := range strings.SplitSeq(key, ".") {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return false
		}
	}
	return true
}

// Special reports whether category is a special one (GDPR article 9).
func Special(category string) bool { return within(fideslang.Special, category) != "" }

// Criminal reports whether category is data on criminal convictions and offences
// (GDPR article 10).
func Criminal(category string) bool { return within(fideslang.Criminal, category) != "" }

// within is the key of the set that covers the category, "" for none.
func within(set []string, category string) string {
	for _, key := range set {
		if covers(key, category) {
			return key
		}
	}
	return ""
}

// covers reports whether category is key or below it. The empty key covers nothing.
func covers(key, category string) bool {
	return key != "" && strings.HasPrefix(category, key) && (len(category) == len(key) || category[len(key)] == '.')
}

// Rule is the purpose's rule for a category: that of the most specific key that
// covers it. Without one, what has the category is withheld. A special or
// criminal category is covered only by a key that names it, or is below the key
// that names it, and a rule that would show something of its value without
// `requires:` or a `ground:` for it becomes redact (D23).
func (p *Purpose) Rule(category string) (Rule, bool) {
	sensitive := cmp.Or(within(fideslang.Special, category), within(fideslang.Criminal, category))
	var best Rule
	for _, r := range p.Treat {
		if !covers(r.Category, category) || len(r.Category) <= len(best.Category) {
			continue
		}
		if sensitive == "" || covers(sensitive, r.Category) {
			best = r
		}
	}
	if best.Category == "" {
		return Rule{}, false
	}
	if sensitive != "" && !best.RequiresExplicit && !slices.Contains(Grounds(category), best.Ground) && best.Treatment.Shows() {
		best.Treatment = Treatment{Name: "redact"}
	}
	return best, true
}

// The exceptions of GDPR article 9(2) without (a), which is explicit consent,
// and the one word for article 10.
var (
	art9Grounds  = []string{"art9_2_b", "art9_2_c", "art9_2_d", "art9_2_e", "art9_2_f", "art9_2_g", "art9_2_h", "art9_2_i", "art9_2_j"}
	art10Grounds = []string{"art10"}
)

// Grounds are the words that `ground:` may have for a category; none for one
// that is neither special nor criminal. The caller must not modify them.
func Grounds(category string) []string {
	switch {
	case Special(category):
		return art9Grounds
	case Criminal(category):
		return art10Grounds
	}
	return nil
}

// Shows reports whether something of the value may be left: true for every treatment
// that is not known to hide it.
func (t Treatment) Shows() bool {
	switch t.Name {
	case "", "drop", "redact", "constant":
		return false
	}
	return true
}
