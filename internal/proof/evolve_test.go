package proof

import (
	"reflect"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// evolution is a later writer's schema of records that are wired as before, and how
// the records of the first are written by it. Whatever a purpose could not see of a
// record, it does not see of the same record in the later schema either, except for
// what moved to where a rule or a tag shows it: that is for the schemas of outputs,
// which may only shrink, to find (carrier.void).
type evolution struct {
	*world        // its shapes are the later ones
	first  *world // and these the first
	carry  carry  // of a part
}

// carry writes a value of the first schema, at a position from, as one of the later
// schema, at a position to. Elements are known by the texts that they had at first.
type carry func(c *carrier, v *value, from, to position) *value

// carrier carries the values of one record for one purpose.
type carrier struct {
	drawer
	was, now *view
	within   bool // in a type that lies in itself, of which nothing is seen
	void     bool // something moved to where the purpose sees it
}

// evolver draws a later schema.
type evolver struct {
	*drawer
	w       *world
	carries map[int]carry // of records
}

const evolvedID = 2

// evolve draws a later schema; nil where the engine refuses it.
func (w *world) evolve(d *drawer) *evolution {
	e := &evolver{drawer: &drawer{T: d.T, format: d.format, types: 7000}, w: w, carries: map[int]carry{}}
	c := copier{types: map[int]*shape{}}
	later := *w
	shape, carry := e.shapeOf(&c, w.shape)
	later.shape = c.finish(shape)
	if w.around != nil {
		later.around = w.around.exchange(later.shape)
	}
	if later.install(evolvedID, later.avsc(later.shape)) != nil {
		return nil
	}
	return &evolution{world: &later, first: w, carry: carry}
}

// shapeOf is a shape as it is later.
func (e *evolver) shapeOf(c *copier, s *shape) (*shape, carry) {
	n := *s
	switch done := c.types[s.id]; {
	case s.within:
		c.selves = append(c.selves, &n)
		return &n, func(c *carrier, v *value, from, to position) *value {
			in := *c
			in.within = true
			return e.carries[s.id](&in, v, from, to)
		}
	case s.kind == "record" && done != nil:
		n = *done
		n.null = s.null
		return &n, e.byType(s)
	case s.kind == "record":
		return e.record(c, s)
	case s.kind == "union":
		return e.union(c, s)
	case s.kind == "array" || s.kind == "map":
		kid, carry := e.shapeOf(c, s.kids[0])
		kid, carry = e.retyped(kid, carry, s.kids[0])
		n.kids = []*shape{kid}
		return &n, func(c *carrier, v *value, from, to position) *value {
			o := v.clone()
			o.blocks = 0 // how it is cut shows where all that was hidden is gone
			kinds := []place{{kind: entry, name: "a0"}}
			if s.kind == "array" {
				kinds = c.was.kindsOfElements(s.kids[0])
			}
			for _, at := range kinds {
				c.probe(s.kids[0], carry, from.then(at), to.then(at))
			}
			for i, kid := range v.kids {
				at := v.place(s, from, i)
				o.kids[i] = carry(c, kid, at, to.then(at[len(at)-1]))
			}
			return o
		}
	}
	return &n, func(_ *carrier, v *value, _, _ position) *value { return v.clone() }
}

func (e *evolver) byType(s *shape) carry {
	return func(c *carrier, v *value, from, to position) *value { return e.carries[s.id](c, v, from, to) }
}

func (e *evolver) union(c *copier, s *shape) (*shape, carry) {
	n, carries := *s, []carry{}
	n.kids = nil
	for _, kid := range s.kids {
		kid, carry := e.shapeOf(c, kid)
		n.kids, carries = append(n.kids, kid), append(carries, carry)
	}
	return &n, func(c *carrier, v *value, from, to position) *value {
		for i, carry := range carries {
			if i != v.branch {
				c.probe(s.kids[i], carry, from, to)
			}
		}
		o := carries[v.branch](c, v, from, to)
		o.branch = v.branch
		return o
	}
}

// grown is what becomes of a field.
type grown struct {
	from  int // of the fields before; -1: it is new
	name  string
	carry carry
	fresh *value // of a new one that is seen
}

func (e *evolver) record(c *copier, s *shape) (*shape, carry) {
	n := *s
	n.names, n.kids = nil, nil
	var fields []grown
	add := func(g grown, kid *shape) {
		if slices.Contains(n.names, g.name) {
			return
		}
		fields, n.names, n.kids = append(fields, g), append(n.names, g.name), append(n.kids, kid)
	}
	root := s == e.w.shape
	for i, name := range s.names {
		kid, carry := e.shapeOf(c, s.kids[i])
		g := grown{from: i, name: name, carry: carry}
		odds := 5
		if root && slices.Contains(rootNames, name) {
			odds = 40
		}
		if name == "k" {
			odds = 2
		}
		if !e.rarely(odds) || root && e.another(name) {
			add(g, kid)
			continue
		}
		switch e.n(0, 4) {
		case 0:
			if len(s.names) > 1 && !e.loosely(name) {
				continue // it is gone
			}
		case 1:
			if g.name = strings.ToUpper(name); !e.loosely(name) {
				g.name = pick(e.T, []string{strings.ToUpper(name), "y", "A", "B"})
			}
		default:
			kid, g.carry = e.retyped(kid, carry, s.kids[i])
		}
		add(g, kid)
	}
	if e.rarely(4) || len(fields) == 0 {
		kid := e.shape(1)
		add(grown{from: -1, name: pick(e.T, []string{"x", "z", "K", "C"}), fresh: e.drawer.avro(kid)}, kid)
	}
	if e.tagged = len(e.w.stream.Tags) > 0; e.tagged {
		n.tags = e.retag(s, fields)
	}
	if e.rarely(6) && !root {
		n.called = "Later" + s.typeName()
	}
	carry := func(c *carrier, v *value, from, to position) *value { return c.record(s, &n, fields, v, from, to) }
	c.types[s.id], e.carries[s.id] = &n, carry
	return &n, carry
}

// another reports whether a member is one of several that say who a subject is: what
// is not there, or null, says nothing, so that who it is depends on which can be read.
func (e *evolver) another(name string) bool {
	return slices.ContainsFunc(e.w.stream.Subjects, func(s engine.SubjectRule) bool { return len(s.Paths) > 1 && slices.Contains(s.Paths, name) })
}

// loosely reports whether predicates behind ** or * look at members of a name: where
// these are gone, they need not be what the rule means.
func (e *evolver) loosely(name string) bool {
	return slices.ContainsFunc(e.w.rules, func(r rule) bool {
		loose := false
		for _, s := range r.path {
			loose = loose || s.Kind == schemas.StepDeep || s.Kind == schemas.StepAnyMember
			if loose && s.Kind == schemas.StepPredicate && s.Name == name {
				return true
			}
		}
		return false
	})
}

// retag gives some fields another tag: what it says is known, or not.
func (e *evolver) retag(s *shape, fields []grown) map[string][]string {
	tags := map[string][]string{}
	for _, g := range fields {
		if g.from >= 0 && s.tags[s.names[g.from]] != nil {
			tags[g.name] = s.tags[s.names[g.from]]
		}
		if e.rarely(4) {
			tags[g.name] = append(slices.Clone(tags[g.name]), "unheard")
		}
	}
	return tags
}

func (c *carrier) record(s, n *shape, fields []grown, v *value, from, to position) *value {
	if v.kind == single { // null
		some := *s
		some.null = 0
		c.probe(&some, func(c *carrier, v *value, from, to position) *value { return c.record(s, n, fields, v, from, to) }, from, to)
		return v.clone()
	}
	o := &value{kind: object}
	for i, g := range fields {
		at := to.then(place{kind: member, name: g.name})
		o.names = append(o.names, g.name)
		if g.from < 0 {
			o.kids = append(o.kids, c.added(n.kids[i], g.fresh, at))
			continue
		}
		was := from.then(place{kind: member, name: s.names[g.from]})
		if g.name != s.names[g.from] {
			c.moved(s.kids[g.from], was, at)
		}
		o.kids = append(o.kids, g.carry(c, v.kids[g.from], was, at))
	}
	return o
}

// probe carries what is not there: that it is not, shows where something of it would.
func (c *carrier) probe(s *shape, carry carry, from, to position) {
	if !c.within && !c.void {
		carry(c, c.drawer.avro(s), from, to)
	}
}

// added is a value that is another in each record where the purpose does not see it.
func (c *carrier) added(s *shape, fresh *value, at position) *value {
	in := &changer{drawer: c.drawer, view: c.now}
	if !c.within && in.peeksIn(s, at) {
		c.void = true // what it lies in may be there now
		return fresh
	}
	return c.drawer.avro(s)
}

// moved notes whether the purpose sees of what lies at one position more at another.
func (c *carrier) moved(s *shape, from, to position) {
	if c.void || c.within {
		return
	}
	t, seen := c.now.sees(to)
	u, saw := c.was.sees(from)
	alike := u.Name == "keep" || len(c.was.identifies(from)) == 0 && reflect.DeepEqual(t, u) && t.Name != inText
	if seen && !(saw && alike) || c.now.peeks(to) && !(&changer{view: c.was}).peeksIn(s, from) {
		c.void = true
		return
	}
	if s.within || s.kind == "text" {
		return
	}
	for i, kid := range s.kids {
		switch s.kind {
		case "record":
			at := place{kind: member, name: s.names[i]}
			c.moved(kid, from.then(at), to.then(at))
		case "array":
			for _, at := range c.was.kindsOfElements(kid) {
				c.moved(kid, from.then(at), to.then(at))
			}
		case "map":
			at := place{kind: entry, name: "a0"}
			c.void = c.void || c.now.passes(to.then(at)) && !c.was.passes(from.then(at))
			c.moved(kid, from.then(at), to.then(at))
		case "union":
			c.moved(kid, from, to)
		}
	}
}

// swaps are types that are written alike.
var swaps = map[string][]string{
	"string": {"bytes", "uuid", "odd", "decimal"}, "uuid": {"string", "bytes"}, "bytes": {"string", "decimal"}, "odd": {"string", "bytes"},
	"word": {"bytes", "uuid", "odd"}, "decimal": {"bytes", "string"}, "int": {"long", "date", "millis"}, "date": {"int", "long", "millis"}, "time": {"int", "long"},
	"long": {"millis", "micros", "local"}, "millis": {"long", "micros"}, "micros": {"long", "nanos"}, "nanos": {"long"}, "local": {"long", "millis"},
}

// retyped is a shape, which was another one before, as another type that can hold what
// it can.
func (e *evolver) retyped(s *shape, inner carry, was *shape) (*shape, carry) {
	if s.within || !e.rarely(2) {
		return s, inner
	}
	e.types++
	switch kinds := swaps[s.kind]; e.n(0, 5) {
	case 0:
		return e.wrapped(&shape{kind: "record", id: e.types, names: []string{pick(e.T, []string{"a", "k", "x", "y"})}}, s, inner, was)
	case 1:
		return e.wrapped(&shape{kind: "array"}, s, inner, was)
	case 2:
		return e.wrapped(&shape{kind: "map"}, s, inner, was)
	case 3:
		if n := *s; s.kind != "union" && s.kind != "null" {
			if n.null++; n.null == 3 {
				n.null = 1
			}
			return &n, inner
		}
	default:
		if len(kinds) > 0 && (s.kind == "word" || !e.rarely(2)) {
			n := *s
			n.kind = pick(e.T, kinds)
			return &n, inner
		}
		return e.branched(s, inner, was)
	}
	return s, inner
}

func (e *evolver) wrapped(in, s *shape, inner carry, was *shape) (*shape, carry) {
	in.kids = []*shape{s}
	at := place{kind: element, index: 0}
	o := value{kind: array}
	if in.kind != "array" {
		o = value{kind: object, names: append(in.names, "a0")[:1]}
		at = place{kind: map[string]placeKind{"record": member, "map": entry}[in.kind], name: o.names[0]}
	}
	return in, func(c *carrier, v *value, from, to position) *value {
		to = to.then(at)
		if e.w.stream.Schema == "" || was.is(in.kind) { // else it is of another type
			c.moved(was, from, to)
			c.chosen(was, in, from, to)
		}
		w := o
		w.kids = []*value{inner(c, v, from, to)}
		return &w
	}
}

// chosen notes what moves into an element that a predicate chooses now.
func (c *carrier) chosen(was, in *shape, from, to position) {
	outer := len(to) - 2
	if in.kind != "record" || outer < 0 || to[outer].kind != element {
		return
	}
	for _, at := range c.was.kindsOfElements(in) {
		if at.texts != nil {
			c.moved(was, from, to[:outer].then(at).then(to[outer+1]))
		}
	}
}

// branched is a shape as one of the branches of a union.
func (e *evolver) branched(s *shape, inner carry, was *shape) (*shape, carry) {
	if s.kind == "union" || s.kind == "null" {
		return s, inner
	}
	in, null, other := *s, s.null > 0, "long"
	if in.null = 0; scalars[s.kind].avsc != `"string"` {
		other = "string"
	}
	if s.kind == "text" {
		other = "boolean"
	}
	if s.kind == "record" && e.rarely(2) {
		other = "boolean"
	}
	return &shape{kind: "union", kids: []*shape{{kind: "null"}, &in, {kind: other}}}, func(c *carrier, v *value, from, to position) *value {
		if _, seen := c.now.sees(to); seen && !c.within && !(&changer{view: c.was}).peeksIn(was, from) {
			c.void = true // something to see could be there now
		}
		o := inner(c, v, from, to)
		if o.branch = 1; null && v.kind == single && v.lit == "null" {
			o.branch = 0
		}
		return o
	}
}

// later is a record in the later schema, of which a purpose sees no more than of the
// first one; false where it may.
func (e *evolution) later(d *drawer, r *record, purpose int) (record, bool) {
	to := record{Input: r.Input, who: r.who}
	for _, p := range r.parts {
		c := carrier{drawer: *d, was: e.first.view(purpose, p.who), now: e.world.view(purpose, p.who)}
		next := part{who: p.who, value: e.carry(&c, p.value, nil, nil)}
		if c.void {
			return to, false
		}
		to.parts = append(to.parts, next)
	}
	e.write(d, &to)
	to.Value[4] = evolvedID // the frame's
	return to, true
}
