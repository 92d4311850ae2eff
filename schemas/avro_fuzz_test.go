package schemas

import (
	"strings"
	"testing"
)

func FuzzAvroScan(f *testing.F) {
	l := mustAvro(f, crmSchema)
	var acts [2][]Action
	acts[0] = avroActs(f, l, Action{Op: OpKeep}, nil)
	acts[1] = avroActs(f, l, Action{Op: OpReplace, Via: constant("x"), Result: Type{Kind: String}},
		map[string]Action{"": {}, "address": {}, "items[*].sku": {Op: OpKeep, Gate: 1}, "age": {Op: OpNull}, "id": {}})
	var out [2]Layout
	var projections [2]Projection
	for i := range acts {
		p, err := l.Project(acts[i], "x")
		if err != nil {
			f.Fatal(err)
		}
		projections[i], out[i] = p, mustAvro(f, p.Schema())
	}
	for _, props := range []string{"\x00", "\x02\x02k\x00\x00", "\x04\x02k\x00\x02l\x00\x00"} {
		seed := []byte("\x04id\x02\x02e\x00\x2a\x02\x02s\x00\x02s\x02\x02c\x02\x02t\x00\x01\x08\x02k\x02p\x00" + props + "\x10\x02")
		if err := l.Scan(seed, new(Tape)); err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var tape, again Tape
		if l.Scan(b, &tape) != nil {
			return
		}
		if tape.Entries[0].End != uint32(len(b)) || int(tape.Entries[0].Next) != len(tape.Entries) {
			t.Fatal("the root does not span the record")
		}
		for i, p := range projections {
			got, _, err := p.Splice(nil, b, &tape, uint32(len(b)))
			if collide := i == 1 && keysOf(l, &tape) > 1; collide != isFault(err, CodeTreatmentFailed) || !collide && err != nil {
				t.Fatalf("keys made one: %v; got %v", collide, err)
			}
			if err != nil {
				continue
			}
			if err := out[i].Scan(got, &again); err != nil {
				t.Fatalf("%x became %x, which is not of its schema: %v", b, got, err)
			}
		}
	})
}

// keysOf is how many keys the maps of a record have: a constant makes them one.
func keysOf(l Layout, tape *Tape) (n int) {
	for _, e := range tape.Entries {
		if strings.HasSuffix(l.Nodes()[e.Node].Path, "~key") {
			n++
		}
	}
	return n
}

func FuzzNewAvro(f *testing.F) {
	f.Add(crmSchema)
	f.Add(rec(`"R"`))
	f.Fuzz(func(t *testing.T, schema string) {
		l, err := NewAvro(schema, nil)
		if err != nil {
			return
		}
		acts := make([]Action, len(l.Nodes()))
		for i := range acts {
			acts[i].Op = OpKeep
		}
		p, err := l.Project(acts, "x")
		if err != nil {
			t.Fatalf("%v\n%s", err, schema)
		}
		if p.Empty() {
			return
		}
		if _, err := NewAvro(p.Schema(), nil); err != nil {
			t.Fatalf("%v\n%s", err, p.Schema())
		}
	})
}
