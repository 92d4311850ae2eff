package infer

import (
	"slices"
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// phrase is one phrase of the table.
type phrase struct {
	category string
	words    []string
	// inner is how many of words belong to the member itself; 0: it does not
	// matter where the member begins.
	inner int
	whole bool // the whole name, of a member that lies in none
}

// dictionary is the table, by the last words of its phrases.
type dictionary struct {
	byLast    map[string][]phrase
	known     vocabulary
	envelopes map[string]bool
}

// names is the table that ships. It is built once and never changed.
var names = newDictionary(nameRules)

func newDictionary(rules []nameRule) *dictionary {
	d := &dictionary{byLast: map[string][]phrase{}, known: vocabulary{}, envelopes: map[string]bool{}}
	people := strings.Fields(persons)
	for _, w := range slices.Concat(people, strings.Fields(plainWords), strings.Fields(envelopes)) {
		d.known[w] = true
	}
	for _, w := range strings.Fields(envelopes) {
		d.envelopes[w] = true
	}
	for _, r := range rules {
		for text := range strings.SplitSeq(r.phrases, ",") {
			for _, word := range personsIn(strings.TrimSpace(text), people) {
				d.add(r.category, word)
			}
		}
	}
	return d
}

func personsIn(text string, people []string) []string {
	if !strings.Contains(text, "PERSON") {
		return []string{text}
	}
	var out []string
	for _, p := range people {
		out = append(out, strings.Replace(text, "PERSON", p, 1))
	}
	return out
}

func (d *dictionary) add(category, text string) {
	p := phrase{category: category}
	text, p.whole = strings.CutPrefix(text, "^")
	outer, inner, bound := strings.Cut(text, "/")
	p.words = strings.Fields(outer)
	if bound {
		own := strings.Fields(inner)
		p.inner, p.words = len(own), append(p.words, own...)
	}
	for _, w := range p.words {
		d.known[w] = true
	}
	last := p.words[len(p.words)-1]
	for _, other := range d.byLast[last] {
		if other.inner == p.inner && other.whole == p.whole && slices.Equal(other.words, p.words) {
			return // the rule that stands first holds: username before PERSON name
		}
	}
	d.byLast[last] = append(d.byLast[last], p)
}

// named is what the table says of a name.
type named struct {
	category string
	phrase   string // the words that it was found by
	outer    bool   // they are those of the member that it lies in
}

// find looks a position up, for a category that may be: that of its own name,
// else that of the nearest member that it lies in, if that says something of all
// that lies there. What lies below a consent is of the consent: email there is what
// somebody agreed to. The zero named means that no phrase fits, or one that says
// that the name is nobody's.
func (d *dictionary) find(p schemas.Path, may func(category string) bool) (found named) {
	members := d.members(p)
	for i := len(members) - 1; i >= 0; i-- {
		outer := slices.Concat(members[:i]...)
		best, ok := d.best(append(outer, members[i]...), len(outer))
		switch own := i == len(members)-1; {
		case !ok:
		case best.category == "":
			return found
		case !may(best.category):
		case own:
			return named{best.category, strings.Join(best.words, " "), false}
		case !best.cascades():
		case found.category == "" || best.category == consentCategory:
			found = named{best.category, strings.Join(best.words, " "), true}
		}
	}
	return found
}

const consentCategory = "user.privacy_preferences"

// cascades reports whether a phrase's category is proposed for what lies below a member
// of that name. An event, a session and a system can hold anything, such as the text
// of a query.
func (p *phrase) cascades() bool {
	session := p.words[len(p.words)-1] == "session"
	return !session && p.category != "user.behavior" && p.category != "system" && !covers("system", p.category)
}

// members are the words of the names on the way, without the envelopes. A
// predicate's text is a name, and a value after it none: it says what the entry
// is for.
func (d *dictionary) members(p schemas.Path) [][]string {
	var out [][]string
	for i, s := range p {
		name := s.Name
		switch {
		case s.Kind == schemas.StepPredicate:
			name = s.Value
		case s.Kind != schemas.StepMember, slices.ContainsFunc(p[:i], func(s schemas.Step) bool { return s.Kind == schemas.StepPredicate }):
			continue
		}
		words := d.known.words(name)
		if len(words) == 1 && d.envelopes[words[0]] && i < len(p)-1 {
			continue
		}
		if len(words) > 0 {
			out = append(out, words)
		}
	}
	return out
}

// best is the phrase that ends last in words, of these the longest, and of these
// the one that says where the member begins; it ends at or after own.
func (d *dictionary) best(words []string, own int) (best phrase, ok bool) {
	for end := len(words); end > own; end-- {
		for _, p := range d.byLast[words[end-1]] {
			if p.fits(words, own, end) && (!ok || p.beats(best)) {
				best, ok = p, true
			}
		}
		if ok {
			return best, true
		}
	}
	return phrase{}, false
}

func (p *phrase) fits(words []string, own, end int) bool {
	start := end - len(p.words)
	switch {
	case start < 0 || !slices.Equal(p.words, words[start:end]):
		return false
	case p.whole:
		return own == 0 && start == 0 && end == len(words)
	}
	return p.inner == 0 || start < own && end-p.inner == own
}

func (p *phrase) beats(other phrase) bool {
	if len(p.words) != len(other.words) {
		return len(p.words) > len(other.words)
	}
	return p.inner > 0 && other.inner == 0
}
