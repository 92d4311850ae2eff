package consent

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/consentstream/consentstream/internal/personal"
)

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
// characters, invisible ones (except for `none`), an empty or too long text, a
// placeholder that stands for nobody (D7), and what is no e-mail domain or phone
// number where it should be one.
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
	dst, err := appendText(dst, raw, rule)
	if err != nil {
		return nil, err
	}
	if err := checkIdentifier(dst[n:]); err != nil {
		return nil, err
	}
	switch rule {
	case NormalizeEmail:
		dst, err = asciiDomain(dst, n)
	case NormalizePhone:
		dst, err = e164(dst, n)
	default:
		return dst, nil
	}
	if err != nil {
		return nil, err
	}
	if err := checkIdentifier(dst[n:]); err != nil {
		return nil, err
	}
	return dst, nil
}

// appendText appends text in the Unicode form and case of its rule. One name has
// one spelling, whichever keyboard it was typed on: else an objection under one
// would not be found under the other. Lower case goes by composed letters, and
// may leave some to be composed. Text that is in NFC already, as nearly all is,
// comes back as it is.
func appendText(dst, text []byte, rule Normalization) ([]byte, error) {
	n := len(dst)
	if dst, ok := appendASCII(dst, text, rule >= NormalizeLower); ok {
		return dst, nil
	}
	if rule >= NormalizeNFC {
		text = norm.NFC.Bytes(text)
	}
	dst, err := appendRunes(dst, text, rule)
	if err == nil && rule >= NormalizeLower {
		dst = append(dst[:n], norm.NFC.Bytes(dst[n:])...)
	}
	return dst, err
}

// appendASCII is appendText of printable ASCII, as most identifiers are: that is in
// every form already, case apart. ok is false, and nothing appended, for other text.
func appendASCII(dst, text []byte, lower bool) (appended []byte, ok bool) {
	n := len(dst)
	dst = append(dst, text...)
	for i, c := range dst[n:] {
		if c < ' ' || c > '~' {
			return dst[:n], false
		}
		if lower && 'A' <= c && c <= 'Z' {
			dst[n+i] = c + 'a' - 'A'
		}
	}
	return dst, true
}

// asciiDomain writes the domain of dst[n:], what is after the last @, in the
// form that DNS has: müller.example and xn--mller-kva.example are one mailbox's.
// Plain ASCII stays as it is.
func asciiDomain(dst []byte, n int) ([]byte, error) {
	at := n + bytes.LastIndexByte(dst[n:], '@') + 1
	domain := dst[at:]
	if at == n || isASCII(domain) && !bytes.Contains(domain, []byte("xn--")) {
		return dst, nil
	}
	ascii, err := idna.Lookup.ToASCII(string(domain))
	if err != nil {
		return nil, ErrDomain
	}
	return append(dst[:at], ascii...), nil
}

func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// maxPhone bounds what is parsed: 15 digits, each with two separators.
const maxPhone = 48

// e164 writes the number in dst[n:] as E.164. The library gets digits and
// separators only: it also reads letters, extensions and URLs, and whoever
// shares a switchboard must not become one person.
func e164(dst []byte, n int) ([]byte, error) {
	text := bytes.TrimPrefix(dst[n:], []byte("tel:"))
	if len(text) > maxPhone || len(text) == 0 || text[0] != '+' {
		return nil, ErrPhone
	}
	for _, c := range text[1:] {
		if (c < '0' || c > '9') && strings.IndexByte(" -./()", c) < 0 {
			return nil, ErrPhone
		}
	}
	number, ok := parsePhone(string(text))
	if again, _ := parsePhone(number); !ok || again != number {
		return nil, ErrPhone // +49 0 01 would become +49 01, and that another number
	}
	return append(dst[:n], number...), nil
}

// parsePhone gives the E.164 form of a number that is possible in its country.
func parsePhone(text string) (string, bool) {
	number, err := phonenumbers.Parse(text, "ZZ") // no country is taken for granted
	if err != nil || number.GetNationalNumber() == 0 || phonenumbers.IsPossibleNumberWithReason(number) != phonenumbers.IS_POSSIBLE {
		return "", false
	}
	return phonenumbers.Format(number, phonenumbers.E164), true
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

// invisible reports whether r is a character that nobody sees and that trimming
// white space does not remove: with a zero-width space pasted along, an objection
// would not be found.
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

// placeholders are the texts that programs write when they have no identifier;
// thousands of people would share them. Case does not count.
var placeholders = [...]string{
	"null", "(null)", "<null>", "nil", "none", "undefined", "nan", "n/a", "0", "-0",
	"anonymous", "anonymous_user", "unknown", "[object object]", "test@test.com",
	"00000000-0000-0000-0000-000000000000",
}

func isPlaceholder(word []byte) bool {
	for _, p := range placeholders {
		if len(p) == len(word) && isInAnyCase(word, p) {
			return true
		}
	}
	return false
}

// isInAnyCase reports whether word equals lower, ignoring ASCII case; both have the
// same length.
func isInAnyCase(word []byte, lower string) bool {
	for i, c := range word {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
