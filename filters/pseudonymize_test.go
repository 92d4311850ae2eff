package filters

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/schemas"
)

func text(s string) schemas.Value { return schemas.Value{Kind: schemas.String, Text: []byte(s)} }
func number(s string) schemas.Value {
	return schemas.Value{Kind: schemas.Number, Text: []byte(s)}
}

// token pseudonymizes v at a JSON position.
func token(t interface{ Fatalf(string, ...any) }, f Treatment, v schemas.Value) string {
	via, _, err := f.At(schemas.Type{Kind: schemas.Any})
	if err != nil {
		t.Fatalf("%v", err)
	}
	out, rest, err := via.Apply([]byte("before"), v)
	if err != nil || !strings.HasPrefix(string(rest), "before") || !bytes.HasSuffix(rest, out.Text) {
		t.Fatalf("%+v, rest %q, %v", out, rest, err)
	}
	return string(out.Text)
}

const someUUID = "c9f2a3de-5b0e-4f3c-9d1a-0123456789ab"

// The expected tokens were computed by an independent implementation (Python's
// hmac and base64) from the package comment.
func TestGoldenTokens(t *testing.T) {
	for _, c := range []struct {
		domain string
		epoch  int
		value  schemas.Value
		want   string
	}{
		{"crm", 1, text("42"), "k1.6rm2hgrb5hihrmgf7rptfanmnj"},
		{"crm", 1, number("42"), "k1.6rm2hgrb5hihrmgf7rptfanmnj"},
		{"crm", 1, schemas.Value{Kind: schemas.Int, Int: 42}, "k1.6rm2hgrb5hihrmgf7rptfanmnj"},
		{"crm", 1, schemas.Value{Kind: schemas.Long, Int: 42}, "k1.6rm2hgrb5hihrmgf7rptfanmnj"},
		{"crm", 1, schemas.Value{Kind: schemas.Enum, Int: 3, Text: []byte("42")}, "k1.6rm2hgrb5hihrmgf7rptfanmnj"},
		{"crm", 1, number("-7"), "k1.eeonn3qhudl3q6e5dnma7q3oto"},
		{"crm", 1, number("-0"), "k1.7ytwsykx4vsseqbbk6blskot5v"},
		{"crm", 1, number("0"), "k1.7ytwsykx4vsseqbbk6blskot5v"},
		{"crm", 1, text(""), "k1.7k34l4fcifvltsyiavoerp324w"},
		{"crm", 1, text("Zoë"), "k1.dyksc3x6sfmblcrropo3rfjo3l"},
		{"email", 12, text("a@example.org"), "k12.zmblvu6vaah2nxcnmjrmlrjxah"},
		{"crm", 1, text(someUUID), "01570284-b1a8-829c-80ac-f5900c361ea7"},
		{"crm", 1, text(strings.ToUpper(someUUID)), "01570284-b1a8-829c-80ac-f5900c361ea7"},
		{"crm", 258, text(someUUID), "02570284-b1a8-829c-80ac-f5900c361ea7"},
	} {
		f := mustNew(t, "pseudonymize", goldenEnv(c.domain, c.epoch))
		for range 2 { // the second time from the kept state
			if got := token(t, f, c.value); got != c.want {
				t.Errorf("%s %d %+v: %s, want %s", c.domain, c.epoch, c.value, got, c.want)
			}
		}
	}
}

// A uuid has one token in all its types.
func TestUUIDStaysUUID(t *testing.T) {
	f := mustNew(t, "pseudonymize", goldenEnv("crm", 1))
	id, ok := parseUUID([]byte(someUUID))
	if !ok {
		t.Fatal("no uuid")
	}
	via, result, err := f.At(schemas.Type{Kind: schemas.Fixed, Logical: schemas.UUID, Size: 16, Name: "x.ID"})
	if err != nil || result.Kind != schemas.Fixed || result.Logical != schemas.UUID || result.Size != 16 {
		t.Fatalf("%+v, %v", result, err)
	}
	out, _, err := via.Apply(nil, schemas.Value{Kind: schemas.Fixed, Logical: schemas.UUID, Text: id[:]})
	if err != nil || out.Kind != schemas.Fixed || len(out.Text) != 16 {
		t.Fatalf("%+v, %v", out, err)
	}
	want := token(t, f, text(someUUID))
	if got := string(appendUUID(nil, [16]byte(out.Text))); got != want {
		t.Errorf("fixed gives %s, string %s", got, want)
	}
	if got := token(t, f, schemas.Value{Kind: schemas.String, Logical: schemas.UUID, Text: []byte(someUUID)}); got != want {
		t.Errorf("uuid string gives %s, string %s", got, want)
	}
	if out.Text[6]>>4 != 8 || out.Text[8]>>6 != 2 {
		t.Errorf("%x is no version 8 uuid", out.Text)
	}
}

func TestPseudonymizeRefusesValues(t *testing.T) {
	f := mustNew(t, "pseudonymize", goldenEnv("crm", 1))
	for name, c := range map[string]struct {
		v    schemas.Value
		want error
	}{
		"fraction":        {number("1.0"), ErrValue},
		"exponent":        {number("1e3"), ErrValue},
		"no digits":       {number("-"), ErrValue},
		"nothing":         {number(""), ErrValue},
		"leading zero":    {number("042"), ErrValue},
		"plus":            {number("+1"), ErrValue},
		"not UTF-8":       {text("\xff"), ErrValue},
		"not a uuid":      {schemas.Value{Kind: schemas.String, Logical: schemas.UUID, Text: []byte("42")}, ErrValue},
		"boolean":         {schemas.Value{Kind: schemas.Bool, Int: 1}, ErrValueType},
		"double":          {schemas.Value{Kind: schemas.Double, Float: 1}, ErrValueType},
		"null":            {schemas.Value{Kind: schemas.Null}, ErrValueType},
		"date":            {schemas.Value{Kind: schemas.Int, Logical: schemas.Date, Int: 1}, ErrValueType},
		"bytes":           {schemas.Value{Kind: schemas.Bytes, Text: []byte("42")}, ErrValueType},
		"fixed":           {schemas.Value{Kind: schemas.Fixed, Text: make([]byte, 16)}, ErrValueType},
		"fixed of 15":     {schemas.Value{Kind: schemas.Fixed, Logical: schemas.UUID, Text: make([]byte, 15)}, ErrValueType},
		"the zero Value":  {schemas.Value{}, ErrValueType},
		"unknown logical": {schemas.Value{Kind: schemas.String, Logical: schemas.UnknownLogical, Text: []byte("42")}, ErrValueType},
	} {
		via, _, err := f.At(schemas.Type{Kind: schemas.Any})
		if err != nil {
			t.Fatal(err)
		}
		out, rest, err := via.Apply([]byte("b"), c.v)
		if !errors.Is(err, c.want) || out.Text != nil || out.Kind != schemas.Invalid || string(rest) != "b" {
			t.Errorf("%s: %+v, %v; want %v and no value", name, out, err, c.want)
		}
	}
}

func TestNormalizer(t *testing.T) {
	env := goldenEnv("email", 1)
	plain := mustNew(t, "pseudonymize", env)
	env.Normalize = func(dst, text []byte) ([]byte, error) {
		if len(text) == 0 {
			return nil, fmt.Errorf("%q is empty", text)
		}
		return append(dst, bytes.ToLower(bytes.TrimSpace(text))...), nil
	}
	f := mustNew(t, "pseudonymize", env)
	want := token(t, plain, text("a@example.org"))
	for _, s := range []string{"a@example.org", " A@Example.ORG ", "A@EXAMPLE.ORG" + strings.Repeat(" ", 500)} {
		if got := token(t, f, text(s)); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
	if got := token(t, f, text(" "+strings.ToUpper(someUUID))); got != token(t, plain, text(someUUID)) {
		t.Errorf("a uuid behind white space: %s", got)
	}
	via, _, _ := f.At(schemas.Type{Kind: schemas.String})
	if out, _, err := via.Apply(nil, text("")); !errors.Is(err, ErrValue) || out.Text != nil {
		t.Errorf("the normaliser failed: %+v, %v", out, err)
	}
}

var tokenForm = regexp.MustCompile(`^k[1-9][0-9]*\.[a-z2-7]{26}$`)

// P7: tokens are equal for equal (key, domain, value) whatever the format, and
// say nothing across keys, domains and epochs: there they differ in the whole
// token, not only in the epoch.
func TestTokensAreUnlinkable(t *testing.T) {
	key := func(t *rapid.T, label string) []byte {
		return rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label)
	}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Int64().Draw(t, "id")
		a, b := key(t, "key of a"), key(t, "key of b")
		token := func(key []byte, epoch int, domain string, v schemas.Value) string {
			f, err := New("pseudonymize", nil, Env{Key: key, Epoch: epoch, Domain: domain})
			if err != nil {
				t.Fatal(err)
			}
			s := token(t, f, v)
			if !tokenForm.MatchString(s) {
				t.Fatalf("token %q", s)
			}
			_, body, _ := strings.Cut(s, ".")
			return body
		}
		digits := strconv.FormatInt(id, 10)
		one := token(a, 1, "crm", text(digits))
		for _, same := range []schemas.Value{number(digits), {Kind: schemas.Long, Int: id}} {
			if token(a, 1, "crm", same) != one {
				t.Fatal("one value, two tokens")
			}
		}
		if !bytes.Equal(a, b) && token(b, 1, "crm", text(digits)) == one || token(a, 1, "shop", text(digits)) == one ||
			token(a, 1, "crm", text(digits+"0")) == one {
			t.Fatal("two values, purposes or domains, one token")
		}
	})
}

// The digest of (domain, value) does not depend on where one ends.
func TestDomainIsSeparate(t *testing.T) {
	a, b := mustNew(t, "pseudonymize", goldenEnv("ab", 1)), mustNew(t, "pseudonymize", goldenEnv("a", 1))
	if token(t, a, text("c")) == token(t, b, text("bc")) {
		t.Error("(ab, c) and (a, bc) have one token")
	}
}

func TestPseudonymizeAllocatesNothing(t *testing.T) {
	env := goldenEnv("crm", 1)
	env.Normalize = func(dst, text []byte) ([]byte, error) { return append(dst, text...), nil }
	f := mustNew(t, "pseudonymize", env)
	via, _, err := f.At(schemas.Type{Kind: schemas.Any})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []schemas.Value{text("somebody@example.org"), number("-0"), {Kind: schemas.Long, Int: 1 << 60}, text(someUUID)} {
		if n := allocations(t, via, v); n != 0 {
			t.Errorf("%+v: %v allocations", v, n)
		}
	}
}

func BenchmarkPseudonymize(b *testing.B) {
	for name, v := range map[string]schemas.Value{"string": text("somebody@example.org"), "long": {Kind: schemas.Long, Int: 123456789}, "uuid": text(someUUID)} {
		b.Run(name, func(b *testing.B) {
			via, _, err := mustNew(b, "pseudonymize", goldenEnv("email", 1)).At(schemas.Type{Kind: schemas.Any})
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 0, 128)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if len(v.Text) > 0 { // the value before is remembered
					v.Text[0] = '0' + byte(i&7)
				}
				if _, _, err := via.Apply(buf, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestPseudonymizeRemembers: what is remembered of one value is never given for
// another, nor for the same bytes of another kind.
func TestPseudonymizeRemembers(t *testing.T) {
	fresh := func(v schemas.Value) string {
		out, _, err := anyPseudonymize(t).Apply(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		return string(out.Text)
	}
	used := anyPseudonymize(t)
	for i, v := range []schemas.Value{text("42"), text("42"), text("43"), text("42"), text("4"),
		{Kind: schemas.Long, Int: 42}, {Kind: schemas.Number, Text: []byte("42")}, text("42"),
		text("6f1c2d30-0000-4000-8000-000000000001"), text("6f1c2d30-0000-4000-8000-000000000001")} {
		out, _, err := used.Apply([]byte("before"), v)
		if err != nil || string(out.Text) != fresh(v) {
			t.Errorf("value %d: %s, %v; want %s", i, out.Text, err, fresh(v))
		}
	}
}

func anyPseudonymize(t *testing.T) schemas.Transform {
	via, _, err := mustNew(t, "pseudonymize", goldenEnv("crm", 1)).At(schemas.Type{Kind: schemas.Any})
	if err != nil {
		t.Fatal(err)
	}
	return via
}
