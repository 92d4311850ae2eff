package proof

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// avro draws a value of a shape. Its texts and numbers are those that
// treatments take, and others.
func (d *drawer) avro(s *shape) *value {
	v := &value{blocks: d.n(0, 5)}
	if s.null > 0 && d.rarely(4) {
		v.lit = "null"
		return v
	}
	switch s.kind {
	case "record":
		v.kind, v.names = object, s.names
		for _, kid := range s.kids {
			v.kids = append(v.kids, d.avro(kid))
		}
	case "array":
		v.kind = array
		for range d.n(0, 3) {
			v.kids = append(v.kids, d.avro(s.kids[0]))
		}
	case "map":
		v.kind = object
		for i := range d.n(0, 3) {
			v.names = append(v.names, fmt.Sprint(pick(d.T, names), i))
			v.kids = append(v.kids, d.avro(s.kids[0]))
		}
	case "union":
		branch := d.n(0, 2)
		v = d.avro(s.kids[branch])
		v.branch = branch
	default:
		v.lit = d.literal(s.kind)
	}
	return v
}

// encode appends Avro binary.
func (v *value) encode(b []byte, s *shape) []byte {
	if s.null > 0 {
		null := v.kind == single && v.lit == "null" && s.kind != "null"
		b = binary.AppendVarint(b, int64(branch(s.null, null)))
		if null {
			return b
		}
	}
	switch s.kind {
	case "record":
		for i, kid := range v.kids {
			b = kid.encode(b, s.kids[i])
		}
		return b
	case "array", "map":
		return v.encodeItems(b, s)
	case "union":
		return v.encode(binary.AppendVarint(b, int64(v.branch)), s.kids[v.branch])
	}
	return encodeScalar(b, scalars[s.kind].base, v.lit)
}

func branch(place int, null bool) int {
	if null == (place == 1) {
		return 0
	}
	return 1
}

// encodeItems cuts the items into blocks, some of them with their size.
func (v *value) encodeItems(b []byte, s *shape) []byte {
	for at := 0; at < len(v.kids); {
		n := min(1+(v.blocks+at)%3, len(v.kids)-at)
		var in []byte
		for i := at; i < at+n; i++ {
			if s.kind == "map" {
				in = append(binary.AppendVarint(in, int64(len(v.names[i]))), v.names[i]...)
			}
			in = v.kids[i].encode(in, s.kids[0])
		}
		if (v.blocks+at)%2 == 1 {
			b = binary.AppendVarint(binary.AppendVarint(b, int64(-n)), int64(len(in)))
		} else {
			b = binary.AppendVarint(b, int64(n))
		}
		b, at = append(b, in...), at+n
	}
	return append(b, 0)
}

func encodeScalar(b []byte, base, lit string) []byte {
	switch base {
	case "string":
		text := unquote(lit)
		return append(binary.AppendVarint(b, int64(len(text))), text...)
	case "fixed":
		return append(b, unquote(lit)...)
	case "boolean":
		return append(b, lit[0]&1^1) // t, f
	case "null":
		return b
	}
	f, err := strconv.ParseFloat(lit, 64)
	if err != nil {
		panic(err) // these tests made it
	}
	switch base {
	case "float":
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(f)))
	case "double":
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	return binary.AppendVarint(b, int64(f))
}

func (v *value) frame(s *shape) []byte { return v.encode(schemas.AppendFrame(nil, 1), s) }

// avro gives v, of a shape at pos, anew.
func (c *changer) avro(v *value, s *shape, pos position) *value {
	if !c.peeks(s, pos) {
		return c.drawer.avro(s)
	}
	o := v.clone()
	if v.kind == single { // also a null where something could lie
		if t, seen := c.w.sees(c.purpose, pos); seen && scalars[s.kind].family != "other" && v.lit != "null" {
			o.lit = c.twin(t, v.lit)
		}
		return o
	}
	if s.kind == "union" {
		o = c.avro(v, s.kids[v.branch], pos)
		o.branch = v.branch
		return o
	}
	if s.kind != "record" && c.rebuilt(s, pos) {
		o.blocks = c.n(0, 5)
	}
	for i := range o.kids {
		o.kids[i] = c.avro(o.kids[i], s.kid(i), o.place(s, pos, i))
	}
	if o.kind == array {
		c.keepKeys(v, o, pos)
	}
	return o
}

func (s *shape) kid(i int) *shape {
	if s.kind == "record" {
		return s.kids[i]
	}
	return s.kids[0]
}

func (v *value) place(s *shape, pos position, i int) position {
	switch s.kind {
	case "array":
		return v.element(s.kids[0], pos, i)
	case "map":
		return pos.then(place{kind: entry, name: v.names[i]})
	}
	return pos.then(place{kind: member, name: v.names[i]})
}

// keepKeys puts back what the predicates of an array look at.
func (c *changer) keepKeys(from, to *value, pos position) {
	for i, was := range from.kids {
		now := to.kids[i]
		if !slices.Equal(was.names, now.names) && c.looksAt(pos, was.names, now.names) {
			to.kids[i] = was.clone() // another branch
			continue
		}
		for j, name := range now.names {
			if looked(c.w.rules, pos, name) {
				now.kids[j] = was.kids[j].clone()
			}
		}
	}
}

func (c *changer) looksAt(pos position, names ...[]string) bool {
	return slices.ContainsFunc(slices.Concat(names...), func(name string) bool { return looked(c.w.rules, pos, name) })
}

// peeks reports that a purpose sees something of what a shape at pos can hold.
func (c *changer) peeks(s *shape, pos position) bool {
	return c.some(s, pos, func(_ policy.Treatment, seen bool) bool { return seen })
}

// rebuilt reports that a container at pos is not copied whole.
func (c *changer) rebuilt(s *shape, pos position) bool {
	return c.some(s, pos, func(t policy.Treatment, seen bool) bool { return !seen || t.Name != "keep" })
}

// some reports that something holds for how the purpose sees some leaf of a
// shape. The keys of a map are one: without them nothing of it is there.
func (c *changer) some(s *shape, pos position, holds func(t policy.Treatment, seen bool) bool) bool {
	switch s.kind {
	case "record":
		return slices.ContainsFunc(s.names, func(name string) bool {
			return c.some(s.kids[slices.Index(s.names, name)], pos.then(place{kind: member, name: name}), holds)
		})
	case "array":
		return slices.ContainsFunc(c.w.kindsOfElements(s.kids[0]), func(at place) bool { return c.some(s.kids[0], pos.then(at), holds) })
	case "map":
		at := pos.then(place{kind: entry, name: "a0"})
		t, seen := c.w.seesKey(c.purpose, at)
		return holds(t, seen) || seen && c.some(s.kids[0], at, holds)
	case "union":
		if slices.ContainsFunc(s.kids, func(kid *shape) bool { return kid.kind == "record" && c.some(kid, pos, holds) }) {
			return true
		}
	}
	return holds(c.w.sees(c.purpose, pos))
}

// kindsOfElements are an element that no [n] or [key=="v"] of the wiring names,
// and one for each that does.
func (w *world) kindsOfElements(of *shape) []place {
	list := []place{{kind: element, index: -1}}
	for i := range w.rules {
		for _, s := range w.rules[i].path {
			switch {
			case s.Kind == schemas.StepIndex:
				list = append(list, place{kind: element, index: s.Index})
			case s.Kind == schemas.StepPredicate && of.hasText(s.Name):
				list = append(list, place{kind: element, index: -1, texts: map[string]string{s.Name: s.Value}})
			}
		}
	}
	return list
}
