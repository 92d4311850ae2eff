package schemas

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pathParser reads the grammar of Path.
type pathParser struct {
	text string
	pos  int
	bare int // where the last name began that is not in quotes
}

func (p *pathParser) parse() (Path, *PathError) {
	if p.text == "" {
		return nil, p.errorAt(0, "a path is empty")
	}
	if !utf8.ValidString(p.text) {
		return nil, p.errorAt(0, "a path is not UTF-8")
	}
	var path Path
	for p.pos < len(p.text) {
		if len(path) == MaxPathSteps {
			return nil, p.errorAt(p.pos, fmt.Sprintf("more than %d steps", MaxPathSteps))
		}
		at := p.pos
		s, err := p.step(path)
		if err != nil {
			return nil, err
		}
		if n := len(path); s.Kind == StepDeep && n > 0 && path[n-1].Kind == StepDeep {
			return nil, p.errorAt(at, `"**" twice says no more than once`)
		}
		path = append(path, s)
	}
	return path, nil
}

// step reads the step after path.
func (p *pathParser) step(path Path) (Step, *PathError) {
	switch {
	case p.text[p.pos] == '[':
		return p.element()
	case p.text[p.pos] == '~':
		return p.key(path)
	case len(path) == 0:
		return p.member()
	case p.text[p.pos] != '.':
		return Step{}, p.noStep()
	}
	p.pos++
	if p.pos == len(p.text) {
		return Step{}, p.errorAt(p.pos, `expected a name after "."`).instead(p.text[:p.pos-1])
	}
	return p.member()
}

// key reads the "~key" that ends a path.
func (p *pathParser) key(path Path) (Step, *PathError) {
	switch n := len(path); {
	case p.text[p.pos:] != "~key":
		return Step{}, p.errorAt(p.pos, `behind "~" stands "key", and nothing behind that`)
	case n == 0 || path[n-1].Kind != StepAnyMember && path[n-1].Kind != StepMember:
		return Step{}, p.errorAt(p.pos, `"~key" stands behind ".*" or a member: only these have keys`)
	}
	p.pos = len(p.text)
	return Step{Kind: StepKey}, nil
}

// maxIndexDigits keeps an index an int32: no record has more elements.
const maxIndexDigits = 9

func (p *pathParser) element() (Step, *PathError) {
	start := p.pos
	p.pos++
	rest := p.text[p.pos:]
	switch {
	case strings.HasPrefix(rest, "*]"):
		p.pos += len("*]")
		return Step{Kind: StepElements}, nil
	case rest != "" && rest[0] == '-':
		return Step{}, p.errorAt(p.pos, "an index counts from the beginning, from 0")
	}
	digits, _, closed := strings.Cut(rest, "]")
	if isDigits(digits) && closed {
		n, _ := strconv.Atoi(digits)
		if len(digits) > maxIndexDigits || digits != strconv.Itoa(n) {
			return Step{}, p.errorAt(p.pos, fmt.Sprintf("an index has at most %d digits and no zero in front", maxIndexDigits))
		}
		p.pos += len(digits) + 1
		return Step{Kind: StepIndex, Index: n}, nil
	}
	switch {
	case isDigits(digits):
		return Step{}, p.errorAt(start, `the "[" does not end`).instead(p.text + "]")
	case rest == "" || rest[0] == ']' || rest[0] == '[':
		return Step{}, p.errorAt(start, `expected "[*]", "[n]" or [key=="v"]`).instead(p.text[:start] + "[*" + rest)
	}
	return p.predicate(start)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// predicate reads `key=="v"]` after the "[" at start.
func (p *pathParser) predicate(start int) (Step, *PathError) {
	name, err := p.name()
	if err != nil {
		return Step{}, err
	}
	switch rest := p.text[p.pos:]; {
	case strings.HasPrefix(rest, "=="):
	case strings.HasPrefix(rest, "]"):
		return Step{}, p.errorAt(p.pos, `expected "=="; a predicate is [key=="v"], and a member is written behind a "."`).instead(p.text[:start] + "." + quoteName(name) + rest[1:])
	case strings.HasPrefix(rest, "="):
		return Step{}, p.errorAt(p.pos, `expected "=="; a predicate is [key=="v"]`).instead(p.text[:p.pos] + "=" + rest)
	default:
		return Step{}, p.errorAt(p.pos, `expected "=="; a predicate is [key=="v"]`)
	}
	p.pos += len("==")
	if p.pos == len(p.text) || p.text[p.pos] != '"' {
		return Step{}, p.errorAt(p.pos, `expected a text in double quotes; a predicate is [key=="v"]`).instead(p.quotedValue())
	}
	value, err := p.quoted()
	if err != nil {
		return Step{}, err
	}
	if p.pos == len(p.text) || p.text[p.pos] != ']' {
		return Step{}, p.errorAt(p.pos, `expected "]"; a predicate is [key=="v"]`)
	}
	p.pos++
	return Step{Kind: StepPredicate, Name: name, Value: value}, nil
}

func (p *pathParser) member() (Step, *PathError) {
	switch rest := p.text[p.pos:]; {
	case strings.HasPrefix(rest, "**"):
		p.pos += len("**")
		return Step{Kind: StepDeep}, nil
	case rest[0] == '*':
		p.pos++
		return Step{Kind: StepAnyMember}, nil
	}
	name, err := p.name()
	return Step{Kind: StepMember, Name: name}, err
}

func (p *pathParser) name() (string, *PathError) {
	if p.text[p.pos] == '"' {
		return p.quoted()
	}
	start := p.pos
	p.bare = start
	for p.pos < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[p.pos:])
		if !isBare(r) {
			break
		}
		p.pos += n
	}
	if p.pos == start {
		return "", p.noName()
	}
	return p.text[start:p.pos], nil
}

func (p *pathParser) quoted() (string, *PathError) {
	start := p.pos
	var text []byte
	for p.pos++; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; {
		case c == '"':
			p.pos++
			return string(text), nil
		case c < ' ' || c == 0x7f:
			return "", p.errorAt(p.pos, "a control character in a name")
		case c == '\\':
			p.pos++
			if p.pos == len(p.text) || p.text[p.pos] != '"' && p.text[p.pos] != '\\' {
				return "", p.errorAt(p.pos-1, `only \" and \\ are escapes between quotes`)
			}
		}
		text = append(text, p.text[p.pos])
	}
	return "", p.errorAt(start, "the quoted text does not end").instead(p.endQuotes())
}

func (p *pathParser) errorAt(pos int, message string) *PathError {
	column := utf8.RuneCountInString(p.text[:min(pos, len(p.text))]) + 1
	return &PathError{Path: p.text, Column: column, Message: message}
}
