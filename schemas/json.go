package schemas

import (
	"fmt"
	"math/rand/v2"
)

// Plain JSON (RFC 8259), no frame.
//
// A layout is the tree of the paths that the wiring names. Scan walks a record
// once and notes where the nodes of that tree lie; what lies in a leaf or in a
// member that no path names is validated and not looked at. Splice copies and
// writes spans; nothing is ever decoded into maps.
//
// What Scan refuses, everywhere in the record, also where nothing is kept:
//   - what RFC 8259 does not allow: comments, control characters, a byte order
//     mark, leading zeros, trailing commas, a second document;
//   - what readers disagree about: bytes that are not UTF-8, lone surrogates
//     (raw or escaped), and two members of one object whose names are equal
//     after unescaping and Unicode simple case folding. One reader takes the
//     first "email", another the last, a third takes "EMAIL" for it: the
//     record that we treat must be the one that every reader sees;
//   - scalars at the top level: they have no fields;
//   - more than 64 containers in each other. The number of items needs no
//     check of its own, since every item takes at least a byte.
//
// A member whose name equals that of a rule but for case is not the rule's: it
// is withheld, even where the rest of its object is kept.

// maxJSONDepth is the most containers in each other that a record may have.
const maxJSONDepth = 64

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
	seed uint64
}

// jsonNode is what Node leaves out.
type jsonNode struct {
	path     Path
	covered  bool     // a path names it or a node above it
	name     []byte   // `"name":` in our spelling; nil for elements and the root
	children []NodeID // in the order that the paths first named them
	elements NodeID   // the child of an Array node
	slots    []jsonSlot
}

// jsonSlot is a place in a Record node's hash table of children, open
// addressing, a power of two long and at most half full. The zero slot is free.
type jsonSlot struct {
	hash  uint64
	child NodeID
}

// NewJSON compiles the positions that the wiring of a plain JSON stream names:
// its fields and what the subject, the time and such stand at; a path may be
// given twice. The order of paths is the plan order of what Splice writes by
// itself. Errors are for people who write configs: a *PathError, or one that
// names the two paths that cannot both hold.
func NewJSON(paths []string) (Layout, error) {
	l := &jsonLayout{seed: rand.Uint64()}
	l.add(Node{Parent: -1, Type: Type{Kind: Any}}, jsonNode{})
	named := make(map[NodeID]bool)
	for _, text := range paths {
		path, err := ParsePath(text)
		if err != nil {
			return nil, err
		}
		id, err := l.insert(path)
		if err != nil {
			return nil, fmt.Errorf("path %q: %w", text, err)
		}
		named[id] = true
	}
	if len(l.nodes) == 1 {
		l.nodes[0].Type.Kind = Record // nothing is named: records become {}
	}
	for id := range l.nodes {
		up := l.nodes[id].Parent
		l.trie[id].covered = named[NodeID(id)] || up >= 0 && l.trie[up].covered
		l.nodes[id].Leaf = len(l.trie[id].children) == 0
		l.index(NodeID(id))
	}
	return l, nil
}

func (l *jsonLayout) Format() Format { return JSON }

func (l *jsonLayout) Nodes() []Node { return l.nodes }

func (l *jsonLayout) add(n Node, t jsonNode) NodeID {
	id := NodeID(len(l.nodes))
	n.Path = t.path.String()
	l.nodes = append(l.nodes, n)
	l.trie = append(l.trie, t)
	if n.Parent >= 0 {
		up := &l.trie[n.Parent]
		up.children = append(up.children, id)
	}
	return id
}

func (l *jsonLayout) insert(path Path) (NodeID, error) {
	at := NodeID(0)
	for i, step := range path {
		kind := Record
		switch step.Kind {
		case StepMember:
		case StepElements:
			kind = Array
		case StepAnyMember:
			return 0, fmt.Errorf("step %d: member names matched by .* are data; needs ~key, not supported yet", i+1)
		default:
			return 0, fmt.Errorf("step %d: %s is not supported yet in JSON", i+1, step.text())
		}
		if have := l.nodes[at].Type.Kind; have != Any && have != kind {
			return 0, fmt.Errorf("%s is an array here and an object in another path", describe(path[:i]))
		}
		l.nodes[at].Type.Kind = kind
		child, err := l.child(at, path[:i+1])
		if err != nil {
			return 0, err
		}
		at = child
	}
	return at, nil
}

// child finds or adds the child of at that the last step of path names.
func (l *jsonLayout) child(at NodeID, path Path) (NodeID, error) {
	step := path[len(path)-1]
	for _, c := range l.trie[at].children {
		have := l.trie[c].path
		switch name := have[len(have)-1].Name; {
		case name == step.Name:
			return c, nil
		case equalFold(name, step.Name):
			return 0, fmt.Errorf("%s and %s differ only in case, so no record can hold both", have, path)
		}
	}
	t := jsonNode{path: path}
	repeated := l.nodes[at].Repeated
	if step.Kind == StepElements {
		repeated = true
	} else {
		t.name = append(appendJSONString(nil, step.Name), ':')
	}
	id := l.add(Node{Parent: at, Type: Type{Kind: Any}, Repeated: repeated}, t)
	if step.Kind == StepElements {
		l.trie[at].elements = id
	}
	return id, nil
}

// index builds the hash table of a Record node's children.
func (l *jsonLayout) index(id NodeID) {
	n := &l.trie[id]
	if l.nodes[id].Type.Kind != Record {
		return
	}
	size := 2
	for size < 2*len(n.children) {
		size *= 2
	}
	n.slots = make([]jsonSlot, size)
	for _, c := range n.children {
		path := l.trie[c].path
		h := hashFolded(folded(path[len(path)-1].Name), l.seed)
		i := h & uint64(size-1)
		for n.slots[i].child != 0 {
			i = (i + 1) & uint64(size-1)
		}
		n.slots[i] = jsonSlot{hash: h, child: c}
	}
}

// lookup finds the child whose folded name has hash h; 0 for none. The caller
// compares the name itself: equal hashes are no proof.
func (n *jsonNode) lookup(h uint64) NodeID {
	mask := uint64(len(n.slots) - 1)
	for i := h & mask; n.slots[i].child != 0; i = (i + 1) & mask {
		if n.slots[i].hash == h {
			return n.slots[i].child
		}
	}
	return 0
}

func describe(p Path) string {
	if len(p) == 0 {
		return "the record"
	}
	return p.String()
}
