package schemas

import (
	"encoding/binary"
	"fmt"
	"math"
)

// avroLayout is a compiled Avro writer schema.
type avroLayout struct {
	root  *avroPos
	nodes []Node
	pos   []*avroPos // by NodeID
}

// avroPos is one position of a schema, with named types expanded: what the
// scanner expects there. Positions inside an opaque one have no node.
type avroPos struct {
	node     NodeID // -1 inside an opaque position
	scalar   bool   // a leaf that is not opaque, and no record
	typ      Type
	name     string // of the field; "" for the root and elements
	fields   []avroPos
	elem     *avroPos   // Array element, map value
	branches []*avroPos // union that is not nullable
	symbols  [][]byte   // of an Enum
	// weight is what one array element or map entry of this position costs
	// (package comment, "Bounds"); of use on elem only.
	weight int
}

// NewAvro compiles an Avro schema in JSON. The top level must be a record. The
// error names things of the schema and nothing else.
func NewAvro(schemaText string) (Layout, error) {
	s, err := parseAvro(schemaText)
	if err != nil {
		return nil, err
	}
	if s.typ.Kind != Record || s.typ.Nullable {
		return nil, fmt.Errorf("avro schema: the top level must be a record")
	}
	c := avroCompiler{layout: &avroLayout{root: &avroPos{}}}
	if err := c.compile(c.layout.root, s, Node{Parent: -1}, 0); err != nil {
		return nil, fmt.Errorf("avro schema: %w", err)
	}
	return c.layout, nil
}

func (l *avroLayout) Format() Format { return Avro }

func (l *avroLayout) Nodes() []Node { return l.nodes }

// avroCompiler expands a parsed schema to positions.
type avroCompiler struct {
	layout *avroLayout
	count  int
	paths  int // bytes of all paths
}

// compile fills p, a node of the layout, and all below it. n has Path, Parent,
// Repeated and the field's Tags set.
func (c *avroCompiler) compile(p *avroPos, s *avroSchema, n Node, depth int) error {
	if s.typ.Kind == Opaque {
		if err := c.opaque(p, s, depth); err != nil {
			return err
		}
		c.add(p, s, n)
		return nil
	}
	if err := c.enter(p, s, depth); err != nil {
		return err
	}
	if c.paths += len(n.Path); c.paths > maxAvroPaths {
		return fmt.Errorf("paths of more than %d bytes in all", maxAvroPaths)
	}
	c.count += len(n.Tags) / avroShare
	id := c.add(p, s, n)
	sub := Node{Path: n.Path, Parent: id, Repeated: n.Repeated}
	switch s.typ.Kind {
	case Record:
		p.fields = make([]avroPos, len(s.fields))
		for i, f := range s.fields {
			kid := sub
			if kid.Tags = f.tags; n.Path == "" {
				kid.Path = f.name
			} else {
				kid.Path = n.Path + "." + f.name
			}
			p.fields[i].name = f.name
			if err := c.compile(&p.fields[i], f.schema, kid, depth+1); err != nil {
				return err
			}
		}
	case Array:
		p.elem = &avroPos{}
		sub.Path, sub.Repeated = n.Path+"[*]", true
		if err := c.compile(p.elem, s.elem, sub, depth+1); err != nil {
			return err
		}
		p.elem.weight = elementWeight(p.elem)
	}
	return nil
}

// add makes p a node of the layout.
func (c *avroCompiler) add(p *avroPos, s *avroSchema, n Node) NodeID {
	l := c.layout
	p.node = NodeID(len(l.nodes))
	n.Type = s.typ
	n.Leaf = s.typ.Kind != Array && len(s.fields) == 0
	n.Tags = append(append([]string(nil), n.Tags...), s.tags...)
	l.nodes = append(l.nodes, n)
	l.pos = append(l.pos, p)
	return p.node
}

// avroShare is how many symbols or tags of a position count as one more position.
const avroShare = 16

// enter counts p and fills in what does not depend on whether it is a node.
func (c *avroCompiler) enter(p *avroPos, s *avroSchema, depth int) error {
	if c.count += 1 + (len(s.typ.Symbols)+len(s.tags))/avroShare; c.count > maxAvroPositions {
		return fmt.Errorf("more than %d positions", maxAvroPositions)
	}
	if depth > maxAvroDepth {
		return fmt.Errorf("nested deeper than %d", maxAvroDepth)
	}
	p.typ, p.node = s.typ, -1
	p.scalar = s.typ.Kind != Record && s.typ.Kind != Array && s.typ.Kind != Opaque
	for _, sym := range s.typ.Symbols {
		p.symbols = append(p.symbols, []byte(sym))
	}
	return nil
}

// opaque compiles p and all below it without nodes: it is only stepped over.
func (c *avroCompiler) opaque(p *avroPos, s *avroSchema, depth int) error {
	if err := c.enter(p, s, depth); err != nil {
		return err
	}
	for _, b := range s.branches {
		q := &avroPos{}
		p.branches = append(p.branches, q)
		if err := c.opaque(q, b, depth+1); err != nil {
			return err
		}
	}
	p.fields = make([]avroPos, len(s.fields))
	for i, f := range s.fields {
		if err := c.opaque(&p.fields[i], f.schema, depth+1); err != nil {
			return err
		}
	}
	inner := s.elem
	if s.values != nil {
		inner = s.values
	}
	if inner == nil {
		return nil
	}
	p.elem = &avroPos{}
	if err := c.opaque(p.elem, inner, depth+1); err != nil {
		return err
	}
	p.elem.weight = elementWeight(p.elem)
	return nil
}

// elementWeight bounds the work and the entries that an element of p costs
// beyond those of its bytes: positions without a byte of their own, of which
// four cost as much as a byte.
func elementWeight(p *avroPos) int { return max(1, (byteless(p)+3)/4) }

func byteless(p *avroPos) int {
	n := 0
	switch p.typ.Kind {
	case Null:
		n = 1
	case Fixed:
		if p.typ.Size == 0 {
			n = 1
		}
	case Record:
		n = 1
		for i := range p.fields {
			n += byteless(&p.fields[i])
		}
	case Opaque:
		for _, b := range p.branches {
			n = max(n, byteless(b))
		}
	}
	return n
}

// Value decodes the scalar at e, which Scan has validated.
func (l *avroLayout) Value(src []byte, e Entry, scratch []byte) (Value, []byte, bool) {
	p := l.pos[e.Node]
	b := src[e.NameStart:e.End]
	v := Value{Kind: e.Kind, Logical: p.typ.Logical}
	switch e.Kind {
	case Null:
		v.Logical = NoLogical
	case Bool:
		v.Int = int64(b[0])
	case Int, Long:
		v.Int, _ = readLong(b, 0)
	case Enum:
		v.Int, _ = readLong(b, 0)
		v.Text = p.symbols[v.Int]
	case Float:
		v.Float = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case Double:
		v.Float = math.Float64frombits(binary.LittleEndian.Uint64(b))
	case String, Bytes:
		_, i := readLong(b, 0)
		v.Text = b[i:len(b):len(b)]
	case Fixed:
		v.Text = b[:len(b):len(b)]
	default:
		return Value{}, scratch, false
	}
	return v, scratch, true
}
