package schemas

import (
	"fmt"

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
