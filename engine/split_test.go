package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

func splitStream(format schemas.Format, path string) engine.Stream {
	return engine.Stream{Format: format, Split: path, Subjects: []engine.SubjectRule{customer},
		Fields:    fieldRules("id", "user.unique_id", "n", "system.operations", "mail", "user.contact"),
		EventTime: engine.TimeRule{Path: "at", Unit: "ms"}}
}

// outputs are all that is written, with the elements that they come from.
func outputs(it *engine.Item) string {
	var parts []string
	for _, o := range it.Outputs {
		parts = append(parts, fmt.Sprintf("%d %s %s %s", o.Element, o.Purpose, o.Key, o.Value))
	}
	return strings.Join(parts, "\n")
}

// Each element is a record of its own: its subject, key, time, nonce and decisions.
func TestSplit(t *testing.T) {
	for _, path := range []string{"[*]", "batch.events[*]"} {
		w := splitStream(schemas.JSON, path)
		w.Key.Subject = "customer"
		w.Fields = append(w.Fields, engine.FieldRule{Path: "at", Category: "system.operations"})
		r := newRig(t, w, byConsent("p", "user.unique_id", "keep", "system", "keep"), contract("q", "user.unique_id", "pseudonymize"))
		r.say("grant", grants("p", "explicit"))
		elements := fmt.Sprintf(`[{"id":"42","n":1,"mail":"m","at":%d}, {"id":43,"n":2},{"n":3},{}, {"id":" 42 ","n":5}]`, nowMs-2*day)
		it := r.value(map[string]string{"[*]": elements, "batch.events[*]": `{"x":[1],"batch":{"y":2,"events":` + elements + `}}`}[path])
		q := func(i int) string { return string(it.Outputs[i].Key) }
		want := strings.Join([]string{
			fmt.Sprintf(`0 p 42 {"id":"42","n":1,"at":%d}`, nowMs-2*day), fmt.Sprintf(`0 q %s {"id":"%[1]s"}`, q(1)),
			fmt.Sprintf(`1 q %s {"id":"%[1]s"}`, q(2)), `4 p  42  {"id":" 42 ","n":5}`, fmt.Sprintf(`4 q %s {"id":"%[1]s"}`, q(1)),
		}, "\n")
		if got := outputs(it); got != want {
			t.Errorf("split at %s:\n%s\nwant\n%s", path, got, want)
		}
		r.wantDecisions(path, it, []string{"0 p customer true true", "0 q customer true true", "1 p customer false false", "1 q customer true true",
			"2 p customer false false", "2 q customer false false", "3 p customer false false", "3 q customer false false",
			"4 p customer true true", "4 q customer true true"})
		checkElements(t, it)
		if len(r.batch.Tags()) != 2 || it.Outputs[0].Timestamp != nowMs-2*day || it.Outputs[3].Timestamp != nowMs-day {
			t.Errorf("%d tags, timestamps %d and %d", len(r.batch.Tags()), it.Outputs[0].Timestamp, it.Outputs[3].Timestamp)
		}
	}
}

// checkElements wants subjects by element, and another nonce for each output.
func checkElements(t *testing.T, it *engine.Item) {
	t.Helper()
	s := it.Audit.Subjects
	if len(s) != 5 || !s[0].Resolved || !s[1].Resolved || s[2].Resolved || s[3].Resolved || s[4].Tag != s[0].Tag || s[1].Tag == s[0].Tag {
		t.Errorf("subjects %+v", s)
	}
	seen := map[string]bool{}
	for _, o := range it.Outputs {
		proof := string(o.Headers[len(o.Headers)-1].Value)
		if seen[proof] {
			t.Error("two outputs have one nonce")
		}
		seen[proof] = true
	}
	for _, d := range it.Audit.Decisions {
		if int(d.Subject) != int(d.Element) {
			t.Errorf("element %d is about subject %d", d.Element, d.Subject)
		}
	}
}

func TestSplitFaults(t *testing.T) {
	w := splitStream(schemas.JSON, "a[*]")
	w.SplitElements = 2
	r := newRig(t, w, contract("p", "user", "keep"))
	for value, want := range map[string]string{
		`{"a":[{},{},{}]}`:            "too_many_elements a[*]",
		`{"a":{}}`:                    "not_an_array a[*]",
		`{"b":[]}`:                    "not_an_array a[*]",
		`[{"a":[]}]`:                  "not_an_array a[*]",
		`{"a":[{},7]}`:                "top_level_scalar a[*]",
		`{"a":[null]}`:                "top_level_scalar a[*]",
		`{"a":[{"id":"1"},[]]}`:       "not_an_object a[*]",
		`{"a":[[{"id":"1"}]]}`:        "not_an_object a[*]",
		`{"a":[{"id":"1","ID":"2"}]}`: "duplicate_key a[*].?",
		`{"a":[{}]`:                   "truncated a[*]",
	} {
		it := r.value(value)
		if it.Fault == nil || fmt.Sprintf("%s %s", it.Fault.Code, it.Fault.Path) != want || len(it.Outputs)+len(it.Audit.Decisions) > 0 {
			t.Errorf("%s: %v, want %s", value, it.Fault, want)
		}
	}
	it := r.value(`{"a":[]}`)
	if it.State != engine.StateDecided || len(it.Outputs)+len(it.Audit.Decisions)+len(it.Audit.Subjects) > 0 {
		t.Errorf("no elements: %+v", it.Audit)
	}
	if it = r.value(`{"a":[{"id":"1"},{"id":"2"}]}`); len(it.Outputs) != 2 {
		t.Errorf("as many as may be: %v, %d outputs", it.Fault, len(it.Outputs))
	}
}

const splitBatch = `{"type":"record","name":"Batch","namespace":"crm","fields":[
	{"name":"to","type":{"type":"record","name":"Who","fields":[{"name":"id","type":"string"}]}},
	{"name":"events","type":{"type":"array","items":{"type":"record","name":"Event","fields":[
		{"name":"id","type":"long"},{"name":"n","type":["null","int"]},{"name":"mail","type":"string"},{"name":"by","type":"Who"}]}}}]}`

// In Avro the derived schema is that of an element.
func TestSplitAvro(t *testing.T) {
	w := splitStream(schemas.Avro, "events[*]")
	w.EventTime = engine.TimeRule{}
	w.Fields = append(w.Fields, engine.FieldRule{Path: "by", Category: "user.contact"})
	w.Schema = splitBatch
	r := newRig(t, w, byConsent("p", "user", "keep", "system", "keep"))
	plan := r.install(1, splitBatch)
	if schema := plan.Outputs()[0].Schema; !strings.Contains(schema, `"crm.p"`) || !strings.Contains(schema, `"Event"`) || strings.Contains(schema, "Batch") {
		t.Errorf("schema %s", schema)
	}
	r.say("grant", grants("p", "explicit"))
	event := `{"id":%d,"n":{"int":%d},"mail":"m","by":{"id":"b"}}`
	it := r.decide(engine.Input{Value: framed(t, 1, splitBatch, fmt.Sprintf(`{"to":{"id":"x"},"events":[`+event+`,`+event+`,`+event+`]}`, 42, 1, 43, 2, 42, 3))})[0]
	if len(it.Outputs) != 2 {
		t.Fatalf("%d outputs, fault %v", len(it.Outputs), it.Fault)
	}
	for i, n := range []string{"1", "3"} {
		got := text(t, plan, "p", it.Outputs[i].Value)
		if !strings.Contains(got, `"n":{"int":`+n+`}`) || !strings.Contains(got, `"id":42`) {
			t.Errorf("output %d: %s", i, got)
		}
	}
	if n := 2 * it.Outputs[0].Element; n != 0 || it.Outputs[1].Element != 2 {
		t.Errorf("elements %d and %d", it.Outputs[0].Element, it.Outputs[1].Element)
	}
}

// A tombstone of a stream that is split removes by the Kafka key, if that is a
// subject's, and nothing where the keys come from the elements.
func TestSplitTombstone(t *testing.T) {
	w := splitStream(schemas.JSON, "[*]")
	w.Key.Subject = "customer"
	r := newRig(t, w, contract("p", "user", "pseudonymize"))
	in := engine.Input{Key: []byte("42")}
	it := r.decide(in)[0]
	if d := decision(t, it, "p"); len(it.Outputs) > 0 || d.Permit || d.Reason != string(policy.Tombstone) {
		t.Errorf("keys from the elements: %+v", d)
	}
	w.Subjects[0] = engine.SubjectRule{Name: "customer", Namespace: "crm", Key: true}
	w.Key.Category = "user.unique_id"
	r = newRig(t, w, contract("p", "user", "pseudonymize"))
	if it = r.decide(in)[0]; len(it.Outputs) != 1 || it.Outputs[0].Value != nil || len(it.Outputs[0].Key) != 29 {
		t.Errorf("a subject's key: %+v", it.Outputs)
	}
	it = r.decide(engine.Input{Key: []byte("42"), Value: []byte(`[{"mail":"a"},{"mail":"b"}]`)})[0]
	if len(it.Outputs) != 2 || string(it.Outputs[0].Key) != string(it.Outputs[1].Key) || len(it.Outputs[0].Key) != 29 {
		t.Errorf("elements of the key's subject: %s", outputs(it))
	}
}

// A key that an element holds as a number or with escapes is text of its own.
func TestSplitKeys(t *testing.T) {
	w := splitStream(schemas.JSON, "[*]")
	w.Key.Subject = "customer"
	w.Headers = []engine.HeaderRule{{Name: "h", Category: "user.device"}}
	r := newRig(t, w, contract("p", "user.unique_id", "keep", "user.device", "mask"), contract("q", "user.unique_id", "mask"))
	in := engine.Input{Value: []byte(`[{"id":1234567},{"id":"a\u0062c"}]`), Headers: []engine.Header{{Key: "h", Value: []byte("zzzzzzzz")}}}
	var keys []string
	for _, o := range r.decide(in)[0].Outputs {
		keys = append(keys, string(o.Key))
	}
	if got, want := strings.Join(keys, " "), "1234567 1**** abc *****"; got != want {
		t.Errorf("keys %s, want %s", got, want)
	}
}

// What is split costs as much as its elements together.
func TestSplitCost(t *testing.T) {
	w := splitStream(schemas.JSON, "[*]")
	w.SplitElements = 100_000
	var purposes []policy.Purpose
	for i := range 10 {
		purposes = append(purposes, contract(fmt.Sprintf("p%d", i), "user", "keep"))
	}
	r := newRig(t, w, purposes...)
	r.wantFault(r.value("["+strings.Repeat("{},", 99_999)+"{}]"), schemas.CodeTooManyItems, "[*]")
	if it := r.value("[" + strings.Repeat("{},", 1_999) + "{}]"); it.Fault != nil || len(it.Audit.Decisions) != 20_000 {
		t.Errorf("%v, %d decisions", it.Fault, len(it.Audit.Decisions))
	}
}

func TestSplitAllocates(t *testing.T) {
	w := splitStream(schemas.JSON, "[*]")
	w.Key.Subject = "customer"
	r := newRig(t, w, contract("p", "user.unique_id", "pseudonymize", "user", "keep"), contract("q", "user", "mask"))
	in := engine.Input{Value: []byte(`[{"id":"42","mail":"a"},{"id":"43","mail":"b"}]`), Timestamp: nowMs - day}
	n := testing.AllocsPerRun(100, func() {
		r.batch.Reset()
		for range 10 {
			r.batch.Add(r.lane, in)
		}
		r.states.Read(r.batch.Tags(), &r.snap)
		if err := r.batch.Decide(&r.snap, engine.Moment{Now: r.now, Fence: r.states.Next()}, func(*engine.Item) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
	if n > 2 { // of the in-memory states
		t.Errorf("%v allocations for 10 records", n)
	}
}
