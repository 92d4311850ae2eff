package eval

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// The libraries hold an Avro map in a Go map, whose order differs each time, while
// the order of an encoded map shows in its bytes, which the audit commits to. In
// binary a map is the same as an array of records {key, value} (Avro 1.12, "Arrays",
// "Maps"), which has an order. So maps are given to the libraries as such arrays, and
// come back as such. A map in a union with an array stays a map, since a union cannot
// have two arrays.

// avroShape is what of an Avro type says where its maps are.
type avroShape struct {
	kind    string
	entries bool                  // a map that the libraries take for an array
	inner   *avroShape            // of elements and values
	members map[string]*avroShape // of fields by name, of branches by tag
}

// mapShaper rewrites the maps of one schema. The zero mapShaper is ready.
type mapShaper struct {
	named map[string]*avroShape
	maps  int
}

// withoutMaps is the schema with entries in place of maps, and where those are:
// nil where there are none.
func withoutMaps(schema string) (string, *avroShape) {
	d := json.NewDecoder(strings.NewReader(schema))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return schema, nil
	}
	m := mapShaper{named: map[string]*avroShape{}}
	shape, _ := m.shape(v, "")
	text, err := json.Marshal(v)
	if err != nil || m.maps == 0 {
		return schema, nil
	}
	return string(text), shape
}

// shape also gives the tag that the type has as a branch of a union.
func (m *mapShaper) shape(schema any, namespace string) (s *avroShape, tag string) {
	switch v := schema.(type) {
	case string:
		if s = m.named[fullName(v, namespace)]; s != nil {
			return s, fullName(v, namespace)
		}
		return &avroShape{kind: v}, v
	case []any:
		return m.union(v, namespace), ""
	case map[string]any:
		if kind, ok := v["type"].(string); ok {
			return m.complex(v, kind, namespace)
		}
		return m.shape(v["type"], namespace)
	}
	return &avroShape{}, ""
}

func (m *mapShaper) union(branches []any, namespace string) *avroShape {
	s := &avroShape{kind: "union", members: map[string]*avroShape{}}
	for _, b := range branches {
		inner, tag := m.shape(b, namespace)
		s.members[tag] = inner
	}
	if of := s.members["map"]; of != nil && s.members["array"] == nil {
		of.entries = true
		for _, b := range branches {
			if v, _ := b.(map[string]any); v["type"] == "map" {
				m.asEntries(v)
			}
		}
	}
	return s
}

func (m *mapShaper) complex(v map[string]any, kind, namespace string) (s *avroShape, tag string) {
	s = &avroShape{kind: kind}
	name, _ := v["name"].(string)
	if ns, ok := v["namespace"].(string); ok {
		namespace = ns
	}
	full := fullName(name, namespace)
	switch kind {
	case "record", "enum", "fixed":
		m.named[full], tag = s, full
		namespace = full[:max(0, strings.LastIndexByte(full, '.'))]
		s.members = map[string]*avroShape{}
		fields, _ := v["fields"].([]any)
		for _, f := range fields {
			if f, ok := f.(map[string]any); ok {
				field, _ := f["name"].(string)
				s.members[field] = m.place(f, "type", namespace)
			}
		}
	case "array":
		s.inner, tag = m.place(v, "items", namespace), kind
	case "map":
		s.inner, tag = m.place(v, "values", namespace), kind
	default:
		return m.shape(kind, namespace)
	}
	return s, tag
}

// place is the type at a member of a definition, which is no branch of a union.
func (m *mapShaper) place(of map[string]any, member, namespace string) *avroShape {
	s, _ := m.shape(of[member], namespace)
	for v, _ := of[member].(map[string]any); v != nil; v, _ = v["type"].(map[string]any) {
		if v["type"] == "map" {
			s.entries = true
			m.asEntries(v)
		}
	}
	return s
}

// asEntries turns the definition of a map into that of an array. The record's
// namespace stays that of the map, for the names in its values.
func (m *mapShaper) asEntries(v map[string]any) {
	m.maps++
	v["type"], v["items"] = "array", map[string]any{"type": "record", "name": "consentstream_entry_" + strconv.Itoa(m.maps), "fields": []any{
		map[string]any{"name": "key", "type": "string"}, map[string]any{"name": "value", "type": v["values"]}}}
	delete(v, "values")
}

func fullName(name, namespace string) string {
	if namespace == "" || strings.Contains(name, ".") {
		return name
	}
	return namespace + "." + name
}

// fold gives a value in Avro's JSON encoding its entries in place of its maps,
// unfold the other way. What is not a value of the type stays as it is there: the
// library refuses it.
func (s *avroShape) fold(text []byte) []byte   { return s.convert(text, true) }
func (s *avroShape) unfold(text []byte) []byte { return s.convert(text, false) }

func (s *avroShape) convert(text []byte, fold bool) []byte {
	if s == nil || !json.Valid(text) {
		return text
	}
	var out bytes.Buffer
	s.write(&out, bytes.TrimSpace(text), fold)
	return out.Bytes()
}

// write writes the value of valid JSON without white space around it.
func (s *avroShape) write(out *bytes.Buffer, text []byte, fold bool) {
	switch {
	case s == nil:
		out.Write(text)
	case s.entries && text[0] == '{' && fold:
		s.writeEntries(out, text)
	case s.entries && text[0] == '[' && !fold:
		s.writeMap(out, text)
	case text[0] == '[' && s.kind == "array":
		list(out, "[]", text, func(d *json.Decoder) { s.inner.write(out, next(d), fold) })
	case text[0] == '{' && (s.kind == "record" || s.kind == "union" || s.kind == "map"):
		list(out, "{}", text, func(d *json.Decoder) {
			inner, name := s.member(nextName(d), fold)
			out.WriteString(quoted(name) + ":")
			inner.write(out, next(d), fold)
		})
	default:
		out.Write(text)
	}
}

func (s *avroShape) writeEntries(out *bytes.Buffer, text []byte) {
	list(out, "[]", text, func(d *json.Decoder) {
		out.WriteString(`{"key":` + quoted(nextName(d)) + `,"value":`)
		s.inner.write(out, next(d), true)
		out.WriteByte('}')
	})
}

func (s *avroShape) writeMap(out *bytes.Buffer, text []byte) {
	list(out, "{}", text, func(d *json.Decoder) {
		var e struct{ Key, Value json.RawMessage }
		if json.Unmarshal(next(d), &e) != nil || e.Key == nil || e.Value == nil {
			return // the library writes entries only
		}
		out.Write(append(e.Key, ':'))
		s.inner.write(out, e.Value, false)
	})
}

// member is what is under a name, and the name as it is on the other side: a
// union's branch is named by its type, which for a map with entries is another.
func (s *avroShape) member(name string, fold bool) (inner *avroShape, renamed string) {
	switch of := s.members["map"]; {
	case s.kind == "map":
		return s.inner, name
	case s.kind == "union" && of != nil && of.entries && fold && name == "map":
		return of, "array"
	case s.kind == "union" && of != nil && of.entries && !fold && name == "array":
		return of, "map"
	}
	return s.members[name], name
}

// list writes the items of a container between other brackets. each reads one item,
// of an object name and value, from d.
func list(out *bytes.Buffer, brackets string, text []byte, each func(d *json.Decoder)) {
	d := json.NewDecoder(bytes.NewReader(text))
	_, _ = d.Token() // the opening bracket: the JSON is valid
	out.WriteByte(brackets[0])
	for n := 0; d.More(); n++ {
		if n > 0 {
			out.WriteByte(',')
		}
		before := d.InputOffset()
		if each(d); d.InputOffset() == before {
			break // it was not valid after all, and More would say so for ever
		}
	}
	out.WriteByte(brackets[1])
}

// next is the next value of valid JSON.
func next(d *json.Decoder) (raw json.RawMessage) {
	_ = d.Decode(&raw)
	return raw
}

// nextName is the name of the next member of valid JSON.
func nextName(d *json.Decoder) string {
	tok, _ := d.Token()
	name, _ := tok.(string)
	return name
}

// quoted is a text as JSON has it, with < and > as they are.
func quoted(text string) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text has a form in JSON
	return strings.TrimSuffix(out.String(), "\n")
}
