package archtest

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestDependenciesHaveReasons: docs/dependencies.md has a line for each direct
// requirement of go.mod, and for nothing else.
func TestDependenciesHaveReasons(t *testing.T) {
	required := matches(t, "../../go.mod", `(?m)^\t(\S+) v\S+$`) // an indirect one has a comment
	explained := matches(t, "../../docs/dependencies.md", "(?m)^- `([^`]+)`(?: \\([a-z ]+\\))?: ..........")
	if len(required) < 10 {
		t.Fatalf("only %d direct requirements found", len(required))
	}
	for _, r := range required {
		if !slices.Contains(explained, r) {
			t.Errorf("%s has no reason in docs/dependencies.md", r)
		}
	}
	for _, e := range explained {
		if !slices.Contains(required, e) {
			t.Errorf("docs/dependencies.md explains %s, which go.mod does not require directly", e)
		}
	}
}

func matches(t *testing.T, path, pattern string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	return out
}
