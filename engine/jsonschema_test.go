package engine_test

import (
	"fmt"
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
		Schema: `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"id":{"type":"string"},"email":{"type":["null","boolean","number","string"]},"n":{"type":"integer"}},"additionalProperties":false}`}
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

func TestCheckJSONSchema(t *testing.T) {
	cfg := soundJSON()
	cfg.Streams[0].Format = schemas.JSONSchema
	cfg.Streams[0].Schema = `{"properties":{"id":{}},"additionalProperties":false}`
	wantFinding(t, cfg, "streams[0].fields[email]", "does not declare email", "", true)
	cfg.Streams[0].Schema = `{"properties":`
	wantFinding(t, cfg, "streams[0].schema", "json schema", "", false)
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
