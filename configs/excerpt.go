package configs

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/consentstream/consentstream/policy"
)

// hideSecrets hides what stands under a key that looks like a secret's, wherever
// it is, and an address with a user: a password in the wrong place is a password
// all the same.
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
		if _, rest, ok := strings.Cut(n.Value, ":"); ok && strings.Contains(rest, "@") {
			s.hideAll(n)
		}
	}
}

// secretWord reports whether a key introduces a secret, even misspelled.
func secretWord(key string) bool {
	lower := strings.ToLower(key)
	for _, w := range []string{"pass", "secret", "pwd", "token", "credential"} {
		if strings.Contains(lower, w) {
			return true
		}
	}
	return policy.Nearest(key, []string{"password", "passwd", "secret", "token"}) != ""
}

// hideAll keeps every scalar below n out of excerpts, except for references: they
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

// maxExcerpt is how much of a line is shown, in characters.
const maxExcerpt = 200

// excerpt returns the line at p with hidden scalars replaced, and the column of
// p in it. In a source that did not parse nobody knows where its secrets are:
// its excerpts stop at what looks like one.
func (s *source) excerpt(p place) (text string, caret int) {
	if p.line > len(s.lines) {
		return "", 1
	}
	line := []rune(s.lines[p.line-1])
	if s.root == nil {
		shown := clip(s.guess(line, p.line))
		return shown, min(p.col, utf8.RuneCountInString(shown)+1)
	}
	line = line[:min(len(line), maxExcerpt)]
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

// guess cuts a line of a source that did not parse right after a word that
// introduces a secret, or at the user of an address. Where an unfinished construct holds a secret on
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

// secretIn is the index in line at which a secret may begin: after a word that
// introduces one, or in the user of an address (user:password@host, with or
// without a scheme); -1 for none.
func secretIn(line []rune) int {
	start, user := 0, lastRune(line, '@')
	for i := 0; i <= len(line); i++ {
		if i < len(line) && (unicode.IsLetter(line[i]) || line[i] == '_') {
			continue
		}
		if secretWord(string(line[start:i])) || i+1 < user && line[i] == ':' && !unicode.IsSpace(line[i+1]) {
			return i
		}
		start = i + 1
	}
	return -1
}

// lastRune is the last index of r in line, -1 for none.
func lastRune(line []rune, r rune) int {
	for i := len(line) - 1; i >= 0; i-- {
		if line[i] == r {
			return i
		}
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

// clip shows characters that would act on the terminal as U+FFFD.
func clip(line []rune) string {
	out := make([]rune, 0, len(line))
	for _, r := range line[:min(len(line), maxExcerpt)] {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			r = utf8.RuneError
		}
		out = append(out, r)
	}
	return string(out)
}
