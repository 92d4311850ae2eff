package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Splitter finds the elements of the array at which the records of a stream are
// split into records of their own (`split`). It is immutable and safe for
// concurrent use.
type Splitter struct {
	outer          Layout
	array, element NodeID
	kind           Kind // that elements must be; Any: an object or an array
}

// Span is a range of bytes of a record.
type Span struct{ Start, End uint32 }

// Split compiles the split of a stream's records at path: the layout of the whole
// record, and that of one element. path is member names with `[*]` at the end; in
// JSON also `[*]` alone. avsc is the writer schema, "" in plain JSON; paths are
// those of the wiring within an element, and apart is as in NewJSON. Errors are for
// people who write configs.
func Split(format Format, path, avsc string, paths []string, apart ...string) (*Splitter, Layout, error) {
	steps, err := SplitPath(path)
	if err != nil {
		return nil, nil, err
	}
	var inner Layout
	s := &Splitter{array: -1, element: -1}
	if format == Avro {
		if s.outer, err = NewAvro(avsc, nil); err != nil {
			return nil, nil, err
		}
		element, err := avroElement(avsc, steps)
		if err != nil {
			return nil, nil, err
		}
		if inner, err = NewAvro(element, paths); err != nil {
			return nil, nil, fmt.Errorf("the elements of %s: %w", path, err)
		}
	} else {
		if s.outer, err = NewJSON([]string{path}); err != nil {
			return nil, nil, err
		}
		if format == JSONSchema {
			inner, err = NewJSONSchema(avsc, path, paths, apart...)
		} else {
			inner, err = NewJSON(paths, apart...)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	for id, n := range s.outer.Nodes() {
		if n.Path == steps.String() {
			s.element, s.array = NodeID(id), n.Parent
		}
	}
	if s.element < 0 {
		return nil, nil, fmt.Errorf("%s is no array in the schema", path)
	}
	s.kind = inner.Nodes()[0].Type.Kind
	return s, inner, nil
}

// SplitPath reads a path that a record can be split at.
func SplitPath(text string) (Path, error) {
	p, err := ParsePath(text)
	if err != nil {
		return nil, err
	}
	for i, s := range p {
		if last := i == len(p)-1; last != (s.Kind == StepElements) || !last && s.Kind != StepMember {
			return nil, errors.New("a record is split at one array: member names, and [*] at the end")
		}
	}
	return p, nil
}

// Elements appends the spans of the elements of src, in their order. The error is
// a *Fault: what is wrong with src, CodeNotArray where the array is missing, null or
// something else, or what is wrong with an element (fits). tape is for Elements alone.
func (s *Splitter) Elements(dst []Span, src []byte, tape *Tape) ([]Span, error) {
	if err := s.outer.Scan(src, tape); err != nil {
		return nil, err
	}
	array, ok := tape.Find(s.array)
	if !ok || array.Kind != Array {
		return nil, &Fault{Code: CodeNotArray, Path: s.Path()}
	}
	avro := s.outer.Format() == Avro
	for i := tape.At[s.array] + 1; uint32(i) < array.Next; i = int32(tape.Entries[i].Next) {
		e := tape.Entries[i]
		if code := s.fits(e.Kind); code != "" {
			return nil, &Fault{Code: code, Path: s.Path()}
		}
		span := Span{e.Start, e.End}
		if avro {
			span.Start = e.NameStart // after the branch of a nullable element
		}
		dst = append(dst, span)
	}
	return dst, nil
}

// fits says what is wrong with an element of a kind: the paths of the wiring lead into
// an object (or record) or into an array, and of the other nothing would be left
// without a word. Whether a scalar may be there, the scan of the element says.
func (s *Splitter) fits(kind Kind) Code {
	switch {
	case s.outer.Format() == Avro && kind != Record:
		return CodeTopLevelScalar
	case s.kind == Record && kind == Array:
		return CodeNotObject
	case s.kind == Array && kind == Record:
		return CodeNotArray
	}
	return ""
}

// Path is the path of the array's elements.
func (s *Splitter) Path() string { return s.outer.Nodes()[s.element].Path }

// avroElement is the schema of the elements of the array at path, as a text of
// its own: with full names, and each named type defined where it first stands.
func avroElement(avsc string, path Path) (string, error) {
	var doc any
	if json.Unmarshal([]byte(avsc), &doc) != nil {
		return "", errors.New("avro schema: not valid JSON")
	}
	names := avroNames{defined: map[string]namedType{}, written: map[string]bool{}}
	names.collect(doc, "")
	at, ns := doc, ""
	for _, step := range path {
		var ok bool
		if at, ns, ok = names.step(at, ns, step); !ok {
			return "", fmt.Errorf("%s is no array in the schema", path)
		}
	}
	at, ns = names.resolve(at, ns)
	text, err := json.Marshal(names.write(at, ns))
	return string(text), err
}

// avroNames knows the named types of a schema.
type avroNames struct {
	defined map[string]namedType
	written map[string]bool
}

// namedType is a definition, and the namespace that it is defined in.
type namedType struct {
	doc map[string]any
	ns  string
}

// fullName is a name in namespace ns (Avro 1.12, "Names").
func fullName(name, ns string) string {
	if ns == "" || strings.Contains(name, ".") {
		return name
	}
	return ns + "." + name
}

// naming gives a definition's full name, and the namespace inside it.
func naming(d map[string]any, ns string) (full, inner string, ok bool) {
	name, ok := d["name"].(string)
	switch d["type"] {
	case "record", "error", "enum", "fixed":
	default:
		return "", ns, false
	}
	if own, has := d["namespace"].(string); has {
		ns = own
	}
	full = fullName(name, ns)
	return full, full[:max(0, strings.LastIndexByte(full, '.'))], ok
}

// collect notes the definitions in doc. Its depth is that of the text, which
// NewAvro bounds for the same text.
func (a *avroNames) collect(doc any, ns string) {
	switch d := doc.(type) {
	case []any:
		for _, b := range d {
			a.collect(b, ns)
		}
	case map[string]any:
		full, inner, named := naming(d, ns)
		if named {
			a.defined[full] = namedType{d, ns}
			ns = inner
		}
		fields, _ := d["fields"].([]any)
		for _, f := range fields {
			if f, ok := f.(map[string]any); ok {
				a.collect(f["type"], ns)
			}
		}
		for _, k := range []string{"type", "items", "values"} {
			a.collect(d[k], ns)
		}
	}
}

// resolve follows a name, a union with null and {"type": …} to the type meant.
func (a *avroNames) resolve(doc any, ns string) (any, string) {
	for range len(a.defined) + maxAvroDepth {
		switch d := doc.(type) {
		case string:
			def, ok := a.defined[fullName(d, ns)]
			if !ok {
				return doc, ns
			}
			return def.doc, def.ns
		case []any:
			if len(d) == 2 && d[0] == "null" {
				doc = d[1]
			} else if len(d) == 2 && d[1] == "null" {
				doc = d[0]
			} else {
				return doc, ns
			}
		case map[string]any:
			if _, plain := d["type"].(string); plain && d["fields"] == nil && d["items"] == nil {
				if _, named := a.defined[fullName(d["type"].(string), ns)]; !named {
					return doc, ns
				}
				doc = d["type"]
			} else if plain {
				return doc, ns
			} else {
				doc = d["type"]
			}
		default:
			return doc, ns
		}
	}
	return doc, ns
}

// step goes one step of a path down.
func (a *avroNames) step(doc any, ns string, step Step) (any, string, bool) {
	doc, ns = a.resolve(doc, ns)
	d, ok := doc.(map[string]any)
	if !ok {
		return nil, "", false
	}
	if step.Kind == StepElements {
		return d["items"], ns, d["type"] == "array"
	}
	_, inner, _ := naming(d, ns)
	fields, _ := d["fields"].([]any)
	for _, f := range fields {
		if f, ok := f.(map[string]any); ok && f["name"] == step.Name {
			return f["type"], inner, true
		}
	}
	return nil, "", false
}

// write gives doc with full names, each type defined where it stands first.
func (a *avroNames) write(doc any, ns string) any {
	switch d := doc.(type) {
	case string:
		full := fullName(d, ns)
		def, ok := a.defined[full]
		switch {
		case !ok:
			return d
		case a.written[full]:
			return full
		}
		return a.write(def.doc, def.ns)
	case []any:
		out := make([]any, len(d))
		for i := range d {
			out[i] = a.write(d[i], ns)
		}
		return out
	case map[string]any:
		return a.writeObject(d, ns)
	}
	return doc
}

func (a *avroNames) writeObject(d map[string]any, ns string) any {
	out := map[string]any{}
	for k, v := range d {
		out[k] = v
	}
	full, inner, named := naming(d, ns)
	if named {
		if a.written[full] {
			return full
		}
		a.written[full] = true
		out["name"], ns = full, inner
		delete(out, "namespace")
	}
	for _, k := range []string{"type", "items", "values"} {
		if v, ok := out[k]; ok && !(named && k == "type") {
			out[k] = a.write(v, ns)
		}
	}
	if fields, ok := out["fields"].([]any); ok {
		list := make([]any, len(fields))
		for i := range fields {
			list[i] = fields[i]
			if f, ok := fields[i].(map[string]any); ok {
				list[i] = a.field(f, ns)
			}
		}
		out["fields"] = list
	}
	return out
}

func (a *avroNames) field(f map[string]any, ns string) any {
	out := map[string]any{}
	for k, v := range f {
		out[k] = v
	}
	out["type"] = a.write(f["type"], ns)
	return out
}
