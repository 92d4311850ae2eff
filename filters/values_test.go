package filters

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/schemas"
)

// fits reports whether v is a value of t that a splicer can write.
func fits(t schemas.Type, v schemas.Value) bool {
	switch t.Kind {
	case schemas.Any:
		return v.Kind == schemas.String && utf8.Valid(v.Text) || v.Kind == schemas.Bool || v.Kind == schemas.Number && isNumberText(v.Text)
	case schemas.Number:
		return v.Kind == schemas.Number && isNumberText(v.Text)
	}
	if v.Kind != t.Kind || v.Logical != t.Logical {
		return false
	}
	switch t.Kind {
	case schemas.Bool:
		return v.Int == 0 || v.Int == 1
	case schemas.Int:
		day := t.Logical != schemas.TimeMillis || 0 <= v.Int && v.Int < secondsPerDay*1e3
		return int64(int32(v.Int)) == v.Int && day
	case schemas.Long:
		return t.Logical != schemas.TimeMicros || 0 <= v.Int && v.Int < secondsPerDay*1e6
	case schemas.Float:
		return float64(float32(v.Float)) == v.Float || math.IsNaN(v.Float)
	case schemas.Double:
		return true
	case schemas.String:
		_, isUUID := parseUUID(v.Text)
		return utf8.Valid(v.Text) && (t.Logical != schemas.UUID || isUUID)
	case schemas.Bytes:
		return t.Logical != schemas.Decimal || inPrecision(t, v.Text)
	case schemas.Fixed:
		return len(v.Text) == t.Size && (t.Logical != schemas.Decimal || inPrecision(t, v.Text))
	case schemas.Enum:
		return v.Int >= 0 && v.Int < int64(len(t.Symbols)) && (v.Text == nil || string(v.Text) == t.Symbols[v.Int])
	}
	return false
}

func isNumberText(text []byte) bool {
	_, _, _, _, ok := splitNumber(text)
	return ok
}

func inPrecision(t schemas.Type, raw []byte) bool {
	return len(raw) > 0 && unscaled(raw).CmpAbs(power(t.Precision)) < 0
}

// unscaled is the integer of a decimal, in other words than decimal.read.
func unscaled(raw []byte) *big.Int {
	x := new(big.Int).SetBytes(raw)
	if raw[0] >= 0x80 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
	}
	return x
}

// encodeDecimal is the two's complement of x, minimal or of size bytes.
func encodeDecimal(x *big.Int, size int) []byte {
	if size == 0 {
		size = 1
		for !holds(x, size) {
			size++
		}
	}
	y := new(big.Int).Set(x)
	if x.Sign() < 0 {
		y.Add(y, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	return y.FillBytes(make([]byte, size))
}

func holds(x *big.Int, size int) bool {
	limit := new(big.Int).Lsh(big.NewInt(1), uint(8*size-1))
	return x.Cmp(limit) < 0 && x.Cmp(new(big.Int).Neg(limit)) >= 0
}

// drawValue draws a value that a scanner could give for t.
func drawValue(t *rapid.T, typ schemas.Type) schemas.Value {
	v := schemas.Value{Kind: typ.Kind, Logical: typ.Logical}
	switch typ.Kind {
	case schemas.Any:
		return drawValue(t, schemas.Type{Kind: rapid.SampledFrom([]schemas.Kind{schemas.String, schemas.Number, schemas.Bool}).Draw(t, "kind")})
	case schemas.Bool:
		v.Int = rapid.Int64Range(0, 1).Draw(t, "bool")
	case schemas.Int:
		v.Int = int64(rapid.Int32().Draw(t, "int"))
	case schemas.Long:
		v.Int = rapid.Int64().Draw(t, "long")
	case schemas.Float:
		v.Float = float64(rapid.Float32().Draw(t, "float"))
	case schemas.Double:
		v.Float = rapid.Float64().Draw(t, "double")
	case schemas.Number:
		v.Text = []byte(rapid.StringMatching(`-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "number"))
	case schemas.String:
		v.Text = []byte(drawString(t, typ.Logical))
	case schemas.Enum:
		v.Int = rapid.Int64Range(0, int64(len(typ.Symbols)-1)).Draw(t, "symbol")
		v.Text = []byte(typ.Symbols[v.Int])
	case schemas.Bytes, schemas.Fixed:
		v.Text = drawBytes(t, typ)
	}
	return v
}

func drawString(t *rapid.T, l schemas.Logical) string {
	if l == schemas.UUID {
		return rapid.SampledFrom([]string{someUUID, "00000000-0000-0000-0000-000000000000"}).Draw(t, "uuid")
	}
	return rapid.OneOf(rapid.String(), rapid.SampledFrom(pattern)).Draw(t, "text")
}

// pattern are texts that some form takes.
var pattern = []string{
	"2026-03-04T05:06:07.89Z", "1990-04-01", "0000-01-01", "9999-12-31T23:59:59-01:00", "23:59:59.999", "2026-03-04 05:06:07", "2026-03-04T05:06:07+0530",
	"192.0.2.77", "2001:db8:1:2:3:4:5:6", "::ffff:192.0.2.77", "2002:c000:024d::1", "fe80::1%eth0", "Somebody@Example.ORG", "a@bücher.example",
	"https://u:p@shop.example:8443/a;jsessionid=1/b?email=x@y.z&utm_source=mail#top", "/a?b=c", "//host/path", "mailto:a@b.c",
}

func drawBytes(t *rapid.T, typ schemas.Type) []byte {
	if typ.Logical != schemas.Decimal {
		n := typ.Size
		if typ.Kind == schemas.Bytes {
			n = rapid.IntRange(0, 40).Draw(t, "length")
		}
		return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes")
	}
	return encodeDecimal(drawUnscaled(t, typ), typ.Size)
}

func drawUnscaled(t *rapid.T, typ schemas.Type) *big.Int {
	digits := rapid.StringMatching(fmt.Sprintf(`-?[0-9]{1,%d}`, typ.Precision)).Draw(t, "unscaled")
	x, _ := new(big.Int).SetString(digits, 10)
	return x
}

// known are all that a treatment may say of a value.
var known = []error{ErrValue, ErrValueType, ErrNoSubject, ErrDropped}

// TestResultsAreOfTheirType: whatever the value, what Apply yields is of the
// type that At promised, after what the buffer held; where it errs it yields
// nothing and says so in a fixed text; and it never writes into its input.
func TestResultsAreOfTheirType(t *testing.T) {
	all := samples(t)
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SampledFrom(everyKind[1:30]).Draw(t, "type")
		typ := parseType(t, words)
		if typ.Logical == schemas.Decimal {
			typ.Precision = rapid.IntRange(1, 36).Draw(t, "precision")
			typ.Scale = rapid.IntRange(0, typ.Precision).Draw(t, "scale")
		}
		s := rapid.SampledFrom(all).Draw(t, "treatment")
		via, result, err := s.treatment.At(typ)
		if err != nil || s.treatment.Op() != schemas.OpReplace {
			return
		}
		v := drawValue(t, typ)
		before := string(v.Text)
		out, rest, err := via.Apply([]byte("before"), v)
		switch {
		case string(v.Text) != before, !bytes.HasPrefix(rest, []byte("before")):
			t.Fatalf("%s wrote where it must not", s.column)
		case err != nil:
			if !slices.Contains(known, err) || out.Kind != schemas.Invalid || out.Text != nil || string(rest) != "before" {
				t.Fatalf("%s of %s: %+v, rest %q, %v", s.column, words, out, rest, err)
			}
		case !fits(result, out):
			t.Fatalf("%s of %s: %+v (%q) is no %s", s.column, words, out, out.Text, typeName(result))
		}
	})
}

// TestGeneralizeTwice: what stands for a class lies in it (email apart, whose
// result is no address), so that generalising again changes nothing.
func TestGeneralizeTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawGeneralize(t)
		typ := parseType(t, rapid.SampledFrom(everyKind[1:30]).Draw(t, "type"))
		via, _, err := f.At(typ)
		if err != nil {
			return
		}
		first, _, err := via.Apply(nil, drawValue(t, typ))
		if err != nil {
			return
		}
		again, _, err := via.Apply(nil, first)
		if _, isEmail := f.(generalize).form.(emailForm); isEmail {
			if err == nil {
				t.Fatalf("%q is taken for an address", first.Text)
			}
			return
		}
		if err != nil || fmt.Sprint(first) != fmt.Sprint(again) {
			t.Fatalf("%s: %+v (%q), again %+v (%q), %v", f.(generalize).form.word(), first, first.Text, again, again.Text, err)
		}
	})
}

func drawGeneralize(t *rapid.T) Treatment {
	unit := Param{"unit", rapid.SampledFrom([]string{"s", "ms", "us", "ns"}).Draw(t, "unit")}
	dated := Param{"unit", rapid.SampledFrom([]string{"d", "s", "ms", "us", "ns"}).Draw(t, "unit of dates")}
	params := rapid.SampledFrom([][]Param{
		{{"bucket", "10"}}, {{"bucket", "0.25"}}, {{"bucket", "7"}}, {{"bucket", "0,18,25,35,50,65"}}, {{"bucket", "-1.5,0,0.5"}},
		{{"geo", int64(0)}}, {{"geo", int64(1)}}, {{"geo", int64(3)}},
		{{"date", "year"}, dated}, {{"date", "quarter"}, dated}, {{"date", "month"}, dated}, {{"date", "week"}, dated}, {{"date", "day"}, dated},
		{{"time", "hour"}, unit}, {{"time", "minute"}, unit}, {{"time", "second"}, unit},
		{{"ip_prefix", "24,48"}}, {{"ip_prefix", "8,64"}}, {{"ip_prefix", "1,3"}}, {{"email", "domain"}}, {{"url_query", ""}}, {{"url_query", "utm_source&b"}},
	}).Draw(t, "form")
	f, err := New("generalize", params, Env{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// rat is the exact value of what a numeric form is given or gives.
func rat(v schemas.Value, scale int) (*big.Rat, bool) {
	switch v.Kind {
	case schemas.Int, schemas.Long:
		return new(big.Rat).SetInt64(v.Int), true
	case schemas.Number:
		return new(big.Rat).SetString(string(v.Text))
	case schemas.Float:
		return new(big.Rat).SetString(strconv.FormatFloat(v.Float, 'g', -1, 32))
	case schemas.Double:
		return new(big.Rat).SetString(strconv.FormatFloat(v.Float, 'g', -1, 64))
	case schemas.Bytes, schemas.Fixed:
		return new(big.Rat).SetFrac(unscaled(v.Text), power(scale)), len(v.Text) > 0
	}
	return nil, false
}

// TestNumbersAgainstRationals: bucket is floor(x/w)·w and geo rounds halves away
// from zero, in exact arithmetic, at every type that holds numbers.
func TestNumbersAgainstRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := parseType(t, rapid.SampledFrom([]string{"int", "long", "float", "double", "number", "bytes decimal", "fixed decimal"}).Draw(t, "type"))
		if typ.Logical == schemas.Decimal {
			typ.Precision = rapid.IntRange(1, 30).Draw(t, "precision")
			typ.Scale = rapid.IntRange(0, typ.Precision).Draw(t, "scale")
		}
		places := rapid.IntRange(0, 4).Draw(t, "places")
		width := rapid.Int64Range(1, 999).Draw(t, "width")
		step, param := new(big.Rat).SetFrac(big.NewInt(width), power(places)), Param{"bucket", string(appendUnits(nil, width, places))}
		isGeo := rapid.Bool().Draw(t, "geo")
		if isGeo {
			step, param = new(big.Rat).SetFrac(big.NewInt(1), power(places)), Param{"geo", int64(places)}
		}
		f, err := New("generalize", []Param{param}, Env{})
		if err != nil {
			t.Fatal(err)
		}
		via, _, err := f.At(typ)
		if err != nil {
			return
		}
		v := drawNumber(t, typ)
		x, ok := rat(v, typ.Scale)
		out, _, err := via.Apply(nil, v)
		if err != nil {
			if ok && withinReach(x, typ, isGeo) {
				t.Fatalf("%+v (%v) is not taken: %v", v, x, err)
			}
			return
		}
		want := roundTo(x, step, isGeo)
		if got, _ := rat(out, typ.Scale); got.Cmp(want) != 0 && !sameFloat(typ, out, want) {
			t.Fatalf("%v of %v: %v, want %v", param, x, got, want)
		}
	})
}

// drawNumber draws numbers of the size that people have, and any.
func drawNumber(t *rapid.T, typ schemas.Type) schemas.Value {
	small := rapid.Int64Range(-200_000, 200_000)
	v := schemas.Value{Kind: typ.Kind, Logical: typ.Logical}
	if rapid.Bool().Draw(t, "any") || typ.Logical == schemas.Decimal {
		return drawValue(t, typ)
	}
	n := small.Draw(t, "n")
	v.Int, v.Float = n, float64(n)/1000
	v.Text = appendUnits(nil, n, 3)
	if typ.Kind == schemas.Float {
		v.Float = float64(float32(v.Float))
	}
	return v
}

// withinReach is what must not be refused.
func withinReach(x *big.Rat, typ schemas.Type, isGeo bool) bool {
	limit := int64(1_000_000)
	if typ.Kind == schemas.Float {
		limit = 100 // beyond, a float may lie in another range than the number that it stands for
	}
	if isGeo {
		limit = min(limit, 180)
	}
	if typ.Logical == schemas.Decimal && !isGeo {
		return false // the lower end may need more digits than the value
	}
	if typ.Logical == schemas.Decimal {
		limit = min(limit, 5) // as may rounding up
		return typ.Precision-typ.Scale > 1 && new(big.Rat).Abs(x).Cmp(new(big.Rat).SetInt64(limit)) < 0
	}
	return new(big.Rat).Abs(x).Cmp(new(big.Rat).SetInt64(limit)) <= 0
}

// roundTo is floor(x/step)·step, or the nearest multiple, halves away from zero.
func roundTo(x, step *big.Rat, nearest bool) *big.Rat {
	q := new(big.Rat).Quo(x, step)
	neg := q.Sign() < 0
	if nearest {
		q.Add(q.Abs(q), big.NewRat(1, 2))
	}
	n := new(big.Int).Div(q.Num(), q.Denom()) // Euclidean: floor, as the divisor is positive
	if nearest && neg {
		n.Neg(n)
	}
	return new(big.Rat).Mul(new(big.Rat).SetInt(n), step)
}

// sameFloat: a float is the one nearest to what was meant.
func sameFloat(typ schemas.Type, out schemas.Value, want *big.Rat) bool {
	switch typ.Kind {
	case schemas.Float:
		f, _ := want.Float32()
		return float64(f) == out.Float
	case schemas.Double:
		f, _ := want.Float64()
		return f == out.Float
	}
	return false
}

func TestErrorsSayNothing(t *testing.T) {
	for _, err := range known {
		if errors.Unwrap(err) != nil {
			t.Errorf("%v wraps something", err)
		}
	}
}
