package eval_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/eval"
	"github.com/consentstream/consentstream/internal/keys"
)

var update = flag.Bool("update", false, "write the golden files anew; read the difference before you commit it")

// demoConfig is the shipped demo configuration under a fixed key.
func demoConfig(t *testing.T) (engine.Config, *configs.Config) {
	t.Helper()
	cfg, findings := configs.Load("../../configs/demo/consentstream.yaml", func(string) (string, bool) { return "", false }, os.ReadFile)
	if cfg == nil {
		t.Fatalf("the demo configuration does not load: %v", findings)
	}
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{7}, 256)), "test")
	if err != nil {
		t.Fatal(err)
	}
	return engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: ring}, cfg
}

// run evaluates at a fixed time and gives the exact output.
func run(t *testing.T, cfg eval.Config) (string, eval.Summary, error) {
	t.Helper()
	now, _ := time.Parse(time.RFC3339, at)
	cfg.At, cfg.Group = now.UnixMilli(), "test"
	var out bytes.Buffer
	cfg.Out = &out
	sum, err := eval.Run(context.Background(), cfg)
	return out.String(), sum, err
}

// at is the clock of these tests.
const at = "2026-11-22T12:00:00Z"

// The exact lines for the demo configuration: with the same key, time, input
// and consents they are the same bytes (promise P12).
func TestGolden(t *testing.T) {
	cfg, loaded := demoConfig(t)
	consents := read(t, "testdata/consents.ndjson")
	for _, s := range loaded.Streams {
		topic := s.Wiring.Topic
		input := read(t, "testdata/"+topic+".ndjson")
		job := func() eval.Config {
			return eval.Config{Engine: cfg, Topic: topic, Schema: s.Wiring.Schema, Records: true,
				Consents: strings.NewReader(consents), In: strings.NewReader(input)}
		}
		got, _, err := run(t, job())
		if err != nil {
			t.Fatal(err)
		}
		if again, _, _ := run(t, job()); again != got {
			t.Errorf("%s: twice, and not the same", topic)
		}
		checkOrder(t, topic, got, strings.Count(input, "\n"), s.Wiring.Purposes)
		golden := "testdata/" + topic + ".golden"
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

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return "got  " + a[i] + "\nwant " + strings.Join(b[min(i, len(b)):min(i+1, len(b))], "")
		}
	}
	return "lines are missing"
}

// line is what the tests look at of any line.
type line struct {
	Kind    string
	Purpose string
	Topic   string
	Source  struct{ Offset int64 }
	Reason  string
	Detail  string
	Path    string
	Key     *string
	Headers map[string]string
	Value   json.RawMessage
	Time    string `json:"timestamp"`

	ValueBase64 string `json:"value_base64"`
	KeyBase64   string `json:"key_base64"`

	Decisions []struct {
		Purpose, Decision, Reason string
		Fields                    []struct{ Path, Treatment string }
	}
}

func lines(t *testing.T, text string) (all []line) {
	t.Helper()
	for row := range strings.Lines(text) {
		var l line
		if err := json.Unmarshal([]byte(row), &l); err != nil {
			t.Fatalf("%v in %s", err, row)
		}
		all = append(all, l)
	}
	return all
}

// checkOrder wants the records in input order, and of each its outputs in
// policy order, its quarantine record if any, its audit record last.
func checkOrder(t *testing.T, topic, text string, records int, purposes []string) {
	t.Helper()
	offset, last := int64(0), -1
	for i, l := range lines(t, text) {
		if l.Source.Offset != offset {
			t.Errorf("%s line %d: offset %d, want %d", topic, i, l.Source.Offset, offset)
		}
		rank := map[string]int{"quarantine": 100, "audit": 200}[l.Kind]
		for n, p := range purposes {
			if l.Kind == "output" && l.Purpose == p {
				rank = n
			}
		}
		if rank <= last {
			t.Errorf("%s line %d: %s %s comes too late", topic, i, l.Kind, l.Purpose)
		}
		if last = rank; l.Kind == "audit" {
			offset, last = offset+1, -1
		}
	}
	if int(offset) != records {
		t.Errorf("%s: %d audit lines for %d records", topic, offset, records)
	}
}
