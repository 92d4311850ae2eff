package configs

import (
	"os"
	"strings"
	"testing"
)

func TestLoadPolicy(t *testing.T) {
	p, findings := LoadPolicy("demo/policy.yaml", os.LookupEnv, os.ReadFile)
	if p == nil || len(p.Purposes) != 3 || len(findings) != 0 {
		t.Fatalf("got %v, %v", p, findings)
	}
	for _, c := range []struct{ name, from, to, want string }{
		{"a category", "user.contact: redact", "user.contcat: redact", `did you mean "user.contact"`},
		{"a parameter", "{truncate: 2}", "{truncate: -2}", "policy.yaml:"},
		{"the file", "version: 1", "version: [", "policy.yaml:"},
		{"a word", "revision:", "revison:", `policy.yaml:4:1: error: the policy needs the word "revision"`},
	} {
		text, err := os.ReadFile("demo/policy.yaml")
		if err != nil || !strings.Contains(string(text), c.from) {
			t.Fatalf("%s: the demo's policy has no %q: %v", c.name, c.from, err)
		}
		read := func(string) ([]byte, error) { return []byte(strings.Replace(string(text), c.from, c.to, 1)), nil }
		p, findings := LoadPolicy("policy.yaml", os.LookupEnv, read)
		if p != nil || len(findings) == 0 || !strings.Contains(findings[0].String(), c.want) {
			t.Errorf("%s: got %v, %v; want a finding with %q", c.name, p, findings, c.want)
		}
	}
	if p, findings := LoadPolicy("missing.yaml", os.LookupEnv, os.ReadFile); p != nil || !HasErrors(findings) {
		t.Errorf("a missing file: got %v, %v", p, findings)
	}
}
