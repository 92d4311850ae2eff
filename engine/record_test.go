package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// Bad input is one item's fault, with a code and a path of rule names.
func TestBadInputJSON(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "contact.email", "user.contact.email")
	w.RecordBytes = 100
	r := newRig(t, w, contract("p", "user", "keep"))
	long := `{"id":"42","x":"` + strings.Repeat("y", 100-17-1) + `"}`
	for _, c := range []struct {
		value, path string
		code        schemas.Code
	}{
		{``, "", schemas.CodeEmptyValue}, {`{"id":"42"`, "id", schemas.CodeTruncated}, {`{"id":"42"} x`, "", schemas.CodeTrailingBytes},
		{`"42"`, "", schemas.CodeTopLevelScalar}, {`{"email":1,"EMAIL":2}`, "?", schemas.CodeDuplicateKey}, {`{"id":"42","ID":"43"}`, "id", schemas.CodeDuplicateKey},
		{`{"contact":{"email":"a","x":1,"X":2}}`, "contact.?", schemas.CodeDuplicateKey}, {"{\"id\":\"4\xff\"}", "id", schemas.CodeBadUTF8},
		{`{"x":"\ud800"}`, "?", schemas.CodeLoneSurrogate}, {strings.Repeat("[", 99), "?", schemas.CodeTooDeep}, {long + " ", "", schemas.CodeTooLarge},
	} {
		items := r.decide(engine.Input{Value: []byte(c.value)}, engine.Input{Value: []byte(`{"id":"42"}`)})
		r.wantFault(items[0], c.code, c.path)
		if written(items[1], "p") != `{"id":"42"}` {
			t.Errorf("%.20q: the next record became %q", c.value, written(items[1], "p"))
		}
	}
	if it := r.value(long); it.State != engine.StateDecided {
		t.Errorf("a record of exactly the limit: %v", it.Fault)
	}
	r.wantFault(r.decide(engine.Input{Key: []byte("k"), Value: []byte(long)})[0], schemas.CodeTooLarge, "")
}

const tagsSchema = `{"type":"record","name":"R","namespace":"crm","fields":[{"name":"id","type":"string"},{"name":"tags","type":{"type":"array","items":"string"}}]}`

func TestBadInputAvro(t *testing.T) {
	r := newRig(t, avroStream("id", "user.unique_id"), contract("p", "user", "keep"))
	r.install(1, tagsSchema)
	r.stream.Refuse(9, schemas.CodeBadSchema)
	for _, c := range []struct {
		value, path string
		code        schemas.Code
	}{
		{"", "", schemas.CodeEmptyValue}, {"\x01\x00\x00\x00\x01\x0442\x00", "", schemas.CodeBadMagic}, {"\x00\x00\x00", "", schemas.CodeTruncated},
		{"\x00\x00\x00\x00\x01\x0442\x00x", "", schemas.CodeTrailingBytes}, {"\x00\x00\x00\x00\x01\x064", "id", schemas.CodeTruncated},
		{"\x00\x00\x00\x00\x09\x0442\x00", "", schemas.CodeBadSchema}, {"\x00\xff\x00\x00\x01\x0442\x00", "", schemas.CodeUnknownSchema},
		{"\x00\x00\x00\x00\x01\x04\xff\xff\x00", "id", schemas.CodeBadUTF8},
		// the bomb: an array that says it has 2^27 elements
		{"\x00\x00\x00\x00\x01\x0442\x80\x80\x80\x80\x01", "tags", schemas.CodeTooManyItems},
	} {
		r.wantFault(r.decide(engine.Input{Value: []byte(c.value)})[0], c.code, c.path)
	}
}

// Schemas come and go while records wait for them.
func TestRescan(t *testing.T) {
	r := newRig(t, avroStream("id", "user.unique_id"), contract("p", "user", "keep"))
	in := engine.Input{Value: framed(t, 1, tagsSchema, `{"id":"42","tags":[]}`)}
	items := r.add(in, in, in)
	for _, it := range items {
		if it.State != engine.StateNeedsSchema || it.SchemaID != 1 {
			t.Fatalf("state %d, schema %d", it.State, it.SchemaID)
		}
	}
	if err := r.run(r.lookUp(), engine.Moment{Now: nowMs, Fence: r.states.Next()}); err != nil || items[0].State != engine.StateNeedsSchema {
		t.Fatalf("Decide without a schema: %v, state %d", err, items[0].State)
	}
	r.install(1, tagsSchema)
	r.batch.Fail(items[1], schemas.CodeUnknownSchema, "")
	for _, it := range items[:2] {
		r.batch.Rescan(it)
	}
	r.stream.Refuse(1, schemas.CodeBadSchema)
	r.batch.Rescan(items[2])
	if err := r.run(r.lookUp(), engine.Moment{Now: nowMs, Fence: r.states.Next()}); err != nil {
		t.Fatal(err)
	}
	if items[0].State != engine.StateDecided || len(items[0].Outputs) != 1 {
		t.Errorf("rescanned: state %d", items[0].State)
	}
	r.wantFault(items[1], schemas.CodeUnknownSchema, "") // failed for good
	r.wantFault(items[2], schemas.CodeBadSchema, "")
	r.install(1, tagsSchema)
	if it := r.decide(in)[0]; it.State != engine.StateDecided {
		t.Errorf("installed after it was refused: state %d, %v", it.State, it.Fault)
	}
	r.stream.Forget(1)
	if it := r.decide(in)[0]; it.State != engine.StateNeedsSchema {
		t.Errorf("forgotten: state %d", it.State)
	}
	if r.stream.Fields(1, "p") != nil {
		t.Error("the fields of a forgotten plan")
	}
}

// Fail is final: whatever is decided afterwards, the item's outputs are gone.
func TestFail(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id"), contract("p", "user", "keep"))
	good := engine.Input{Value: []byte(`{"id":"42"}`)}
	items := r.decide(good, good)
	r.batch.Fail(items[0], schemas.CodeTooLarge, "x")
	for range 2 {
		r.wantFault(items[0], schemas.CodeTooLarge, "x")
		if items[1].State != engine.StateDecided {
			t.Errorf("the other item: state %d", items[1].State)
		}
		if err := r.run(r.lookUp(), engine.Moment{Now: nowMs, Fence: r.states.Next()}); err != nil {
			t.Fatal(err)
		}
	}
}

// Decide starts over with newer states; nothing of an earlier call stays.
func TestDecideAgain(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id"), byConsent("p", "user", "keep"), contract("q", "user", "pseudonymize"))
	r.say("grant", grants("p", "explicit"))
	it := r.value(`{"id":"42"}`)
	if written(it, "p") == "" || len(it.Outputs) != 2 {
		t.Fatalf("before: %+v", it.Audit.Decisions)
	}
	r.say("withdraw", `,"purposes":["p"]`)
	if err := r.run(r.lookUp(), engine.Moment{Now: nowMs, Fence: r.states.Next()}); err != nil {
		t.Fatal(err)
	}
	if d := decision(t, it, "p"); len(it.Outputs) != 1 || output(it, "p") != nil || d.Permit || d.Output != nil || len(it.Audit.Decisions) != 2 || len(it.Audit.Subjects) != 1 {
		t.Errorf("after the withdrawal: %d outputs, %+v", len(it.Outputs), it.Audit.Decisions)
	}
}

// Rows that are no consistent cut (DECISION D4), or that were not asked for,
// leave nothing that could be produced.
func TestInconsistentCut(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id"), contract("p", "user", "keep"))
	r.say("grant", grants("p", "explicit"))
	items := r.decide(engine.Input{Value: []byte(`{"id":"7"}`)}, engine.Input{Value: []byte(`{"id":"42"}`)})
	st := func(rows []*consent.Row, cut ...consent.Vector) engine.States {
		return states{rows, cut}
	}
	row, _, _ := r.snap.State(1)
	for name, c := range map[string]struct {
		st    engine.States
		fence consent.Vector
	}{
		"watermark below the fence":        {st([]*consent.Row{nil, row}, consent.Vector{1}, consent.Vector{1}), consent.Vector{2}},
		"row above its watermark":          {st([]*consent.Row{nil, row}, consent.Vector{1}, consent.Vector{0}), consent.Vector{0}},
		"another partition count":          {st([]*consent.Row{nil, row}, consent.Vector{1}, consent.Vector{1, 0}), consent.Vector{1}},
		"a miss under an old watermark":    {st([]*consent.Row{nil, row}, consent.Vector{0}, consent.Vector{1}), consent.Vector{1}},
		"no answers":                       {st(nil), consent.Vector{1}},
		"one answer too few":               {st([]*consent.Row{nil}, consent.Vector{1}), consent.Vector{1}},
		"no watermarks":                    {st([]*consent.Row{nil, row}, nil, nil), consent.Vector{1}},
		"answers for more than was asked":  {st([]*consent.Row{nil, row, row}, consent.Vector{1}, consent.Vector{1}, consent.Vector{1}), consent.Vector{1}},
		"no fence where there are offsets": {st([]*consent.Row{nil, row}, consent.Vector{1}, consent.Vector{1}), nil},
	} {
		err := r.run(c.st, engine.Moment{Now: nowMs, Fence: c.fence})
		if !errors.Is(err, engine.ErrInconsistentCut) {
			t.Errorf("%s: %v", name, err)
		}
		for i, it := range items {
			if it.State != engine.StateScanned || it.Result != nil {
				t.Errorf("%s: item %d is in state %d with result %v", name, i, it.State, it.Result)
			}
		}
	}
	cut := consent.Vector{5}
	if err := r.run(st([]*consent.Row{nil, row}, cut, cut), engine.Moment{Now: nowMs, Fence: consent.Vector{0}}); err != nil {
		t.Fatal(err)
	}
	if items[0].Audit.Cut != nil || fmt.Sprint(items[1].Audit.Cut) != "[5]" {
		t.Errorf("cuts %v and %v: a decision on a row above the fence stands at the watermark, others at the fence", items[0].Audit.Cut, items[1].Audit.Cut)
	}
	if err := r.run(st([]*consent.Row{nil, row}, cut, cut), engine.Moment{Now: nowMs, Fence: consent.Vector{1}}); err != nil || items[1].Audit.Cut != nil {
		t.Errorf("%v, cut %v: a row below the fence stands at the fence", err, items[1].Audit.Cut)
	}
}

// A purpose of which nothing would be left is denied at run time too, where a
// new writer schema brings that about.
func TestEmptyProjection(t *testing.T) {
	r := newRig(t, avroStream("id", "user.unique_id", "n", "user.behavior"), contract("p", "user.behavior", "keep"), contract("q", "user", "keep"))
	avsc := `{"type":"record","name":"R","fields":[{"name":"id","type":"string"}]}`
	plan := r.install(1, avsc)
	if len(plan.Outputs()) != 1 || plan.Outputs()[0].Subject != "in.q-value" || strings.Contains(plan.Outputs()[0].Schema, "crm.") {
		t.Errorf("derived schemas: %+v", plan.Outputs())
	}
	it := r.decide(engine.Input{Value: framed(t, 1, avsc, `{"id":"42"}`)})[0]
	if d := decision(t, it, "p"); d.Permit || d.Reason != string(policy.PolicyUndefined) || len(it.Outputs) != 1 {
		t.Errorf("permit %v, %s, %d outputs", d.Permit, d.Reason, len(it.Outputs))
	}
}

// Where a treatment cannot take an Avro value, its purpose is denied; the
// others do not notice (P6).
func TestTreatmentFails(t *testing.T) {
	avsc := `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"u","type":{"type":"string","logicalType":"uuid"}}]}`
	r := newRig(t, avroStream("id", "user.unique_id", "u", "user.device"), contract("p", "user", "pseudonymize"), contract("q", "user.unique_id", "keep"))
	r.install(1, avsc)
	it := r.decide(engine.Input{Value: framed(t, 1, avsc, `{"id":"42","u":"no uuid"}`)})[0]
	if d := decision(t, it, "p"); d.Permit || d.Reason != string(policy.InputMalformed) || d.Output != nil {
		t.Errorf("p: permit %v, %s", d.Permit, d.Reason)
	}
	if out := output(it, "q"); len(it.Outputs) != 1 || out == nil || !decision(t, it, "q").Permit {
		t.Errorf("q: %d outputs", len(it.Outputs))
	}
}

// Gates open by explicit consent; closed, the field is null whatever it holds.
func TestFieldGate(t *testing.T) {
	for _, c := range []struct {
		consentType, want string
		gates             int32
	}{{"expressed", `{"id":"42","need":null}`, 0}, {"explicit", `{"id":"42","need":"ramp"}`, 1}} {
		r := newRig(t, jsonStream("id", "user.unique_id", "need", "user.health_and_medical"),
			byConsent("p", "user", "keep", "user.health_and_medical", "keep!"))
		r.say("grant", grants("p", c.consentType))
		it := r.value(`{"id":"42","need":"ramp"}`)
		if d := decision(t, it, "p"); written(it, "p") != c.want || d.Gates != c.gates {
			t.Errorf("%s: %s, gates %b", c.consentType, written(it, "p"), d.Gates)
		}
		if c.gates == 0 && written(r.value(`{"id":"42"}`), "p") != c.want {
			t.Errorf("a closed gate tells that the field is missing: %s", written(r.value(`{"id":"42"}`), "p"))
		}
	}
}

// What the audit knows of a record.
func TestAuditRecord(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id", "n", "user.behavior"), byConsent("p", "user", "keep"), contract("q", "user.behavior", "truncate"))
	r.say("grant", grants("p", "explicit"))
	it := r.decide(engine.Input{Offset: 17, Value: []byte(`{"id":"42","n":["a"]}`)})[0]
	a := &it.Audit
	if a.Kind != audit.LeafRecord || a.Offset != 17 || len(a.Subjects) != 1 || !a.Subjects[0].Resolved || a.Reason != "" || len(a.Decisions) != 2 {
		t.Errorf("%+v", a)
	}
	p, q := a.Decisions[0], a.Decisions[1]
	if p.Purpose != "p" || p.Basis != "consent" || !p.HasCited || p.CitedOffset != 0 || p.Withheld != 0 || p.Element != 0 || p.Subject != 0 {
		t.Errorf("%+v", p)
	}
	if q.Purpose != "q" || q.Basis != "contract" || q.HasCited || q.Withheld != 1 || q.Plan == p.Plan || q.Output.Topic != "in.q" {
		t.Errorf("%+v", q)
	}
	if a.Index != 0 || a.From != 0 || a.Lane != (audit.Lane{}) || a.Context != nil {
		t.Error("the engine filled what is the pipeline's")
	}
}

// TestContainerUnderScalarTreatment: what only a container's own rule covers is
// no scalar, so the treatment takes none of it; it is removed and counted.
func TestContainerUnderScalarTreatment(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id", "names", "user.name.last", "names.short", "user.name.first"),
		contract("p", "user.unique_id", "keep", "user.name.last", "mask", "user.name.first", "keep"))
	it := r.value(`{"id":"42","names":{"short":"Ada","long":"Augusta Ada","old":["x"]}}`)
	if out := output(it, "p"); out == nil || string(out.Value) != `{"id":"42","names":{"short":"Ada"}}` {
		t.Errorf("output: %+v", out)
	}
	if d := decision(t, it, "p"); d.Withheld != 2 {
		t.Errorf("%d values withheld, want 2", d.Withheld)
	}
}
