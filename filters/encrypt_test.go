package filters

import (
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/schemas"
)

// sealed encrypts v at the type that holds it.
func sealed(t testing.TB, env Env, typ schemas.Type, v schemas.Value) (schemas.Value, error) {
	t.Helper()
	via, _, err := mustNew(t, "encrypt", env).At(typ)
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := via.Apply([]byte("before"), v)
	return out, err
}

// The expected tokens were computed by an independent implementation (Python's
// cryptography, AESSIV) from the package comment.
func TestGoldenEncryption(t *testing.T) {
	for _, c := range []struct {
		env  Env
		typ  schemas.Type
		v    schemas.Value
		want string
	}{
		{sealEnv("analytics", "email", 1), schemas.Type{Kind: schemas.String}, text("somebody@example.org"),
			"e1.QAtiik9Vg7SqPn2NkCYlTZs2jKH8IuLg5vS_4nhuZrfV7vB_WQ0IwA1RocjIVW0R"},
		{sealEnv("analytics", "email", 1), schemas.Type{Kind: schemas.Any}, text(""), "e1.UgM6yIM5Mqp3dfNtdYDWi3ZdCbi4WuFNu40BqeSyYWw"},
		{sealEnv("analytics", "id", 1), schemas.Type{Kind: schemas.Any}, number("42"), "e1.wHAoZHe0humviw0ZtA_7cDPJn2P0j7HnsJc-5ScTkYg"},
		{sealEnv("analytics", "id", 1), schemas.Type{Kind: schemas.Long}, schemas.Value{Kind: schemas.Long, Int: 42}, "e1.wHAoZHe0humviw0ZtA_7cDPJn2P0j7HnsJc-5ScTkYg"},
		{sealEnv("service", KeyPath, 12), schemas.Type{Kind: schemas.String}, text("Zoë"), "e12.QEGn5ff-IVlxNP3jnsYB7-AXbkZLShEjYqk5YDaHGWE"},
		{sealEnv("analytics", "blob", 1), schemas.Type{Kind: schemas.Bytes}, schemas.Value{Kind: schemas.Bytes, Text: []byte{0, 255}},
			"e1.E9XHvtiP-IY5EUoByWh9yLS3CT_TTyDQIKBqsRofIXM"},
	} {
		out, err := sealed(t, c.env, c.typ, c.v)
		if err != nil || string(out.Text) != c.want {
			t.Errorf("%+v: %s, %v; want %s", c.v, out.Text, err, c.want)
		}
	}
}

// TestRevealedText: what comes back of each type, which is what people know the
// value by.
func TestRevealedText(t *testing.T) {
	money := decimalType(12, 2, 0)
	env := sealEnv("p", "x", 3)
	for _, c := range []struct {
		words string
		v     schemas.Value
		want  string
	}{
		{"string", text("Zoë"), "Zoë"},
		{"string uuid", schemas.Value{Kind: schemas.String, Logical: schemas.UUID, Text: []byte(someUUID)}, someUUID},
		{"fixed uuid", schemas.Value{Kind: schemas.Fixed, Logical: schemas.UUID, Text: []byte("0123456789abcdef")}, "30313233-3435-3637-3839-616263646566"},
		{"int", schemas.Value{Kind: schemas.Int, Int: -7}, "-7"},
		{"float", schemas.Value{Kind: schemas.Float, Float: float64(float32(0.1))}, "0.1"},
		{"double", schemas.Value{Kind: schemas.Double, Float: 52.52}, "52.52"},
		{"double", schemas.Value{Kind: schemas.Double, Float: 1e6}, "1000000"},
		{"enum", schemas.Value{Kind: schemas.Enum, Int: 1, Text: []byte("x")}, "x"},
		{"any", number("1.50e3"), "1.50e3"},
		{"bytes decimal", decimalOf(money, -1250), "-12.50"},
		{"bytes decimal", decimalOf(money, 5), "0.05"},
		{"bytes decimal", decimalOf(money, 0), "0.00"},
		{"int date", schemas.Value{Kind: schemas.Int, Logical: schemas.Date, Int: -1}, "1969-12-31"},
		{"int date", schemas.Value{Kind: schemas.Int, Logical: schemas.Date, Int: 1 << 30}, "1073741824"},
		{"int time-millis", schemas.Value{Kind: schemas.Int, Logical: schemas.TimeMillis, Int: 61_001}, "00:01:01.001"},
		{"int time-millis", schemas.Value{Kind: schemas.Int, Logical: schemas.TimeMillis, Int: -1}, "-1"},
		{"long time-micros", schemas.Value{Kind: schemas.Long, Logical: schemas.TimeMicros, Int: 1}, "00:00:00.000001"},
		{"long timestamp-millis", schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampMillis, Int: -1}, "1969-12-31T23:59:59.999Z"},
		{"long timestamp-micros", schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampMicros, Int: 1}, "1970-01-01T00:00:00.000001Z"},
		{"long timestamp-nanos", schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampNanos, Int: 1}, "1970-01-01T00:00:00.000000001Z"},
		{"long local-timestamp-millis", schemas.Value{Kind: schemas.Long, Logical: schemas.LocalTimestampMillis, Int: 1}, "1970-01-01T00:00:00.001"},
		{"long timestamp-millis", schemas.Value{Kind: schemas.Long, Logical: schemas.TimestampMillis, Int: 1<<63 - 1}, "9223372036854775807"},
		{"bytes", schemas.Value{Kind: schemas.Bytes, Text: []byte{0x80, 0, 0}}, "\x80\x00\x00"},
		{"fixed duration", schemas.Value{Kind: schemas.Fixed, Logical: schemas.Duration, Text: []byte("123456789012")}, "123456789012"},
	} {
		out, err := sealed(t, env, parseType(t, c.words), c.v)
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		got, raw, err := Reveal(env.Key, "p", "x", out.Text)
		if err != nil || string(got) != c.want || raw != (out.Kind == schemas.Bytes) {
			t.Errorf("%s: %q, %v, %v; want %q", c.words, got, raw, err, c.want)
		}
	}
}

func TestEncryptRefusesValues(t *testing.T) {
	money := decimalType(4, 2, 0)
	for name, c := range map[string]struct {
		typ  schemas.Type
		v    schemas.Value
		want error
	}{
		"not UTF-8":       {schemas.Type{Kind: schemas.String}, text("\xff"), ErrValue},
		"boolean":         {schemas.Type{Kind: schemas.Any}, schemas.Value{Kind: schemas.Bool}, ErrValueType},
		"null":            {schemas.Type{Kind: schemas.Any}, schemas.Value{Kind: schemas.Null}, ErrValueType},
		"the zero Value":  {schemas.Type{Kind: schemas.Any}, schemas.Value{}, ErrValueType},
		"unknown logical": {schemas.Type{Kind: schemas.Any}, schemas.Value{Kind: schemas.String, Logical: schemas.UnknownLogical}, ErrValueType},
		"stray decimal":   {schemas.Type{Kind: schemas.Any}, decimalOf(money, 1), ErrValueType},
		"too many digits": {money, decimalOf(money, 10_000), ErrValue},
	} {
		if out, err := sealed(t, sealEnv("p", "x", 1), c.typ, c.v); !errors.Is(err, c.want) || out.Text != nil {
			t.Errorf("%s: %+v, %v; want %v and no value", name, out, err, c.want)
		}
	}
}

var sealedForm = regexp.MustCompile(`^e[1-9][0-9]*\.[A-Za-z0-9_-]+$`)

// TestTokensAreBound: a token opens under its own purpose, path, epoch and key
// and under no other, nor when a character of it was changed.
func TestTokensAreBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		purpose, path := rapid.StringMatching(`[a-c]{1,3}`), rapid.StringMatching(`[a-c.]{1,4}`)
		env := sealEnv(purpose.Draw(t, "purpose"), path.Draw(t, "path"), rapid.IntRange(1, 300).Draw(t, "epoch"))
		f, err := New("encrypt", nil, env)
		if err != nil {
			t.Fatal(err)
		}
		plainText := rapid.String().Draw(t, "text")
		token := apply(t, f, plainText)
		if !sealedForm.MatchString(token) || len(token)%4 == 0 && strings.HasSuffix(token, "=") {
			t.Fatalf("token %q", token)
		}
		got, raw, err := Reveal(env.Key, env.Purpose, env.Path, []byte(token))
		if err != nil || string(got) != plainText || raw {
			t.Fatalf("%q comes back as %q, %v", plainText, got, err)
		}
		p2, x2 := purpose.Draw(t, "other purpose"), path.Draw(t, "other path")
		if got, _, err := Reveal(env.Key, p2, x2, []byte(token)); (err == nil) != (p2 == env.Purpose && x2 == env.Path) || err != nil && got != nil {
			t.Fatalf("opened under %s, %s: %v", p2, x2, err)
		}
		other := append([]byte{}, env.Key...)
		other[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1
		if _, _, err := Reveal(other, env.Purpose, env.Path, []byte(token)); !errors.Is(err, ErrNotOurs) {
			t.Fatalf("another key: %v", err)
		}
		bad := []byte(token)
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		if got, _, err := Reveal(env.Key, env.Purpose, env.Path, bad); err == nil || got != nil || strings.Contains(err.Error(), string(bad)) {
			t.Fatalf("%q opened, or shows: %v", bad, err)
		}
	})
}

// TestTokenLength: the length shows in steps of 16 bytes only.
func TestTokenLength(t *testing.T) {
	f := mustNew(t, "encrypt", sealEnv("p", "x", 1))
	lengths := map[int]bool{}
	for n := range 15 {
		lengths[len(apply(t, f, strings.Repeat("x", n)))] = true
	}
	if len(lengths) != 1 || lengths[len(apply(t, f, strings.Repeat("x", 15)))] {
		t.Errorf("tokens of 0 to 14 characters have the lengths %v", lengths)
	}
}

func TestTokenEpoch(t *testing.T) {
	for token, want := range map[string]error{
		"e1.QQ": nil, "e2147483647.": nil, "e2147483648.QQ": ErrNotToken, "e0.QQ": ErrNotToken, "e01.QQ": ErrNotToken, "e.QQ": ErrNotToken,
		"e-1.QQ": ErrNotToken, "e1": ErrNotToken, "": ErrNotToken, "k1.6rm2hgrb5hihrmgf7rptfanmnj": ErrPseudonym, "kiosk.": ErrNotToken,
		"somebody@example.org": ErrNotToken, "e+1.QQ": ErrNotToken, "e1x.QQ": ErrNotToken,
	} {
		if _, err := TokenEpoch([]byte(token)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", token, err, want)
		}
	}
	key := countingKey(64)
	for _, token := range []string{"e1.UgM6yIM5Mqp3dfNtdYDWi3ZdCbi4WuFNu40BqeSyYWx", "e1.", "e1.QQ", "e1.QQ==", "e1.Q\nQ", "e1.!", "e1.QAtiik9Vg7SqPn2NkCYlTZs2jKH8IuLg5vS_4nhuZrfV7vB_WQ0IwA1RocjIVW0\nR"} {
		if v, _, err := Reveal(key, "analytics", "email", []byte(token)); err == nil || v != nil {
			t.Errorf("%q is revealed", token)
		}
	}
}

// TestOnlyTagsOpen: what the key has sealed, but not as seal does, does not open.
func TestOnlyTagsOpen(t *testing.T) {
	s, err := newSealer(countingKey(64), 1, "p", "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"", "t", "\x80", "t\x80", "x\x80", "xy\x80\x00", "ty", "ty\x00"} {
		sealed, err := s.siv.EncryptDeterministically([]byte(plain), s.data)
		if err != nil {
			t.Fatal(err)
		}
		token := base64.RawURLEncoding.AppendEncode([]byte("e1."), sealed)
		v, _, err := Reveal(countingKey(64), "p", "x", token)
		if good := plain == "t\x80"; good != (err == nil) || !good && v != nil {
			t.Errorf("%q: %q, %v", plain, v, err)
		}
	}
}

func FuzzReveal(f *testing.F) {
	f.Add("e1.QAtiik9Vg7SqPn2NkCYlTZs2jKH8IuLg5vS_4nhuZrfV7vB_WQ0IwA1RocjIVW0R")
	f.Add("k1.6rm2hgrb5hihrmgf7rptfanmnj")
	f.Add("e1.QQ")
	key := countingKey(64)
	f.Fuzz(func(t *testing.T, token string) {
		v, _, err := Reveal(key, "analytics", "email", []byte(token))
		if (err == nil) != (token == "e1.QAtiik9Vg7SqPn2NkCYlTZs2jKH8IuLg5vS_4nhuZrfV7vB_WQ0IwA1RocjIVW0R") || err != nil && v != nil {
			t.Fatalf("%q: %q, %v", token, v, err)
		}
	})
}
