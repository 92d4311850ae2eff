package consent

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sort"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/consentstream/consentstream/internal/personal"
)

// NormalizerVersion names the rules of this file: normalisation, placeholders
// and bounds. It is hashed into the state's epoch, so that rows tagged under
// other rules are never read. Raise it with any change to what is accepted or
// what it becomes.
const NormalizerVersion = 2

// MaxIdentifierBytes bounds an identifier, before and after normalisation.
const MaxIdentifierBytes = 1024

// What is wrong with an identifier. None of them says what it was.
var (
	ErrNamespace   = errors.New("unknown namespace")
	ErrEmpty       = errors.New("empty identifier")
	ErrTooLong     = errors.New("identifier is too long")
	ErrEncoding    = errors.New("identifier is not UTF-8 or has control or invisible characters")
	ErrPlaceholder = errors.New("identifier is a placeholder")
)

// Normalization is how a namespace's identifiers are made comparable. The zero
// Normalization refuses every identifier.
type Normalization uint8

// The normalisations. A value that was none of these is refused by
// ParseNormalization; `phone` and `nfc` are not supported yet.
const (
	NoNormalization Normalization = iota
	NormalizeNone                 // byte for byte
	NormalizeTrim                 // without Unicode white space at both ends; invisible characters are refused
	NormalizeLower                // trimmed, in Unicode NFC, in lower case independent of locale, with one sigma
	NormalizeEmail                // as NormalizeLower; plus tags and dots are significant
)

// ParseNormalization reads the word of the policy file.
func ParseNormalization(word string) (Normalization, bool) {
	switch word {
	case "none":
		return NormalizeNone, true
	case "trim":
		return NormalizeTrim, true
	case "lower":
		return NormalizeLower, true
	case "email":
		return NormalizeEmail, true
	}
	return NoNormalization, false
}

// NamespaceRule is a namespace and its normalisation.
type NamespaceRule struct {
	Name      string
	Normalize Normalization
}

// Namespaces are the kinds of identifiers that exist. The zero Namespaces knows
// none and refuses everything. It is immutable and safe for concurrent use.
type Namespaces struct {
	rules map[string]Normalization
}

// NewNamespaces takes the policy's namespaces. A name given twice refuses.
func NewNamespaces(rules []NamespaceRule) Namespaces {
	m := make(map[string]Normalization, len(rules))
	for _, r := range rules {
		if _, twice := m[r.Name]; twice {
			r.Normalize = NoNormalization
		}
		m[r.Name] = r.Normalize
	}
	return Namespaces{rules: m}
}

// Hash stands for NormalizerVersion and all rules; it is part of the state's
// epoch.
func (ns Namespaces) Hash() [32]byte {
	names := make([]string, 0, len(ns.rules))
	for name := range ns.rules {
		names = append(names, name)
	}
	sort.Strings(names)
	b := binary.BigEndian.AppendUint32([]byte("consentstream namespaces"), NormalizerVersion)
	for _, name := range names {
		b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
		b = append(b, name...)
		b = append(b, byte(ns.rules[name]))
	}
	return sha256.Sum256(b)
}

// Normalize is AppendNormalized for text that is kept.
func (ns Namespaces) Normalize(namespace, raw string) (personal.String, error) {
	b, err := ns.AppendNormalized(nil, namespace, []byte(raw))
	if err != nil {
		return "", err
	}
	return personal.String(b), nil
}

// AppendNormalized appends the identifier as it is compared and tagged. It
// errs, and returns nothing, for an unknown namespace, ill-formed UTF-8, control
// characters, invisible ones (but for `none`), an empty or too long text, and a placeholder that stands for
// nobody (D7).
func (ns Namespaces) AppendNormalized(dst []byte, namespace string, raw []byte) ([]byte, error) {
	rule := ns.rules[namespace]
	if rule == NoNormalization {
		return nil, ErrNamespace
	}
	if len(raw) > MaxIdentifierBytes {
		return nil, ErrTooLong
	}
	if rule != NormalizeNone {
		raw = bytes.TrimSpace(raw)
	}
	n := len(dst)
	lower := rule >= NormalizeLower
	if lower {
		// One name has one spelling, whichever keyboard it was typed on: else an
		// objection under one would not be found under the other. Lower case
		// goes by composed letters, and may leave some to be composed. Text that
		// is in NFC already, as nearly all is, comes back as it is.
		raw = norm.NFC.Bytes(raw)
	}
	dst, err := appendRunes(dst, raw, rule)
	if err != nil {
		return nil, err
	}
	if lower {
		dst = append(dst[:n], norm.NFC.Bytes(dst[n:])...)
	}
	if err := checkIdentifier(dst[n:]); err != nil {
		return nil, err
	}
	return dst, nil
}

// appendRunes copies text, perhaps in lower case, and refuses what is not
// well-formed text without control characters. U+FFFD is refused too: it is what
// a lossy conversion leaves of any ill-formed text, so that people would share it.
func appendRunes(dst, text []byte, rule Normalization) ([]byte, error) {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError || unicode.IsControl(r) || rule != NormalizeNone && invisible(r) {
			return nil, ErrEncoding
		}
		if rule >= NormalizeLower {
			if r = unicode.ToLower(r); r == 'ς' {
				r = 'σ' // one capital has two small forms, by place in the word
			}
		}
		dst = utf8.AppendRune(dst, r)
		text = text[size:]
	}
	return dst, nil
}

// invisible reports what nobody sees and no white space rule takes away: a zero
// width space that was pasted along would hide an objection.
func invisible(r rune) bool {
	return r > unicode.MaxLatin1 && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || r == '\u00ad'
}

func checkIdentifier(id []byte) error {
	switch word := bytes.TrimSpace(id); {
	case len(word) == 0:
		return ErrEmpty
	case len(id) > MaxIdentifierBytes:
		return ErrTooLong
	case isPlaceholder(word):
		return ErrPlaceholder
	}
	return nil
}

// maxPlaceholder is the length of the longest placeholder.
const maxPlaceholder = 36

// isPlaceholder knows the texts that programs write when they have no
// identifier; thousands of people would share them. Case does not count.
func isPlaceholder(word []byte) bool {
	if len(word) > maxPlaceholder {
		return false
	}
	var low [maxPlaceholder]byte
	for i, c := range word {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	switch string(low[:len(word)]) {
	case "null", "(null)", "<null>", "nil", "none", "undefined", "nan", "n/a", "0", "-0",
		"anonymous", "anonymous_user", "unknown", "[object object]", "test@test.com",
		"00000000-0000-0000-0000-000000000000":
		return true
	}
	return false
}
