package eval_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/eval"
	"github.com/consentstream/consentstream/internal/keys"
)

const fixtures = "../../../shared/fixtures"

// splitConfig reads testdata/split: real batches, each of many people.
func splitConfig(t *testing.T) engine.Config {
	t.Helper()
	cfg, findings := configs.Load("testdata/split/consentstream.yaml", func(string) (string, bool) { return "", false }, os.ReadFile)
	if cfg == nil {
		t.Fatalf("%v", findings)
	}
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{7}, 256)), "test")
	if err != nil {
		t.Fatal(err)
	}
	return engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: ring}
}

func sharedFixture(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		t.Skipf("no fixtures: %v", err)
	}
	return text
}

// sendgrid is one webhook call with the events of all calls of the fixtures.
func sendgrid(t *testing.T) string {
	var all []json.RawMessage
	for line := range bytes.Lines(sharedFixture(t, "sendgrid/webhook-batches.ndjson")) {
		var some []json.RawMessage
		if err := json.Unmarshal(line, &some); err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

// segment are the batches of Segment's library, one a line.
func segment(t *testing.T) string {
	var b bytes.Buffer
	for _, name := range []string{"test-enqueue-identify.json", "test-many-track.json", "test-enqueue-page.json"} {
		if err := json.Compact(&b, sharedFixture(t, "segment/"+name)); err != nil {
			t.Fatal(err)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func granted(namespace, value string) string {
	return fmt.Sprintf(`{"id":"c","subject":{"namespace":%q,"value":%q},"action":"grant","purposes":["deliverability"],"consent_type":"explicit","asserted_at":"2009-01-01T10:00:00Z","covers_past":true,"notice":{"id":"n","version":"1"},"evidence":{"method":"m","source":"s"}}`+"\n", namespace, value)
}

// Real batches: each element is decided by its own person's consent, and written
// under its own key with a line of its own.
func TestSplitGolden(t *testing.T) {
	consents := granted("email", "recipient@example.com") + granted("crm", "123456")
	for topic, input := range map[string]string{"sendgrid": sendgrid(t), "segment": segment(t)} {
		got, sum, err := run(t, eval.Config{Engine: splitConfig(t), Topic: topic, Consents: strings.NewReader(consents), In: strings.NewReader(input)})
		if err != nil {
			t.Fatal(err)
		}
		if sum.Outputs == 0 || sum.Quarantined > 0 || strings.Contains(got, "@example") {
			t.Errorf("%s: %+v", topic, sum)
		}
		golden := "testdata/split/" + topic + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := read(t, golden); got != want {
			t.Errorf("%s: not as in %s (-update writes it anew)\n%s", topic, golden, firstDifference(got, want))
		}
	}
}

// An output says which element it is of, and the audit decides all of them.
func TestSplitElements(t *testing.T) {
	var events []struct{ Email string }
	input := sendgrid(t)
	if err := json.Unmarshal([]byte(input), &events); err != nil {
		t.Fatal(err)
	}
	got, _, err := run(t, eval.Config{Engine: splitConfig(t), Topic: "sendgrid", Consents: strings.NewReader(granted("email", "recipient@example.com")), In: strings.NewReader(input)})
	if err != nil {
		t.Fatal(err)
	}
	var written []int
	for row := range strings.Lines(got) {
		var l struct {
			Kind      string
			Source    struct{ Element int }
			Key       string
			Decisions []struct {
				Element  int
				Decision string
			}
		}
		if err := json.Unmarshal([]byte(row), &l); err != nil {
			t.Fatal(err)
		}
		if l.Kind == "output" {
			written = append(written, l.Source.Element)
			if len(l.Key) != 29 {
				t.Errorf("element %d has the key %s", l.Source.Element, l.Key)
			}
			continue
		}
		if len(l.Decisions) != len(events) {
			t.Fatalf("%d decisions for %d events", len(l.Decisions), len(events))
		}
		for i, d := range l.Decisions {
			mine := events[i].Email == "recipient@example.com"
			if d.Element != i || (d.Decision == "permit") != mine || slices.Contains(written, i) != mine {
				t.Errorf("event %d of %s: element %d, %s, written %v", i, events[i].Email, d.Element, d.Decision, slices.Contains(written, i))
			}
		}
	}
}
