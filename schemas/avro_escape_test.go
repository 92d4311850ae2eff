package schemas

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/consentstream/consentstream/internal/race"
)

// everything is a schema with every type, logical type and way of nesting.
const everything = `{"type":"record","name":"E","namespace":"n","fields":[
 {"name":"id","type":"string"},{"name":"uuid","type":{"type":"string","logicalType":"uuid"}},
 {"name":"dec","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
 {"name":"fdec","type":{"type":"fixed","name":"D","size":8,"logicalType":"decimal","precision":9,"scale":2}},
 {"name":"dur","type":{"type":"fixed","name":"U","size":12,"logicalType":"duration"}},
 {"name":"enum","type":{"type":"enum","name":"S","symbols":["NEW","OLD"]}},
 {"name":"day","type":{"type":"int","logicalType":"date"}},{"name":"nanos","type":["null",{"type":"long","logicalType":"timestamp-nanos"}]},
 {"name":"local","type":{"type":"long","logicalType":"local-timestamp-micros"}},
 {"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"b","type":"boolean"},{"name":"raw","type":"bytes"},
 {"name":"utm","type":{"type":"map","values":"string"}},
 {"name":"params","type":{"type":"array","items":{"type":"record","name":"P","fields":[{"name":"key","type":"string"},
   {"name":"value","type":["null","string","long",{"type":"record","name":"V","fields":[{"name":"x","type":"string"}]}]}]}}},
 {"name":"deep","type":{"type":"map","values":{"type":"array","items":["string",{"type":"map","values":["null","P"]}]}}},
 {"name":"tree","type":["null",{"type":"record","name":"T","fields":[{"name":"v","type":"string"},{"name":"kids","type":{"type":"array","items":"T"}}]}]}]}`

var everythingPaths = []string{`params[key=="mail"].value`, "params[0]", "deep.*[1]"}

// canaries writes a value of s in which every text, also of fixed types, enums
// apart, is a canary of its own; branch chooses of unions.
func canaries(s *avroSchema, branch, depth int, n *int) []byte {
	if s.typ.Nullable && s.typ.Kind != Union {
		if depth > 6 {
			return []byte{s.typ.NullIndex << 1}
		}
		return append([]byte{(1 - s.typ.NullIndex) << 1}, canariesOf(s, branch, depth, n)...)
	}
	return canariesOf(s, branch, depth, n)
}

func canary(n *int) []byte {
	*n++
	return fmt.Appendf(nil, "c4n%05d", *n) // 8 bytes
}

func canariesOf(s *avroSchema, branch, depth int, n *int) (out []byte) {
	switch s.typ.Kind {
	case Bool:
		return []byte{1}
	case Int:
		*n++
		return appendLong(nil, int64(1_000_000+*n))
	case Long:
		return appendLong(nil, int64(binary.BigEndian.Uint64(canary(n))))
	case Float:
		return canary(n)[4:]
	case Double:
		return canary(n)
	case String, Bytes:
		return appendText(nil, canary(n))
	case Fixed:
		return append(bytes.Repeat([]byte("x"), max(0, s.typ.Size-8)), canary(n)[max(0, 8-s.typ.Size):]...)
	case Enum:
		return []byte{0}
	case Record:
		for _, f := range s.fields {
			out = append(out, canaries(f.schema, branch, depth+1, n)...)
		}
		return out
	case Array, Map:
		for range 2 * min(1, max(0, 7-depth)) {
			out = append(out, 2)
			if s.typ.Kind == Map {
				out = append(out, appendText(nil, canary(n))...)
			}
			out = append(out, canaries(s.elem, branch+1, depth+1, n)...)
		}
		return append(out, 0)
	case Union:
		b := branch % len(s.branches)
		return append(appendLong(nil, int64(b)), canaries(s.branches[b], branch, depth+1, n)...)
	case Opaque:
		return canaries(s.elem, branch, depth+2, n)
	}
	return nil
}

// Whatever single position is kept: of each canary of the record, what comes out
// stood in that position. With none kept, nothing comes out.
func TestAvroCanaries(t *testing.T) {
	schemas := map[string]string{"everything": everything, "crm": crmSchema, "audit": AuditRecord}
	for _, name := range []string{"clickstream_users_schema", "pageviews_schema", "ratings_schema", "users_array_map_schema", "users_schema", "device_information"} {
		schemas[name] = string(fixture(t, "confluent-datagen/"+name+".avro"))
	}
	for _, name := range []string{"weather.avsc", "interop.avsc", "messageV1/test_schema.avsc"} {
		schemas[name] = string(fixture(t, "avro/"+name))
	}
	for name, text := range schemas {
		parsed, err := parseAvro(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var paths []string
		if name == "everything" {
			paths = everythingPaths
		}
		l, err := NewAvro(text, paths)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for branch := range 4 {
			n := 0
			src := canaries(parsed, branch, 0, &n)
			var tape Tape
			if err := l.Scan(src, &tape); err != nil {
				t.Fatalf("%s: %v of %q", name, err, src)
			}
			keepOne(t, name, l, src, &tape)
		}
	}
}

// keepOne keeps each position by itself, a map's value with its key.
func keepOne(t *testing.T, name string, l Layout, src []byte, tape *Tape) {
	t.Helper()
	for id, n := range l.Nodes() {
		acts := make([]Action, len(l.Nodes()))
		if n.Leaf {
			acts[id] = Action{Op: OpKeep}
		}
		for k, o := range l.Nodes() {
			if strings.HasSuffix(o.Path, "~key") && strings.HasPrefix(n.Path, strings.TrimSuffix(o.Path, "~key")) {
				acts[k] = Action{Op: OpKeep}
			}
		}
		p, err := l.Project(acts, "x")
		if err != nil {
			t.Fatalf("%s: %s: %v", name, n.Path, err)
		}
		var allowed []byte
		for _, e := range tape.Entries {
			if acts[e.Node].Op == OpKeep && !l.Nodes()[e.Node].Contested {
				allowed = append(append(allowed, src[e.Start:e.End]...), 0)
			}
		}
		out, _, err := p.Splice(nil, src, tape, 0)
		if err != nil {
			t.Fatalf("%s: %s: %v", name, n.Path, err)
		}
		for i := bytes.Index(out, []byte("c4n")); i >= 0 && i+8 <= len(out); {
			if !bytes.Contains(allowed, out[i:i+8]) {
				t.Errorf("%s: %s is kept, and %q comes out", name, n.Path, out[i:i+8])
			}
			next := bytes.Index(out[i+3:], []byte("c4n"))
			if next < 0 {
				break
			}
			i += 3 + next
		}
		if n.Type.Kind == Opaque && len(out) > 0 && bytes.Contains(out, []byte("c4n")) && len(allowed) == 0 {
			t.Errorf("%s: %s comes out", name, n.Path)
		}
	}
}

// A record of 1 MB costs at most 64 MB and 100 ms, whatever it is; here within
// what a busy machine makes of that.
func TestAvroCostOfAMegabyte(t *testing.T) {
	if race.Enabled {
		t.Skip("measures")
	}
	const size = 1_000_000
	elements := func(ty string, element []byte) (string, []byte) {
		n := (size - 10) / len(element)
		return rec(arr + ty + obj), append(append(appendLong(nil, int64(n)), bytes.Repeat(element, n)...), 0)
	}
	keys := appendLong(nil, size/8)
	for i := range size / 8 {
		keys = appendText(keys, fmt.Appendf(nil, "%07d", i))
	}
	for name, build := range map[string]func() (string, []byte){
		"ints": func() (string, []byte) { return elements(`"int"`, []byte{2}) },
		"records of one": func() (string, []byte) {
			return elements(`{"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}`, []byte{2})
		},
		"unions":          func() (string, []byte) { return elements(`["null","int","string"]`, []byte{2, 2}) },
		"nulls of unions": func() (string, []byte) { return elements(`["null","int","string"]`, []byte{0}) },
		"empty maps":      func() (string, []byte) { return elements(`{"type":"map","values":"int"}`, []byte{0}) },
		"nulls": func() (string, []byte) {
			const three = `{"type":"record","name":"N","fields":[{"name":"a","type":"null"},{"name":"b","type":"null"},{"name":"c","type":"null"}]}`
			schema := strings.Replace(rec(arr+three+obj), `}]}`+obj+`}]}`, `}]}`+obj+`},{"name":"g","type":"bytes"}]}`, 1)
			src := append(appendLong(nil, size/4), 0)
			return schema, append(src, appendText(nil, make([]byte, size-10))...)
		},
		"keys":       func() (string, []byte) { return rec(`{"type":"map","values":"null"}`), append(keys, 0) },
		"strings":    func() (string, []byte) { return elements(`"string"`, []byte{2, 'x'}) },
		"trees":      func() (string, []byte) { return elements(list, []byte{2, 2, 2, 2, 2, 0}) },
		"one string": func() (string, []byte) { return rec(`"string"`), appendText(nil, bytes.Repeat([]byte("é"), size/2)) },
	} {
		schema, src := build()
		var paths []string
		if name != "trees" {
			paths = []string{"f[0]"}
		}
		l, err := NewAvro(schema, paths)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p, err := l.Project(avroActs(t, l, Action{Op: OpKeep}, nil), "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var tape Tape
		start := time.Now()
		err = l.Scan(src, &tape)
		var out []byte
		if err == nil {
			out, _, err = p.Splice(nil, src, &tape, 0)
		}
		took := time.Since(start)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		held := int64(after.HeapAlloc-before.HeapAlloc) >> 20
		if held > 64 || took > time.Second {
			t.Errorf("%s: %d MB, %s", name, held, took)
		}
		t.Logf("%s: %d bytes, %d entries, %d MB, %s", name, len(src), len(tape.Entries), held, took)
		runtime.KeepAlive(out)
		runtime.KeepAlive(tape)
	}
}

// Maps, unions and chosen elements allocate nothing either.
func TestAvroEverythingAllocatesNothing(t *testing.T) {
	parsed, err := parseAvro(everything)
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewAvro(everything, everythingPaths)
	if err != nil {
		t.Fatal(err)
	}
	acts := map[string]Action{"id": {}, "utm.*~key": {Op: OpReplace, Via: upper{}, Result: Type{Kind: String}}, `params[key=="mail"].value`: {}, "params[0].key": {Op: OpNull}, "uuid": {Op: OpNull}}
	p, err := l.Project(avroActs(t, l, Action{Op: OpKeep}, acts), "x")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	src := canaries(parsed, 3, 0, &n)
	var tape Tape
	var out []byte
	allocs := testing.AllocsPerRun(100, func() {
		if err := l.Scan(src, &tape); err != nil {
			t.Fatal(err)
		}
		if out, _, err = p.Splice(out[:0], src, &tape, 0); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 || !bytes.Contains(out, []byte("C4N")) {
		t.Errorf("%v allocations, %q", allocs, out)
	}
}

// What the scanner takes, the splicer turns into what the derived schema's own
// scanner takes, for a schema with every type.
func FuzzAvroEverything(f *testing.F) {
	l, err := NewAvro(everything, everythingPaths)
	if err != nil {
		f.Fatal(err)
	}
	var projections []Projection
	var derived []Layout
	for _, acts := range []map[string]Action{nil,
		{"utm.*~key": {Op: OpKeep, Gate: 1}, "params[0].value": {}, `params[key=="mail"].value`: {Op: OpKeep, Gate: 2}, "deep.*[1]": {}, "nanos": {Op: OpNull}},
		{"params[*].value": {}, "deep.*[*]": {}, "id": {}, "dur": {Op: OpNull}, "utm.*": {Op: OpKeep, Gate: 1}}} {
		p, err := l.Project(avroActs(f, l, Action{Op: OpKeep}, acts), "x")
		if err != nil {
			f.Fatal(err)
		}
		projections, derived = append(projections, p), append(derived, mustAvro(f, p.Schema()))
	}
	parsed, err := parseAvro(everything)
	if err != nil {
		f.Fatal(err)
	}
	for branch := range 4 {
		n := 0
		f.Add(canaries(parsed, branch, 0, &n), uint32(branch))
	}
	f.Fuzz(func(t *testing.T, b []byte, gates uint32) {
		var tape, again Tape
		if l.Scan(b, &tape) != nil {
			return
		}
		for i, p := range projections {
			out, _, err := p.Splice(nil, b, &tape, gates)
			if err != nil {
				t.Fatal(err)
			}
			if err := derived[i].Scan(out, &again); err != nil {
				t.Fatalf("%x became %x, which is not of its schema: %v", b, out, err)
			}
		}
	})
}
