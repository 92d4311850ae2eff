package proof

import (
	"fmt"
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// valuesOf is the format of the values of a format's records.
func valuesOf(f schemas.Format) schemas.Format {
	if f == schemas.JSONSchema {
		return schemas.JSON
	}
	return f
}

// frame is a value as a record of JSON.
func (w *world) frame(v *value) []byte {
	var b []byte
	if w.stream.Format.Framed() {
		b = schemas.AppendFrame(nil, 1)
	}
	return append(b, v.json()...)
}

// reframed is a record under the schema that was drawn later.
func reframed(value []byte) []byte {
	_, payload, _ := schemas.ParseFrame(value)
	return append(schemas.AppendFrame(nil, evolvedID), payload...)
}

// drawSchema draws a schema that records may have: in Avro there is one. A JSON Schema
// is no more than what its author thinks of the records, and they may be others.
func (w *world) drawSchema(d *drawer) string {
	switch w.stream.Format {
	case schemas.Avro:
		return w.avsc(w.shape)
	case schemas.JSON:
		return ""
	}
	p := schemaDrawer{drawer: d, defs: map[string]string{}}
	text := p.schema(w.shape)
	if w.stream.Split != "" {
		text = `{"type":"array","items":` + text + `}`
		way := strings.Split(strings.TrimSuffix(w.stream.Split, "[*]"), ".")
		for i := len(way) - 1; i >= 0 && way[i] != ""; i-- {
			text = fmt.Sprintf(`{"type":"object","properties":{%q:%s}}`, way[i], text)
		}
	}
	return p.root(text)
}

// schemaDrawer writes JSON Schemas with canaries at all that says nothing of types.
type schemaDrawer struct {
	*drawer
	defs map[string]string
}

func (p *schemaDrawer) root(text string) string {
	if len(p.defs) == 0 && text != `true` { // which is one, of anything, and the engine wants an object
		return text
	}
	var defs []string
	for i := range len(p.defs) {
		name := fmt.Sprintf("canary%d", i)
		defs = append(defs, fmt.Sprintf("%q:%s", name, p.defs[name]))
	}
	return fmt.Sprintf(`{"definitions":{%s},"allOf":[%s]}`, strings.Join(defs, ","), text)
}

func (p *schemaDrawer) schema(s *shape) string {
	if p.rarely(15) {
		return pick(p.T, []string{`{}`, `true`, `{"type":"string"}`, `{"type":["integer","null"]}`, `{"type":"object"}`, `{"type":"array","items":{"type":"boolean"}}`, `{"$ref":"#/canary"}`, `{"type":"canary"}`})
	}
	text := p.bare(s)
	if s.null > 0 {
		text = fmt.Sprintf(`{%q:[%s,{"type":"null"}]}`, pick(p.T, []string{"anyOf", "oneOf"}), text)
	}
	switch p.n(0, 14) {
	case 0:
		return fmt.Sprintf(`{"oneOf":[{"type":"canary"},{"type":"boolean"},%s]}`, text)
	case 1:
		return fmt.Sprintf(`{"description":"canary","allOf":[%s,{"title":"canary"}]}`, text)
	case 2:
		name := fmt.Sprintf("canary%d", len(p.defs))
		p.defs[name] = text
		return fmt.Sprintf(`{"$ref":"#/definitions/%s"}`, name)
	}
	return text
}

// What schemas say besides, of values and not.
const (
	asides = `,"title":"canary","description":"canary","default":"canary","examples":["canary"],"$comment":"canary","confluent:tags":["canary"],"canary":{"type":"string"}`
	values = `,"enum":["canary",{"canary":1}],"const":"canary","pattern":"canary"`
)

func (p *schemaDrawer) bare(s *shape) string {
	more := ""
	if p.rarely(3) {
		more = pick(p.T, []string{asides, asides, values})
	}
	switch s.kind {
	case "record":
		var members []string
		for i, name := range s.names {
			if !p.rarely(8) {
				members = append(members, fmt.Sprintf("%q:%s", name, p.schema(s.kids[i])))
			}
		}
		if p.rarely(3) {
			members = append(members, `"canary":{"type":"string"}`)
		}
		more += pick(p.T, []string{"", "", `,"additionalProperties":false`, `,"additionalProperties":{"type":"string"}`, `,"patternProperties":{"^canary":{"type":"integer"}}`, `,"required":["canary"]`})
		return fmt.Sprintf(`{"type":"object","properties":{%s}%s}`, strings.Join(members, ","), more)
	case "array":
		return fmt.Sprintf(`{"type":"array",%q:%s%s}`, pick(p.T, []string{"items", "items", "prefixItems"}), p.schema(s.kids[0]), more)
	case "map":
		return fmt.Sprintf(`{"type":"object","additionalProperties":%s%s}`, p.schema(s.kids[0]), more)
	case "text":
		return `{"type":"string"` + more + `}`
	}
	t := map[string]string{"string": "string", "int": "integer", "boolean": "boolean", "null": "null", "float": "number", "double": "number"}[scalars[s.kind].base]
	if t == "" {
		t = "string"
	}
	return fmt.Sprintf(`{"type":%q%s}`, t, more)
}
