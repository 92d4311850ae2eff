package reference

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// shape is a position of a plain JSON stream that a path of the wiring names.
type shape struct {
	name     string // of the member
	path     string
	named    bool // a path names it or one above it
	members  []*shape
	elements *shape
	treat    Treatment
}

var step = regexp.MustCompile(`^([A-Za-z0-9_$-]+|\[\*\])\.?`)

// shapes builds the tree of the stream's paths: the fields, then what the
// subjects and the time stand at.
func (v *view) shapes() (*shape, error) {
	root := &shape{}
	paths := []string{}
	for _, f := range v.stream.Fields {
		paths = append(paths, f.Path)
	}
	for _, x := range v.stream.Subjects {
		paths = append(paths, x.Paths...)
	}
	for _, path := range append(paths, v.stream.EventTime) {
		at := root
		for rest := path; rest != ""; {
			m := step.FindStringSubmatch(strings.TrimPrefix(rest, "."))
			if m == nil {
				return nil, fmt.Errorf("path %s: the reference does not know it", path)
			}
			rest = strings.TrimPrefix(rest, ".")[len(m[0]):]
			at = at.child(m[1])
		}
		if path != "" {
			at.named = true
		}
	}
	root.named = v.stream.single()
	root.settle(v, false)
	return root, nil
}

func (s *shape) child(name string) *shape {
	if name == "[*]" {
		if s.elements == nil {
			s.elements = &shape{path: s.path + name}
		}
		return s.elements
	}
	for _, m := range s.members {
		if m.name == name {
			return m
		}
	}
	m := &shape{name: name, path: strings.TrimPrefix(s.path+"."+name, ".")}
	s.members = append(s.members, m)
	return m
}

// walk lists the paths of all positions below s, each before those below it.
func (s *shape) walk(paths []string) []string {
	below := s.members
	if s.elements != nil {
		below = append([]*shape{s.elements}, below...)
	}
	for _, m := range below {
		paths = m.walk(append(paths, m.path))
	}
	return paths
}

func (s *shape) settle(v *view, named bool) {
	s.named = s.named || named
	s.treat = v.at(s.path)
	for _, m := range s.members {
		m.settle(v, s.named)
	}
	if s.elements != nil {
		s.elements.settle(v, s.named)
	}
}

func (s *shape) leaf() bool { return len(s.members) == 0 && s.elements == nil }

// jsonWriter writes one record for one purpose.
type jsonWriter struct {
	view     *view
	heard    voices
	withheld int
}

// op is the treatment's name; a closed gate makes all but drop a redact.
func (w *jsonWriter) op(s *shape) string {
	if s.treat.Name != "drop" && !w.heard.open(w.view.stream.about(s.path), w.view.stream.main(), s.treat) {
		return "redact"
	}
	return s.treat.Name
}

// live says that something of a record can come to stand at s.
func (w *jsonWriter) live(s *shape) bool {
	if s.leaf() {
		switch w.op(s) {
		case "drop", "redact", "constant":
			return false
		}
		return true
	}
	if s.elements != nil {
		return w.live(s.elements)
	}
	for _, m := range s.members {
		if w.live(m) {
			return true
		}
	}
	return s.named && w.op(s) == "keep"
}

// fixed is what stands at s whatever the record holds; "" for nothing.
func (w *jsonWriter) fixed(s *shape) string {
	switch {
	case s.leaf() && w.op(s) == "redact":
		return "null"
	case s.leaf() && w.op(s) == "constant":
		return constant(s.treat.Params["value"])
	case s.leaf() || w.live(s):
		return ""
	case s.elements != nil:
		if w.fixed(s.elements) == "null" {
			return "null"
		}
		return ""
	case s.named && w.op(s) == "redact":
		return "null"
	}
	for _, m := range s.members {
		if w.fixed(m) == "null" {
			return "null"
		}
	}
	return ""
}

func constant(v any) string {
	if s, ok := v.(string); ok {
		return quote(s)
	}
	return fmt.Sprint(v)
}

// record writes the whole record: an object or an array, whatever is left.
func (w *jsonWriter) record(root *shape, t *tree) string {
	if w.view.stream.single() {
		return cmp.Or(w.fixed(root), w.scalar(root, t), "null")
	}
	if t.kind != '{' {
		w.withheld++
		t = &tree{kind: '{'}
	}
	out, _ := w.object(root, t)
	return out
}

// object writes the members that stay, in their order, then what is always
// there, in the order of the wiring. some: a member of the record stays.
func (w *jsonWriter) object(s *shape, t *tree) (out string, some bool) {
	var parts []string
	for _, m := range t.members {
		if part := w.member(s, m); part != "" {
			parts = append(parts, part)
		}
	}
	some = len(parts) > 0
	for _, m := range s.members {
		if f := w.fixed(m); f != "" {
			parts = append(parts, quote(m.name)+":"+f)
		}
	}
	return "{" + strings.Join(parts, ",") + "}", some
}

func (w *jsonWriter) member(s *shape, m member) string {
	for _, child := range s.members {
		if child.name == m.name {
			if out := w.value(child, m.value); out != "" {
				return quote(child.name) + ":" + out
			}
			return ""
		}
	}
	if s.named && w.op(s) == "keep" {
		return quote(m.name) + ":" + m.value.raw // the name's spelling does not show
	}
	if w.counts(s) {
		w.withheld++
	}
	return ""
}

// counts says that the members of an object that no path names are counted, since
// its treatment does not take what it cannot know.
func (w *jsonWriter) counts(s *shape) bool {
	op := w.op(s)
	return s.named && s.elements == nil && op != "keep" && op != "drop" && op != "redact" && op != "constant"
}

// value writes what the record holds at s; "" where nothing of it stays.
func (w *jsonWriter) value(s *shape, t *tree) string {
	switch {
	case s.leaf():
		return w.scalar(s, t)
	case t.kind == 'n' || !w.live(s) && !w.counts(s):
		return ""
	case s.elements != nil && t.kind == '[':
		var parts []string
		for _, item := range t.items {
			if part := w.value(s.elements, item); part != "" {
				parts = append(parts, part)
			}
		}
		if len(parts) == 0 {
			return ""
		}
		return "[" + strings.Join(parts, ",") + "]"
	case s.elements == nil && t.kind == '{':
		if out, some := w.object(s, t); some {
			return out
		}
		return ""
	}
	w.withheld++
	return ""
}

func (w *jsonWriter) scalar(s *shape, t *tree) string {
	switch w.op(s) {
	case "drop", "redact", "constant":
		return ""
	case "keep":
		return t.raw
	}
	if t.kind == 'n' {
		return "null"
	}
	in := scalar{kind: kind{base: "string"}, text: t.text}
	switch t.kind {
	case '"':
	case '0':
		in.base, in.text = "number", t.raw
	default:
		w.withheld++
		return ""
	}
	out, ok := w.view.treat(w.view.field(s.path), in, s.treat, w.heard)
	switch {
	case !ok:
		w.withheld++
		return ""
	case out.base == "number":
		return out.text
	}
	return quote(out.text)
}

var integer = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
