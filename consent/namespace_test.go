package consent

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

var testNamespaces = NewNamespaces([]NamespaceRule{
	{"raw", NormalizeNone}, {"crm", NormalizeTrim}, {"low", NormalizeLower}, {"email", NormalizeEmail}, {"zero", NoNormalization},
	{"twice", NormalizeTrim}, {"twice", NormalizeTrim},
})

// TestNormalize is SEMANTICS 8.11 and 8.12.
func TestNormalize(t *testing.T) {
	for _, c := range []struct {
		namespace, raw, want string
		err                  error
	}{
		{"raw", " A ", " A ", nil},
		{"crm", " \t42\u00a0\n", "42", nil},
		{"crm", "A b", "A b", nil},
		{"low", "ÄÖ\u212a", "äök", nil},
		{"email", " Ann.Lee+x@Example.COM ", "ann.lee+x@example.com", nil},
		{"email", "zoe\u0308@example.com", "zoë@example.com", nil}, // NFD
		{"email", "ZOË@example.com", "zoë@example.com", nil},
		{"low", "A\u030a", "å", nil},
		{"crm", "a\u030a", "a\u030a", nil},
		{"crm", "007", "007", nil},
		{"crm", "", "", ErrEmpty},
		{"crm", " \u2003", "", ErrEmpty},
		{"raw", "  ", "", ErrEmpty},
		{"raw", " null", "", ErrPlaceholder},
		{"crm", "NULL", "", ErrPlaceholder},
		{"crm", "undefined", "", ErrPlaceholder},
		{"crm", "0", "", ErrPlaceholder},
		{"crm", " Anonymous", "", ErrPlaceholder},
		{"email", "test@test.com", "", ErrPlaceholder},
		{"crm", "00000000-0000-0000-0000-000000000000", "", ErrPlaceholder},
		{"crm", "00", "00", nil},
		{"crm", strings.Repeat("x", MaxIdentifierBytes), strings.Repeat("x", MaxIdentifierBytes), nil},
		{"crm", strings.Repeat("x", MaxIdentifierBytes+1), "", ErrTooLong},
		{"low", strings.Repeat("Ⱥ", MaxIdentifierBytes/2), "", ErrTooLong}, // grows in lower case
		{"crm", "a\nb", "", ErrEncoding},
		{"crm", "a\x00", "", ErrEncoding},
		{"crm", "a\xff", "", ErrEncoding},
		{"crm", "a\ufffd", "", ErrEncoding},
		{"raw", "a\x7f", "", ErrEncoding},
		{"low", "ΝΊΚΟΣ ΣΟΦΌΣ", "νίκοσ σοφόσ", nil},
		{"low", "νίκος σοφός", "νίκοσ σοφόσ", nil},
		{"email", "ann\u200b@example.com", "", ErrEncoding},
		{"crm", "\ufeff42", "", ErrEncoding},
		{"crm", "4\u00ad2", "", ErrEncoding},
		{"low", "a\u034fb", "", ErrEncoding},
		{"low", "a\ufe0f", "", ErrEncoding},
		{"raw", "a\u200b", "a\u200b", nil},
		{"zero", "a", "", ErrNamespace},
		{"twice", "a", "", ErrNamespace},
		{"other", "a", "", ErrNamespace},
	} {
		got, err := testNamespaces.Normalize(c.namespace, c.raw)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s %q: %q, %v", c.namespace, c.raw, string(got), err)
		}
	}
	if _, err := (Namespaces{}).Normalize("crm", "42"); err == nil {
		t.Error("the zero Namespaces accepts")
	}
}

// FuzzNormalize: what is accepted is its own normal form, and nothing of a
// refused identifier is returned.
func FuzzNormalize(f *testing.F) {
	f.Add("low", " İx")
	f.Add("email", "ann@example.com")
	f.Fuzz(func(t *testing.T, namespace, raw string) {
		got, err := testNamespaces.Normalize(namespace, raw)
		if err != nil {
			if got != "" {
				t.Error("an error returns text")
			}
			return
		}
		if again, err := testNamespaces.Normalize(namespace, string(got)); err != nil || again != got {
			t.Errorf("not a normal form: %q then %q, %v", string(got), string(again), err)
		}
		into, err := testNamespaces.AppendNormalized([]byte("kept"), namespace, []byte(raw))
		if err != nil || string(into) != "kept"+string(got) {
			t.Errorf("AppendNormalized differs: %q", into)
		}
	})
}

// TestNormalForm: over all of Unicode, also decomposed, a normal form is its own
// normal form, and both spellings of a text have one.
func TestNormalForm(t *testing.T) {
	runes := rapid.OneOf(rapid.RuneFrom(nil, unicode.Letter, unicode.Mark, unicode.Zs), rapid.RuneFrom([]rune("aAeEÅÖİıſKẞ\u0301\u0308\u0327\u0345 ")))
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.StringOfN(runes, 1, 8, -1).Draw(t, "raw")
		for _, namespace := range []string{"raw", "crm", "low", "email"} {
			got, err := testNamespaces.Normalize(namespace, raw)
			if err != nil {
				continue
			}
			if again, err := testNamespaces.Normalize(namespace, string(got)); err != nil || again != got {
				t.Fatalf("%s %q: %q, then %q, %v", namespace, raw, string(got), string(again), err)
			}
			nfd, err := testNamespaces.Normalize(namespace, norm.NFD.String(raw))
			if namespace == "email" && (err == nil && nfd != got) {
				t.Fatalf("%q: %q, decomposed %q", raw, string(got), string(nfd))
			}
		}
	})
}

func TestNamespacesHash(t *testing.T) {
	seen := map[[32]byte]string{}
	for name, rules := range map[string][]NamespaceRule{
		"none": nil, "a trim": {{"a", NormalizeTrim}}, "a lower": {{"a", NormalizeLower}}, "b trim": {{"b", NormalizeTrim}},
		"a, b": {{"a", NormalizeTrim}, {"b", NormalizeTrim}},
	} {
		h := NewNamespaces(rules).Hash()
		if other, ok := seen[h]; ok {
			t.Errorf("%s hashes as %s", name, other)
		}
		seen[h] = name
	}
	ab := NewNamespaces([]NamespaceRule{{"b", NormalizeTrim}, {"a", NormalizeTrim}}).Hash()
	if seen[ab] != "a, b" {
		t.Error("order matters")
	}
}

func TestTagger(t *testing.T) {
	keys := map[string][32]byte{"crm": {1}, "email": {2}, "crmx": {1}}
	tagger := NewTagger(keys)
	seen := map[Tag]string{}
	for _, c := range [][2]string{{"crm", "42"}, {"crm", "43"}, {"email", "42"}, {"crmx", "42"}, {"crm", "x42"}, {"crm", ""}, {"crm", "42"}} {
		key := keys[c[0]]
		mac := hmac.New(sha256.New, key[:])
		fmt.Fprintf(mac, "\x00\x00\x00%c%s\x00\x00\x00%c%s", len(c[0]), c[0], len(c[1]), c[1])
		got, ok := tagger.Tag(c[0], []byte(c[1]))
		if want := Tag(mac.Sum(nil)[:16]); !ok || got != want {
			t.Errorf("%v: %x, want %x", c, got, want)
		}
		if other, ok := seen[got]; ok && other != fmt.Sprint(c) {
			t.Errorf("%v has the tag of %v", c, other)
		}
		seen[got] = fmt.Sprint(c)
	}
	if tag, ok := tagger.Tag("other", []byte("42")); ok || tag != (Tag{}) {
		t.Error("a tag without a key")
	}
	if _, ok := new(Tagger).Tag("crm", nil); ok {
		t.Error("the zero Tagger tags")
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	tagger := NewTagger(map[string][32]byte{"email": {1}})
	raw, buf := []byte(" Ann@Example.com"), []byte(nil)
	if n := testing.AllocsPerRun(100, func() {
		buf, _ = testNamespaces.AppendNormalized(buf[:0], "email", raw)
		tagger.Tag("email", buf)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTag(b *testing.B) {
	tagger, value := NewTagger(map[string][32]byte{"email": {1}}), []byte("ann.lee@example.com")
	b.ReportAllocs()
	for b.Loop() {
		tagger.Tag("email", value)
	}
}

func BenchmarkAppendNormalized(b *testing.B) {
	raw, buf := []byte("Ann.Lee@example.com"), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = testNamespaces.AppendNormalized(buf[:0], "email", raw)
	}
}
