package engine_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// fieldsOf shows a plan as "path=category:treatment", in layout order.
func fieldsOf(r *rig, schema int, purpose string) string {
	var parts []string
	for _, f := range r.stream.Fields(schema, purpose) {
		s := f.Path + "=" + f.Category + ":" + f.Treatment
		if f.Gate != "" {
			s += "!"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

const nested = `{"type":"record","name":"R","namespace":"crm","fields":[
 {"name":"id","type":"string"},
 {"name":"a","type":{"type":"record","name":"A","fields":[
   {"name":"x","type":"string"},{"name":"y","type":["null","string"]},
   {"name":"in","type":{"type":"array","items":{"type":"record","name":"E","fields":[{"name":"x","type":"string"},{"name":"z","type":"int"}]}}}]}},
 {"name":"m","type":{"type":"map","values":"string"}}]}`

// A category cascades, the most specific path wins, names beat wildcards.
func TestCategories(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []string
		want   string // path=category of the leaves that have one
	}{
		{"cascade", []string{"a", "user.contact"}, "a.x=user.contact a.y=user.contact a.in[*].x=user.contact a.in[*].z=user.contact"},
		{"most specific path", []string{"a", "user.contact", "a.y", "user.behavior", "a.in[*].z", "system"}, "a.x=user.contact a.y=user.behavior a.in[*].x=user.contact a.in[*].z=system"},
		{"in any order", []string{"a.in[*].z", "system", "a.y", "user.behavior", "a", "user.contact"}, "a.x=user.contact a.y=user.behavior a.in[*].x=user.contact a.in[*].z=system"},
		{"wildcard", []string{"a.*", "user.contact"}, "a.x=user.contact a.y=user.contact a.in[*].x=user.contact a.in[*].z=user.contact"},
		{"a name beats a wildcard", []string{"a.*", "user.contact", "a.x", "system"}, "a.x=system a.y=user.contact a.in[*].x=user.contact a.in[*].z=user.contact"},
		{"a longer wildcard beats a name", []string{"a.in", "user.contact", "*.*[*].x", "system"}, "a.in[*].x=system a.in[*].z=user.contact"},
		{"the first name wins", []string{"*.x", "user.contact", "a.*", "user", "**.x", "system"}, "a.x=user a.y=user a.in[*].x=system a.in[*].z=user"},
		{"a wildcard is no element", []string{"a.in.*", "user.contact"}, ""},
		{"elements", []string{"a.in[*]", "user.contact"}, "a.in[*].x=user.contact a.in[*].z=user.contact"},
		{"a tie classifies nothing", []string{"a.x", "user.contact", "a.x.**", "system", "a.y", "user.contact", "a.in", "user.contact"}, "a.y=user.contact a.in[*].x=user.contact a.in[*].z=user.contact"},
		{"a tie of one category is none", []string{"a.*", "user.contact", "a.*.**", "user.contact"}, "a.x=user.contact a.y=user.contact a.in[*].x=user.contact a.in[*].z=user.contact"},
		{"a map without its keys", []string{"m", "user.contact"}, "m.*=user.contact"},
		{"a map and its keys", []string{"m.*", "user.contact", "m.*~key", "system"}, "m.*~key=system m.*=user.contact"},
		{"nothing cascades onto keys", []string{"**", "user.contact", "a", "system"}, "a.x=system a.y=system a.in[*].x=system a.in[*].z=system m.*=user.contact"},
		{"quoted", []string{`"a"."x"`, "system"}, "a.x=system"},
	} {
		r := newRig(t, avroStream(append(c.fields, "id", "user.unique_id")...), contract("p", "user", "keep", "system", "keep"))
		r.install(1, nested)
		var got []string
		for _, f := range r.stream.Fields(1, "p") {
			if f.Path != "id" {
				got = append(got, f.Path+"="+f.Category)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, s, c.want)
		}
	}
}

// Health data is never covered by what is said of a person's data as a whole,
// and shows nothing without explicit consent, whatever a rule says.
func TestSpecialCategories(t *testing.T) {
	for _, c := range []struct{ rules, want string }{
		{"user keep", "drop"}, {"user.health_and_medical keep", "redact"}, {"user.health_and_medical mask", "redact"},
		{"user.health_and_medical keep!", "keep!"}, {"user.health_and_medical drop", "drop"}, {"user.health_and_medical constant", `constant(value="same")`},
		{"user keep!", "drop"}, {"user.health_and_medical redact!", "redact"}, {"user.health_and_medical mask!", "mask(keep_first=1)!"},
	} {
		for format, w := range map[string]engine.Stream{
			"json": jsonStream("id", "system", "h", "user.health_and_medical"), "avro": avroStream("id", "system", "h", "user.health_and_medical"),
		} {
			r := newRig(t, w, contract("p", append(strings.Fields(c.rules), "system", "keep")...))
			id := 0
			if format == "avro" {
				id = 1
				r.install(1, `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"h","type":"string"}]}`)
			}
			if got := fieldsOf(r, id, "p"); got != "id=system:keep h=user.health_and_medical:"+c.want {
				t.Errorf("%s, %s: %s", format, c.rules, got)
			}
		}
	}
}

// In JSON a category cascades over what nobody has listed; a longer path takes
// a member out of it, and so does a rule that does not cover it.
func TestCascadeJSON(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id", "a", "user.behavior", "a.mail", "user.contact.email", "a.health", "user.health_and_medical"),
		contract("p", "user.behavior", "keep", "user.contact", "mask"), contract("q", "user", "keep"))
	it := r.value(`{"id":"42","a":{"new":{"deep":[1]},"mail":"ada@x.org","health":"h","Mail":"case"},"b":1}`)
	r.wantFault(it, schemas.CodeDuplicateKey, "a.mail") // "Mail" beside "mail": readers disagree which counts
	it = r.value(`{"id":"42","a":{"new":{"deep":[1]},"mail":"ada@x.org","health":"h"},"b":1}`)
	if got := written(it, "p"); got != `{"a":{"new":{"deep":[1]},"mail":"a****"}}` {
		t.Errorf("p: %s", got)
	}
	if got := written(it, "q"); got != `{"id":"42","a":{"new":{"deep":[1]},"mail":"ada@x.org"}}` {
		t.Errorf("q: %s", got)
	}
}

// A new writer schema brings new fields at every depth: all are withheld and
// listed, until somebody classifies them.
func TestNewFieldsAreWithheld(t *testing.T) {
	const v1 = `{"type":"record","name":"R","namespace":"crm","fields":[{"name":"id","type":"string"},
	 {"name":"a","type":{"type":"record","name":"A","fields":[{"name":"x","type":"string"}]}},
	 {"name":"l","type":{"type":"array","items":{"type":"record","name":"E","fields":[{"name":"x","type":"string"}]}}}]}`
	v2 := strings.ReplaceAll(strings.Replace(v1, `{"name":"id","type":"string"},`, `{"name":"new","type":"string"},{"name":"id","type":"string"},`, 1),
		`{"name":"x","type":"string"}]`, `{"name":"x","type":"string"},{"name":"new","type":["null","string"]}]`)
	r := newRig(t, avroStream("id", "user.unique_id", "a.x", "user.behavior", "l[*].x", "user.behavior"), contract("p", "user", "keep"), contract("q", "user.behavior", "keep"))
	one, two := r.install(1, v1), r.install(2, v2)
	if len(one.Withheld) != 0 {
		t.Errorf("withheld of v1: %q", one.Withheld)
	}
	if want := []string{"new", "a.new", "l[*].new"}; !slices.Equal(two.Withheld, want) {
		t.Errorf("withheld of v2: %q, want %q", two.Withheld, want)
	}
	for i, o := range two.Outputs() {
		if !strings.Contains(o.Schema, `"crm.`+o.Purpose) {
			t.Errorf("%s: not in the namespace crm.%s: %s", o.Topic, o.Purpose, o.Schema)
		}
		if strings.Contains(o.Schema, "new") || o.Schema != one.Outputs()[i].Schema {
			t.Errorf("%s: the derived schema changed: %s", o.Purpose, o.Schema)
		}
	}
	a := r.decide(engine.Input{Value: framed(t, 1, v1, `{"id":"42","a":{"x":"1"},"l":[{"x":"2"}]}`)})[0]
	old := bytes.Clone(output(a, "p").Value)
	b := r.decide(engine.Input{Value: framed(t, 2, v2, `{"new":"canary","id":"42","a":{"x":"1","new":{"string":"canary"}},"l":[{"x":"2","new":null}]}`)})[0]
	if got := output(b, "p").Value; !bytes.Equal(got[5:], old[5:]) || text(t, one, "p", old) == "" {
		t.Errorf("v2 gives %q, v1 %q", got, old)
	}
}

// A listed path with a cascade covers new fields below it: that is what its
// author said. What a parent must not cover stays out.
func TestNewFieldsBelowACascade(t *testing.T) {
	r := newRig(t, avroStream("id", "user.unique_id", "a", "user.contact"), contract("p", "user", "keep"), contract("q", "user.unique_id", "keep"))
	plan := r.install(1, nested)
	if got := fieldsOf(r, 1, "p"); got != "id=user.unique_id:keep a.x=user.contact:keep a.y=user.contact:keep a.in[*].x=user.contact:keep a.in[*].z=user.contact:keep" {
		t.Error(got)
	}
	if !slices.Equal(plan.Withheld, []string{"m.*~key", "m.*"}) {
		t.Errorf("withheld: %q", plan.Withheld)
	}
	if got := fieldsOf(r, 1, "q"); got != "id=user.unique_id:keep a.x=user.contact:drop a.y=user.contact:drop a.in[*].x=user.contact:drop a.in[*].z=user.contact:drop" {
		t.Error(got)
	}
}

// A classified field whose type changes to one that a purpose's treatment does
// not take is dropped for that purpose, listed once, and kept for the others.
func TestTypeChange(t *testing.T) {
	schema := func(typ string) string {
		return `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"f","type":` + typ + `}]}`
	}
	r := newRig(t, avroStream("id", "user.unique_id", "f", "user.contact"),
		contract("p", "user.contact", "mask", "user.unique_id", "keep"), contract("q", "user.contact", "truncate", "user.unique_id", "keep"), contract("s", "user", "keep"))
	r.install(1, schema(`"string"`))
	if got := fieldsOf(r, 1, "p"); !strings.HasSuffix(got, "f=user.contact:mask(keep_first=1)") {
		t.Error(got)
	}
	for i, c := range []struct{ typ, withheld, left string }{
		{`"double"`, "f", ""},
		{`{"type":"map","values":"string"}`, "f.*~key", ""},
		{`["null","double","long"]`, "f", ""},
		{`["null","string","long"]`, "f", `{"name":"f","type":["null","string"],"default":null}`},
		{`{"type":"array","items":"double"}`, "f[*]", ""},
	} {
		plan := r.install(2+i, schema(c.typ))
		if !slices.Equal(plan.Withheld, []string{c.withheld}) {
			t.Errorf("%s: withheld %q", c.typ, plan.Withheld)
		}
		for _, o := range plan.Outputs()[:2] {
			if strings.Contains(o.Schema, `"f"`) != (c.left != "") || !strings.Contains(o.Schema, c.left) {
				t.Errorf("%s: %s has the field: %s", c.typ, o.Purpose, o.Schema)
			}
		}
	}
	it := r.decide(engine.Input{Value: framed(t, 2, schema(`"double"`), `{"id":"42","f":0.5}`)})[0]
	if got := written(it, "p"); got != "\x00\x00\x00\x00\xc8\x0442" {
		t.Errorf("p: %q", got)
	}
}
