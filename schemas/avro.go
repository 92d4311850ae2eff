package schemas

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
)

// avroLayout is a compiled Avro writer schema.
type avroLayout struct {
	root  *avroPos
	nodes []Node
	pos   []*avroPos   // by NodeID; the variants of an element share theirs
	seed  maphash.Seed // for the keys of maps
}

// avroPos is one position of a schema, with named types expanded: what the
// scanner expects there. Positions inside an opaque one have no node.
type avroPos struct {
	node     NodeID // -1 inside an opaque position, and of a union's null
	scalar   bool   // one entry, and nothing below it that could be noted
	typ      Type
	name     string // of the field; "" for the root and elements
	fields   []avroPos
	elem     *avroPos  // Array element, Map value; of an Opaque the record that it is
	key      *avroPos  // Map
	branches []avroPos // Union
	symbols  [][]byte  // of an Enum
	variants *avroVariants
	// weight is what one array element or map entry of this position costs
	// (package comment, "Bounds"); of use on elem only.
	weight int
}

// NewAvro compiles an Avro schema in JSON, whose top level must be a record, for
// a wiring that names paths: [n] and [key=="v"] give an element positions of its
// own. Errors name things of the schema and of the wiring and nothing else.
func NewAvro(schemaText string, paths []string) (Layout, error) {
	s, err := parseAvro(schemaText)
	if err != nil {
		return nil, err
	}
	if s.typ.Kind != Record || s.typ.Nullable {
		return nil, fmt.Errorf("avro schema: the top level must be a record")
	}
	c := avroCompiler{layout: &avroLayout{root: &avroPos{}, seed: maphash.MakeSeed()}, opaque: map[*avroSchema]*avroPos{}}
	var named avroPaths
	for _, text := range paths {
		p, err := ParsePath(text)
		if err != nil {
			return nil, err
		}
		named.add(p)
	}
	if err := c.compile(c.layout.root, s, Node{Parent: -1}, named, 0); err != nil {
		return nil, fmt.Errorf("avro schema: %w", err)
	}
	return c.layout, nil
}

func (l *avroLayout) Format() Format { return Avro }

func (l *avroLayout) Nodes() []Node { return l.nodes }

// Value decodes the scalar at e, which Scan has validated.
func (l *avroLayout) Value(src []byte, e Entry, scratch []byte) (v Value, rest []byte, ok bool) {
	ok = l.decode(&v, src, &e)
	return v, scratch, ok
}

// decode is Value into the zero v.
func (l *avroLayout) decode(v *Value, src []byte, e *Entry) bool {
	p := l.pos[e.Node]
	b := src[e.NameStart:e.End]
	v.Kind, v.Logical = e.Kind, p.typ.Logical
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
		*v = Value{}
		return false
	}
	return true
}
