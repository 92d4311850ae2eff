package consent

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

var testNamespaces = NewNamespaces([]NamespaceRule{
	{"raw", NormalizeNone}, {"crm", NormalizeTrim}, {"low", NormalizeLower}, {"email", NormalizeEmail}, {"zero", NoNormalization},
	{"twice", NormalizeTrim}, {"twice", NormalizeTrim}, {"nfc", NormalizeNFC}, {"phone", NormalizePhone},
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
		{"nfc", " A\u030a ", "Å", nil},
		{"nfc", "a\u200b", "", ErrEncoding},
		{"email", "Ann@BÜCHER.example", "ann@xn--bcher-kva.example", nil},
		{"email", "ann@bu\u0308cher\u3002example", "ann@xn--bcher-kva.example", nil},
		{"email", "ann@xn--BCHER-kva.example", "ann@xn--bcher-kva.example", nil},
		{"email", "ann@under_score.example", "ann@under_score.example", nil},
		{"email", "a@b@Bücher.example", "a@b@xn--bcher-kva.example", nil},
		{"email", "ann@xn--a", "", ErrDomain},
		{"email", "ann@-ü.example", "", ErrDomain},
		{"email", "bücher", "bücher", nil}, // no domain
		{"phone", "+49 171 1234567", "+491711234567", nil},
		{"phone", " +49 (0)171/123-45.67 ", "+491711234567", nil},
		{"phone", "tel:+49-171-1234567", "+491711234567", nil},
		{"phone", "+390612345678", "+390612345678", nil}, // Italy keeps its 0
		{"phone", "+1 (201) 555-0123", "+12015550123", nil},
		{"phone", "+1 201 555 0123 ext. 7", "", ErrPhone},
		{"phone", "+1 201 555 0123;ext=7", "", ErrPhone},
		{"phone", "+1-800-FLOWERS", "", ErrPhone},
		{"phone", "0171 1234567", "", ErrPhone},
		{"phone", "0049 171 1234567", "", ErrPhone},
		{"phone", "+49 1", "", ErrPhone},
		{"phone", "+999 123456789", "", ErrPhone},
		{"phone", "+1 000 000 0000", "", ErrPhone},
		{"phone", "+" + strings.Repeat("1 ", 40), "", ErrPhone},
		{"phone", "+", "", ErrPhone},
		{"phone", "tel:", "", ErrPhone},
		{"phone", "tel:tel:+491711234567", "", ErrPhone},
		{"phone", "unknown", "", ErrPlaceholder},
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
// refused identifier is returned; and what is taken for an instant is one.
func FuzzNormalize(f *testing.F) {
	f.Add("low", "2026-11-01T10:00:00.5+02:00")
	f.Add("low", " İx")
	f.Add("email", "ann@example.com")
	f.Add("email", "ann@\u3002Bücher.xn--bcher-kva")
	f.Add("phone", "tel:+49 (0)171/123-45.67")
	f.Add("phone", "+1 201 555 0123")
	f.Fuzz(func(t *testing.T, namespace, raw string) {
		if ms, ok := parseInstant(raw); ok && (ms < 0 || ms > maxInstant) {
			t.Errorf("%q: %d", raw, ms)
		}
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
		for _, namespace := range []string{"raw", "crm", "nfc", "low", "email"} {
			got, err := testNamespaces.Normalize(namespace, raw)
			if err != nil {
				continue
			}
			if again, err := testNamespaces.Normalize(namespace, string(got)); err != nil || again != got {
				t.Fatalf("%s %q: %q, then %q, %v", namespace, raw, string(got), string(again), err)
			}
			nfd, err := testNamespaces.Normalize(namespace, norm.NFD.String(raw))
			if (namespace == "email" || namespace == "nfc") && (err == nil && nfd != got) {
				t.Fatalf("%q: %q, decomposed %q", raw, string(got), string(nfd))
			}
		}
	})
}

// TestPlainText: what appendASCII takes becomes what the rules for all of Unicode
// make of it, and it takes nothing else.
func TestPlainText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(rapid.StringOfN(rapid.RuneFrom([]rune("aZ@[`{ ~!\x1f\x7f\u0080é\u0301")), 0, 6, -1).Draw(t, "raw"))
		for rule := NormalizeNone; rule <= NormalizePhone; rule++ {
			got, ok := appendASCII([]byte("kept"), raw, rule >= NormalizeLower)
			want, err := appendRunes([]byte("kept"), raw, rule)
			if ok && (err != nil || !bytes.Equal(got, want) || !norm.NFC.IsNormal(got)) || !ok && string(got) != "kept" {
				t.Fatalf("%v %q: %q, want %q, %v", rule, raw, got, want, err)
			}
			if plain := !bytes.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r > '~' }); plain != ok {
				t.Fatalf("%q: taken %t", raw, ok)
			}
		}
	})
}

// TestPlaceholders: each is one in any case, and none with another letter.
func TestPlaceholders(t *testing.T) {
	for _, p := range placeholders {
		if !isPlaceholder([]byte(p)) || !isPlaceholder(bytes.ToUpper([]byte(p))) {
			t.Errorf("%q is none", p)
		}
		for i := range p {
			other := []byte(p)
			other[i] = '~'
			if isPlaceholder(other) || isPlaceholder(append([]byte(p), '~')) {
				t.Errorf("%q is one", other)
			}
		}
	}
}

// TestPhoneNumbers: a number is its own normal form, whatever stands between its
// digits.
func TestPhoneNumbers(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.SampledFrom([]string{"49", "39", "1", "44", "33", "7", "86", "55", "54", "52", "225", "800", "690", ""}).Draw(t, "code")
		digits := code + rapid.StringMatching(`0{0,2}[0-9]{3,13}`).Draw(t, "digits")
		got, err := testNamespaces.Normalize("phone", "+"+digits)
		var spelled strings.Builder
		for _, c := range "+" + digits {
			fmt.Fprintf(&spelled, "%c%s", c, rapid.SampledFrom([]string{"", "", " ", "-", "."}).Draw(t, "separator"))
		}
		same, err2 := testNamespaces.Normalize("phone", spelled.String())
		if same != got || !errors.Is(err2, err) {
			t.Fatalf("%s: %q, %v; %s: %q, %v", digits, string(got), err, &spelled, string(same), err2)
		}
		if err != nil {
			return
		}
		accepted++
		if again, err := testNamespaces.Normalize("phone", string(got)); err != nil || again != got {
			t.Fatalf("%s: %q, then %q, %v", digits, string(got), string(again), err)
		}
	})
	if accepted < 10 {
		t.Errorf("only %d numbers were accepted", accepted)
	}
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

// TestKeyName: no two namespaces share tag keys, and no two rules of one do.
func TestKeyName(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"a", "b"} {
		for _, word := range Normalizations() {
			n, ok := ParseNormalization(word)
			if !ok || n.String() != word {
				t.Errorf("%s is read as %d, %v", word, n, ok)
			}
			key := NewNamespaces([]NamespaceRule{{name, n}}).KeyName(name)
			if seen[key] || !strings.HasSuffix(key, fmt.Sprintf("/%d", NormalizerVersion)) {
				t.Errorf("%s %s has the key name %s", name, word, key)
			}
			seen[key] = true
		}
	}
	for _, word := range []string{"", "Trim", "e.164"} {
		if n, ok := ParseNormalization(word); ok || n != NoNormalization {
			t.Errorf("%q is read", word)
		}
	}
}

// TestPhoneVersion: the library's tables decide what a number becomes, so another
// version of it is another NormalizerVersion. Whoever updates it raises that, and
// then the version here.
func TestPhoneVersion(t *testing.T) {
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	const at = "v1.8.1, NormalizerVersion 3"
	m := regexp.MustCompile(`nyaruka/phonenumbers (v\S+)`).FindStringSubmatch(string(text))
	if m == nil || fmt.Sprintf("%s, NormalizerVersion %d", m[1], NormalizerVersion) != at {
		t.Errorf("%q: the phone tables were last looked at with %s", m, at)
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
