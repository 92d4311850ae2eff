package reference

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

var placeholders = regexp.MustCompile(`(?i)^(null|\(null\)|<null>|nil|none|undefined|nan|n/a|0|-0|anonymous|anonymous_user|unknown|` +
	`\[object object\]|test@test\.com|00000000-0000-0000-0000-000000000000)$`)

var invisible = []*unicode.RangeTable{unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector}

// normalize is DECISION D7: the identifier as its namespace compares it, or
// false where it names nobody.
func (p *Policy) normalize(namespace, value string) (string, bool) {
	rule, ok := p.Namespaces[namespace]
	if !ok || len(value) > 1024 || !utf8.ValidString(value) {
		return "", false
	}
	if rule != "none" {
		value = strings.TrimSpace(value)
		if strings.ContainsFunc(value, func(r rune) bool { return unicode.In(r, invisible...) }) {
			return "", false
		}
	}
	if !named(value) {
		return "", false
	}
	switch rule {
	case "none", "trim":
	case "nfc":
		value = norm.NFC.String(value)
	case "lower":
		value = lower(value)
	case "email":
		value, ok = email(lower(value))
	case "phone":
		value, ok = phone(value)
	default:
		return "", false
	}
	return value, ok && len(value) <= 1024 && named(value)
}

// named: text without control characters that is not what programs write when
// they know nobody.
func named(value string) bool {
	word := strings.TrimSpace(value)
	return word != "" && !placeholders.MatchString(word) && !strings.ContainsRune(value, utf8.RuneError) && !strings.ContainsFunc(value, unicode.IsControl)
}

// lower is the composed text, letter by letter in lower case, composed; a sigma
// has one form.
func lower(value string) string {
	small := strings.Map(unicode.ToLower, norm.NFC.String(value))
	return norm.NFC.String(strings.ReplaceAll(small, "ς", "σ"))
}

// email: an international domain is written as DNS does.
func email(value string) (string, bool) {
	at := strings.LastIndex(value, "@")
	domain := value[at+1:]
	foreign := strings.ContainsFunc(domain, func(r rune) bool { return r > 127 }) || strings.Contains(domain, "xn--")
	if at < 0 || !foreign {
		return value, true
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	return value[:at+1] + ascii, err == nil
}

var dialled = regexp.MustCompile(`^(?:tel:)?(\+[0-9 ./()-]{0,47})$`)

// phone: E.164, as Google's tables have it; a number that they read in two ways
// is nobody's.
func phone(value string) (string, bool) {
	m := dialled.FindStringSubmatch(value)
	if m == nil {
		return "", false
	}
	once := e164(m[1])
	return once, once != "" && e164(once) == once
}

func e164(value string) string {
	n, err := phonenumbers.Parse(value, phonenumbers.UNKNOWN_REGION)
	if err != nil || *n.NationalNumber == 0 || phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
		return ""
	}
	return phonenumbers.Format(n, phonenumbers.E164)
}
