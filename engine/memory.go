package engine

import (
	"bytes"
	"errors"

	"github.com/consentstream/consentstream/schemas"
)

// A record can need far more memory than it has bytes: a tape entry is 28 bytes
// and an input byte can have two. So a batch keeps the tapes of usual records
// only, up to maxEntries in all, and of the longest. Other long records are scanned
// again when they are decided; what has grown is given back when the batch is done
// (promise P9).
const (
	maxItemEntries = 4096    // on one item's own tape: 112 KiB
	maxEntries     = 1 << 20 // on the tapes of a batch: 28 MiB
	maxRefs        = 1 << 18 // subjects that a batch keeps room for: 2 MiB
	maxDecisions   = 1 << 14 // on one item that a batch keeps room for: 4 MiB
)

// What deciding a batch may cost: the treatments of its records, in units of work
// (plan.go, weight) that take some 50 ns, and the bytes of its outputs. A record may
// take 40 ms for its treatments, of the 100 that it may cost (promise P9). A fence is
// good for seconds, so a batch beyond half of one would be decided over and over and
// never be committed. One record stays below both by itself.
const (
	maxItemWork = 800_000
	maxWork     = 10_000_000
	maxOutput   = 128 << 20
)

// The work of what is no treatment: of deciding an element of a split record for a
// purpose and a subject, and of reading a text that holds JSON, in bytes a unit.
const (
	decisionWork = 32
	textBytes    = 16
)

// ErrBatchTooLarge is returned by Batch.Decide for a batch that costs more than
// a transaction may: try again with fewer records. A batch of one is never that.
var ErrBatchTooLarge = errors.New("the batch costs more than one transaction may")

// tooLarge reports whether the batch must be made smaller.
func (b *Batch) tooLarge() bool {
	return b.n > 1 && (b.work > maxWork || b.arena.bytes > maxOutput)
}

// cost is the work that an item, or an element of it, takes over all purposes.
func cost(it *Item, plan *Plan, payload []byte, tape *schemas.Tape) int {
	n := 0
	if len(it.Headers) > 0 {
		for i := range it.Lane.Stream.purposes {
			for _, h := range it.Lane.Stream.purposes[i].headers {
				n += len(it.Headers) * int(weight(h.via))
			}
		}
	}
	if plan == nil {
		return n
	}
	work, texts, entries := plan.work, plan.texts, tape.Entries
	for i := range entries {
		id := entries[i].Node
		if id < 0 {
			continue
		}
		n += int(work[id])
		if texts != nil && texts[id].purposes > 0 {
			n += texts[id].cost(payload[entries[i].Start:entries[i].End])
		}
	}
	return n
}

// textWork is what a text that holds JSON costs: how many purposes read it, and the
// sum over these of the weight of the most expensive treatment of a position in it.
type textWork struct{ purposes, dearest int32 }

// cost is the cost of one text. What it holds is known only once it is treated, but
// each position in it, except the last of each container, is followed by a comma,
// which may be escaped; of base64 nothing can be told. A text within a text is
// counted with the outer one.
func (w textWork) cost(text []byte) int {
	positions := 1 + bytes.Count(text, []byte{','}) + bytes.Count(text, []byte{'['}) + bytes.Count(text, []byte{'{'}) + bytes.Count(text, []byte(`\u`))
	if !bytes.ContainsAny(text, "[{") {
		positions = max(positions, len(text)*3/8+1)
	}
	return int(w.purposes)*len(text)/textBytes + int(w.dearest)*min(positions, schemas.MaxNestedEntries)
}

// setAside takes a long item's tape away from it. The batch keeps it in the place
// of a smaller one.
func (b *Batch) setAside(it *Item) {
	if it.work.plan == nil {
		return // a tombstone has no tape
	}
	n := len(it.tape.Entries)
	if n <= maxItemEntries && b.noted+n <= maxEntries {
		b.noted += n
		return
	}
	it.work.long = true
	if b.longOf == it {
		b.longOf = nil // of an earlier scan of it
	}
	if cap(it.tape.Entries) > cap(b.long.Entries) {
		b.long, b.longOf = it.tape, it
	}
	it.tape = schemas.Tape{}
}

// forgetTape lets go of what a long record took that will not be decided.
func (it *Item) forgetTape() {
	if cap(it.tape.Entries) > maxItemEntries {
		it.tape = schemas.Tape{}
	}
}

// retape scans a long item again. What has been scanned once is in order, so a
// fault means that its bytes have changed since.
func (b *Batch) retape(it *Item) *schemas.Fault {
	if !it.work.long || b.longOf == it {
		return nil
	}
	b.longOf = nil
	if err := it.work.plan.layout.Scan(it.work.payload, &b.long); err != nil {
		return asFault(err)
	}
	b.longOf = it
	return nil
}

// tape holds the item's positions; for a long item only after retape.
func (b *Batch) tape(it *Item) *schemas.Tape {
	if it.work.long {
		return &b.long
	}
	return &it.tape
}

// release lets go of the records of the batch, which belong to the caller, and
// of the memory that only unusual ones needed.
func (b *Batch) release() {
	entries := 0
	for i, it := range b.items {
		if i < b.n {
			it.release()
		}
		if n := cap(it.tape.Entries); entries+n > 2*maxEntries {
			it.tape = schemas.Tape{}
		} else {
			entries += n
		}
	}
	if cap(b.long.Entries) > maxEntries {
		b.long = schemas.Tape{}
	}
	if cap(b.piece.Entries) > maxEntries {
		b.piece = schemas.Tape{}
	}
	if max(cap(b.refs), cap(b.spans)) > maxRefs {
		b.elements, b.refs, b.spans = nil, nil, nil
	}
	b.current, b.longOf = nil, nil
	b.result.release()
}

// release lets go of the caller's record, and of a plan that may be forgotten by
// now.
func (it *Item) release() {
	it.Input, it.work.payload, it.work.plan, it.Result = Input{}, nil, nil, nil
}

// release lets go of what aliases the caller's records.
func (r *Result) release() {
	if cap(r.Audit.Decisions) > maxDecisions {
		*r = Result{} // of a record that was split into very many
		return
	}
	outs := r.Outputs[:cap(r.Outputs)]
	for i := range outs {
		clear(outs[i].Headers[:cap(outs[i].Headers)])
		outs[i] = Output{Headers: outs[i].Headers[:0]}
	}
}
