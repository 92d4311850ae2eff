package engine_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
)

const taggedSchema = `{"type":"record","name":"crm.R","fields":[{"name":"id","type":"string"},
 {"name":"mail","type":"string","confluent:tags":["PII","MAIL"]},
 {"name":"a","confluent:tags":["PII"],"type":{"type":"record","name":"A","fields":[{"name":"x","type":"string"},
  {"name":"y","type":"string","confluent:tags":["OPS"]},{"name":"m","type":{"type":"map","values":"string"}}]}},
 {"name":"none","type":"string","confluent:tags":["UNKNOWN"]},
 {"name":"both","type":"string","confluent:tags":["PII","OPS"]}]}`

func taggedStream(fields ...string) engine.Stream {
	w := avroStream(fields...)
	w.Tags = []engine.TagRule{{Tag: "PII", Category: "user"}, {Tag: "MAIL", Category: "user.contact.email"}, {Tag: "OPS", Category: "system"}}
	return w
}

// Tags of a schema classify what no rule covers, and what lies below it; not the
// keys of maps. Of two, the more specific one counts; where there is none, neither.
func TestTags(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"tags", []string{"id", "user.unique_id"}, "id=user.unique_id:keep mail=user.contact.email:keep a.x=user:keep a.y=system:keep a.m.*=user:keep"},
		{"a rule wins", []string{"id", "user.unique_id", "mail", "system.operations", "a", "user.behavior"},
			"id=user.unique_id:keep mail=system.operations:keep a.x=user.behavior:keep a.y=user.behavior:keep a.m.*=user.behavior:keep"},
		{"of two tags a rule tells", []string{"id", "user.unique_id", "both", "system"}, "id=user.unique_id:keep mail=user.contact.email:keep a.x=user:keep a.y=system:keep a.m.*=user:keep both=system:keep"},
	} {
		r := newRig(t, taggedStream(c.fields...), contract("p", "user", "keep", "system", "keep"))
		plan := r.install(1, taggedSchema)
		if got := fieldsOf(r, 1, "p"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if !strings.HasPrefix(strings.Join(plan.Withheld, " "), "a.m.*~key none") {
			t.Errorf("%s: withheld %q", c.name, plan.Withheld)
		}
	}
}

// A tag that the wiring does not list may say anything of a position. It goes by no
// other tag then, of its own or of what it lies in, but still by a rule.
func TestUnlistedTag(t *testing.T) {
	const avsc = `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"a","confluent:tags":["OPS"],"type":{"type":"record","name":"A","fields":[
		{"name":"x","type":"string"},{"name":"y","type":"string","confluent:tags":["OPS","SECRET"]},{"name":"z","confluent:tags":["SECRET"],"type":
		{"type":"record","name":"Z","fields":[{"name":"z","type":"string"}]}},{"name":"r","type":["null","string"],"confluent:tags":["SECRET"]}]}}]}`
	w := avroStream("id", "user.unique_id", "a.r", "system")
	w.Tags = []engine.TagRule{{Tag: "OPS", Category: "system"}}
	r := newRig(t, w, contract("p", "system", "keep"))
	r.install(1, avsc)
	in := engine.Input{Value: framed(t, 1, avsc, `{"id":"42","a":{"x":"1","y":"2","z":{"z":"3"},"r":null}}`)}
	if got, want := string(output(r.decide(in)[0], "p").Value[5:]), "\x021\x00"; got != want {
		t.Errorf("a is %q, want %q: x and r", got, want)
	}
}

// A tag counts wherever it stands for a position: beside the name of a type, around a
// type, and where it cannot be read.
func TestTagsAnywhere(t *testing.T) {
	for _, ty := range []string{
		`{"type":"array","items":{"type":"E","confluent:tags":["SECRET"]}}`,
		`{"type":"array","items":{"type":{"type":"string"},"confluent:tags":["SECRET"]}}`,
		`{"type":"array","items":{"type":["string","long"],"confluent:tags":["SECRET"]}}`,
		`["null",{"type":"E","confluent:tags":["SECRET"]}]`,
		`["int",{"type":{"type":"string"},"confluent:tags":["SECRET"]},"null"]`,
		`{"type":"string","confluent:tags":"SECRET"}`,
		`{"type":"string","confluent:tags":[{"name":"SECRET"}]}`,
		`{"type":"string","confluent:tags":{"SECRET":true}}`,
	} {
		avsc := `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"a","confluent:tags":["OPS"],"type":` + ty + `}]}`
		w := avroStream("id", "user.unique_id", "e", "system")
		w.Tags = []engine.TagRule{{Tag: "OPS", Category: "system"}}
		r := newRig(t, w, contract("p", "system", "keep"))
		plan := r.install(1, avsc)
		if got := fieldsOf(r, 1, "p"); !slices.ContainsFunc(plan.Withheld, func(path string) bool { return strings.HasPrefix(path, "a") }) {
			t.Errorf("%s: nothing is withheld: %s", ty, got)
		}
	}
}

func TestCheckTags(t *testing.T) {
	cfg := sound()
	w := taggedStream("id", "user.unique_id", "none", "user")
	cfg.Streams[0].Fields, cfg.Streams[0].Tags, cfg.Streams[0].Schema = w.Fields, w.Tags, taggedSchema
	cfg.Streams[0].EventTime = engine.TimeRule{}
	wantFinding(t, cfg, "streams[0].tags", "both: its tags are both user and system", "", false)
	cfg.Streams[0].Tags = cfg.Streams[0].Tags[:2]
	wantFinding(t, cfg, "streams[0].fields", `fields are withheld, since no rule classifies them: a.y (tags: does not list its tag "OPS"), a.m.*~key, both (tags: does not list its tag "OPS")`, "", true)
}

// What has another type than the wiring's own schema says is withheld: the rule
// was written for something else. Null may come and go, and what a union has that
// was there before stays.
func TestReferenceTypeChange(t *testing.T) {
	schema := func(typ string) string {
		return `{"type":"record","name":"crm.R","fields":[{"name":"id","type":"string"},{"name":"f","type":` + typ + `},{"name":"m","type":{"type":"map","values":"long"}}]}`
	}
	const stamp = `{"type":"long","logicalType":"timestamp-millis"}`
	for _, c := range []struct{ was, is, withheld, left string }{
		{`"string"`, `"string"`, "", `"string"`},
		{`"string"`, `["null","string"]`, "", `["null","string"],"default":null`},
		{`"string"`, `"long"`, "f", ""},
		{`"long"`, stamp, "f", ""},
		{stamp, `"long"`, "f", ""},
		{`"string"`, `["string","long"]`, "f", `["null","string"],"default":null`},
		{`["string","long"]`, `"long"`, "", `"long"`},
		{`"string"`, `{"type":"record","name":"N","fields":[{"name":"x","type":"string"}]}`, "f.x", ""},
		{`"string"`, `{"type":"array","items":"string"}`, "f[*]", ""},
		{`{"type":"array","items":"string"}`, `{"type":"array","items":"long"}`, "f[*]", ""},
		{`{"type":"record","name":"N","fields":[{"name":"x","type":"string"}]}`, `{"type":"record","name":"N","fields":[{"name":"x","type":"long"},{"name":"y","type":"string"}]}`,
			"f.x", `{"type":"record","name":"N","fields":[{"name":"y","type":"string"}]}`},
	} {
		w := avroStream("id", "user.unique_id", "f", "user.contact", "m", "user.contact", "m.*~key", "system")
		w.Schema = schema(c.was)
		r := newRig(t, w, contract("p", "user", "keep", "system", "keep"))
		plan := r.install(1, schema(c.is))
		if got := strings.Join(plan.Withheld, " "); got != c.withheld {
			t.Errorf("%s was %s: withheld %q, want %q", c.is, c.was, got, c.withheld)
		}
		want := ""
		if c.left != "" {
			want = `{"name":"f","type":` + c.left + `},`
		}
		if out := plan.Outputs()[0].Schema; !strings.Contains(out, `{"name":"id","type":"string"},`+want+`{"name":"m"`) {
			t.Errorf("%s was %s: left %s, want %s", c.is, c.was, out, want)
		}
	}
}

// A new version of a schema with a type that contains itself goes on, also where
// paths cover that: what it holds of itself is withheld and listed.
func TestNewRecursiveType(t *testing.T) {
	const schema = `{"type":"record","name":"crm.R","fields":[{"name":"id","type":"string"},{"name":"tree","type":
	 {"type":"record","name":"N","fields":[{"name":"email","type":"string"},{"name":"kids","type":{"type":"array","items":"N"}}]}}]}`
	for _, path := range []string{"**.email", "tree", "tree.kids"} {
		w := avroStream("id", "user.unique_id", path, "user.contact.email")
		r := newRig(t, w, contract("p", "user", "keep"))
		plan := r.install(1, schema)
		if got := plan.Withheld; !slices.Contains(got, "tree.kids[*]") || path != "tree.kids" && len(got) > 1 {
			t.Errorf("%s: withheld %q", path, got)
		}
		it := r.decide(engine.Input{Value: framed(t, 1, schema, `{"id":"42","tree":{"email":"a@x","kids":[{"email":"canary","kids":[]}]}}`)})[0]
		if got := written(it, "p"); !strings.Contains(got, "42") || strings.Contains(got, "a@x") != (path != "tree.kids") || strings.Contains(got, "canary") {
			t.Errorf("%s: %q", path, got)
		}
		cfg := sound()
		cfg.Streams[0].Fields, cfg.Streams[0].Schema, cfg.Streams[0].EventTime = w.Fields, schema, engine.TimeRule{}
		wantFinding(t, cfg, "streams[0].fields", "withheld whatever its category: tree.kids[*]", "", true)
	}
}

// Elements that a predicate of the wiring is to choose from go by no rule where a
// writer's schema has no text there that it could be true of: else those that it was
// to take out would go by the rule of the others.
func TestPredicateThatASchemaLost(t *testing.T) {
	const element = `{"type":"record","name":"P","fields":[{"name":"v","type":"string"},%s]}`
	for _, c := range []struct{ prefix, key, value, want string }{
		{"p", `{"name":"k","type":"string"}`, `"k":"sku"`, "1"},
		{"p", `{"name":"k","type":["null","string"]}`, `"k":{"string":"sku"}`, "1"},
		{"p", `{"name":"k","type":{"type":"enum","name":"K","symbols":["sku"]}}`, `"k":"sku"`, "1"},
		{"p", `{"name":"k","type":["null","string","int"]}`, `"k":{"string":"email"}`, ""},
		{"p", `{"name":"k","type":"bytes"}`, `"k":"email"`, ""},
		{"p", `{"name":"K","type":"string"}`, `"K":"email"`, ""},
		{"p", `{"name":"name","type":"string"}`, `"name":"email"`, ""},
		{"**", `{"name":"k","type":"bytes"}`, `"k":"email"`, ""},
		{"*", `{"name":"K","type":"string"}`, `"K":"email"`, ""},
		{"**", `{"name":"name","type":"string"}`, `"name":"email"`, "1"}, // ** comes to arrays of all kinds
	} {
		w := avroStream("id", "user.unique_id", "p[*].v", "user.behavior", c.prefix+`[k=="email"].v`, "user.contact.email")
		r := newRig(t, w, contract("p", "user.unique_id", "keep", "user.behavior", "keep"))
		avsc := `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"p","type":{"type":"array","items":` + fmt.Sprintf(element, c.key) + `}}]}`
		r.install(1, avsc)
		out := output(r.decide(engine.Input{Value: framed(t, 1, avsc, `{"id":"42","p":[{"v":"1",`+c.value+`}]}`)})[0], "p")
		if out == nil || bytes.Contains(out.Value, []byte("1")) != (c.want == "1") {
			t.Errorf("%s[k==…] of %s: %+v, want %q", c.prefix, c.key, out, c.want)
		}
	}
}

// What a rule names in a map of Avro cannot be told from its other entries.
func TestRuleForAnEntryOfAMap(t *testing.T) {
	const avsc = `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"m","type":{"type":"map","values":"string"}}]}`
	for _, c := range []struct {
		fields []string
		want   bool
	}{
		{[]string{"m.*", "user.behavior"}, true},
		{[]string{"m.*", "user.behavior", "m.email", "user.contact.email"}, false},
		{[]string{"m.*", "user.behavior", "m.email.x", "user.contact.email"}, false},
		{[]string{"m", "user.behavior", "m.email", "user.contact.email"}, false},
		{[]string{"m.*", "user.behavior", "n.email", "user.contact.email"}, true},
	} {
		r := newRig(t, avroStream(append(c.fields, "id", "user.unique_id", "m.*~key", "user.behavior")...), contract("p", "user.unique_id", "keep", "user.behavior", "keep"))
		r.install(1, avsc)
		out := output(r.decide(engine.Input{Value: framed(t, 1, avsc, `{"id":"42","m":{"email":"1"}}`)})[0], "p")
		if out == nil || bytes.Contains(out.Value, []byte("email")) != c.want {
			t.Errorf("%s: %+v, want it there: %v", c.fields, out, c.want)
		}
	}
}
