package reference_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
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
				b := openBench(rt, key, d.setup())
				if b == nil {
					met.refused++
					return
				}
				b.consents()
				for range 6 {
					b.compare(d.encoded(d.record(), b.schema), &met)
				}
			})
			t.Logf("%+v", met)
			if met.outputs < 50 || met.denied < 50 || met.several < 50 || met.elements < 50 || met.conflicts < 3 || met.gates < 20 {
				t.Errorf("too tame: %+v", met)
			}
		})
	}
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

// binding is what may stand after a category.
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

// setup draws a configuration.
func (d *drawn) setup() setup {
	d.split = d.pick("split", "", "", "[*]", "b.es[*]")
	if d.format == "avro" && d.split == "[*]" {
		d.split = "b.es[*]"
	}
	s := setup{policy: d.policy()}
	s.wiring = d.wiring(strings.Count(s.policy, "data_use"))
	if d.format == "avro" {
		s.schema = d.schema()
	}
	return s
}

const elementSchema = `{"type":"record","name":"E","fields":[
	{"name":"p","type":{"type":"record","name":"P","fields":[{"name":"id","type":"string"},{"name":"x","type":"string"}]}},
	{"name":"q","type":["null",{"type":"record","name":"Q","fields":[{"name":"id","type":["null","string"]},{"name":"m","type":"string"}]}]},
	{"name":"r","type":["null","string"]},{"name":"t","type":"string"},{"name":"u","type":"string"},{"name":"n","type":"int"},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}`

func (d *drawn) schema() string {
	if d.split == "" {
		return strings.Replace(elementSchema, `"name":"E"`, `"name":"E","namespace":"x"`, 1)
	}
	return `{"type":"record","name":"B","namespace":"x","fields":[{"name":"b","type":{"type":"record","name":"I","fields":[{"name":"es","type":{"type":"array","items":` + elementSchema + `}}]}}]}`
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

// encoded writes a record of Avro, which is drawn as text, in bytes.
func (d *drawn) encoded(in engine.Input, schema string) engine.Input {
	if schema == "" || in.Value == nil {
		return in
	}
	codec, err := reference.Codec(schema)
	if err != nil {
		d.Fatal(err)
	}
	native, _, err := codec.NativeFromTextual(in.Value)
	if err != nil {
		d.Fatalf("%v: %s", err, in.Value)
	}
	if in.Value, err = codec.BinaryFromNative(schemas.AppendFrame(nil, 1), native); err != nil {
		d.Fatal(err)
	}
	return in
}
