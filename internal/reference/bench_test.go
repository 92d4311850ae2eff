package reference_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/internal/reference"
	"github.com/consentstream/consentstream/policy"
)

// tally counts what was met.
type tally struct {
	refused, faults, outputs, denied, several, elements, conflicts, gates, grounds, malformed, withheld int
}

type keyText struct {
	ring *keys.Ring
	ref  *reference.Keys
}

func keyFile(t *testing.T) keyText {
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{7}, 256)), "test")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := ring.Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := reference.ReadKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keyText{ring, ref}
}

// setup is a configuration of both sides.
type setup struct {
	policy, wiring string
	schema         string // of Avro records; "" for JSON
}

// bench holds both sides of one configuration.
type bench struct {
	*rapid.T
	setup
	key      keyText
	engine   *engine.Engine
	stream   *engine.CompiledStream
	batch    *engine.Batch
	ref      *reference.World
	states   *consent.Memory
	events   map[string][]reference.Event
	ns       consent.Namespaces
	purposes int
	next     int64
	offset   int64
}

const (
	now  = int64(1_790_000_000_000)
	long = int64(86_400_000)
)

// openBench gives nil for a configuration that is refused.
func openBench(t *rapid.T, key keyText, s setup) *bench {
	cfg, findings := configs.Load("w.yaml", func(string) (string, bool) { return "", false }, func(name string) ([]byte, error) {
		text, ok := map[string]string{"w.yaml": s.wiring, "policy.yaml": s.policy}[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	})
	if cfg == nil {
		for _, f := range findings {
			if f.Severity == configs.Error && !strings.Contains(f.Message, "would be left") && !strings.Contains(f.Message, "gates in one purpose") &&
				!strings.Contains(f.Message, "stands nowhere") && !strings.Contains(f.Message, "has no category") && !strings.Contains(f.Message, "the same category") && !strings.Contains(f.Message, "must be") {
				t.Fatalf("%v\n%s", f, s.wiring)
			}
		}
		return nil
	}
	b := &bench{T: t, key: key, setup: s, ns: engine.Namespaces(cfg.Policy), events: map[string][]reference.Event{}, purposes: len(cfg.Policy.Purposes)}
	var err error
	if b.engine, err = engine.New(engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: key.ring, Partitions: partitions}); err != nil {
		t.Fatal(err, s.wiring)
	}
	b.stream, b.batch = b.engine.Stream("in"), b.engine.NewBatch()
	tagger, err := engine.Tagger(cfg.Policy, key.ring)
	if err != nil {
		t.Fatal(err)
	}
	b.states = consent.NewMemory(tagger)
	b.reference()
	if s.schema != "" {
		b.install()
	}
	b.checkPlans()
	return b
}

func partitions(topic string) int32 { return int32(len(topic)) }

func (b *bench) reference() {
	b.ref = &reference.World{Keys: b.key.ref, Partitions: partitions}
	var err error
	if b.ref.Policy, err = reference.ReadPolicy([]byte(b.policy)); err != nil {
		b.Fatal(err)
	}
	if b.ref.Streams, err = reference.ReadStreams([]byte(b.wiring)); err != nil {
		b.Fatal(err)
	}
	b.ref.Streams[0].SplitElements = 3
	b.ref.Schema = func(id uint32) (string, bool) { return b.schema, id == 1 }
	b.ref.OutputID = func(topic string) (uint32, error) { return uint32(100 + topic[len(topic)-1]), nil }
}

func (b *bench) install() {
	plan, err := b.stream.Plan(1, b.schema)
	if err != nil {
		b.Fatalf("%v\n%s\n%s", err, b.schema, b.policy)
	}
	for i := range plan.Outputs() {
		o := &plan.Outputs()[i]
		o.SchemaID = 100 + int(o.Topic[len(o.Topic)-1])
		a, err := b.ref.Avro(b.ref.Streams[0], o.Purpose, 1)
		if err == nil {
			err = a.CheckSchema(o.Schema)
		}
		if err != nil {
			b.Fatalf("%v\n%s\n%s\n%s", err, b.schema, b.wiring, b.policy)
		}
	}
	b.stream.Install(1, plan)
}

// checkPlans compares what both say that is done with each position.
func (b *bench) checkPlans() {
	for _, doc := range b.engine.Documents() {
		var d struct{ Kind, Purpose string }
		if err := json.Unmarshal(doc.Value, &d); err != nil || d.Kind != "plan" {
			continue
		}
		id := uint32(0)
		if b.schema != "" {
			id = 1
		}
		if err := b.ref.CheckPlan(doc.Value, b.ref.Streams[0], d.Purpose, id); err != nil {
			b.Fatalf("%v\n%s\n%s\n%s", err, b.schema, b.wiring, b.policy)
		}
	}
}

// consents lets some identifiers agree, some explicitly, some withdraw, and some limit
// the use of sensitive data.
func (b *bench) consents() {
	for _, id := range []string{"crm:42", "crm:43", "email:ann@x.example", "email:42"} {
		for i := range b.purposes {
			said := rapid.SampledFrom([]string{"", "expressed", "explicit", "explicit", "withdraw", "limit", "limited before"}).Draw(b.T, id)
			if said == "" {
				continue
			}
			of := fmt.Sprintf(`,"purposes":["p%d"]`, i)
			if said == "limited before" {
				b.say(id, "limit_sensitive", `,"asserted_at":"2025-12-01T10:00:00Z"`)
			}
			if said != "limit" {
				kind := "explicit"
				if said == "expressed" {
					kind = said
				}
				b.say(id, "grant", of+fmt.Sprintf(`,"consent_type":%q,"asserted_at":"2026-01-01T10:00:00Z","notice":{"id":"n","version":"1"},"evidence":{"method":"m","source":"s"}`, kind))
			}
			switch said {
			case "withdraw":
				b.say(id, "withdraw", of)
			case "limit":
				b.say(id, "limit_sensitive", of)
			}
		}
	}
}

func (b *bench) say(id, action, rest string) {
	namespace, value, _ := strings.Cut(id, ":")
	text := fmt.Sprintf(`{"id":"c%d","subject":{"namespace":%q,"value":%q},"action":%q%s}`, b.next, namespace, value, action, rest)
	e := consent.Parse([]byte(id), []byte(text), consent.Position{Offset: b.next}, now-30*long, b.ns)
	b.states.Fold(&e)
	r := b.ref.Policy.ReadEvent([]byte(id), []byte(text), 0, b.next, now-30*long)
	b.events[r.Subject] = append(b.events[r.Subject], r)
	b.next++
}

// compare takes one record through both sides.
func (b *bench) compare(in engine.Input, met *tally) {
	in.Offset = b.offset
	b.offset++
	r := &reference.Input{Topic: "in", Offset: in.Offset, Timestamp: in.Timestamp, Key: in.Key, Value: in.Value}
	for _, h := range in.Headers {
		r.Headers = append(r.Headers, reference.Header(h))
	}
	want, err := b.ref.Process(r, reference.Moment{Now: now, Events: func(subject string) []reference.Event { return b.events[subject] }})
	if err != nil {
		b.Fatalf("the reference: %v\n%s", err, b.wiring+b.policy)
	}
	b.batch.Reset()
	lane := engine.Lane{Lane: audit.Lane{Cluster: "c", Group: "g", Topic: "in"}, Stream: b.stream}
	b.batch.Add(&lane, in)
	var snap consent.Snapshot
	b.states.Read(b.batch.Tags(), &snap)
	var got string
	if err := b.batch.Decide(&snap, engine.Moment{Now: now, Fence: consent.Vector{b.next}}, func(it *engine.Item) error {
		got = b.showItem(it, met)
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	if text := b.showResult(want); got != text {
		b.Fatalf("the engine says\n%s\nand the reference\n%s\nof %s key %q headers %q\n%s", got, text, in.Value, in.Key, in.Headers, b.schema+b.wiring+b.policy)
	}
}

// showItem is everything that the engine says of a record.
func (b *bench) showItem(it *engine.Item, met *tally) string {
	if it.State == engine.StateFaulted {
		met.faults++
		return string(it.Fault.Code)
	}
	var parts []string
	for i := range it.Audit.Subjects {
		s := &it.Audit.Subjects[i]
		tag := s.Tag[:]
		if !s.Resolved {
			tag = nil
		}
		parts = append(parts, fmt.Sprintf("%s %x", s.Name, tag))
	}
	outs := it.Outputs
	for i := range it.Audit.Decisions {
		d := &it.Audit.Decisions[i]
		b.count(it, d, met)
		parts = append(parts, fmt.Sprintf("%d %d %s %s %v %s %v withheld %d gates %d", d.Element, d.Subject, d.Purpose, d.Basis, d.Permit, d.Reason, d.Secondary, d.Withheld, d.Gates))
		if d.Output == nil {
			continue
		}
		o := &outs[0]
		outs = outs[1:]
		n := len(o.Headers) - 1
		parts = append(parts, b.showOutput(o.Topic, o.Partition, o.Timestamp, o.Key, o.Value, fmt.Sprintf("%q", o.Headers[:n]), o.Headers[n].Value, d.Output.Commitment[:]))
	}
	if len(outs) > 0 {
		parts = append(parts, "and outputs that no decision cites")
	}
	return strings.Join(parts, "\n")
}

func (b *bench) count(it *engine.Item, d *audit.Decision, met *tally) {
	if d.Output != nil {
		met.outputs++
	}
	if !d.Permit {
		met.denied++
	}
	if n := len(b.ref.Streams[0].Subjects); n > 1 && int(d.Subject)%n > 0 {
		met.several++
	}
	if d.Element > 0 {
		met.elements++
	}
	if slices.Contains(d.Secondary, "SUBJECT_CONFLICT") {
		met.conflicts++
	}
	if d.Gates&int32(policy.GateExplicit) > 0 {
		met.gates++
	}
	if d.Gates&int32(policy.GateGround) > 0 {
		met.grounds++
	}
	if d.Reason == string(policy.InputMalformed) {
		met.malformed++
	}
	met.withheld += int(d.Withheld)
}

func (b *bench) showOutput(topic string, partition int32, timestamp int64, key, value []byte, headers string, nonce, commitment []byte) string {
	return fmt.Sprintf("%s-%d at %d key %v %q value %v %q headers %s nonce %x commitment %x", topic, partition, timestamp, key == nil, key, value == nil, value, headers, nonce, commitment)
}

func (b *bench) showResult(r *reference.Result) string {
	if r.Fault != "" {
		return r.Fault
	}
	var parts []string
	for _, s := range r.Subjects {
		parts = append(parts, fmt.Sprintf("%s %x", s.Name, s.Tag))
	}
	for _, d := range r.Decisions {
		gates := 0
		if d.Explicit {
			gates = int(policy.GateExplicit)
		}
		if d.Grounded {
			gates |= int(policy.GateGround)
		}
		parts = append(parts, fmt.Sprintf("%d %d %s %s %v %s %v withheld %d gates %d", d.Element, d.Subject, d.Purpose, d.Basis, d.Permit, d.Reason, d.Secondary, d.Withheld, gates))
		if d.Output == nil {
			continue
		}
		nonce := b.key.ref.Nonce(d.Purpose, reference.Lane{Cluster: "c", Group: "g"}, b.offset-1, d.Element)
		sum := d.Output.Commitment(nonce)
		headers := []engine.Header{}
		for _, h := range d.Output.Headers {
			headers = append(headers, engine.Header(h))
		}
		o := d.Output
		parts = append(parts, b.showOutput(o.Topic, o.Partition, o.Timestamp, o.Key, o.Value, fmt.Sprintf("%q", headers), nonce, sum[:]))
	}
	return strings.Join(parts, "\n")
}
