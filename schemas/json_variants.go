package schemas

import "slices"

// Elements of one array that [n] and [key=="v"] tell apart may each be given
// other nulls and constants. Written, these would say which element is which:
// that one is the first, and so whether others were before it of which the purpose
// sees nothing; that a member is "v" which the purpose may not see. So where they
// are not the same for all elements that can be written, none gets any.

// mute marks the nodes whose objects are given neither nulls nor constants.
func (c *jsonCompiler) mute() {
	c.muted = make([]bool, len(c.acts))
	for id := range c.layout.trie {
		kinds := c.kindsOfElements(&c.layout.trie[id])
		if len(kinds) < 2 || !slices.ContainsFunc(kinds, func(kid NodeID) bool { return !c.muted[kid] }) {
			continue // what ** comes to again and again is gone through once
		}
		first := c.given(kinds[0])
		if slices.ContainsFunc(kinds[1:], func(kid NodeID) bool { return !slices.Equal(c.given(kid), first) }) {
			for _, kid := range kinds {
				c.below(kid, func(id NodeID, _ string) { c.muted[id] = true })
			}
		}
	}
}

// kindsOfElements are the nodes of an array's elements of which something can be
// written.
func (c *jsonCompiler) kindsOfElements(n *jsonNode) []NodeID {
	return slices.DeleteFunc(n.kinds(), func(kid NodeID) bool { return !c.live[kid].any() })
}

// kinds are the nodes that paths give an array's elements.
func (n *jsonNode) kinds() (kinds []NodeID) {
	if n.elements > 0 {
		kinds = append(kinds, n.elements)
	}
	for _, x := range n.indexes {
		kinds = append(kinds, x.child)
	}
	for _, w := range n.wants {
		kinds = append(kinds, w.child)
	}
	return kinds
}

// given says where at and below a node which nulls and constants are written.
func (c *jsonCompiler) given(id NodeID) (all []string) {
	c.below(id, func(id NodeID, at string) {
		for _, m := range c.layout.trie[id].members {
			if value := c.always(m); value != nil {
				all = append(all, at+string(c.layout.trie[m.child].name)+string(value))
			}
		}
	})
	slices.Sort(all)
	return all
}

// always is what is written for a member that holds nothing of the record; nil
// for nothing.
func (c *jsonCompiler) always(m jsonMember) []byte {
	if !m.fixed {
		return nil
	}
	if c.live[m.child].any() {
		return c.standIn(m.child)
	}
	return c.fixed[m.child]
}

// below visits a node and those below it, each once, with the way to it.
func (c *jsonCompiler) below(id NodeID, visit func(id NodeID, at string)) {
	seen := map[NodeID]bool{}
	var walk func(id NodeID, at string)
	walk = func(id NodeID, at string) {
		if seen[id] {
			return
		}
		seen[id] = true
		visit(id, at)
		for _, kid := range c.layout.trie[id].kids() {
			path := c.layout.trie[kid].path
			walk(kid, at+path[len(path)-1:].String()+".")
		}
	}
	walk(id, "")
}

// untype marks the positions of elements of an array at which the type of what is kept is
// not looked at, since at that of others all is kept, whatever type it has: which of these
// an element is would show.
func (c *jsonCompiler) untype() {
	c.loose = make([]bool, len(c.acts))
	if c.layout.types == nil {
		return
	}
	for id := range c.layout.trie {
		kinds := c.kindsOfElements(&c.layout.trie[id])
		if len(kinds) < 2 {
			continue
		}
		known := map[string]bool{} // hundreds of kinds have the same below them
		for _, kid := range kinds {
			c.below(kid, func(at NodeID, _ string) { c.loose[at] = c.loose[at] || c.looser(kinds, kid, at, known) })
		}
	}
}

// looser reports whether what lies at a node in one kind of elements, at which it has not
// any type, is kept whatever type it has in another. known is what it has said, by the
// steps from an element.
func (c *jsonCompiler) looser(kinds []NodeID, kid, at NodeID, known map[string]bool) bool {
	path, from := c.layout.trie[at].path, len(c.layout.trie[kid].path)
	if c.layout.typesAt(at) == anyType || c.value(at) != jsonCopy || len(path) < from {
		return false
	}
	steps := path[from:].String()
	is, ok := known[steps]
	if !ok {
		is = slices.ContainsFunc(kinds, func(o NodeID) bool { return c.asItIs(o, path[from:]) })
		known[steps] = is
	}
	return is
}

// asItIs reports whether what lies some steps below a node is kept whatever type it has.
func (c *jsonCompiler) asItIs(id NodeID, steps Path) bool {
	for _, s := range steps {
		n := &c.layout.trie[id]
		switch next := n.child(c.layout, s); {
		case !n.parts() || next == restNode:
			return c.value(id) == jsonCopy
		case next == 0:
			return false
		default:
			id = next
		}
	}
	return c.value(id) == jsonCopy && c.layout.typesAt(id) == anyType
}

// child is where a step leads from a node: to restNode where the node's own rule covers
// it, 0 for nowhere.
func (n *jsonNode) child(l *jsonLayout, s Step) NodeID {
	leads := func(kid NodeID) bool { path := l.trie[kid].path; return path[len(path)-1] == s }
	switch s.Kind {
	case StepMember, StepAnyMember, StepDeep:
		if i := slices.IndexFunc(n.members, func(m jsonMember) bool { return leads(m.child) }); i >= 0 {
			return n.members[i].child
		}
		return n.other
	}
	if i := slices.IndexFunc(n.kinds(), leads); i >= 0 {
		return n.kinds()[i]
	}
	return n.elements
}
