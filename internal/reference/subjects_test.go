package reference_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/internal/reference"
	"github.com/consentstream/consentstream/schemas"
)

// TestSubjects holds the engine against the reference on drawn wirings: one to
// three subjects in the value, the key and headers, fields bound to them or to
// nobody, records that are split or not. Every byte of every output, and every
// decision, must be the same.
func TestSubjects(t *testing.T) {
	key := keyFile(t)
	for _, format := range []string{"json", "avro"} {
		t.Run(format, func(t *testing.T) {
			var met tally
			rapid.Check(t, func(rt *rapid.T) {
				d := drawn{T: rt, format: format}
				b := d.open(key)
				if b == nil {
					met.refused++
					return
				}
				for range 6 {
					b.compare(d.record(), &met)
				}
			})
			t.Logf("%+v", met)
			if met.outputs < 50 || met.denied < 50 || met.several < 50 || met.elements < 50 || met.conflicts < 3 || met.gates < 20 {
				t.Errorf("too tame: %+v", met)
			}
		})
	}
}

// tally counts what was met.
type tally struct{ refused, faults, outputs, denied, several, elements, conflicts, gates int }

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

// drawn draws a configuration and records.
type drawn struct {
	*rapid.T
	format string
	split  string
}

func (d *drawn) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(d.T, label)
}

func (d *drawn) one(label string, in int) bool {
	return rapid.IntRange(1, in).Draw(d.T, label) == 1
}

var personal = []string{"user.contact.email", "user.name", "user.behavior", "user.health_and_medical"}

func (d *drawn) policy() string {
	var b strings.Builder
	b.WriteString("version: 1\nrevision: 1\nnamespaces:\n  crm: {normalize: trim}\n  email: {normalize: email}\npurposes:\n")
	for i := range rapid.IntRange(1, 2).Draw(d.T, "purposes") {
		fmt.Fprintf(&b, "  p%d:\n    data_use: analytics.reporting\n    legal_basis: %s\n    treat:\n", i, d.pick("basis", "consent", "consent", "contract"))
		fmt.Fprintf(&b, "      system: %s\n", d.pick("system", "keep", "keep", "{keep: {requires: explicit_consent}}"))
		for _, c := range append(personal, "user.unique_id") {
			if t := d.pick(c, "", "keep", "keep", "redact", "mask", "pseudonymize", "{keep: {requires: explicit_consent}}", "drop"); t != "" {
				fmt.Fprintf(&b, "      %s: %s\n", c, strings.Replace(t, "mask", "{mask: {keep_first: 1}}", 1))
			}
		}
	}
	return b.String()
}

// binding is what may stand behind a category.
func (d *drawn) field(category string, subjects int) string {
	more := ""
	if d.one("bound", 3) {
		more += fmt.Sprintf(", subject: s%d", rapid.IntRange(0, subjects-1).Draw(d.T, "to"))
	}
	if d.one("identifier", 5) {
		more += ", namespace: " + d.pick("of", "crm", "email")
	}
	return fmt.Sprintf("{category: %s%s}", category, more)
}

func (d *drawn) wiring(purposes int) string {
	var b strings.Builder
	b.WriteString("version: 1\npolicy: policy.yaml\nkafka: {seed_brokers: [localhost:9092], consumer_group: g}\nschema_registry: {url: http://localhost:8081}\n" +
		"redis: {addrs: [localhost:6379]}\nkeys: {file: k}\nlimits: {split_elements: 3}\nstreams:\n  - topic: in\n    format: " + d.format + "\n")
	fmt.Fprintf(&b, "    purposes: [%s]\n", strings.Join([]string{"p0", "p1"}[:purposes], ", "))
	if d.split != "" {
		fmt.Fprintf(&b, "    split: {path: %q}\n", d.split)
	}
	n, keyed := rapid.IntRange(1, 3).Draw(d.T, "subjects"), -1
	if d.one("keyed", 2) {
		keyed = rapid.IntRange(0, n-1).Draw(d.T, "keyed subject")
	}
	b.WriteString("    subjects:\n")
	for i := range n {
		fmt.Fprintf(&b, "      s%d: {namespace: %s", i, d.pick("namespace", "crm", "crm", "email"))
		path, header := d.pick("path", "p.id", "q.id", "r", "r", "[q.id, r]", "[r, q.id]", "[p.id, r, q.id]"), d.one("header", 3)
		if !header || d.one("both", 2) {
			fmt.Fprintf(&b, ", path: %s", path)
		}
		if header {
			fmt.Fprintf(&b, ", header: h%d", i)
		}
		if i == keyed {
			fmt.Fprintf(&b, ", key: %v", d.one("key word", 2))
		}
		b.WriteString("}\n")
	}
	b.WriteString(d.key(keyed))
	fmt.Fprintf(&b, "    headers: {h0: %s, h1: %s, hx: system.operations}\n", d.field("user.unique_id", n), d.field("user.behavior", n))
	b.WriteString(d.pick("timed", "", "    event_time: at\n", "    event_time: {header: hx}\n"))
	b.WriteString("    fields:\n      n: system.operations\n      at: system.operations\n")
	for _, path := range []string{"p", "p.id", "p.x", "q", "q.id", "q.m", "r", "t"} {
		if d.one(path+" listed", 2) {
			fmt.Fprintf(&b, "      %s: %s\n", path, d.field(rapid.SampledFrom(append(personal, "user.unique_id")).Draw(d.T, path), n))
		}
	}
	return b.String()
}

func (d *drawn) key(keyed int) string {
	switch {
	case keyed >= 0 && d.one("key of subject", 2):
		return fmt.Sprintf("    key: {subject: s%d%s}\n", keyed, d.pick("with", "", ", category: user.unique_id"))
	case d.one("key of category", 2):
		return fmt.Sprintf("    key: {category: user.unique_id%s}\n", d.pick("with", "", ", namespace: crm"))
	}
	return ""
}

// bench holds both sides of one configuration.
type bench struct {
	*drawn
	keyText
	engine  *engine.Engine
	stream  *engine.CompiledStream
	batch   *engine.Batch
	ref     *reference.World
	states  *consent.Memory
	events  map[string][]reference.Event
	ns      consent.Namespaces
	writer  *goavro.Codec
	next    int64
	offset  int64
	wiring_ string
}

const (
	now  = int64(1_790_000_000_000)
	long = int64(86_400_000)
)

// open gives nil for a configuration that is refused.
func (d *drawn) open(key keyText) *bench {
	d.split = d.pick("split", "", "", "[*]", "b.es[*]")
	if d.format == "avro" && d.split == "[*]" {
		d.split = "b.es[*]"
	}
	policy := d.policy()
	wiring := d.wiring(strings.Count(policy, "data_use"))
	cfg, findings := configs.Load("w.yaml", func(string) (string, bool) { return "", false }, func(name string) ([]byte, error) {
		text, ok := map[string]string{"w.yaml": wiring, "policy.yaml": policy}[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	})
	if cfg == nil {
		for _, f := range findings {
			if f.Severity == configs.Error && !strings.Contains(f.Message, "would be left") && !strings.Contains(f.Message, "gates in one purpose") &&
				!strings.Contains(f.Message, "stands nowhere") && !strings.Contains(f.Message, "has no category") && !strings.Contains(f.Message, "the same category") && !strings.Contains(f.Message, "must be") {
				d.Fatalf("%v\n%s", f, wiring)
			}
		}
		return nil
	}
	b := &bench{drawn: d, keyText: key, wiring_: wiring + policy, ns: engine.Namespaces(cfg.Policy), events: map[string][]reference.Event{}}
	var err error
	if b.engine, err = engine.New(engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: key.ring, Partitions: partitions}); err != nil {
		d.Fatal(err, wiring)
	}
	b.stream, b.batch = b.engine.Stream("in"), b.engine.NewBatch()
	tagger, err := engine.Tagger(cfg.Policy, key.ring)
	if err != nil {
		d.Fatal(err)
	}
	b.states = consent.NewMemory(tagger)
	b.reference(policy, wiring)
	if d.format == "avro" {
		b.install()
	}
	b.consents(len(cfg.Policy.Purposes))
	return b
}

func partitions(topic string) int32 { return int32(len(topic)) }

func (b *bench) reference(policy, wiring string) {
	b.ref = &reference.World{Keys: b.keyText.ref, Partitions: partitions}
	var err error
	if b.ref.Policy, err = reference.ReadPolicy([]byte(policy)); err != nil {
		b.Fatal(err)
	}
	if b.ref.Streams, err = reference.ReadStreams([]byte(wiring)); err != nil {
		b.Fatal(err)
	}
	b.ref.Streams[0].SplitElements = 3
	b.ref.Schema = func(id uint32) (string, bool) { return b.schema(), id == 1 }
	b.ref.OutputID = func(topic string) (uint32, error) { return uint32(100 + topic[len(topic)-1]), nil }
}

const elementSchema = `{"type":"record","name":"E","fields":[
	{"name":"p","type":{"type":"record","name":"P","fields":[{"name":"id","type":"string"},{"name":"x","type":"string"}]}},
	{"name":"q","type":["null",{"type":"record","name":"Q","fields":[{"name":"id","type":["null","string"]},{"name":"m","type":"string"}]}]},
	{"name":"r","type":["null","string"]},{"name":"t","type":"string"},{"name":"u","type":"string"},{"name":"n","type":"int"},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}`

func (b *bench) schema() string {
	if b.split == "" {
		return strings.Replace(elementSchema, `"name":"E"`, `"name":"E","namespace":"x"`, 1)
	}
	return `{"type":"record","name":"B","namespace":"x","fields":[{"name":"b","type":{"type":"record","name":"I","fields":[{"name":"es","type":{"type":"array","items":` + elementSchema + `}}]}}]}`
}

func (b *bench) install() {
	plan, err := b.stream.Plan(1, b.schema())
	if err != nil {
		b.Fatal(err, b.wiring_)
	}
	for i := range plan.Outputs() {
		o := &plan.Outputs()[i]
		o.SchemaID = 100 + int(o.Topic[len(o.Topic)-1])
		a, err := b.ref.Avro(b.ref.Streams[0], o.Purpose, 1)
		if err == nil {
			err = a.CheckSchema(o.Schema)
		}
		if err != nil {
			b.Fatalf("%v\n%s", err, b.wiring_)
		}
	}
	b.stream.Install(1, plan)
	if b.writer, err = reference.Codec(b.schema()); err != nil {
		b.Fatal(err)
	}
}

// consents lets some identifiers agree, some explicitly, and some withdraw.
func (b *bench) consents(purposes int) {
	for _, id := range []string{"crm:42", "crm:43", "email:ann@x.example", "email:42"} {
		for i := range purposes {
			said := b.pick(id, "", "expressed", "explicit", "explicit", "withdraw")
			if said == "" {
				continue
			}
			b.say(id, "grant", fmt.Sprintf(`,"purposes":["p%d"],"consent_type":%q,"asserted_at":"2026-01-01T10:00:00Z","notice":{"id":"n","version":"1"},"evidence":{"method":"m","source":"s"}`,
				i, strings.Replace(said, "withdraw", "explicit", 1)))
			if said == "withdraw" {
				b.say(id, "withdraw", fmt.Sprintf(`,"purposes":["p%d"]`, i))
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

var identifiers = []string{`"42"`, `"42"`, `" 42"`, `"43"`, `"Ann@X.example"`, `"null"`, `"42"`}

// record draws a record: an element, or several.
func (d *drawn) record() engine.Input {
	in := engine.Input{Timestamp: now - 2*long}
	if d.split == "" {
		in.Value = []byte(d.element())
	} else {
		var elements []string
		for range rapid.SampledFrom([]int{0, 1, 2, 3, 3, 4}).Draw(d.T, "elements") {
			elements = append(elements, d.element())
		}
		in.Value = []byte("[" + strings.Join(elements, ",") + "]")
		if d.split != "[*]" {
			in.Value = fmt.Appendf(nil, `{"b":{"es":%s}}`, in.Value)
		}
		if d.format == "json" && d.one("no array", 20) {
			in.Value = []byte(d.pick("instead", `{"b":{"es":null}}`, `{"b":[1]}`, `[7]`, `{"b":{"es":[{},"x"]}}`))
		}
	}
	if d.one("keyed", 2) {
		in.Key = []byte(d.pick("key", "42", "42", "43", "Ann@x.example", ""))
	}
	for _, name := range []string{"h0", "h1", "h2", "hx", "h0", "hx"} {
		if d.one(name, 2) {
			in.Headers = append(in.Headers, engine.Header{Key: name, Value: []byte(d.pick(name, "42", "42", "43", "ann@x.example", "2026-01-01T00:00:00Z"))})
		}
	}
	if d.one("tombstone", 12) {
		in.Value = nil
	}
	return in
}

func (d *drawn) element() string {
	id := func(name string) string { return d.pick(name, identifiers...) }
	maybe := func(name, value, null string) string {
		if d.one(name+" missing", 6) {
			return null
		}
		return value
	}
	if d.format == "avro" {
		text := func(name, value string) string { return maybe(name, `{"string":`+value+`}`, "null") }
		q := maybe("q", fmt.Sprintf(`{"x.Q":{"id":%s,"m":"m"}}`, text("q.id", id("q.id"))), "null")
		return fmt.Sprintf(`{"p":{"id":%s,"x":"x"},"q":%s,"r":%s,"t":"t","u":"u","n":7,"at":%d}`, id("p.id"), q, text("r", id("r")), now-3*long)
	}
	var members []string
	add := func(name, value string) {
		if value = maybe(name, value, ""); value != "" {
			members = append(members, fmt.Sprintf("%q:%s", name, value))
		}
	}
	add("p", d.pick("p", fmt.Sprintf(`{"id":%s,"x":1,"more":"y"}`, id("p.id")), fmt.Sprintf(`{"x":"x","id":%s}`, id("p.id")), `[1]`))
	add("q", fmt.Sprintf(`{"id":%s,"m":"m"}`, d.pick("q.id", append(identifiers, "42", "42.0", "{}")...)))
	add("r", id("r"))
	add("t", d.pick("t", `"t"`, "null", "7"))
	members = append(members, `"u":"u"`, `"n":7`)
	add("at", d.pick("at", `"2026-01-01T00:00:00Z"`, `"x"`))
	return "{" + strings.Join(members, ",") + "}"
}

// compare takes one record through both sides.
func (b *bench) compare(in engine.Input, met *tally) {
	in.Offset = b.offset
	b.offset++
	if b.format == "avro" && in.Value != nil {
		native, _, err := b.writer.NativeFromTextual(in.Value)
		if err != nil {
			b.Fatalf("%v: %s", err, in.Value)
		}
		if in.Value, err = b.writer.BinaryFromNative(schemas.AppendFrame(nil, 1), native); err != nil {
			b.Fatal(err)
		}
	}
	r := &reference.Input{Topic: "in", Offset: in.Offset, Timestamp: in.Timestamp, Key: in.Key, Value: in.Value}
	for _, h := range in.Headers {
		r.Headers = append(r.Headers, reference.Header(h))
	}
	want, err := b.ref.Process(r, reference.Moment{Now: now, Events: func(subject string) []reference.Event { return b.events[subject] }})
	if err != nil {
		b.Fatalf("the reference: %v\n%s", err, b.wiring_)
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
		b.Fatalf("the engine says\n%s\nand the reference\n%s\nof %s key %q headers %q\n%s", got, text, in.Value, in.Key, in.Headers, b.wiring_)
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
	if d.Gates > 0 {
		met.gates++
	}
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
			gates = 1
		}
		parts = append(parts, fmt.Sprintf("%d %d %s %s %v %s %v withheld %d gates %d", d.Element, d.Subject, d.Purpose, d.Basis, d.Permit, d.Reason, d.Secondary, d.Withheld, gates))
		if d.Output == nil {
			continue
		}
		nonce := b.keyText.ref.Nonce(d.Purpose, reference.Lane{Cluster: "c", Group: "g"}, b.offset-1, d.Element)
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
