package proof

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// value is a drawn value with all that its encoding leaves free.
type value struct {
	kind   valueKind
	lit    string // of a scalar, as JSON
	names  []string
	kids   []*value
	branch int // of an Avro union
	// encoding is how a text holds JSON.
	encoding schemas.Encoding
	// What says nothing.
	pad    string // JSON: white space
	escape []bool // JSON: the name is written with \u
	blocks int    // Avro: how an array or map is cut into blocks
}

type valueKind uint8

const (
	single valueKind = iota
	object           // a record, and an Avro map
	array
	text // of JSON, its only kid
)

func (v *value) clone() *value {
	c := *v
	c.names, c.escape, c.kids = slices.Clone(v.names), slices.Clone(v.escape), nil
	for _, kid := range v.kids {
		c.kids = append(c.kids, kid.clone())
	}
	return &c
}

// texts are the members of an element that are strings; s is its type, nil in
// JSON.
func (v *value) texts(s *shape) map[string]string {
	m := map[string]string{}
	for i, name := range v.names {
		if lit := v.kids[i].literal(); strings.HasPrefix(lit, `"`) && (s == nil || s.hasText(name)) {
			m[name] = unquote(lit)
		}
	}
	return m
}

// literal is a scalar as JSON; "" of a container.
func (v *value) literal() string {
	if v.kind == text {
		return quote(v.encoded(v.encoding))
	}
	return v.lit
}

// encoded is the text that holds JSON in an encoding.
func (v *value) encoded(e schemas.Encoding) string {
	in := v.kids[0].json()
	switch e {
	case schemas.Base64:
		return base64.StdEncoding.EncodeToString([]byte(in))
	case schemas.Base64URL:
		return base64.RawURLEncoding.EncodeToString([]byte(in))
	}
	return in
}

// holds reports whether a value is a text of JSON, as is declared: a container or, where
// the rule is for the whole, a scalar.
func (n *nest) holds(v *value) bool {
	if v.kind == single {
		return n.isScalar(v.lit)
	}
	if v.kind != text || v.encoded(v.encoding) != v.encoded(n.encoding) {
		return false
	}
	scalar := v.kids[0].kind == single || v.kids[0].kind == text
	return scalar == n.single()
}

// isScalar reports whether a literal is a text of a single value, though it was not drawn
// as one: none of those in texts is, in base64.
func (n *nest) isScalar(lit string) bool {
	return n.single() && n.encoding == schemas.PlainText && strings.HasPrefix(lit, `"`) && json.Valid([]byte(unquote(lit)))
}

// single reports whether the text holds a single value.
func (n *nest) single() bool { return len(n.rules[0].path) == 0 }

func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (v *value) element(s *shape, pos position, i int) position {
	return pos.then(place{kind: element, index: i, texts: v.kids[i].texts(s)})
}

func unquote(lit string) (text string) {
	if err := json.Unmarshal([]byte(lit), &text); err != nil {
		panic(err) // these tests made it
	}
	return text
}

// twins are values that a treatment cannot tell apart, by its name and the
// name of its parameter.
var twins = map[string][][]string{
	"truncate n":           {{`"abc"`, `"abd"`, `"\u0061bq"`}, {`"adam went to the sea"`, `"adam went home"`}},
	"mask keep_first":      {{`"adam went to the sea"`, `"adam went home"`, `"ada@example.org"`}, {`"abc"`, `"Ada"`, `""`, `"v"`}},
	"mask keep_last":       {{`"ada@example.org"`, `"bob@example.org"`}, {`"abc"`, `"Ada"`, `""`, `"v"`}},
	"mask":                 {{`"abc"`, `"ada@example.org"`, `""`, `"adam went home"`}},
	"generalize email":     {{`"ada@example.org"`, `"bob@example.org"`, `"Ada.B@EXAMPLE.org"`}},
	"generalize ip_prefix": {{`"192.0.2.7"`, `"192.0.2.9"`, `"::ffff:192.0.2.77"`}},
	"generalize url_query": {{`"https://u@shop.example/a?b=1#c"`, `"https://shop.example/a"`, `"https://shop.example/a;j=1?x=y"`}},
	"generalize query":     {{`"utm=m&b=1#c"`, `"utm=m"`, `"q=x;utm=m"`}},
	"generalize bucket":    {{"37", "31", "39"}, {"7395", "7391"}},
	"generalize date":      {{`"2026-02-20"`, `"2026-11-02"`}, {"7395", "7400"}, {"1767225601001", "1767225602002"}},
}

// twin is another value that shows the same under a treatment, or lit itself.
func (d *drawer) twin(t policy.Treatment, lit string) string {
	name := t.Name
	if len(t.Params) > 0 {
		name += " " + t.Params[0].Name
	}
	for _, group := range twins[name] {
		if slices.Contains(group, lit) {
			return pick(d.T, group)
		}
	}
	return lit
}
