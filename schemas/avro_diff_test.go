package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"
	"pgregory.net/rapid"
)

// gtype is a randomly drawn Avro type.
type gtype struct {
	kind     string
	logical  string
	name     string // record, enum, fixed
	nullable int    // 1: [null, T], 2: [T, null]
	names    []string
	subs     []*gtype // fields, or the element or value, or branches
	size     int
}

// gschema draws types; named types are sometimes used again.
type gschema struct {
	t     *rapid.T
	n     int
	named []*gtype
}

func (g *gschema) draw(depth int) *gtype {
	kinds := []string{"null", "boolean", "int", "long", "float", "double", "bytes", "string", "string", "enum", "fixed",
		"array", "array", "record", "record", "map", "union", "again", "again"}
	if depth == 0 {
		kinds = kinds[:11]
	}
	return g.of(rapid.SampledFrom(kinds).Draw(g.t, "kind"), depth)
}

func (g *gschema) of(kind string, depth int) *gtype {
	ty := &gtype{kind: kind}
	g.n++
	switch kind {
	case "again":
		if len(g.named) == 0 {
			return g.draw(0)
		}
		c := *rapid.SampledFrom(g.named).Draw(g.t, "named")
		ty = &c
	case "record":
		ty.name = fmt.Sprintf("R%d", g.n)
		for i := range rapid.IntRange(1, 4).Draw(g.t, "fields") {
			ty.names = append(ty.names, fmt.Sprintf("f%d", i))
			ty.subs = append(ty.subs, g.draw(depth-1))
		}
		g.named = append(g.named, ty)
	case "enum":
		ty.name, ty.names = fmt.Sprintf("E%d", g.n), []string{"A", "B", "C"}
		g.named = append(g.named, ty)
	case "fixed":
		ty.name, ty.size = fmt.Sprintf("F%d", g.n), rapid.SampledFrom([]int{1, 3, 12, 16}).Draw(g.t, "size")
		g.named = append(g.named, ty)
	case "array", "map":
		ty.subs = []*gtype{g.draw(depth - 1)}
	case "union":
		for _, k := range rapid.Permutation([]string{"null", "long", "string", "boolean"}).Draw(g.t, "branches")[:3] {
			ty.subs = append(ty.subs, &gtype{kind: k})
		}
	default:
		ty.logical = g.logical(kind)
	}
	c := *ty
	c.nullable = 0
	if c.kind != "null" && c.kind != "union" {
		c.nullable = rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(g.t, "nullable")
	}
	return &c
}

func (g *gschema) logical(kind string) string {
	words := map[string][]string{"int": {"", "date", "time-millis"}, "long": {"", "timestamp-millis", "timestamp-micros"}, "bytes": {"", "decimal"}}
	if w := words[kind]; w != nil {
		return rapid.SampledFrom(w).Draw(g.t, "logical")
	}
	return ""
}

// schema is ty as schema JSON; a named type is defined at its first use.
func (ty *gtype) schema(seen map[string]bool) any {
	s := ty.plainSchema(seen)
	switch ty.nullable {
	case 1:
		return []any{"null", s}
	case 2:
		return []any{s, "null"}
	}
	return s
}

func (ty *gtype) plainSchema(seen map[string]bool) any {
	if ty.name != "" && seen[ty.name] {
		return ty.name
	}
	seen[ty.name] = true
	m := map[string]any{"type": ty.kind}
	switch ty.kind {
	case "record":
		var fields []any
		for i, f := range ty.subs {
			fields = append(fields, map[string]any{"name": ty.names[i], "type": f.schema(seen), "doc": canarySchema, "x": canarySchema})
		}
		m["name"], m["fields"], m["doc"] = ty.name, fields, canarySchema
	case "enum":
		m["name"], m["symbols"] = ty.name, ty.names
	case "fixed":
		m["name"], m["size"] = ty.name, ty.size
	case "array":
		m["items"] = ty.subs[0].schema(seen)
	case "map":
		m["values"] = ty.subs[0].schema(seen)
	case "union":
		return []any{ty.subs[0].kind, ty.subs[1].kind, ty.subs[2].kind}
	}
	if ty.logical != "" {
		m["logicalType"] = ty.logical
	}
	if ty.logical == "decimal" {
		m["precision"], m["scale"] = 6, 2
	}
	return m
}

const canarySchema = "c4n4ry-schema"

// gval is a randomly drawn value of a gtype.
type gval struct {
	null   bool
	raw    []byte // a scalar's or opaque value's encoding
	kids   []*gval
	blocks []int // sizes; negative: written with the size in bytes
}

func drawVal(t *rapid.T, ty *gtype) *gval {
	if ty.nullable != 0 && rapid.Bool().Draw(t, "null") {
		return &gval{null: true}
	}
	v := &gval{}
	switch ty.kind {
	case "record":
		for _, f := range ty.subs {
			v.kids = append(v.kids, drawVal(t, f))
		}
	case "array":
		n := rapid.IntRange(0, 4).Draw(t, "items")
		for range n {
			v.kids = append(v.kids, drawVal(t, ty.subs[0]))
		}
		v.blocks = drawBlocks(t, n)
	default:
		v.raw = drawRaw(t, ty)
	}
	return v
}

func drawBlocks(t *rapid.T, n int) []int {
	var out []int
	for n > 0 {
		k := rapid.IntRange(1, n).Draw(t, "block")
		n -= k
		if rapid.Bool().Draw(t, "sized") {
			k = -k
		}
		out = append(out, k)
	}
	return out
}

// drawRaw is the encoding of a scalar, a map or a union that is not nullable.
func drawRaw(t *rapid.T, ty *gtype) []byte {
	text := func(b []byte) []byte { return append(appendLong(nil, int64(len(b))), b...) }
	switch ty.kind {
	case "boolean":
		return []byte{rapid.ByteRange(0, 1).Draw(t, "bool")}
	case "int":
		n := rapid.Int32().Draw(t, "int")
		if ty.logical != "" {
			n &= 0xffff
		}
		return appendLong(nil, int64(n))
	case "long":
		n := rapid.Int64().Draw(t, "long")
		if ty.logical != "" {
			n &= 0xffffffff
		}
		return appendLong(nil, n)
	case "float":
		return []byte{rapid.Byte().Draw(t, "float"), 2, 3, 64}
	case "double":
		return []byte{rapid.Byte().Draw(t, "double"), 2, 3, 4, 5, 6, 7, 64}
	case "bytes":
		return text(rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "bytes"))
	case "string":
		return text([]byte(rapid.StringN(0, 5, 20).Draw(t, "string")))
	case "enum":
		return []byte{2 * rapid.ByteRange(0, 2).Draw(t, "symbol")}
	case "fixed":
		return rapid.SliceOfN(rapid.Byte(), ty.size, ty.size).Draw(t, "fixed")
	case "union":
		k := rapid.IntRange(0, 2).Draw(t, "branch")
		return append(appendLong(nil, int64(k)), drawRaw(t, ty.subs[k])...)
	case "map":
		var out []byte
		n := rapid.IntRange(0, 2).Draw(t, "entries")
		for i := range n {
			out = append(out, 2, 2, 'a'+byte(i)) // one block each
			out = append(out, drawVal(t, ty.subs[0]).encode(ty.subs[0])...)
		}
		return append(out, 0)
	}
	return nil
}

func (v *gval) encode(ty *gtype) []byte {
	var out []byte
	switch {
	case ty.nullable != 0 && v.null:
		return []byte{byte(ty.nullable-1) * 2}
	case ty.nullable != 0:
		out = append(out, byte(2-ty.nullable)*2)
	}
	switch ty.kind {
	case "record":
		for i, f := range ty.subs {
			out = append(out, v.kids[i].encode(f)...)
		}
	case "array":
		k := 0
		for _, n := range v.blocks {
			var block []byte
			for range max(n, -n) {
				block = append(block, v.kids[k].encode(ty.subs[0])...)
				k++
			}
			if out = appendLong(out, int64(n)); n < 0 {
				out = appendLong(out, int64(len(block)))
			}
			out = append(out, block...)
		}
		out = append(out, 0)
	}
	return append(out, v.raw...)
}

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
	for i, n := range c.layout.Nodes() {
		a := Action{Op: OpKeep}
		if actions {
			a = drawAction(t, n.Type)
		}
		c.acts, c.ids[n.Path] = append(c.acts, a), i
	}
	return c
}

func drawAction(t *rapid.T, ty Type) Action {
	a := Action{Op: rapid.SampledFrom([]Op{OpDrop, OpKeep, OpNull, OpReplace, OpConst}).Draw(t, "op")}
	if a.Op != OpDrop && a.Op != OpNull {
		a.Gate = uint8(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "gate"))
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

// live says whether anything of the input is to be seen at or below path; fixed
// whether a constant stands in the record at path, or in records below it.
func (c *gcase) live(ty *gtype, path string) (live, fixed, present bool) {
	for i, sub := range ty.below() {
		l, f, p := c.live(sub, ty.path(path, i))
		live, fixed, present = live || l, fixed || f, present || p
	}
	if ty.below() != nil {
		return live, fixed && ty.kind == "record", present
	}
	a := c.acts[c.ids[path]]
	if ty.kind == "map" || ty.kind == "union" || a.Op == OpDrop {
		return false, false, false
	}
	kept := a.Op == OpKeep || a.Op == OpReplace && ty.kind != "null"
	return kept && c.open(a), a.Op == OpConst, true
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
	live, fixed, _ := c.live(ty, path)
	fixed = fixed || path == ""
	if !live && !fixed || live && in == nil {
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
		if _, _, present := c.live(f, p); !present {
			continue
		}
		var v any
		if m, ok := in.(map[string]any); ok && live {
			v = m[ty.names[i]]
		}
		out[ty.names[i]] = c.edit(f, p, v)
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

func TestAvroAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
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
		if _, _, present := c.live(c.root, ""); p.Empty() == present {
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
			if err := c.layout.Scan(append(b, 0), &tape); err == nil || err.(*Fault).Code != CodeTrailingBytes {
				t.Fatalf("a byte more: %v\n%s", err, c.schema)
			}
		}
	})
}

// redraw is v with all drawn anew that the purpose may not see.
func (c *gcase) redraw(t *rapid.T, ty *gtype, path string, v *gval) *gval {
	live, _, _ := c.live(ty, path)
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
	rapid.Check(t, func(t *rapid.T) {
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
