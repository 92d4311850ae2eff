package engine_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/linkedin/goavro/v2"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// rig is one stream of a hand-built configuration, and what its subjects said.
type rig struct {
	t      testing.TB
	cfg    engine.Config
	engine *engine.Engine
	stream *engine.CompiledStream
	batch  *engine.Batch
	lane   *engine.Lane
	states *consent.Memory
	snap   consent.Snapshot
	now    int64
	events int64
}

func testRing(t testing.TB, fill byte) *keys.Ring {
	t.Helper()
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{fill}, 256)), "test")
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// newRig compiles one stream; what the stream leaves open gets a usual value.
func newRig(t testing.TB, w engine.Stream, purposes ...policy.Purpose) *rig {
	t.Helper()
	return newRigOf(t, policyOf(purposes...), w)
}

func policyOf(purposes ...policy.Purpose) *policy.Policy {
	return &policy.Policy{Revision: 1, Namespaces: []policy.Namespace{{Name: "crm", Normalize: "trim"}}, Purposes: purposes}
}

func newRigOf(t testing.TB, p *policy.Policy, w engine.Stream) *rig {
	t.Helper()
	if w.Topic == "" {
		w.Topic = "in"
	}
	if w.Subjects == nil {
		w.Subjects = []engine.SubjectRule{customer}
	}
	if w.Purposes == nil {
		for i := range p.Purposes {
			w.Purposes = append(w.Purposes, p.Purposes[i].ID)
		}
	}
	r := &rig{t: t, now: nowMs, cfg: engine.Config{Policy: p, Streams: []engine.Stream{w}, Keys: testRing(t, 7)}}
	var err error
	if r.engine, err = engine.New(r.cfg); err != nil {
		t.Fatal(err)
	}
	r.stream, r.batch = r.engine.Stream(w.Topic), r.engine.NewBatch()
	r.lane = &engine.Lane{Lane: audit.Lane{Cluster: "c", Group: "g", Topic: w.Topic}, Stream: r.stream}
	tagger, err := engine.Tagger(p, r.cfg.Keys)
	if err != nil {
		t.Fatal(err)
	}
	r.states = consent.NewMemory(tagger)
	return r
}

var customer = engine.SubjectRule{Name: "customer", Namespace: "crm", Paths: []string{"id"}}

// jsonStream is a plain JSON stream of the paths and categories given in turn.
func jsonStream(fields ...string) engine.Stream {
	return engine.Stream{Format: schemas.JSON, Fields: fieldRules(fields...)}
}

func avroStream(fields ...string) engine.Stream {
	return engine.Stream{Format: schemas.Avro, Fields: fieldRules(fields...)}
}

func fieldRules(pairs ...string) (rules []engine.FieldRule) {
	for i := 0; i < len(pairs); i += 2 {
		rules = append(rules, engine.FieldRule{Path: pairs[i], Category: pairs[i+1]})
	}
	return rules
}

// contract is a purpose that needs no consent; rules as in treat.
func contract(id string, rules ...string) policy.Purpose {
	return policy.Purpose{ID: id, DataUse: "essential.service", Basis: policy.Contract, Treat: treat(rules...)}
}

func byConsent(id string, rules ...string) policy.Purpose {
	p := contract(id, rules...)
	p.Basis = policy.Consent
	return p
}

// treat reads category, treatment, category, treatment ... A treatment is its
// name, or one of those with a parameter; "keep!" needs explicit consent.
func treat(pairs ...string) (rules []policy.Rule) {
	for i := 0; i < len(pairs); i += 2 {
		name, gated := pairs[i+1], false
		if n := len(name) - 1; name[n] == '!' {
			name, gated = name[:n], true
		}
		spec := policy.Treatment{Name: name}
		switch name {
		case "mask":
			spec.Params = []policy.Param{{Name: "keep_first", Value: int64(1)}}
		case "truncate":
			spec.Params = []policy.Param{{Name: "n", Value: int64(2)}}
		case "constant":
			spec.Params = []policy.Param{{Name: "value", Value: "same"}}
		}
		rules = append(rules, policy.Rule{Category: pairs[i], Treatment: spec, RequiresExplicit: gated})
	}
	return rules
}

// install compiles a writer schema and gives its outputs ids from 100*id on.
func (r *rig) install(id int, avsc string) *engine.Plan {
	r.t.Helper()
	plan, err := r.stream.Plan(id, avsc)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range plan.Outputs() {
		plan.Outputs()[i].SchemaID = 100*id + i
	}
	r.stream.Install(id, plan)
	return plan
}

// say folds a consent event of subject crm:42; rest is more JSON members.
func (r *rig) say(action, rest string) {
	r.t.Helper()
	r.sayText(fmt.Sprintf(`{"id":"c%d","subject":{"namespace":"crm","value":"42"},"action":%q%s}`, r.events, action, rest))
}

// sayText folds a consent event.
func (r *rig) sayText(text string) {
	r.t.Helper()
	ev := consent.ParseUnkeyed([]byte(text), consent.Position{Offset: r.events}, nowMs-30*day, engine.Namespaces(r.cfg.Policy))
	if ev.Malformed != consent.NoFault {
		r.t.Fatalf("consent event: %s", ev.Malformed)
	}
	r.events++
	r.states.Fold(&ev)
}

// grants are the further members of a faultless grant.
func grants(purpose, consentType string) string {
	return fmt.Sprintf(`,"purposes":[%q],"consent_type":%q,"asserted_at":"2026-01-01T10:00:00Z","notice":{"id":"n","version":"1"},"evidence":{"method":"web_form","source":"shop"}`, purpose, consentType)
}

// add fills a new batch; inputs get their offsets from 0 on.
func (r *rig) add(inputs ...engine.Input) []*engine.Item {
	r.batch.Reset()
	for i, in := range inputs {
		in.Offset += int64(i)
		if in.Timestamp == 0 {
			in.Timestamp = nowMs - day
		}
		r.batch.Add(r.lane, in)
	}
	return r.batch.Items()
}

func (r *rig) lookUp() engine.States {
	r.states.Read(r.batch.Tags(), &r.snap)
	return &r.snap
}

// run decides the batch and lets every item keep its result; on an error none
// has one.
func (r *rig) run(st engine.States, m engine.Moment) error {
	kept := map[*engine.Item]*engine.Result{}
	err := r.batch.Decide(st, m, func(it *engine.Item) error {
		kept[it] = clone(it.Result)
		return nil
	})
	for it, result := range kept {
		if it.Result != nil {
			r.t.Error("an item has a result after Decide")
		}
		if err == nil {
			it.Result = result
		}
	}
	return err
}

func clone(r *engine.Result) *engine.Result {
	c := &engine.Result{Outputs: slices.Clone(r.Outputs), Audit: r.Audit}
	for i := range c.Outputs {
		c.Outputs[i].Headers = slices.Clone(c.Outputs[i].Headers)
	}
	c.Audit.Cut = slices.Clone(r.Audit.Cut)
	c.Audit.Subjects, c.Audit.Decisions = slices.Clone(r.Audit.Subjects), slices.Clone(r.Audit.Decisions)
	for i := range c.Audit.Decisions {
		d := &c.Audit.Decisions[i]
		d.Secondary = slices.Clone(d.Secondary)
		if d.Output != nil {
			out := *d.Output
			d.Output = &out
		}
	}
	return c
}

// states are answers that a test makes up.
type states struct {
	rows []*consent.Row
	cuts []consent.Vector
}

func (s states) Len() int { return len(s.rows) }

func (s states) State(i int) (*consent.Row, consent.Vector, error) { return s.rows[i], s.cuts[i], nil }

// decide takes inputs through both steps.
func (r *rig) decide(inputs ...engine.Input) []*engine.Item {
	r.t.Helper()
	items := r.add(inputs...)
	if err := r.run(r.lookUp(), engine.Moment{Now: r.now, Fence: r.states.Next()}); err != nil {
		r.t.Fatal(err)
	}
	return items
}

func (r *rig) value(text string) *engine.Item {
	r.t.Helper()
	return r.decide(engine.Input{Value: []byte(text)})[0]
}

func output(it *engine.Item, purpose string) *engine.Output {
	for i := range it.Outputs {
		if it.Outputs[i].Purpose == purpose {
			return &it.Outputs[i]
		}
	}
	return nil
}

func decision(t testing.TB, it *engine.Item, purpose string) *audit.Decision {
	t.Helper()
	for i := range it.Audit.Decisions {
		if it.Audit.Decisions[i].Purpose == purpose {
			return &it.Audit.Decisions[i]
		}
	}
	t.Fatalf("no decision on %s; state %d, fault %v", purpose, it.State, it.Fault)
	return nil
}

// written is the value of a purpose's output, "" for none.
func written(it *engine.Item, purpose string) string {
	if out := output(it, purpose); out != nil {
		return string(out.Value)
	}
	return ""
}

func (r *rig) wantFault(it *engine.Item, code schemas.Code, path string) {
	r.t.Helper()
	if it.State != engine.StateFaulted || it.Fault == nil || it.Fault.Code != code || it.Fault.Path != path {
		r.t.Errorf("state %d, fault %v; want %s at %q", it.State, it.Fault, code, path)
		return
	}
	if it.Result == nil {
		if err := r.run(r.lookUp(), engine.Moment{Now: r.now, Fence: r.states.Next()}); err != nil {
			r.t.Fatal(err)
		}
	}
	a := &it.Audit
	if a.Kind != audit.LeafQuarantine || a.Reason != string(policy.InputMalformed) || a.Detail != string(code) || a.Path != path ||
		len(it.Outputs)+len(a.Decisions)+len(a.Subjects) > 0 {
		r.t.Errorf("the audit of %s says kind %v, %s, %s, %q, %d decisions, %d outputs", code, a.Kind, a.Reason, a.Detail, a.Path, len(a.Decisions), len(it.Outputs))
	}
}

// framed is a value in Avro's JSON encoding as a framed record.
func framed(t testing.TB, id int, avsc, text string) []byte {
	t.Helper()
	codec, err := goavro.NewCodec(avsc)
	if err != nil {
		t.Fatal(err)
	}
	native, _, err := codec.NativeFromTextual([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	value, err := codec.BinaryFromNative(schemas.AppendFrame(nil, id), native)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// text renders an Avro output under its derived schema.
func text(t testing.TB, plan *engine.Plan, purpose string, value []byte) string {
	t.Helper()
	for _, o := range plan.Outputs() {
		if o.Purpose != purpose {
			continue
		}
		id, payload, f := schemas.ParseFrame(value)
		if f != nil || id != o.SchemaID {
			t.Fatalf("%s: frame of schema %d, %v; want %d", purpose, id, f, o.SchemaID)
		}
		codec, err := goavro.NewCodec(o.Schema)
		if err != nil {
			t.Fatal(err)
		}
		native, rest, err := codec.NativeFromBinary(payload)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%s: %v, %d bytes left", purpose, err, len(rest))
		}
		out, err := codec.TextualFromNative(nil, native)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	t.Fatalf("no derived schema for %s", purpose)
	return ""
}
