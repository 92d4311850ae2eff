package schemas

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Path names positions of a record, as the wiring writes them:
//
//	path    = first { next }
//	first   = name | "*" | element
//	next    = "." ( name | "*" ) | element
//	element = "[*]"
//	name    = bare | quoted
//	bare    = one or more of: Unicode letters and digits, "_", "-", "$"
//	quoted  = `"` { any character but `"`, `\` and controls | `\"` | `\\` } `"`
//
// `a.b` is member b of a, `a[*]` every element of the array a, `a.*` every
// member (or map value) of a; `"a.b".c` quotes a name that is not bare. The
// words `[n]`, `**`, `~key` and `[key=="v"]` are recognised and refused as not
// supported yet, so that no configuration of theirs is read as something else.
type Path []Step

// Step is one level of a Path. The zero Step is invalid.
type Step struct {
	Kind StepKind
	Name string // StepMember only: the name itself, without quotes
}

// StepKind is how a Step chooses.
type StepKind uint8

// The kinds of steps.
const (
	NoStep        StepKind = iota
	StepMember             // the member (field) of this name
	StepElements           // [*]: every element of an array
	StepAnyMember          // *: every member, or every value of a map
)

// MaxPathSteps is the most steps a Path may have: what lies deeper than the
// scanners' depth limit can never be there.
const MaxPathSteps = 64

// PathError says why a text is not a Path.
type PathError struct {
	Path    string // the text, from configuration: it is no personal data
	Column  int    // 1-based, in characters
	Message string
	// Unsupported marks a word of the path language that is not supported yet.
	Unsupported bool
}

func (e *PathError) Error() string {
	return fmt.Sprintf("path %q, column %d: %s", e.Path, e.Column, e.Message)
}

// ParsePath reads the grammar of Path. The error is a *PathError.
func ParsePath(s string) (Path, error) {
	p := pathParser{text: s}
	path, err := p.parse()
	if err != nil {
		return nil, err
	}
	return path, nil
}

// String writes p so that ParsePath reads it back; names are quoted only where
// they must be, so equal paths have equal strings.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		if s.Kind == StepElements {
			b.WriteString("[*]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		if s.Kind == StepAnyMember {
			b.WriteByte('*')
			continue
		}
		b.WriteString(quoteName(s.Name))
	}
	return b.String()
}

// HasPrefix reports whether p is q or lies below it: then what is said of q
// cascades to p.
func (p Path) HasPrefix(q Path) bool {
	if len(q) > len(p) {
		return false
	}
	for i, s := range q {
		if p[i] != s {
			return false
		}
	}
	return true
}

func quoteName(name string) string {
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !isBare(r) }) < 0 {
		return name
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

func isBare(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '$'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

type pathParser struct {
	text string
	pos  int
}

func (p *pathParser) parse() (Path, error) {
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
		s, err := p.step(len(path) == 0)
		if err != nil {
			return nil, err
		}
		path = append(path, s)
	}
	return path, nil
}

func (p *pathParser) step(first bool) (Step, error) {
	switch {
	case p.text[p.pos] == '[':
		return p.element()
	case p.text[p.pos] == '~':
		return Step{}, p.unsupported("map keys (~key)")
	case first:
		return p.member()
	case p.text[p.pos] != '.':
		return Step{}, p.errorAt(p.pos, `expected "." or "[*]"; a name with other characters is written in double quotes`)
	}
	p.pos++
	if p.pos == len(p.text) {
		return Step{}, p.errorAt(p.pos, `expected a name after "."`)
	}
	return p.member()
}

func (p *pathParser) element() (Step, error) {
	rest := p.text[p.pos+1:]
	switch {
	case strings.HasPrefix(rest, "*]"):
		p.pos += len("[*]")
		return Step{Kind: StepElements}, nil
	case rest != "" && (rest[0] >= '0' && rest[0] <= '9' || rest[0] == '-'):
		return Step{}, p.unsupported("array indexes ([n])")
	case strings.Contains(rest, "=="):
		return Step{}, p.unsupported(`predicates ([key=="v"])`)
	}
	return Step{}, p.errorAt(p.pos, `expected "[*]"`)
}

func (p *pathParser) member() (Step, error) {
	switch rest := p.text[p.pos:]; {
	case strings.HasPrefix(rest, "**"):
		return Step{}, p.unsupported("any depth (**)")
	case rest[0] == '*':
		p.pos++
		return Step{Kind: StepAnyMember}, nil
	case rest[0] == '"':
		return p.quoted()
	}
	end := p.pos
	for end < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[end:])
		if !isBare(r) {
			break
		}
		end += n
	}
	if end == p.pos {
		return Step{}, p.errorAt(p.pos, "expected a name; a name with other characters is written in double quotes")
	}
	s := Step{Kind: StepMember, Name: p.text[p.pos:end]}
	p.pos = end
	return s, nil
}

func (p *pathParser) quoted() (Step, error) {
	start := p.pos
	var name []byte
	for p.pos++; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; {
		case c == '"':
			p.pos++
			return Step{Kind: StepMember, Name: string(name)}, nil
		case c < ' ' || c == 0x7f:
			return Step{}, p.errorAt(p.pos, "a control character in a name")
		case c == '\\':
			p.pos++
			if p.pos == len(p.text) || p.text[p.pos] != '"' && p.text[p.pos] != '\\' {
				return Step{}, p.errorAt(p.pos-1, `only \" and \\ are escapes in a quoted name`)
			}
		}
		name = append(name, p.text[p.pos])
	}
	return Step{}, p.errorAt(start, "the quoted name does not end")
}

func (p *pathParser) errorAt(pos int, message string) *PathError {
	column := utf8.RuneCountInString(p.text[:min(pos, len(p.text))]) + 1
	return &PathError{Path: p.text, Column: column, Message: message}
}

func (p *pathParser) unsupported(what string) error {
	e := p.errorAt(p.pos, what+": not supported yet")
	e.Unsupported = true
	return e
}
