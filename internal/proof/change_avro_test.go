package proof

import (
	"slices"

	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// avro gives v, of a shape at pos, anew.
func (c *changer) avro(v *value, s *shape, pos position) *value {
	if s.within || !c.peeksIn(s, pos) { // of a type in itself nothing is seen
		return c.drawer.avro(s)
	}
	if n := c.nested(pos); n != nil && s.kind == "text" {
		return c.avroText(v, s, pos, n)
	}
	o := v.clone()
	if v.kind == single || v.kind == text { // also a null where something could lie
		if t, seen := c.sees(pos); seen && scalars[s.kind].family != "other" && v.lit != "null" {
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

// avroText is text where the schema says that it is one. What holds no JSON is a
// null like none.
func (c *changer) avroText(v *value, s *shape, pos position, n *nest) *value {
	if n.holds(v) {
		return c.text(v, pos, n)
	}
	if s.null > 0 && c.rarely(3) {
		return &value{lit: "null"}
	}
	if o := (&value{lit: c.literal("string")}); !n.isScalar(o.lit) {
		return o
	}
	return &value{lit: `"no JSON"`}
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
			if looked(c.rules, pos, name) {
				now.kids[j] = was.kids[j].clone()
			}
		}
	}
}

func (c *changer) looksAt(pos position, names ...[]string) bool {
	return slices.ContainsFunc(slices.Concat(names...), func(name string) bool { return looked(c.rules, pos, name) })
}

// peeksIn reports whether a purpose sees something of what a shape at pos can hold.
func (c *changer) peeksIn(s *shape, pos position) bool {
	return c.some(s, pos, func(_ policy.Treatment, seen bool) bool { return seen })
}

// rebuilt reports whether a container at pos is not copied whole.
func (c *changer) rebuilt(s *shape, pos position) bool {
	return c.some(s, pos, func(t policy.Treatment, seen bool) bool { return !seen || t.Name != "keep" })
}

// some reports whether something holds for how the purpose sees some leaf of a
// shape. The keys of a map are one: without them nothing of it is there.
func (c *changer) some(s *shape, pos position, holds func(t policy.Treatment, seen bool) bool) bool {
	if s.within {
		return holds(policy.Treatment{}, false)
	}
	switch s.kind {
	case "record":
		return slices.ContainsFunc(s.names, func(name string) bool {
			return c.some(s.kids[slices.Index(s.names, name)], pos.then(place{kind: member, name: name}), holds)
		})
	case "array":
		return slices.ContainsFunc(c.kindsOfElements(s.kids[0]), func(at place) bool { return c.some(s.kids[0], pos.then(at), holds) })
	case "map":
		at := pos.then(place{kind: entry, name: "a0"})
		t, seen := c.seesKey(at)
		return holds(t, seen) || seen && c.some(s.kids[0], at, holds)
	case "union":
		if slices.ContainsFunc(s.kids, func(kid *shape) bool { return kid.kind == "record" && c.some(kid, pos, holds) }) {
			return true
		}
	}
	return holds(c.sees(pos))
}

// kindsOfElements are an element that no [n] or [key=="v"] of the wiring names, one
// for each that does, and one for each two of them that name the same.
func (v *view) kindsOfElements(of *shape) []place {
	list, chosen := []place{{kind: element, index: -1}}, []map[string]string{nil}
	for i := range v.rules {
		for _, s := range v.rules[i].path {
			switch {
			case s.Kind == schemas.StepIndex:
				list = append(list, place{kind: element, index: s.Index})
			case s.Kind == schemas.StepPredicate && of.hasText(s.Name):
				chosen = append(chosen, map[string]string{s.Name: s.Value})
			}
		}
	}
	var all []place
	for _, at := range list {
		for _, at.texts = range chosen {
			all = append(all, at)
		}
	}
	return all
}
