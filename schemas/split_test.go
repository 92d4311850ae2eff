package schemas

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
)

func TestSplitPath(t *testing.T) {
	for text, ok := range map[string]bool{
		"[*]": true, "a[*]": true, `a."b c"[*]`: true,
		"": false, "a": false, "[*].a": false, "a[*][*]": false, "a[0]": false, "**[*]": false, "*[*]": false, `a[k=="v"]`: false, "a[*]~key": false,
	} {
		if p, err := SplitPath(text); (err == nil) != ok || ok && p.String() != text {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}

func TestSplitJSON(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		{"[*]", ` [ {"a":[1,{}]} , {}, 3,null,"x"] `, `{"a":[1,{}]}|{}|3|null|"x"`},
		{"[*]", `[{"a":1},[{"a":1}]]`, `not_an_object at [*]`},
		{"[*]", `[]`, ``},
		{"[*]", `{}`, `not_an_array at [*]`},
		{"[*]", `[{"a":1,"A":2}]`, `duplicate_key`},
		{"[*]", `[{}`, `truncated`},
		{"a.b[*]", `{"x":[9],"a":{"b":[{"b":[7]},8],"c":[6]}}`, `{"b":[7]}|8`},
		{"a.b[*]", `{"a":{"b":{}}}`, `not_an_array at a.b[*]`},
		{"a.b[*]", `{"a":{"b":null}}`, `not_an_array at a.b[*]`},
		{"a.b[*]", `{"a":[[1]]}`, `not_an_array at a.b[*]`},
		{"a.b[*]", `[{"a":{"b":[1]}}]`, `not_an_array at a.b[*]`},
	} {
		s, inner, err := Split(JSON, c.path, "", []string{"a"})
		if err != nil || inner.Nodes()[1].Path != "a" || s.Path() != c.path {
			t.Fatal(err)
		}
		if got := splitOf(s, []byte(c.value)); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s of %s: %s, want %s", c.path, c.value, got, c.want)
		}
	}
}

// What the paths lead into is what elements must be.
func TestSplitKinds(t *testing.T) {
	for paths, want := range map[string]string{"a": "not_an_object at [*]", "[*].a": "not_an_array at [*]", "**": "{}|[1]"} {
		s, _, err := Split(JSON, "[*]", "", []string{paths})
		if err != nil {
			t.Fatal(err)
		}
		if got := splitOf(s, []byte(`[{},[1]]`)); got != want {
			t.Errorf("%s: %s, want %s", paths, got, want)
		}
	}
}

func splitOf(s *Splitter, src []byte) string {
	var tape Tape
	spans, err := s.Elements(nil, src, &tape)
	if err != nil {
		return err.Error()
	}
	parts := make([]string, len(spans))
	for i, span := range spans {
		parts[i] = string(src[span.Start:span.End])
	}
	return strings.Join(parts, "|")
}

const splitSchema = `{"type":"record","name":"Batch","namespace":"crm","fields":[
	{"name":"by","type":{"type":"record","name":"Who","namespace":"crm.people","fields":[{"name":"id","type":"string"},{"name":"kind","type":{"type":"enum","name":"Kind","symbols":["A","B"]}}]}},
	{"name":"inner","type":["null",{"type":"record","name":"Inner","fields":[
		{"name":"events","type":["null",{"type":"array","items":["null",{"type":"record","name":"Event","fields":[
			{"name":"from","type":"crm.people.Who"},{"name":"to","type":["null","crm.people.Who"],"default":null},{"name":"kind","type":"crm.people.Kind"},{"name":"n","type":"int"}]}]}],"default":null}]}]},
	{"name":"last","type":"Event"}]}`

// An element of Avro is a record of its own, under a schema of its own.
func TestSplitAvro(t *testing.T) {
	s, inner, err := Split(Avro, "inner.events[*]", splitSchema, nil)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, n := range inner.Nodes() {
		paths = append(paths, n.Path)
	}
	if got, want := strings.Join(paths, " "), " from from.id from.kind to to.id to.kind kind n"; got != want || inner.Nodes()[0].Type.Name != "crm.Event" {
		t.Errorf("positions %s of %s, want %s", got, inner.Nodes()[0].Type.Name, want)
	}
	codec, err := goavro.NewCodec(splitSchema)
	if err != nil {
		t.Fatal(err)
	}
	element, err := avroElement(splitSchema, mustPath(t, "inner.events[*]"))
	if err != nil {
		t.Fatal(err)
	}
	one, err := goavro.NewCodec(element)
	if err != nil {
		t.Fatal(err, element)
	}
	encode := func(events string) []byte {
		native, _, err := codec.NativeFromTextual(fmt.Appendf(nil, `{"by":{"id":"x","kind":"A"},"inner":%s,"last":{"from":{"id":"l","kind":"A"},"to":null,"kind":"A","n":0}}`, events))
		if err != nil {
			t.Fatal(err)
		}
		src, err := codec.BinaryFromNative(nil, native)
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	event := `{"crm.Event":{"from":{"id":"a","kind":"B"},"to":{"crm.people.Who":{"id":"b","kind":"A"}},"kind":"A","n":%d}}`
	src := encode(fmt.Sprintf(`{"crm.Inner":{"events":{"array":[`+event+`,`+event+`]}}}`, 1, 2))
	var tape Tape
	spans, err := s.Elements(nil, src, &tape)
	if err != nil || len(spans) != 2 {
		t.Fatal(spans, err)
	}
	for i, span := range spans {
		if err := inner.Scan(src[span.Start:span.End], &tape); err != nil {
			t.Fatal(err)
		}
		native, rest, err := one.NativeFromBinary(src[span.Start:span.End])
		if err != nil || len(rest) > 0 {
			t.Fatal(err, len(rest))
		}
		if n := native.(map[string]any)["n"]; n != int32(i+1) {
			t.Errorf("element %d has n %v", i, n)
		}
	}
	for events, want := range map[string]string{
		"null": "not_an_array at inner.events[*]", `{"crm.Inner":{"events":null}}`: "not_an_array at inner.events[*]",
		`{"crm.Inner":{"events":{"array":[]}}}`: "", `{"crm.Inner":{"events":{"array":[null]}}}`: "top_level_scalar at inner.events[*]",
	} {
		if got := splitOf(s, encode(events)); got != want {
			t.Errorf("%s: %s, want %s", events, got, want)
		}
	}
}

func TestSplitAvroRefuses(t *testing.T) {
	for path, schema := range map[string]string{
		"by[*]": splitSchema, "nobody[*]": splitSchema, "inner[*]": splitSchema, "last.n[*]": splitSchema,
		"a[*]": `{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":"string"}}]}`,
		"b[*]": `{"type":"record","name":"R","fields":[{"name":"b","type":{"type":"array","items":["null","string",{"type":"record","name":"X","fields":[]}]}}]}`,
		"[*]":  `{"type":"array","items":{"type":"record","name":"R","fields":[]}}`,
		"c[*]": `{`,
	} {
		if _, _, err := Split(Avro, path, schema, nil); err == nil {
			t.Errorf("%s is split", path)
		}
	}
}

// FuzzSplitSchema: the schema of the elements never panics, and has the fields
// that the whole schema has for them.
func FuzzSplitSchema(f *testing.F) {
	f.Add(splitSchema, "inner.events[*]")
	f.Add(`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":{"type":"record","name":"E","fields":[{"name":"m","type":{"type":"map","values":"int"}}]}}}]}`, "a[*]")
	f.Fuzz(func(t *testing.T, schema, path string) {
		s, inner, err := Split(Avro, path, schema, nil)
		if err != nil {
			return
		}
		if !json.Valid([]byte(schema)) {
			t.Error("what is no JSON is split")
		}
		nodes, n := s.outer.Nodes(), 0
		for _, o := range nodes[s.element+1:] {
			if !strings.HasPrefix(o.Path, nodes[s.element].Path+".") && o.Path != nodes[s.element].Path {
				break
			}
			n++
			if n >= len(inner.Nodes()) || inner.Nodes()[n].Type.Kind != o.Type.Kind || "."+inner.Nodes()[n].Path != strings.TrimPrefix(o.Path, nodes[s.element].Path) {
				t.Fatalf("%s is not in the schema of the elements", o.Path)
			}
		}
		if n != len(inner.Nodes())-1 {
			t.Errorf("%d positions of %d", n, len(inner.Nodes())-1)
		}
	})
}
