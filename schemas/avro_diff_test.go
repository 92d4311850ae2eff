package schemas

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"
	"pgregory.net/rapid"
)

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

// project is nil for actions of which no schema can be derived.
func (c *gcase) project(t *rapid.T) Projection {
	p, err := c.layout.Project(c.acts, "ns.purpose")
	if err == nil {
		return p
	}
	if s := err.Error(); !strings.Contains(s, "union of two") && !strings.Contains(s, "two types") {
		t.Fatalf("%v\n%s", err, c.schema)
	}
	return nil
}

func TestAvroAgainstReference(t *testing.T) {
	compared := 0
	checkMore(t, func(t *rapid.T) {
		c := drawCase(t, true)
		v := drawVal(t, c.root.ty)
		src := v.encode(c.root.ty)
		in := twmbDecode(t, c.schema, src)
		var tape Tape
		if err := c.layout.Scan(src, &tape); err != nil {
			t.Fatalf("scan: %v of %x\n%s", err, src, c.schema)
		}
		p := c.project(t)
		if p == nil {
			return
		}
		want := c.edit([]*gnode{c.root}, c.root, v, in)
		if p.Empty() != (len(want.(map[string]any)) == 0) {
			t.Fatalf("Empty() = %v\n%s", p.Empty(), c.schema)
		}
		out, _, err := p.Splice([]byte("head"), src, &tape, c.gates)
		if err != nil || string(out[:4]) != "head" {
			t.Fatalf("splice: %v, %q\n%s", err, out, c.schema)
		}
		if p.Empty() {
			return
		}
		compared++
		if strings.Contains(p.Schema(), "c4n4ry") {
			t.Fatalf("docs, aliases or properties left: %s", p.Schema())
		}
		if got := twmbDecode(t, p.Schema(), out[4:]); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %v\nwant %v\nfrom %v\nschema  %s\nderived %s\nacts %+v", got, want, in, c.schema, p.Schema(), c.acts)
		}
		if codec, err := goavro.NewCodec(p.Schema()); err != nil {
			t.Fatalf("goavro refuses the derived schema: %v\n%s", err, p.Schema())
		} else if _, rest, err := codec.NativeFromBinary(out[4:]); err != nil || len(rest) > 0 {
			t.Fatalf("goavro: %v, %d bytes left\n%s", err, len(rest), p.Schema())
		}
		again, err := c.layout.Project(c.acts, "ns.purpose")
		if err != nil || again.Schema() != p.Schema() {
			t.Fatalf("the same input gives another schema: %v", err)
		}
	})
	if compared < 100 {
		t.Errorf("only %d records compared", compared)
	}
}

// What others encode is accepted, and keeping all of it keeps every byte.
func TestAvroAcceptsOthersEncodings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t, false)
		src := drawVal(t, c.root.ty).encode(c.root.ty)
		encodings := [][]byte{src}
		if codec, err := goavro.NewCodec(c.schema); err == nil {
			if native, _, err := codec.NativeFromBinary(src); err == nil {
				if b, err := codec.BinaryFromNative(nil, native); err == nil {
					encodings = append(encodings, b)
				}
			}
		}
		native := twmbDecode(t, c.schema, src)
		if b, err := avro.MustParse(c.schema).Encode(native); err == nil && reflect.DeepEqual(twmbDecode(t, c.schema, b), native) {
			encodings = append(encodings, b) // else it took a fixed for the union's string
		}
		keep, err := c.layout.Project(c.acts, "")
		if err != nil {
			t.Fatal(err)
		}
		contested := false
		for _, n := range c.layout.Nodes() {
			contested = contested || n.Contested
		}
		for _, b := range encodings {
			var tape Tape
			if err := c.layout.Scan(b, &tape); err != nil {
				t.Fatalf("%v of %x\n%s", err, b, c.schema)
			}
			out, _, err := keep.Splice(nil, b, &tape, 0)
			if err != nil || !contested && !bytes.Equal(out, b) {
				t.Fatalf("%x became %x, %v\n%s\n%s", b, out, err, c.schema, keep.Schema())
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

// P6: what a purpose may not see changes nothing of what it gets.
func TestAvroNoninterference(t *testing.T) {
	checkMore(t, func(t *rapid.T) {
		c := drawCase(t, true)
		p := c.project(t)
		if p == nil {
			return
		}
		v := drawVal(t, c.root.ty)
		a, b := v.encode(c.root.ty), c.redraw(t, c.root, v, nil).encode(c.root.ty)
		var outs [2][]byte
		for i, src := range [][]byte{a, b} {
			var tape Tape
			if err := c.layout.Scan(src, &tape); err != nil {
				t.Fatal(err)
			}
			var err error
			if outs[i], _, err = p.Splice(nil, src, &tape, c.gates); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(outs[0], outs[1]) {
			t.Fatalf("%x\n%x\nfrom %x\nand  %x\n%s\n%s\n%+v", outs[0], outs[1], a, b, c.schema, p.Schema(), c.acts)
		}
	})
}

func isFault(err error, code Code) bool {
	var f *Fault
	return errors.As(err, &f) && f.Code == code
}
