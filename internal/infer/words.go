package infer

import (
	"strings"
	"unicode"
)

// split cuts a name into lower-case words: at everything that is neither letter
// nor digit, between letters and digits, before an upper-case letter after a
// lower-case one, and before the last letter of an acronym (IPAddress).
func split(name string) []string {
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		if i > 0 && startsWord(runes, i) {
			flush()
		}
		word = append(word, r)
	}
	flush()
	return words
}

// startsWord reports whether a word starts at runes[i], by the kinds of characters.
func startsWord(runes []rune, i int) bool {
	before, r := runes[i-1], runes[i]
	switch {
	case unicode.IsDigit(before) != unicode.IsDigit(r):
		return true
	case !unicode.IsUpper(r):
		return false
	}
	return !unicode.IsUpper(before) || i+1 < len(runes) && unicode.IsLower(runes[i+1])
}

// vocabulary are the words that the table of phrases is made of, and some that
// names of fields are made of and that say nothing of their category.
type vocabulary map[string]bool

// words splits a name and brings its words to the forms of the vocabulary.
func (v vocabulary) words(name string) []string {
	var out []string
	for _, w := range split(name) {
		out = append(out, v.forms(w)...)
	}
	return out
}

// forms is a word in the vocabulary's form: as it is, without the ending of a
// plural, or as the words that it is written together from; else as it is.
func (v vocabulary) forms(word string) []string {
	if one, ok := v.singular(word); ok {
		return []string{one}
	}
	if parts := v.parts(word); parts != nil {
		return parts
	}
	return []string{word}
}

func (v vocabulary) singular(word string) (string, bool) {
	for _, ending := range []string{"", "s", "es"} {
		if one, ok := strings.CutSuffix(word, ending); ok && v[one] {
			return one, true
		}
	}
	return "", false
}

// maxTogether is the longest word that is tried as several written together.
const maxTogether = 32

// parts are the words that a word is written together from, the first of them as
// long as can be: at most three, of three letters or more except for id and ip.
func (v vocabulary) parts(word string) []string {
	if len(word) > maxTogether {
		return nil
	}
	return v.cut(word, 3)
}

func (v vocabulary) cut(word string, n int) []string {
	if one, ok := v.singular(word); ok && joinable(word) {
		return []string{one}
	}
	for i := len(word) - 1; n > 1 && i >= 2; i-- {
		if !v[word[:i]] || !joinable(word[:i]) {
			continue
		}
		if rest := v.cut(word[i:], n-1); rest != nil {
			return append([]string{word[:i]}, rest...)
		}
	}
	return nil
}

func joinable(word string) bool { return len(word) > 2 || word == "id" || word == "ip" }

// knows reports whether a text is a name beyond doubt: all its words stand in the
// vocabulary. Single digits may stand beside them (address 1).
func (v vocabulary) knows(text string) bool {
	if len(text) > maxPlainName || strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
		return false
	}
	known := false
	for _, w := range v.words(text) {
		switch {
		case v[w]:
			known = true
		case len(w) != 1 || !unicode.IsDigit(rune(w[0])):
			return false
		}
	}
	return known
}
