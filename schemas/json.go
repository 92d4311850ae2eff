package schemas

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Plain JSON (RFC 8259), no frame.
//
// A layout is the automaton of the paths that the wiring names (json_build.go).
// Scan walks a record once and notes where its nodes lie; what lies in a leaf
// or in a member that no path names is validated and not looked at. Splice
// copies and writes spans; nothing is ever decoded into maps.
//
// What Scan refuses, everywhere in the record, also where nothing is kept:
//   - what RFC 8259 does not allow: comments, control characters, a byte order
//     mark, leading zeros, trailing commas, a second document;
//   - what readers disagree about: bytes that are not UTF-8, lone surrogates
//     (raw or escaped), and two members of one object whose names are equal
//     after unescaping and Unicode simple case folding. One reader takes the
//     first "email", another the last, a third accepts "EMAIL" for it: the
//     record that we treat must be the one that every reader sees;
//   - scalars at the top level, since they have no fields, unless the path ""
//     declares them: then it is objects and arrays that are refused;
//   - more than 64 containers in each other. The number of items needs no
//     check of its own, since every item takes at least a byte.
//
// A member whose name differs from a rule's only in case does not belong to the
// rule: it is withheld, even where the rest of its object is kept. So is an element
// with a member whose name differs from that of a predicate only in case.
//
// # Which bytes come out
//
// What is kept keeps its bytes: numbers their text, strings their escapes, a
// wholly kept container its white space. Around it there is no white space. The
// members of an object stand in the order of the input, named as the wiring
// names them, or, where no path names them, as in the input but without escapes
// that RFC 8259 section 7 does not demand; after
// them stand nulls and constants, in the order in which paths first name them.
// What a treatment yields is written with the escapes that RFC 8259 section 7
// demands and no others.
//
// # Names as data
//
// The names of members that no path names are data. Where a container's
// category cascades over them (`address` without `address.x`), they are kept
// with it. Where .* matches them they are the keys of a map: a member goes out
// only where its name does, by the action of the node `….*~key`, and two names
// that a treatment makes equal, except for case, fail the treatment. ** finds
// positions and classifies no name on its way: where nothing above cascades, it
// passes unnamed members only where `**.*~key` says what their names are.
//
// What .* and ** match, and elements, are written where the record has them and
// nowhere else. Redacted, or replaced with a constant, they are left out: a null at a
// place that no path names would tell that something was there. A container that
// has nothing else is null, like one of nothing but redacted members.
//
// A name beside .*, as contact_id beside *.email, may hold a scalar as well as an
// object: what stands in such an object is the longer path's.
//
// An element that two of an array's [n] and [key=="v"] claim is withheld. Where
// the elements that these tell apart would be given other nulls or constants than
// the rest, none is given any (json_variants.go).

// maxJSONDepth is the most containers in each other that a record may have.
const maxJSONDepth = 64

// Bounds of a layout. Several ** multiply positions by each other.
const (
	maxJSONNodes  = 20_000
	maxJSONEdges  = 400_000
	maxJSONShared = 2_000 // nodes, where a path has **
)

// Node ids in frames and entries that are no position of the layout.
const (
	restNode NodeID = -1 // a member that the rule of its container covers
	noNode   NodeID = -2 // not noted: validated and withheld, or part of a leaf
)

type jsonLayout struct {
	nodes []Node
	trie  []jsonNode
	// seed keys the hash of member names, so that nobody can prepare names
	// that collide. No result depends on it.
	seed     uint64
	passages bool // a node is one
	single   bool // records are scalars: "" is a path
	format   Format
	types    []jsonTypes // JSONSchema: by node, what the schema says
}

// jsonNode is what Node leaves out. Below a ** nodes are shared, so that they
// are a graph with loops; all others have one way in.
type jsonNode struct {
	path    Path
	covered bool   // a path names it or a node above it
	float   bool   // ** alone leads here: no path ends here, what category it has cascades
	passage bool   // float and not covered: a scalar here is nobody's
	scalar  bool   // a rule ends here, and only * or [*] of others lead on
	name    []byte // `"name":` in our spelling; nil for what no name leads to
	// What lies in an object here; nothing is looked at where objects is false.
	objects bool
	members []jsonMember // in the order that the paths first named them
	other   NodeID       // the members with other names; 0: none, restNode: the rule of this node
	key     NodeID       // what the names of other are; 0: as the rule of this node covers them
	slots   []jsonSlot
	// What lies in an array here.
	arrays   bool
	elements NodeID // 0: none
	indexes  []jsonIndex
	wants    []jsonPredicate
}

// parts reports whether paths lead further from here.
func (n *jsonNode) parts() bool { return n.objects || n.arrays }

// jsonMember is a child by name.
type jsonMember struct {
	child NodeID
	// fixed: a name, * or [..] leads to the container, so that a null may stand
	// in it for a member that is not there. Not so below a **: it would
	// stand in every object.
	fixed bool
}

type jsonIndex struct {
	n     uint32
	child NodeID
}

type jsonPredicate struct {
	name, value string
	child       NodeID
}

// jsonSlot is a place in a node's hash table of members, open addressing, a
// power of two long and at most half full. The zero slot is free.
type jsonSlot struct {
	hash  uint64
	name  string
	child NodeID
}

// NewJSON compiles the positions that the wiring of a plain JSON stream names:
// its fields and what the subject, the time and such stand at; a path may be
// given twice. The path "" is the record itself, which is a scalar then. The order of paths is the order of what Splice writes whether or not
// the record has it. apart are the paths from which more than a category cascades,
// such as whom data is about: what they cover gets nodes of its own, even where a
// longer path says the same of it and of what they do not cover. Errors are for
// people who write configs: a *PathError, or one that names the two paths that
// cannot both hold.
func NewJSON(paths []string, apart ...string) (Layout, error) {
	b := jsonBuilder{layout: &jsonLayout{seed: rand.Uint64(), format: JSON}, known: map[string]NodeID{}, keys: map[NodeID]NodeID{}}
	for _, text := range paths {
		path, err := ParseRule(text)
		if err != nil {
			return nil, err
		}
		b.layout.single = b.layout.single || text == ""
		if err := b.addRule(path, slices.Contains(apart, text)); err != nil {
			return nil, fmt.Errorf("path %q: %w", text, err)
		}
	}
	for _, text := range paths {
		if b.layout.single && text != "" {
			return nil, fmt.Errorf("path %q: \"\" says that a record is a single value, so that no path leads into it", text)
		}
	}
	if err := b.build(); err != nil {
		return nil, err
	}
	return b.layout, nil
}

func (l *jsonLayout) Format() Format { return l.format }

func (l *jsonLayout) Nodes() []Node { return l.nodes }

// index builds the hash table of a node's members.
func (l *jsonLayout) index(id NodeID) {
	n := &l.trie[id]
	if !n.objects {
		return
	}
	size := 2
	for size < 2*len(n.members) {
		size *= 2
	}
	n.slots = make([]jsonSlot, size)
	for _, m := range n.members {
		path := l.trie[m.child].path
		name := path[len(path)-1].Name
		h := hashFolded(folded(name), l.seed)
		i := h & uint64(size-1)
		for n.slots[i].child != 0 {
			i = (i + 1) & uint64(size-1)
		}
		n.slots[i] = jsonSlot{h, name, m.child}
	}
}

// member says where the member of a node with this name is: at a child, at
// restNode, or at noNode. A name that differs from a child's only in case is
// withheld: it might be read as the child, near, so the rest's rule is not for it.
// The caller's hash is of the folded name; equal hashes are no proof.
func (l *jsonLayout) member(id NodeID, hash uint64, text []byte, plain bool) (at, near NodeID) {
	n := &l.trie[id]
	mask := uint64(len(n.slots) - 1)
	for i := hash & mask; n.slots[i].child != 0; i = (i + 1) & mask {
		slot := &n.slots[i]
		if slot.hash != hash {
			continue
		}
		switch {
		case plain && string(text) == slot.name || !plain && equalName(text, slot.name, false):
			return slot.child, 0
		case equalName(text, slot.name, true):
			near = slot.child
		}
	}
	if near > 0 || n.other == 0 {
		return noNode, near
	}
	return n.other, 0
}

// element says where element i of an array at node id is, whose first character
// is at pos or after white space there.
func (l *jsonLayout) element(id NodeID, i uint32, src []byte, pos int, ends *containerEnds) NodeID {
	n := &l.trie[id]
	at := n.elements
	claims := 0
	for _, x := range n.indexes {
		if x.n == i {
			at = x.child
			claims++
		}
	}
	if len(n.wants) > 0 {
		child, more := n.predicate(src, pos, ends)
		if more > 0 {
			at = child
		}
		claims += more
	}
	if at == 0 || claims > 1 {
		return noNode
	}
	return at
}

func describe(p Path) string {
	if len(p) == 0 {
		return "the record"
	}
	return p.String()
}
