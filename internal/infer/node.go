package infer

import (
	"math/bits"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of what is remembered; see the package comment.
const (
	maxPositions = 10_000
	maxMembers   = 1000 // of one object, before it is a map
	maxPlainName = 64   // bytes of a member's name, before it is data
	maxVariants  = 64   // texts of key that are told apart
	maxInside    = 2    // encodings in each other
)

// kinds are the JSON types that a position has had.
type kinds uint8

const (
	isNull kinds = 1 << iota
	isBool
	isNumber
	isString
	isObject
	isArray
)

var kindNames = []string{"null", "boolean", "number", "string", "object", "array"}

func (k kinds) names() []string {
	var out []string
	for i, name := range kindNames {
		if k>>i&1 == 1 {
			out = append(out, name)
		}
	}
	return out
}

// node is what is known of one position: counts, and what lies below it.
type node struct {
	kinds  kinds
	values int
	events int // events that have it
	last   int // the event that had it last
	shapes [shapeCount]uint32
	holds  int // texts that have an e-mail address in them

	objects int
	names   []string // of members, in the order in which they came
	members map[string]*node
	entries *node // values of members whose names are data
	keys    [shapeCount]uint32
	entered int // how many such names there were

	elements *node
	variants []variant // of elements that are {key, value}
	unnamed  int       // elements whose key is not known for a name
	wide     bool      // it had more than maxMembers
	inside   *node     // in JSONText
	decoded  *node     // in Base64JSON
	url      bool      // which is base64url
}

// variant are the elements whose member name is text.
type variant struct {
	name, text string
	node       *node
}

// count is a value of a kind in an event.
func (n *node) count(k kinds, event int) {
	n.kinds |= k
	n.values++
	if n.last != event {
		n.last = event
		n.events++
	}
}

// texts is how many values have a shape to be told by.
func (n *node) texts() (total int) {
	for _, c := range n.shapes {
		total += int(c)
	}
	return total
}

// scalarOnly reports whether a position never held anything.
func (n *node) scalarOnly() bool { return n.kinds&(isObject|isArray) == 0 }

// uniform reports whether all values but nulls were of one type.
func (n *node) uniform() bool { return bits.OnesCount8(uint8(n.kinds&^isNull)) <= 1 }

// merge adds what src knows to n. Every position of src that n has too is free
// again.
func (s *Sample) merge(n, src *node) {
	n.kinds |= src.kinds
	n.values += src.values
	n.holds += src.holds
	n.objects += src.objects
	n.entered += src.entered
	n.unnamed += src.unnamed
	n.events += src.events
	if n.last == src.last && n.events > src.events && src.events > 0 {
		n.events-- // both had it in the same event
	}
	n.last = max(n.last, src.last)
	for i := range n.shapes {
		n.shapes[i] += src.shapes[i]
		n.keys[i] += src.keys[i]
	}
	for _, name := range src.names {
		s.adopt(n, name, src.members[name])
	}
	s.join(&n.entries, src.entries)
	s.join(&n.elements, src.elements)
	s.join(&n.inside, src.inside)
	s.join(&n.decoded, src.decoded)
	n.url = n.url || src.url
	for _, v := range src.variants {
		s.variant(n, v)
	}
	s.positions--
}

func (s *Sample) join(at **node, src *node) {
	switch {
	case src == nil:
	case *at == nil:
		*at = src
	default:
		s.merge(*at, src)
	}
}

// adopt puts src below n as a member.
func (s *Sample) adopt(n *node, name string, src *node) {
	if have := n.members[name]; have != nil {
		s.merge(have, src)
		return
	}
	if n.members == nil {
		n.members = map[string]*node{}
	}
	n.members[name] = src
	n.names = append(n.names, name)
}

func (s *Sample) variant(n *node, v variant) {
	for i := range n.variants {
		if n.variants[i].name == v.name && n.variants[i].text == v.text {
			s.merge(n.variants[i].node, v.node)
			return
		}
	}
	if len(n.variants) == maxVariants {
		n.unnamed += v.node.objects
		s.join(&n.elements, v.node)
		return
	}
	n.variants = append(n.variants, v)
}

// child makes a position, or nothing where there are too many: what would lie
// there is counted.
func (s *Sample) child(at **node) *node {
	if *at == nil {
		if s.positions >= maxPositions {
			s.Cut++
			return nil
		}
		s.positions++
		*at = new(node)
	}
	return *at
}

// member finds the position of a member, or of an entry where its name is data.
func (s *Sample) member(n *node, name string) *node {
	if have := n.members[name]; have != nil {
		return have
	}
	shape, data := dataName(name)
	if !data && len(n.names) == maxMembers {
		s.foldMembers(n, func(string) bool { return true })
		n.wide = true
	}
	if data || n.wide {
		n.entered++
		n.keys[shape]++
		return s.child(&n.entries)
	}
	var made *node
	if made = s.child(&made); made != nil {
		s.adopt(n, strings.Clone(name), made)
	}
	return made
}

// foldMembers makes the members that fold picks entries of a map.
func (s *Sample) foldMembers(n *node, fold func(string) bool) {
	names := n.names
	n.names = nil
	for _, name := range names {
		if !fold(name) {
			n.names = append(n.names, name)
			continue
		}
		m := n.members[name]
		delete(n.members, name)
		n.entered += m.values
		n.keys[NoShape] += uint32(m.values)
		s.join(&n.entries, m)
	}
}

// isJSON reports whether t is an object or an array, strictly (RFC 8259), and small
// enough to be looked into.
func isJSON(t string) bool {
	t = strings.TrimSpace(t)
	return len(t) >= 2 && len(t) <= maxDecoded && (t[0] == '{' || t[0] == '[') && t != "{}" && t != "[]" && jsontext.Value(t).IsValid()
}
