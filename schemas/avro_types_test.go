package schemas

import (
	"strings"
	"testing"
)

// splice is what becomes of src.
func splice(t *testing.T, l Layout, acts map[string]Action, src string, gates uint32) (out, schema string, err error) {
	t.Helper()
	p, err := l.Project(avroActs(t, l, Action{}, acts), "x")
	if err != nil {
		t.Fatal(err)
	}
	var tape Tape
	if err := l.Scan([]byte(src), &tape); err != nil {
		t.Fatalf("%v of %x", err, src)
	}
	b, _, err := p.Splice(nil, []byte(src), &tape, gates)
	if err == nil && !p.Empty() {
		if err := mustAvro(t, p.Schema()).Scan(b, &tape); err != nil {
			t.Errorf("%x is not of %s", b, p.Schema())
		}
	}
	return string(b), p.Schema(), err
}

// avroPathsOf is an Avro layout of one field f and the paths of a wiring.
func avroPathsOf(t *testing.T, ty string, paths ...string) Layout {
	t.Helper()
	l, err := NewAvro(rec(ty), paths)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// typeOfF is the derived type of the one field f.
func typeOfF(schema string) string {
	_, ty, _ := strings.Cut(schema, `"fields":[{"name":"f","type":`)
	return strings.TrimSuffix(strings.TrimSuffix(ty, `}]}`), `,"default":null`)
}

var (
	actKeep  = Action{Op: OpKeep}
	actNull  = Action{Op: OpNull}
	actGated = Action{Op: OpKeep, Gate: 1}
	actUpper = Action{Op: OpReplace, Via: upper{}, Result: Type{Kind: String}}
)

// Keys are personal by themselves: where they are not kept, no entry is.
func TestAvroMaps(t *testing.T) {
	l := avroPathsOf(t, `{"type":"map","values":["null",{"type":"record","name":"V","fields":[{"name":"x","type":"string"},{"name":"y","type":"long"}]}]}`)
	const src = "\x04\x02a\x02\x02p\x08\x02b\x00\x00" // {a: {p 4}, b: null}
	const v = `{"type":"map","values":["null",{"type":"record","name":"V","fields":[{"name":"x","type":"string"}]}]}`
	const nullable = `["null",` + v + `]`
	for _, tt := range []struct {
		name      string
		key, x    Action
		gates     uint32
		out, want string
	}{
		{"no keys", Action{}, actKeep, 0, "", ""},
		{"keys only", actKeep, Action{}, 0, "", ""},
		{"both", actKeep, actKeep, 0, "\x04\x02a\x02\x02p\x02b\x00\x00", v},
		{"treated keys", actUpper, actKeep, 0, "\x04\x02A\x02\x02p\x02B\x00\x00", v},
		{"redacted keys", actNull, actKeep, 0, "\x00", nullable},
		{"gate closed", actGated, actKeep, 0, "\x00", nullable},
		{"gate open", actGated, actKeep, 1, "\x02\x04\x02a\x02\x02p\x02b\x00\x00", nullable},
		{"values behind a gate", actKeep, actGated, 0, "\x04\x02a\x00\x02b\x00\x00", strings.Replace(v, `"string"}`, `["null","string"],"default":null}`, 1)},
		{"redacted values", actKeep, actNull, 0, "\x04\x02a\x00\x02b\x00\x00", strings.Replace(v, `"string"}`, `["null","string"],"default":null}`, 1)},
	} {
		out, schema, err := splice(t, l, map[string]Action{"f.*~key": tt.key, "f.*.x": tt.x}, src, tt.gates)
		if err != nil || out != tt.out || typeOfF(schema) != tt.want {
			t.Errorf("%s: %q, %v, %s\nwant %q %s", tt.name, out, err, typeOfF(schema), tt.out, tt.want)
		}
	}
}

// Two keys that a treatment makes one would hide an entry: the treatment fails.
func TestAvroKeysCollide(t *testing.T) {
	l := avroPathsOf(t, `{"type":"map","values":"null"}`)
	acts := map[string]Action{"f.*~key": actUpper, "f.*": actKeep}
	for _, more := range []string{"K1", "k1X"} {
		for _, n := range []int{2, 40} {
			_, _, err := splice(t, l, acts, string(manyKeys(n, more)), 0)
			if more == "K1" && !isFault(err, CodeTreatmentFailed) || more != "K1" && err != nil {
				t.Errorf("%d keys and %s: %v", n, more, err)
			}
		}
	}
	for _, a := range []Action{
		{Op: OpConst, Via: constant("k"), Result: Type{Kind: String}},
		{Op: OpReplace, Via: constant("k"), Result: Type{Kind: Bytes}},
	} {
		if _, err := l.Project(avroActs(t, l, actKeep, map[string]Action{"f.*~key": a}), ""); err == nil {
			t.Errorf("keys of %v: accepted", a.Op)
		}
	}
}

func TestAvroUnions(t *testing.T) {
	const r = `{"type":"record","name":"A","fields":[{"name":"x","type":"long"},{"name":"y","type":"string"}]}`
	const ax = `{"type":"record","name":"A","fields":[{"name":"x","type":"long"}]}`
	str := Type{Kind: String}
	for _, tt := range []struct {
		name, union string
		acts        []Action // of the branches; of a record's fields
		src, out    string
		want        string // derived type, or the error
	}{
		{"kept", `["null","long","string"]`, []Action{actKeep, actKeep}, "\x04\x02s", "\x04\x02s", `["null","long","string"]`},
		{"null behind", `["long","string","null"]`, []Action{actKeep, {}}, "\x02\x02s", "\x02", `["long","null"]`},
		{"null in the middle", `["long","null","string"]`, []Action{{}, actUpper}, "\x04\x02s", "\x02\x02S", `["null","string"]`},
		{"one branch dropped", `["long","string"]`, []Action{actKeep, {}}, "\x00\x06", "\x02\x06", `["null","long"]`},
		{"all dropped", `["long","string"]`, []Action{{}, {}}, "\x00\x06", "", ``},
		{"all redacted", `["long","string"]`, []Action{actNull, actNull}, "\x00\x06", "\x00", `["null","long","string"]`},
		{"one redacted", `["long","string"]`, []Action{actNull, actKeep}, "\x02\x02s", "\x02\x02s", `["null","string"]`},
		{"both to text", `["long","string"]`, []Action{{Op: OpReplace, Via: constant("k"), Result: str}, actUpper}, "\x00\x06", "\x02k", `"string"`},
		{"both to text, nullable", `["long","null","string"]`, []Action{{Op: OpReplace, Via: constant("k"), Result: str}, actUpper}, "\x04\x02s", "\x00\x02S", `["string","null"]`},
		{"a gate closed", `["long","string"]`, []Action{actGated, actGated}, "\x00\x06", "\x00", `["null","long","string"]`},
		{"constants tell nothing", `["long","string"]`, []Action{{Op: OpConst, Via: constant("k"), Result: str}, {}}, "\x00\x06", "", ``},
		{"one branch", `["long"]`, []Action{actKeep}, "\x00\x06", "\x06", `"long"`},
		{"nothing but null", `["null"]`, nil, "\x00", "", ``},
		{"a record of which something is left", `["null","string",` + r + `]`, []Action{{}, {}, actKeep, {}}, "\x04\x06\x02s", "\x02\x06", `["null",` + ax + `]`},
		{"a record of which nothing is left", `["string",` + r + `]`, []Action{actKeep, {}, {}, {}}, "\x02\x06\x02s", "\x00", `["null","string"]`},
		{"two of one type", `["long","string"]`, []Action{{Op: OpReplace, Via: constant("k"), Result: Type{Kind: String, Logical: UUID}}, actKeep}, "", "", `f: would be a union of two branches of type string`},
		{"two arrays", `["string",{"type":"array","items":"long"}]`, []Action{actKeep, {}, actKeep}, "\x02\x02\x06\x00", "\x02\x02\x06\x00", `["string",{"type":"array","items":"long"}]`},
		{"twins of two namespaces", `[` + r + `,{"type":"record","name":"n.A","fields":[{"name":"z","type":"int"}]}]`, []Action{{}, actKeep, {}, {}, actKeep}, "\x02\x06", "\x02\x06",
			`[` + ax + `,{"type":"record","name":"A_f","fields":[{"name":"z","type":"int"}]}]`},
	} {
		l := avroPathsOf(t, tt.union)
		acts := make([]Action, len(l.Nodes()))
		copy(acts[2:], tt.acts)
		p, err := l.Project(acts, "")
		if err != nil {
			if err.Error() != tt.want {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		var tape Tape
		if err := l.Scan([]byte(tt.src), &tape); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		out, _, err := p.Splice(nil, []byte(tt.src), &tape, 0)
		if err != nil || string(out) != tt.out || typeOfF(p.Schema()) != tt.want {
			t.Errorf("%s: %q, %v, %s\nwant %q %s", tt.name, out, err, typeOfF(p.Schema()), tt.out, tt.want)
		}
	}
}

// Elements that the wiring chooses have positions, and so actions, of their own.
func TestAvroVariants(t *testing.T) {
	const ty = `{"type":"array","items":{"type":"record","name":"P","fields":[{"name":"key","type":["null","string"]},{"name":"v","type":"long"}]}}`
	const src = "\x08\x02\x06age\x02\x02\x06zip\x04\x00\x06\x02\x06age\x08\x00" // age 1, zip 2, null 3, age 4
	const both = `{"type":"array","items":["null",{"type":"record","name":"P","fields":[{"name":"v","type":"long"}]}]}`
	for _, tt := range []struct {
		name  string
		paths []string
		acts  map[string]Action
		want  string // values; - for a null element, n for a null value
		ty    string
	}{
		{"all", nil, map[string]Action{"f[*].v": actKeep}, "1 2 3 4", ""},
		{"first", []string{"f[0].v"}, map[string]Action{"f[0].v": actKeep}, "1 - - -", ""},
		{"all but the first", []string{"f[0]"}, map[string]Action{"f[*].v": actKeep}, "- 2 3 4", ""},
		{"predicate", []string{`f[key=="age"].v`}, map[string]Action{`f[key=="age"].v`: actKeep}, "1 - - 4", ""},
		{"two predicates", []string{`f[key=="age"].v`, `f[key=="zip"]`}, map[string]Action{`f[key=="age"].v`: actKeep, `f[key=="zip"].v`: actKeep, `f[*].v`: actNull}, "1 2 - 4", both},
		{"contested", []string{`f[key=="age"].v`, `f[0].v`}, map[string]Action{`f[key=="age"].v`: actKeep, `f[0].v`: actKeep, `f[*].v`: actKeep}, "- 2 3 4", ""},
		{"contested behind", []string{`**[key=="age"]`, `f.**[3]`}, map[string]Action{`f[key=="age"].v`: actKeep, `f[3].v`: actKeep, `f[*].v`: actKeep}, "1 2 3 -", ""},
		{"no such member", []string{`f[nokey=="age"].v`}, map[string]Action{"f[*].v": actKeep}, "1 2 3 4", ""},
		{"a gate", []string{`f[1]`}, map[string]Action{"f[*].v": actKeep, "f[1].v": actGated}, "1 - 3 4", ""},
	} {
		l := avroPathsOf(t, ty, tt.paths...)
		out, schema, err := splice(t, l, tt.acts, src, 0)
		if err != nil || tt.ty != "" && typeOfF(schema) != tt.ty {
			t.Errorf("%s: %v, %s", tt.name, err, schema)
		}
		if got := elementsOf(t, schema, out); got != tt.want {
			t.Errorf("%s: %s, want %s (%s)", tt.name, got, tt.want, schema)
		}
	}
	l := avroPathsOf(t, ty, "f[0]")
	str := Action{Op: OpConst, Via: constant("k"), Result: Type{Kind: String}}
	_, err := l.Project(avroActs(t, l, actKeep, map[string]Action{"f[0].v": str}), "")
	if err == nil || err.Error() != "f[0].v: elements would have two types, long and string" {
		t.Errorf("two types: %v", err)
	}
}

// elementsOf renders the values of f.
func elementsOf(t *testing.T, schema, b string) string {
	t.Helper()
	l := mustAvro(t, schema)
	var tape Tape
	if err := l.Scan([]byte(b), &tape); err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := 2; i < len(tape.Entries); i = int(tape.Entries[i].Next) {
		if tape.Entries[i].Kind == Null {
			out = append(out, "-")
			continue
		}
		v, _, _ := l.Value([]byte(b), tape.Entries[i+1], nil)
		out = append(out, map[bool]string{true: string('0' + byte(v.Int)), false: "n"}[v.Kind == Long])
	}
	return strings.Join(out, " ")
}

// A single element can be found like a member; what several choose is nobody's.
func TestAvroVariantNodes(t *testing.T) {
	const ty = `{"type":"array","items":{"type":"record","name":"P","fields":[{"name":"key","type":"string"},{"name":"v","type":{"type":"array","items":"long"}}]}}`
	l := avroPathsOf(t, ty, `f[1].v[0]`, `f[key=="a"]`)
	var got []string
	for i, n := range l.Nodes() {
		s := n.Path
		if n.Repeated {
			s += "+"
		}
		if n.Contested {
			s += "!"
		}
		if got = append(got, s); n.Parent >= NodeID(i) {
			t.Errorf("node %d has the parent %d", i, n.Parent)
		}
	}
	want := ` f f[*]+ f[*].key+ f[*].v+ f[*].v[*]+ f[*].v[0]+ f[1] f[1].key f[1].v f[1].v[*]+ f[1].v[0] ` +
		`f[key=="a"]+ f[key=="a"].key+ f[key=="a"].v+ f[key=="a"].v[*]+ f[key=="a"].v[0]+ f[*]+! f[*].key+! f[*].v+! f[*].v[*]+! f[*].v[0]+!`
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	src := []byte("\x06\x02b\x02\x02\x00\x02b\x04\x04\x06\x00\x02a\x02\x08\x00\x00")
	var tape Tape
	if err := l.Scan(src, &tape); err != nil {
		t.Fatal(err)
	}
	for id, n := range l.Nodes() {
		e, ok := tape.Find(NodeID(id))
		if !ok {
			continue
		}
		if v, _, scalar := l.Value(src, e, nil); n.Path == "f[1].v[0]" && (!scalar || v.Int != 2) || e.Node != NodeID(id) {
			t.Errorf("%s: %v", n.Path, v)
		}
	}
	for path, there := range map[string]bool{"f[1].v[0]": true, "f[1].v[*]": true, "f[*].v[0]": true, "f[*].v[*]": false, `f[key=="a"].v[0]`: true} {
		for id, n := range l.Nodes() {
			if _, ok := tape.Find(NodeID(id)); n.Path == path && !n.Contested && ok != there {
				t.Errorf("%s is there: %v", path, ok)
			}
		}
	}
}

// What a recursive type holds of itself is withheld whatever paths name it: a new
// version of a schema that has one below a path goes on.
func TestAvroRecursion(t *testing.T) {
	for _, path := range []string{"f.v", "f", "f.next", "f.next.v", "**", "**.v", "f.*"} {
		l := avroPathsOf(t, list, path)
		out, schema, err := splice(t, l, map[string]Action{"f.v": actKeep, "f.next": actKeep}, "\x02\x02\x04\x00", 0)
		if err != nil || out != "\x02" || strings.Contains(schema, "next") {
			t.Errorf("%s: %q, %v, %s", path, out, err, schema)
		}
	}
}
