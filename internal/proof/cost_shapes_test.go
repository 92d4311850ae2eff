package proof

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/race"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// dear is a record that was found to be dear, and the rules under which it is:
// path and treatment in turn. "gated" is keep behind the explicit consent that there
// is, so that a container is written anew; "in ..." is for the elements of a text.
type dear struct {
	name  string
	avsc  string // "" for JSON
	value []byte
	rules []string
}

// TestDearShapes holds the bounds against what a search by hand found.
func TestDearShapes(t *testing.T) {
	if race.Enabled {
		t.Skip("measures")
	}
	var most worst
	for _, s := range dearShapes() {
		r, err := s.rig()
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if len(s.value) > megabyte {
			t.Fatalf("%s: %d bytes", s.name, len(s.value))
		}
		in := engine.Input{Key: []byte("42"), Value: s.value}
		c := r.cost(t, in)
		most.add(c)
		if !c.fine() {
			t.Errorf("%s %q: %s costs %v and %d MB", s.name, s.rules, c.outcome, c.time, c.memory>>20)
		}
	}
	t.Log(&most)
}

func dearShapes() (all []dear) {
	for _, s := range []struct {
		elem, unit string
		rules      []string
	}{
		{`{"type":"record","name":"E","fields":[{"name":"a","type":"boolean"}]}`, "\x01", []string{"l[*].a", "gated"}},
		{`{"type":"record","name":"E","fields":[{"name":"a","type":"boolean"},{"name":"b","type":"boolean"}]}`, "\x01\x00", []string{"l[*].a", "redact", "l[*].b", "keep"}},
		{`{"type":"record","name":"E","fields":[{"name":"a","type":"null"},{"name":"b","type":"boolean"}]}`, "\x01", []string{"l[*].a", "keep", "l[*].b", "gated"}},
		{`{"type":"record","name":"E","fields":[{"name":"k","type":"string"}]}`, "\x02v\x02w", []string{`l[k=="v"].k`, "keep", `l[k=="w"].k`, "gated", "l[*].k", "mask"}},
		{`["null","boolean","int"]`, "\x02\x01", []string{"l[*]", "gated"}},
		{`{"type":"array","items":"boolean"}`, "\x00", []string{"l[*][*]", "gated"}},
		{`{"type":"map","values":"boolean"}`, "\x00", []string{"l[*].*~key", "keep", "l[*].*", "gated"}},
		{`{"type":"map","values":"boolean"}`, "\x02\x02a\x01\x00", []string{"l[*].*~key", "keep", "l[*].*", "gated"}},
		{`"int"`, "\x01\x03", []string{"l[*]", "pseudonymize"}},
		{`"string"`, "\x02a", []string{"l[*]", "mask"}},
	} {
		all = append(all, dear{s.elem, avroOf(`{"type":"array","items":` + s.elem + `}`), avroList(s.unit), s.rules})
	}
	for _, rules := range [][]string{{"l.*~key", "keep", "l.*", "gated"}, {"l.*~key", "pseudonymize", "l.*", "keep"}, {"l.*~key", "mask", "l.*", "gated"}} {
		all = append(all, dear{"map", avroOf(`{"type":"map","values":"boolean"}`), avroMap(), rules})
	}
	for _, unit := range []string{"0", "[]", `""`, `{"a":0}`, `[{}]`} {
		list := many(unit, megabyte-20)
		for _, rules := range [][]string{{"l[*]", "keep"}, {"l[*]", "pseudonymize"}, {"l[*]", "mask"}, {"l[*].a", "gated", "l[*].k", "mask"}, {"**", "gated"}, {"**.a", "gated", "**[*]", "keep"}} {
			all = append(all, dear{"list of " + unit, "", []byte(`{"l":` + list + `}`), rules})
		}
		for _, open := range []string{`[{"a":`, `[{"k":"v","a":`} {
			deep := strings.Repeat(open, 29) + many(unit, megabyte-900) + strings.Repeat("}]", 29)
			all = append(all, dear{"deep " + unit, "", []byte(`{"a":` + deep + `}`), []string{`**[k=="v"]`, "keep", `**[k=="w"].a`, "gated", "**.a", "gated"}})
		}
	}
	for _, treat := range []string{"keep", "gated", "mask", "pseudonymize"} {
		all = append(all, dear{"members", "", members(), []string{"l.*", treat, "l.*~key", "keep"}}, dear{"members", "", members(), []string{"l.*", "keep", "l.*~key", treat}},
			dear{"members", "", members(), []string{"**", treat, "**.*~key", "keep"}})
		for _, n := range []int{1, 10, 1000} {
			text := `"` + many("1", 960_000/n) + `"`
			all = append(all, dear{fmt.Sprint(n, " texts"), "", []byte(`{"l":[` + strings.Repeat(text+",", n-1) + text + `]}`), []string{"l[*]", "in " + treat}})
		}
	}
	for _, part := range []string{"x", `\u00e9`, `\ud83d\ude00`, "\u0301", "🇩🇪"} {
		for _, treat := range []string{"keep", "mask", "truncate", "pseudonymize", "encrypt"} {
			all = append(all, dear{"text of " + part, "", []byte(`{"l":"` + strings.Repeat(part, (megabyte-30)/len(part)) + `"}`), []string{"l", treat}})
		}
	}
	return all
}

func many(unit string, size int) string {
	return "[" + strings.Repeat(unit+",", size/(len(unit)+1)-1) + unit + "]"
}

func members() []byte {
	var b strings.Builder
	for i := 0; b.Len() < megabyte-30; i++ {
		fmt.Fprintf(&b, `"%x":0,`, i)
	}
	return []byte(`{"l":{` + b.String() + `"y":0}}`)
}

func avroOf(typ string) string {
	return `{"type":"record","name":"R","namespace":"x","fields":[{"name":"l","type":` + typ + `}]}`
}

func avroList(unit string) []byte {
	n := (megabyte - 20) / len(unit)
	return append(append(avroHead(n), strings.Repeat(unit, n)...), 0)
}

func avroHead(n int) []byte { return binary.AppendVarint(schemas.AppendFrame(nil, 1), int64(n)) }

// avroMap has as many keys as there is room for.
func avroMap() []byte {
	var b []byte
	n := 0
	for ; len(b) < megabyte-20; n++ {
		key := fmt.Sprintf("%c%c%c", 20+n%100, 20+n/100%100, 20+n/10_000)
		b = append(append(binary.AppendVarint(b, int64(len(key))), key...), 1)
	}
	return append(append(avroHead(n), b...), 0)
}

// rig opens a stream of three purposes that all do the same with the record.
func (s *dear) rig() (*rig, error) {
	stream := engine.Stream{Topic: "in", Format: schemas.JSON, Subjects: []engine.SubjectRule{{Name: "customer", Namespace: "crm", Key: true}}}
	if s.avsc != "" {
		stream.Format = schemas.Avro
	}
	var treat []policy.Rule
	rule := func(path, word string) engine.FieldRule {
		r := policy.Rule{Category: "x." + word, Treatment: treatment(strings.Replace(word, "gated", "keep", 1)), RequiresExplicit: word == "gated"}
		if word == "truncate" {
			r.Treatment = treatment("truncate", "n", int64(megabyte))
		}
		if !slices.ContainsFunc(treat, func(o policy.Rule) bool { return o.Category == r.Category }) {
			treat = append(treat, r)
		}
		return engine.FieldRule{Path: path, Category: r.Category}
	}
	for i := 0; i < len(s.rules); i += 2 {
		if word, ok := strings.CutPrefix(s.rules[i+1], "in "); ok {
			stream.Fields = append(stream.Fields, engine.FieldRule{Path: s.rules[i], Nested: &engine.NestedRule{Fields: []engine.FieldRule{rule("[*]", word)}}})
			continue
		}
		stream.Fields = append(stream.Fields, rule(s.rules[i], s.rules[i+1]))
	}
	if s.avsc == "" {
		stream.Fields = append(stream.Fields, rule("always", "keep"))
	}
	pol := &policy.Policy{Revision: 1, Namespaces: []policy.Namespace{{Name: "crm", Normalize: "trim"}}}
	for i := range 3 {
		id := fmt.Sprintf("p%d", i)
		pol.Purposes = append(pol.Purposes, policy.Purpose{ID: id, DataUse: "essential.service", Basis: policy.Contract, Treat: treat})
		stream.Purposes = append(stream.Purposes, id)
	}
	r, err := open(pol, stream)
	if err == nil {
		err = r.event("42", "grant", `,"purposes":["p0","p1","p2"],"consent_type":"explicit","asserted_at":"2026-01-01T00:00:00Z","notice":{"id":"n","version":"1"},"evidence":{"method":"m","source":"s"}`)
	}
	if err == nil && s.avsc != "" {
		err = r.install(1, s.avsc)
	}
	return r, err
}
