package schemas

import (
	"strings"
	"unicode/utf8"
)

// Suggestions for texts that are not paths. Each error knows one thing to change; a
// text with several errors is corrected step by step.

// maxCorrections is how many errors of a text are corrected.
const maxCorrections = 8

// instead notes a text that does not have the error.
func (e *PathError) instead(text string) *PathError {
	e.guess = text
	return e
}

// suggest follows the guesses to a valid path; without one Suggestion stays "".
func (e *PathError) suggest() {
	guess := e.guess
	for range maxCorrections {
		if guess == "" {
			return
		}
		p := pathParser{text: guess}
		_, err := p.parse()
		if err == nil {
			e.Suggestion = guess
			return
		}
		guess = err.guess
	}
}

// noStep says why no step begins after another.
func (p *pathParser) noStep() *PathError {
	before, rest := p.text[:p.pos], p.text[p.pos:]
	switch last := before[len(before)-1]; {
	case last == '"':
		return p.errorAt(p.pos, `expected "." or "[" behind a name in quotes; a quote in a name is written \"`)
	case last == ']':
		return p.errorAt(p.pos, `expected "." or "["`).instead(before + "." + rest)
	case last == '*':
		return p.errorAt(p.pos, `expected "." or "["`)
	case rest[0] == '"':
		e := p.errorAt(p.pos, `expected "." or "["; a name is written in double quotes as a whole, and a quote in it as \"`)
		if strings.Contains(rest[1:], `"`) {
			e.guess = before + "." + rest
		}
		return e
	}
	return p.errorAt(p.pos, `expected "." or "["; a name with other characters is written in double quotes`).instead(p.quoteFrom(p.bare))
}

// noName says why no name begins here.
func (p *pathParser) noName() *PathError {
	before, rest := p.text[:p.pos], p.text[p.pos:]
	switch {
	case otherQuotes(rest) != "":
		return p.errorAt(p.pos, `expected a name; of quotes only " are those of a path`).instead(p.requote())
	case rest[0] == '[' && strings.HasSuffix(before, "."):
		return p.errorAt(p.pos, `expected a name; no "." stands before "["`).instead(before[:len(before)-1] + rest)
	case rest[0] == '.':
		return p.errorAt(p.pos, `expected a name before "."`).instead(before + rest[1:])
	case rest[0] == '~' || rest[0] == ']':
		return p.errorAt(p.pos, "expected a name")
	}
	return p.errorAt(p.pos, "expected a name; a name with other characters is written in double quotes").instead(p.quoteFrom(p.pos))
}

// quoteFrom puts quotes around what begins at start and ends before the next step.
func (p *pathParser) quoteFrom(start int) string {
	end := len(p.text)
	if i := strings.IndexAny(p.text[start:], `.[]"`); i >= 0 {
		end = start + i
	}
	return p.text[:start] + quote(p.text[start:end]) + p.text[end:]
}

// quotedValue puts quotes around the value of a predicate.
func (p *pathParser) quotedValue() string {
	before, rest := p.text[:p.pos], p.text[p.pos:]
	if otherQuotes(rest) != "" {
		return p.requote()
	}
	if value, behind, ok := strings.Cut(rest, "]"); ok {
		return before + quote(value) + "]" + behind
	}
	return ""
}

// endQuotes ends the quotes that are open at the end of the text.
func (p *pathParser) endQuotes() string {
	if rest, ok := strings.CutSuffix(p.text, "]"); ok {
		return rest + `"]`
	}
	return p.text + `"`
}

// quotes are those that people write for ", as they begin and end.
var quotes = map[rune]string{'\'': `'`, '“': `”“`, '„': `“”`, '”': `”`, '‘': `’`, '‚': `‘’`, '«': `»`, '»': `«`, '`': "`´'"}

// otherQuotes are what ends the quotes that s begins with; "" where they are none.
func otherQuotes(s string) string {
	r, _ := utf8.DecodeRuneInString(s)
	return quotes[r]
}

// requote writes the quotes that begin here as "; it gives "" where they do not end.
func (p *pathParser) requote() string {
	rest := p.text[p.pos:]
	_, n := utf8.DecodeRuneInString(rest)
	end := strings.IndexAny(rest[n:], otherQuotes(rest))
	if end < 0 {
		return ""
	}
	_, m := utf8.DecodeRuneInString(rest[n+end:])
	return p.text[:p.pos] + quote(rest[n:n+end]) + rest[n+end+m:]
}
