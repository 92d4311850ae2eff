package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/internal/infer"
)

// stubOf runs a schema command.
func stubOf(t *testing.T, in string, args ...string) string {
	t.Helper()
	var out, err bytes.Buffer
	if code := run(t.Context(), append([]string{"schema"}, args...), stdio{strings.NewReader(in), &out, &err}); code != exitOK {
		t.Fatalf("exit code %d: %s", code, err.String())
	}
	return out.String()
}

var (
	fieldLine = regexp.MustCompile(`(?m)^      # `)
	choice    = regexp.MustCompile(`(?m)^    # ((?:purposes|subjects|event_time): .*# proposed.*|purposes: .*)$`)
)

// activate uncomments what a stub proposes. Where it proposes no category, system
// stands for that of whoever reads it.
func activate(stub string) string {
	active := choice.ReplaceAllString(fieldLine.ReplaceAllString(stub, "      "), "    $1")
	return strings.ReplaceAll(active, ": CATEGORY ", ": system ")
}

type fataler interface{ Fatal(args ...any) }

// withStub puts a stub in place of the demo's streams and loads that.
func withStub(t fataler, stub string) (*configs.Config, []configs.Finding) {
	wiring, err := os.ReadFile("../../configs/demo/consentstream.yaml")
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(wiring), "\nstreams:\n")
	read := func(name string) ([]byte, error) {
		if name == "stub.yaml" {
			return []byte(head + "\nstreams:\n" + stub), nil
		}
		return os.ReadFile("../../configs/demo/" + name)
	}
	return configs.Load("stub.yaml", func(string) (string, bool) { return "", false }, read)
}

// A stub as it is printed is valid YAML and no stream: nothing of it is active by
// accident. With its lines uncommented it is one, as it stands.
func TestStubLoads(t *testing.T) {
	const events = `{"contact_id":"42","at":1761095246,"email":"a@b.example","a b":{"x.y":1},"tags":["a"],"true":1,"by":{"2024":1},` +
		`"params":[{"key":"email","value":"a@b.example"}],"p":"{\"email\":\"a@b.example\",\"n\":[1]}","b":"eyJlbWFpbCI6ImFAYi5leGFtcGxlIn0=","c":"eyJlbWFpbCI6ImFAYi5leGFtcGxlIn0"}`
	for _, c := range []struct {
		name, stub string
		fields     int
	}{
		{"schema", stubOf(t, "", "config", "--schema", "../../configs/demo/crm.contacts.avsc", "--topic", "crm.contacts", "--policy", "../../configs/demo/policy.yaml"), 23},
		{"events", stubOf(t, events, "events", "--topic", "marketing.events", "--policy", "../../configs/demo/policy.yaml"), 13},
	} {
		stub := strings.Replace(c.stub, "schema: ../../configs/demo/", "schema: ", 1)
		cfg, findings := withStub(t, stub)
		if cfg != nil {
			t.Errorf("%s: the stub is valid as it is printed", c.name)
		}
		for _, f := range findings {
			if f.Severity == configs.Error && !strings.Contains(f.Message, "needs the word") && f.Message != `"fields" must be a map, not nothing` {
				t.Errorf("%s: as printed: %v", c.name, f)
			}
		}
		active := activate(stub)
		cfg, findings = withStub(t, active)
		if cfg == nil {
			t.Errorf("%s: uncommented it does not load: %v\n%s", c.name, findings, active)
			continue
		}
		if n := len(cfg.Streams[0].Wiring.Fields); n != c.fields {
			t.Errorf("%s: %d fields, want %d\n%s", c.name, n, c.fields, active)
		}
	}
}

// What is proposed for the records of real tools is a stream that lint takes:
// paths, quoting, map keys and ties.
func TestFixtureStubsLoad(t *testing.T) {
	const dir = "../../../shared/fixtures/"
	for _, file := range []string{
		"segment/spec-examples.ndjson", "sendgrid/webhook-batches.ndjson", "debezium/serde-without-schema.json", "debezium/serde-with-schema.json",
		"adobe-xdm/profile-consents.example.1.json", "adobe-xdm/marketing-field-subscription.example.1.json", "adobe-xdm/consent-preferences.example.1.json",
		"unomi/viewEvent.json", "unomi/persona-with-sessions-payload.json", "segment/test-many-track.json",
	} {
		text, err := os.ReadFile(dir + file)
		if err != nil {
			t.Skipf("no fixtures: %v", err)
		}
		stub := stubOf(t, string(text), "events", "--topic", "in", "--policy", "../../configs/demo/policy.yaml")
		active := activate(stub)
		if !strings.Contains(active, "\n    subjects: ") {
			active = strings.Replace(active, "    fields:\n", "    subjects: {customer: {namespace: crm, path: nobody}}\n    fields:\n", 1)
		}
		if cfg, findings := withStub(t, active); cfg == nil {
			t.Errorf("%s: %v\n%s", file, findings, active)
		}
	}
}

// Whatever the name of a member, its line in a stub is read back as its path.
func TestStubPathsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.StringMatching(`[ -~]{1,12}`), rapid.String()).Filter(func(s string) bool { return !strings.EqualFold(s, "x") }).Draw(t, "name") // both would be one
		event, err := json.Marshal(map[string]any{"contact_id": 1, "foo": map[string]any{name: map[string]any{"email": "a@b.example"}, "x": 1}})
		if err != nil {
			t.Fatal(err)
		}
		sample, err := infer.Read(bytes.NewReader(event))
		if err != nil {
			t.Fatal(err)
		}
		var stub bytes.Buffer
		fields := sample.Fields()
		if _, err := (&infer.Stub{Topic: "in", Format: "json", Fields: fields}).WriteTo(&stub); err != nil {
			t.Fatal(err)
		}
		active := strings.Replace(activate(stub.String()), "NAMESPACE", "crm", 1)
		active = strings.Replace(active, "purposes: [PURPOSE]", "purposes: [service]", 1)
		cfg, findings := withStub(t, active)
		if cfg == nil {
			t.Fatalf("%v in\n%s", findings, active)
		}
		wired := cfg.Streams[0].Wiring.Fields
		if len(wired) != len(fields) {
			t.Fatalf("%d fields, want %d\n%s", len(wired), len(fields), active)
		}
		for i, f := range fields {
			if wired[i].Path != f.Path.String() {
				t.Fatalf("got %q, want %q", wired[i].Path, f.Path)
			}
		}
	})
}

func TestPositionOf(t *testing.T) {
	for path, want := range map[string]string{
		"a.b": "a.b", "payload{json}.email": "payload", "a[*].p{base64.json}[*].x{json}.y": "a[*].p", `"{".b`: `"{".b`, `a[k=="{\"{"].p{json}.x`: `a[k=="{\"{"].p`, "": "",
	} {
		if got := positionOf(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
