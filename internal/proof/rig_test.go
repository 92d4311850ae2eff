package proof

import (
	"bytes"
	"fmt"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
)

const (
	day    = 86_400_000
	nowMs  = 1_795_262_400_000 // 2026-11-21T12:00:00Z
	offset = 5
)

// rig is one compiled stream, and what its people have said.
type rig struct {
	engine *engine.Engine
	stream *engine.CompiledStream
	lane   *engine.Lane
	batch  *engine.Batch
	states *consent.Memory
	names  consent.Namespaces
	snap   consent.Snapshot
	events int64
}

func open(p *policy.Policy, s engine.Stream) (*rig, error) {
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{7}, 256)), "test")
	if err != nil {
		return nil, err
	}
	r := &rig{names: engine.Namespaces(p)}
	// Enough partitions that another key is nearly always another partition.
	cfg := engine.Config{Policy: p, Streams: []engine.Stream{s}, Keys: ring, Partitions: func(string) int32 { return 64 }}
	if r.engine, err = engine.New(cfg); err != nil {
		return nil, err
	}
	tagger, err := engine.Tagger(p, ring)
	if err != nil {
		return nil, err
	}
	r.states, r.stream, r.batch = consent.NewMemory(tagger), r.engine.Stream(s.Topic), r.engine.NewBatch()
	r.lane = &engine.Lane{Lane: audit.Lane{Cluster: "c", Group: "g", Topic: s.Topic}, Stream: r.stream}
	return r, nil
}

// install compiles a writer schema and gives its outputs ids.
func (r *rig) install(id int, avsc string) error {
	plan, err := r.stream.Plan(id, avsc)
	if err != nil {
		return err
	}
	for i := range plan.Outputs() {
		plan.Outputs()[i].SchemaID = 100*id + i
	}
	r.stream.Install(id, plan)
	return nil
}

// event folds what somebody has said; rest is more JSON members.
func (r *rig) event(who, action, rest string) error { return r.eventIn("crm", who, action, rest) }

func (r *rig) eventIn(namespace, who, action, rest string) error {
	text := fmt.Sprintf(`{"id":"c%d","subject":{"namespace":%q,"value":%q},"action":%q%s}`, r.events, namespace, who, action, rest)
	ev := consent.ParseUnkeyed([]byte(text), consent.Position{Offset: r.events}, nowMs-30*day, r.names)
	if ev.Malformed != consent.NoFault {
		return fmt.Errorf("consent event: %s", ev.Malformed)
	}
	r.events++
	r.states.Fold(&ev)
	return nil
}

// decide hands the decided record over; it is void afterwards.
func (r *rig) decide(in engine.Input, each func(*engine.Item)) error {
	r.batch.Reset()
	r.batch.Add(r.lane, in)
	r.states.Read(r.batch.Tags(), &r.snap)
	return r.batch.Decide(&r.snap, engine.Moment{Now: nowMs, Fence: r.states.Next()}, func(it *engine.Item) error {
		each(it)
		return nil
	})
}

// shows is all that a record puts on each purpose's topic, by purpose, and the
// code of what is wrong with the record. With nonces, cs-proof is of it: which
// element an output comes from changes that one, and nothing else.
func (r *rig) shows(in engine.Input, nonces bool) (topics map[string]string, fault string, err error) {
	err = r.decide(in, func(it *engine.Item) { topics, fault = shown(it, nonces) })
	return topics, fault, err
}

func shown(it *engine.Item, nonces bool) (topics map[string]string, fault string) {
	topics = map[string]string{}
	if it.Fault != nil {
		fault = string(it.Fault.Code)
	}
	for i := range it.Outputs {
		o := &it.Outputs[i]
		if !nonces {
			o.Headers = o.Headers[:len(o.Headers)-1]
		}
		topics[o.Purpose] += fmt.Sprintf("topic %s partition %d time %d null key %v key %q tombstone %v value %q headers %q\n",
			o.Topic, o.Partition, o.Timestamp, o.Key == nil, o.Key, o.Value == nil, o.Value, o.Headers)
	}
	return topics, fault
}
