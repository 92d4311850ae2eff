package schemas

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// A treatment that errs, or yields what its type does not allow, fails the
// record; nothing of it is written and no value is in the error.
func TestAvroTreatmentFails(t *testing.T) {
	enum := Type{Kind: Enum, Symbols: []string{"A", "B"}}
	text := func(k Kind, s string) Value { return Value{Kind: k, Text: []byte(s)} }
	for _, tt := range []struct {
		name   string
		result Type
		via    fixedResult
		ok     bool
	}{
		{"string", Type{Kind: String}, fixedResult{v: text(String, "x")}, true},
		{"error", Type{Kind: String}, fixedResult{v: text(String, canarySchema), err: errors.New(canarySchema)}, false},
		{"other kind", Type{Kind: String}, fixedResult{v: text(Bytes, "x")}, false},
		{"no kind", Type{Kind: String}, fixedResult{}, false},
		{"bad utf8", Type{Kind: String}, fixedResult{v: text(String, "\xff")}, false},
		{"null without a branch", Type{Kind: String}, fixedResult{v: Value{Kind: Null}}, false},
		{"null", Type{Kind: String, Nullable: true}, fixedResult{v: Value{Kind: Null}}, true},
		{"fixed", Type{Kind: Fixed, Size: 2}, fixedResult{v: text(Fixed, "xy")}, true},
		{"short fixed", Type{Kind: Fixed, Size: 2}, fixedResult{v: text(Fixed, "x")}, false},
		{"enum", enum, fixedResult{v: Value{Kind: Enum, Int: 1, Text: []byte("B")}}, true},
		{"enum without text", enum, fixedResult{v: Value{Kind: Enum, Int: 1}}, true},
		{"enum text only", enum, fixedResult{v: text(Enum, "B")}, false},
		{"enum index", enum, fixedResult{v: Value{Kind: Enum, Int: 2}}, false},
		{"int", Type{Kind: Int}, fixedResult{v: Value{Kind: Int, Int: math.MinInt32}}, true},
		{"large int", Type{Kind: Int}, fixedResult{v: Value{Kind: Int, Int: 1 << 40}}, false},
		{"long", Type{Kind: Long}, fixedResult{v: Value{Kind: Long, Int: 1 << 40}}, true},
		{"bool", Type{Kind: Bool}, fixedResult{v: Value{Kind: Bool, Int: 1}}, true},
		{"bool 2", Type{Kind: Bool}, fixedResult{v: Value{Kind: Bool, Int: 2}}, false},
		{"float", Type{Kind: Float}, fixedResult{v: Value{Kind: Float, Float: 1.5}}, true},
		{"double", Type{Kind: Double}, fixedResult{v: Value{Kind: Double, Float: 1.5}}, true},
		{"bytes", Type{Kind: Bytes}, fixedResult{v: text(Bytes, "\xff")}, true},
	} {
		for _, op := range []Op{OpReplace, OpConst} {
			l := mustAvro(t, rec(`"long"`))
			p, err := l.Project(avroActs(t, l, Action{}, map[string]Action{"f": {Op: op, Via: tt.via, Result: tt.result}}), "")
			if err != nil {
				t.Fatal(tt.name, err)
			}
			var tape Tape
			if err := l.Scan([]byte{2}, &tape); err != nil {
				t.Fatal(err)
			}
			out, _, err := p.Splice([]byte("head"), []byte{2}, &tape, 0)
			if tt.ok {
				if err != nil || mustAvro(t, p.Schema()).Scan(out[4:], &tape) != nil {
					t.Errorf("%s: %v, %x is not of %s", tt.name, err, out, p.Schema())
				}
				continue
			}
			var f *Fault
			if !errors.As(err, &f) || *f != (Fault{CodeTreatmentFailed, "f"}) || string(out) != "head" {
				t.Errorf("%s: %v, %q", tt.name, err, out)
			}
		}
	}
}

func TestAvroProjectRefuses(t *testing.T) {
	l := mustAvro(t, rec(`"long"`))
	str := Type{Kind: String}
	for name, a := range map[string]Action{
		"no transform":  {Op: OpReplace, Result: str},
		"no result":     {Op: OpReplace, Via: upper{}},
		"record result": {Op: OpReplace, Via: upper{}, Result: Type{Kind: Record}},
		"number result": {Op: OpConst, Via: upper{}, Result: Type{Kind: Number}},
		"enum result":   {Op: OpConst, Via: upper{}, Result: Type{Kind: Enum, Symbols: []string{`A"`}}},
		"operation":     {Op: OpConst + 1},
		"gate":          {Op: OpKeep, Gate: 33},
	} {
		if _, err := l.Project(avroActs(t, l, a, nil), ""); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := l.Project(nil, ""); err == nil {
		t.Error("no actions: accepted")
	}
	if _, err := l.Project(make([]Action, 2), `a"b`); err == nil {
		t.Error("namespace: accepted")
	}
}

// A record without fields has no bytes; nothing can be kept of it.
func TestAvroEmptyRecord(t *testing.T) {
	l := mustAvro(t, `{"type":"record","name":"R","fields":[]}`)
	p, err := l.Project([]Action{{Op: OpKeep}}, "")
	if err != nil || !p.Empty() || p.Schema() != "" {
		t.Errorf("%v, empty %v, schema %q", err, p.Empty(), p.Schema())
	}
	l = mustAvro(t, rec(`{"type":"record","name":"E","fields":[]}`))
	var tape Tape
	if err := l.Scan(nil, &tape); err != nil {
		t.Fatal(err)
	}
	for _, a := range []Action{{Op: OpKeep}, {Op: OpNull}, {Op: OpKeep, Gate: 1}} {
		p, err := l.Project([]Action{{}, a}, "")
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := p.Splice(nil, nil, &tape, 0)
		if err != nil || mustAvro(t, p.Schema()).Scan(out, &tape) != nil {
			t.Errorf("%x, %v, %s", out, err, p.Schema())
		}
		if err := l.Scan(nil, &tape); err != nil {
			t.Fatal(err)
		}
	}
}

// A container must not tell, by being null or by its length, what lies in it:
// for each set of actions, the inputs a and b give the same bytes.
func TestAvroContainersTellNothing(t *testing.T) {
	const schema = `{"type":"record","name":"R","fields":[{"name":"id","type":"long"},
	 {"name":"c","type":["null",{"type":"record","name":"C","fields":[{"name":"x","type":"long"},{"name":"y","type":["null","long"]}]}]},
	 {"name":"l","type":{"type":"array","items":"C"}}]}`
	full, empty := []byte{2, 2, 6, 2, 8, 4, 2, 0, 4, 2, 6, 0}, []byte{2, 0, 0}
	l := mustAvro(t, schema)
	gated, keep, null := Action{Op: OpKeep, Gate: 1}, Action{Op: OpKeep}, Action{Op: OpNull}
	fixed := Action{Op: OpConst, Via: constant("k"), Result: Type{Kind: String}}
	for _, tt := range []struct {
		name string
		x, y Action // below c and l
		gate uint32
		want string // output for full
		same bool   // as for empty
	}{
		{"gates closed", gated, gated, 0, "\x02\x00\x00", true},
		{"gates open", gated, gated, 1, "\x02\x02\x02\x06\x02\x08\x02\x04\x02\x02\x02\x00\x02\x02\x04\x02\x06\x00", false},
		{"one gate closed", gated, Action{}, 0, "\x02\x00\x00", true},
		{"nulls", null, null, 0, "\x02\x00\x00", true},
		{"null and dropped", null, Action{}, 0, "\x02\x00\x00", true},
		{"constants", fixed, fixed, 0, "\x02", true},
		{"constant and null", fixed, null, 0, "\x02\x00\x00", true},
		{"constant and closed gate", fixed, gated, 0, "\x02\x00\x00", true},
		{"dropped", Action{}, Action{}, 0, "\x02", true},
		{"kept", keep, Action{}, 0, "\x02\x02\x06\x04\x02\x04\x00", false},
		{"kept and constant", fixed, keep, 0, "\x02\x02\x02k\x02\x08\x04\x02k\x00\x02k\x02\x06\x00", false},
	} {
		p, err := l.Project(avroActs(t, l, keep, map[string]Action{"c.x": tt.x, "c.y": tt.y, "l[*].x": tt.x, "l[*].y": tt.y}), "")
		if err != nil {
			t.Fatal(tt.name, err)
		}
		var outs [2]string
		for i, src := range [][]byte{full, empty} {
			var tape Tape
			if err := l.Scan(src, &tape); err != nil {
				t.Fatal(err)
			}
			out, _, err := p.Splice(nil, src, &tape, tt.gate)
			if err != nil {
				t.Fatal(tt.name, err)
			}
			if err := mustAvro(t, p.Schema()).Scan(out, &tape); err != nil {
				t.Errorf("%s: %x is not of %s", tt.name, out, p.Schema())
			}
			outs[i] = string(out)
		}
		if outs[0] != tt.want || (outs[0] == outs[1]) != tt.same {
			t.Errorf("%s: %x, want %x; of an empty one %x", tt.name, outs[0], tt.want, outs[1])
		}
	}
}

// The tape finds the first of a repeated node, and the names of split types
// avoid those that the input has.
func TestAvroFirstAndNames(t *testing.T) {
	l := mustAvro(t, `{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"record","name":"S","fields":[{"name":"x","type":"long"}]}},
	 {"name":"b","type":"S"},{"name":"c","type":{"type":"record","name":"S_b","namespace":"n","fields":[{"name":"x","type":"long"}]}},
	 {"name":"d","type":{"type":"record","name":"S","namespace":"n","fields":[{"name":"z","type":"long"}]}},
	 {"name":"e","type":{"type":"array","items":"long"}}]}`)
	src := []byte{2, 4, 6, 8, 6, 20, 40, 60, 0}
	var tape Tape
	if err := l.Scan(src, &tape); err != nil {
		t.Fatal(err)
	}
	e, ok := tape.Find(NodeID(len(l.Nodes()) - 1))
	if v, _, _ := l.Value(src, e, nil); !ok || v.Int != 10 {
		t.Errorf("first element: %v, %v", v.Int, ok)
	}
	p, err := l.Project(avroActs(t, l, Action{Op: OpKeep}, map[string]Action{"b.x": {Op: OpReplace, Via: constant("k"), Result: Type{Kind: String}}}), "ns")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"S"`, `"S_b_"`, `"S_b"`, `"S_d"`} {
		if strings.Count(p.Schema(), `"name":`+name) != 1 {
			t.Errorf("%s is not defined once in %s", name, p.Schema())
		}
	}
}

// The name of a split type says nothing of types that are gone.
func TestAvroNamesOfHiddenTypes(t *testing.T) {
	var got [2]string
	for i, hidden := range []string{"S_b", "T"} {
		l := mustAvro(t, `{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"record","name":"S","fields":[{"name":"x","type":"long"}]}},
			{"name":"b","type":"S"},{"name":"c","type":{"type":"record","name":"`+hidden+`","fields":[{"name":"x","type":"long"}]}}]}`)
		acts := map[string]Action{"b.x": {Op: OpReplace, Via: constant("k"), Result: Type{Kind: String}}, "c.x": {}}
		p, err := l.Project(avroActs(t, l, Action{Op: OpKeep}, acts), "ns")
		if err != nil {
			t.Fatal(err)
		}
		got[i] = p.Schema()
	}
	if got[0] != got[1] || !strings.Contains(got[0], `"S_b"`) {
		t.Errorf("derived:\n%s\n%s", got[0], got[1])
	}
}
