package filters

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// numeric is a form of numbers. Values are read exactly, as an integer of
// 10^-digits, and settled to an integer of 10^-places.
type numeric interface {
	word() string
	// scale gives places and digits; digits is at least places.
	scale() (places, digits int)
	// settle gives the class of a value in units of 10^-places; ok is false
	// where that is no int64.
	settle(m magnitude) (n int64, ok bool)
}

// numericTakes reports whether values of t are numbers with a decimal meaning.
func numericTakes(t schemas.Type) bool {
	switch t.Kind {
	case schemas.Int, schemas.Long, schemas.Float, schemas.Double, schemas.Number:
		return plain(t)
	}
	return decimalTakes(t)
}

// bucket replaces a number with the lower end of the range that it lies in.
type bucket struct {
	places int
	width  int64   // of ranges of one width, from 0 in both directions; or
	edges  []int64 // ascending lower ends; the first range also takes what is below it
}

// newBucket reads "10", 10 or "0,18,25": a width, or at least two lower ends.
func newBucket(v any, _ *parameters) (form, error) {
	text, _ := v.(string)
	if n, ok := v.(int64); ok {
		text = strconv.FormatInt(n, 10)
	}
	parts := strings.Split(text, ",")
	var b bucket
	for _, part := range parts {
		b.places = max(b.places, placesOf(part))
	}
	for _, part := range parts {
		n, ok := parseUnits(part, b.places)
		if !ok {
			return nil, errors.New("bucket must be a width, or a list of lower ends: decimal numbers of at most 9 decimal places")
		}
		b.edges = append(b.edges, n)
	}
	if len(b.edges) == 1 {
		b.width, b.edges = b.edges[0], nil
		if b.width <= 0 {
			return nil, errors.New("the width of a bucket must be above 0")
		}
		return numericForm{b}, nil
	}
	if !slices.IsSortedFunc(b.edges, func(a, b int64) int { return cmpStrict(a, b) }) {
		return nil, errors.New("the lower ends of buckets must ascend")
	}
	return numericForm{b}, nil
}

// cmpStrict makes equal neighbours unsorted.
func cmpStrict(a, b int64) int {
	if a > b {
		return 1
	}
	return -1
}

// placesOf counts the decimal places of a number's text that are not zeros.
func placesOf(text string) int {
	_, fraction, _ := strings.Cut(text, ".")
	return len(strings.TrimRight(fraction, "0"))
}

// parseUnits reads a parameter as units of 10^-places.
func parseUnits(text string, places int) (n int64, ok bool) {
	if places > maxPlaces || strings.ContainsAny(text, "eE") {
		return 0, false
	}
	m, ok := readMagnitude([]byte(text), places)
	n, fits := m.floor()
	return n, ok && fits && !m.rest
}

func (bucket) word() string        { return "bucket" }
func (b bucket) scale() (p, d int) { return b.places, b.places }

func (b bucket) settle(m magnitude) (int64, bool) {
	n, ok := m.floor()
	if !ok {
		return 0, false
	}
	if b.edges == nil {
		return times(floorDiv(n, b.width), b.width)
	}
	i, found := slices.BinarySearch(b.edges, n)
	if !found {
		i = max(i-1, 0)
	}
	return b.edges[i], true
}

// maxGeo is the most decimal places of a coordinate: the sixth is 11 cm.
const maxGeo = 6

// geo rounds a coordinate in degrees, halves away from zero.
type geo struct{ places int }

func newGeo(v any, _ *parameters) (form, error) {
	n, ok := v.(int64)
	if !ok || n < 0 || n > maxGeo {
		return nil, fmt.Errorf("geo must be a number of decimal places from 0 to %d", maxGeo)
	}
	return numericForm{geo{int(n)}}, nil
}

func (geo) word() string        { return "geo" }
func (g geo) scale() (p, d int) { return g.places, g.places + 1 }

// settle looks at one more digit: 5 or more rounds away from zero. A number beyond
// 180 degrees is not a coordinate.
func (g geo) settle(m magnitude) (int64, bool) {
	if m.n > uint64(180*pow10(g.places+1)) || m.n == uint64(180*pow10(g.places+1)) && m.rest {
		return 0, false
	}
	n := int64((m.n + 5) / 10)
	if m.neg {
		n = -n
	}
	return n, true
}

// numericForm carries out a numeric at all types that hold numbers.
type numericForm struct{ numeric }

func (f numericForm) takes(t schemas.Type) bool {
	_, isGeo := f.numeric.(geo)
	return numericTakes(t) && (!isGeo || t.Kind != schemas.Int && t.Kind != schemas.Long)
}

func (numericForm) ofJSON() schemas.Kind { return schemas.Number }

func (f numericForm) at(t schemas.Type) (schemas.Transform, error) {
	places, _ := f.scale()
	_, isBucket := f.numeric.(bucket)
	switch {
	case isBucket && places > 0 && (t.Kind == schemas.Int || t.Kind == schemas.Long),
		isBucket && t.Logical == schemas.Decimal && places > t.Scale:
		return nil, fmt.Errorf("generalize bucket: %s cannot hold ranges of %d decimal places", typeName(t), places)
	}
	if d, ok := newDecimal(t); ok {
		return newDecimalForm(f.numeric, d), nil
	}
	return f, nil
}

func (f numericForm) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	if v.Logical != schemas.NoLogical {
		return schemas.Value{}, buf, ErrValueType
	}
	switch v.Kind {
	case schemas.Int, schemas.Long:
		return f.integer(buf, v)
	case schemas.Float:
		return f.float(buf, v, 32)
	case schemas.Double:
		return f.float(buf, v, 64)
	case schemas.Number:
		n, ok := f.text(v.Text)
		if !ok {
			return schemas.Value{}, buf, ErrValue
		}
		places, _ := f.scale()
		at := len(buf)
		buf = appendUnits(buf, n, places)
		v.Text = buf[at:len(buf):len(buf)]
		return v, buf, nil
	}
	return schemas.Value{}, buf, ErrValueType
}

// integer treats an int or long, which only whole ranges fit (at).
func (f numericForm) integer(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	if _, ds := f.scale(); ds > 0 {
		return schemas.Value{}, buf, ErrValueType
	}
	m := magnitude{neg: v.Int < 0, n: uint64(v.Int)}
	if m.neg {
		m.n = -m.n
	}
	n, ok := f.settle(m)
	if !ok || v.Kind == schemas.Int && int64(int32(n)) != n {
		return schemas.Value{}, buf, ErrValue
	}
	v.Int = n
	return v, buf, nil
}

// float treats a number as the shortest decimal that stands for it, which is
// what people see of it: 0.3 lies in the range from 0.3, whatever its bits.
func (f numericForm) float(buf []byte, v schemas.Value, bits int) (schemas.Value, []byte, error) {
	if math.IsNaN(v.Float) || math.IsInf(v.Float, 0) {
		return schemas.Value{}, buf, ErrValue
	}
	n, buf, ok := f.settleFloat(buf, v.Float, bits)
	// Up to 2^53 integer and power of ten are exact, and so is their quotient
	// rounded right.
	if !ok || n > 1<<53 || n < -1<<53 {
		return schemas.Value{}, buf, ErrValue
	}
	places, _ := f.scale()
	v.Float = float64(n) / float64(pow10(places))
	if bits == 32 {
		v.Float = float64(float32(v.Float))
	}
	// A float that is nearest to the lower end of a range may lie below it.
	if again, _, ok := f.settleFloat(buf, v.Float, bits); !ok || again != n {
		return schemas.Value{}, buf, ErrValue
	}
	return v, buf, nil
}

// settleFloat settles the shortest decimal that stands for x. What it writes
// after buf is cut off again.
func (f numericForm) settleFloat(buf []byte, x float64, bits int) (n int64, rest []byte, ok bool) {
	at := len(buf)
	buf = strconv.AppendFloat(buf, x, 'e', -1, bits)
	n, ok = f.text(buf[at:])
	return n, buf[:at], ok
}

// text settles a number's text.
func (f numericForm) text(text []byte) (n int64, ok bool) {
	_, ds := f.scale()
	m, ok := readMagnitude(text, ds)
	if !ok {
		return 0, false
	}
	return f.settle(m)
}

// decimalForm carries out a numeric on a decimal.
type decimalForm struct {
	numeric
	d *decimal
	// A decimal of more places than the form reads is divided by down, one of
	// fewer multiplied by up; the class is multiplied by out, or divided by cut.
	down, up, out, cut *big.Int
}

func newDecimalForm(f numeric, d *decimal) *decimalForm {
	places, ds := f.scale()
	return &decimalForm{numeric: f, d: d,
		down: power(max(0, d.scale-ds)), up: power(max(0, ds-d.scale)),
		out: power(max(0, d.scale-places)), cut: power(max(0, places-d.scale))}
}

func (f *decimalForm) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	if err := f.d.read(v); err != nil {
		return schemas.Value{}, buf, err
	}
	x, r := &f.d.x, &f.d.r
	m := magnitude{neg: x.Sign() < 0}
	x.Abs(x)
	r.Mul(x, f.up)
	x.QuoRem(r, f.down, r)
	if !x.IsUint64() {
		return schemas.Value{}, buf, ErrValue
	}
	m.n, m.rest = x.Uint64(), r.Sign() != 0
	n, ok := f.settle(m)
	if !ok {
		return schemas.Value{}, buf, ErrValue
	}
	r.SetInt64(n)
	x.Mul(r, f.out)
	x.Quo(x, f.cut)
	return f.d.append(buf)
}
