package schemas

import (
	"maps"
	"reflect"
	"slices"
)

// Bounds of what is listed of one JSON Schema: positions, and work (maxSchemaWork).
const (
	maxDeclared     = 10_000
	maxDeclaredWork = 1_000_000
)

// Declared lists the positions that a JSON Schema declares, leaves only, each once, in
// the order of their names: a record may hold them whether or not the wiring names
// them. Of a map they are the keys and the values; what a schema holds of itself is
// a leaf. of is the position that they lie in ("": the record itself). Where a schema
// allows what it does not declare, that is not listed, nor is what no path can name,
// as a member with a control character in its name: no rule can be about it.
func Declared(schema, of string) ([]Node, error) {
	s, up, err := parseJSONSchemaOf(schema, of)
	if err != nil {
		return nil, err
	}
	at := s.expand(s.root, 0)
	for _, step := range up {
		at, _ = s.next(at, step)
	}
	d := declarer{schema: s, open: map[uintptr]bool{}}
	d.list(at, nil)
	return d.found, nil
}

type declarer struct {
	schema *jsonSchema
	open   map[uintptr]bool // the schemas that lead here
	found  []Node
	work   int // schemas looked at
}

// list lists what lies at and below a position.
func (d *declarer) list(at jsonAlternatives, path Path) {
	if len(d.found) >= maxDeclared || d.work > maxDeclaredWork {
		return
	}
	entered := d.enter(at)
	var steps []Step
	if entered != nil && len(path) < MaxPathSteps-2 {
		steps = at.steps()
	}
	for _, step := range steps {
		down := append(path[:len(path):len(path)], step)
		if step.Kind == StepAnyMember {
			d.leaf(append(down[:len(down):len(down)], Step{Kind: StepKey}), typeString)
		}
		d.schema.work = 0
		to, _ := d.schema.next(at, step)
		d.work += 1 + d.schema.work
		d.list(to, down)
	}
	for _, p := range entered {
		delete(d.open, p)
	}
	if len(steps) == 0 && len(path) > 0 {
		d.leaf(path, at.types())
	}
}

// enter notes the schemas with something below them; nil where one leads to itself.
func (d *declarer) enter(at jsonAlternatives) []uintptr {
	entered := []uintptr{}
	for _, f := range at {
		for _, m := range f {
			p := reflect.ValueOf(m).Pointer()
			if d.open[p] && !slices.Contains(entered, p) {
				for _, p := range entered {
					delete(d.open, p)
				}
				return nil
			}
			d.open[p], entered = true, append(entered, p)
		}
	}
	return entered
}

func (d *declarer) leaf(path Path, t jsonTypes) {
	text := path.String()
	if _, err := ParsePath(text); err != nil {
		return
	}
	repeated := slices.ContainsFunc(path, func(s Step) bool { return s.Kind != StepMember })
	d.found = append(d.found, Node{Path: text, Parent: -1, Type: t.kind(), Leaf: true, Repeated: repeated, Declared: uint8(t &^ typeNull)})
}

// DeclaredTypes are the names of Declared, in the order of JSON Schema, and null where
// that may stand too; nil where any type may, or nothing is known.
func (n Node) DeclaredTypes() (names []string) {
	if n.Declared == 0 || jsonTypes(n.Declared) == anyType&^typeNull {
		return nil
	}
	t := jsonTypes(n.Declared)
	if t&typeNumber != 0 {
		t &^= typeInteger // it is one of them
	}
	for i, name := range jsonTypeNames {
		if t>>i&1 != 0 {
			names = append(names, name)
		}
	}
	if n.Type.Nullable {
		names = append(names, "null")
	}
	return names
}

// kind is the type that a position of these types is most like.
func (t jsonTypes) kind() Type {
	out := Type{Kind: Any, Nullable: t&typeNull != 0 && t != anyType}
	switch t &^ typeNull {
	case typeBoolean:
		out.Kind = Bool
	case typeInteger:
		out.Kind = Long
	case typeNumber | typeInteger:
		out.Kind = Double
	case typeString:
		out.Kind = String
	}
	return out
}

// steps are those that the alternatives declare something behind.
func (a jsonAlternatives) steps() (steps []Step) {
	names, elements, others := map[string]bool{}, false, false
	for _, f := range a {
		for _, m := range f {
			properties, _ := m["properties"].(map[string]any)
			for name := range properties {
				names[name] = true
			}
			elements = elements || m["items"] != nil || m["prefixItems"] != nil
			more, _ := m["additionalProperties"].(map[string]any)
			others = others || more != nil || m["patternProperties"] != nil
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		steps = append(steps, Step{Kind: StepMember, Name: name})
	}
	if others {
		steps = append(steps, Step{Kind: StepAnyMember})
	}
	if elements {
		steps = append(steps, Step{Kind: StepElements})
	}
	return steps
}
