package engine_test

import (
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// singleStream has records that are single values, about whom the key names.
func singleStream(format schemas.Format, category string) engine.Stream {
	w := engine.Stream{Topic: "in", Format: format, Subjects: []engine.SubjectRule{{Name: "customer", Namespace: "crm", Key: true}},
		Key: engine.KeyRule{Subject: "customer", Category: "user.unique_id"}, Fields: fieldRules("", category)}
	return w
}

// A record that is a single value, where "" declares it: treated as a field is, and a
// null where it may not be seen. Objects and arrays go to quarantine.
func TestSingleValues(t *testing.T) {
	r := newRig(t, singleStream(schemas.JSON, "user.contact"), byConsent("p", "user.contact", "keep", "user.unique_id", "keep"),
		contract("q", "user.contact", "mask"), contract("s", "user.contact", "redact"), contract("g", "user.contact", "keep!"))
	in := func(value string) engine.Input { return engine.Input{Key: []byte("42"), Value: []byte(value)} }
	it := r.decide(in(`"ann@x"`))[0]
	for purpose, want := range map[string]string{"q": `"a****"`, "s": "null", "g": "null"} {
		if got := written(it, purpose); got != want {
			t.Errorf("%s: %s, want %s", purpose, got, want)
		}
	}
	if got := len(it.Outputs); got != 3 {
		t.Errorf("%d outputs without consent", got)
	}
	r.say("grant", grants("p", "explicit"))
	if got := written(r.decide(in(` 1.50 `))[0], "p"); got != "1.50" {
		t.Errorf("kept: %s", got)
	}
	it = r.decide(in("7"))[0]
	if got := written(it, "q"); got != "null" {
		t.Errorf("what the treatment does not take: %s", got)
	}
	for value, code := range map[string]schemas.Code{`{"a":1}`: schemas.CodeNotScalar, `["a"]`: schemas.CodeNotScalar, `"a`: schemas.CodeTruncated, `1 2`: schemas.CodeTrailingBytes} {
		r.wantFault(r.decide(in(value))[0], code, "")
	}
	if f := r.stream.Fields(0, "q"); len(f) != 1 || f[0].Path != "**" || f[0].Treatment == "keep" {
		t.Errorf("the plan says %+v", f)
	}
	outcomes, err := r.stream.Outcomes(0, "q")
	if err != nil || len(outcomes) != 1 || len(outcomes[0].Fields) != 1 {
		t.Errorf("outcomes %+v, %v", outcomes, err)
	}
}

// Elements of a split may be single values too, and records behind a frame.
func TestSingleValuesElsewhere(t *testing.T) {
	w := singleStream(schemas.JSON, "user.contact")
	w.Split, w.SplitElements = "[*]", 9
	it := newRig(t, w, contract("p", "user.contact", "keep")).decide(engine.Input{Key: []byte("42"), Value: []byte(`["a", null]`)})[0]
	if got := outputs(it); !strings.Contains(got, `"a"`) || len(it.Outputs) != 2 {
		t.Errorf("split: %s", got)
	}
	r := newRig(t, singleStream(schemas.JSONSchema, "user.contact"), contract("p", "user.contact", "mask"))
	plan := r.install(7, `{"type":"string"}`)
	if got := plan.Outputs()[0].Schema; !strings.HasSuffix(got, `"type":["null","string"]}`) || len(plan.Withheld) > 0 {
		t.Errorf("derived %s, withheld %q", got, plan.Withheld)
	}
	if got := written(r.decide(engine.Input{Key: []byte("42"), Value: append(schemas.AppendFrame(nil, 7), `"ann@x"`...)})[0], "p"); got[5:] != `"a****"` {
		t.Error(got)
	}
	w = singleStream(schemas.JSON, "")
	w.Fields = []engine.FieldRule{{Path: "", Nested: &engine.NestedRule{Fields: fieldRules("a", "user.contact")}}}
	if got := written(newRig(t, w, contract("p", "user.contact", "mask")).decide(engine.Input{Key: []byte("42"), Value: []byte(`"{\"a\":\"ann@x\",\"b\":1}"`)})[0], "p"); got != `"{\"a\":\"a****\"}"` {
		t.Error(got)
	}
}

func TestCheckSingleValues(t *testing.T) {
	for _, c := range []struct {
		change      func(w *engine.Stream)
		at, message string
	}{
		{func(w *engine.Stream) {}, "", ""},
		{func(w *engine.Stream) { w.Format = schemas.Avro }, "streams[0].fields[]", "an Avro record has fields"},
		{func(w *engine.Stream) { w.Fields = append(w.Fields, fieldRules("a", "system")...) }, "streams[0].fields[]", "no other path can stand beside it"},
		{func(w *engine.Stream) { w.Subjects[0].Paths = []string{"id"} }, "streams[0].subjects[customer].path", "no path leads into it"},
		{func(w *engine.Stream) { w.Subjects[0].Paths = []string{""} }, "streams[0].subjects[customer].path", "a path is empty"},
		{func(w *engine.Stream) { w.EventTime.Path = "at" }, "streams[0].event_time", "no path leads into it"},
	} {
		w := singleStream(schemas.JSON, "user.contact")
		w.Purposes = []string{"p"}
		c.change(&w)
		cfg := engine.Config{Policy: policyOf(contract("p", "user", "keep")), Streams: []engine.Stream{w}}
		if c.at == "" {
			if found := engine.Check(cfg); len(found) > 0 {
				t.Errorf("%+v", found)
			}
			continue
		}
		wantFinding(t, cfg, c.at, c.message, "", false)
	}
}
