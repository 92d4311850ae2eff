package schemas

import (
	"encoding/json"
	"errors"
)

// JSON Schema (drafts 4 to 2020-12), of the records that a registry's JSON
// serializers write. Which positions a stream has, its wiring's paths say, as in plain
// JSON: a record is not validated against its schema. The schema tells which types
// stand there, for lint and for what is derived, and a value of another type is
// withheld (json_typed.go). A position is clear where properties,
// additionalProperties, items (one for all elements), allOf, anyOf, oneOf and a $ref
// within the document lead to it; of every other one any type is assumed.

// jsonTypes is a set of the types of JSON Schema. A position of which nothing is
// known has all of them.
type jsonTypes uint8

const (
	typeNull jsonTypes = 1 << iota
	typeBoolean
	typeInteger
	typeNumber
	typeString
	typeArray
	typeObject
	anyType = 1<<iota - 1
)

// jsonTypeNames are in the order of the bits.
var jsonTypeNames = [...]string{"null", "boolean", "integer", "number", "string", "array", "object"}

func typeNamed(name any) jsonTypes {
	for i, n := range jsonTypeNames {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

// maxJSONSchema bounds a schema's text, in bytes.
const maxJSONSchema = 4 << 20

// Bounds of what is followed: a schema may refer to itself, and jsonAlternatives
// multiply.
const (
	maxSchemaRefs         = 32
	maxSchemaAlternatives = 256    // the kinds of events that one topic may have
	maxSchemaWork         = 16_384 // schemas looked at, and alternatives made, for one position
)

type jsonSchema struct {
	root any
	refs refRule
	work int  // see maxSchemaWork
	wide bool // there was more than is followed
}

func parseJSONSchema(text string) (*jsonSchema, error) {
	if len(text) > maxJSONSchema {
		return nil, errors.New("json schema: too large")
	}
	strict, err := NewJSON(nil)
	if err != nil {
		return nil, err
	}
	if strict.Scan([]byte(text), new(Tape)) != nil {
		return nil, errors.New("json schema: it is no JSON object, or has a name twice")
	}
	s := &jsonSchema{}
	if err := json.Unmarshal([]byte(text), &s.root); err != nil {
		return nil, errors.New("json schema: not valid JSON")
	}
	root, ok := s.root.(map[string]any)
	if !ok {
		return nil, errors.New("json schema: it must be an object")
	}
	s.refs = refRuleOf(root)
	s.estrange(root, false)
	return s, nil
}

// NewJSONSchema is NewJSON for records that a registry's JSON serializers write:
// schema is the text of their JSON Schema. What stands at of, a path within it
// ("": the record itself), is what paths lead into.
func NewJSONSchema(schema, of string, paths []string, apart ...string) (Layout, error) {
	s, up, err := parseJSONSchemaOf(schema, of)
	if err != nil {
		return nil, err
	}
	layout, err := NewJSON(paths, apart...)
	if err != nil {
		return nil, err
	}
	l := layout.(*jsonLayout)
	l.format = JSONSchema
	l.types = make([]jsonTypes, len(l.nodes))
	for id := range l.trie {
		var declared bool
		if l.types[id], declared = s.types(append(up[:len(up):len(up)], l.trie[id].path...)); declared {
			l.nodes[id].Declared = uint8(l.types[id] &^ typeNull)
		}
	}
	return l, nil
}

// parseJSONSchemaOf parses a JSON Schema and the path of the records in it ("": it is
// theirs).
func parseJSONSchemaOf(schema, of string) (s *jsonSchema, up Path, err error) {
	if s, err = parseJSONSchema(schema); err == nil && of != "" {
		up, err = ParsePath(of)
	}
	return s, up, err
}

// HasPath reports whether a JSON Schema declares a position, or may: where it is
// not clear, it may. The error is about the schema or the path.
func HasPath(schema, path string) (bool, error) {
	s, err := parseJSONSchema(schema)
	if err != nil {
		return false, err
	}
	p, err := ParseRule(path)
	if err != nil {
		return false, err
	}
	_, declared := s.types(p)
	return declared, nil
}

// TooWide reports whether a JSON Schema has so many alternatives (oneOf, anyOf) on the
// way to a path that they are not followed: then nothing is known of the types from at
// on. The error is about the schema or the path.
func TooWide(schema, path string) (at string, wide bool, err error) {
	s, err := parseJSONSchema(schema)
	if err != nil {
		return "", false, err
	}
	p, err := ParseRule(path)
	if err != nil {
		return "", false, err
	}
	for n := range len(p) + 1 {
		if s.types(p[:n]); s.wide {
			return p[:n].String(), true, nil
		}
	}
	return "", false, nil
}

// jsonFacets are schemas that all hold at a position; jsonAlternatives those of which one
// does. No alternative means that nothing can stand there; nil jsonFacets say nothing.
type (
	jsonFacets       []map[string]any
	jsonAlternatives []jsonFacets
)

// types gives the types at a path. declared is false where the schema says
// nothing of it, or that it is not there.
func (s *jsonSchema) types(p Path) (t jsonTypes, declared bool) {
	s.work, s.wide = 0, false
	at := s.expand(s.root, 0)
	declared = true
	for _, step := range p {
		var said bool
		at, said = s.next(at, step)
		declared = declared && said
	}
	return at.types(), declared
}

// next goes into a member or an element. said is false where nothing speaks of it.
func (s *jsonSchema) next(at jsonAlternatives, step Step) (to jsonAlternatives, said bool) {
	for _, f := range at {
		next, ok := s.step(f, step)
		said = said || ok
		to = append(to, next...)
	}
	if len(to) > maxSchemaAlternatives {
		s.wide = true
		return jsonAlternatives{nil}, true
	}
	return to, said
}

// types are those that some alternative allows.
func (a jsonAlternatives) types() (t jsonTypes) {
	for _, f := range a {
		t |= f.types()
	}
	if len(a) == 0 {
		t = anyType
	}
	return t
}

// expand follows references and combinations.
func (s *jsonSchema) expand(schema any, refs int) jsonAlternatives {
	m, ok := schema.(map[string]any)
	if !ok {
		if schema == false {
			return nil
		}
		return jsonAlternatives{nil}
	}
	if refs > maxSchemaRefs || !s.spend(1) {
		return jsonAlternatives{nil}
	}
	out := jsonAlternatives{{m}}
	if ref, ok := m["$ref"].(string); ok {
		to := s.expand(s.find(ref), refs+1)
		switch {
		case s.refs == refsAlone:
			return to
		case s.refs == refsUnknown && speaks(m):
			return s.or(to, s.combined(m, s.and(out, to), refs))
		}
		out = s.and(out, to)
	}
	return s.combined(m, out, refs)
}

// combined is out with what allOf, anyOf and oneOf of m say. What costs too much
// says nothing.
func (s *jsonSchema) combined(m map[string]any, out jsonAlternatives, refs int) jsonAlternatives {
	for _, sub := range subschemas(m["allOf"]) {
		if s.work > maxSchemaWork {
			return jsonAlternatives{nil}
		}
		out = s.and(out, s.expand(sub, refs+1))
	}
	for _, word := range []string{"anyOf", "oneOf"} {
		if _, ok := m[word]; !ok {
			continue
		}
		var or jsonAlternatives
		for _, sub := range subschemas(m[word]) {
			if s.work > maxSchemaWork {
				return jsonAlternatives{nil}
			}
			or = append(or, s.expand(sub, refs+1)...)
		}
		out = s.and(out, or)
	}
	return out
}

func subschemas(v any) []any {
	l, _ := v.([]any)
	return l
}

// spend counts work; false where there was too much.
func (s *jsonSchema) spend(n int) bool {
	s.work += n
	s.wide = s.wide || s.work > maxSchemaWork
	return s.work <= maxSchemaWork
}

// and is every pair of jsonAlternatives; too many say nothing.
func (s *jsonSchema) and(a, b jsonAlternatives) (out jsonAlternatives) {
	if len(a)*len(b) > maxSchemaAlternatives {
		s.wide = true
		return jsonAlternatives{nil}
	}
	for _, f := range a {
		for _, g := range b {
			if !s.spend(1 + (len(f)+len(g))/16) {
				return jsonAlternatives{nil}
			}
			out = append(out, append(f[:len(f):len(f)], g...))
		}
	}
	return out
}

// or is all jsonAlternatives of both; too many say nothing.
func (s *jsonSchema) or(a, b jsonAlternatives) jsonAlternatives {
	if len(a)+len(b) > maxSchemaAlternatives {
		s.wide = true
		return jsonAlternatives{nil}
	}
	return append(a[:len(a):len(a)], b...)
}

// step goes into a member or an element. said is false where no facet speaks of it.
func (s *jsonSchema) step(f jsonFacets, step Step) (out jsonAlternatives, said bool) {
	out = jsonAlternatives{nil}
	for _, m := range f {
		sub, ok := subschema(m, step)
		if !ok {
			continue
		}
		said = true
		out = s.and(out, s.expand(sub, 0))
	}
	return out, said || step.Kind == StepDeep || step.Kind == StepKey
}

// subschema is what one facet says of a member or an element. What it says in
// another way than this package reads may be anything.
func subschema(m map[string]any, step Step) (sub any, ok bool) {
	switch step.Kind {
	case StepKey:
		return map[string]any{"type": "string"}, true
	case StepMember:
		if sub, ok := property(m, step.Name); ok {
			return sub, true
		}
		if _, other := m["patternProperties"]; other {
			return true, true
		}
		sub, ok = m["additionalProperties"]
		return sub, ok && sub != false
	case StepAnyMember:
		_, named := m["properties"]
		_, other := m["patternProperties"]
		sub, ok = m["additionalProperties"]
		if named || other {
			return true, true
		}
		return sub, ok
	case StepElements, StepIndex, StepPredicate:
		if _, tuple := m["prefixItems"]; tuple {
			return true, true
		}
		if sub, ok = m["items"]; ok && subschemas(sub) != nil {
			return true, true
		}
		return sub, ok
	}
	return true, false
}

func property(m map[string]any, name string) (sub any, ok bool) {
	properties, _ := m["properties"].(map[string]any)
	sub, ok = properties[name]
	return sub, ok
}

// types are those that all facets allow.
func (f jsonFacets) types() jsonTypes {
	t := jsonTypes(anyType)
	for _, m := range f {
		var here jsonTypes
		for _, name := range append(subschemas(m["type"]), m["type"]) {
			here |= typeNamed(name)
		}
		if here&typeNumber != 0 {
			here |= typeInteger
		}
		if here != 0 {
			t &= here
		}
	}
	return t
}
