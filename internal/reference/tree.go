package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// tree is a JSON value as it stands.
type tree struct {
	kind    byte   // one of { [ " 0 t f n
	raw     string // the text, with the white space inside
	text    string // of a string: unescaped
	members []member
	items   []*tree
}

type member struct {
	name  string // unescaped
	raw   string // with quotes, as it stands
	value *tree
}

func (t *tree) get(name string) *tree {
	for _, m := range t.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// parse reads one JSON value that encoding/json takes.
func parse(text []byte) (*tree, error) {
	if !json.Valid(text) {
		return nil, errors.New("not JSON")
	}
	r := reader{text: string(text)}
	return r.value(), nil
}

// reader reads valid JSON, and so checks nothing.
type reader struct {
	text string
	at   int
}

// skip passes white space and what stands between values.
func (r *reader) skip() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[r.at]) >= 0 {
		r.at++
	}
}

func (r *reader) value() *tree {
	r.skip()
	start := r.at
	t := &tree{kind: r.text[r.at]}
	switch t.kind {
	case '{':
		for r.at++; !r.closes('}'); {
			name := r.value()
			t.members = append(t.members, member{name.text, name.raw, r.value()})
		}
	case '[':
		for r.at++; !r.closes(']'); {
			t.items = append(t.items, r.value())
		}
	case '"':
		for r.at++; r.text[r.at] != '"'; r.at++ {
			if r.text[r.at] == '\\' {
				r.at++
			}
		}
		r.at++
	default:
		for r.at < len(r.text) && strings.IndexByte(" \t\r\n,:]}", r.text[r.at]) < 0 {
			r.at++
		}
		if t.kind == '-' || '0' <= t.kind && t.kind <= '9' {
			t.kind = '0'
		}
	}
	t.raw = r.text[start:r.at]
	if t.kind == '"' {
		_ = json.Unmarshal([]byte(t.raw), &t.text)
	}
	return t
}

func (r *reader) closes(bracket byte) bool {
	r.skip()
	if r.text[r.at] != bracket {
		return false
	}
	r.at++
	return true
}

// maxDepth is the most containers in each other.
const maxDepth = 64

// jsonFault is the code of what is wrong with a JSON record, "" for nothing. Of
// several faults it may name another than the product does.
func jsonFault(text []byte, single bool) string {
	first := strings.TrimLeft(string(text), " \t\r\n")
	switch {
	case len(text) == 0:
		return "empty_value"
	case first == "":
		return "truncated"
	case !single && strings.IndexByte("{[", first[0]) < 0 && json.Valid(text):
		return "top_level_scalar"
	case depth(text) > maxDepth:
		return "too_deep"
	case !utf8.Valid(text):
		return "bad_utf8"
	}
	d := json.NewDecoder(bytes.NewReader(text))
	var one json.RawMessage
	switch err := d.Decode(&one); {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "truncated"
	case err != nil:
		return "syntax"
	case len(bytes.TrimSpace(text[d.InputOffset():])) > 0:
		return "trailing_bytes"
	}
	t, err := parse(text)
	if err != nil {
		return "syntax"
	}
	return t.fault()
}

// depth counts brackets outside strings.
func depth(text []byte) (most int) {
	open, inside := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{' || c == '[':
			open++
			most = max(most, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return most
}

// fault finds lone surrogates, which encoding/json replaces, and members that
// differ at most in case.
func (t *tree) fault() string {
	if t.kind == '"' && lone(t.raw, t.text) {
		return "lone_surrogate"
	}
	for i, m := range t.members {
		if lone(m.raw, m.name) {
			return "lone_surrogate"
		}
		for _, o := range t.members[:i] {
			if strings.EqualFold(o.name, m.name) {
				return "duplicate_key"
			}
		}
		if f := m.value.fault(); f != "" {
			return f
		}
	}
	for _, item := range t.items {
		if f := item.fault(); f != "" {
			return f
		}
	}
	return ""
}

// lone reports whether reading a string made replacement characters of its own.
func lone(raw, text string) bool {
	escapes := strings.ToLower(strings.ReplaceAll(raw, `\\`, ""))
	written := strings.Count(raw, "\ufffd") + strings.Count(escapes, `\ufffd`)
	return strings.Count(text, "\ufffd") > written
}

// quote writes a JSON string with no escapes but those that RFC 8259 demands.
func quote(s string) string {
	short := map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch e, ok := short[r]; {
		case ok:
			b.WriteString(e)
		case r < ' ':
			b.WriteString(`\u00` + string("0123456789abcdef"[r>>4]) + string("0123456789abcdef"[r&15]))
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}
