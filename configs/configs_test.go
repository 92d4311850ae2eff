package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestUnreadableFile: what cannot be read is one finding, without the text of
// the error, which may quote what a variable holds.
func TestUnreadableFile(t *testing.T) {
	_, directory := os.ReadFile(t.TempDir())
	for err, want := range map[error]string{
		fs.ErrNotExist: "does not exist", fs.ErrPermission: "no permission", directory: "a directory", errors.New("disk: " + canary): "reading failed",
	} {
		c, findings := Load("x.yaml", noEnv, func(string) ([]byte, error) { return nil, err })
		if c != nil || len(findings) != 1 {
			t.Fatalf("%v: %v %v", err, c, findings)
		}
		if f := findings[0]; f.File != "x.yaml" || f.Line != 1 || f.Col != 1 || strings.Contains(f.String(), canary) || !strings.Contains(f.Message, want) {
			t.Errorf("%v: %s", err, f)
		}
	}
}

// TestFindingsAreBounded: a file of noise is refused soon, and still refused.
func TestFindingsAreBounded(t *testing.T) {
	for name, text := range map[string]string{
		"words":   strings.Repeat("x: 1\n", 100_000),
		"deep":    strings.Repeat("[", 500_000),
		"aliases": "a: [" + strings.Repeat("*x,", 100_000) + "]",
		"anchors": "a: &x [" + strings.Repeat("*x,", 100_000) + "]",
		"secrets": "redis: {password: [" + strings.Repeat("a,", 100_000) + "]}",
		"large":   "a: " + strings.Repeat("x", maxFile),
	} {
		c, findings := Load("consentstream.yaml", noEnv, func(string) ([]byte, error) { return []byte(text), nil })
		if c != nil || !HasErrors(findings) || len(findings) > maxFindings+1 {
			t.Errorf("%s: %d findings", name, len(findings))
		}
	}
}

// TestReadFile: a file without an end is refused as one that is too large, and
// what Load takes is read whole.
func TestReadFile(t *testing.T) {
	const endless = "/dev/zero"
	if _, err := os.Stat(endless); err != nil {
		t.Skip("there is no " + endless + " here")
	}
	for _, c := range []struct{ name, text string }{
		{endless, ""},
		{"wiring.yaml", "policy: " + endless},
		{"value.yaml", "instance: ${file:" + endless + "}"},
	} {
		file := c.name
		if c.text != "" {
			file = filepath.Join(t.TempDir(), c.name)
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, findings := Load(file, noEnv, ReadFile)
		if !slices.ContainsFunc(findings, func(f Finding) bool { return strings.Contains(f.Message, "larger than 1 MiB") }) {
			t.Errorf("%s: %v", c.name, findings)
		}
	}
	file := filepath.Join(t.TempDir(), "largest")
	if err := os.WriteFile(file, make([]byte, maxFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadFile(file); len(text) != maxFile || err != nil {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// TestManyPurposes: the files may be large.
func TestManyPurposes(t *testing.T) {
	var policyText, names strings.Builder
	policyText.WriteString("version: 1\nrevision: 1\nnamespaces: {crm: {}}\npurposes:\n")
	for i := range 300 {
		fmt.Fprintf(&policyText, "  p%d: {data_use: analytics, legal_basis: consent, treat: {user.behavior: keep}}\n", i)
		fmt.Fprintf(&names, "p%d,", i)
	}
	base, err := corpusReader("")("consentstream.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wiring := strings.Replace(string(base), "[analytics]", "["+names.String()+"]", 1)
	c, findings := Load("consentstream.yaml", noEnv, func(path string) ([]byte, error) {
		if path == "policy.yaml" {
			return []byte(policyText.String()), nil
		}
		return []byte(wiring), nil
	})
	if c == nil || len(c.Streams[0].Wiring.Purposes) != 300 || c.Streams[0].Wiring.Purposes[299] != "p299" {
		t.Errorf("%v", findings)
	}
}
