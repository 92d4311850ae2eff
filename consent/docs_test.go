package consent

import (
	"os"
	"strings"
	"testing"
)

// TestDocumentation: docs/consent.md has every member, action and fault.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../docs/consent.md")
	if err != nil {
		t.Fatal(err)
	}
	words := actionNames[Grant:]
	for name := range members {
		words = append(words, name)
	}
	for f := range faultTexts {
		words = append(words, string(f))
	}
	for _, w := range words {
		if w == "" || !strings.Contains(string(text), "`"+w+"`") {
			t.Errorf("docs/consent.md does not have `%s`", w)
		}
	}
}
