package reference

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/consent"
)

// TestNormalize: an identifier is one identifier to the product and to the
// reference, whatever is typed.
func TestNormalize(t *testing.T) {
	runes := rapid.RuneFrom([]rune("aAåÅıİſKẞςσΣ\u0301\u0308\u0345\u00ad\u200b\u3002\ufe0f\u00a0 @.+-/()019xn"))
	texts := rapid.OneOf(rapid.StringOfN(runes, 0, 12, -1), rapid.String(),
		rapid.StringMatching(`[aAbÜß.+]{1,4}@(xn--[a-z0-9-]{1,6}|[a-zÄü_-]{1,5})\.(example|EXAMPLE|ß)`),
		rapid.StringMatching(` ?(tel:)?[+] ?(49|39|1|44|7|86|52|999)[ .-]?(\(0\))?[0-9]{2,5}[ /-]?[0-9]{2,8}( ext 1)?`),
		rapid.SampledFrom([]string{"null", " NULL ", "0", "Anonymous", "test@test.com", "N/A", "+1 000 000 0000", "-0", "00"}))
	accepted := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		raw := texts.Draw(t, "raw")
		for _, word := range consent.Normalizations() {
			rule, _ := consent.ParseNormalization(word)
			got, err := consent.NewNamespaces([]consent.NamespaceRule{{Name: "ns", Normalize: rule}}).Normalize("ns", raw)
			want, ok := (&Policy{Namespaces: map[string]string{"ns": word}}).normalize("ns", raw)
			if !ok {
				want = ""
			}
			if string(got) != want || (err == nil) != ok {
				t.Fatalf("%s %q: %q, %v; the reference says %q, %v", word, raw, string(got), err, want, ok)
			}
			if ok {
				accepted[word]++
			}
		}
	})
	for _, word := range consent.Normalizations() {
		if accepted[word] == 0 {
			t.Errorf("%s accepted nothing", word)
		}
	}
}
