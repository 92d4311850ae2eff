package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"
	"pgregory.net/rapid"
)

// gcase is one random case.
type gcase struct {
	root   *gtype
	schema string
	layout Layout
	acts   []Action
	ids    map[string]int
	gates  uint32
}

// drawCase draws a schema and, where actions is true, random actions.
func drawCase(t *rapid.T, actions bool) *gcase {
	g := gschema{t: t}
	root := g.of("record", 3)
	root.nullable = 0
	text, err := json.Marshal(root.schema(map[string]bool{}))
	if err != nil {
		t.Fatal(err)
	}
	c := &gcase{root: root, schema: string(text), ids: map[string]int{}}
	if c.layout, err = NewAvro(c.schema); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	c.gates = uint32(rapid.IntRange(0, 3).Draw(t, "gates"))
	// Few operations a case, so that whole containers often share one.
	ops := rapid.SliceOfN(rapid.SampledFrom([]Op{OpDrop, OpKeep, OpNull, OpReplace, OpConst}), 1, 3).Draw(t, "ops")
	gates := rapid.SampledFrom([][]int{{0}, {0, 0, 1, 2}, {1, 2}}).Draw(t, "action gates")
	for i, n := range c.layout.Nodes() {
		a := Action{Op: OpKeep}
		if actions {
			a = drawAction(t, n.Type, rapid.SampledFrom(ops).Draw(t, "op"), rapid.SampledFrom(gates).Draw(t, "gate"))
		}
		c.acts, c.ids[n.Path] = append(c.acts, a), i
	}
	return c
}

func drawAction(t *rapid.T, ty Type, op Op, gate int) Action {
	a := Action{Op: op}
	if a.Op != OpDrop && a.Op != OpNull {
		a.Gate = uint8(gate)
	}
	switch {
	case a.Op == OpReplace && ty.Kind == Record:
		a.Op = OpKeep
	case a.Op == OpReplace && ty.Kind == String:
		a.Via, a.Result = upper{}, ty
		a.Result.Nullable = rapid.Bool().Draw(t, "result nullable")
	case a.Op == OpReplace || a.Op == OpConst:
		a.Via, a.Result = constant("const"), Type{Kind: String}
	}
	return a
}

func (c *gcase) open(a Action) bool { return a.Gate == 0 || c.gates&(1<<(a.Gate-1)) != 0 }

// live says whether anything of the input is to be seen at or below path, now
// that c.gates are open; present whether the derived schema has the position:
// it has not where a container could only hold constants.
func (c *gcase) live(ty *gtype, path string) (live, present bool) {
	constant := false
	if ty.below() == nil {
		live, present, _ = c.leaf(ty, path)
		return live, present
	}
	for i, sub := range ty.below() {
		p := ty.path(path, i)
		l, there := c.live(sub, p)
		if sub.below() == nil {
			_, _, constant = c.leaf(sub, p)
		}
		live = live || l
		present = present || there && (path == "" || sub.below() != nil || !constant)
	}
	return live, present
}

// leaf says of a leaf also whether it is a constant whatever the gates.
func (c *gcase) leaf(ty *gtype, path string) (live, present, constant bool) {
	a := c.acts[c.ids[path]]
	if ty.kind == "map" || ty.kind == "union" || a.Op == OpDrop {
		return false, false, false
	}
	kept := a.Op == OpKeep || a.Op == OpReplace && ty.kind != "null"
	return kept && c.open(a), true, a.Op == OpConst && a.Gate == 0
}

func (ty *gtype) below() []*gtype {
	if ty.kind == "record" || ty.kind == "array" {
		return ty.subs
	}
	return nil
}

func (ty *gtype) path(path string, i int) string {
	switch {
	case ty.kind == "array":
		return path + "[*]"
	case path == "":
		return ty.names[i]
	}
	return path + "." + ty.names[i]
}

// edit is the obvious reference: what becomes of the decoded value in.
func (c *gcase) edit(ty *gtype, path string, in any) any {
	if ty.below() == nil {
		return c.editLeaf(ty, c.acts[c.ids[path]], in)
	}
	if live, _ := c.live(ty, path); path != "" && (!live || in == nil) {
		return nil
	}
	if ty.kind == "array" {
		out := []any{}
		for _, e := range in.([]any) {
			out = append(out, c.edit(ty.subs[0], path+"[*]", e))
		}
		return out
	}
	out := map[string]any{}
	for i, f := range ty.subs {
		p := ty.path(path, i)
		if _, present := c.live(f, p); present {
			out[ty.names[i]] = c.edit(f, p, in.(map[string]any)[ty.names[i]])
		}
	}
	return out
}

func (c *gcase) editLeaf(ty *gtype, a Action, in any) any {
	switch {
	case !c.open(a) || a.Op == OpNull:
		return nil
	case a.Op == OpConst:
		return "const"
	case a.Op == OpReplace && in == nil:
		return nil
	case a.Op == OpReplace && ty.kind == "string":
		out, _, _ := upper{}.Apply(nil, Value{Text: []byte(in.(string))})
		return string(out.Text)
	case a.Op == OpReplace:
		return "const"
	}
	return in
}

func twmbDecode(t *rapid.T, schema string, b []byte) any {
	s, err := avro.Parse(schema)
	if err != nil {
		t.Fatalf("twmb refuses the schema: %v\n%s", err, schema)
	}
	var v any
	rest, err := s.Decode(b, &v)
	if err != nil || len(rest) > 0 {
		t.Fatalf("twmb: %v, %d bytes left of %x\n%s", err, len(rest), b, schema)
	}
	return v
}

// checkMore is rapid.Check with four times the cases: leaks hide in rare
// combinations of nesting, operations and gates.
func checkMore(t *testing.T, prop func(*rapid.T)) {
	t.Helper()
	for range 4 {
		rapid.Check(t, prop)
	}
}

func TestAvroAgainstReference(t *testing.T) {
	checkMore(t, func(t *rapid.T) {
		c := drawCase(t, true)
		src := drawVal(t, c.root).encode(c.root)
		in := twmbDecode(t, c.schema, src)
		var tape Tape
		if err := c.layout.Scan(src, &tape); err != nil {
			t.Fatalf("scan: %v of %x\n%s", err, src, c.schema)
		}
		p, err := c.layout.Project(c.acts, "ns.purpose")
		if err != nil {
			t.Fatalf("%v\n%s", err, c.schema)
		}
		if _, present := c.live(c.root, ""); p.Empty() == present {
			t.Fatalf("Empty() = %v\n%s", p.Empty(), c.schema)
		}
		out, _, err := p.Splice([]byte("head"), src, &tape, c.gates)
		if err != nil || string(out[:4]) != "head" {
			t.Fatalf("splice: %v, %q\n%s", err, out, c.schema)
		}
		if p.Empty() {
			return
		}
		if bytes.Contains([]byte(p.Schema()), []byte(canarySchema)) {
			t.Fatalf("docs or properties left: %s", p.Schema())
		}
		got := twmbDecode(t, p.Schema(), out[4:])
		if want := c.edit(c.root, "", in); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %v\nwant %v\nfrom %v\nschema  %s\nderived %s\nacts %+v", got, want, in, c.schema, p.Schema(), c.acts)
		}
		if codec, err := goavro.NewCodec(p.Schema()); err != nil {
			t.Fatalf("goavro refuses the derived schema: %v\n%s", err, p.Schema())
		} else if _, rest, err := codec.NativeFromBinary(out[4:]); err != nil || len(rest) > 0 {
			t.Fatalf("goavro: %v, %d bytes left\n%s", err, len(rest), p.Schema())
		}
		again, _ := NewAvro(c.schema)
		if q, err := again.Project(c.acts, "ns.purpose"); err != nil || q.Schema() != p.Schema() {
			t.Fatalf("the same input gives another schema: %v", err)
		}
	})
}

// What others encode is accepted, and keeping all of it keeps every byte.
func TestAvroAcceptsOthersEncodings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t, false)
		src := drawVal(t, c.root).encode(c.root)
		codec, err := goavro.NewCodec(c.schema)
		if err != nil {
			t.Skip("goavro refuses the schema")
		}
		native, _, err := codec.NativeFromBinary(src)
		if err != nil {
			t.Skip("goavro refuses the value")
		}
		byGoavro, err := codec.BinaryFromNative(nil, native)
		if err != nil {
			t.Skip("goavro refuses its own value")
		}
		keep, err := c.layout.Project(c.acts, "")
		if err != nil {
			t.Fatal(err)
		}
		opaque := false
		for _, n := range c.layout.Nodes() {
			opaque = opaque || n.Type.Kind == Opaque
		}
		for _, b := range [][]byte{src, byGoavro} {
			var tape Tape
			if err := c.layout.Scan(b, &tape); err != nil {
				t.Fatalf("%v of %x\n%s", err, b, c.schema)
			}
			out, _, err := keep.Splice(nil, b, &tape, 0)
			if err != nil || !opaque && !bytes.Equal(out, b) {
				t.Fatalf("%x became %x, %v\n%s", b, out, err, c.schema)
			}
			for i := range b {
				if err := c.layout.Scan(b[:i], &tape); err == nil || len(tape.Entries) > 0 {
					t.Fatalf("accepted %d of %d bytes\n%s", i, len(b), c.schema)
				}
			}
			if err := c.layout.Scan(append(b, 0), &tape); !isFault(err, CodeTrailingBytes) {
				t.Fatalf("a byte more: %v\n%s", err, c.schema)
			}
		}
	})
}

// redraw is v with all drawn anew that the purpose may not see.
func (c *gcase) redraw(t *rapid.T, ty *gtype, path string, v *gval) *gval {
	live, _ := c.live(ty, path)
	if path == "" {
		live = true
	}
	if !live {
		return drawVal(t, ty)
	}
	if v.null || ty.below() == nil {
		return v
	}
	out := &gval{blocks: v.blocks}
	for i, kid := range v.kids {
		sub := ty.subs[0]
		if ty.kind == "record" {
			sub = ty.subs[i]
		}
		out.kids = append(out.kids, c.redraw(t, sub, ty.path(path, i), kid))
	}
	return out
}

// P6: what a purpose may not see changes nothing of what it gets.
func TestAvroNoninterference(t *testing.T) {
	checkMore(t, func(t *rapid.T) {
		c := drawCase(t, true)
		p, err := c.layout.Project(c.acts, "")
		if err != nil {
			t.Fatal(err)
		}
		v := drawVal(t, c.root)
		a, b := v.encode(c.root), c.redraw(t, c.root, "", v).encode(c.root)
		var outs [2][]byte
		for i, src := range [][]byte{a, b} {
			var tape Tape
			if err := c.layout.Scan(src, &tape); err != nil {
				t.Fatal(err)
			}
			if outs[i], _, err = p.Splice(nil, src, &tape, c.gates); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(outs[0], outs[1]) {
			t.Fatalf("%x\n%x\n%s\n%+v", outs[0], outs[1], c.schema, c.acts)
		}
	})
}

func isFault(err error, code Code) bool {
	var f *Fault
	return errors.As(err, &f) && f.Code == code
}
