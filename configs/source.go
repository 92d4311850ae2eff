package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxFile is the largest file that is parsed, in bytes.
const maxFile = 1 << 20

// source is one file: its lines for excerpts, and its node tree.
type source struct {
	name   string
	lines  []string
	root   *yaml.Node // nil where the file did not parse
	order  []*yaml.Node
	index  map[*yaml.Node]int // of order
	hidden []int              // indices in order of the scalars that excerpts must not show
	// unfinished is the line where the construct starts in which parsing
	// failed; 0 where it parsed.
	unfinished int
}

// place is a position in a source, from 1.
type place struct {
	src  *source
	line int
	col  int
}

// newSource splits text to lines, at what YAML 1.1 takes for line breaks.
func newSource(name string, text []byte) *source {
	s := strings.TrimPrefix(string(text), "\ufeff")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
	return &source{name: name, lines: strings.Split(s, "\n")}
}

// fault is why a text is not one YAML document.
type fault struct {
	line, col int
	from      int // line where the construct starts that it is in
	message   string
}

// parse fills root from text: exactly one document, whose root is a mapping.
func (s *source) parse(text []byte) *fault {
	if len(text) > maxFile {
		return &fault{1, 1, 1, "the file is larger than 1 MiB"}
	}
	if !utf8.Valid(text) { // the library would take UTF-16, whose lines nobody could show or mask
		s.lines = nil
		at := bytes.IndexRune(text, utf8.RuneError)
		return &fault{1 + bytes.Count(text[:at], []byte{'\n'}), 1, 1, "the file is not in UTF-8"}
	}
	if f := deceptive(string(text)); f != nil {
		return f
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithUniqueKeys(false))
	if err != nil {
		return syntaxFault(err)
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return &fault{1, 1, 1, "the file is empty"}
	} else if err != nil {
		return syntaxFault(err)
	}
	if err := loader.Load(&second); err == nil {
		return &fault{second.Line, second.Column, second.Line, "a second YAML document starts here; the file must hold one"}
	} else if !errors.Is(err, io.EOF) {
		return syntaxFault(err)
	}
	if len(doc.Content) != 1 {
		return &fault{1, 1, 1, "the file is empty"}
	}
	s.root = doc.Content[0]
	s.index = map[*yaml.Node]int{}
	s.number(s.root)
	s.hideSecrets()
	return nil
}

// hint adds to a syntax error what people run into most.
func (s *source) hint(f *fault) {
	if f.line < 1 || f.line > len(s.lines) {
		return
	}
	line := s.lines[f.line-1]
	text := strings.TrimLeft(line, " \t")
	odd := s.oddQuotes(f.line)
	switch {
	case strings.Contains(line[:len(line)-len(text)], "\t"):
		f.message += "; a tab cannot indent: use spaces"
	case strings.Contains(f.message, "cannot start any token"):
		f.message += `; put quotes around the text, and in a path around the name too: '"@type".x'`
	case strings.Contains(f.message, "unknown escape"):
		f.message += "; between double quotes a backslash is written twice"
	case strings.Contains(f.message, "did not find expected key") && behindQuotes(line, f.col):
		f.message = `not valid YAML: behind quotes stands a colon; where a path has quotes, others stand around all of it: '"first name".x'`
	case odd > 0 && !strings.Contains(f.message, "do not end"):
		f.message += fmt.Sprintf("; look at the quotes of line %d", odd)
	case strings.Contains(f.message, "alias") && pathStar.MatchString(line):
		f.message = `not valid YAML: a path that begins with *, and inside {} one that holds [*], needs quotes: "**.email", "tags[*]"`
	case strings.Contains(f.message, "flow mapping") && pathIndex.MatchString(line):
		f.message += `; inside {} a path that holds [ needs quotes: "tags[0]"`
	case strings.Contains(f.message, "flow") && strings.Contains(line, "${"):
		f.message += `; inside {} and [] a reference needs quotes: "${NAME}"`
	case strings.Contains(f.message, "mapping values") || strings.Contains(f.message, "block"):
		f.message += "; look at the indentation of this line and of the one before, and put quotes around a value that holds a colon"
	}
}

// What YAML takes for an alias or a list, and people mean as a record path.
var (
	pathStar  = regexp.MustCompile(`\*[*.:\]]`)
	pathIndex = regexp.MustCompile(`[A-Za-z0-9_*]\[`)
)

// behindQuotes reports whether quotes end right before a column.
func behindQuotes(line string, col int) bool {
	r := []rune(line)
	return col > 1 && col <= len(r) && (r[col-2] == '"' || r[col-2] == '\'')
}

// oddQuotes returns n, or the line before, whichever has an unpaired double quote;
// 0 where neither has.
func (s *source) oddQuotes(n int) int {
	for _, k := range []int{n, n - 1} {
		if k > 0 && strings.Count(s.lines[k-1], `"`)%2 == 1 && !strings.Contains(s.lines[k-1], `\"`) {
			return k
		}
	}
	return 0
}

// number lists all nodes in document order.
func (s *source) number(n *yaml.Node) {
	s.index[n] = len(s.order)
	s.order = append(s.order, n)
	for _, c := range n.Content {
		s.number(c)
	}
}

// deceptive finds the first character that makes a line read otherwise than it
// is parsed: line breaks that editors do not show, zero-width characters, and
// those that reverse the direction of what follows (CVE-2021-42574).
func deceptive(text string) *fault {
	line, col := 1, 0
	for _, r := range strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n") {
		col++
		switch {
		case r == '\n' || r == '\r':
			line, col = line+1, 0
		case r == 0x85 || r == 0x200b || r == 0x2028 || r == 0x2029 || r == 0xfeff || unicode.Is(unicode.Bidi_Control, r):
			return &fault{line, col, line, fmt.Sprintf("the character U+%04X is refused: this line reads otherwise than it is parsed", r)}
		}
	}
	return nil
}

// syntaxFault turns an error of the YAML library into a fault. Its messages are
// a closed set of texts about grammar; those that quote the input are replaced.
func syntaxFault(err error) *fault {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return &fault{1, 1, 1, "not valid YAML"}
	}
	f := &fault{e.Mark.Line, e.Mark.Column, max(e.ContextMark.Line, 1), "not valid YAML: " + e.Message}
	if e.ContextMsg != "" {
		f.message += " (" + e.ContextMsg + ")"
	}
	switch {
	case strings.Contains(e.ContextMsg, "quoted scalar") && strings.Contains(e.Message, "end of"):
		// Of what stands before on that line nobody knows whether it is a secret's.
		return &fault{e.ContextMark.Line, e.ContextMark.Column, 1, "not valid YAML: the quotes that begin here do not end"}
	case strings.Contains(e.ContextMsg, "simple key"):
		return &fault{e.ContextMark.Line, e.ContextMark.Column, 1, "not valid YAML: a key without a colon behind it"}
	case strings.Contains(e.Message, "anchor"):
		f.message = "an alias of an anchor that is not there; anchors and aliases are refused: write the value out"
	case strings.ContainsAny(e.Message, "'\"") && !strings.Contains(e.Message, "did not find"):
		f.message = "not valid YAML"
	}
	return f
}
