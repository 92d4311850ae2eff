package reference

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// view is what one purpose sees of one stream.
type view struct {
	keys    *Keys
	stream  *Stream
	purpose *Purpose
	policy  *Policy
}

// at is what the purpose does at a path.
func (v *view) at(path string) Treatment { return v.purpose.treatment(v.stream.category(path)) }

// gated says that what stands at a path is not there whenever the output is.
func (v *view) gated(path string, t Treatment) bool {
	about := v.stream.about(path)
	return t.gate() != "" || len(about) > 1 || len(about) == 1 && about[0] != v.stream.main()
}

// field is what is to be known of a path besides its value.
func (v *view) field(path string) *text {
	t := v.stream.text(v.stream.category(path), "", v.stream.namespace(path))
	t.path, t.about = cmp.Or(path, "**"), v.stream.about(path)
	return &t
}

// result is the type that a treatment gives at a type; false where it has none
// (docs/treatments.md, "Types").
func (t Treatment) result(k kind) (kind, bool) {
	text, plain := kind{base: "string"}, k.logical == ""
	switch t.Name {
	case "keep":
		return k, true
	case "mask":
		return text, k.base == "string" && k.logical != "unknown"
	case "truncate":
		return k, (k.base == "string" || k.base == "bytes") && plain
	case "pseudonymize":
		if k.logical == "uuid" {
			return k, true
		}
		return text, plain && slices.Contains([]string{"string", "int", "long", "enum", "number"}, k.base)
	case "encrypt":
		if k.base == "bytes" && plain || k.base == "fixed" && (plain || k.logical == "duration") {
			text.base = "bytes"
		}
		return text, k.base != "boolean" && k.logical != "unknown" && (k.logical != "decimal" || k.numeric())
	case "date_shift":
		return k, k.base == "string" && plain || k.logical == "date" || k.instant() || k.bare() && t.Params["unit"] != nil
	case "generalize":
		return k, t.takes(k)
	}
	return kind{}, false
}

// takes says that a form of generalize has a result for a type (docs/treatments.md,
// "Types", the second table).
func (t Treatment) takes(k kind) bool {
	text := k.base == "string" && k.logical == ""
	switch t.form() {
	case "bucket":
		_, places := t.ends()
		switch {
		case k.base == "int" || k.base == "long":
			return k.numeric() && places == 0
		case k.logical == "decimal":
			return k.numeric() && places <= k.scale
		}
		return k.numeric()
	case "geo":
		return k.numeric() && k.base != "int" && k.base != "long"
	case "date":
		return text || k.logical == "date" || k.instant() || k.bare() && t.Params["unit"] != nil
	case "time":
		return text || k.instant() || k.ofDay() || k.bare() && t.Params["unit"] != nil
	}
	return text
}

// treat treats a value; ok is false where the treatment has no result for it.
func (v *view) treat(where *text, s scalar, t Treatment, heard voices) (out scalar, ok bool) {
	k, ok := t.result(s.kind)
	if !ok {
		return scalar{}, false
	}
	out.kind = k
	switch t.Name {
	case "keep":
		return s, true
	case "mask":
		out.text = mask(s.text, number64(t.Params["keep_first"]), number64(t.Params["keep_last"]), t.Params["char"])
	case "truncate":
		out.text = truncate(s, number64(t.Params["value"]))
	case "pseudonymize":
		return v.pseudonym(where, s, out)
	case "encrypt":
		out.text, ok = v.encrypt(where, s)
	case "generalize":
		return generalize(s, t)
	case "date_shift":
		days, known := v.days(where, t, heard)
		if !known {
			return scalar{}, false
		}
		return shift(s, t, days)
	}
	return out, ok
}

func number64(v any) int {
	n, _ := v.(int)
	return n
}

func truncate(s scalar, n int) string {
	if s.base == "bytes" {
		return s.text[:min(len(s.text), n)]
	}
	r := []rune(s.text)
	return string(r[:min(len(r), n)])
}

// filler is how much of a mask stands for what is hidden, whatever its length.
const filler = 4

// mask knows texts without combining characters only; those of the tests.
func mask(s string, first, last int, char any) string {
	fill := "*"
	if c, ok := char.(string); ok {
		fill = c
	}
	r := []rune(s)
	if len(r) < first+last+filler {
		return strings.Repeat(fill, first+last+filler)
	}
	return string(r[:first]) + strings.Repeat(fill, filler) + string(r[len(r)-last:])
}

var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)

// pseudonym is DESIGN section 4's token: its domain is the namespace of an
// identifier, else the category.
func (v *view) pseudonym(where *text, s, out scalar) (scalar, bool) {
	value := s.text
	switch {
	case s.base == "int" || s.base == "long":
		value = fmt.Sprint(s.n)
	case s.base == "number" && !integer.MatchString(value):
		return out, false
	case s.base == "number" && value == "-0":
		value = "0"
	case s.base == "fixed":
		value = uuidText(s.text)
	}
	if where.namespace {
		var ok bool
		if value, ok = v.policy.normalize(where.domain, value); !ok {
			return out, false
		}
	}
	out.text = v.keys.Token(v.purpose.ID, where.domain, value)
	if s.base == "fixed" {
		raw, _ := hex.DecodeString(strings.ReplaceAll(out.text, "-", ""))
		out.text = string(raw)
	}
	return out, s.logical != "uuid" || uuid.MatchString(value) // what must be a uuid cannot become another token
}

// encrypt is DESIGN section 4's token that can be opened again.
func (v *view) encrypt(where *text, s scalar) (string, bool) {
	value, ok := s.plaintext()
	if !ok {
		return "", false
	}
	kind := "t"
	if k, _ := (Treatment{Name: "encrypt"}).result(s.kind); k.base == "bytes" {
		kind = "b"
	}
	plain := kind + value + "\x80"
	for len(plain)%16 > 0 {
		plain += "\x00"
	}
	data := join(lp("consentstream encrypt 1"), lp(v.purpose.ID), lp(where.path), i64(int64(v.keys.Epoch)))
	sealed := sealSIV(v.keys.keyOf("encrypt", v.purpose.ID, 64), data, []byte(plain))
	return fmt.Sprintf("e%d.%s", v.keys.Epoch, base64.RawURLEncoding.EncodeToString(sealed)), true
}

// days is how far a subject's dates move: that of the one whom a value is about,
// else the main one's.
func (v *view) days(where *text, t Treatment, heard voices) (days int64, known bool) {
	who := v.stream.main()
	if len(where.about) == 1 {
		who = where.about[0]
	}
	tag, most := heard.tags[who], int64(number64(t.Params["days"]))
	if tag == nil {
		return 0, false
	}
	digest := sign(v.keys.key("date_shift", v.purpose.ID), lp(string(tag)), i64(most))
	n := new(big.Int).SetUint64(binary.BigEndian.Uint64(digest))
	if days = n.Mod(n, big.NewInt(2*most)).Int64() - most; days >= 0 {
		days++
	}
	return days, true
}

// treatText treats the key or a header, which are text and stay it.
func (v *view) treatText(where *text, s string, t Treatment, heard voices) (string, bool) {
	out, ok := v.treat(where, scalar{kind: kind{base: "string"}, text: s}, t, heard)
	return out.text, ok
}

// holds says that a constant is a value of a type.
func (t Treatment) holds(k kind) bool {
	if t.Name != "constant" || k.logical == "decimal" || k.logical == "duration" || k.logical == "unknown" {
		return false
	}
	day := map[string]int64{"time-millis": 86_400_000, "time-micros": 86_400_000_000}[k.logical]
	switch v := t.Params["value"].(type) {
	case string:
		return k.base == "string" && (k.logical == "" || uuid.MatchString(v)) || k.base == "enum" && slices.Contains(k.symbols, any(v))
	case bool:
		return k.base == "boolean"
	case int:
		n := int64(v)
		if day > 0 && (n < 0 || n >= day) {
			return false
		}
		return k.base == "long" || k.base == "int" && n == int64(int32(n)) ||
			k.base == "double" && max(n, -n) <= 1<<53 || k.base == "float" && max(n, -n) <= 1<<24
	case float64:
		return k.base == "double" || k.base == "float" && max(v, -v) <= math.MaxFloat32
	}
	return false
}

// constant is a value of the type that holds it.
func (k kind) constant(v any) scalar {
	s := scalar{kind: k}
	switch x := v.(type) {
	case string:
		s.text = x
	case bool:
		s.n = map[bool]int64{true: 1}[x]
	case int:
		s.n, s.f = int64(x), float64(x)
	case float64:
		s.f = x
	}
	return s
}
