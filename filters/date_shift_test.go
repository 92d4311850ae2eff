package filters

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/schemas"
)

func shifting(t testing.TB, days int64, subject *Subject, params ...Param) schemas.Transform {
	t.Helper()
	env := Env{Key: countingKey(32), Subject: subject}
	via, _, err := mustNew(t, "date_shift", env, append(params, Param{"days", days})...).At(schemas.Type{Kind: schemas.Any})
	if err != nil {
		t.Fatal(err)
	}
	return via
}

// The expected shifts were computed by an independent implementation (Python's
// hmac) from the package comment.
func TestGoldenShifts(t *testing.T) {
	days := []int64{1, 2, 30, 365, 36525}
	for tag, want := range map[string][]int64{
		strings.Repeat("\x01", 16): {-1, 1, -7, -328, -27550},
		strings.Repeat("\x02", 16): {1, 1, 16, -364, 12095},
		strings.Repeat("\x03", 16): {1, 1, 30, -147, -33783},
		"x":                        {-1, -2, 15, -130, 28518},
	} {
		var s Subject
		s.Set([]byte(tag))
		for i, n := range days {
			via := shifting(t, n, &s)
			for range 2 { // the second time from memory
				out, _, err := via.Apply(nil, schemas.Value{Kind: schemas.Int, Logical: schemas.Date, Int: 20_000})
				if err != nil || out.Int != 20_000+want[i] {
					t.Errorf("%x within %d days: %d, %v; want %d", tag, n, out.Int-20_000, err, want[i])
				}
			}
		}
	}
}

func TestDateShift(t *testing.T) {
	var s Subject
	s.Set([]byte(strings.Repeat("\x02", 16))) // +16 days within 30
	for _, c := range []struct {
		params []Param
		v      schemas.Value
		want   string
	}{
		{nil, text("2026-02-20"), "2026-03-08"},
		{nil, text("2024-02-20"), "2024-03-07"},
		{nil, text("1999-12-31T23:59:59.123456789+05:30"), "2000-01-16T23:59:59.123456789+05:30"},
		{nil, text("2026-02-20 10:00:00"), "2026-03-08 10:00:00"},
		{nil, text("9999-12-31"), wrong},
		{nil, text("10:00:00"), wrong},
		{nil, text("20.02.2026"), wrong},
		{nil, text(""), wrong},
		{nil, number("1767225600"), wrongType},
		{nil, schemas.Value{Kind: schemas.Long, Int: 1}, wrongType},
		{nil, schemas.Value{Kind: schemas.Int, Logical: schemas.TimeMillis, Int: 1}, wrongType},
		{nil, schemas.Value{Kind: schemas.Double, Float: 1}, wrongType},
		{nil, schemas.Value{Kind: schemas.Int, Logical: schemas.Date, Int: -8}, "8"},
		{nil, schemas.Value{Kind: schemas.Int, Logical: schemas.Date, Int: math.MaxInt32}, wrong},
		{nil, schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampMillis, Int: 1}, "1382400001"},
		{nil, schemas.Value{Kind: schemas.Long, Logical: schemas.LocalTimestampMicros, Int: 1}, "1382400000001"},
		{nil, schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampNanos, Int: 1}, "1382400000000001"},
		{nil, schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampNanos, Int: math.MaxInt64}, wrong},
		{[]Param{{"unit", "s"}}, number("1.5"), "1382401"},
		{[]Param{{"unit", "s"}}, number("-1.5"), "1382398"},
		{[]Param{{"unit", "ms"}}, number("9223372036854775807"), wrong},
		{[]Param{{"unit", "ms"}}, number("1e99"), wrong},
		{[]Param{{"unit", "d"}}, number("5822"), "5838"},
		{[]Param{{"unit", "d"}}, number("-0.5"), "15"},
		{[]Param{{"unit", "d"}}, schemas.Value{Kind: schemas.Int, Int: math.MaxInt32}, wrong},
		{[]Param{{"unit", "d"}}, schemas.Value{Kind: schemas.Long, Int: 7}, "23"},
		{[]Param{{"unit", "us"}}, schemas.Value{Kind: schemas.Long, Int: 7}, "1382400000007"},
	} {
		out, rest, err := shifting(t, 30, &s, c.params...).Apply([]byte("b"), c.v)
		if got := show(out, err); got != c.want || rest[0] != 'b' || err != nil && len(rest) != 1 {
			t.Errorf("%+v: %s, want %s", c.v, got, c.want)
		}
	}
}

func TestDateShiftNeedsASubject(t *testing.T) {
	v := schemas.Value{Kind: schemas.Int, Logical: schemas.Date, Int: 1}
	var s Subject
	via := shifting(t, 30, &s)
	check := func(what string, via schemas.Transform, want error) {
		t.Helper()
		if out, _, err := via.Apply(nil, v); !errors.Is(err, want) || want != nil && out.Kind != schemas.Invalid {
			t.Errorf("%s: %+v, %v; want %v", what, out, err, want)
		}
	}
	check("none wired", shifting(t, 30, nil), ErrNoSubject)
	check("never set", via, ErrNoSubject)
	s.Set([]byte("a"))
	check("set", via, nil)
	s.Clear()
	check("cleared", via, ErrNoSubject)
	s.Set(nil)
	check("set to nobody", via, ErrNoSubject)
}

// TestShiftsOfASubject: all dates of a subject move by the same whole number of
// days, within the bound and never none, whatever their form; and nobody's
// shift is another's for having come after it.
func TestShiftsOfASubject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.Int64Range(1, 400).Draw(t, "days")
		var s Subject
		used := freshShift(t, days, &s)
		for range 3 {
			s.Set(rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "tag"))
			seconds := rapid.Int64Range(-1e9, 4e9).Draw(t, "at")
			at := time.Unix(seconds, 0).UTC()
			out, _, err := used.Apply(nil, schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampMillis, Int: seconds * 1e3})
			again, _, err2 := freshShift(t, days, &s).Apply(nil, schemas.Value{Kind: schemas.String, Text: []byte(at.Format(time.RFC3339))})
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			moved := out.Int/1e3 - seconds
			if moved%secondsPerDay != 0 || moved == 0 || max(moved, -moved) > days*secondsPerDay {
				t.Fatalf("moved by %d seconds within %d days", moved, days)
			}
			if want := at.Add(time.Duration(moved) * time.Second).Format(time.RFC3339); string(again.Text) != want {
				t.Fatalf("the number moves by %d seconds, the text to %s", moved, again.Text)
			}
		}
	})
}

func freshShift(t *rapid.T, days int64, s *Subject) schemas.Transform {
	f, err := New("date_shift", []Param{{"days", days}}, Env{Key: countingKey(32), Subject: s})
	if err != nil {
		t.Fatal(err)
	}
	via, _, err := f.At(schemas.Type{Kind: schemas.Any})
	if err != nil {
		t.Fatal(err)
	}
	return via
}

// TestShiftsAreSpread: shifts take all values from -n to n but 0.
func TestShiftsAreSpread(t *testing.T) {
	var s Subject
	via := shifting(t, 3, &s)
	seen := map[int64]int{}
	for i := range 600 {
		s.Set([]byte{byte(i), byte(i >> 8)})
		out, _, err := via.Apply(nil, schemas.Value{Kind: schemas.Int, Logical: schemas.Date})
		if err != nil {
			t.Fatal(err)
		}
		seen[out.Int]++
	}
	for _, n := range []int64{-3, -2, -1, 1, 2, 3} {
		if seen[n] < 60 || seen[n] > 140 {
			t.Errorf("%d subjects of 600 are shifted by %d days", seen[n], n)
		}
	}
	if len(seen) != 6 {
		t.Errorf("shifts %v", seen)
	}
}
