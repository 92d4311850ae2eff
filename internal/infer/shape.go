package infer

import (
	"encoding/base64"
	"math/big"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Shape is what a value looks like. It says nothing else of the value.
type Shape uint8

// The shapes. A text has the first that fits in this order.
const (
	NoShape Shape = iota
	Email
	Card
	IBAN
	SSN
	Phone
	IPAddress
	MAC
	UUID
	JWT
	UserAgent
	URL
	Timestamp
	BirthDate
	Date
	Coordinates
	Digest
	JSONText
	Base64JSON
	Base64Text
	FreeText
	EpochSeconds
	EpochMillis
	EpochMicros
	Digits
	shapeCount
)

// shapeInfo says what a shape is called, in the plural, and what it speaks for.
type shapeInfo struct {
	text     string
	category string
	// sure: it names a person or a secret whatever the name of the field.
	sure bool
}

var shapeInfos = [shapeCount]shapeInfo{
	Email:        {"e-mail addresses", "user.contact.email", true},
	Card:         {"card numbers with a valid check digit", "user.financial.credit_card", true},
	IBAN:         {"IBANs with valid check digits", "user.financial.bank_account", true},
	SSN:          {"US social security numbers", "user.government_id.national_identification_number", true},
	Phone:        {"phone numbers", "user.contact.phone_number", true},
	IPAddress:    {"IP addresses", "user.device.ip_address", true},
	MAC:          {"MAC addresses", "user.device.device_id", true},
	UUID:         {"UUIDs", "user.unique_id", false},
	JWT:          {"JSON Web Tokens", "user.authorization.credentials", true},
	UserAgent:    {"user agents", "user.device", true},
	URL:          {"URLs", "user.behavior.browsing_history", false},
	Timestamp:    {"times", "system.operations", false},
	BirthDate:    {"dates of 1900 to 2015", "user.demographic.date_of_birth", false},
	Date:         {"dates", "system.operations", false},
	Coordinates:  {"coordinates", "user.location.precise", true},
	Digest:       {"hexadecimal digests", "user.unique_id.pseudonymous", false},
	JSONText:     {"JSON in a string", "", false},
	Base64JSON:   {"JSON in base64", "", false},
	Base64Text:   {"text in base64", "", false},
	FreeText:     {"free text, in which anything may stand", "user.content.private", false},
	EpochSeconds: {"times in s", "system.operations", false},
	EpochMillis:  {"times in ms", "system.operations", false},
	EpochMicros:  {"times in µs", "system.operations", false},
	Digits:       {"digits", "", false},
}

func (s Shape) String() string { return shapeInfos[s].text }

// The bounds of what is looked at: what is longer is text or an encoding.
const (
	maxShaped  = 512
	maxDecoded = 1 << 20
)

var (
	emailForm  = regexp.MustCompile(`^[^\s@<>"(),:;]{1,64}@[\pL\pN](?:[\pL\pN-]*[\pL\pN])?(?:\.[\pL\pN](?:[\pL\pN-]*[\pL\pN])?)+$`)
	emailIn    = regexp.MustCompile(`[\pL\pN._+-]+(?:@|%40)[\pL\pN-]+\.[\pL]{2,}`)
	phoneForm  = regexp.MustCompile(`^(?:\+[1-9]|0[1-9]|\()[0-9 ()./-]{6,22}$`)
	macForm    = regexp.MustCompile(`^(?i)[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$`)
	uuidForm   = regexp.MustCompile(`^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	jwtForm    = regexp.MustCompile(`^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$`)
	ssnForm    = regexp.MustCompile(`^\d{3}-\d{2}-\d{4}$`)
	ibanForm   = regexp.MustCompile(`^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$`)
	digestForm = regexp.MustCompile(`^(?i)(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$`)
	agentForm  = regexp.MustCompile(`^(?:Mozilla|Opera|Dalvik)/\d`)
	pointForm  = regexp.MustCompile(`^-?\d{1,2}\.\d{2,},\s?-?\d{1,3}\.\d{2,}$`)
	digitsForm = regexp.MustCompile(`^\d+$`)
)

// ShapeOf is the shape of a text.
func ShapeOf(text string) Shape {
	if len(text) > maxShaped {
		return longShape(text)
	}
	t := strings.TrimSpace(text)
	switch {
	case t == "":
		return NoShape
	case emailForm.MatchString(t):
		return Email
	case isCard(t):
		return Card
	case isIBAN(t):
		return IBAN
	case ssnForm.MatchString(t):
		return SSN
	case macForm.MatchString(t):
		return MAC
	case uuidForm.MatchString(t):
		return UUID
	case jwtForm.MatchString(t):
		return JWT
	case agentForm.MatchString(t):
		return UserAgent
	}
	return plainShape(t)
}

func plainShape(t string) Shape {
	if s := timeShape(t); s != NoShape {
		return s
	}
	switch {
	case isPhone(t):
		return Phone
	case isIP(t):
		return IPAddress
	case isURL(t):
		return URL
	case pointForm.MatchString(t):
		return Coordinates
	case digitsForm.MatchString(t):
		return Digits
	case digestForm.MatchString(t):
		return Digest
	}
	return longShape(t)
}

// longShape is the shape of what holds other things.
func longShape(t string) Shape {
	switch {
	case isJSON(t):
		return JSONText
	case len(t) <= maxDecoded:
		if plain, ok := fromBase64(t); ok {
			if isJSON(plain) {
				return Base64JSON
			}
			return Base64Text
		}
	}
	if len(t) >= 30 && strings.Count(t, " ") >= 4 {
		return FreeText
	}
	return NoShape
}

// timeShape tells times and dates apart, and dates that may be of birth.
func timeShape(t string) Shape {
	if len(t) < len("2006-01-02") || len(t) > len(time.RFC3339Nano) || t[0] < '0' || t[0] > '9' {
		return NoShape // the most, and parsing would allocate
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700"} {
		if _, err := time.Parse(layout, t); err == nil {
			return Timestamp
		}
	}
	for _, layout := range []string{"2006-01-02", "02.01.2006", "01/02/2006", "02/01/2006"} {
		if d, err := time.Parse(layout, t); err == nil {
			if d.Year() >= 1900 && d.Year() <= 2015 {
				return BirthDate
			}
			return Date
		}
	}
	return NoShape
}

func isPhone(t string) bool {
	if !phoneForm.MatchString(t) {
		return false
	}
	n := len(digits(t))
	return n >= 8 && n <= 15 && (t[0] == '+' || strings.ContainsAny(t, " ()/-"))
}

func digits(t string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, t)
}

func isIP(t string) bool {
	_, err := netip.ParseAddr(t)
	return err == nil
}

func isURL(t string) bool {
	u, err := url.Parse(t)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// isCard knows payment cards by issuer, length and check digit (ISO/IEC 7812-1,
// Luhn). Of any other numbers of this length one in ten has a valid check digit,
// so the issuer counts.
func isCard(t string) bool {
	n := digits(t)
	if len(n) < 13 || len(n) > 19 || strings.Trim(t, "0123456789 -") != "" || !issuer(n) {
		return false
	}
	sum := 0
	for i := range len(n) {
		d := int(n[len(n)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

func issuer(n string) bool {
	four, _ := strconv.Atoi(n[:4])
	switch two := four / 100; {
	case n[0] == '4':
		return len(n) == 13 || len(n) == 16 || len(n) == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720, two == 35:
		return len(n) == 16
	case two == 34 || two == 37:
		return len(n) == 15
	case two == 30 || two == 36 || two == 38:
		return len(n) == 14
	}
	return len(n) == 16 && (four == 6011 || four/100 == 65 || four/100 == 62)
}

// isIBAN checks the check digits of ISO 13616-1.
func isIBAN(t string) bool {
	t = strings.ReplaceAll(t, " ", "")
	if !ibanForm.MatchString(t) {
		return false
	}
	var text strings.Builder
	for _, c := range t[4:] + t[:4] {
		if c >= 'A' {
			text.WriteString(strconv.Itoa(int(c-'A') + 10))
		} else {
			text.WriteRune(c)
		}
	}
	n, ok := new(big.Int).SetString(text.String(), 10)
	return ok && n.Mod(n, big.NewInt(97)).Int64() == 1
}

// fromBase64 decodes base64 of text, in one of the two ways that a wiring can
// declare. Random bytes are hardly ever text, so that tokens are not taken for it.
func fromBase64(t string) (plain string, ok bool) {
	if len(t) < 16 || strings.ContainsAny(t, " .:") {
		return "", false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(t)
	if err != nil {
		b, err = base64.RawURLEncoding.Strict().DecodeString(t)
	}
	return string(b), err == nil && utf8.Valid(b) && strings.IndexFunc(string(b), notText) < 0
}

// isBase64URL reports whether base64 is not in the standard alphabet with padding.
func isBase64URL(t string) bool { return len(t)%4 != 0 || strings.ContainsAny(t, "-_") }

func notText(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) }

// numberShape is the shape of a JSON number: times since 1970 that lie between
// 2000 and 2100, and card numbers.
func numberShape(text string) Shape {
	if isCard(text) {
		return Card
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return NoShape
	}
	const from, to = 946_684_800, 4_102_444_800
	switch {
	case n >= from && n < to:
		return EpochSeconds
	case n >= from*1e3 && n < to*1e3:
		return EpochMillis
	case n >= from*1e6 && n < to*1e6:
		return EpochMicros
	}
	return NoShape
}

// dataName reports whether a member's name is data by its looks, and its shape.
func dataName(name string) (Shape, bool) {
	if len(name) > maxPlainName || strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		return NoShape, true
	}
	s := ShapeOf(name)
	switch {
	case s == URL: // JSON-LD and XDM name members by URLs
		return s, strings.ContainsAny(name, "?@") || longestDigits(name) > 4
	case s != NoShape:
		return s, true
	}
	return s, name == "" || strings.Contains(name, "@") || longestDigits(name) > 4 || isRandom(name)
}

// longestDigits is the length of the longest run of digits.
func longestDigits(t string) int {
	longest, n := 0, 0
	for i := range len(t) {
		if n++; t[i] < '0' || t[i] > '9' {
			n = 0
		}
		longest = max(longest, n)
	}
	return longest
}

// isRandom knows ids by their look: 16 characters or more without a separator,
// with digits and letters that change places often.
func isRandom(t string) bool {
	if len(t) < 16 || strings.ContainsAny(t, " _.:/-$") {
		return false
	}
	changes := 0
	for i := 1; i < len(t); i++ {
		if (t[i] >= '0' && t[i] <= '9') != (t[i-1] >= '0' && t[i-1] <= '9') {
			changes++
		}
	}
	return changes >= 4
}
