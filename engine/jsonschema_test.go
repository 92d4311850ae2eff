package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

const personSchema = `{"type":"object","properties":{"id":{"type":"string"},"email":{"type":"string","description":"words"},"n":{"type":"integer"},"items":{"type":"array","items":{"properties":{"id":{"type":"string"},"x":{"type":"number"}}}}}}`

// JSON behind the registry's frame: read as JSON, written under the id of the
// derived schema.
func TestJSONSchemaStream(t *testing.T) {
	w := engine.Stream{Format: schemas.JSONSchema, Fields: fieldRules("id", "user.unique_id", "email", "user.contact.email", "n", "system")}
	r := newRig(t, w, contract("p", "user.unique_id", "keep", "user.contact", "mask", "system", "keep"))
	framed := func(id int, text string) engine.Input {
		return engine.Input{Value: append(schemas.AppendFrame(nil, id), text...)}
	}
	in := framed(7, `{"id":"42","email":"ann@x","n":1.0,"secret":"s"}`)
	if it := r.add(in)[0]; it.State != engine.StateNeedsSchema || it.SchemaID != 7 {
		t.Fatalf("state %v", it.State)
	}
	if _, err := r.stream.Plan(7, `{"type":`); err == nil {
		t.Error("a broken schema has a plan")
	}
	plan := r.install(7, personSchema)
	want := engine.OutputSchema{Purpose: "p", Topic: "in.p", Subject: "in.p-value", SchemaID: 700, Format: schemas.JSONSchema,
		Schema: `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"id":{"type":"string"},"email":{"type":["null","string"]},"n":{"type":"integer"}},"additionalProperties":false}`}
	if got := plan.Outputs(); len(got) != 1 || got[0] != want {
		t.Errorf("outputs %+v", got)
	}
	it := r.decide(in)[0]
	id, payload, f := schemas.ParseFrame([]byte(written(it, "p")))
	if f != nil || id != 700 || string(payload) != `{"id":"42","email":"a****","n":1.0}` {
		t.Errorf("%d %s, %v", id, payload, f)
	}
	r.wantFault(r.decide(framed(7, `{"id":`))[0], schemas.CodeTruncated, "id")
	r.wantFault(r.decide(engine.Input{Value: []byte(`{"id":"42"}`)})[0], schemas.CodeBadMagic, "")
	if len(r.stream.PlainJSON()) != 0 {
		t.Error("a stream with schemas is no plain JSON")
	}
}

func TestJSONSchemaSplit(t *testing.T) {
	w := engine.Stream{Format: schemas.JSONSchema, Split: "items[*]", SplitElements: 9, Fields: fieldRules("id", "user.unique_id", "x", "system")}
	r := newRig(t, w, contract("p", "user", "keep", "system", "keep"))
	plan := r.install(7, personSchema)
	want := `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"id":{"type":"string"},"x":{"type":"number"}},"additionalProperties":false}`
	if got := plan.Outputs()[0].Schema; got != want {
		t.Errorf("schema %s", got)
	}
	it := r.decide(engine.Input{Value: append(schemas.AppendFrame(nil, 7), `{"items":[{"id":"42","x":1},{"id":"43","y":2}]}`...)})[0]
	var got []string
	for _, o := range it.Outputs {
		_, payload, _ := schemas.ParseFrame(o.Value)
		got = append(got, string(payload))
	}
	if fmt.Sprint(got) != `[{"id":"42","x":1} {"id":"43"}]` {
		t.Errorf("%s", got)
	}
}

// A new version of a JSON Schema brings new fields at every depth: all are withheld
// and listed, until somebody classifies them.
func TestJSONSchemaNewFields(t *testing.T) {
	const v1 = `{"properties":{"id":{"type":"string"},"a":{"properties":{"x":{"type":"string"}}},"c":{"type":"object"},"l":{"items":{"properties":{"x":{}}}}}}`
	v2 := strings.NewReplacer(`{"properties":{"x"`, `{"properties":{"new":{"type":"string"},"x"`, `"c":{`, `"new":{},"c":{"properties":{"new":{}},`).Replace(v1)
	w := engine.Stream{Format: schemas.JSONSchema, Fields: fieldRules("id", "user.unique_id", "a.x", "user.behavior", "c", "user.behavior", "l[*].x", "user.behavior")}
	r := newRig(t, w, contract("p", "user", "keep"))
	one, two := r.install(1, v1), r.install(2, v2)
	if want := []string{"a.new", "l[*].new", "new"}; len(one.Withheld) > 0 || !slices.Equal(two.Withheld, want) {
		t.Errorf("withheld %q and %q, want %q", one.Withheld, two.Withheld, want)
	}
	if a, b := one.Outputs()[0].Schema, two.Outputs()[0].Schema; a != b {
		t.Errorf("the derived schema changed: %s, %s", a, b)
	}
	it := r.decide(engine.Input{Value: append(schemas.AppendFrame(nil, 2), `{"id":"42","new":1,"a":{"x":"1","new":"canary"},"l":[{"new":"canary","x":2}]}`...)})[0]
	if got := written(it, "p")[5:]; got != `{"id":"42","a":{"x":"1"},"l":[{"x":2}]}` {
		t.Error(got)
	}
	w.Split, w.SplitElements, w.Fields = "l[*]", 9, fieldRules("id", "user.unique_id")
	if got := newRig(t, w, contract("p", "user", "keep")).install(1, v2).Withheld; !slices.Equal(got, []string{"new", "x"}) {
		t.Errorf("of elements %q", got)
	}
}

func TestCheckJSONSchema(t *testing.T) {
	cfg := soundJSON()
	cfg.Streams[0].Format = schemas.JSONSchema
	cfg.Streams[0].Schema = `{"properties":{"id":{}},"additionalProperties":false}`
	wantFinding(t, cfg, "streams[0].fields[email]", "does not declare email", "", true)
	cfg.Streams[0].Schema = `{"properties":{"id":{},"email":{},"other":{"properties":{"x":{}}}}}`
	wantFinding(t, cfg, "streams[0].fields", "other.x is withheld: no rule classifies it", "", true)
	cfg.Streams[0].Schema = `{"properties":`
	wantFinding(t, cfg, "streams[0].schema", "json schema", "", false)
	cfg.Streams[0].Schema = `{"oneOf":[` + strings.Repeat(`{"properties":{"id":{},"email":{}}},`, 300) + `{}]}`
	wantFinding(t, cfg, "streams[0].schema", "too many alternatives (oneOf, anyOf) at the record", "", false)
	cfg.Streams[0].Schema = ""
	cfg.Streams[0].Fields = append(cfg.Streams[0].Fields, fieldRules("m.*", "system")...)
	wantFinding(t, cfg, "streams[0].fields[m.*]", "m.*~key", "", false)
}

// What plain JSON outputs are is shown, and registered nowhere.
func TestPlainJSONSchemas(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id", "n", "system"), contract("p", "user", "keep"), contract("q", "system", "redact"))
	want := `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"n":{"type":"null"}},"additionalProperties":false}`
	if got := r.stream.PlainJSON(); len(got) != 2 || got[1].Schema != want || got[1].Subject != "" {
		t.Errorf("%+v", got)
	}
}

// What has another type than the wiring's own JSON Schema says is withheld, as in
// Avro. A schema that does not declare it says no type.
func TestJSONSchemaTypeChange(t *testing.T) {
	schema := func(f string) string {
		return `{"type":"object","properties":{"id":{"type":"string"},"a":{"type":"object","properties":{"f":` + f + `}}}}`
	}
	text := func(v string) string { return `{"id":"42","a":{"f":` + v + `}}` }
	for _, c := range []struct{ was, is, value, left string }{
		{`{"type":"string"}`, `{"type":["null","string"]}`, `"x"`, text(`"x"`)},
		{`{"type":"number"}`, `{"type":"integer"}`, `1`, text(`1`)},
		{`{"type":"string"}`, `{"type":"object"}`, `{"canary":1}`, `{"id":"42"}`},
		{`{"type":"string"}`, `{"type":"array","items":{"type":"string"}}`, `["canary"]`, `{"id":"42"}`},
		{`{"type":"string"}`, `{"oneOf":[{"type":"string"},{"type":"integer"}]}`, `1`, `{"id":"42"}`},
		{`{"type":"string"}`, `{}`, `1`, `{"id":"42"}`},
		{`{}`, `{"type":"integer"}`, `1`, text(`1`)},
	} {
		w := engine.Stream{Format: schemas.JSONSchema, Schema: schema(c.was), Fields: fieldRules("id", "user.unique_id", "a.f", "system")}
		r := newRig(t, w, contract("p", "user", "keep", "system", "keep"))
		plan := r.install(7, schema(c.is))
		it := r.decide(engine.Input{Value: append(schemas.AppendFrame(nil, 7), text(c.value)...)})[0]
		if got := written(it, "p")[5:]; got != c.left || slices.Contains(plan.Withheld, "a.f") != (c.left == `{"id":"42"}`) {
			t.Errorf("%s was %s: %s, withheld %q", c.is, c.was, got, plan.Withheld)
		}
	}
	w := engine.Stream{Format: schemas.JSONSchema, Schema: schema(`{"type":"string"}`), Fields: fieldRules("id", "user.unique_id", "a.f", "system")}
	r := newRig(t, w, contract("p", "user", "keep", "system", "keep"))
	r.install(7, `{"properties":{"a":{}}}`)
	if got := written(r.decide(engine.Input{Value: append(schemas.AppendFrame(nil, 7), text(`1`)...)})[0], "p")[5:]; got != text(`1`) {
		t.Errorf("declared by the wiring's schema alone: %s", got)
	}
}
