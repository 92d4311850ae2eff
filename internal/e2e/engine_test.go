package e2e

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/configs"
	csconsent "github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/internal/reference"
	"github.com/consentstream/consentstream/schemas"
)

// TestEngine holds the engine against the reference on the same input without
// any server: leaves and outputs of single records, at a consent log that grows
// from batch to batch. What needs servers (transactions, cuts, order) it leaves
// to the tests beside it.
func TestEngine(t *testing.T) {
	w := &world{t: t, dir: t.TempDir(), seed: seed(t), answers: newRegistered(), prefix: "local.", cluster: "local",
		parts: map[string]int32{}}
	for i, name := range []string{contacts, events, auditTopic} {
		w.parts[w.topic(name)] = 3
		for j, purpose := range purposes {
			w.parts[w.topic(name)+"."+purpose] = int32(i + j + 1)
		}
	}
	b := newBench(w)
	r := newDraw(w.seed, 3)
	said := newDraw(w.seed, 2)
	for n := range people {
		if n%7 != 6 {
			b.consent(said.grant(n, n))
		}
	}
	for batch := range 40 {
		for i := range 50 {
			b.consent(said.consent(1000 + 50*batch + i))
		}
		var all []record
		for i := range 100 {
			all = append(all, r.record(w, 100*batch+i, 1, 2))
		}
		b.decide(all)
	}
	c := b.checker
	t.Logf("records %d, quarantined %d, decisions compared %d, outputs compared %d", len(c.audited), c.quarantined, c.decisions, c.outputs)
	if c.decisions < 10_000 || c.outputs < 4_000 || c.quarantined < 10 {
		t.Error("the input is too tame to prove anything")
	}
}

// bench is the engine with a consent log and an audit chain of its own.
type bench struct {
	*world
	checker *checker
	engine  *engine.Engine
	batch   *engine.Batch
	states  *csconsent.Memory
	ns      csconsent.Namespaces
	end     int64 // of the one consent partition
	lanes   map[place]*engine.Lane
	offsets map[place]int64
}

func newBench(w *world) *bench {
	w.configure()
	ring, err := keys.Load(w.keyFile())
	if err != nil {
		w.t.Fatal(err)
	}
	w.reference()
	cfg, findings := configs.Load(w.wiring, func(string) (string, bool) { return "", false }, os.ReadFile)
	if cfg == nil {
		w.t.Fatalf("%v", findings)
	}
	b := &bench{world: w, ns: engine.Namespaces(cfg.Policy), lanes: map[place]*engine.Lane{}, offsets: map[place]int64{}}
	if b.engine, err = engine.New(engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: ring, Partitions: w.ref.Partitions}); err != nil {
		w.t.Fatal(err)
	}
	b.batch = b.engine.NewBatch()
	tagger, err := engine.Tagger(cfg.Policy, ring)
	if err != nil {
		w.t.Fatal(err)
	}
	b.states = csconsent.NewMemory(tagger)
	shipped, wider := w.writerSchemas()
	b.install(1, shipped)
	b.install(2, wider)
	b.checker = newChecker(w, &feed{w: w, sent: map[place]sent{}})
	b.checker.ends = []int64{0}
	for _, d := range b.engine.Documents() {
		b.checker.documents[d.Key] = d.Value
	}
	return b
}

// install compiles a writer schema and compares the derived ones.
func (b *bench) install(id uint32, text string) {
	b.answers.writers[id] = text
	s := b.engine.Stream(b.topic(contacts))
	plan, err := s.Plan(int(id), text)
	if err != nil {
		b.t.Fatal(err)
	}
	outputs := plan.Outputs()
	for i := range outputs {
		o := &outputs[i]
		o.SchemaID = 100 + i
		b.answers.outputs[o.Topic] = uint32(o.SchemaID)
		a, err := b.ref.Avro(b.ref.Stream(s.Topic()), o.Purpose, id)
		if err = errors.Join(err, a.CheckSchema(o.Schema)); err != nil {
			b.t.Fatal(err)
		}
	}
	s.Install(int(id), plan)
}

func (b *bench) consent(c consent) {
	now := time.Now()
	e := csconsent.Parse(c.key, c.value, csconsent.Position{Offset: b.end}, now.UnixMilli(), b.ns)
	b.states.Fold(&e)
	b.checker.learn(&kgo.Record{Key: c.key, Value: c.value, Offset: b.end, Timestamp: now})
	// That the parser and the reference see the same events is seen by their
	// decisions; what is malformed can be compared at once.
	if b.checker.malformed[reference.Position{Offset: b.end}] != (e.Malformed != csconsent.NoFault) {
		b.t.Fatalf("consent event %d: the product says %q", b.end, e.Malformed)
	}
	b.end++
}

// decide runs one batch and compares every leaf and output.
func (b *bench) decide(all []record) {
	b.batch.Reset()
	for i := range all {
		b.add(&all[i])
	}
	now := time.Now().UnixMilli()
	fence := csconsent.Vector{b.end}
	b.checker.ends[0] = b.end
	var snap csconsent.Snapshot
	b.states.Read(b.batch.Tags(), &snap)
	for i := range snap.Cut {
		snap.Cut[i] = fence
	}
	codec, err := reference.Codec(b.read("../../schemas/audit_record.avsc"))
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.batch.Decide(&snap, engine.Moment{Now: now, Fence: fence}, func(it *engine.Item) error {
		at := place{it.Lane.Topic, it.Lane.Partition, it.Offset}
		value := audit.AppendRecord(binary.BigEndian.AppendUint32([]byte{0}, 7), &it.Audit)
		l, err := decodeLeaf(codec, &kgo.Record{Offset: it.Offset, Value: value})
		if err != nil {
			b.t.Fatalf("%s: %v", at, err)
		}
		b.checker.checkLeaf(at, l, standing{decidedAt: now, fence: fence})
		for i := range it.Outputs {
			b.output(at, &it.Outputs[i])
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range b.checker.expected {
		if !e.seen {
			b.checker.fail("%s: the output of %s is missing", e.Topic, e.from)
		}
	}
	clear(b.checker.expected)
}

func (b *bench) add(in *record) {
	name := place{topic: in.Topic, partition: in.Partition}
	if b.lanes[name] == nil {
		b.lanes[name] = &engine.Lane{Stream: b.engine.Stream(in.Topic),
			Lane: audit.Lane{Cluster: b.cluster, Group: b.group(), Topic: in.Topic, Partition: in.Partition}}
	}
	in.Offset = b.offsets[name]
	b.offsets[name]++
	at := place{in.Topic, in.Partition, in.Offset}
	b.checker.inputs[at], b.checker.feed.sent[at] = input(&in.Record), sent{bad: in.bad}
	i := engine.Input{Offset: in.Offset, Timestamp: in.Timestamp.UnixMilli(), Key: in.Key, Value: in.Value}
	for _, h := range in.Headers {
		i.Headers = append(i.Headers, engine.Header(h))
	}
	if it := b.batch.Add(b.lanes[name], i); it.State == engine.StateNeedsSchema {
		b.batch.Fail(it, schemas.CodeUnknownSchema, "")
	}
}

func (b *bench) output(from place, o *engine.Output) {
	r := &kgo.Record{Topic: o.Topic, Partition: o.Partition, Key: o.Key, Value: o.Value, Timestamp: time.UnixMilli(o.Timestamp)}
	for _, h := range o.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader(h))
	}
	proof := o.Headers[len(o.Headers)-1]
	want := b.checker.expected[o.Topic+"/"+digest(proof.Value)]
	if proof.Key != "cs-proof" || want == nil || want.seen {
		b.checker.fail("%s: the reference has no such output of %s", o.Topic, from)
		return
	}
	want.seen = true
	b.checker.outputs++
	b.checker.compareOutput(o.Topic, r, want)
	name := strings.TrimPrefix(o.Topic, b.prefix)
	for field := range fields(r) {
		if !slices.Contains(shown[name], field) {
			b.checker.fail("%s: the output of %s shows a %s", name, from, field)
		}
	}
}
