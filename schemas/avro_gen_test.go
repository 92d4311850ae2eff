package schemas

import (
	"fmt"
	"slices"

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

var (
	scalarKinds    = []string{"null", "boolean", "int", "long", "float", "double", "bytes", "string", "string", "enum", "fixed"}
	containerKinds = []string{"array", "array", "record", "record", "map", "map", "union", "union", "again", "again"}
)

func (g *gschema) draw(depth int) *gtype {
	kinds := scalarKinds
	if depth > 0 {
		kinds = append(slices.Clone(kinds), containerKinds...)
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
		ty.logical = map[int]string{12: "duration", 16: "decimal"}[ty.size]
		g.named = append(g.named, ty)
	case "array", "map":
		ty.subs = []*gtype{g.draw(depth - 1)}
	case "union":
		return g.union(depth)
	default:
		ty.logical = g.logical(kind)
	}
	c := *ty
	c.nullable = 0
	if c.kind != "null" {
		c.nullable = rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(g.t, "nullable")
	}
	return &c
}

// union draws a union of two branches other than null or more.
func (g *gschema) union(depth int) *gtype {
	ty := &gtype{kind: "union"}
	kinds := rapid.Permutation([]string{"null", "boolean", "int", "long", "double", "bytes", "string", "string", "enum", "fixed", "record", "record", "array", "map"}).Draw(g.t, "branches")
	used := map[string]bool{}
	for _, k := range kinds[:rapid.IntRange(3, 5).Draw(g.t, "branch count")] {
		if k == "string" && used[k] || (k == "record" || k == "array" || k == "map") && depth == 0 {
			continue
		}
		used[k] = true
		b := g.of(k, depth-1)
		b.nullable = 0
		ty.subs = append(ty.subs, b)
	}
	if n := len(ty.subs); n < 2 || n == 2 && used["null"] {
		return g.draw(0)
	}
	return ty
}

func (g *gschema) logical(kind string) string {
	words := map[string][]string{"int": {"", "date", "time-millis"}, "bytes": {"", "decimal"}, "string": {"", "", "uuid"},
		"long": {"", "timestamp-millis", "timestamp-micros", "timestamp-nanos", "local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos", "time-micros"}}
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
		m["name"], m["symbols"], m["default"], m["aliases"] = ty.name, ty.names, "A", []string{"c4n4ry"}
	case "fixed":
		m["name"], m["size"] = ty.name, ty.size
	case "array":
		m["items"] = ty.subs[0].schema(seen)
	case "map":
		m["values"] = ty.subs[0].schema(seen)
	case "union":
		var branches []any
		for _, b := range ty.subs {
			branches = append(branches, b.schema(seen))
		}
		return branches
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
	raw    []byte // a scalar's encoding
	kids   []*gval
	keys   []string // of a map
	branch int      // of a union
	blocks []int    // sizes; negative: written with the size in bytes
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
	case "array", "map":
		n := rapid.IntRange(0, 4).Draw(t, "items")
		for range n {
			v.kids = append(v.kids, drawVal(t, ty.subs[0]))
		}
		v.blocks = drawBlocks(t, n)
		if ty.kind == "map" {
			v.keys = rapid.SliceOfNDistinct(rapid.StringOfN(rapid.RuneFrom([]rune("abcé")), 0, 3, -1), n, n, rapid.ID).Draw(t, "keys")
		}
	case "union":
		v.branch = rapid.IntRange(0, len(ty.subs)-1).Draw(t, "branch")
		v.kids = []*gval{drawVal(t, ty.subs[v.branch])}
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

func appendText(dst, b []byte) []byte { return append(appendLong(dst, int64(len(b))), b...) }

// drawRaw is the encoding of a scalar.
func drawRaw(t *rapid.T, ty *gtype) []byte {
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
		return appendText(nil, rapid.SliceOfN(rapid.Byte(), 1, 3).Draw(t, "bytes"))
	case "string":
		if ty.logical == "uuid" {
			return appendText(nil, []byte(fmt.Sprintf("123e4567-e89b-12d3-a456-42661417400%d", rapid.IntRange(0, 9).Draw(t, "uuid"))))
		}
		return appendText(nil, []byte(rapid.OneOf(rapid.SampledFrom([]string{"v", "w"}), rapid.StringN(0, 5, 20)).Draw(t, "string")))
	case "enum":
		return []byte{2 * rapid.ByteRange(0, 2).Draw(t, "symbol")}
	case "fixed":
		raw := rapid.SliceOfN(rapid.Byte(), ty.size, ty.size).Draw(t, "fixed")
		if ty.logical == "decimal" {
			clear(raw[:14])
		}
		return raw
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
	case "union":
		out = append(out, byte(v.branch)*2)
		out = append(out, v.kids[0].encode(ty.subs[v.branch])...)
	case "array", "map":
		k := 0
		for _, n := range v.blocks {
			var block []byte
			for range max(n, -n) {
				if ty.kind == "map" {
					block = appendText(block, []byte(v.keys[k]))
				}
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
