package filters

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/schemas"
)

// apply runs f at a string position; buf holds other text, as in a splicer.
func apply(t interface{ Fatalf(string, ...any) }, f Treatment, text string) string {
	via, _, err := f.At(schemas.Type{Kind: schemas.String})
	if err != nil {
		t.Fatalf("%v", err)
	}
	in := []byte(text)
	out, rest, err := via.Apply([]byte("before"), schemas.Value{Kind: schemas.String, Text: in})
	if err != nil || out.Kind != schemas.String || !strings.HasPrefix(string(rest), "before") || string(in) != text {
		t.Fatalf("%s: %+v, rest %q, input now %q, %v", f.Name(), out, rest, in, err)
	}
	return string(out.Text)
}

func TestMask(t *testing.T) {
	for _, c := range []struct {
		first, last int64
		char        string
		in, want    string
	}{
		{0, 0, "*", "secret", "****"},
		{0, 0, "*", "", "****"},
		{1, 0, "*", "a@example.org", "a****"},
		{2, 3, "*", "a@example.org", "a@****org"},
		{2, 3, "*", "123456789", "12****789"},
		{2, 3, "*", "12345678", "*********"},           // 8 < 2+3+4: hidden whole
		{2, 3, "•", "Zoë Müller", "Zo••••ler"},         // characters, not bytes
		{2, 0, "*", "Zoe\u0308abcde", "Zo****"},        // combining mark after the cut
		{3, 0, "*", "Zoe\u0308abcde", "Zo*****"},       // never an e that stands for an ë
		{0, 2, "*", "abcdefe\u0308x", "*****x"},        // nor a mark without its letter
		{1, 0, "*", "👨\u200d👩\u200d👧 family", "*****"}, // joined: more than one code point
		{1, 1, "*", "🇩🇪🇫🇷🇮🇹🇪🇸", "******"},              // half a flag is another flag
		{2, 2, "*", "🇩🇪🇫🇷🇮🇹🇪🇸", "🇩🇪****🇪🇸"},
		{1, 1, "*", "\r\nabcdef\r\n", "******"},
		{1, 0, "*", "한글이름한글이름", "한****"},
		{1, 0, "*", "\u1100가abcdefg", "*****"},           // an initial joins what it stands before
		{1, 0, "*", "\u1112\u1161\u11ababcdef", "*****"}, // the same syllable, conjoining
	} {
		f := mustNew(t, "mask", Env{}, Param{"keep_first", c.first}, Param{"keep_last", c.last}, Param{"char", c.char})
		if got := apply(t, f, c.in); got != c.want {
			t.Errorf("mask %d %d of %q: %q, want %q", c.first, c.last, c.in, got, c.want)
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, c := range []struct {
		n        int64
		in, want string
	}{
		{3, "", ""}, {3, "ab", "ab"}, {3, "abc", "abc"}, {3, "abcd", "abc"}, {2, "Zoë", "Zo"}, {3, "Zoë!", "Zoë"},
		{3, "Zoe\u0308", "Zo"}, {4, "Zoe\u0308", "Zoe\u0308"}, {1, "\U0001f44d\U0001f3fd", ""}, {2, "\U0001f44d\U0001f3fd!", "\U0001f44d\U0001f3fd"},
		{3, "🇩🇪🇫🇷", "🇩🇪"}, {1 << 31 / 2, "all of it", "all of it"},
	} {
		f := mustNew(t, "truncate", Env{}, Param{"n", c.n})
		if got := apply(t, f, c.in); got != c.want {
			t.Errorf("truncate %d of %q: %q, want %q", c.n, c.in, got, c.want)
		}
	}
	via, _, err := mustNew(t, "truncate", Env{}, Param{"n", int64(2)}).At(schemas.Type{Kind: schemas.Bytes})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{"": "", "a": "a", "\xc3\xa9\xff": "\xc3\xa9", "\xff\xfe\xfd": "\xff\xfe"} {
		if out, _, err := via.Apply(nil, schemas.Value{Kind: schemas.Bytes, Text: []byte(in)}); err != nil || string(out.Text) != want || out.Kind != schemas.Bytes {
			t.Errorf("bytes %x: %x, %v", in, out.Text, err)
		}
	}
}

// What a treatment does not take is an error without a value.
func TestTextTreatmentsRefuseValues(t *testing.T) {
	for _, f := range []Treatment{mustNew(t, "mask", Env{}), mustNew(t, "truncate", Env{}, Param{"n", int64(9)})} {
		via, _, err := f.At(schemas.Type{Kind: schemas.Any})
		if err != nil {
			t.Fatal(err)
		}
		for k := schemas.Invalid; k <= schemas.Opaque; k++ {
			if k == schemas.String || k == schemas.Bytes && f.Name() == "truncate" {
				continue
			}
			out, rest, err := via.Apply([]byte("b"), schemas.Value{Kind: k, Text: []byte("42")})
			if !errors.Is(err, ErrValueType) || out.Text != nil || out.Kind != schemas.Invalid || string(rest) != "b" {
				t.Errorf("%s of kind %d: %+v, %v", f.Name(), k, out, err)
			}
		}
		if out, _, err := via.Apply(nil, schemas.Value{Kind: schemas.String, Text: []byte("\xff")}); !errors.Is(err, ErrValue) || out.Text != nil {
			t.Errorf("%s of bad UTF-8: %+v, %v", f.Name(), out, err)
		}
	}
}

// drawText draws text with many code points that belong together.
func drawText(t *rapid.T) string {
	runes := rapid.SampledFrom([]rune("abc é\u0301\u200d\ufe0f\r\n🇩🇪🇫👍\U0001f3fd\u1100\u1161한*"))
	return string(rapid.SliceOfN(runes, 0, 24).Draw(t, "text"))
}

// A mask has one length whatever the value's, and shows nothing but at most
// keep_first code points of the beginning and keep_last of the end.
func TestMaskShowsNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, last, in := rapid.IntRange(0, 5).Draw(t, "first"), rapid.IntRange(0, 5).Draw(t, "last"), drawText(t)
		const char = "•" // stands in no drawn text
		f, err := New("mask", []Param{{"keep_first", int64(first)}, {"keep_last", int64(last)}, {"char", char}}, Env{})
		if err != nil {
			t.Fatal(err)
		}
		out := apply(t, f, in)
		if n := utf8.RuneCountInString(out); n != first+last+4 {
			t.Fatalf("%q has %d code points, want %d", out, n, first+last+4)
		}
		head, rest, _ := strings.Cut(out, char)
		tail := strings.TrimLeft(rest, char)
		if !strings.HasPrefix(in, head) || !strings.HasSuffix(in, tail) || utf8.RuneCountInString(head) > first || utf8.RuneCountInString(tail) > last {
			t.Fatalf("%q of %q shows %q and %q", out, in, head, tail)
		}
		if utf8.RuneCountInString(in) < first+last+4 && head+tail != "" {
			t.Fatalf("%q is short, yet shows in %q", in, out)
		}
	})
}

// A cut never leaves a beginning that the rest would have changed: cutting the
// result again at the same place, or cutting more, agrees.
func TestTruncateIsAPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, n := drawText(t), rapid.IntRange(1, 24).Draw(t, "n")
		end := prefix([]byte(in), n)
		out := in[:end]
		if utf8.RuneCountInString(out) > n || !utf8.ValidString(out) || !boundary([]byte(in), end) {
			t.Fatalf("prefix %d of %q is %q", n, in, out)
		}
		if again := prefix([]byte(out), n); again != end {
			t.Fatalf("cut again: %d, not %d", again, end)
		}
		if less := prefix([]byte(in), n-1); less > end {
			t.Fatalf("a smaller n shows more: %d > %d", less, end)
		}
		begin := suffix([]byte(in), n)
		if utf8.RuneCountInString(in[begin:]) > n || !boundary([]byte(in), begin) {
			t.Fatalf("suffix %d of %q is %q", n, in, in[begin:])
		}
	})
}

func BenchmarkMask(b *testing.B) {
	via, _, err := mustNew(b, "mask", Env{}, Param{"keep_first", int64(2)}, Param{"keep_last", int64(3)}).At(schemas.Type{Kind: schemas.String})
	if err != nil {
		b.Fatal(err)
	}
	buf, v := make([]byte, 0, 64), schemas.Value{Kind: schemas.String, Text: []byte("somebody@example.org")}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := via.Apply(buf, v); err != nil {
			b.Fatal(err)
		}
	}
}
