package consent

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of the search for whom a malformed event names. Beyond any of them the
// event is FaultUnsearched.
const (
	// MaxNamed is how many people one event denies, besides the one of its key.
	MaxNamed    = 1000
	maxSearched = 1 << 20      // bytes
	maxTried    = 4 * MaxNamed // identifiers that may be nobody's, or those of one person
	// spareRead is how many bytes may be read beyond maxNested times those of the value.
	// Each is read again for every object that it may be in, and these are more only
	// in short texts and in what was made to keep readers busy.
	spareRead = 64 << 10
)

// maxNested is how many brackets may be open in an object that names somebody, its
// own among them. Of one with more the rest is not read, since in a text without its
// closing brackets that would be the rest of the text for each object.
const maxNested = 8

// search finds whom a value names that is not a faultless event: whatever else it
// says, it may be the withdrawal of these people. What is wrong with it can be
// anything, so it is not parsed. Each `{` before a quote is taken for the beginning of
// an object, even in what looks like a string, since a quote may be missing before it;
// and an object whose own members are a namespace and a value names somebody. So nothing
// that happens to a value outside of this object hides a person. What happens in the
// object up to the second of the two can: that one is torn within, or a quote is missing.
type search struct {
	ns    Namespaces
	named []Identifier
	tried int
	left  int  // bytes that may still be read
	more  bool // there may be people that were not looked for, and no more are
	deep  bool // so there may: an object was not read to its end
}

// value searches a value, and once more what it has in strings if it names nobody
// outside of them: some producers encode twice.
func (s *search) value(value []byte) {
	text := value[:min(len(value), maxSearched)]
	s.left = maxNested*len(text) + spareRead
	if s.text(text); len(s.named) == 0 && bytes.IndexByte(text, '\\') >= 0 {
		s.text([]byte(unescaped.Replace(string(text))))
	}
	s.more = s.more || s.deep || len(value) > maxSearched
}

// unescaped is the text of a JSON string whose text is JSON.
var unescaped = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\u0022`, `"`, `\/`, `/`, `\n`, "\n", `\r`, "\r", `\t`, "\t")

func (s *search) text(text tokens) {
	for i := range text {
		if text[i] == '{' && text[i+1:].opensString() && !s.more {
			s.object(text[i+1:])
		}
	}
}

// object reads the text behind a `{` as far as the object goes.
func (s *search) object(text tokens) {
	var o candidates
	var name, colon []byte // the tokens before
	for depth := 1; 0 < depth && !s.more; {
		t := s.next(&text)
		switch {
		case t == nil:
			return
		case t[0] == '{' || t[0] == '[':
			if depth++; depth > maxNested {
				s.deep = true
				return
			}
		case t[0] == '}' || t[0] == ']':
			depth--
		case depth == 1 && name != nil && name[0] == '"' && colon[0] == ':':
			s.member(&o, name, t)
		}
		name, colon = colon, t
	}
}

func (s *search) next(text *tokens) []byte {
	before := len(*text)
	t := text.next()
	if s.left -= before - len(*text); s.left < 0 {
		s.more = true
		return nil
	}
	return t
}

// candidates are what the members of one object say; a member may be there twice.
type candidates struct{ namespaces, values []string }

func (s *search) member(o *candidates, name, value []byte) {
	switch {
	case spells(name, "namespace"):
		namespace, ok := unquote(value)
		if !ok || s.ns.rules[namespace] == NoNormalization || slices.Contains(o.namespaces, namespace) {
			return
		}
		o.namespaces = append(o.namespaces, namespace)
		for _, v := range o.values {
			s.try(namespace, v)
		}
	case spells(name, "value"):
		v, ok := unquote(value)
		if !ok && isInteger(value) {
			v, ok = string(value), true
		}
		if !ok {
			return
		}
		o.values = append(o.values, v)
		for _, namespace := range o.namespaces {
			s.try(namespace, v)
		}
	}
}

func (s *search) try(namespace, value string) {
	if s.tried == maxTried {
		s.more = true
		return
	}
	s.tried++
	if id, ok := identify(namespace, value, s.ns); ok {
		s.add(id)
	}
}

func (s *search) add(id Identifier) {
	switch {
	case slices.Contains(s.named, id):
	case len(s.named) == MaxNamed:
		s.more = true
	default:
		s.named = append(s.named, id)
	}
}

// tokens are those of a text that may be JSON.
type tokens []byte

// next is the next one: a string with its quotes, one of {}[]:, or a word, which is
// everything else up to one of these or white space. Nil: there is none, or a
// string without an end, after which nothing is left.
func (text *tokens) next() []byte {
	rest := text.trimmed()
	n := tokenLength(rest)
	if n == 0 {
		*text = nil
		return nil
	}
	*text = rest[n:]
	return rest[:n]
}

func (text tokens) trimmed() tokens {
	for len(text) > 0 && isSpace(text[0]) {
		text = text[1:]
	}
	return text
}

func (text tokens) opensString() bool {
	text = text.trimmed()
	return len(text) > 0 && text[0] == '"'
}

// tokenLength is 0 for none.
func tokenLength(text []byte) int {
	switch {
	case len(text) == 0:
		return 0
	case text[0] == '"':
		return stringLength(text)
	case isDelimiter(text[0]):
		return 1
	}
	n := 1
	for n < len(text) && !isSpace(text[n]) && !isDelimiter(text[n]) {
		n++
	}
	return n
}

func stringLength(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func isDelimiter(c byte) bool {
	switch c {
	case '{', '}', '[', ']', ':', ',', '"':
		return true
	}
	return false
}

// spells reports whether a token is the string of word, escaped or not.
func spells(token []byte, word string) bool {
	if len(token) > len(`""`)+len(word)*len(`\u0061`) {
		return false
	}
	s, ok := unquote(token)
	return ok && s == word
}

// unquote is the text of a token that is a string in well-formed UTF-8.
func unquote(token []byte) (string, bool) {
	text, err := jsontext.AppendUnquote(nil, token)
	return string(text), err == nil
}

// isInteger reports whether a token is an integer as JSON has it, other than 0,
// which is nobody's.
func isInteger(token []byte) bool {
	digits := bytes.TrimPrefix(token, []byte("-"))
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) > 0 && digits[0] != '0'
}
