package filters

import (
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/schemas"
)

// decimalType is a decimal of bytes, or of a fixed of size.
func decimalType(precision, scale, size int) schemas.Type {
	t := schemas.Type{Kind: schemas.Bytes, Logical: schemas.Decimal, Precision: precision, Scale: scale}
	if size > 0 {
		t.Kind, t.Size = schemas.Fixed, size
	}
	return t
}

func decimalOf(t schemas.Type, unscaled int64) schemas.Value {
	return schemas.Value{Kind: t.Kind, Logical: t.Logical, Text: encodeDecimal(big.NewInt(unscaled), t.Size)}
}

// show writes what a transform made, or its error.
func show(out schemas.Value, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case out.Logical == schemas.Decimal:
		return unscaled(out.Text).String()
	case out.Kind == schemas.Float || out.Kind == schemas.Double:
		return fmt.Sprint(out.Float)
	case out.Kind == schemas.Int || out.Kind == schemas.Long:
		return fmt.Sprint(out.Int)
	}
	return string(out.Text)
}

func generalizeShown(t *testing.T, typ schemas.Type, v schemas.Value, params ...Param) string {
	t.Helper()
	via, _, err := mustNew(t, "generalize", Env{}, params...).At(typ)
	if err != nil {
		return err.Error()
	}
	out, _, err := via.Apply(nil, v)
	return show(out, err)
}

const wrong, wrongType = "a value that the treatment does not take", "a value of a type that the treatment does not take"

func TestGeneralizeText(t *testing.T) {
	for _, c := range []struct {
		param    Param
		in, want string
	}{
		{Param{"date", "year"}, "1990-04-01", "1990-01-01"},
		{Param{"date", "quarter"}, "1990-06-30", "1990-04-01"},
		{Param{"date", "month"}, "2024-02-29", "2024-02-01"},
		{Param{"date", "week"}, "2026-01-01", "2025-12-29"}, // a Thursday: the Monday before
		{Param{"date", "week"}, "2026-01-05", "2026-01-05"},
		{Param{"date", "day"}, "2026-03-04T05:06:07.89Z", "2026-03-04T00:00:00Z"},
		{Param{"date", "year"}, "1990-01-01T00:30:00+02:00", "1989-01-01T00:00:00Z"}, // in UTC
		{Param{"date", "month"}, "2026-03-04 05:06:07", "2026-03-01T00:00:00"},       // without a zone
		{Param{"date", "day"}, "2026-03-04t05:06:07z", "2026-03-04T00:00:00Z"},
		{Param{"date", "day"}, "2026-03-04T23:06:07.000-0100", "2026-03-05T00:00:00Z"},
		{Param{"date", "year"}, "0000-01-01T00:00:00+00:01", wrong}, // the year before 0000
		{Param{"date", "year"}, "0000-02-29", "0000-01-01"},
		{Param{"date", "year"}, "1990-02-29", wrong},
		{Param{"date", "year"}, "1990-13-01", wrong},
		{Param{"date", "year"}, "1990-00-01", wrong},
		{Param{"date", "year"}, "1990-04", wrong},
		{Param{"date", "year"}, "01.04.1990", wrong},
		{Param{"date", "year"}, "04/01/1990", wrong},
		{Param{"date", "year"}, "19900401", wrong},
		{Param{"date", "year"}, "1990-04-01T10:00", wrong},
		{Param{"date", "year"}, "1990-04-01T10:00:00.Z", wrong},
		{Param{"date", "year"}, "1990-04-01T24:00:00Z", wrong},
		{Param{"date", "year"}, "1990-04-01T23:59:60Z", wrong},
		{Param{"date", "year"}, "1990-04-01T10:00:00+1:00", wrong},
		{Param{"date", "year"}, "1990-04-01T10:00:00+24:00", wrong},
		{Param{"date", "year"}, "1990-04-01T10:00:00 CET", wrong},
		{Param{"date", "year"}, " 1990-04-01", wrong},
		{Param{"date", "year"}, "10:00:00", wrong},
		{Param{"date", "year"}, "", wrong},
		{Param{"time", "hour"}, "2026-03-04T05:59:59.999999999+05:30", "2026-03-04T00:00:00Z"},
		{Param{"time", "minute"}, "05:06:07.8", "05:06:00"},
		{Param{"time", "second"}, "05:06:07.8", "05:06:07"},
		{Param{"time", "hour"}, "05:06:07Z", wrong},
		{Param{"time", "hour"}, "2026-03-04", wrong},
		{Param{"ip_prefix", "24,48"}, "192.0.2.77", "192.0.2.0"},
		{Param{"ip_prefix", "20,48"}, "192.0.255.77", "192.0.240.0"},
		{Param{"ip_prefix", "24,48"}, "2001:db8:1:2:3:4:5:6", "2001:db8:1::"},
		{Param{"ip_prefix", "24,44"}, "2001:DB8:001f::7", "2001:db8:10::"},
		{Param{"ip_prefix", "24,64"}, "2001:db8:0:1::7", "2001:db8:0:1::"},
		{Param{"ip_prefix", "24,48"}, "::1", "::"},
		{Param{"ip_prefix", "24,48"}, "::ffff:192.0.2.77", "192.0.2.0"},
		{Param{"ip_prefix", "24,48"}, "::ffff:c000:024d", "192.0.2.0"},
		{Param{"ip_prefix", "24,48"}, "2002:c000:024d:1::1", "2002:c000:200::"}, // 6to4 of 192.0.2.77
		{Param{"ip_prefix", "24,32"}, "2002:c000:024d:1::1", "2002:c000::"},
		{Param{"ip_prefix", "24,48"}, "fe80::1%eth0", "fe80::"},
		{Param{"ip_prefix", "24,48"}, "192.0.2.77:8080", wrong},
		{Param{"ip_prefix", "24,48"}, "192.0.2.077", wrong},
		{Param{"ip_prefix", "24,48"}, "192.0.2", wrong},
		{Param{"ip_prefix", "24,48"}, "192.0.2.77, 10.0.0.1", wrong},
		{Param{"ip_prefix", "24,48"}, "[::1]", wrong},
		{Param{"ip_prefix", "24,48"}, "3232235777", wrong},
		{Param{"ip_prefix", "24,48"}, "localhost", wrong},
		{Param{"email", "domain"}, "Somebody@Example.ORG", "example.org"},
		{Param{"email", "domain"}, " a@example.org.\n", "example.org"},
		{Param{"email", "domain"}, `"a@b"@example.org`, "example.org"},
		{Param{"email", "domain"}, "a@BÜCHER.example", "bücher.example"},
		{Param{"email", "domain"}, "@example.org", wrong},
		{Param{"email", "domain"}, "a@localhost", wrong},
		{Param{"email", "domain"}, "a@example..org", wrong},
		{Param{"email", "domain"}, "a@-example.org", wrong},
		{Param{"email", "domain"}, "a@[192.0.2.77]", wrong},
		{Param{"email", "domain"}, "Some Body <a@example.org>", wrong},
		{Param{"email", "domain"}, "a@b@example.org, c", wrong},
		{Param{"email", "domain"}, "somebody", wrong},
		{Param{"email", "domain"}, "a@" + strings.Repeat("a.", 127) + "org", wrong},
		{Param{"url_query", ""}, "https://shop.example/a/b?email=a@b.c#top", "https://shop.example/a/b"},
		{Param{"url_query", "utm_source&b"}, "https://shop.example?b=1&email=x&utm_source=mail&b=2", "https://shop.example?b=1&utm_source=mail&b=2"},
		{Param{"url_query", "b"}, "https://u:p@shop.example:8443/a;jsessionid=1/c?b=1;email=x", "https://shop.example:8443/a/c?b=1"},
		{Param{"url_query", "b"}, "/a?b=1?email=x", "/a"},
		{Param{"url_query", "b"}, "/a?%62=1", "/a"}, // written otherwise, so not b
		{Param{"url_query", "b"}, "/a?b", "/a?b"},
		{Param{"url_query", "b"}, "?b=1&c=2", "?b=1"},
		{Param{"url_query", ""}, "?c=2", ""},
		{Param{"url_query", ""}, "//u@cdn.example/x#f?b=1", "//cdn.example/x"},
		{Param{"url_query", ""}, "http://u:p/w@shop.example/", wrong}, // where the password ends is anybody's guess
		{Param{"url_query", ""}, "https://[2001:db8::1]:443/x", "https://[2001:db8::1]:443/x"},
		{Param{"url_query", ""}, "https://[2001:db8::1]", "https://[2001:db8::1]"},
		{Param{"url_query", ""}, "https://[::1]u:/w@shop.example/", wrong}, // again a password, after what is no host
		{Param{"url_query", ""}, "https://u]:80/w@shop.example/", wrong},
		{Param{"url_query", ""}, "https://[]/", wrong},
		{Param{"url_query", ""}, "https://shop.example;jsessionid=1", wrong},  // a path parameter, where there is no path
		{Param{"url_query", ""}, "https://shop.example&email=a%40b.c", wrong}, // and what was to be a query
		{Param{"url_query", ""}, "https://a%40b.c/", wrong},
		{Param{"url_query", ""}, "https://[fe80::1%25somebody]/", wrong},
		{Param{"url_query", ""}, "https://[somebody]/", wrong},
		{Param{"url_query", ""}, "https://my_shop.Bücher.example./", "https://my_shop.Bücher.example./"},
		{Param{"url_query", ""}, "https://[::ffff:192.0.2.77]/", "https://[::ffff:192.0.2.77]/"},
		{Param{"url_query", ""}, "//@/", wrong},
		{Param{"url_query", ""}, "/;/path", wrong}, // would become //path
		{Param{"url_query", ""}, "file:///home/somebody", wrong},
		{Param{"url_query", ""}, "mailto:a@b.c", wrong},
		{Param{"url_query", ""}, "javascript:alert(1)", wrong},
		{Param{"url_query", ""}, "a@b.c", wrong},
		{Param{"url_query", ""}, "shop.example/x", wrong},
		{Param{"url_query", ""}, `https:\\u@shop.example`, wrong},
		{Param{"url_query", ""}, "https://shop.example/a b", wrong},
		{Param{"url_query", ""}, "https://shop.example/\n", wrong},
		{Param{"url_query", ""}, "https://\xff", wrong},
		{Param{"url_query", ""}, "#somebody", ""},
		{Param{"url_query", ""}, "", ""},
		{Param{"query", "utm"}, "utm=1&email=a", "utm=1"},
		{Param{"query", "utm&b"}, "?b=2;utm=1&email=a&b=3#somebody", "?b=2&utm=1&b=3"},
		{Param{"query", "utm"}, "email=a", ""},
		{Param{"query", "utm"}, "?email=a", ""},
		{Param{"query", "utm"}, "utm", "utm"},
		{Param{"query", "utm"}, "utm=1=2", "utm=1=2"},
		{Param{"query", "utm"}, "utm=1?email=a", ""}, // two queries in one
		{Param{"query", "utm"}, "UTM=1&%75tm=2&utm[]=3", ""},
		{Param{"query", "utm"}, "https://shop.example/?utm=1", ""}, // a URL wants the form url
		{Param{"query", "utm"}, "", ""},
		{Param{"query", "utm"}, "utm=1 2", wrong},
		{Param{"query", "utm"}, `utm=1\`, wrong},
		{Param{"query", "utm"}, "utm=\xff", wrong},
	} {
		typ := schemas.Type{Kind: schemas.String}
		if got := generalizeShown(t, typ, text(c.in), c.param); got != c.want {
			t.Errorf("%v of %q: %q, want %q", c.param, c.in, got, c.want)
		}
	}
}

func TestGeneralizeNumbers(t *testing.T) {
	integer, long := schemas.Type{Kind: schemas.Int}, schemas.Type{Kind: schemas.Long}
	double, jsonNumber := schemas.Type{Kind: schemas.Double}, schemas.Type{Kind: schemas.Number}
	money, fixed := decimalType(5, 2, 0), decimalType(4, 2, 3)
	ages := Param{"bucket", "0,18,25,35,50,65"}
	ints := func(typ schemas.Type, n int64) schemas.Value {
		return schemas.Value{Kind: typ.Kind, Logical: typ.Logical, Int: n}
	}
	floats := func(f float64) schemas.Value { return schemas.Value{Kind: schemas.Double, Float: f} }
	for _, c := range []struct {
		param Param
		typ   schemas.Type
		v     schemas.Value
		want  string
	}{
		{ages, integer, ints(integer, 17), "0"},
		{ages, integer, ints(integer, 18), "18"},
		{ages, integer, ints(integer, 64), "50"},
		{ages, integer, ints(integer, 120), "65"},
		{ages, integer, ints(integer, -1), "0"},
		{ages, jsonNumber, number("24.99999999999999999999999"), "18"},
		{ages, jsonNumber, number("2.5e1"), "25"},
		{ages, jsonNumber, number("1e400"), wrong},
		{ages, jsonNumber, number("1e-99999999999999999999"), "0"},
		{Param{"bucket", int64(10)}, long, ints(long, -1), "-10"},
		{Param{"bucket", "10"}, long, ints(long, -10), "-10"},
		{Param{"bucket", "10"}, long, ints(long, math.MinInt64), wrong}, // ...810 is no long
		{Param{"bucket", "8"}, long, ints(long, math.MinInt64), "-9223372036854775808"},
		{Param{"bucket", "10"}, long, ints(long, math.MaxInt64), "9223372036854775800"},
		{Param{"bucket", "10"}, jsonNumber, number("9223372036854775808"), wrong},
		{Param{"bucket", "8"}, jsonNumber, number("-9223372036854775807.5"), "-9223372036854775808"},
		{Param{"bucket", "8"}, jsonNumber, number("-9223372036854775808.5"), wrong},
		{Param{"bucket", "10"}, integer, ints(integer, math.MinInt32), wrong}, // -2147483650 is no int
		{Param{"bucket", "0.5"}, integer, ints(integer, 1), "generalize bucket: an int cannot hold ranges of 1 decimal places"},
		{Param{"bucket", "10.0"}, integer, ints(integer, 19), "10"},
		{Param{"bucket", "0.1"}, double, floats(0.3), "0.3"}, // although 0.3/0.1 is below 3
		{Param{"bucket", "0.1"}, double, floats(-0.05), "-0.1"},
		{Param{"bucket", "7"}, schemas.Type{Kind: schemas.Float}, schemas.Value{Kind: schemas.Float, Float: 16785406}, wrong}, // 16785405 is no float
		{Param{"bucket", "10"}, double, floats(math.Copysign(0, -1)), "0"},
		{Param{"bucket", "10"}, double, floats(math.NaN()), wrong},
		{Param{"bucket", "10"}, double, floats(math.Inf(1)), wrong},
		{Param{"bucket", "10"}, double, floats(1e300), wrong},
		{Param{"bucket", "10"}, jsonNumber, number("-0"), "0"},
		{Param{"bucket", "0.05"}, jsonNumber, number("1.2999"), "1.25"},
		{Param{"bucket", "0.05"}, jsonNumber, number("-1.2500000000000000001"), "-1.3"},
		{Param{"bucket", "0.05"}, jsonNumber, number("-1.2510"), "-1.3"},
		{Param{"bucket", "10"}, jsonNumber, number("0e999999999999"), "0"},
		{Param{"bucket", "10"}, jsonNumber, number("1e18446744073709551617"), wrong}, // 2^64 + 1
		{Param{"bucket", "10"}, double, floats(1e16), wrong},                         // floats are whole numbers only up to 2^53
		{Param{"bucket", "10"}, decimalType(30, 0, 0), schemas.Value{Kind: schemas.Bytes, Logical: schemas.Decimal, Text: encodeDecimal(power(25), 0)}, wrong},
		{Param{"bucket", "10"}, jsonNumber, number("0x10"), wrong},
		{Param{"bucket", "10"}, jsonNumber, text("19"), wrongType},
		{Param{"bucket", "10"}, money, decimalOf(money, 1999), "1000"},
		{Param{"bucket", "10"}, money, decimalOf(money, -1), "-1000"},
		{Param{"bucket", "10"}, money, decimalOf(money, -99999), wrong}, // -1000.00 has six digits
		{Param{"bucket", "0.25"}, money, decimalOf(money, -30), "-50"},
		{Param{"bucket", "0.001"}, money, decimalOf(money, 1), "generalize bucket: bytes (decimal) cannot hold ranges of 3 decimal places"},
		{Param{"bucket", "10"}, fixed, decimalOf(fixed, 4321), "4000"},
		{Param{"bucket", "10"}, money, decimalOf(money, 100_000), wrong}, // more digits than the type has
		{Param{"bucket", "10"}, money, schemas.Value{Kind: schemas.Bytes, Logical: schemas.Decimal}, wrong},
		{Param{"bucket", "10"}, fixed, schemas.Value{Kind: schemas.Fixed, Logical: schemas.Decimal, Text: []byte{1}}, wrong},
		{Param{"bucket", "10"}, money, schemas.Value{Kind: schemas.Bytes, Text: []byte{1}}, wrongType},
		{Param{"geo", int64(1)}, double, floats(52.52), "52.5"},
		{Param{"geo", int64(1)}, double, floats(-13.05), "-13.1"},
		{Param{"geo", int64(1)}, double, floats(-0.04), "0"},
		{Param{"geo", int64(0)}, double, floats(180), "180"},
		{Param{"geo", int64(0)}, double, floats(180.1), wrong},
		{Param{"geo", int64(0)}, jsonNumber, number("180.001"), wrong},
		{Param{"geo", int64(2)}, jsonNumber, number("13.4050"), "13.41"},
		{Param{"geo", int64(2)}, jsonNumber, number("13"), "13"},
		{Param{"geo", int64(2)}, jsonNumber, number("-0.001"), "0"},
		{Param{"geo", int64(1)}, money, decimalOf(money, 5255), "5260"},
		{Param{"geo", int64(6)}, money, decimalOf(money, 5255), "5255"},
		{Param{"geo", int64(1)}, integer, ints(integer, 52), "generalize geo does not take an int; use keep or redact or constant or pseudonymize or encrypt or drop"},
	} {
		if got := generalizeShown(t, c.typ, c.v, c.param); got != c.want {
			t.Errorf("%v of %+v: %s, want %s", c.param, c.v, got, c.want)
		}
	}
}

func TestGeneralizeInstants(t *testing.T) {
	at := time.Date(1969, 11, 5, 13, 45, 59, 999_999_999, time.UTC) // before 1970: floors, not cuts
	for logical, per := range map[schemas.Logical]int64{
		schemas.TimestampMillis: 1e3, schemas.TimestampMicros: 1e6, schemas.TimestampNanos: 1e9,
		schemas.LocalTimestampMillis: 1e3, schemas.LocalTimestampMicros: 1e6, schemas.LocalTimestampNanos: 1e9,
	} {
		v := schemas.Value{Kind: schemas.Long, Logical: logical, Int: floorDiv(at.UnixNano(), 1e9/per)}
		typ := schemas.Type{Kind: schemas.Long, Logical: logical}
		for _, c := range []struct {
			param Param
			want  time.Time
		}{
			{Param{"date", "year"}, time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)},
			{Param{"date", "quarter"}, time.Date(1969, 10, 1, 0, 0, 0, 0, time.UTC)},
			{Param{"date", "month"}, time.Date(1969, 11, 1, 0, 0, 0, 0, time.UTC)},
			{Param{"date", "week"}, time.Date(1969, 11, 3, 0, 0, 0, 0, time.UTC)},
			{Param{"date", "day"}, time.Date(1969, 11, 5, 0, 0, 0, 0, time.UTC)},
			{Param{"time", "hour"}, time.Date(1969, 11, 5, 13, 0, 0, 0, time.UTC)},
			{Param{"time", "minute"}, time.Date(1969, 11, 5, 13, 45, 0, 0, time.UTC)},
			{Param{"time", "second"}, time.Date(1969, 11, 5, 13, 45, 59, 0, time.UTC)},
		} {
			if got, want := generalizeShown(t, typ, v, c.param), fmt.Sprint(c.want.Unix()*per); got != want {
				t.Errorf("%v, %d a second: %s, want %s", c.param, per, got, want)
			}
		}
	}
	for _, c := range []struct {
		params []Param
		words  string
		v      schemas.Value
		want   string
	}{
		{[]Param{{"date", "month"}}, "int date", schemas.Value{Kind: schemas.Int, Logical: schemas.Date, Int: -1}, "-31"},
		{[]Param{{"date", "day"}}, "int date", schemas.Value{Kind: schemas.Int, Logical: schemas.Date, Int: -1}, "-1"},
		{[]Param{{"date", "year"}}, "int date", schemas.Value{Kind: schemas.Int, Logical: schemas.Date, Int: math.MinInt32}, wrong},
		{[]Param{{"date", "year"}}, "long timestamp-millis", schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampMillis, Int: math.MaxInt64}, wrong},
		{[]Param{{"date", "year"}}, "long timestamp-nanos", schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampNanos, Int: math.MinInt64}, wrong},
		{[]Param{{"time", "hour"}}, "int time-millis", schemas.Value{Kind: schemas.Int, Logical: schemas.TimeMillis, Int: 7_199_999}, "3600000"},
		{[]Param{{"time", "hour"}}, "int time-millis", schemas.Value{Kind: schemas.Int, Logical: schemas.TimeMillis, Int: 86_400_000}, wrong},
		{[]Param{{"time", "minute"}}, "long time-micros", schemas.Value{Kind: schemas.Long, Logical: schemas.TimeMicros, Int: -1}, wrong},
		{[]Param{{"time", "second"}}, "long time-micros", schemas.Value{Kind: schemas.Long, Logical: schemas.TimeMicros, Int: 1_999_999}, "1000000"},
		{[]Param{{"date", "day"}, {"unit", "s"}}, "long", schemas.Value{Kind: schemas.Long, Int: 1_767_225_601}, "1767225600"},
		{[]Param{{"date", "year"}, {"unit", "s"}}, "int", schemas.Value{Kind: schemas.Int, Int: math.MinInt32}, wrong},
		{[]Param{{"date", "day"}, {"unit", "ms"}}, "any", number("1767225600999.75"), "1767225600000"},
		{[]Param{{"date", "day"}, {"unit", "ms"}}, "any", number("-0.5"), "-86400000"},
		{[]Param{{"date", "day"}, {"unit", "s"}}, "any", number("1.767225601e9"), "1767225600"},
		{[]Param{{"date", "day"}, {"unit", "s"}}, "any", number("1e30"), wrong},
		{[]Param{{"date", "year"}, {"unit", "d"}}, "any", number("5822"), "5479"},
		{[]Param{{"date", "month"}, {"unit", "d"}}, "int", schemas.Value{Kind: schemas.Int, Int: -1}, "-31"},
		{[]Param{{"date", "week"}, {"unit", "d"}}, "long", schemas.Value{Kind: schemas.Long, Int: 0}, "-3"},
		{[]Param{{"date", "day"}, {"unit", "d"}}, "any", number("5822.75"), "5822"},
		{[]Param{{"date", "year"}, {"unit", "d"}}, "int", schemas.Value{Kind: schemas.Int, Int: math.MinInt32}, wrong},
		{[]Param{{"date", "year"}, {"unit", "d"}}, "long", schemas.Value{Kind: schemas.Long, Int: math.MaxInt64}, wrong},
		{[]Param{{"date", "day"}}, "any", number("1767225600"), wrongType},
		{[]Param{{"date", "day"}, {"unit", "ms"}}, "any", text("2026-01-01T10:00:00Z"), "2026-01-01T00:00:00Z"},
		{[]Param{{"date", "day"}}, "any", schemas.Value{Kind: schemas.Bool}, wrongType},
		{[]Param{{"time", "hour"}}, "int date", schemas.Value{}, "generalize time does not take an int (date); use keep or redact or constant or encrypt or date_shift or drop"},
	} {
		if got := generalizeShown(t, parseType(t, c.words), c.v, c.params...); got != c.want {
			t.Errorf("%v of %+v: %s, want %s", c.params, c.v, got, c.want)
		}
	}
}

// TestOnlyTheClassShows: two values of one class give the same bytes.
func TestOnlyTheClassShows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hidden := func(label string) string { return rapid.StringMatching(`[a-zA-Z0-9._-]{1,20}`).Draw(t, label) }
		octet := rapid.IntRange(0, 255)
		var a, b string
		var param Param
		switch rapid.IntRange(0, 6).Draw(t, "form") {
		case 0:
			param, a, b = Param{"email", "domain"}, hidden("a")+"@example.org", hidden("b")+"@EXAMPLE.org"
		case 1:
			param = Param{"ip_prefix", "24,48"}
			a, b = fmt.Sprintf("203.0.113.%d", octet.Draw(t, "a")), fmt.Sprintf("::ffff:203.0.113.%d", octet.Draw(t, "b"))
		case 2:
			param = Param{"ip_prefix", "16,32"}
			a, b = fmt.Sprintf("2001:db8:%x::%x", octet.Draw(t, "a"), octet.Draw(t, "a")), fmt.Sprintf("2001:0DB8:%x::", octet.Draw(t, "b"))
		case 3:
			param = Param{"url_query", "utm_source"}
			a, b = "https://"+hidden("a")+"@x.example/p?utm_source=m&q="+hidden("a"), "https://x.example/p;s="+hidden("b")+"?"+hidden("b")+"=1&utm_source=m#"+hidden("b")
		case 5:
			param = Param{"query", "utm_source"}
			a, b = hidden("a")+"&utm_source=m&q="+hidden("a"), hidden("b")+"=1;utm_source=m#"+hidden("b")
		case 4:
			param = Param{"date", "month"}
			day := rapid.IntRange(1, 28)
			a = fmt.Sprintf("2026-02-%02dT%02d:00:00Z", day.Draw(t, "a"), rapid.IntRange(0, 23).Draw(t, "a"))
			b = fmt.Sprintf("2026-02-%02d 12:00:00.%d+01:00", day.Draw(t, "b"), octet.Draw(t, "b"))
		default:
			param = Param{"time", "hour"}
			a, b = fmt.Sprintf("10:%02d:00", octet.Draw(t, "a")%60), fmt.Sprintf("10:59:59.%d", octet.Draw(t, "b"))
		}
		f, err := New("generalize", []Param{param}, Env{})
		if err != nil {
			t.Fatal(err)
		}
		if x, y := apply(t, f, a), apply(t, f, b); x != y {
			t.Fatalf("%v: %q gives %q, %q gives %q", param, a, x, b, y)
		}
	})
}

// FuzzGeneralize: what the forms of text say of any text is what the standard
// library says.
func FuzzGeneralize(f *testing.F) {
	for _, s := range append(pattern, "1::2::3", "1:2:3:4:5:6:7::", "::1.2.3.4", "1.2.3.4.5", "::%", "12345::", "1:2:3:4:5:6:1.2.3.4", ":::", "1:",
		"http://a/b?c=1&utm=2;d#e", "http://[::1]:80/%41?utm=%26", "http:///x", "//@/", "http://a:b:80/", "//?utm=1?x",
		"0000-01-01 00:00:00+0060", "?utm=1&a;utm=2#c") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkIPPrefix(t, s)
		checkURL(t, s)
		checkQuery(t, s)
		checkCivil(t, s)
	})
}

// checkIPPrefix: what is taken for an address is one for net/netip, and the
// outcome is its prefix.
func checkIPPrefix(t *testing.T, s string) {
	got, ok := ipPrefix{24, 48}.apply(nil, []byte(s))
	a, err := netip.ParseAddr(s)
	if ok != (err == nil) {
		t.Fatalf("%q: taken %v, netip says %v", s, ok, err)
	}
	if !ok {
		return
	}
	bits := 24
	if a = a.Unmap(); a.Is6() {
		bits = 48
		if strings.HasPrefix(a.StringExpanded(), "2002:") {
			bits = 40
		}
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil || string(got) != p.Addr().String() {
		t.Fatalf("%q: %s, want %v, %v", s, got, p, err)
	}
}

// checkURL: what is taken is a URL for net/url before and after, of the same
// host and path, without user, fragment and parameters that are not named.
func checkURL(t *testing.T, s string) {
	form := urlForm{[][]byte{[]byte("utm")}}
	got, ok := form.apply(nil, []byte(s))
	if !ok {
		return
	}
	before, err := url.Parse(s)
	if err != nil {
		return // net/url has rules about escapes and hosts that are not ours
	}
	after, err := url.Parse(string(got))
	if err != nil || after.User != nil || after.Fragment != "" || after.Host != before.Host || after.Scheme != before.Scheme {
		t.Fatalf("%q gives %q: %v", s, got, err)
	}
	if strings.ContainsAny(after.Path, ";") && !strings.Contains(after.EscapedPath(), "%3") || len(after.Path) > len(before.Path) {
		t.Fatalf("%q gives %q", s, got)
	}
	for _, pair := range strings.Split(after.RawQuery, "&") {
		if name, _, _ := strings.Cut(pair, "="); pair != "" && name != "utm" || !slices.Contains(strings.FieldsFunc("&"+before.RawQuery, func(r rune) bool { return r == '&' || r == ';' }), pair) && pair != "" {
			t.Fatalf("%q gives %q", s, got)
		}
	}
}

// checkQuery: what is left of a query is what is left of that of a URL.
func checkQuery(t *testing.T, s string) {
	names := parameterNames{[]byte("utm")}
	got, ok := queryForm{names}.apply(nil, []byte(s))
	want, asURL := urlForm{names}.apply(nil, []byte("/?"+strings.TrimPrefix(s, "?")))
	if first := strings.HasPrefix(s, "?"); ok != asURL || strings.TrimPrefix(string(got), "?") != strings.TrimPrefix(strings.TrimPrefix(string(want), "/"), "?") || !first && strings.HasPrefix(string(got), "?") {
		t.Fatalf("%q gives %q, %v; as a URL's %q, %v", s, got, ok, want, asURL)
	}
}

// checkCivil: what is taken is what package time reads in the same form.
func checkCivil(t *testing.T, s string) {
	c, ok := readCivil([]byte(s))
	want, err := parseTime(s)
	if ok != (err == nil) {
		t.Fatalf("%q: taken %v, package time says %v", s, ok, err)
	}
	if ok && c.date && c.seconds() != want.Unix() {
		t.Fatalf("%q: %d, want %v", s, c.seconds(), want)
	}
}

// parseTime reads the forms of readCivil by package time. Its parser is looser
// in what it takes for a fraction and an offset.
func parseTime(s string) (at time.Time, err error) {
	b := []byte(s)
	if len(b) > 10 && (b[10] == 't' || b[10] == ' ') && b[4] == '-' {
		b[10] = 'T'
	}
	if n := len(b) - 1; n > 10 && b[n] == 'z' {
		b[n] = 'Z'
	}
	s = string(b)
	if strings.Contains(s, ",") {
		return at, fmt.Errorf("a comma")
	}
	for _, layout := range []string{"2006-01-02", "15:04:05", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700"} {
		if at, err = time.Parse(layout, s); err == nil {
			if i := strings.IndexByte(s, ':'); i >= 0 && i != 2 && i != 13 {
				return at, fmt.Errorf("an hour of one digit")
			}
			if i := strings.LastIndexAny(s, "+-"); i > 10 && (s[i+1:i+3] >= "24" || s[len(s)-2:] >= "60") {
				return at, fmt.Errorf("an offset of a day, or of a minute that no hour has")
			}
			return at, nil
		}
	}
	return at, err
}
