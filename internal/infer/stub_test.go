package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// Canaries are values that look like all kinds of data; what is known of none may
// be printed. Each holds the word canary, or these digits.
const canaryDigits = "4929718253646"

var canaries = []string{
	"canary", "Canary Byron", "canary@canary.example", "+49 151 " + canaryDigits[:8], "https://canary.example/?u=canary", canaryDigits,
	"She canary called about her mother and asked", `{"email":"canary@canary.example"}`, `{"canary@canary.example":["canary"]}`,
	"eyJlbWFpbCI6ImNhbmFyeUBjYW5hcnkuZXhhbXBsZSJ9", "Mozilla/5.0 (canary)", "canary_email", "email canary", "DE89canary",
}

// canaryNames are names of members that are data by their looks.
var canaryNames = []string{
	"canary@canary.example", canaryDigits, "user" + canaryDigits, "canary-" + strings.Repeat("x", 64), "canary\n", "canary\u202e",
	"https://canary.example/?canary",
}

var plainNames = []string{"email", "name", "key", "value", "properties", "foo", "items", "a b", "x.y", `q"uote`, "id", "[*]", "~key", "**"}

// canaryValue draws a value. Its members are named by plainNames, or data.
func canaryValue(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
	if depth == 0 {
		kind %= 4
	}
	switch kind {
	case 0:
		return json.RawMessage(canaryDigits)
	case 1:
		return []any{nil, true, 1.5}[rapid.IntRange(0, 2).Draw(t, "scalar")]
	case 2, 3:
		return rapid.SampledFrom(canaries).Draw(t, "canary")
	case 4:
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "elements"))
		for i := range list {
			list[i] = canaryValue(t, depth-1)
		}
		return list
	case 5:
		return map[string]any{"key": rapid.SampledFrom(canaries).Draw(t, "key"), "value": canaryValue(t, depth-1)}
	}
	object := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "members") {
		object[rapid.SampledFrom(append(plainNames, canaryNames...)).Draw(t, "name")] = canaryValue(t, depth-1)
	}
	return object
}

// No value of a sample is ever printed, nor a member's name that is data by its
// looks, and every path is one.
func TestNoValueIsPrinted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in strings.Builder
		for range rapid.IntRange(1, 6).Draw(t, "events") {
			text, err := json.Marshal(map[string]any{"event": canaryValue(t, 4)})
			if err != nil {
				t.Fatal(err)
			}
			in.Write(text)
			in.WriteByte('\n')
		}
		s, err := Read(strings.NewReader(in.String()))
		if err != nil {
			t.Fatalf("%v of %s", err, in.String())
		}
		if out := printed(t, s); strings.Contains(strings.ToLower(out), "canary") || strings.Contains(out, canaryDigits[:6]) {
			t.Fatalf("a value of\n%s\nis in\n%s", in.String(), out)
		}
	})
}

// printed is all that becomes of a sample, and checks its paths.
func printed(t interface{ Fatalf(string, ...any) }, s *Sample) string {
	fields := s.Fields()
	var b strings.Builder
	if _, err := (&Stub{Source: "events", Format: "json", Events: s.Events, Fields: fields}).WriteTo(&b); err != nil {
		t.Fatalf("%v", err)
	}
	checkPaths(t, fields)
	fmt.Fprintf(&b, "%+v", fields)
	return b.String()
}

func checkPaths(t interface{ Fatalf(string, ...any) }, fields []Field) {
	seen := map[string]bool{}
	for _, f := range fields {
		text := f.Path.String()
		p, err := schemas.ParsePath(text)
		if err != nil || p.String() != text || seen[text] {
			t.Fatalf("path %q: %v, a second time: %v", text, err, seen[text])
		}
		seen[text] = true
		checkPaths(t, f.Inside)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"a":1}`, "[{},[]]\n{}", `{"p":[{"key":"email","value":{"x":1}}]}`, `{"a@b.example":{"a":[{"b":null}]}}`, "\ufeff{}", `{"x":"{\"a\":[1]}"}`,
		`{"x":"eyJlbWFpbCI6ImFAYi5leGFtcGxlIn0"}`, "{\"a\":\n", "{\"a\":1,\"a\":2}", strings.Repeat("[", 70),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := Read(strings.NewReader(string(in)))
		if err != nil {
			var place *InputError
			if lines := strings.Count(string(in), "\n") + 1; !errors.As(err, &place) || place.Line > lines || place.Line < 1 {
				t.Errorf("%v in %d lines", err, lines)
			}
			return
		}
		printed(t, s)
		if s.positions > maxPositions+1 {
			t.Errorf("%d positions", s.positions)
		}
	})
}

// The records of real tools are read, and what is personal in them is found.
func TestFixtures(t *testing.T) {
	const dir = "../../../shared/fixtures"
	for _, c := range []struct{ file, want string }{
		{"segment/spec-examples.ndjson", "traits.email: string = user.contact.email"},
		{"segment/spec-examples.ndjson", "context.ip: string = user.device.ip_address"},
		{"sendgrid/webhook-batches.ndjson", "[*].email: string = user.contact.email"},
		{"adobe-xdm/marketing-field-subscription.example.1.json", `"xdm:subscriptions".shipped."xdm:subscribers".*~key: string = user.contact.email`},
		{"debezium/serde-without-schema.json", "after.email: string = user.contact.email"},
		{"debezium/serde-without-schema.json", "source.query: string = user.contact.email 1/1"},
		{"unomi/persona-with-sessions-payload.json", "sessions[*].properties.sessionStartDate: string = system.operations"},
		{"unomi/persona-with-sessions-payload.json", "sessions[*].scope: string 1/1"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, c.file))
		if err != nil {
			t.Skipf("no fixtures: %v", err)
		}
		s, err := Read(strings.NewReader(string(text)))
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if got := describe(s.Fields()); !strings.Contains("\n"+got, "\n"+c.want) {
			t.Errorf("%s: no %q in\n%s", c.file, c.want, got)
		}
	}
}

func TestSchema(t *testing.T) {
	layout, err := schemas.NewAvro(`{"type":"record","name":"R","fields":[
		{"name":"email","type":["null","string"],"confluent:tags":["PII"]},
		{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"sent_at","type":"long"},
		{"name":"u","type":["string","long"]},
		{"name":"created","type":"string"},
		{"name":"ref","type":{"type":"string","logicalType":"uuid"}},
		{"name":"session_start","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"email_verified","type":"boolean"},
		{"name":"utm","type":{"type":"map","values":"string"}},
		{"name":"foo","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"bar","type":"int"}]}}}]}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	fields := Schema(layout.Nodes())
	const want = `email: string|null = user.contact.email (tag "PII")
at: timestamp-millis = system.operations
sent_at: long = system.operations
u: string|long
created: string = system.operations
ref: uuid = user.unique_id
session_start: timestamp-millis = system.operations
email_verified: boolean
utm.*~key: string = user.behavior
utm.*: string = user.behavior
foo[*].bar: int
`
	if got := describe(fields); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for i, want := range []string{"", "text", "?", "", "text"} {
		if fields[i].Time != want {
			t.Errorf("%s: time %q, want %q", fields[i].Path, fields[i].Time, want)
		}
	}
}

// Branches of a union that have fields of one name are one path: a stub with two lines
// for it could not be pasted.
func TestSchemaOfUnion(t *testing.T) {
	layout, err := schemas.NewAvro(`{"type":"record","name":"R","fields":[{"name":"u","type":["null",
		{"type":"record","name":"A","fields":[{"name":"phone","type":"string","confluent:tags":["PII"]},{"name":"x","type":"int"}]},"R",
		{"type":"record","name":"B","fields":[{"name":"x","type":["null","int"]},{"name":"phone","type":"long","confluent:tags":["PII","SEC"]}]},"string"]}]}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = `u.phone: string|long = user.contact.phone_number (tag "PII") (tag "SEC")
u.x: int|null
u: recursive type|string
`
	if got := describe(Schema(layout.Nodes())); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// An id of a device or a session may be all there is to tell people apart by.
func TestStubWithoutPeople(t *testing.T) {
	s, err := Read(strings.NewReader(`{"session_id":"x","n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if _, err := (&Stub{Format: "json", Fields: s.Fields(), Events: 1}).WriteTo(&b); err != nil || !strings.Contains(b.String(), "# subjects: {customer: {namespace: NAMESPACE, path: session_id}}   # proposed") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestScalar(t *testing.T) {
	for in, want := range map[string]string{
		"email": "email", "tags[*]": "tags[*]", `p[key=="v"].x`: `p[key=="v"].x`, "utm.*~key": "utm.*~key", "a-b": "a-b",
		"[*].email": "'[*].email'", "*.x": "'*.x'", `"a b".c`: `'"a b".c'`, `"it's"`: `'"it''s"'`, "true": "'true'", "No": "'No'", "42": "'42'",
		"-a": "'-a'", "a: b": "'a: b'", "é": "'é'",
	} {
		if got := scalar(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestStub(t *testing.T) {
	s, err := Read(strings.NewReader(`{"user_id":"42","at":1761095246,"[x]":{"email":"a@b.example"},"payload":"{\"phone\":1}"}` + "\n{}\n"))
	if err != nil {
		t.Fatal(err)
	}
	pol := &policy.Policy{Namespaces: []policy.Namespace{{Name: "crm"}}, Purposes: []policy.Purpose{
		{ID: "a", Treat: []policy.Rule{{Category: "user.contact", Treatment: policy.Treatment{Name: "mask"}}}},
		{ID: "b.c", Treat: []policy.Rule{{Category: "user", Treatment: policy.Treatment{Name: "keep"}, RequiresExplicit: true}}},
	}}
	stub := &Stub{Source: "2 sample events", Topic: "in", Format: "json", Policy: pol, Fields: s.Fields(), Events: s.Events}
	const fields = `      # user_id: user.unique_id              # proposed: name "user id" | string | in 1 of 2 events
      # at: system.operations                # proposed: name "at"; values: times in s (1 of 1) | number | in 1 of 2 events
      # '"[x]".email': user.contact.email    # proposed: name "email"; values: e-mail addresses (1 of 1) | string | in 1 of 2 events
      # payload:                             # proposed: to be read inside | string | in 1 of 2 events | has JSON in a string (1 of 1)
      #   json:
      #     phone: user.contact.phone_number # proposed: name "phone" | number | in 1 of 2 events
  # What the policy does with these categories:
  #   system.operations: a drop; b.c drop
  #   user.contact.email: a mask; b.c keep (gated)
  #   user.contact.phone_number: a mask; b.c keep (gated)
  #   user.unique_id: a drop; b.c keep (gated)
`
	const whole = `  # From 2 sample events: 4 fields,
  # 3 with a proposed category.
  # Proposals are guesses and count for nothing: a line counts once you have read
  # it and taken its "# " away. What has no line is withheld.
  - format: json
    topic: in
    # purposes: [a, b.c]
    # subjects: {customer: {namespace: crm, path: user_id}}   # proposed: whose data a record is
    # subjects: {customer: {namespace: crm, path: '"[x]".email'}}   # or
    # event_time: {path: at, unit: s}   # proposed: when it happened
    fields:
` + fields
	check := func(want string) {
		t.Helper()
		var b strings.Builder
		if n, err := stub.WriteTo(&b); err != nil || n != int64(b.Len()) || b.String() != want {
			t.Errorf("%d, %v: got\n%swant\n%s", n, err, b.String(), want)
		}
	}
	check(whole)
	stub.Added = true
	check(strings.Replace(whole[:strings.Index(whole, "  - format")], "proposed category.", "proposed category. These lines go below fields: of in.", 1) + fields)
}

func BenchmarkRead(b *testing.B) {
	const event = `{"event_id":"3c2f4df8-c6dd-4cd2-9b91-6582b81a0349","event":"click","occurred_at":"2026-11-20T10:00:00Z","contact_id":"42",` +
		`"email":"ada@example.org","url":"https://example.org/a","ip":"192.0.2.1","properties":{"price":12.5,"tags":["a","b"]}}` + "\n"
	text := strings.Repeat(event, 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Read(strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
