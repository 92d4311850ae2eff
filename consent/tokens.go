package consent

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// next reads a token of one of the kinds given, as jsontext names them.
func (p *parser) next(kinds string) (jsontext.Token, bool) {
	if p.fault != NoFault {
		return jsontext.Token{}, false
	}
	tok, err := p.dec.ReadToken()
	if err != nil {
		p.fail(FaultSyntax)
		return jsontext.Token{}, false
	}
	if strings.IndexByte(kinds, byte(tok.Kind())) < 0 {
		p.fail(FaultType)
		return jsontext.Token{}, false
	}
	return tok, true
}

// object reads an object and calls member, which must read one value, after
// each name.
func (p *parser) object(member func(name string)) {
	if _, ok := p.next("{"); !ok {
		return
	}
	for {
		tok, ok := p.next(`"}`)
		if !ok || tok.Kind() == '}' {
			return
		}
		if member(tok.String()); p.fault != NoFault {
			return
		}
	}
}

// null reads a null, if there is one.
func (p *parser) null() bool {
	if p.fault != NoFault || p.dec.PeekKind() != 'n' {
		return false
	}
	_, ok := p.next("n")
	return ok
}

// text reads a string of 1 to most bytes.
func (p *parser) text(most int) string {
	s := p.string(most)
	if s == "" {
		p.fail(FaultMissing)
	}
	return s
}

// optional reads a string, or null as the empty one.
func (p *parser) optional(most int) string {
	if p.null() {
		return ""
	}
	return p.string(most)
}

func (p *parser) string(most int) string {
	tok, ok := p.next(`"`)
	if !ok {
		return ""
	}
	s := tok.String()
	if len(s) > most {
		p.fail(FaultTooMany)
	}
	return s
}

// texts reads an array of strings.
func (p *parser) texts(most int) []string {
	if _, ok := p.next("["); !ok {
		return nil
	}
	var list []string
	for p.fault == NoFault && p.dec.PeekKind() != ']' {
		if len(list) == most {
			p.fail(FaultTooMany)
			return nil
		}
		list = append(list, p.text(maxName))
	}
	p.next("]")
	return list
}

// set is texts, ascending and unique.
func (p *parser) set(most int) []string {
	list := p.texts(most)
	slices.Sort(list)
	return slices.Compact(list)
}

func (p *parser) purposes() []string {
	list := p.texts(maxPurposes)
	for _, id := range list {
		if id != "*" && !ValidPurpose(id) {
			p.fail(FaultPurpose)
		}
	}
	return list
}

// ValidPurpose reports whether id is a purpose id: [a-z][a-z0-9_]*, once or more,
// joined by dots.
func ValidPurpose(id string) bool {
	start := true
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z':
			start = false
		case !start && ('0' <= c && c <= '9' || c == '_'):
		case !start && c == '.':
			start = true
		default:
			return false
		}
	}
	return !start
}

func (p *parser) bool() bool {
	tok, ok := p.next("tf")
	return ok && tok.Bool()
}

func (p *parser) instant(parse func(string) (int64, bool)) Instant {
	s := p.text(maxName)
	if p.fault != NoFault {
		return Instant{}
	}
	ms, ok := parse(s)
	if !ok {
		p.fail(FaultTime)
		return Instant{}
	}
	return Instant{Set: true, Ms: ms}
}

// jurisdiction reads an ISO 3166 code: DE, US-CA.
func (p *parser) jurisdiction() string {
	s := p.text(maxName)
	if p.fault == NoFault && !isJurisdiction(s) {
		p.fail(FaultWord)
	}
	return s
}

func isJurisdiction(s string) bool {
	country, part, divided := strings.Cut(s, "-")
	if len(country) != 2 || divided && (len(part) < 1 || len(part) > 3) {
		return false
	}
	for i := range len(country) {
		if country[i] < 'A' || country[i] > 'Z' {
			return false
		}
	}
	for i := range len(part) {
		if c := part[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// identifier reads a string or an integer as text. A float is refused: it has
// many texts. So is minus zero.
func (p *parser) identifier() string {
	tok, ok := p.next(`"0`)
	if !ok {
		return ""
	}
	s := tok.String()
	if tok.Kind() == '0' && (strings.ContainsAny(s, ".eE") || s == "-0") {
		p.fail(FaultType)
	}
	return s
}

func parseConsentType(word string) (ConsentType, bool) {
	i := slices.Index([]string{"none", "implied", "expressed", "explicit"}, word)
	return ConsentType(max(i, 0)), i >= 0
}

// word reads a string of a closed set.
func word[T any](p *parser, parse func(string) (T, bool)) (value T) {
	s := p.text(maxName)
	if p.fault != NoFault {
		return value
	}
	value, ok := parse(s)
	if !ok {
		p.fail(FaultWord)
	}
	return value
}
