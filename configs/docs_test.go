package configs

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentation compares docs/configuration.md with the validator's words:
// each section has its table with exactly its words, their types and defaults,
// and names exactly the words that are not supported yet.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for _, part := range strings.Split(string(text), "\n### ")[1:] {
		title, body, _ := strings.Cut(part, "\n")
		parts[title], _, _ = strings.Cut(body, "\n## ")
	}
	for _, s := range sections() {
		body, ok := parts[docTitle(s)]
		if !ok {
			t.Errorf("docs/configuration.md has no section %q", docTitle(s))
			continue
		}
		delete(parts, docTitle(s))
		compareDoc(t, s, body)
	}
	for title := range parts {
		t.Errorf("docs/configuration.md has the section %q, which no file knows", title)
	}
}

// sections lists the sections of both files.
func sections() []section {
	return []section{
		policySection, namespaceSection, purposeSection, noticeSection, keepSection, pseudonymizeSection, maskSection,
		encryptSection, generalizeSection, urlSection, dateShiftSection,
		wiringSection, kafkaSection, registrySection, redisSection, keysSection, consentSection, auditSection,
		quarantineSection, policiesSection, healthSection, limitsSection, streamSection, subjectSection,
		splitSection, eventTimeSection, keySection, fieldSection, base64Section,
	}
}

func docTitle(s section) string {
	switch {
	case s.name == "the policy":
		return "Top of the policy"
	case s.name == "the wiring":
		return "Top of the wiring"
	case strings.HasPrefix(s.name, "a "):
		return "A" + s.name[1:]
	}
	return "`" + s.name + "`"
}

var docRow = regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (.+?) \\| (.+?) \\| (.+) \\|$")

func compareDoc(t *testing.T, s section, body string) {
	t.Helper()
	var want, got, later []string
	for _, w := range s.words {
		switch {
		case w.later:
			later = append(later, "`"+w.name+"`")
		case w.required:
			want = append(want, fmt.Sprintf("%s (%s, required)", w.name, w.shape))
		case w.fallback != "":
			want = append(want, fmt.Sprintf("%s (%s, `%s`)", w.name, w.shape, w.fallback))
		default:
			want = append(want, fmt.Sprintf("%s (%s, –)", w.name, w.shape))
		}
	}
	for _, row := range docRow.FindAllStringSubmatch(body, -1) {
		got = append(got, fmt.Sprintf("%s (%s, %s)", row[1], row[2], row[3]))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s in docs/configuration.md:\n%s\nwant:\n%s", s.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, after, _ := strings.Cut(body, "*Not supported yet*: ")
	line, _, _ := strings.Cut(after, "\n")
	if line = strings.TrimSuffix(line, "."); line != strings.Join(later, ", ") {
		t.Errorf("%s in docs/configuration.md: not supported yet %q, want %q", s.name, line, strings.Join(later, ", "))
	}
}

// TestDocumentedTreatments: the table of treatments.
func TestDocumentedTreatments(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range allTreatments {
		if !strings.Contains(string(text), "\n| `"+name+"` |") {
			t.Errorf("docs/configuration.md has no row for the treatment %s", name)
		}
	}
}
