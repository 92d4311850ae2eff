package proof

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/schemas"
)

// changer makes of a part another one that a purpose must not be able to tell from
// it.
type changer struct {
	drawer
	*view
	from *part
}

// whole is another value for all of the part.
func (c *changer) whole() *value {
	if c.w.stream.Format == schemas.Avro {
		return c.avro(c.from.value, c.w.shape, nil)
	}
	return c.root(c.from.value)
}

// root is another record of JSON, or another text of it. One that is not an object
// stays as it is.
func (c *changer) root(v *value) *value {
	o := v.clone()
	t, seen := c.sees(nil)
	if v.kind == single && seen {
		o.lit = c.twin(t, v.lit)
	}
	if v.kind != object {
		return o
	}
	if !seen {
		o.pad = pick(c.T, []string{"", " "})
	}
	c.members(o, nil)
	return o
}

// called is how the paths of a wiring call a member.
type called struct {
	named  bool // by its name
	near   bool // by its name except for case: it might be read as that member
	mapped bool // by .*, which makes it an entry of a map
}

// The path of a subject names a member too.
func (c *changer) called(pos position, name string) (is called) {
	is.named = len(c.identifies(pos.then(place{kind: member, name: name}))) > 0
	for i := range c.rules {
		path := c.rules[i].path
		for j, on := range states(path, pos) {
			if !on || j == len(path) {
				continue
			}
			fits := path[j].Kind == schemas.StepMember && strings.EqualFold(path[j].Name, name)
			is.named = is.named || fits && path[j].Name == name
			is.near = is.near || fits && path[j].Name != name
			is.mapped = is.mapped || path[j].Kind == schemas.StepAnyMember
		}
	}
	return is
}

// blind reports whether the purpose sees nothing of a member and can see nothing
// of what lies in it. The name of an entry is data itself: where it is not
// shown, nothing of the entry is.
func (c *changer) blind(pos position, name string) bool {
	child := pos.then(place{kind: member, name: name})
	if !c.peeks(child) {
		return true
	}
	is := c.called(pos, name)
	return !is.named && (is.near || is.mapped && !c.passes(child))
}

// json gives v at pos anew; nil where it may be left out instead.
func (c *changer) json(v *value, pos position) *value {
	if !c.peeks(pos) {
		return c.orNothing(c.wild(3))
	}
	n := c.nested(pos)
	if n != nil && v.kind != object && v.kind != array {
		return c.text(v, pos, n)
	}
	t, seen := c.sees(pos)
	seen = seen && n == nil // what lies in a container where a text should be is not in the text
	o := v.clone()
	if !seen {
		o.pad = pick(c.T, []string{"", " ", "\t\n"})
	}
	switch {
	case v.kind == single && seen:
		o.lit = c.twin(t, v.lit)
	case v.kind == array:
		c.items(o, pos, seen)
	case v.kind == object:
		c.members(o, pos)
		if !seen && len(o.kids) == 0 {
			return c.hollow(pos, 2)
		}
	case !seen:
		return c.hollow(pos, 2)
	}
	return o
}

// text gives a text anew of which something is seen: in it, or where it is none.
func (c *changer) text(v *value, pos position, n *nest) *value {
	switch {
	case n.holds(v) && v.kind == single:
		return v.clone()
	case n.holds(v):
		o := v.clone()
		in := changer{drawer: c.drawer, view: c.inside(pos, n), from: c.from}
		o.encoding = n.encoding // which may be another that is written alike
		o.kids[0] = in.root(v.kids[0])
		return o
	case v.lit == "null":
		return v.clone()
	}
	return c.hollow(pos, 0)
}

func (c *changer) orNothing(v *value) *value {
	if c.rarely(3) {
		return nil
	}
	return v
}

// hollow is a value in which there is nothing to see, where there could be.
func (c *changer) hollow(pos position, depth int) *value {
	kinds := []string{"string", "long", "boolean", "null"}
	if c.nested(pos) != nil {
		kinds = kinds[:3] // a text that is null is seen to be
	}
	v := &value{lit: c.literal(pick(c.T, kinds))}
	if n := c.nested(pos); n != nil && n.isScalar(v.lit) {
		v.lit = `"no JSON"`
	}
	if depth > 0 && c.rarely(2) {
		v = &value{kind: pick(c.T, []valueKind{object, object, array}), pad: pick(c.T, []string{"", " "})}
		if v.kind == object {
			c.junk(v, pos)
		}
	}
	return c.orNothing(v)
}

// junk adds members that are not to be seen.
func (c *changer) junk(v *value, pos position) {
	for range c.n(0, 2) {
		if name := pick(c.T, append(unlisted, names...)); c.blind(pos, name) && !c.decides(pos, name) {
			c.add(v, name, c.wild(2))
		}
	}
}

// decides reports whether what is done with an element depends on a member of it: a
// predicate looks at it, or it is spelt almost as one at which a predicate does.
func (c *changer) decides(pos position, name string) bool {
	n := len(pos)
	if n == 0 || pos[n-1].kind != element {
		return false
	}
	array := pos[:n-1]
	if looked(c.rules, array, name) {
		return !c.alike(array)
	}
	return looked(c.rules, array, strings.ToLower(strings.ReplaceAll(name, "\u212a", "k")))
}

// items changes an array's elements, and adds some in which nothing is to be seen.
func (c *changer) items(o *value, pos position, seen bool) {
	for i, was := range o.kids {
		at := o.element(nil, pos, i)
		kid := c.json(was, at)
		for ; kid == nil; kid = c.json(was, at) {
		}
		if o.kids[i] = kid; !c.alike(pos) && c.chosenBy(pos, was) != c.chosenBy(pos, kid) {
			o.kids[i] = c.chosenAlike(was, at)
		}
	}
	for range c.n(0, 2) {
		at := pos.then(place{kind: element, index: len(o.kids)})
		if _, shown := c.sees(at); seen || shown {
			return
		}
		if kid := c.hollow(at, 1); kid != nil {
			o.kids = slices.Insert(o.kids, c.spot(pos, len(o.kids)), kid)
		}
	}
}

// spot is where an element may stand more: anywhere, or where some are told by
// their number, after all.
func (c *changer) spot(array position, n int) int {
	ways, _ := c.ways(array)
	for _, way := range ways {
		if way[0].Kind == schemas.StepIndex && !c.alike(array) {
			return n
		}
	}
	return c.n(0, n)
}

// ways are what is left of paths that choose elements of an array; bind says that one
// of them says whom these are about, which reaches to all that lies in them.
func (c *changer) ways(array position) (left []schemas.Path, bind bool) {
	for i := range c.rules {
		path := c.rules[i].path
		for j, on := range states(path, array) {
			if on && j < len(path) && (path[j].Kind == schemas.StepIndex || path[j].Kind == schemas.StepPredicate) {
				left, bind = append(left, path[j:]), bind || c.rules[i].subject != ""
			}
		}
	}
	return left, bind
}

// alike reports whether the purpose sees the same of the elements that one [n] or
// [key=="v"] chooses as of all others: then which these are is not for it to see.
func (c *changer) alike(array position) bool {
	ways, bind := c.ways(array)
	if bind {
		return false
	}
	for _, way := range ways {
		chosen, other := place{kind: element, index: -1}, place{kind: element, index: -1}
		if chosen.index = way[0].Index; way[0].Kind == schemas.StepPredicate {
			chosen.index, chosen.texts = -1, map[string]string{way[0].Name: way[0].Value}
		}
		a, b := array.then(chosen), array.then(other)
		for _, s := range way[1:] {
			if s.Kind != schemas.StepMember {
				return false // too many positions to look at
			}
			a, b = a.then(place{kind: member, name: s.Name}), b.then(place{kind: member, name: s.Name})
		}
		if way[0] != ways[0][0] || !c.sameOf(a, b) {
			return false
		}
	}
	return true
}

// sameOf reports whether a purpose sees of a value the same at either of two
// positions. A treatment is of single values, and does not come to members that no
// path names; a token is of its path, as what is in a text is, and a pseudonym of
// its category.
func (c *changer) sameOf(a, b position) bool {
	t, seen := c.sees(a)
	u, too := c.sees(b)
	switch {
	case seen != too || !reflect.DeepEqual(t, u):
		return false
	case !seen || t.Name == "keep":
		return true
	case t.Name == "encrypt" || t.Name == inText || c.category(a, false) != c.category(b, false):
		return false
	}
	return named(c.rules, a) && named(c.rules, b)
}

// chosenAlike is an element that the predicates see as they see v.
func (c *changer) chosenAlike(v *value, at position) *value {
	o := v.clone()
	if v.kind != object || c.peeks(at) {
		return o
	}
	o.names, o.kids, o.escape = nil, nil, nil
	for i, name := range v.names {
		if c.decides(at, name) {
			o.names, o.kids, o.escape = append(o.names, name), append(o.kids, v.kids[i].clone()), append(o.escape, v.escape[i])
		}
	}
	for range c.n(0, 3) {
		if name := pick(c.T, names); !c.decides(at, name) {
			c.add(o, name, c.wild(2))
		}
	}
	return o
}

// chosenBy is what the predicates of an array see of an element.
func (c *changer) chosenBy(array position, v *value) string {
	texts := v.texts(nil)
	maps.DeleteFunc(texts, func(name, _ string) bool { return !looked(c.rules, array, name) })
	return fmt.Sprint(texts)
}

// members changes an object's. Those that are seen keep their order.
func (c *changer) members(o *value, pos position) {
	old := *o
	o.names, o.kids, o.escape = nil, nil, nil
	var junk []int
	for i, name := range old.names {
		switch {
		case c.decides(pos, name):
			o.names, o.kids, o.escape = append(o.names, name), append(o.kids, old.kids[i]), append(o.escape, old.escape[i])
		case c.blind(pos, name):
			junk = append(junk, i)
		default:
			c.member(o, pos, name, old.kids[i], old.escape[i])
		}
	}
	for _, i := range junk {
		if kid := c.orNothing(c.wild(2)); kid != nil {
			c.add(o, old.names[i], kid)
		}
	}
	c.junk(o, pos)
}

func (c *changer) member(o *value, pos position, name string, kid *value, escape bool) {
	at := pos.then(place{kind: member, name: name})
	if kid = c.json(kid, at); kid == nil {
		return
	}
	if c.called(pos, name).named {
		escape = rapid.Bool().Draw(c.T, "escape")
	}
	o.names, o.kids, o.escape = append(o.names, name), append(o.kids, kid), append(o.escape, escape)
}
