package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Severity says whether a finding stops a start. The zero Severity does.
type Severity uint8

// The severities.
const (
	Error   Severity = iota // Load returns no Config
	Warning                 // shown by lint, does not stop a start
)

func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// MarshalText gives the severity its name in JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing wrong with the files.
type Finding struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1
	Col      int      `json:"column"` // from 1, in characters
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Nearest  string   `json:"nearest,omitempty"` // the nearest valid word or path; "" for none
	// Excerpt is the line of the source; Caret is the column of Excerpt (from
	// 1) that Col stands at, which differs from Col where a secret is hidden.
	Excerpt string `json:"excerpt,omitempty"`
	Caret   int    `json:"-"`
}

// String renders the finding for people, over several lines, without a final
// line break:
//
//	policy.yaml:12:5: error: unknown word "treet"
//	  12 |     treet:
//	     |     ^
//	     did you mean "treat"?
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s: %s", f.File, f.Line, f.Col, f.Severity, f.Message)
	margin := fmt.Sprintf("%4d", f.Line)
	blank := strings.Repeat(" ", len(margin))
	if f.Excerpt != "" {
		fmt.Fprintf(&b, "\n%s | %s\n%s | %s^", margin, f.Excerpt, blank, indent(f.Excerpt, f.Caret))
	}
	if f.Nearest != "" {
		fmt.Fprintf(&b, "\n%s   did you mean %s?", blank, asWritten(f.Nearest))
	}
	return b.String()
}

// asWritten quotes a word for people. One with quotes of its own, as in paths,
// stands in those that it needs in the file.
func asWritten(word string) string {
	if strings.Contains(word, `"`) {
		return "'" + strings.ReplaceAll(word, "'", "''") + "'"
	}
	return strconv.Quote(word)
}

// indent returns what stands under the characters of line before col: tabs
// stay tabs, so that the caret lines up whatever their width.
func indent(line string, col int) string {
	var b strings.Builder
	for _, r := range line {
		if col--; col <= 0 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// HasErrors reports whether one of findings stops a start.
func HasErrors(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Error })
}

// sortFindings orders by file (in the order of first appearance in files), line
// and column, and removes repetitions.
func sortFindings(findings []Finding, files []string) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(findings)
}
