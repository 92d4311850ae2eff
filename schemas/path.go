package schemas

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Path names positions of a record, as the wiring writes them:
//
//	path      = first { next } [ "~key" ]
//	first     = name | "*" | "**" | element
//	next      = "." ( name | "*" | "**" ) | element
//	element   = "[*]" | "[" digits "]" | "[" name "==" text "]"
//	name      = bare | text
//	bare      = one or more of: Unicode letters and digits, "_", "-", "$"
//	text      = `"` { any character but `"`, `\` and controls | `\"` | `\\` } `"`
//
// `a.b` is member b of a, `a[*]` every element of the array a, `a[0]` its first,
// `a[key=="v"]` every element whose member key is the string v; `a.*` is every
// member of a, or every value of the map a, and `a.*~key` the keys of those
// instead of the values. `**` is any number of members and elements, also none:
// `**.email` is every member email, however deep. `"a.b".c` quotes a name that is
// not bare.
type Path []Step

// Step is one level of a Path. The zero Step is invalid.
type Step struct {
	Kind  StepKind
	Name  string // StepMember, StepPredicate: the member's name, without quotes
	Value string // StepPredicate: the text that the member must be
	Index int    // StepIndex: from 0
}

// StepKind is how a Step chooses.
type StepKind uint8

// The kinds of steps.
const (
	NoStep        StepKind = iota
	StepMember             // the member (field) of this name
	StepElements           // [*]: every element of an array
	StepAnyMember          // *: every member, or every value of a map
	StepIndex              // [n]: one element of an array
	StepPredicate          // [key=="v"]: the elements whose member key is the string v
	StepDeep               // **: any number of members and elements, also none
	StepKey                // ~key: the key of the entry instead of its value; the last step
)

// MaxPathSteps is the most steps a Path may have: what lies deeper than the
// scanners' depth limit can never be there.
const MaxPathSteps = 64

// PathError says why a text is not a Path.
type PathError struct {
	Path    string // the text, which is from the configuration and not personal
	Column  int    // 1-based, in characters
	Message string
	// Suggestion is the Path that was probably meant; "" where that is not clear.
	Suggestion string

	guess string // one step towards Suggestion, which may have other errors
}

func (e *PathError) Error() string {
	return fmt.Sprintf("path %q, column %d: %s", e.Path, e.Column, e.Message)
}

// ParsePath reads the grammar of Path. The error is a *PathError.
func ParsePath(s string) (Path, error) {
	p := pathParser{text: s}
	path, err := p.parse()
	if err != nil {
		err.suggest()
		return nil, err
	}
	return path, nil
}

// ParseRule is ParsePath for the rules of a stream's fields: "" is the empty Path, the
// record itself. It declares that records are single values, which are JSON only.
func ParseRule(s string) (Path, error) {
	if s == "" {
		return Path{}, nil
	}
	return ParsePath(s)
}

// String writes p so that ParsePath reads it back; names are quoted only where
// they must be, so equal paths have equal strings.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 && (s.Kind == StepMember || s.Kind == StepAnyMember || s.Kind == StepDeep) {
			b.WriteByte('.')
		}
		b.WriteString(s.text())
	}
	return b.String()
}

func (s Step) text() string {
	switch s.Kind {
	case StepMember:
		return quoteName(s.Name)
	case StepElements:
		return "[*]"
	case StepAnyMember:
		return "*"
	case StepIndex:
		return "[" + strconv.Itoa(s.Index) + "]"
	case StepPredicate:
		return "[" + quoteName(s.Name) + "==" + quote(s.Value) + "]"
	case StepDeep:
		return "**"
	case StepKey:
		return "~key"
	}
	return "?" // no path: ParsePath refuses it
}

func quoteName(name string) string {
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !isBare(r) }) < 0 {
		return name
	}
	return quote(name)
}

func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

func isBare(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '$'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}
