package proof

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// stretch makes an array of a value so long that a batch does not keep the tape.
func (v *value) stretch() bool {
	if v.kind == array && len(v.kids) > 0 {
		for len(v.kids) < 5000 {
			v.kids = append(v.kids, v.kids...)
		}
		return true
	}
	if v.kind == text {
		return false
	}
	return slices.ContainsFunc(v.kids, func(kid *value) bool { return kid.stretch() })
}

// What becomes of a record does not depend on what else is in its batch.
func TestBatchesAreTheirRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		format := pick(rt, []schemas.Format{schemas.JSON, schemas.JSONSchema, schemas.Avro})
		w := drawWorld(rt, format, false)
		ins := w.drawBatch(&drawer{T: rt, format: valuesOf(format)})
		var want []string
		for i := range ins {
			want = append(want, w.together(rt, ins[i:i+1])...)
		}
		got := w.together(rt, ins)
		for i := range ins {
			if got[i] != want[i] {
				rt.Fatalf("record %d of %d gives\n%s\nand alone\n%s\n%s\n%s", i, len(ins), got[i], want[i], describe(&ins[i]), w.describe(0))
			}
		}
	})
}

// drawBatch draws records, some of them cut off, tombstones or long.
func (w *world) drawBatch(d *drawer) (ins []engine.Input) {
	for i := range d.n(2, 6) {
		r := w.drawRecord(d)
		switch {
		case d.rarely(6):
			r = w.drawTombstone(d)
		case d.rarely(6):
			r.Value = r.Value[:d.n(0, len(r.Value)-1)]
		case d.rarely(6) && len(r.parts) > 0 && r.parts[0].value.stretch():
			w.write(d, &r)
		}
		r.Offset += int64(i)
		ins = append(ins, r.Input)
	}
	return ins
}

// together is what becomes of each record of a batch.
func (w *world) together(t *rapid.T, ins []engine.Input) (all []string) {
	w.batch.Reset()
	for _, in := range ins {
		w.batch.Add(w.lane, in)
	}
	w.states.Read(w.batch.Tags(), &w.snap)
	err := w.batch.Decide(&w.snap, engine.Moment{Now: nowMs, Fence: w.states.Next()}, func(it *engine.Item) error {
		topics, fault := shown(it, true)
		all = append(all, fmt.Sprintf("%s%s%q", fault, topics, audit.AppendRecord(nil, &it.Audit)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
