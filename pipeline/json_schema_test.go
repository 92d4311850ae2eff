package pipeline

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// TestJSONSchemaStream: records with a JSON Schema go out under the id of the
// derived one, which is registered as a JSON Schema. A field that nobody classified is
// counted once, when its schema comes up.
func TestJSONSchemaStream(t *testing.T) {
	metrics := prometheus.NewRegistry()
	r := newRig(t, func(cfg *Config) {
		cfg.Metrics = metrics
		s := rigStream(rigInput)
		s.Format = schemas.JSONSchema
		s.Fields = []engine.FieldRule{{Path: "id", Category: "user.unique_id"}, {Path: "n", Category: "system.operations"}}
		cfg.Engine.Streams = []engine.Stream{s}
	})
	id, err := r.Register(t.Context(), "events-value", `{"properties":{"id":{"type":"string"},"n":{"type":"integer"},"more":{}}}`, schemas.JSONSchema)
	if err != nil {
		t.Fatal(err)
	}
	r.consent(1, "grant")
	run := r.start()
	value := func(text string) *kgo.Record {
		return &kgo.Record{Topic: rigInput, Key: []byte("1"), Value: append(schemas.AppendFrame(nil, id), text...)}
	}
	r.produce(value(`{"id":"1","n":5,"more":1}`), value(`{"id":`))
	r.exactlyOnce(r.chains(r.audited(2)), rigInput, 0, 2)
	run.stop()
	if n := counted(t, metrics, "consentstream_withheld_fields_total", rigInput); n != 1 {
		t.Errorf("%v fields are counted as withheld", n)
	}
	out := r.read(rigInput + ".analytics")
	if len(out) != 1 {
		t.Fatalf("%d records on analytics", len(out))
	}
	derived, payload, f := schemas.ParseFrame(out[0].Value)
	if f != nil || derived == id {
		t.Fatalf("framed with %d, %v", derived, f)
	}
	text, err := r.Schema(t.Context(), derived, schemas.JSONSchema)
	if err != nil || schemas.CompatibleJSON(text, text) != nil {
		t.Errorf("registered %s, %v", text, err)
	}
	t.Logf("%s under %s", payload, text)
	if r.kind[derived] != schemas.JSONSchema {
		t.Errorf("registered as %v", r.kind[derived])
	}
}

// counted is the value of a counter that has one label.
func counted(t *testing.T, metrics prometheus.Gatherer, name, label string) (n float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
