package app_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocsNameAll: what an operator or a reader meets by name (reasons, metrics, fields
// of the audit) is explained in docs.
func TestDocsNameAll(t *testing.T) {
	read := func(path string) string {
		text, err := os.ReadFile("../../" + path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct {
		source, names string
		doc, as       string // as: how docs write a name, with % for it
		least         int
	}{
		{"pipeline/hold.go", `HoldCode = "(\w+)"`, "docs/operating.md", "`%`", 15},
		{"pipeline/park.go", `ParkCode = "(\w+)"`, "docs/operating.md", "`%`", 15},
		{"pipeline/metrics.go", `(?:counter|gauge|histogram|Name:)[ (]"(\w+)"`, "docs/operating.md", "`consentstream_%", 15},
		{"schemas/fault.go", `Code = "(\w+)"`, "docs/topics.md", "`%`", 20},
		{"schemas/audit_record.avsc", `(?m)^ {4}\{"name": "(\w+)"`, "docs/topics.md", "`%`", 13},
	} {
		text, names := read(c.doc), regexp.MustCompile(c.names).FindAllStringSubmatch(read(c.source), -1)
		if len(names) < c.least {
			t.Errorf("%s: only %d names", c.source, len(names))
		}
		for _, n := range names {
			if !strings.Contains(text, strings.Replace(c.as, "%", n[1], 1)) {
				t.Errorf("%s does not explain %s of %s", c.doc, n[1], c.source)
			}
		}
	}
}
