package reference

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/linkedin/goavro/v2"
)

// Avro is one writer schema as one purpose sees it.
type Avro struct {
	view   *view
	root   *avroShape // of a record, or of an element
	heard  voices
	reader *goavro.Codec // of the writer schema, without logical types
	writer *goavro.Codec // of the derived one
	schema any           // derived
}

// avroShape is a position of the writer schema.
type avroShape struct {
	path     string
	schema   any // of the value, without the union with null
	nullable bool
	nullLast bool
	kind     string // of a container or a scalar
	scalar   kind   // of a scalar
	fields   []avroField
	items    *avroShape
	treat    Treatment

	// What becomes of it. keep: all as it is; follow: it is there where the
	// input is, always or (gated) where the gate is open.
	op            string // drop null value container
	behind        bool   // a gate: the treatment's, or a subject's permit
	keep          bool
	follow, gated bool
	made          any // derived schema, with the union
}

type avroField struct {
	name  string
	shape *avroShape
}

// newAvro derives what the purpose sees of a writer schema.
func (v *view) newAvro(schema string) (*Avro, error) {
	var doc map[string]any
	if err := json.Unmarshal([]byte(schema), &doc); err != nil {
		return nil, err
	}
	a := &Avro{view: v}
	top, namespace, err := element(doc, v.stream.Split)
	if err != nil {
		return nil, err
	}
	if a.root, err = v.avroShape("", top); err != nil {
		return nil, err
	}
	a.root.derive()
	made := a.root.record()
	made["namespace"] = namespace + "." + v.purpose.ID
	a.schema = made
	if a.reader, err = codec(doc); err != nil {
		return nil, err
	}
	a.writer, err = codec(made)
	return a, err
}

// element is the schema of a record or, where records are split, of the elements at
// path, and its namespace. The types that it uses must be defined in it.
func element(doc map[string]any, path string) (map[string]any, string, error) {
	namespace, _ := doc["namespace"].(string)
	if path == "" {
		return doc, namespace, nil
	}
	var at any = doc
	for _, name := range append(strings.Split(strings.TrimSuffix(path, "[*]"), "."), "[*]") {
		m, _ := notNull(at).(map[string]any)
		if own, ok := m["namespace"].(string); ok {
			namespace = own
		}
		at = m["items"]
		fields, _ := m["fields"].([]any)
		for _, f := range fields {
			if field := f.(map[string]any); field["name"] == name {
				at = field["type"]
			}
		}
	}
	m, ok := notNull(at).(map[string]any)
	if !ok || m["type"] != "record" {
		return nil, "", fmt.Errorf("%s: the reference finds no records there", path)
	}
	if own, ok := m["namespace"].(string); ok {
		namespace = own
	}
	return m, namespace, nil
}

// notNull is the other type of a union with null.
func notNull(schema any) any {
	if union, ok := schema.([]any); ok && len(union) == 2 {
		if union[0] == "null" {
			return union[1]
		}
		return union[0]
	}
	return schema
}

// Codec is goavro's codec of a schema without its logical types: so that values
// are the bytes and numbers that stand there.
func Codec(schema string) (*goavro.Codec, error) {
	var doc any
	if err := json.Unmarshal([]byte(schema), &doc); err != nil {
		return nil, err
	}
	return codec(doc)
}

func codec(schema any) (*goavro.Codec, error) {
	text, err := json.Marshal(without(schema, "logicalType", "precision", "scale", "doc", "aliases"))
	if err != nil {
		return nil, err
	}
	return goavro.NewCodec(string(text))
}

func without(v any, names ...string) any {
	switch x := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range x {
			if !contains(names, k) {
				out[k] = without(e, names...)
			}
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = without(x[i], names...)
		}
		return out
	}
	return v
}

// avroShape reads a schema and what the purpose does with its leaves.
func (v *view) avroShape(path string, schema any) (*avroShape, error) {
	s := &avroShape{path: path, schema: schema}
	if union, ok := schema.([]any); ok {
		if len(union) != 2 || (union[0] == "null") == (union[1] == "null") {
			return nil, fmt.Errorf("%s: the reference knows unions of null and one type only", path)
		}
		s.nullable, s.nullLast = true, union[1] == "null"
		s.schema = union[1]
		if s.nullLast {
			s.schema = union[0]
		}
	}
	s.kind, _ = s.schema.(string)
	m, _ := s.schema.(map[string]any)
	if m != nil {
		s.kind, _ = m["type"].(string)
	}
	s.treat = v.at(path)
	s.behind = v.gated(path, s.treat)
	switch s.kind {
	case "record":
		for _, f := range m["fields"].([]any) {
			field := f.(map[string]any)
			name := field["name"].(string)
			sub := name
			if path != "" {
				sub = path + "." + name
			}
			kid, err := v.avroShape(sub, field["type"])
			if err != nil {
				return nil, err
			}
			s.fields = append(s.fields, avroField{name, kid})
		}
	case "array":
		var err error
		s.items, err = v.avroShape(path+"[*]", m["items"])
		return s, err
	case "boolean", "int", "long", "float", "double", "string", "bytes", "enum", "fixed":
		s.scalar = kindOf(s.schema)
	default:
		return nil, fmt.Errorf("%s: the reference does not know the type %s", path, s.kind)
	}
	return s, nil
}

// derive settles op and made, from the leaves up.
func (s *avroShape) derive() {
	if s.kind == "record" || s.kind == "array" {
		s.deriveContainer()
		return
	}
	nullable := s.nullable
	base := without(s.schema, "doc", "aliases")
	if s.scalar.logical == "unknown" {
		base = without(base, "logicalType")
	}
	result, ok := s.treat.result(s.scalar)
	switch {
	case s.treat.Name == "redact":
		s.op, nullable = "null", true
	case s.treat.Name == "constant" && s.treat.holds(s.scalar):
		s.op, nullable = "constant", nullable || s.behind
	case !ok: // it is dropped, or of a type that the treatment does not take
		s.op = "drop"
		return
	default:
		if s.op = "value"; result.base != s.scalar.base || result.logical != s.scalar.logical {
			base = result.base
		}
	}
	if s.op == "value" {
		s.gated = s.behind
		s.follow = !s.gated
		s.keep = s.follow && s.treat.Name == "keep"
	}
	s.made = s.union(base, nullable || s.gated)
}

// union is the type with null, in the order of the input's union or null first.
func (s *avroShape) union(base any, nullable bool) any {
	switch {
	case !nullable:
		return base
	case s.nullable && s.nullLast:
		return []any{base, "null"}
	}
	return []any{"null", base}
}

// deriveContainer: a container shows that it is there, or how many elements it
// has, only while something below it follows the input.
func (s *avroShape) deriveContainer() {
	kids := []*avroShape{s.items}
	if s.items == nil {
		kids = nil
		for _, f := range s.fields {
			kids = append(kids, f.shape)
		}
	}
	null := false
	s.keep = true
	for _, kid := range kids {
		kid.derive()
		s.follow, s.gated = s.follow || kid.follow, s.gated || kid.gated
		s.keep = s.keep && kid.keep
		null = null || kid.op == "null" || kid.gated || kid.op == "constant" && kid.behind
	}
	s.op = "container"
	switch {
	case s.follow || s.gated:
	case null:
		s.op = "null"
	default:
		s.op = "drop"
	}
	if s.op != "drop" {
		base := map[string]any{"type": "array"}
		if s.items != nil {
			base["items"] = s.items.made
		} else {
			base = s.record()
		}
		s.made = s.union(base, s.nullable || !s.follow)
	}
}

// record is the derived record: names and types, and a default of null where
// null stands first. Nothing else of the input's text.
func (s *avroShape) record() map[string]any {
	fields := []any{}
	for _, f := range s.fields {
		if f.shape.op == "drop" {
			continue
		}
		field := map[string]any{"name": f.name, "type": f.shape.made}
		if union, ok := f.shape.made.([]any); ok && union[0] == "null" {
			field["default"] = nil
		}
		fields = append(fields, field)
	}
	return map[string]any{"type": "record", "name": s.schema.(map[string]any)["name"], "fields": fields}
}

// CheckSchema compares a registered schema with the derived one, member by
// member: nothing more may stand in it.
func (a *Avro) CheckSchema(registered string) error {
	var got, want any
	if err := json.Unmarshal([]byte(registered), &got); err != nil {
		return err
	}
	text, err := json.Marshal(a.schema)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &want); err != nil {
		return err
	}
	if !reflect.DeepEqual(plain(got), plain(want)) {
		return fmt.Errorf("the registered schema differs:\n%s\nwant\n%s", registered, text)
	}
	return nil
}

// plain writes {"type": "string"} as "string", and leaves an enum's input
// members that say nothing about values out of neither side.
func plain(v any) any {
	switch x := v.(type) {
	case map[string]any:
		if name, ok := x["type"].(string); ok && len(x) == 1 {
			return name
		}
		out := map[string]any{}
		for k, e := range x {
			out[k] = plain(e)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = plain(x[i])
		}
		return out
	}
	return v
}
