package configs

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/consentstream/consentstream/policy"
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

// newSource splits text to lines.
func newSource(name string, text []byte) *source {
	s := strings.TrimPrefix(string(text), "\ufeff")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
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
	if f.line >= 1 && f.line <= len(s.lines) && strings.Contains(f.message, "flow") && strings.Contains(s.lines[f.line-1], "${") {
		f.message += `; inside {} and [] a reference needs quotes: "${NAME}"`
	}
}

// number lists all nodes in document order.
func (s *source) number(n *yaml.Node) {
	s.index[n] = len(s.order)
	s.order = append(s.order, n)
	for _, c := range n.Content {
		s.number(c)
	}
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
	case strings.Contains(e.Message, "anchor"):
		f.message = "an alias of an anchor that is not there; anchors and aliases are refused: write the value out"
	case strings.ContainsAny(e.Message, "'\"") && !strings.Contains(e.Message, "did not find"):
		f.message = "not valid YAML"
	}
	return f
}

// hideSecrets hides what stands under a key that looks like a secret's, wherever
// it is: a password in the wrong place is a password all the same.
func (s *source) hideSecrets() {
	for _, n := range s.order {
		if n.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if secretWord(n.Content[i].Value) {
				s.hideAll(n.Content[i+1])
			}
		}
	}
	for _, n := range s.order {
		if _, rest, url := strings.Cut(n.Value, "://"); url && strings.Contains(rest, "@") {
			s.hideAll(n)
		}
	}
}

// secretWord reports a key that is a secret's, well or badly spelled.
func secretWord(key string) bool {
	lower := strings.ToLower(key)
	for _, w := range []string{"pass", "secret", "pwd", "token", "credential"} {
		if strings.Contains(lower, w) {
			return true
		}
	}
	return policy.Nearest(key, []string{"password", "passwd", "secret", "token"}) != ""
}

// hideAll keeps every scalar below n out of excerpts, but for references: they
// are names.
func (s *source) hideAll(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && (!strings.HasPrefix(n.Value, "${") || strings.Contains(n.Value, ":-")) {
		s.hidden = append(s.hidden, s.index[n])
	}
	for i, c := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 { // keys are words
			s.hideAll(c)
		}
	}
}

// excerpt returns the line at p with hidden scalars replaced, and the column of
// p in it. In a source that did not parse nobody knows where its secrets are:
// its excerpts stop at what looks like one.
func (s *source) excerpt(p place) (text string, caret int) {
	if p.line > len(s.lines) {
		return "", 1
	}
	line := []rune(s.lines[p.line-1])
	if s.root == nil {
		return clip(s.guess(line, p.line)), p.col
	}
	covered := make([]bool, len(line))
	for _, i := range s.hidden {
		s.cover(covered, p.line, i)
	}
	shown, caret := mask(line, covered, p.col)
	return clip(shown), min(caret, len(shown)+1)
}

// cover marks what line number n shows of hidden scalar i: all from its start
// to the start of the next node, since YAML does not say where a scalar ends.
func (s *source) cover(covered []bool, n, i int) {
	node, endLine, endCol := s.order[i], len(s.lines)+1, 1
	if i+1 < len(s.order) {
		endLine, endCol = s.order[i+1].Line, s.order[i+1].Column
	}
	if n < node.Line || n > endLine {
		return
	}
	from, to := 0, len(covered)
	if n == node.Line {
		from = node.Column - 1
	}
	if n == endLine {
		to = min(endCol-1, to)
	}
	for k := from; k < to; k++ {
		covered[k] = true
	}
}

// mask writes one placeholder for each run of covered characters that is more
// than indentation. caret is a column of line, from 1, and of the result.
func mask(line []rune, covered []bool, caret int) (shown []rune, at int) {
	at = caret
	for i := 0; i < len(line); {
		end := i
		for end < len(line) && covered[end] {
			end++
		}
		if strings.TrimSpace(string(line[i:end])) == "" {
			end = max(end, i+1)
			shown = append(shown, line[i:end]...)
			i = end
			continue
		}
		if caret > end {
			at += len(hidden) - (end - i)
		} else if caret > i {
			at = len(shown) + 1
		}
		shown = append(shown, []rune(hidden)...)
		i = end
	}
	return shown, at
}

// guess cuts a line of a source that did not parse behind a word that
// introduces a secret, or a URL. Where an unfinished construct holds a secret on
// an earlier line, nothing is shown: it may go on here.
func (s *source) guess(line []rune, n int) []rune {
	for k := max(s.unfinished, 1); k < n && s.unfinished > 0; k++ {
		if l := s.lines[k-1]; !strings.Contains(l, "${") && secretIn([]rune(l)) >= 0 {
			return []rune(hidden)
		}
	}
	if i := secretIn(line); i >= 0 {
		return append(append([]rune{}, line[:i]...), []rune(hidden)...)
	}
	return line
}

// secretIn is where a secret may begin in line: behind a word that introduces
// one, or behind "://"; -1 for nowhere.
func secretIn(line []rune) int {
	start := 0
	for i := 0; i <= len(line); i++ {
		if i < len(line) && (unicode.IsLetter(line[i]) || line[i] == '_') {
			continue
		}
		if secretWord(string(line[start:i])) || strings.HasPrefix(string(line[i:]), "://") {
			return i
		}
		start = i + 1
	}
	return -1
}

// textAt is the column where text stands as it is, as the whole of scalar n or
// within its quotes; 0 where the file writes it in another way.
func (s *source) textAt(n *yaml.Node, text string) int {
	if n.Line > len(s.lines) {
		return 0
	}
	line := []rune(s.lines[n.Line-1])
	for start := n.Column; start <= n.Column+1 && start <= len(line); start++ {
		if strings.HasPrefix(string(line[start-1:]), text) {
			return start
		}
	}
	return 0
}

// clip cuts a line to what fits a terminal twice over, and shows control
// characters as spaces.
func clip(line []rune) string {
	out := make([]rune, 0, min(len(line), 200))
	for _, r := range line[:min(len(line), 200)] {
		if r < ' ' && r != '\t' || r == utf8.RuneError || r >= 0x7f && r < 0xa0 {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
