package eval_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/eval"
	"github.com/consentstream/consentstream/internal/keys"
)

const examplesDir = "../../configs/examples/"

// example is a directory of configs/examples and who may see what of the people
// in its events.
type example struct {
	name string
	// secret is never written, personal for service alone, shared for marketing and
	// service, explicit for marketing alone; none of them for analytics.
	secret, personal, shared, explicit []string
	fixtures                           []fixture
}

// fixture is a file of ../shared/fixtures, read as records of a topic. The files
// hold values only: what the source would put around them is given here.
type fixture struct {
	file, topic string
	scenario    string    // of a .feature file
	key         string    // "" for none
	around      [2]string // what to put in place of the value's first {, and last }
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

// TestExamplesDoc: docs/examples.md has a section for each, and shows lines that
// stand in it.
func TestExamplesDoc(t *testing.T) {
	sections := strings.Split(read(t, "../../docs/examples.md"), "\n## ")
	for _, x := range examples {
		i := slices.IndexFunc(sections, func(s string) bool { return strings.Contains(s, "["+x.name+"](") })
		if i < 0 {
			t.Errorf("docs/examples.md has no section for %s", x.name)
			continue
		}
		_, block, _ := strings.Cut(sections[i], "```yaml\n")
		block, _, _ = strings.Cut(block, "```")
		wiring := read(t, examplesDir+x.name+"/consentstream.yaml")
		for row := range strings.Lines(block) {
			if word, _, _ := strings.Cut(strings.TrimSpace(row), ": "); !strings.Contains(wiring, word) {
				t.Errorf("docs/examples.md shows %s, which is not in the wiring of %s", word, x.name)
			}
		}
		if block == "" {
			t.Errorf("docs/examples.md shows nothing of %s", x.name)
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
	job := exampleJob{cfg: cfg, wiring: streams[i].Wiring}
	if filepath.Ext(f.file) == ".avro" { // a schema: the example's own records under it give the same
		job.wiring.Schema = f.text(t)
		job.records, job.consents = read(t, examplesDir+x.name+"/"+f.topic+".ndjson"), read(t, examplesDir+x.name+"/consents.ndjson")
		if got, want := outputValues(t, job.run(t)), outputValues(t, read(t, "testdata/examples/"+x.name+"/"+f.topic+".golden")); got != want {
			t.Errorf("under the fixture's schema\n%s", firstDifference(got, want))
		}
		return
	}
	job.records, job.consents = f.records(t), read(t, "testdata/examples/"+x.name+"/fixtures.consents.ndjson")
	name := strings.TrimSuffix(filepath.Base(f.file), filepath.Ext(f.file))
	if f.scenario != "" && f.around[0] == "" && f.headers == nil {
		name += ".nobody"
	}
	job.golden(t, "testdata/examples/"+x.name+"/"+f.topic+".fixture."+name+".golden")
}

// outputValues are what goes to the purposes' topics without its proof, which is
// of the record.
func outputValues(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	for _, l := range lines(t, text) {
		if l.Kind == "output" {
			fmt.Fprintf(&out, "%s %s %s\n", l.Purpose, *l.Key, l.Value)
		}
	}
	return out.String()
}

func (f fixture) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../shared/fixtures/" + f.file)
	if os.IsNotExist(err) {
		t.Skip("the fixtures are not here: ../shared/fixtures beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// records are the lines that eval reads: one of each value of an .ndjson, one of
// the whole of another file.
func (f fixture) records(t *testing.T) string {
	t.Helper()
	text := f.text(t)
	values := [][]byte{[]byte(text)}
	switch filepath.Ext(f.file) {
	case ".ndjson":
		values = bytes.Split(bytes.TrimSpace([]byte(text)), []byte("\n"))
	case ".feature":
		value, headers := featureMessage(t, text, f.scenario)
		values = [][]byte{[]byte(value)}
		maps.Copy(headers, f.headers)
		f.headers = headers
	}
	if f.around[0] != "" {
		inner := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(values[0])), "{"), "}")
		values[0] = []byte(f.around[0] + inner + f.around[1])
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

// featureMessage reads the payload and the headers of the Kafka message that a
// scenario of a Gherkin file has.
func featureMessage(t *testing.T, text, scenario string) (value string, headers map[string]string) {
	t.Helper()
	_, text, found := strings.Cut(text, scenario)
	parts := strings.SplitN(text, `"""`, 3)
	if !found || len(parts) < 3 {
		t.Fatalf("no payload in scenario %q", scenario)
	}
	table, _, _ := strings.Cut(parts[2], "When ")
	headers = map[string]string{}
	for row := range strings.Lines(table) {
		if cells := strings.Split(row, "|"); len(cells) == 4 && strings.TrimSpace(cells[1]) != "key" {
			headers[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
		}
	}
	return parts[1], headers
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
		w.WriteString(legible(string(l.Value)) + "\n")
	}
	in = legible(in)
	for purpose, w := range shown {
		if w.Len() == 0 {
			t.Errorf("nothing goes to %s", purpose)
		}
	}
	for _, word := range slices.Concat(x.secret, x.personal, x.shared, x.explicit) {
		if !strings.Contains(in, word) {
			t.Errorf("%q is in no event", word)
		}
		for purpose, w := range shown {
			has, may := strings.Contains(w.String(), word), slices.Contains(x.audience(word), purpose)
			if has != may {
				t.Errorf("%s: shows %q: %v, may: %v", purpose, word, has, may)
			}
		}
	}
}

var base64JSON = regexp.MustCompile(`"(eyJ[A-Za-z0-9+/]+=*)"`)

// legible is a text with what stands in it in base64 after it.
func legible(text string) string {
	for _, m := range base64JSON.FindAllStringSubmatch(text, -1) {
		if inner, err := base64.StdEncoding.DecodeString(m[1]); err == nil {
			text += "\n" + string(inner)
		}
	}
	return text
}

// audience are the purposes that may see a word.
func (x example) audience(word string) []string {
	switch {
	case slices.Contains(x.personal, word):
		return []string{"service"}
	case slices.Contains(x.shared, word):
		return []string{"marketing.email", "service"}
	case slices.Contains(x.explicit, word):
		return []string{"marketing.email"}
	}
	return nil
}
