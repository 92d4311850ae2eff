package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// Where a field that is new tomorrow goes out at once, lint says so, and there alone.
func TestCheckCascades(t *testing.T) {
	const avsc = `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},
		{"name":"a","type":["null",{"type":"record","name":"A","fields":[{"name":"x","type":"string"},{"name":"b","type":{"type":"record","name":"B","fields":[{"name":"y","type":"string"}]}}]}]},
		{"name":"l","type":{"type":"array","items":{"type":"record","name":"L","fields":[{"name":"x","type":"string"}]}}}]}`
	avro := avroStream()
	avro.Schema = avsc
	for _, c := range []struct {
		stream engine.Stream
		fields string // of user.behavior, which is kept; user.name, in brackets, is dropped
		want   string // rule: where
	}{
		{avro, "a.x l[*].x", ""}, {avro, "a.x (a) l", "l: l[*]"}, {avro, "a", "a: a, a.b"}, {avro, "a.b.y (a.b)", ""}, {avro, "a (a.b)", "a: a"}, {avro, "a.*", "a.*: a, a.b"},
		{jsonStream(), "a.x l[*].x", ""}, {jsonStream(), "a a.x", "a: a"}, {jsonStream(), "a (a.x)", "a: a"}, {jsonStream(), "(a) a.x", ""}, {jsonStream(), "a", ""},
		{jsonStream(), "l l[*].x", "l: l[*]"}, {jsonStream(), "a.* a.*~key a.x", ""},
	} {
		w := c.stream
		w.Topic, w.Purposes, w.Subjects = "in", []string{"p"}, []engine.SubjectRule{customer}
		w.Fields = fieldRules("id", "user.unique_id")
		for path := range strings.FieldsSeq(c.fields) {
			category := "user.behavior"
			if bare := strings.Trim(path, "()"); bare != path {
				path, category = bare, "user.name"
			}
			w.Fields = append(w.Fields, engine.FieldRule{Path: path, Category: category})
		}
		p := policyOf(contract("p", "user.unique_id", "keep", "user.behavior", "keep", "user.name", "redact"))
		var got []string
		for _, f := range engine.Check(engine.Config{Policy: p, Streams: []engine.Stream{w}}) {
			if where, ok := strings.CutPrefix(f.Message, "new fields of "); ok && f.Warning {
				where, _, _ = strings.Cut(where, " will go out as user.behavior: ")
				got = append(got, strings.TrimSuffix(strings.TrimPrefix(f.At, "streams[0].fields["), "]")+": "+where)
			}
		}
		if !slices.Equal(got, strings.FieldsFunc(c.want, func(r rune) bool { return r == ';' })) {
			t.Errorf("%v %s: %q, want %q", w.Format == schemas.Avro, c.fields, got, c.want)
		}
	}
}
