package proof

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/consentstream/consentstream/schemas"
)

// avro draws a value of a shape. Its texts and numbers are those that
// treatments take, and others.
func (d *drawer) avro(s *shape) *value {
	v := &value{blocks: d.n(0, 5)}
	if s.null > 0 && d.rarely(4) || s.within && !d.rarely(3) {
		v.lit = "null"
		return v
	}
	switch s.kind {
	case "record":
		v.kind, v.names = object, s.names
		for _, kid := range s.kids {
			v.kids = append(v.kids, d.avro(kid))
		}
	case "array":
		v.kind = array
		for range d.n(0, 3) {
			v.kids = append(v.kids, d.avro(s.kids[0]))
		}
	case "map":
		v.kind = object
		for i := range d.n(0, 3) {
			v.names = append(v.names, d.mapKey(i))
			v.kids = append(v.kids, d.avro(s.kids[0]))
		}
	case "union":
		branch := d.n(0, 2)
		v = d.avro(s.kids[branch])
		v.branch = branch
	case "text":
		if !d.rarely(8) {
			return d.asText(s)
		}
		v.lit = d.literal("string")
	default:
		v.lit = d.literal(s.kind)
	}
	return v
}

// mapKey is one that no other entry has, now and then such as a path names.
func (d *drawer) mapKey(i int) string {
	if d.rarely(2) {
		return names[i]
	}
	return fmt.Sprint(pick(d.T, names), i)
}

// encode appends Avro binary.
func (v *value) encode(b []byte, s *shape) []byte {
	if s.null > 0 {
		null := v.kind == single && v.lit == "null" && s.kind != "null"
		b = binary.AppendVarint(b, int64(branch(s.null, null)))
		if null {
			return b
		}
	}
	switch s.kind {
	case "record":
		for i, kid := range v.kids {
			b = kid.encode(b, s.kids[i])
		}
		return b
	case "array", "map":
		return v.encodeItems(b, s)
	case "union":
		return v.encode(binary.AppendVarint(b, int64(v.branch)), s.kids[v.branch])
	}
	if s.kind == "text" {
		return encodeScalar(b, "string", v.literal())
	}
	return encodeScalar(b, scalars[s.kind].base, v.lit)
}

func branch(place int, null bool) int {
	if null == (place == 1) {
		return 0
	}
	return 1
}

// encodeItems cuts the items into blocks, some of them with their size.
func (v *value) encodeItems(b []byte, s *shape) []byte {
	for at := 0; at < len(v.kids); {
		n := min(1+(v.blocks+at)%3, len(v.kids)-at)
		var in []byte
		for i := at; i < at+n; i++ {
			if s.kind == "map" {
				in = append(binary.AppendVarint(in, int64(len(v.names[i]))), v.names[i]...)
			}
			in = v.kids[i].encode(in, s.kids[0])
		}
		if (v.blocks+at)%2 == 1 {
			b = binary.AppendVarint(binary.AppendVarint(b, int64(-n)), int64(len(in)))
		} else {
			b = binary.AppendVarint(b, int64(n))
		}
		b, at = append(b, in...), at+n
	}
	return append(b, 0)
}

func encodeScalar(b []byte, base, lit string) []byte {
	switch base {
	case "string":
		text := unquote(lit)
		return append(binary.AppendVarint(b, int64(len(text))), text...)
	case "fixed":
		return append(b, unquote(lit)...)
	case "boolean":
		return append(b, lit[0]&1^1) // t, f
	case "null":
		return b
	}
	f, err := strconv.ParseFloat(lit, 64)
	if err != nil {
		panic(err) // these tests made it
	}
	switch base {
	case "float":
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(f)))
	case "double":
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	return binary.AppendVarint(b, int64(f))
}

func (v *value) frame(s *shape) []byte { return v.encode(schemas.AppendFrame(nil, 1), s) }
