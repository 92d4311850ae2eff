package eval_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/eval"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// smallConfig is one stream and one purpose that keeps the categories given.
func smallConfig(t *testing.T, format schemas.Format, subject string, fields ...string) engine.Config {
	t.Helper()
	cfg, _ := demoConfig(t)
	w := engine.Stream{Topic: "in", Format: format, Purposes: []string{"p"}, Subjects: []engine.SubjectRule{{Name: "s", Namespace: "crm", Paths: []string{subject}}},
		Key: engine.KeyRule{Category: "user.contact"}, Headers: []engine.HeaderRule{{Name: "h", Category: "user.contact"}}}
	for _, f := range fields {
		w.Fields = append(w.Fields, engine.FieldRule{Path: f, Category: "user.behavior"})
	}
	p := policy.Purpose{ID: "p", DataUse: "essential.service", Basis: policy.Contract, Treat: []policy.Rule{{Category: "user", Treatment: policy.Treatment{Name: "keep"}}}}
	return engine.Config{Policy: &policy.Policy{Namespaces: cfg.Policy.Namespaces, Purposes: []policy.Purpose{p}}, Streams: []engine.Stream{w}, Keys: cfg.Keys}
}

// The shapes of a --records line.
func TestRecordLines(t *testing.T) {
	cfg := smallConfig(t, schemas.JSON, "id", "id")
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		in, value, key, time string // of the output; "none" for no output
	}{
		{`{"value":{"id":"1"}}`, `{"id":"1"}`, "", "2026-11-22T12:00:00.000Z"},
		{`{"value":{ "id" : "\u0031" , "x":[ 1 ]}, "key":"k","timestamp":"2026-11-20T10:00:00+01:00"}`, `{"id":"\u0031"}`, "k", "2026-11-22T12:00:00.000Z"},
		{`{"value_base64":"` + b64(`{"id":"1"}`) + `"}`, `{"id":"1"}`, "", "2026-11-22T12:00:00.000Z"},
		{`{"key":null,"headers":null,"value":{"id":"1"}}`, `{"id":"1"}`, "", "2026-11-22T12:00:00.000Z"},
		{`{"key":"k","value":null}`, "none", "", ""},
		{`{"value":"scalar"}`, "none", "", ""},
		{`{"value_base64":""}`, "none", "", ""},
		{`{"value":{"id":"1","id":"2"}}`, "none", "", ""}, // the record's fault, not the line's
		{`{"value":{"id":"\ud800"}}`, "none", "", ""},
		{"{\"value\":{\"id\":\"\xff\"}}", "none", "", ""},
	} {
		out, sum, err := run(t, eval.Config{Engine: cfg, Topic: "in", Records: true, In: strings.NewReader(c.in)})
		if err != nil || sum.Records != 1 {
			t.Errorf("%s: %v, %+v", c.in, err, sum)
			continue
		}
		l := lines(t, out)[0]
		if c.value == "none" {
			if sum.Outputs != 0 {
				t.Errorf("%s: output %s", c.in, out)
			}
			continue
		}
		key := ""
		if l.Key != nil {
			key = *l.Key
		}
		if l.Kind != "output" || string(l.Value) != c.value || key != c.key || l.Time != c.time {
			t.Errorf("%s: %s", c.in, out)
		}
	}
}

// A line that is not a record stops with its number and without its content.
func TestLinesThatAreNone(t *testing.T) {
	cfg := smallConfig(t, schemas.JSON, "id", "id")
	good := `{"value":{"id":"1"}}` + "\n"
	for _, bad := range []string{
		`canary`, ``, `{"value":{}} canary`, `{"valeu":"canary"}`, `{"key":"canary"}`, `{"value":1,"value_base64":"AA=="}`, `{"value_base64":"canary!"}`,
		`{"value":{},"timestamp":"canary"}`, `{"value":{},"timestamp":"2026-11-20T10:00:00"}`, `{"value":{},"key":1}`, `{"value":{},"headers":{"h":1}}`, `[]`,
		`{"Value":{"id":"canary"}}`, `{"value":{"id":"1"},"value":{"id":"canary"}}`, `{"value":{"id":"1"},"value":null}`, `{"value":{},"key":"canary\ud800"}`,
		`{"value":{},"headers":{"h":"canary","h":"b"}}`, "{\"value\":{},\"key\":\"canary\xff\"}", `{"value":{}}{"value":{}}`, `{"value":{}`, `null`,
	} {
		_, _, err := run(t, eval.Config{Engine: cfg, Topic: "in", Records: true, In: strings.NewReader(good + bad + "\n")})
		if err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// By default a line is the value, byte for byte but for its end, LF or CRLF; an empty one is a record too.
func TestValueLines(t *testing.T) {
	cfg := smallConfig(t, schemas.JSON, "id", "id")
	in := "{\"id\":\"1\"}\r\n\r\n  {\"id\": 2 }\n{\"id\":\"\xff\"}\n{\"id\":\"" + strings.Repeat("x", 200_000) + "\"}\n{\"id\":3}"
	out, sum, err := run(t, eval.Config{Engine: cfg, Topic: "in", In: strings.NewReader(in)})
	want := eval.Summary{Records: 6, Outputs: 3, Quarantined: 2, Denied: map[eval.Denial]int64{{Purpose: "p", Reason: "SUBJECT_UNRESOLVED"}: 1},
		Faults: map[eval.Fault]int64{{Reason: "INPUT_MALFORMED", Detail: "empty_value"}: 1, {Reason: "INPUT_MALFORMED", Detail: "bad_utf8"}: 1}}
	if err != nil || !reflect.DeepEqual(sum, want) {
		t.Fatalf("%v, %+v\n%s", err, sum, out[:min(len(out), 2000)])
	}
	var got []string
	for _, l := range lines(t, out) {
		switch l.Kind {
		case "output":
			got = append(got, string(l.Value))
		case "quarantine":
			got = append(got, l.Detail)
		}
	}
	if s := strings.Join(got, " "); s != `{"id":"1"} empty_value {"id":2} bad_utf8 {"id":3}` {
		t.Error(s)
	}
}

func TestHeadersAndKeys(t *testing.T) {
	cfg := smallConfig(t, schemas.JSON, "id", "id")
	out, _, err := run(t, eval.Config{Engine: cfg, Topic: "in", Records: true, In: strings.NewReader(`{"key":"é","headers":{"z":"gone","h":"1"},"value":{"id":"1"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	l := lines(t, out)[0]
	if *l.Key != "é" || len(l.Headers) != 2 || l.Headers["h"] != "1" || len(l.Headers["cs-proof"]) != 32 {
		t.Errorf("%+v", l)
	}
}

const avroSchema = `{"type":"record","name":"R","namespace":"n","fields":[{"name":"id","type":"string"},{"name":"d","type":["null",{"type":"int","logicalType":"date"}]},
 {"name":"f","type":"double"},{"name":"t","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"b","type":"bytes"},{"name":"u","type":["null","string","long"]}]}`

// Values come and go in Avro's JSON encoding, their members in the schema's
// order; what is not a value of the schema is quarantined and names nothing.
func TestAvroText(t *testing.T) {
	cfg := smallConfig(t, schemas.Avro, "id", "id", "d", "f", "t", "b", "u")
	for in, want := range map[string]string{
		`{"id":"1","d":{"int":5},"f":1,"t":5,"b":"\u00ff","u":null}`:                `{"id":"1","d":{"int":5},"f":1,"t":5,"b":"ÿ","u":null}`,
		`{"b":"","u":{"long":1},"t":9223372036854775807,"f":0.5,"d":null,"id":"1"}`: `{"id":"1","d":null,"f":0.5,"t":9223372036854775807,"b":"","u":{"long":1}}`,
		`{"id":"1","d":{"int.date":5},"f":1,"t":-1,"b":"","u":{"string":"shown"}}`:  `{"id":"1","d":{"int":5},"f":1,"t":-1,"b":"","u":{"string":"shown"}}`,
		`{"id":"canary","d":5,"f":1,"t":5,"b":"","u":null}`:                         "not_encodable",
		`{"id":"canary","d":{"int":2147483648},"f":1,"t":5,"b":"","u":null}`:        "not_encodable",
		`{"id":"canary"}`: "not_encodable",
		`{"id":"canary","d":null,"f":1,"t":5,"b":"","u":null} canary`: "not_encodable",
		`canary`: "not_encodable", ``: "not_encodable", `null`: "not_encodable", `[]`: "not_encodable",
	} {
		out, _, err := run(t, eval.Config{Engine: cfg, Topic: "in", Schema: avroSchema, In: strings.NewReader(in + "\n")})
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if strings.Contains(out, "canary") {
			t.Errorf("%s is shown: %s", in, out)
		}
		l := lines(t, out)[0]
		if got := string(l.Value) + l.Detail; got != want && !equalJSON(l.Value, want) || l.Kind == "output" && strings.Index(string(l.Value), `"d"`) > strings.Index(string(l.Value), `"f"`) {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want)
		}
	}
}

func equalJSON(a []byte, b string) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal([]byte(b), &y) == nil && jsonText(x) == jsonText(y)
}

func jsonText(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// Values without a plain JSON form do not end the evaluation.
func TestAvroSpecialNumbers(t *testing.T) {
	cfg := smallConfig(t, schemas.Avro, "id", "id", "f")
	codec, err := goavro.NewCodec(avroSchema)
	if err != nil {
		t.Fatal(err)
	}
	var in bytes.Buffer
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64} {
		native := map[string]any{"id": "1", "d": nil, "f": f, "t": int64(1), "b": []byte{}, "u": nil}
		value, err := codec.BinaryFromNative(schemas.AppendFrame(nil, 1), native)
		if err != nil {
			t.Fatal(err)
		}
		in.WriteString(`{"value_base64":"` + base64.StdEncoding.EncodeToString(value) + `"}` + "\n")
	}
	out, sum, err := run(t, eval.Config{Engine: cfg, Topic: "in", Schema: avroSchema, Records: true, In: &in})
	if err != nil || sum.Outputs != 4 || len(lines(t, out)) != 8 {
		t.Errorf("%v, %+v, %s", err, sum, out)
	}
}

// What is wrong with the job itself.
func TestJobErrors(t *testing.T) {
	cfg := smallConfig(t, schemas.Avro, "id", "id")
	for want, job := range map[string]eval.Config{
		"no stream of topic":  {Engine: cfg, Topic: "other", Schema: avroSchema},
		"needs the writer":    {Engine: cfg, Topic: "in"},
		"cannot be used":      {Engine: cfg, Topic: "in", Schema: `{"type":"string"}`},
		"consents line 2":     {Engine: cfg, Topic: "in", Schema: avroSchema, Consents: strings.NewReader("{}\n" + `{"timestamp":"yesterday","value":{}}`)},
		"no key ring":         {Engine: engine.Config{Policy: cfg.Policy, Streams: cfg.Streams}, Topic: "in", Schema: avroSchema},
		"the input broke off": {Engine: cfg, Topic: "in", Schema: avroSchema, In: broken{}},
	} {
		if job.In == nil {
			job.In = strings.NewReader("")
		}
		if _, _, err := run(t, job); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := eval.Run(ctx, eval.Config{Engine: cfg, Topic: "in", Schema: avroSchema, In: strings.NewReader(""), Out: &bytes.Buffer{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the input broke off") }

// More records than a batch holds: order and numbers go on.
func TestManyBatches(t *testing.T) {
	cfg := smallConfig(t, schemas.JSON, "id", "id")
	out, sum, err := run(t, eval.Config{Engine: cfg, Topic: "in", In: strings.NewReader(strings.Repeat(`{"id":"1"}`+"\n", 2500))})
	if err != nil || sum.Records != 2500 || sum.Outputs != 2500 {
		t.Fatalf("%v, %+v", err, sum)
	}
	checkOrder(t, "in", out, 2500, []string{"p"})
}

// Real events from other people's systems: never an error, and nothing gets out
// that is not listed.
func TestRealEvents(t *testing.T) {
	const root = "../../../shared/fixtures/"
	for _, c := range []struct {
		files, subject string
		listed         []string
		least          int
	}{
		{"segment/*.ndjson", "userId", []string{"userId", "event", "type", "context.campaign.source", "context.page.path", "traits.plan"}, 3},
		{"sendgrid/*.ndjson", "email", []string{"email", "event", "timestamp", "category[*]"}, 10},
		{"unomi/*.json", "sessionId", []string{"sessionId", "events[*].eventType", "events[*].target.itemType", "sessions[*].itemId"}, 1},
	} {
		names, _ := filepath.Glob(root + c.files)
		if len(names) == 0 {
			t.Skip("no fixtures at " + root)
		}
		var in []string
		for _, name := range names {
			in = append(in, events(t, name)...)
		}
		cfg := smallConfig(t, schemas.JSON, c.subject, c.listed...)
		out, sum, err := run(t, eval.Config{Engine: cfg, Topic: "in", In: strings.NewReader(strings.Join(in, "\n"))})
		if err != nil || int(sum.Records) != len(in) || int(sum.Outputs) < c.least {
			t.Errorf("%s: %v, %+v", c.files, err, sum)
		}
		for _, l := range lines(t, out) {
			if l.Kind == "output" {
				checkListed(t, l.Value, c.listed)
			}
		}
	}
}

// events are the objects of a file, an array's elements one by one.
func events(t *testing.T, name string) (list []string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(b)); d.More(); {
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		var many []json.RawMessage
		if json.Unmarshal(v, &many) != nil {
			many = []json.RawMessage{v}
		}
		for _, one := range many {
			var line bytes.Buffer
			if err := json.Compact(&line, one); err != nil {
				t.Fatal(err)
			}
			list = append(list, line.String())
		}
	}
	return list
}

// checkListed wants every leaf of a value to be at a listed path.
func checkListed(t *testing.T, value []byte, listed []string) {
	t.Helper()
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, x := range v {
				walk(strings.TrimPrefix(path+"."+name, "."), x)
			}
		case []any:
			for _, x := range v {
				walk(path+"[*]", x)
			}
		default:
			for _, l := range listed {
				if path == l {
					return
				}
			}
			t.Errorf("%s got out, and nobody listed it", path)
		}
	}
	walk("", v)
}

// What of the consents file counts for nothing is said, and nothing of its
// content but purpose ids.
func TestNotes(t *testing.T) {
	cfg, _ := demoConfig(t)
	consents := `{"id":"1","subject":{"namespace":"crm","value":"canary"},"action":"withdraw"}
{"id":"2","subject":{"namespace":"crm","value":"canary"},"action":"withdraw","purposes":["marketing","analytcs"]}
{"id":"3","subject":{"namespace":"crm","value":"canary"},"action":"grannt"}
canary
{"subject":{"namespace":"crm","value":"canary"}}{"subject":{"namespace":"crm","value":"canary 2"}}
`
	_, sum, err := run(t, eval.Config{Engine: cfg, Topic: "marketing.events", Consents: strings.NewReader(consents + strings.Repeat("x\n", 100)), In: strings.NewReader("")})
	if err != nil || len(sum.Notes) != 20 {
		t.Fatalf("%v, %d notes", err, len(sum.Notes))
	}
	for i, want := range []eval.Note{
		{Line: 2, Text: `purpose "analytcs" is not in the policy: the event changes nothing for it; did you mean "analytics"?`},
		{Line: 3, Text: `the event is malformed (word), so it denies its subject: `},
		{Line: 4, Text: `the event is malformed (syntax), so it counts for nobody: `},
		{Line: 5, Text: `the event is malformed (syntax), so it denies the 2 people whom it names: `},
	} {
		if n := sum.Notes[i]; n.Line != want.Line || !strings.HasPrefix(n.Text, want.Text) || strings.Contains(n.Text, "canary") {
			t.Errorf("%+v", n)
		}
	}
}
