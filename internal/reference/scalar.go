package reference

import (
	"encoding/hex"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is the type of a scalar. In JSON the value decides; there are strings,
// numbers and booleans.
type kind struct {
	base    string // as Avro calls it; "number" is JSON's
	logical string // "" for none, "unknown" for one that the product does not know

	size, precision, scale int
	symbols                []any
}

// scalar is a value that a treatment is given, or gives.
type scalar struct {
	kind
	text string // of string, enum, bytes, fixed; a number as JSON writes it
	n    int64  // of int, long
	f    float64
}

var logicals = []string{"decimal", "uuid", "duration", "date", "time-millis", "time-micros", "timestamp-millis", "timestamp-micros",
	"timestamp-nanos", "local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos"}

// kindOf reads an Avro schema that is not a union.
func kindOf(schema any) kind {
	m, ok := schema.(map[string]any)
	if !ok {
		base, _ := schema.(string)
		return kind{base: base}
	}
	k := kind{size: integerOf(m["size"]), precision: integerOf(m["precision"]), scale: integerOf(m["scale"])}
	k.base, _ = m["type"].(string)
	k.symbols, _ = m["symbols"].([]any)
	if k.logical, _ = m["logicalType"].(string); k.logical != "" && !slices.Contains(logicals, k.logical) {
		k.logical = "unknown"
	}
	return k
}

func integerOf(v any) int {
	f, _ := v.(float64)
	return int(f)
}

// of is goavro's value of the kind.
func (k kind) of(native any) scalar {
	s := scalar{kind: k}
	switch x := native.(type) {
	case int32:
		s.n = int64(x)
	case int64:
		s.n = x
	case float32:
		s.f = float64(x)
	case float64:
		s.f = x
	case string:
		s.text = x
	case []byte:
		s.text = string(x)
	}
	return s
}

// native is what goavro writes.
func (s scalar) native() any {
	switch s.base {
	case "int":
		return int32(s.n)
	case "long":
		return s.n
	case "float":
		return float32(s.f)
	case "double":
		return s.f
	case "bytes", "fixed":
		return []byte(s.text)
	case "boolean":
		return s.n == 1
	}
	return s.text
}

// perSecond is how many units of an integer's logical type make a second; 0 for
// what is no time.
func (k kind) perSecond() int64 {
	switch {
	case strings.HasSuffix(k.logical, "-millis"):
		return 1e3
	case strings.HasSuffix(k.logical, "-micros"):
		return 1e6
	case strings.HasSuffix(k.logical, "-nanos"):
		return 1e9
	}
	return 0
}

func (k kind) ofDay() bool   { return strings.HasPrefix(k.logical, "time-") }
func (k kind) instant() bool { return strings.Contains(k.logical, "timestamp-") }

// bare says that only a unit can say what instant such a number is.
func (k kind) bare() bool {
	return k.logical == "" && (k.base == "int" || k.base == "long" || k.base == "number")
}

// numeric: numbers that can be put into classes. Of a decimal of more than 76
// digits nothing is looked at.
func (k kind) numeric() bool {
	switch k.base {
	case "int", "long", "float", "double", "number":
		return k.logical == ""
	}
	return k.logical == "decimal" && k.precision <= 76 && k.size <= 64
}

// unscaled is the integer of a decimal; false where it is none of the type.
func (s scalar) unscaled() (*big.Int, bool) {
	if s.text == "" {
		return nil, false
	}
	n := new(big.Int).SetBytes([]byte(s.text))
	if s.text[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(s.text))))
	}
	return n, s.fits(n)
}

func (k kind) fits(n *big.Int) bool { return n.CmpAbs(ten(k.precision)) < 0 }

func ten(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// decimal writes an unscaled integer as the kind does: in the fewest bytes, or in
// the bytes of the fixed.
func (k kind) decimal(n *big.Int) (scalar, bool) {
	size := 1
	for ; size < 100; size++ {
		half := new(big.Int).Lsh(big.NewInt(1), uint(8*size-1))
		if n.Cmp(half) < 0 && n.Cmp(new(big.Int).Neg(half)) >= 0 {
			break
		}
	}
	if k.base == "fixed" {
		if size > k.size {
			return scalar{}, false
		}
		size = k.size
	}
	raw := new(big.Int).Set(n)
	if n.Sign() < 0 {
		raw.Add(raw, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	return scalar{kind: k, text: string(raw.FillBytes(make([]byte, size)))}, k.fits(n)
}

// exact is the number that people read.
func (s scalar) exact() (*big.Rat, bool) {
	switch {
	case s.logical == "decimal":
		n, ok := s.unscaled()
		if !ok {
			return nil, false
		}
		return new(big.Rat).SetFrac(n, ten(s.scale)), true
	case s.base == "int" || s.base == "long":
		return new(big.Rat).SetInt64(s.n), true
	case s.base == "float":
		return new(big.Rat).SetString(strconv.FormatFloat(s.f, 'e', -1, 32))
	case s.base == "double":
		return new(big.Rat).SetString(strconv.FormatFloat(s.f, 'e', -1, 64))
	}
	return new(big.Rat).SetString(hugeExponent.ReplaceAllString(s.text, "${1}9999"))
}

// hugeExponent is one beyond what the digits of any record matter to.
var hugeExponent = regexp.MustCompile(`([eE][+-]?)[0-9]{5,}$`)

// plaintext is what encrypt encrypts; false where there is none.
func (s scalar) plaintext() (string, bool) {
	switch {
	case s.logical == "decimal":
		n, ok := s.unscaled()
		if !ok {
			return "", false
		}
		return new(big.Rat).SetFrac(n, ten(s.scale)).FloatString(s.scale), true
	case s.base == "int" || s.base == "long":
		return s.instantText(), true
	case s.base == "float":
		return floatText(s.f, 32), true
	case s.base == "double":
		return floatText(s.f, 64), true
	case s.base == "fixed" && s.logical == "uuid":
		return uuidText(s.text), true
	}
	return s.text, true
}

func uuidText(raw string) string {
	h := hex.EncodeToString([]byte(raw))
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// floatText has an exponent where the number is no integer or has 16 digits.
func floatText(f float64, bits int) string {
	if math.Abs(f) < 1e15 && f == math.Trunc(f) {
		return strconv.FormatFloat(f, 'f', -1, bits)
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

// instantText is ISO 8601 with the digits of the unit; the stored integer outside
// the years 0000 to 9999, or of the day.
func (s scalar) instantText() string {
	day := time.Unix(0, 0).UTC()
	stored := strconv.FormatInt(s.n, 10)
	if s.logical == "date" {
		if day = day.AddDate(0, 0, int(s.n)); day.Year() < 0 || day.Year() > 9999 {
			return stored
		}
		return day.Format("2006-01-02")
	}
	per := s.perSecond()
	if per == 0 {
		return stored
	}
	seconds, rest := floorOf(s.n, per)
	at := time.Unix(seconds, rest*(1_000_000_000/per)).UTC()
	fraction := "." + strings.Repeat("0", len(strconv.FormatInt(per, 10))-1)
	switch {
	case s.ofDay() && (seconds < 0 || seconds >= 86_400), s.instant() && (at.Year() < 0 || at.Year() > 9999):
		return stored
	case s.ofDay():
		return at.Format("15:04:05" + fraction)
	case strings.HasPrefix(s.logical, "local"):
		return at.Format("2006-01-02T15:04:05" + fraction)
	}
	return at.Format("2006-01-02T15:04:05"+fraction) + "Z"
}

// floorOf divides rounding down; 0 <= rest < b.
func floorOf(a, b int64) (q, rest int64) {
	x, m := new(big.Int).DivMod(big.NewInt(a), big.NewInt(b), new(big.Int))
	return x.Int64(), m.Int64()
}
