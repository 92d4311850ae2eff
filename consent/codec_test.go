package consent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// withReserved adds what nothing folds into yet.
func withReserved(t *rapid.T, r *Row) *Row {
	if rapid.Bool().Draw(t, "salt") {
		r.Salt[3] = 9
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "edges") {
		e := Edge{Tag: Tag{byte(i)}, Kinds: byte(i), LinkNo: genTime.Draw(t, "link"), LinkYes: -Infinite, UnlinkNo: -Infinite, UnlinkYes: 5}
		r.Edges = append(r.Edges, e)
	}
	return r
}

func TestRowRoundTrip(t *testing.T) {
	used, in := NewRow(), NewInterner(3) // smaller than the vocabulary: both ways of interning
	rapid.Check(t, func(t *rapid.T) {
		r := withReserved(t, folded(genEvents(t, 0, 8)))
		b := r.AppendTo(nil)
		if err := used.Decode(b, in.String); err != nil {
			t.Fatal(err)
		}
		if got := used.AppendTo(nil); !bytes.Equal(got, b) {
			t.Fatalf("round trip\n%x\n%x", b, got)
		}
		fresh := NewRow()
		if err := fresh.Decode(b, nil); err != nil || text(fresh) != text(used) {
			t.Fatalf("used memory shows: %v\n%s\n%s", err, text(fresh), text(used))
		}
		for n := range b {
			if used.Decode(b[:n], in.String) == nil {
				t.Fatalf("accepted %d of %d bytes", n, len(b))
			}
		}
		if used.Decode(append(b, 0), in.String) == nil {
			t.Fatal("accepted a trailing byte")
		}
	})
}

// TestDecodeDenies: what errs leaves a row that denies.
func TestDecodeDenies(t *testing.T) {
	r := folded([]Event{{Action: Grant, Purposes: []string{"a"}}})
	b := r.AppendTo(nil)
	if err := r.Decode(b[:len(b)-1], nil); err == nil || r.Malformed != Infinite || len(r.Slots) != 0 {
		t.Errorf("err %v, row %+v", err, r)
	}
}

func TestExtremeInstants(t *testing.T) {
	for _, at := range []int64{0, -1, Infinite, -Infinite + 1, math.MaxInt64, math.MinInt64} {
		r := NewRow()
		r.slot("a").Y = Terms{Set: true, Key: "a", T: at, Received: at / 2, Effective: -at, Expires: at, Start: at}
		r.slot("a").Lists = 4 // two empty lists, two empty texts
		b, got := r.AppendTo(nil), NewRow()
		if err := got.Decode(b, nil); err != nil || text(got) != text(r) {
			t.Errorf("%d: %v\n%s\n%s", at, err, text(r), text(got))
		}
	}
}

// FuzzDecode: no input panics, and what is accepted is canonical.
func FuzzDecode(f *testing.F) {
	f.Add(NewRow().AppendTo(nil))
	f.Add(benchRow().AppendTo(nil))
	f.Add([]byte{rowVersion, 31, 0x80, 0x80})
	r := NewRow()
	f.Fuzz(func(t *testing.T, b []byte) {
		if r.Decode(b, nil) != nil {
			return
		}
		if again := r.AppendTo(nil); !bytes.Equal(again, b) {
			t.Errorf("two encodings of one row:\n%x\n%x", b, again)
		}
	})
}

func TestVector(t *testing.T) {
	for _, c := range []struct {
		v, o   Vector
		covers bool
		least  Vector
	}{
		{Vector{1, 2}, Vector{1, 2}, true, Vector{1, 2}},
		{Vector{2, 2}, Vector{1, 3}, false, Vector{1, 2}},
		{Vector{3, 3}, Vector{1, 3}, true, Vector{1, 3}},
		{Vector{3}, Vector{1, 3}, false, Vector{1}},
		{Vector{3, 3}, Vector{1}, false, Vector{1}},
		{nil, nil, true, nil},
		{nil, Vector{0}, false, nil},
	} {
		if got := c.v.Covers(c.o); got != c.covers {
			t.Errorf("%v covers %v: %t", c.v, c.o, got)
		}
		if got := append(Vector(nil), c.v...).Min(c.o); !slices.Equal(got, c.least) {
			t.Errorf("least of %v and %v: %v", c.v, c.o, got)
		}
	}
}

func TestVectorHolds(t *testing.T) {
	row := &Row{Last: Vector{-1, 5, -1}}
	for _, c := range []struct {
		v    Vector
		want bool
	}{{Vector{0, 6, 0}, true}, {Vector{0, 5, 0}, false}, {Vector{9}, false}, {Vector{0, 6}, true}, {nil, false}} {
		if got := c.v.Holds(row); got != c.want {
			t.Errorf("%v: %t", c.v, got)
		}
	}
}

// benchRow is a typical row: three purposes granted in one event, one of them
// withdrawn later.
func benchRow() *Row {
	at := func(ms int64) Instant { return Instant{Set: true, Ms: ms} }
	const t0 = 1793527200000
	return folded([]Event{
		{At: Position{3, 123456}, Received: t0 + 40, Asserted: at(t0), Expires: at(t0 + 365*dayMs), Action: Grant,
			Purposes: []string{"analytics", "marketing.email", "personalization"}, ConsentType: ConsentExplicit,
			Recipients: []string{"acme-mailer"}, Notice: Notice{ID: "signup", Version: "3"},
			Evidence: Evidence{Method: "web_form", Source: "shop"}, Jurisdiction: "DE"},
		{At: Position{3, 223456}, Received: t0 + 90*dayMs, Action: Withdraw, Purposes: []string{"marketing.email"}},
	})
}

func BenchmarkRowDecode(b *testing.B) {
	data := benchRow().AppendTo(nil)
	r, in := NewRow(), NewInterner(100)
	intern := in.String
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if r.Decode(data, intern) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkRowAppend(b *testing.B) {
	r, buf := benchRow(), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendTo(buf[:0])
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	data := benchRow().AppendTo(nil)
	r, in := NewRow(), NewInterner(100)
	intern := in.String
	if n := testing.AllocsPerRun(100, func() { _ = r.Decode(data, intern) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestUvarint holds the decoder against encoding/binary, at every length, at the
// end of the input and before more of it.
func TestUvarint(t *testing.T) {
	for shift := range 64 {
		for _, x := range []uint64{1 << shift, 1<<shift - 1, 1<<shift | 1, math.MaxUint64 >> shift} {
			for _, tail := range [][]byte{nil, {0x80}, bytes.Repeat([]byte{0xff}, 9), make([]byte, 9)} {
				d := decoder{b: append(binary.AppendUvarint(nil, x), tail...)}
				if got := d.uvarint(); d.bad || got != x || !bytes.Equal(d.b[d.i:], tail) {
					t.Errorf("%x before %x: %x, bad %t, rest %x", x, tail, got, d.bad, d.b[d.i:])
				}
			}
		}
	}
	for _, b := range [][]byte{{}, {0x80}, {0x80, 0}, {0xff, 0x80, 0, 1, 1, 1, 1, 1, 1}, {0x80, 0, 0, 0, 0, 0, 0, 0, 0},
		bytes.Repeat([]byte{0xff}, 12), append(bytes.Repeat([]byte{0xff}, 9), 2)} {
		if d := (decoder{b: b}); d.uvarint() != 0 || !d.bad {
			t.Errorf("accepted %x", b)
		}
	}
}

// TestInterner: texts that look alike are told apart, beyond the limit too, and
// none changes with the bytes that it was made of.
func TestInterner(t *testing.T) {
	in, b := NewInterner(20), []byte(nil)
	var got, want []string
	for round := range 3 {
		for i := range 40 {
			b = fmt.Appendf(b[:0], "%.*s%02da", i%3, "..", i+round%2)
			got, want = append(got, in.String(b)), append(want, string(b))
		}
	}
	if got = append(got, in.String(nil)); !slices.Equal(got, append(want, "")) {
		t.Errorf("%q", got)
	}
	if len(in.known) != 20 {
		t.Errorf("%d texts are kept", len(in.known))
	}
	b = append(b[:0], want[0]...)
	if n := testing.AllocsPerRun(100, func() { in.String(b) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
