package policy

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedReasons: docs/consent.md has every reason, by its code.
func TestDocumentedReasons(t *testing.T) {
	text, err := os.ReadFile("../docs/consent.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("reason.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`Reason = "([A-Z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(codes) < 28 {
		t.Fatalf("only %d reasons found", len(codes))
	}
	for _, c := range codes {
		if !strings.Contains(string(text), "`"+c[1]+"`") {
			t.Errorf("docs/consent.md does not have `%s`", c[1])
		}
	}
}
