package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

const branched = `{"type":"record","name":"R","namespace":"x","fields":[{"name":"id","type":"string"},
 {"name":"u","type":["null","string","int",{"type":"record","name":"Who","fields":[{"name":"name","type":"string"}]}]},
 {"name":"both","type":["string","int"]},{"name":"none","type":["string","int"]},
 {"name":"e","type":[{"type":"enum","name":"A","symbols":["S"]},{"type":"fixed","name":"F","size":2}]},
 {"name":"loop","type":["null","string","R"]},{"name":"list","type":["null",{"type":"array","items":"R"}]}]}`

func branchedStream() engine.Stream {
	return engine.Stream{Topic: "in", Format: schemas.Avro, Schema: branched, Purposes: []string{"p"}, Subjects: []engine.SubjectRule{customer},
		Fields: fieldRules("id", "user.unique_id", "u.name", "user.name", "both", "user.behavior", "e", "user.contact", "loop", "user.behavior", "list", "user.behavior")}
}

// Of a union, what is said of one branch is not said of the others.
func TestOutcomesOfBranches(t *testing.T) {
	r := newRig(t, branchedStream(), contract("p", "user.unique_id", "keep", "user.name", "keep", "user.behavior", "keep"))
	r.install(1, branched)
	outcomes, err := r.stream.Outcomes(1, "p")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, o := range outcomes {
		fmt.Fprintf(&got, "%s/%s:", o.Path, o.Branch)
		for _, f := range o.Fields {
			got.WriteString(f.Treatment)
		}
		if o.Recursive {
			got.WriteString("recursive")
		}
		got.WriteString(" ")
	}
	const want = "id/:keep u/string: u/int: u.name/:keep both/:keep none/: e/:drop loop/string:keep loop/recursive type x.R:recursive list[*]/:recursive "
	if got.String() != want {
		t.Errorf("got  %s\nwant %s", got.String(), want)
	}
	for _, missing := range []struct {
		id      int
		purpose string
	}{{2, "p"}, {1, "q"}} {
		if o, err := r.stream.Outcomes(missing.id, missing.purpose); len(o) > 0 || err != nil {
			t.Errorf("%+v: %v, %v", missing, o, err)
		}
	}
}

// What a JSON Schema declares and the wiring does not name has an outcome too.
func TestOutcomesOfJSONSchema(t *testing.T) {
	w := engine.Stream{Format: schemas.JSONSchema, Fields: fieldRules("id", "user.unique_id", "a.x", "user.behavior")}
	r := newRig(t, w, contract("p", "user", "keep"))
	r.install(1, `{"properties":{"id":{},"a":{"properties":{"x":{},"y":{}}},"m":{"additionalProperties":{"type":"string"}}}}`)
	outcomes, err := r.stream.Outcomes(1, "p")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range outcomes {
		got = append(got, fmt.Sprintf("%s:%d", o.Path, len(o.Fields)))
	}
	if want := "id:1 a.x:1 a.y:0 m.*~key:0 m.*:0"; strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

// Lint names the branch that is withheld, and a union only where all of it is.
func TestCheckBranches(t *testing.T) {
	cfg := sound()
	cfg.Streams[0] = branchedStream()
	wantFinding(t, cfg, "streams[0].fields", "3 fields are withheld, since no rule classifies them: u (string), u (int), none", "", true)
	wantFinding(t, cfg, "streams[0].fields", "withheld whatever its category: loop (recursive type x.R), list[*]; a type that contains itself", "", true)
}

// In JSON a path is one leaf, and a text of JSON all that is in it.
func TestOutcomesOfJSON(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "n", "system")
	w.Fields = append(w.Fields, engine.FieldRule{Path: "text", Nested: &engine.NestedRule{Fields: fieldRules("a", "system", "b", "user.name")}})
	r := newRig(t, w, contract("p", "user.unique_id", "keep", "system", "redact"))
	outcomes, err := r.stream.Outcomes(0, "p")
	if err != nil || len(outcomes) != 3 {
		t.Fatalf("%+v, %v", outcomes, err)
	}
	if f := outcomes[2].Fields; len(f) != 2 || f[0].Path != "text{json}.a" || f[0].Treatment != "redact" || f[1].Treatment != "drop" {
		t.Errorf("%+v", f)
	}
}
