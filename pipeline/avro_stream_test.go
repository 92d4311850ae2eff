package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

const contactSchema = `{"type":"record","name":"contact","namespace":"crm","fields":[{"name":"id","type":"string"},{"name":"email","type":["null","string"]},{"name":"n","type":"int"}]}`

// avroRig has one Avro stream whose writer schema is registered as an id.
func avroRig(t *testing.T) (r *rig, id int) {
	r = newRig(t, avroOnly)
	id, err := r.Register(t.Context(), "events-value", contactSchema, schemas.Avro)
	if err != nil {
		t.Fatal(err)
	}
	return r, id
}

func avroOnly(cfg *Config) {
	s := rigStream(rigInput)
	s.Format = schemas.Avro
	s.Fields = []engine.FieldRule{{Path: "id", Category: "user.unique_id"}, {Path: "email", Category: "user.contact.email"}, {Path: "n", Category: "system.operations"}}
	cfg.Engine.Streams = []engine.Stream{s}
}

// contact is a framed record: id "1", email "a@b", n 5.
func contact(schema int) *kgo.Record {
	value := schemas.AppendFrame(nil, schema)
	value = append(value, 2, '1', 2, 6, 'a', '@', 'b', 10)
	return &kgo.Record{Topic: rigInput, Key: []byte("1"), Value: value}
}

func (r *rig) outage(change func(*memoryRegistry)) {
	r.memoryRegistry.mu.Lock()
	defer r.memoryRegistry.mu.Unlock()
	change(r.memoryRegistry)
}

// TestAvroSchemas: a writer schema that cannot be looked up holds its lane, an
// output schema that the registry refuses holds it under its name, an id that the registry
// does not know costs the record, and a schema that was learned needs no
// registry any more.
func TestAvroSchemas(t *testing.T) {
	r, id := avroRig(t)
	r.consent(1, "grant")
	run := r.start()
	r.eventually("ready", func() bool { return run.Status().Ready })
	holding := func(code HoldCode) func() bool {
		return func() bool {
			st := run.Status()
			return len(st.Holds) == 1 && st.Holds[0].Code == code && st.Holds[0].Lane == "events/0" && !st.Ready
		}
	}
	r.outage(func(m *memoryRegistry) { m.down = errBroken })
	r.produce(contact(id))
	r.eventually("registry hold", holding(HoldRegistry))
	r.outage(func(m *memoryRegistry) { m.down, m.refuse = nil, schemas.ErrIncompatible })
	r.eventually("incompatible hold", holding(HoldIncompatible))
	if n := len(r.read("consent.audit")); n != 0 {
		t.Fatalf("%d audit records while holding", n)
	}
	r.outage(func(m *memoryRegistry) { m.refuse = nil })
	r.audited(1)
	r.produce(contact(999), contact(id))
	r.audited(3)
	r.outage(func(m *memoryRegistry) { m.down = errBroken })
	r.produce(contact(id))
	seen := r.exactlyOnce(r.chains(r.audited(4)), rigInput, 0, 4)
	if a := seen[1]; a.Kind != audit.LeafQuarantine || a.Detail != string(schemas.CodeUnknownSchema) {
		t.Errorf("unknown schema: %v %s", a.Kind, a.Detail)
	}
	analytics := r.read(rigInput + ".analytics")
	if len(analytics) != 3 {
		t.Fatalf("%d records on analytics", len(analytics))
	}
	out, _, f := schemas.ParseFrame(analytics[0].Value)
	if f != nil {
		t.Fatal(f)
	}
	if text, err := r.memoryTexts(out); err != nil || text == contactSchema {
		t.Errorf("the output is framed with %q, %v", text, err)
	}
}

func (r *rig) memoryTexts(id int) (string, error) {
	r.outage(func(m *memoryRegistry) { m.down = nil })
	return r.Schema(r.t.Context(), id, schemas.Avro)
}

// TestGuard: a panic condemns the record that caused it, in the scan and in the
// decision, and a call that never ends ends the process.
func TestGuard(t *testing.T) {
	r := newRig(t)
	cfg := r.cfg.Engine
	cfg.Keys = r.cfg.Keys
	e, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(time.Hour, nil)
	defer g.stop()
	b := e.NewBatch()
	it, panicked := g.add(b, &engine.Lane{}, engine.Input{Value: []byte(`{}`)}) // a lane without a stream
	if !panicked || it.State != engine.StateFaulted || it.Fault.Code != schemas.CodePanic {
		t.Errorf("scan: panicked %v, %+v", panicked, it.Fault)
	}
	l := &engine.Lane{Stream: e.Stream(rigInput)}
	first, _ := g.add(b, l, engine.Input{Offset: 1, Value: []byte(`{"id":""}`)})
	second, _ := g.add(b, l, engine.Input{Offset: 2, Value: []byte(`{"id":""}`)})
	second.Lane = &engine.Lane{} // its decision looks at a stream that is not there
	third, _ := g.add(b, l, engine.Input{Offset: 3, Value: []byte(`{"id":""}`)})
	none := &consent.Snapshot{} // nobody is asked for
	handed := 0
	each := func(*engine.Item) error { handed++; return nil }
	if again, err := g.decide(b, none, engine.Moment{Now: 1}, each); !again || err != nil {
		t.Fatalf("decide: %v %v", again, err)
	}
	handed = 0
	if again, err := g.decide(b, none, engine.Moment{Now: 1}, each); again || err != nil || handed != 4 {
		t.Fatalf("decide again: %v %v", again, err)
	}
	if first.State != engine.StateDecided || second.State != engine.StateFaulted || third.State != engine.StateDecided {
		t.Errorf("states %v %v %v", first.State, second.State, third.State)
	}
}

func TestWatchdog(t *testing.T) {
	t.Parallel()
	ended := make(chan string, 1)
	g := newGuard(40*time.Millisecond, func(reason string) { ended <- reason })
	defer g.stop()
	for range 5 { // short calls, and long pauses outside of the engine
		g.enter()
		g.leave()
		time.Sleep(20 * time.Millisecond)
	}
	select {
	case <-ended:
		t.Fatal("ended although nothing is stuck")
	default:
	}
	g.enter()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("a stuck call does not end the process")
	}
}

// TestManySchemas: more writer schemas in one batch than a stream remembers are
// decided all the same, and what a wide schema withholds is one bounded line.
func TestManySchemas(t *testing.T) {
	r, id := avroRig(t)
	ids := make([]int, 0, 600)
	for n := range cap(ids) {
		ids = append(ids, r.variant(n))
	}
	r.contacts(0, ids...)
	r.contacts(1, id)
	wide := contactSchema[:len(contactSchema)-2]
	for n := range 30 {
		wide += fmt.Sprintf(`,{"name":"f%d","type":{"type":"array","items":"int"}}`, n)
	}
	wideID, err := r.Register(t.Context(), "events-value", wide+"]}", schemas.Avro)
	if err != nil {
		t.Fatal(err)
	}
	rec := contact(wideID)
	rec.Partition, rec.Value = 1, append(rec.Value, make([]byte, 30)...) // empty arrays
	r.produce(rec)
	run := r.start()
	lanes := r.chains(r.audited(602))
	r.exactlyOnce(lanes, rigInput, 0, 600)
	for o, a := range r.exactlyOnce(lanes, rigInput, 1, 2) {
		if a.Kind != audit.LeafRecord {
			t.Errorf("offset %d: %v %s", o, a.Kind, a.Detail)
		}
	}
	run.stop()
	lines := 0
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, fmt.Sprintf(`"schema_id":%d,`, wideID)) {
			lines++
			if !strings.Contains(line, `"fields":30,`) || !strings.Contains(line, `"f19[*]"]`) {
				t.Errorf("log: %s", line)
			}
		}
	}
	if lines == 0 {
		t.Error("nothing is said of the withheld fields")
	}
}

// TestPlanTooLarge: a writer schema with more classified fields than a document on
// the policies topic can name costs its records, and no lane stands still for it.
// Where the topic takes less than it did, the worker holds and names what mends it.
func TestPlanTooLarge(t *testing.T) {
	r, id := avroRig(t)
	r.cfg.Engine.Streams[0].Fields = append(r.cfg.Engine.Streams[0].Fields, engine.FieldRule{Path: "profile", Category: "user.behavior"})
	run := r.start()
	r.profiles(9000)
	r.contacts(0, id)
	r.contacts(1, id)
	lanes := r.chains(r.audited(3))
	r.exactlyOnce(lanes, rigInput, 0, 1)
	if a := r.exactlyOnce(lanes, rigInput, 1, 2)[0]; a.Kind != audit.LeafQuarantine || a.Detail != "plan_too_large" {
		t.Errorf("%v %s", a.Kind, a.Detail)
	}
	small := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "consent.policies", Err: kerr.MessageTooLarge, Count: -1})
	r.profiles(10)
	r.eventually("held", run.held(HoldProduce, "--entity-name consent.policies --add-config max.message.bytes="))
	small.Remove()
	r.exactlyOnce(r.chains(r.audited(4)), rigInput, 1, 3)
	run.stop()
}

// profiles registers a writer schema with so many fields more, all of them
// classified, and produces a record of it to partition 1.
func (r *rig) profiles(fields int) {
	r.t.Helper()
	var inner []string
	for n := range fields {
		inner = append(inner, fmt.Sprintf(`{"name":"f%d_%s","type":"int"}`, n, strings.Repeat("x", 60)))
	}
	id, err := r.Register(r.t.Context(), "events-value", contactSchema[:len(contactSchema)-2]+
		`,{"name":"profile","type":{"type":"record","name":"profile","fields":[`+strings.Join(inner, ",")+`]}}]}`, schemas.Avro)
	if err != nil {
		r.t.Fatal(err)
	}
	rec := contact(id)
	rec.Partition, rec.Value = 1, append(rec.Value, make([]byte, fields)...)
	r.produce(rec)
}
