package schemas

import "slices"

// others adds the member that no path names: an entry of a map, or what a **
// passes. It comes first, so that a node that is shared has the ** in its path.
func (b *jsonBuilder) others(id NodeID, s jsonState, e jsonEdges) error {
	n := &b.layout.trie[id]
	n.objects = e.deep || e.objects()
	covered := n.covered
	if covered {
		n.other = restNode
	}
	entries := e.any.step.Kind != NoStep
	if !e.deep && !entries {
		return nil
	}
	way := jsonWay{step: Step{Kind: StepDeep}}
	if entries {
		way = e.any
	}
	child, err := b.state(id, way, b.advance(s, func(s Step) bool { return s.Kind == StepAnyMember }))
	if err != nil {
		return err
	}
	n = &b.layout.trie[id] // the slice has grown
	if entries {
		n.other = child
		key := b.key(child)
		b.layout.trie[id].key = key
	} else if covered {
		n.other = child
	}
	return nil
}

// key adds the position of the names of the members at a node, or finds it.
func (b *jsonBuilder) key(of NodeID) NodeID {
	l := b.layout
	if have, ok := b.keys[of]; ok {
		return have
	}
	b.keys[of] = NodeID(len(l.nodes))
	path := append(slices.Clone(l.trie[of].path), Step{Kind: StepKey})
	l.nodes = append(l.nodes, Node{Path: path.String(), Parent: of, Type: Type{Kind: String}, Leaf: true, Repeated: true})
	l.trie = append(l.trie, jsonNode{path: path})
	return b.keys[of]
}

// members adds those that a path names: they are no entries of a map.
func (b *jsonBuilder) members(id NodeID, s jsonState, e jsonEdges) error {
	for _, way := range e.names {
		to := b.advance(s, func(s Step) bool { return s == way.step || s.Kind == StepAnyMember })
		to.keys = nil
		child, err := b.state(id, way, to)
		if err != nil {
			return err
		}
		n := &b.layout.trie[id]
		n.members = append(n.members, jsonMember{child, way.fixed})
	}
	return nil
}

// items adds the elements, and those among them that a path tells apart.
func (b *jsonBuilder) items(id NodeID, s jsonState, e jsonEdges) error {
	if !e.deep && !e.arrays() {
		return nil
	}
	way := jsonWay{step: Step{Kind: StepDeep}}
	if e.arrays() {
		way.step = Step{Kind: StepElements}
		for _, w := range append(slices.Clone(e.elements), e.all) {
			way.fixed = way.fixed || w.fixed
		}
	}
	var child NodeID
	var err error
	if to := b.advance(s, func(s Step) bool { return s.Kind == StepElements }); len(to.live)+len(to.done) > 0 {
		if child, err = b.state(id, way, to); err != nil {
			return err
		}
	}
	b.layout.trie[id].arrays, b.layout.trie[id].elements = true, child
	for _, way := range e.elements {
		child, err := b.state(id, way, b.advance(s, func(s Step) bool { return s == way.step || s.Kind == StepElements }))
		if err != nil {
			return err
		}
		n := &b.layout.trie[id]
		if way.step.Kind == StepIndex {
			n.indexes = append(n.indexes, jsonIndex{uint32(way.step.Index), child})
		} else {
			n.wants = append(n.wants, jsonPredicate{way.step.Name, way.step.Value, child})
		}
	}
	return nil
}

// kids are all nodes that lie right below one.
func (n *jsonNode) kids() []NodeID {
	var kids []NodeID
	for _, m := range n.members {
		kids = append(kids, m.child)
	}
	for _, x := range n.indexes {
		kids = append(kids, x.child)
	}
	for _, w := range n.wants {
		kids = append(kids, w.child)
	}
	for _, id := range []NodeID{n.other, n.elements} {
		if id > 0 {
			kids = append(kids, id)
		}
	}
	return kids
}

// spread marks what lies below a repeated node as repeated, on every way.
func (b *jsonBuilder) spread() {
	l := b.layout
	for changed := true; changed; {
		changed = false
		for id := range l.trie {
			if !l.nodes[id].Repeated {
				continue
			}
			for _, kid := range l.trie[id].kids() {
				changed = changed || !l.nodes[kid].Repeated
				l.nodes[kid].Repeated = true
			}
		}
	}
}
