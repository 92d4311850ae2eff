package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/linkedin/goavro/v2"
)

// Bounds of a writer schema, which anybody may have registered. A schema without
// recursion has finitely many positions, but named types that are used twice at
// every level double them level by level, so they are counted; so is what every
// position repeats: its path, and its type's symbols and tags.
const (
	maxAvroText      = 4 << 20
	maxAvroDepth     = 64
	maxAvroPositions = 10_000
	maxAvroName      = 512     // of a field, or of a type with its namespace
	maxAvroPaths     = 8 << 20 // all paths together
	maxAvroBranches  = 127     // of a union
)

// avroSchema is one parsed schema. Named types are shared by their uses.
type avroSchema struct {
	typ      Type
	tags     []string
	fields   []avroField   // Record
	elem     *avroSchema   // Array element, Map value; of an Opaque the record that it is
	branches []*avroSchema // Union
	open     bool          // a record that is being defined: using it is recursion
}

type avroField struct {
	name   string
	tags   []string
	schema *avroSchema
}

// avroParser reads a schema that json has decoded. Its errors name things of
// the schema, which are not personal.
type avroParser struct {
	named     map[string]*avroSchema // by full name
	count     int
	recursive bool
}

// parseAvro parses schema text (Avro 1.12 specification, "Schema declaration").
func parseAvro(text string) (*avroSchema, error) {
	if len(text) > maxAvroText {
		return nil, fmt.Errorf("avro schema: more than %d bytes", maxAvroText)
	}
	// encoding/json would let the last of two equal names win; which one
	// counts must not be a matter of the reader.
	if !jsontext.Value(text).IsValid() {
		return nil, errors.New("avro schema: not valid JSON, or a name twice in one object")
	}
	var doc any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, errors.New("avro schema: not valid JSON")
	}
	p := avroParser{named: map[string]*avroSchema{}}
	s, err := p.schema(doc, "", 0)
	if err != nil {
		return nil, fmt.Errorf("avro schema: %w", err)
	}
	if !p.recursive && !goavroAccepts(doc) {
		return nil, errors.New("avro schema: refused by the second parser (goavro)")
	}
	return s, nil
}

// goavroAccepts asks goavro for a second opinion on the structure. It sees
// neither defaults nor logical types: on those it is stricter than the
// specification (a default of the second branch; a decimal without precision,
// which is to be ignored). Its text is not passed on. It is not asked about
// recursion: on `record A {a: A}` it overflows the stack, and cannot recover.
func goavroAccepts(doc any) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	text, err := json.Marshal(avroSkeleton(doc))
	if err != nil {
		return false
	}
	_, err = goavro.NewCodec(string(text))
	return err == nil
}

// avroSkeleton keeps of a schema only what decides how a value is encoded.
func avroSkeleton(doc any) any {
	switch d := doc.(type) {
	case []any:
		out := make([]any, len(d))
		for i := range d {
			out[i] = avroSkeleton(d[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for _, k := range []string{"type", "name", "namespace", "fields", "items", "values", "symbols", "size"} {
			if v, ok := d[k]; ok {
				out[k] = avroSkeleton(v)
			}
		}
		return out
	}
	return doc
}

// schema parses one schema inside namespace ns. Recursion is over the schema
// text and bounded by depth.
func (p *avroParser) schema(doc any, ns string, depth int) (*avroSchema, error) {
	if p.count++; p.count > maxAvroPositions {
		return nil, fmt.Errorf("more than %d types", maxAvroPositions)
	}
	if depth > maxAvroDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxAvroDepth)
	}
	switch d := doc.(type) {
	case string:
		return p.reference(d, ns)
	case []any:
		return p.union(d, ns, depth)
	case map[string]any:
		return p.object(d, ns, depth)
	}
	return nil, errors.New("a schema must be a string, an array or an object")
}

var avroPrimitives = map[string]Kind{
	"null": Null, "boolean": Bool, "int": Int, "long": Long, "float": Float,
	"double": Double, "bytes": Bytes, "string": String,
}

func (p *avroParser) reference(name, ns string) (*avroSchema, error) {
	if k, ok := avroPrimitives[name]; ok {
		return &avroSchema{typ: Type{Kind: k}}, nil
	}
	full := name
	if !strings.Contains(name, ".") && ns != "" {
		full = ns + "." + name
	}
	s, ok := p.named[full]
	if !ok {
		return nil, fmt.Errorf("type %q is not defined", full)
	}
	if s.open {
		p.recursive = true
		return &avroSchema{typ: Type{Kind: Opaque, Name: full}, elem: s}, nil
	}
	return s, nil
}

func (p *avroParser) object(d map[string]any, ns string, depth int) (*avroSchema, error) {
	kind, ok := d["type"].(string)
	if !ok {
		// {"type": {...}} and {"type": [...]} say nothing of their own but tags.
		if d["type"] == nil {
			return nil, errors.New(`an object without "type"`)
		}
		s, err := p.schema(d["type"], ns, depth+1)
		if err != nil {
			return nil, err
		}
		return p.tagged(s, d)
	}
	switch kind {
	case "record":
		return p.record(d, ns, depth)
	case "enum":
		return p.enum(d, ns)
	case "fixed":
		return p.fixed(d, ns)
	case "array":
		elem, err := p.schema(d["items"], ns, depth+1)
		if err != nil {
			return nil, fmt.Errorf("array items: %w", err)
		}
		return &avroSchema{typ: Type{Kind: Array}, elem: elem, tags: avroTags(d)}, nil
	case "map":
		values, err := p.schema(d["values"], ns, depth+1)
		if err != nil {
			return nil, fmt.Errorf("map values: %w", err)
		}
		return &avroSchema{typ: Type{Kind: Map}, elem: values, tags: avroTags(d)}, nil
	}
	s, err := p.reference(kind, ns)
	if err != nil {
		return nil, err
	}
	if s.typ.Name != "" {
		return p.tagged(s, d) // other attributes beside a reference do not change the named type
	}
	s.typ = avroLogical(s.typ, d)
	s.tags = avroTags(d)
	return s, nil
}

// union parses [null, T] and [T, null] to a nullable T. Unions may not hold unions, nor two branches that a reader could not
// tell apart (Avro 1.12, "Unions").
func (p *avroParser) union(d []any, ns string, depth int) (*avroSchema, error) {
	branches := make([]*avroSchema, len(d))
	seen := map[string]bool{}
	null := -1
	for i := range d {
		b, err := p.schema(d[i], ns, depth+1)
		if err != nil {
			return nil, fmt.Errorf("union branch %d: %w", i, err)
		}
		if b.typ.Kind == Union || b.typ.Nullable {
			return nil, fmt.Errorf("union branch %d is a union", i)
		}
		id := branchName(b)
		if seen[id] {
			return nil, fmt.Errorf("union holds %s twice", id)
		}
		seen[id] = true
		if b.typ.Kind == Null {
			null = i
		}
		branches[i] = b
	}
	if len(d) == 0 || len(d) > maxAvroBranches {
		return nil, fmt.Errorf("a union of %d branches", len(d))
	}
	if len(d) != 2 || null < 0 {
		return &avroSchema{typ: Type{Kind: Union, Nullable: null >= 0, NullIndex: uint8(max(null, 0))}, branches: branches}, nil
	}
	s := *branches[1-null] // a copy: the named type itself stays what it is
	s.typ.Nullable, s.typ.NullIndex = true, uint8(null)
	return &s, nil
}

func branchName(s *avroSchema) string {
	if s.typ.Name != "" {
		return s.typ.Name
	}
	return s.typ.Kind.String()
}

func (p *avroParser) record(d map[string]any, ns string, depth int) (*avroSchema, error) {
	s, ns, err := p.define(d, ns, Type{Kind: Record})
	if err != nil {
		return nil, err
	}
	s.open = true
	defer func() { s.open = false }()
	list, ok := d["fields"].([]any)
	if !ok {
		return nil, fmt.Errorf("record %q has no list of fields", s.typ.Name)
	}
	seen := map[string]bool{}
	for _, f := range list {
		fd, _ := f.(map[string]any)
		name, _ := fd["name"].(string)
		if !avroName(name) || len(name) > maxAvroName {
			return nil, fmt.Errorf("record %q has a field without a valid name", s.typ.Name)
		}
		if seen[name] {
			return nil, fmt.Errorf("record %q has two fields %q", s.typ.Name, name)
		}
		seen[name] = true
		fs, err := p.schema(fd["type"], ns, depth+1)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
		s.fields = append(s.fields, avroField{name: name, tags: avroTags(fd), schema: fs})
	}
	return s, nil
}

func (p *avroParser) enum(d map[string]any, ns string) (*avroSchema, error) {
	s, _, err := p.define(d, ns, Type{Kind: Enum})
	if err != nil {
		return nil, err
	}
	list, _ := d["symbols"].([]any)
	if len(list) == 0 {
		return nil, fmt.Errorf("enum %q has no symbols", s.typ.Name)
	}
	seen := make(map[string]bool, len(list)) // a registry takes schemas of a megabyte
	for _, v := range list {
		sym, _ := v.(string)
		if !avroName(sym) || seen[sym] {
			return nil, fmt.Errorf("enum %q has an invalid symbol, or one twice", s.typ.Name)
		}
		seen[sym] = true
		s.typ.Symbols = append(s.typ.Symbols, sym)
	}
	return s, nil
}

func (p *avroParser) fixed(d map[string]any, ns string) (*avroSchema, error) {
	s, _, err := p.define(d, ns, Type{Kind: Fixed})
	if err != nil {
		return nil, err
	}
	size, ok := d["size"].(float64)
	if !ok || size < 0 || size > math.MaxInt32 || size != math.Trunc(size) {
		return nil, fmt.Errorf("fixed %q has no valid size", s.typ.Name)
	}
	s.typ.Size = int(size)
	s.typ = avroLogical(s.typ, d)
	return s, nil
}

// define enters a named type under its full name and returns the namespace
// that holds inside it (Avro 1.12, "Names").
func (p *avroParser) define(d map[string]any, ns string, t Type) (*avroSchema, string, error) {
	name, _ := d["name"].(string)
	if own, ok := d["namespace"].(string); ok {
		ns = own
	}
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		ns, name = name[:i], name[i+1:]
	}
	if _, primitive := avroPrimitives[name]; primitive || !avroName(name) || !avroNamespace(ns) {
		return nil, "", errors.New("a named type without a valid name")
	}
	if len(ns)+len(name) > maxAvroName {
		return nil, "", fmt.Errorf("a type name of more than %d bytes", maxAvroName)
	}
	if t.Name = name; ns != "" {
		t.Name = ns + "." + name
	}
	if p.named[t.Name] != nil {
		return nil, "", fmt.Errorf("type %q is defined twice", t.Name)
	}
	s := &avroSchema{typ: t, tags: avroTags(d)}
	p.named[t.Name] = s
	return s, ns, nil
}

// avroName reports whether s is a name: [A-Za-z_][A-Za-z0-9_]*. Names of this
// form need no quotes in paths.
func avroName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// avroNamespace reports whether ns is empty or names with dots between them.
func avroNamespace(ns string) bool {
	if ns == "" {
		return true
	}
	for part := range strings.SplitSeq(ns, ".") {
		if !avroName(part) {
			return false
		}
	}
	return true
}
