package infer

import "slices"

// The members that name an entry in [{"key": …, "value": …}], the likeliest
// first, and those that hold what it is.
var (
	keyNames   = []string{"key", "k", "name", "property", "field", "attribute", "code", "type"}
	valueWords = []string{"value", "values", "val", "v"}
)

// learn notes that an element has the string text in a member. text is "" where
// the member is not a string, or a long one.
func (v *variant) learn(name, text string) {
	rank := slices.Index(keyNames, name)
	if text == "" || rank < 0 || v.name != "" && slices.Index(keyNames, v.name) < rank {
		return
	}
	v.name, v.text = name, text
}

// element puts an element that was read by itself below its array.
func (s *Sample) element(n *node, entry variant) {
	switch {
	case entry.name != "" && names.known.knows(entry.text):
		s.variant(n, entry)
		return
	case entry.name != "":
		n.unnamed++
	}
	s.join(&n.elements, entry.node)
}

// settle decides what only all events tell: what is a map, and what an array of
// keys and values.
func (s *Sample) settle(n *node) {
	if n == nil {
		return
	}
	switch {
	case n.entered > 0:
		s.foldMembers(n, func(name string) bool { return !n.sureName(name) })
	case n.sparse() || n.alike():
		s.foldMembers(n, func(string) bool { return true })
	}
	s.settleVariants(n)
	for _, name := range n.names {
		s.settle(n.members[name])
	}
	for _, v := range n.variants {
		s.settle(v.node)
	}
	for _, below := range []*node{n.entries, n.elements, n.inside, n.decoded} {
		s.settle(below)
	}
}

// sureName reports whether a member beside others whose names are data has a name
// all the same: one that is known, or that nearly all objects have.
func (n *node) sureName(name string) bool {
	return names.known.knows(name) || n.objects >= 5 && n.members[name].values*10 >= n.objects*9
}

// sparse reports whether n is an object with many members of which each record has
// few, all of one type, and none with a known name.
func (n *node) sparse() bool {
	if n.objects < 5 || len(n.names) < 16 {
		return false
	}
	total, all := 0, kinds(0)
	for _, name := range n.names {
		total += n.members[name].values
		all |= n.members[name].kinds
	}
	one := node{kinds: all}
	return one.uniform() && total*4 < n.objects*len(n.names) && !n.anyKnown()
}

// alike reports whether n has three or more members, none with a known name, that
// are all objects with the same members, at least two.
func (n *node) alike() bool {
	if len(n.names) < 3 || n.anyKnown() {
		return false
	}
	first := n.members[n.names[0]]
	for _, name := range n.names {
		m := n.members[name]
		if m.kinds != isObject || len(m.names) < 2 || !slices.Equal(m.names, first.names) {
			return false
		}
	}
	return true
}

func (n *node) anyKnown() bool { return slices.ContainsFunc(n.names, names.known.knows) }

// settleVariants keeps the variants of an array if each of its elements is a key
// with a value, and else makes them elements like all others.
func (s *Sample) settleVariants(n *node) {
	keep := n.pairs()
	for _, v := range n.variants {
		if !keep {
			s.join(&n.elements, v.node)
			continue
		}
		s.shareKey(n, v)
	}
	if !keep {
		n.variants, n.unnamed = nil, 0
	}
}

// shareKey moves what is known of a variant's key to that of all elements: the
// path [*].key classifies it once.
func (s *Sample) shareKey(n *node, v variant) {
	key := v.node.members[v.name]
	if key == nil {
		return // cut
	}
	i := slices.Index(v.node.names, v.name)
	v.node.names = slices.Delete(v.node.names, i, i+1)
	delete(v.node.members, v.name)
	if n.elements == nil {
		s.positions++
		n.elements = new(node)
	}
	s.adopt(n.elements, v.name, key)
}

// pairs reports whether every element is an object with a key and a value.
func (n *node) pairs() bool {
	if n.elements != nil && (n.elements.values != n.unnamed || !n.elements.hasValue()) {
		return false
	}
	for _, v := range n.variants {
		if v.name != n.variants[0].name || !v.node.hasValue() {
			return false
		}
	}
	return len(n.variants) > 0 || n.unnamed > 0
}

func (n *node) hasValue() bool {
	return slices.ContainsFunc(n.names, func(name string) bool {
		return slices.ContainsFunc(split(name), func(w string) bool { return slices.Contains(valueWords, w) })
	})
}
