package consent

import (
	"math/bits"
	"slices"
)

// Bounds of a row. Beyond them a row denies for good instead of growing.
const (
	MaxSlots   = 256
	MaxNotices = 256
	// MaxRowBytes is what a row's encoding may take. A row is read for every
	// record of its person, and typically takes some 300 bytes. The largest
	// realistic state that we know of is that of an advertising exchange, with the
	// 11 purposes of the IAB's TCF and 64 recipients each: 18 KiB.
	MaxRowBytes = 64 << 10
	// maxEventState is what one event may add to a row: half of its limit, so that
	// no single event fills it, and a second one that says the same in other words
	// still fits.
	maxEventState = MaxRowBytes / 2
)

// What the parts of a row count, each at least what AppendTo writes for it; of
// integers the longest form.
const (
	// headBytes holds what every row has room for: version, flags and counts,
	// malformed, the attributes, the salt, and last with every partition.
	headBytes   = 128 + MaxPartitions*(2+9)
	slotBytes   = 2 + 2 + 10           // the key's length, families and flags, lseen
	denialBytes = 10 + 1 + 2 + 9       // at, action, position
	termsBytes  = 1 + 5*10 + 2 + 9 + 3 // flags, five instants, position, lists
	nameBytes   = 2                    // the length of a name
)

// size is at least what the row's encoding takes. It only ever grows by Fold,
// whatever the order, because it counts the largest lists that a slot has seen
// and not those of the grant that won: otherwise whether a row outgrows its
// bound would depend on which of two grants came first.
func (r *Row) size() int {
	n := headBytes
	for i := range r.Slots {
		n += r.Slots[i].size()
	}
	for _, id := range r.Notices {
		n += nameBytes + len(id)
	}
	return n
}

func (s *Slot) size() int {
	n := slotBytes + len(s.Key)
	for f := range s.No {
		if s.No[f].Set {
			n += denialBytes
		}
	}
	if s.Y.Set {
		n += termsBytes + s.Lists
	}
	return n
}

// lists is what the encoding of the terms' lists and notice takes.
func (t *Terms) lists() int {
	n := uvarintBytes(len(t.Recipients)) + uvarintBytes(len(t.Overrides))
	for _, list := range [...][]string{t.Recipients, t.Overrides, {t.NoticeID, t.NoticeVer}} {
		for _, s := range list {
			n += uvarintBytes(len(s)) + len(s)
		}
	}
	return n
}

func uvarintBytes(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }

// stateBytes is at least what the event adds to a row of which nothing is known.
func (e *Event) stateBytes() int {
	if !e.Action.Permissive() {
		return 0 // MaxEventBytes bounds it: no list is multiplied
	}
	t := e.terms("")
	each := slotBytes + termsBytes + t.lists()
	n := nameBytes + len(e.Notice.ID)
	for _, k := range e.Purposes {
		n += each + len(k)
	}
	return n
}

// bound gives up on a row that has grown beyond its limits: it denies for good
// and keeps only what concerns the whole subject. That this happened is itself
// a maximum (Malformed), and what it depends on only grows, so Fold stays a join.
func (r *Row) bound() {
	if r.Malformed != Infinite && len(r.Slots) <= MaxSlots && len(r.Notices) <= MaxNotices && r.size() <= MaxRowBytes {
		return
	}
	r.Malformed = Infinite
	r.Notices = r.Notices[:0]
	r.Slots = slices.DeleteFunc(r.Slots, func(s Slot) bool { return s.Key != "*" })
}

// Overflown reports whether more was said about the identifier than a row may hold.
func (r *Row) Overflown() bool { return r.Malformed == Infinite }
