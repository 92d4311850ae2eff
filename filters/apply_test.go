package filters

import (
	"slices"
	"testing"

	"github.com/consentstream/consentstream/schemas"
)

// cases are values that the samples take, by column: what hot paths see.
func cases() map[string][]schemas.Value {
	money := decimalType(12, 2, 0)
	milli := schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampMillis, Int: 1_767_225_601_001}
	dated := []schemas.Value{text("2026-03-04T05:06:07.89+01:00"), milli, number("1767225601001")}
	return map[string][]schemas.Value{
		"mask":         {text("somebody@example.org")},
		"truncate":     {text("somebody@example.org"), {Kind: schemas.Bytes, Text: []byte("abcdef")}},
		"pseudonymize": {text("somebody@example.org"), text(someUUID), {Kind: schemas.Long, Int: 123456789}},
		"encrypt":      {text("somebody@example.org")},
		"date_shift":   dated,
		"bucket":       {{Kind: schemas.Int, Int: 37}, {Kind: schemas.Double, Float: 37.5}, number("-37.25"), decimalOf(money, 3725)},
		"geo":          {{Kind: schemas.Double, Float: 52.520008}, number("13.404954"), decimalOf(money, 5252)},
		"date":         dated,
		"time":         dated,
		"ip_prefix":    {text("192.0.2.77"), text("2001:db8:1:2:3:4:5:6")},
		"email":        {text("Somebody@Example.org")},
		"url":          {text("https://u@shop.example/a;s=1/b?email=a@b.c&utm_source=mail#top")},
		"query":        {text("email=a@b.c&utm_source=mail")},
	}
}

// at compiles a sample for the type of a value.
func at(t testing.TB, f Treatment, v schemas.Value) schemas.Transform {
	t.Helper()
	typ := schemas.Type{Kind: v.Kind, Logical: v.Logical}
	if v.Logical == schemas.Decimal {
		typ.Precision, typ.Scale = 12, 2
	}
	via, _, err := f.At(typ)
	if err != nil {
		t.Fatal(err)
	}
	return via
}

func allocations(t testing.TB, via schemas.Transform, v schemas.Value) float64 {
	t.Helper()
	buf := make([]byte, 0, 256)
	return testing.AllocsPerRun(200, func() {
		if _, _, err := via.Apply(buf, v); err != nil {
			t.Fatal(err)
		}
	})
}

// TestApplyAllocatesNothing, encrypt apart, whose library does: what it is
// allowed is what it needs now.
func TestApplyAllocatesNothing(t *testing.T) {
	values := cases()
	for _, s := range samples(t) {
		if s.treatment.Op() == schemas.OpReplace && len(values[s.column]) == 0 {
			t.Errorf("%s has no case", s.column)
		}
		for _, v := range values[s.column] {
			n := allocations(t, at(t, s.treatment, v), v)
			if n != 0 && (s.column != "encrypt" || n > 9) {
				t.Errorf("%s of %+v: %v allocations", s.column, v, n)
			}
		}
	}
}

func BenchmarkApply(b *testing.B) {
	values := cases()
	for _, s := range samples(b) {
		for _, v := range values[s.column] {
			b.Run(s.column+"/"+v.Kind.String(), func(b *testing.B) {
				via := at(b, s.treatment, v)
				buf := make([]byte, 0, 256)
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := via.Apply(buf, v); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// FuzzApply: whatever stands at a position of whatever type, every treatment
// ends, leaves its input as it is, says nothing of it in its error, and yields
// what a splicer can write.
func FuzzApply(f *testing.F) {
	for _, s := range append(slices.Clone(pattern), "somebody@example.org", someUUID, "-0", "42", "1e3", "e\u0301\u200d🇩🇪", "\x80\x00") {
		f.Add([]byte(s), int64(len(s)), uint8(len(s)))
	}
	f.Add([]byte("\xff"), int64(-1<<63), uint8(3))
	f.Fuzz(func(t *testing.T, raw []byte, n int64, k uint8) {
		words := everyKind[1:30][int(k)%29]
		typ := parseType(t, words)
		v := schemas.Value{Kind: typ.Kind, Logical: typ.Logical, Text: raw, Int: n, Float: float64(n) / 1000}
		if typ.Kind == schemas.Any {
			v.Kind = [...]schemas.Kind{schemas.String, schemas.Number, schemas.Bool}[k%3]
		}
		before := string(raw)
		for _, s := range samples(t) {
			via, result, err := s.treatment.At(typ)
			if err != nil || s.treatment.Op() != schemas.OpReplace {
				continue
			}
			out, rest, err := via.Apply([]byte("b"), v)
			switch {
			case string(v.Text) != before || rest[0] != 'b':
				t.Fatalf("%s wrote where it must not", s.column)
			case err != nil:
				if !slices.Contains(known, err) || out.Kind != schemas.Invalid || out.Text != nil || len(rest) != 1 {
					t.Fatalf("%s: %+v, rest %q, %v", s.column, out, rest, err)
				}
			case !fits(result, out) && fits(typ, v):
				t.Fatalf("%s of %s %+v: %+v (%q)", s.column, words, v, out, out.Text)
			}
		}
	})
}
