package engine_test

import (
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// rows are change events: the row before the change and after it.
func rows(format schemas.Format) engine.Stream {
	return engine.Stream{Format: format, Fields: fieldRules("after", "user.contact", "before", "user.contact", "after.id", "user.unique_id", "before.id", "user.unique_id", "n", "system.operations"),
		Subjects: []engine.SubjectRule{{Name: "customer", Namespace: "crm", Paths: []string{"after.id", "before.id"}}}}
}

// said is what denies a record to purpose p; "" where nothing does.
func said(t *testing.T, it *engine.Item) string {
	t.Helper()
	d := decision(t, it, "p")
	if d.Permit != it.Audit.Subjects[0].Resolved || d.Permit != (output(it, "p") != nil) {
		t.Errorf("permit %v, resolved %v, output %v", d.Permit, it.Audit.Subjects[0].Resolved, output(it, "p"))
	}
	if d.Permit {
		return ""
	}
	return strings.Join(append([]string{d.Reason}, d.Secondary...), " ")
}

const (
	unresolved = "SUBJECT_UNRESOLVED"
	conflict   = "SUBJECT_UNRESOLVED SUBJECT_CONFLICT"
)

// Of several paths one must hold the identifier. What is missing or null at the
// others says nothing, and anything else there must be the same person.
func TestSubjectAtOneOfSeveralPaths(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{`{"before":{"id":42},"after":{"id":42}}`, ""},
		{`{"before":null,"after":{"id":42}}`, ""},
		{`{"before":{"id":42},"after":null}`, ""},
		{`{"before":{"id":42}}`, ""},
		{`{"before":{"id":42},"after":{"id":null}}`, ""},
		{`{"before":{"id":" 42"},"after":{"id":42}}`, ""},
		{`{"before":{"id":"\u0034\u0032"},"after":{"id":"4\u0032"}}`, ""},
		{`{"before":{"id":43},"after":{"id":42}}`, conflict},
		{`{"before":{"id":"\u0034\u0033"},"after":{"id":"\u0034\u0032"}}`, conflict},
		{`{"before":{"id":0},"after":{"id":42}}`, unresolved},
		{`{"before":{"id":""},"after":{"id":42}}`, unresolved},
		{`{"before":{"id":4.5},"after":{"id":42}}`, unresolved},
		{`{"before":{"id":42},"after":{"id":[42]}}`, unresolved},
		{`{"before":{"id":42},"after":{"id":{}}}`, unresolved},
		{`{"before":{"id":42},"after":{"id":true}}`, unresolved},
		{`{"before":null,"after":null,"n":1}`, unresolved},
		{`{"before":{},"after":{}}`, unresolved},
		{`{"n":1}`, unresolved},
		{`{"before":[{"id":43}],"after":{"id":42}}`, ""},
		// What one reader takes for the identifier, or finds it in, is not missing.
		{`{"BEFORE":{"id":42},"after":{"id":42}}`, unresolved},
		{`{"before":{"Id":43},"after":{"id":42}}`, unresolved},
		{`{"before":{"\u0049d":43},"after":{"id":42}}`, unresolved},
		{`{"before":{"x":{"Id":43,"BEFORE":1}},"after":{"id":42}}`, ""},
	} {
		r := newRig(t, rows(schemas.JSON), contract("p", "user", "keep", "system", "keep"))
		if got := said(t, r.value(c.value)); got != c.want {
			t.Errorf("%s: %q, want %q", c.value, got, c.want)
		}
	}
}

// Integers are written as text to be compared, one over the other.
func TestSubjectAtPathsOfAvro(t *testing.T) {
	const avsc = `{"type":"record","name":"E","fields":[{"name":"before","type":["null",{"type":"record","name":"R","fields":[{"name":"id","type":["null","long"]}]}]},
		{"name":"after","type":["null","R"]},{"name":"n","type":"int"}]}`
	const (
		none, null    = `null`, `{"R":{"id":null}}`
		one, two, bad = `{"R":{"id":{"long":42}}}`, `{"R":{"id":{"long":43}}}`, `{"R":{"id":{"long":0}}}`
	)
	for _, c := range []struct{ before, after, want string }{
		{one, one, ""}, {none, one, ""}, {one, none, ""}, {one, null, ""}, {null, one, ""},
		{one, two, conflict}, {two, one, conflict}, {bad, one, unresolved}, {one, bad, unresolved}, {none, none, unresolved}, {null, null, unresolved},
	} {
		r := newRig(t, rows(schemas.Avro), contract("p", "user", "keep", "system", "keep"))
		r.install(1, avsc)
		it := r.decide(engine.Input{Value: framed(t, 1, avsc, `{"before":`+c.before+`,"after":`+c.after+`,"n":1}`)})[0]
		if got := said(t, it); got != c.want {
			t.Errorf("before %s, after %s: %q, want %q", c.before, c.after, got, c.want)
		}
	}
}

// A writer's schema that lacks one of the paths says nothing there. One in which
// something else may stand there than is read names nobody.
func TestSubjectAtPathsOfOtherSchemas(t *testing.T) {
	for _, c := range []struct{ fields, value, want string }{
		{`{"name":"b","type":"string"}`, `{"b":"42"}`, ""},
		{`{"name":"b","type":"string"},{"name":"a","type":["null","string"]}`, `{"b":"42","a":null}`, ""},
		{`{"name":"b","type":"string"},{"name":"a","type":["string","long"]}`, `{"b":"42","a":{"long":43}}`, unresolved},
		{`{"name":"b","type":"string"},{"name":"a","type":["string","long"]}`, `{"b":"42","a":{"string":"42"}}`, unresolved},
		{`{"name":"b","type":"string"},{"name":"a","type":{"type":"record","name":"A","fields":[{"name":"x","type":"string"}]}}`, `{"b":"42","a":{"x":"43"}}`, unresolved},
		{`{"name":"b","type":"string"},{"name":"a","type":["string",{"type":"record","name":"A","fields":[{"name":"x","type":"string"}]}]}`, `{"b":"42","a":{"A":{"x":"43"}}}`, unresolved},
		{`{"name":"b","type":"string"},{"name":"a","type":{"type":"array","items":"string"}}`, `{"b":"42","a":["43"]}`, unresolved},
		{`{"name":"b","type":"string"},{"name":"a","type":"double"}`, `{"b":"42","a":43}`, unresolved},
		{`{"name":"b","type":"string"},{"name":"a","type":["string"]}`, `{"b":"42","a":{"string":"42"}}`, ""},
		{`{"name":"b","type":"string"},{"name":"a","type":["string"]}`, `{"b":"42","a":{"string":"43"}}`, conflict},
		{`{"name":"c","type":"string"}`, `{"c":"42"}`, unresolved},
	} {
		w := avroStream("a", "user.unique_id", "b", "user.unique_id", "c", "user.unique_id")
		w.Subjects = []engine.SubjectRule{{Name: "customer", Namespace: "crm", Paths: []string{"a", "b"}}}
		r := newRig(t, w, contract("p", "user", "keep"))
		avsc := `{"type":"record","name":"E","fields":[` + c.fields + `]}`
		r.install(1, avsc)
		if got := said(t, r.decide(engine.Input{Value: framed(t, 1, avsc, c.value)})[0]); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.value, c.fields, got, c.want)
		}
	}
}

// One path alone is read where its branch of a union is an identifier.
func TestSubjectInUnion(t *testing.T) {
	const avsc = `{"type":"record","name":"E","fields":[{"name":"id","type":["string",{"type":"record","name":"A","fields":[{"name":"x","type":"string"}]}]},{"name":"n","type":"int"}]}`
	for id, want := range map[string]string{`{"string":"42"}`: "", `{"A":{"x":"42"}}`: unresolved} {
		r := newRig(t, avroStream("id", "user.unique_id", "n", "user.behavior"), contract("p", "user.behavior", "keep"))
		r.install(1, avsc)
		if got := said(t, r.decide(engine.Input{Value: framed(t, 1, avsc, `{"id":`+id+`,"n":1}`)})[0]); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

// Key and header must agree with every path; elements have the identifier that
// they hold for a key, wherever it stands.
func TestSubjectAtPathsAndElsewhere(t *testing.T) {
	w := rows(schemas.JSON)
	w.Subjects[0].Key, w.Subjects[0].Header = true, "h"
	r := newRig(t, w, contract("p", "user", "keep", "system", "keep"))
	for _, c := range []struct{ key, header, value, want string }{
		{"42", "42", `{"before":{"id":"42"},"after":{"id":42}}`, ""},
		{"43", "42", `{"before":{"id":"42"},"after":{"id":42}}`, conflict},
		{"42", "43", `{"before":{"id":"42"},"after":null}`, conflict},
		{"42", "42", `{}`, unresolved},
		{"", "42", `{"before":{"id":"42"},"after":{"id":42}}`, unresolved},
	} {
		in := engine.Input{Key: []byte(c.key), Value: []byte(c.value), Headers: []engine.Header{{Key: "h", Value: []byte(c.header)}}}
		if got := said(t, r.decide(in)[0]); got != c.want {
			t.Errorf("key %q, header %q, %s: %q, want %q", c.key, c.header, c.value, got, c.want)
		}
	}
	w = rows(schemas.JSON)
	w.Split, w.Key.Subject = "[*]", "customer"
	r = newRig(t, w, contract("p", "user", "pseudonymize"), contract("q", "user", "keep"))
	it := r.value(`[{"before":{"id":"\u00342"},"after":null},{"after":{"id":42}},{"before":{"id":43},"after":{"id":"44"}}]`)
	if len(it.Outputs) != 4 || string(it.Outputs[1].Key) != "42" || string(it.Outputs[3].Key) != "42" || len(it.Outputs[0].Key) != 29 || string(it.Outputs[0].Key) != string(it.Outputs[2].Key) {
		t.Errorf("elements:\n%s", outputs(it))
	}
}

// An element that is withheld, since a predicate may choose it as [n] does, cannot be
// read: nobody knows who stands there.
func TestSubjectInAnElementChosenTwice(t *testing.T) {
	w := avroStream("id", "user.unique_id", "of[0].id", "user.unique_id", `of[k=="v"].id`, "user.unique_id")
	w.Subjects = []engine.SubjectRule{{Name: "customer", Namespace: "crm", Paths: []string{"of[0].id", "id"}}}
	r := newRig(t, w, contract("p", "user", "keep"))
	const avsc = `{"type":"record","name":"E","fields":[{"name":"id","type":"string"},{"name":"of","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"k","type":"string"},{"name":"id","type":"string"}]}}}]}`
	r.install(1, avsc)
	value := framed(t, 1, avsc, `{"id":"42","of":[{"k":"v","id":"43"}]}`)
	if got := said(t, r.decide(engine.Input{Value: value})[0]); got != unresolved {
		t.Errorf("%q, want %q", got, unresolved)
	}
	w.Topic, w.Format, w.Purposes = "in", schemas.JSON, []string{"p"}
	cfg := engine.Config{Policy: policyOf(contract("p", "user", "keep")), Streams: []engine.Stream{w}}
	wantFinding(t, cfg, "streams[0].subjects[customer].path[0]", "not a single value", "", false)
}

// Among elements, and where ** leads on, what is missing is told from what is not.
func TestSubjectMissingInElements(t *testing.T) {
	w := jsonStream("of[0].id", "user.unique_id", "id", "user.unique_id", "**.email", "user.contact.email")
	w.Subjects = []engine.SubjectRule{{Name: "customer", Namespace: "crm", Paths: []string{"of[0].id", "id"}}}
	r := newRig(t, w, contract("p", "user", "keep"))
	for value, want := range map[string]string{
		`{"id":42}`: "", `{"id":42,"of":[]}`: "", `{"id":42,"of":[{"x":{"id":43}}]}`: "", `{"id":42,"of":[{"id":42},{"ID":43}]}`: "",
		`{"id":42,"of":[null,{"id":43}]}`: "", `{"id":42,"of":null}`: "", `{"id":42,"of":[{"id":43}]}`: conflict,
		`{"id":42,"of":{"id":43}}`: "", `{"id":42,"of":[[{"id":43}]]}`: "",
		`{"id":42,"of":[{"ID":43}]}`: unresolved, `{"id":42,"OF":[{"id":43}]}`: unresolved,
	} {
		if got := said(t, r.value(value)); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

// What stands at any of the paths is an identifier of that subject: about them, and
// a pseudonym of their namespace.
func TestPathsAreOfTheirSubject(t *testing.T) {
	w := jsonStream("old", "user.unique_id", "new", "user.unique_id", "to", "user.unique_id")
	w.Subjects = []engine.SubjectRule{{Name: "to", Namespace: "crm", Paths: []string{"to"}}, {Name: "customer", Namespace: "crm", Paths: []string{"new", "old"}}}
	r := newRig(t, w, byConsent("p", "user", "keep"), byConsent("q", "user", "pseudonymize"))
	const value = `{"old":"42","new":"42","to":"1"}`
	r.sayOf("1", "grant", grants("p", "expressed"))
	if got, want := written(r.value(value), "p"), `{"to":"1","old":null,"new":null}`; got != want {
		t.Errorf("the customer does not permit: %s, want %s", got, want)
	}
	r.sayOf("1", "grant", grants("q", "expressed"))
	r.sayOf("42", "grant", grants("q", "expressed"))
	got := written(r.value(strings.ReplaceAll(value, `"1"`, `42`)), "q")
	if first := strings.Split(got, `"`)[3]; len(first) != 29 || strings.Count(got, first) != 3 {
		t.Errorf("three places of one person: %s", got)
	}
}

// A name that .* matches too may hold an object: of several paths that is not one
// person for certain.
func TestSubjectPathsBesideAnyMember(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "ref", "user.unique_id", "*.email", "user.contact.email", "*~key", "user")
	w.Subjects = []engine.SubjectRule{{Name: "customer", Namespace: "crm", Paths: []string{"id", "ref"}}}
	r := newRig(t, w, contract("p", "user", "keep"))
	for value, want := range map[string]string{
		`{"ref":"42"}`: "", `{"id":42,"ref":"42"}`: "", `{"id":43,"ref":"42"}`: conflict, `{"id":{"email":"e"},"ref":"42"}`: unresolved,
	} {
		if got := said(t, r.value(value)); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

// A key that is the identifier has the category of its paths, or none where they
// have several.
func TestKeyOfSeveralPaths(t *testing.T) {
	w := rows(schemas.JSON)
	w.Key.Subject = "customer"
	r := newRig(t, w, contract("p", "user.unique_id", "keep"))
	in := engine.Input{Key: []byte("42"), Value: []byte(`{"before":{"id":42}}`)}
	checkKey(t, "one category", output(r.decide(in)[0], "p"), "42")
	w.Fields[3].Category = "user.contact.email"
	cfg := engine.Config{Policy: policyOf(contract("p", "user", "keep")), Streams: []engine.Stream{w}}
	cfg.Streams[0].Topic, cfg.Streams[0].Purposes = "in", []string{"p"}
	wantFinding(t, cfg, "streams[0].key", "the same category", "", false)
}

func TestCheckSubjectPaths(t *testing.T) {
	const at = "streams[0].subjects[customer].path"
	for _, c := range []struct {
		paths       []string
		at, message string
		nearest     string
		warning     bool
	}{
		{[]string{"id", "a..b"}, at + "[1]", "column 3 of the path", "", false},
		{[]string{"id", `"id"`}, at + "[1]", "is the same path as id", "", false},
		{[]string{"id", "idd"}, at + "[1]", "not among fields", "id", true},
		{[]string{"id", "l[*]"}, at + "[1]", "element of an array", "", false},
		{[]string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}, at, "9 paths", "", false},
	} {
		cfg := soundJSON()
		cfg.Streams[0].Subjects[0].Paths = c.paths
		wantFinding(t, cfg, c.at, c.message, c.nearest, c.warning)
	}
}
