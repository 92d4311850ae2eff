package eval_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/eval"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

const examplesDir = "../../configs/examples/"

// example is a directory of configs/examples and who may see what of the people
// in its events.
type example struct {
	name string
	// secret is never written, personal for service alone, shared for marketing
	// and service; none of them for analytics.
	secret, personal, shared []string
	fixtures                 []fixture
}

// fixture is a file of ../shared/fixtures, read as records of a topic. The files
// hold values only: what the source would put around them is given here.
type fixture struct {
	file, topic string
	key         string // "" for none
	headers     map[string]string
}

func loadExample(t *testing.T, name string) (engine.Config, []configs.Stream) {
	t.Helper()
	cfg, findings := configs.Load(examplesDir+name+"/consentstream.yaml", func(string) (string, bool) { return "", false }, os.ReadFile)
	for _, f := range findings {
		t.Errorf("%s:%d:%d: %s", f.File, f.Line, f.Col, f.Message)
	}
	if cfg == nil {
		t.FailNow()
	}
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{7}, 256)), "test")
	if err != nil {
		t.Fatal(err)
	}
	return engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: ring}, cfg.Streams
}

// TestExampleList: every directory that ships is tested.
func TestExampleList(t *testing.T) {
	entries, err := os.ReadDir(examplesDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.ContainsFunc(examples, func(x example) bool { return x.name == e.Name() }) {
			t.Errorf("%s is in no test", e.Name())
		}
	}
}

// The shipped examples have no findings, and what they write of their own events
// and of what the sources' own projects use as examples is in the golden files.
func TestExamples(t *testing.T) {
	for _, x := range examples {
		t.Run(x.name, func(t *testing.T) {
			cfg, streams := loadExample(t, x.name)
			consents := read(t, examplesDir+x.name+"/consents.ndjson")
			var in, out strings.Builder
			for _, s := range streams {
				job := exampleJob{cfg: cfg, wiring: s.Wiring, consents: consents, records: read(t, examplesDir+x.name+"/"+s.Wiring.Topic+".ndjson")}
				in.WriteString(job.records)
				out.WriteString(job.golden(t, "testdata/examples/"+x.name+"/"+s.Wiring.Topic+".golden"))
			}
			x.checkAudience(t, in.String(), lines(t, out.String()))
			for _, f := range x.fixtures {
				t.Run(filepath.Base(f.file), func(t *testing.T) { x.checkFixture(t, cfg, streams, f) })
			}
		})
	}
}

func (x example) checkFixture(t *testing.T, cfg engine.Config, streams []configs.Stream, f fixture) {
	i := slices.IndexFunc(streams, func(s configs.Stream) bool { return s.Wiring.Topic == f.topic })
	job := exampleJob{cfg: cfg, wiring: streams[i].Wiring, records: f.records(t),
		consents: read(t, "testdata/examples/"+x.name+"/fixtures.consents.ndjson")}
	name := strings.TrimSuffix(filepath.Base(f.file), filepath.Ext(f.file))
	job.golden(t, "testdata/examples/"+x.name+"/"+f.topic+".fixture."+name+".golden")
}

// records are the lines that eval reads: one of each value of an .ndjson, one of
// the whole of another file.
func (f fixture) records(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../shared/fixtures/" + f.file)
	if os.IsNotExist(err) {
		t.Skip("the fixtures are not here: ../shared/fixtures beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	values := [][]byte{text}
	if filepath.Ext(f.file) == ".ndjson" {
		values = bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	}
	var out strings.Builder
	for _, v := range values {
		line := map[string]any{"value": json.RawMessage(v), "headers": f.headers, "timestamp": "2026-11-20T10:00:00Z"}
		if f.key != "" {
			line["key"] = f.key
		}
		out.WriteString(asJSON(t, line) + "\n")
	}
	return out.String()
}

// asJSON is v on one line, with < and > as they are.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// exampleJob is one evaluation.
type exampleJob struct {
	cfg               engine.Config
	wiring            engine.Stream
	records, consents string
}

func (j exampleJob) run(t *testing.T) string {
	t.Helper()
	got, _, err := run(t, eval.Config{Engine: j.cfg, Topic: j.wiring.Topic, Schema: j.wiring.Schema, Records: true,
		Consents: strings.NewReader(j.consents), In: strings.NewReader(j.records)})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// golden compares with a file, and with what is written when every object of the
// records has one more member that no path names.
func (j exampleJob) golden(t *testing.T, name string) string {
	t.Helper()
	got := j.run(t)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, name); got != want {
		t.Errorf("not as in %s (-update writes it anew)\n%s", name, firstDifference(got, want))
	}
	with := j.withCanary(t)
	if n := strings.Count(with.records, canary); n < strings.Count(j.records, "\n") {
		t.Errorf("%s: only %d canaries", name, n)
	}
	if a, b := outputLines(got), outputLines(with.run(t)); a != b {
		t.Errorf("%s: with a member that nobody has classified\n%s", name, firstDifference(b, a))
	}
	return got
}

// outputLines are those of what goes to the purposes' topics.
func outputLines(text string) string {
	var out strings.Builder
	for row := range strings.Lines(text) {
		if strings.HasPrefix(row, `{"kind":"output"`) {
			out.WriteString(row)
		}
	}
	return out.String()
}

// checkAudience wants each word where it may be, and nowhere else.
func (x example) checkAudience(t *testing.T, in string, all []line) {
	t.Helper()
	shown := map[string]*strings.Builder{"analytics": {}, "marketing.email": {}, "service": {}}
	for _, l := range all {
		if l.Kind != "output" {
			continue
		}
		w := shown[l.Purpose]
		if l.Key != nil {
			w.WriteString(*l.Key + "\n")
		}
		for name, v := range l.Headers {
			w.WriteString(name + ": " + v + "\n")
		}
		w.Write(append(l.Value, '\n'))
	}
	for purpose, w := range shown {
		if w.Len() == 0 {
			t.Errorf("nothing goes to %s", purpose)
		}
	}
	for _, word := range slices.Concat(x.secret, x.personal, x.shared) {
		if !strings.Contains(in, word) {
			t.Errorf("%q is in no event", word)
		}
		for purpose, w := range shown {
			has, may := strings.Contains(w.String(), word), slices.Contains(x.shared, word) && purpose != "analytics" || slices.Contains(x.personal, word) && purpose == "service"
			if has != may {
				t.Errorf("%s: shows %q: %v, may: %v", purpose, word, has, may)
			}
		}
	}
}

// canary is a value that no rule classifies.
const canary = "CANARY-4711"

// withCanary adds a member to every object of the records' values that is no map,
// and a header; in Avro a field to every record of the schema.
func (j exampleJob) withCanary(t *testing.T) exampleJob {
	t.Helper()
	var out strings.Builder
	for row := range strings.Lines(j.records) {
		var rec map[string]any
		d := json.NewDecoder(strings.NewReader(row))
		d.UseNumber()
		if err := d.Decode(&rec); err != nil {
			t.Fatal(err)
		}
		if j.wiring.Format == schemas.Avro {
			var schema any
			if err := json.Unmarshal([]byte(j.wiring.Schema), &schema); err != nil {
				t.Fatal(err)
			}
			avroCanary(schema, rec["value"])
		} else if rec["value"] != nil {
			var value struct{ Value json.RawMessage }
			if err := json.Unmarshal([]byte(row), &value); err != nil {
				t.Fatal(err)
			}
			rec["value"] = json.RawMessage(j.jsonCanary(t, value.Value))
		}
		headers, _ := rec["headers"].(map[string]any)
		if headers == nil {
			headers = map[string]any{}
		}
		headers["zz-canary"], rec["headers"] = canary, headers
		out.WriteString(asJSON(t, rec) + "\n")
	}
	j.records = out.String()
	if j.wiring.Format == schemas.Avro {
		j.wiring.Schema = canarySchema(t, j.wiring.Schema)
	}
	return j
}

// jsonCanary keeps the order of members, which is that of the output.
func (j exampleJob) jsonCanary(t *testing.T, value []byte) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var out bytes.Buffer
	var path schemas.Path
	var walk func()
	scalar := func(v any) { out.WriteString(asJSON(t, v)) }
	next := func() json.Token {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	walk = func() {
		tok := next()
		delim, container := tok.(json.Delim)
		if !container {
			scalar(tok)
			return
		}
		out.WriteRune(rune(delim))
		for n := 0; d.More(); n++ {
			if n > 0 {
				out.WriteByte(',')
			}
			step := schemas.Step{Kind: schemas.StepIndex, Index: n}
			if delim == '{' {
				step = schemas.Step{Kind: schemas.StepMember, Name: next().(string)}
				scalar(step.Name)
				out.WriteByte(':')
			}
			path = append(path, step)
			walk()
			path = path[:len(path)-1]
		}
		if delim == '{' && !j.isMap(path) {
			if out.Bytes()[out.Len()-1] != '{' {
				out.WriteByte(',')
			}
			out.WriteString(`"zz_canary":"` + canary + `"`)
		}
		out.WriteRune(rune(next().(json.Delim)))
	}
	walk()
	return out.Bytes()
}

// isMap reports that a rule classifies the names of the object's members: another
// one is no new field then.
func (j exampleJob) isMap(path schemas.Path) bool {
	if j.wiring.Split != "" {
		split, _ := schemas.ParsePath(j.wiring.Split)
		path = path[min(len(split), len(path)):]
	}
	keys := append(slices.Clone(path), schemas.Step{Kind: schemas.StepAnyMember}, schemas.Step{Kind: schemas.StepKey})
	return slices.ContainsFunc(j.wiring.Fields, func(f engine.FieldRule) bool {
		p, err := schemas.ParsePath(f.Path)
		return err == nil && len(p) == len(keys) && p.Covers(keys)
	})
}

// canarySchema gives every record of an Avro schema one more field.
func canarySchema(t *testing.T, text string) string {
	t.Helper()
	var schema any
	if err := json.Unmarshal([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	records(schema, func(record map[string]any) {
		record["fields"] = append(record["fields"].([]any), map[string]any{"name": "zz_canary", "type": "string"})
	})
	b, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// records visits the definitions of records in a schema.
func records(schema any, visit func(map[string]any)) {
	switch s := schema.(type) {
	case []any:
		for _, branch := range s {
			records(branch, visit)
		}
	case map[string]any:
		for _, inner := range []string{"type", "items", "values"} {
			records(s[inner], visit)
		}
		fields, _ := s["fields"].([]any)
		for _, f := range fields {
			records(f.(map[string]any)["type"], visit)
		}
		if s["type"] == "record" {
			visit(s)
		}
	}
}

// avroCanary gives every record of a value in Avro's JSON encoding the field of
// canarySchema. It knows a record by its fields: the names of types are not needed.
func avroCanary(schema, value any) {
	var kinds []map[string]any
	records(schema, func(r map[string]any) { kinds = append(kinds, r) })
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
			if slices.ContainsFunc(kinds, func(r map[string]any) bool { return sameFields(r, v) }) {
				v["zz_canary"] = canary
			}
		}
	}
	walk(value)
}

func sameFields(record, value map[string]any) bool {
	fields := record["fields"].([]any)
	for _, f := range fields {
		if _, ok := value[f.(map[string]any)["name"].(string)]; !ok {
			return false
		}
	}
	return len(fields) == len(value)
}
