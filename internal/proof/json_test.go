package proof

import (
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// unlisted are members that no wiring names; some do except for case.
var unlisted = []string{"zz", "\u212a", "é", "A", "q r", ""}

func (d *drawer) literal(kind string) string {
	values := scalars[kind].values
	if kind == "float" || kind == "double" {
		values = append(slices.Clone(values), "1.50", "-2.5e3")
	}
	return pick(d.T, values)
}

// wild is any JSON value.
func (d *drawer) wild(depth int) *value {
	v := &value{pad: pick(d.T, []string{"", "", " ", "\r\n\t"})}
	switch kind := d.n(0, 5); {
	case depth == 0 || kind < 4:
		v.lit = d.literal(pick(d.T, []string{"string", "string", "long", "double", "boolean", "null"}))
	case kind == 4:
		v.kind = object
		for range d.n(0, 3) {
			d.add(v, pick(d.T, append(unlisted, names...)), d.wild(depth-1))
		}
	default:
		v.kind = array
		for range d.n(0, 3) {
			v.kids = append(v.kids, d.wild(depth-1))
		}
	}
	return v
}

// add puts a member somewhere into an object, unless it has such a name already.
func (d *drawer) add(v *value, name string, kid *value) {
	if slices.ContainsFunc(v.names, func(n string) bool { return strings.EqualFold(n, name) }) {
		return
	}
	at := d.n(0, len(v.names))
	v.names, v.kids = slices.Insert(v.names, at, name), slices.Insert(v.kids, at, kid)
	v.escape = slices.Insert(v.escape, at, d.rarely(4))
}

// json draws what usually is of a shape.
func (d *drawer) json(s *shape) *value {
	if d.rarely(12) {
		return d.wild(2)
	}
	v := &value{pad: pick(d.T, []string{"", "", "\n "})}
	switch {
	case s.null > 0 && d.rarely(4):
		v.lit = "null"
	case s.kind == "record":
		v.kind = object
		for i, name := range s.names {
			if !d.rarely(5) {
				d.add(v, name, d.json(s.kids[i]))
			}
		}
		if d.rarely(3) {
			d.add(v, pick(d.T, append(unlisted, names...)), d.wild(2))
		}
	case s.kind == "map":
		v.kind = object
		for range d.n(0, 3) {
			d.add(v, pick(d.T, append(unlisted, names...)), d.json(s.kids[0]))
		}
	case s.kind == "array":
		v.kind = array
		for range d.n(0, 3) {
			v.kids = append(v.kids, d.json(s.kids[0]))
		}
	case s.kind == "text" && !d.rarely(8):
		return d.asText(s)
	case s.kind == "text":
		v.lit = d.literal("string")
	default:
		v.lit = d.literal(s.kind)
	}
	return v
}

// asText draws a text of JSON, now and then in another encoding than others.
func (d *drawer) asText(s *shape) *value {
	v := &value{kind: text, encoding: s.encoding, kids: []*value{d.json(s.kids[0])}}
	if d.rarely(10) {
		v.encoding = pick(d.T, []schemas.Encoding{schemas.PlainText, schemas.Base64, schemas.Base64URL})
	}
	return v
}

func (v *value) json() string {
	var parts []string
	for i, kid := range v.kids {
		text := v.pad + kid.json()
		if v.kind == object {
			text = v.pad + name(v.names[i], i < len(v.escape) && v.escape[i]) + ":" + text
		}
		parts = append(parts, text)
	}
	switch v.kind {
	case object:
		return "{" + strings.Join(parts, v.pad+",") + v.pad + "}"
	case array:
		return "[" + strings.Join(parts, v.pad+",") + v.pad + "]"
	}
	return v.literal()
}

func name(text string, escape bool) string {
	if !escape {
		return `"` + text + `"`
	}
	var b strings.Builder
	for _, r := range text {
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return `"` + b.String() + `"`
}
