package schemas

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"
)

func TestJSONTape(t *testing.T) {
	l, err := NewJSON([]string{"id", "at", "ok", "n", "a", "a.b", "tags[*]", "s", "none"})
	if err != nil {
		t.Fatal(err)
	}
	src := []byte(`{"x":0,"id":"7","at":"2026\u002d11","ok":true,"n":-1.50e3,"a":{"b":null,"q":1},"tags":["p","q"],"y":{"z":1},"s":{}}`)
	var tape Tape
	if err := l.Scan(src, &tape); err != nil {
		t.Fatal(err)
	}
	if tape.Unlisted != 2 {
		t.Errorf("Unlisted = %d, want 2: x and y, not a.q", tape.Unlisted)
	}
	for _, tt := range []struct {
		path string
		kind Kind
		text string
		n    int64
		ok   bool
	}{
		{"id", String, "7", 0, true}, {"at", String, "2026-11", 0, true}, {"ok", Bool, "", 1, true},
		{"n", Number, "-1.50e3", 0, true}, {"a.b", Null, "", 0, true}, {"tags[*]", String, "p", 0, true},
		{"a", Invalid, "", 0, false}, {"s", Invalid, "", 0, false}, {"tags", Invalid, "", 0, false},
	} {
		e, found := tape.Find(nodeID(t, l, tt.path))
		if !found {
			t.Errorf("%s is not on the tape", tt.path)
			continue
		}
		v, rest, ok := l.Value(src, e, []byte("before"))
		if ok != tt.ok || v.Kind != tt.kind || string(v.Text) != tt.text || v.Int != tt.n || !bytes.HasPrefix(rest, []byte("before")) {
			t.Errorf("%s: %+v, %q, %v; want %+v", tt.path, v, rest, ok, tt)
		}
	}
	if _, found := tape.Find(nodeID(t, l, "none")); found {
		t.Error("an absent member is found")
	}
	for i, e := range tape.Entries {
		if int(e.Next) <= i || int(e.Next) > len(tape.Entries) || !json.Valid(src[e.Start:e.End]) {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
}

func TestJSONNodes(t *testing.T) {
	l, err := NewJSON([]string{"b.c", "tags[*].x", "b", "b.c"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Node{
		{Path: "", Parent: -1, Type: Type{Kind: Record}},
		{Path: "b", Parent: 0, Type: Type{Kind: Record}},
		{Path: "b.c", Parent: 1, Type: Type{Kind: Any}, Leaf: true},
		{Path: "tags", Parent: 0, Type: Type{Kind: Array}},
		{Path: "tags[*]", Parent: 3, Type: Type{Kind: Record}, Repeated: true},
		{Path: "tags[*].x", Parent: 4, Type: Type{Kind: Any}, Leaf: true, Repeated: true},
	}
	same := func(a, b Node) bool {
		return a.Path == b.Path && a.Parent == b.Parent && a.Type.Kind == b.Type.Kind && a.Leaf == b.Leaf && a.Repeated == b.Repeated
	}
	if !slices.EqualFunc(l.Nodes(), want, same) {
		t.Errorf("nodes %+v", l.Nodes())
	}
	if l.Format() != JSON {
		t.Error("format")
	}
}

// Whoever looks for the rules of a node by its path finds those that the record
// is walked by.
func TestJSONNodesBehindDeepPaths(t *testing.T) {
	for _, tt := range []struct{ paths, want []string }{
		{[]string{"a.b.*", "a.b.*~key", "c[*]", "**.x", "**[0]", "e.x"}, []string{"a.b.x", "c[0]", "e.x", "**.x", "**[0]"}},
		{[]string{"**", "id", "**.x"}, []string{"**", "id", "**.x", "id.**"}},
		{[]string{"**.a.**.x", "**.user.x"}, []string{"**", "**.a", "**.a.**.x", "**.user.x"}},
		{[]string{"**.*~key", "**.x"}, []string{"**.*", "**.*~key", "**.x"}},
	} {
		l, err := NewJSON(tt.paths)
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, n := range l.Nodes()[1:] {
			p, err := ParsePath(n.Path)
			if err != nil || p.String() != n.Path {
				t.Errorf("%s is no path: %v", n.Path, err)
			}
			paths = append(paths, n.Path)
		}
		for _, want := range tt.want {
			if !slices.Contains(paths, want) {
				t.Errorf("no %s among %q", want, paths)
			}
		}
	}
}

// What a rule covers of which more than the category cascades is kept apart from
// what it does not, though a longer path classifies both.
func TestJSONNodesApart(t *testing.T) {
	for _, tt := range []struct{ paths, apart, want []string }{
		{[]string{"k[*]", "**.d"}, nil, []string{"", "k", "k[*]", "**", "**.d"}},
		{[]string{"k[*]", "**.d"}, []string{"k[*]"}, []string{"k[*].**.d", "**.d"}},
		{[]string{"a", "*.**.b", "**.c"}, []string{"a", "**.c"}, []string{"a.**.b", "*.**.b", "*.**.c.**.b", "**.c"}},
	} {
		l, err := NewJSON(tt.paths, tt.apart...)
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, n := range l.Nodes() {
			paths = append(paths, n.Path)
		}
		for _, want := range tt.want {
			if !slices.Contains(paths, want) {
				t.Errorf("%v apart: no %s among %q", tt.apart, want, paths)
			}
		}
		if tt.apart == nil && slices.Contains(paths, "k[*].**.d") {
			t.Errorf("%q are two positions for nothing", paths)
		}
	}
}

func TestJSONEmpty(t *testing.T) {
	for _, tt := range []struct {
		rules []rule
		want  bool
	}{
		{nil, true},
		{[]rule{{"a", drop}, {"b.c", drop}}, true},
		{[]rule{{"b.c", one}}, true},
		{[]rule{{"a", keep}}, false},
		{[]rule{{"a", null}}, false},
		{[]rule{{"b.c", null}}, false},
		{[]rule{{"a", one}}, false},
		{[]rule{{"a", gated}}, false},
		{[]rule{{"b.c", Action{Op: OpConst, Via: one.Via, Gate: 1}}}, false}, // b is null where the gate is closed
		{[]rule{{"[*]", keep}}, false},
		{[]rule{{"[*]", drop}}, true},
	} {
		_, p := project(t, tt.rules)
		if p.Empty() != tt.want {
			t.Errorf("%v: Empty = %v", tt.rules, p.Empty())
		}
		if p.Schema() != "" {
			t.Error("plain JSON has no schema")
		}
	}
}

// Elements told apart after many ** are compared once, not from each place that
// leads to them: with gates that took 13 s.
func TestProjectElementsBehindDeep(t *testing.T) {
	l, err := NewJSON([]string{"**[0].a.**.b", "**[1].c.**.d", "**[2].e.**.f", "**[0].g.**.h", "**[1].i.**.j"})
	if err != nil {
		t.Fatal(err)
	}
	acts := make([]Action, len(l.Nodes()))
	for i := range acts {
		acts[i] = []Action{keep, null, {Op: OpKeep, Gate: uint8(i%6 + 1)}}[i%3]
	}
	began := time.Now()
	if _, err := l.Project(acts, ""); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%d positions took %v", len(acts), took)
	}
}
