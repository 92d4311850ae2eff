package consent

import (
	"bytes"
	"errors"
	"slices"
)

// ErrRow is returned for bytes that are not the canonical encoding of a row.
// Nothing more is said: the bytes are about a person.
var ErrRow = errors.New("malformed consent state")

// Decode reads the canonical encoding of a row, all of b, into r and reuses
// r's memory; b is not kept. Every other encoding is refused, and then r denies.
// intern turns text into strings that may be kept, see Interner; nil copies.
func (r *Row) Decode(b []byte, intern func([]byte) string) error {
	d := decoder{b: b, intern: intern}
	d.need(len(b) <= MaxRowBytes)
	r.decode(&d)
	if err := d.end(); err != nil {
		r.Reset()
		r.Malformed = Infinite
		return err
	}
	return nil
}

// Reset makes the row one of which nothing is known and keeps its memory.
func (r *Row) Reset() {
	*r = Row{
		Malformed: -Infinite, Slots: r.Slots[:0], Notices: r.Notices[:0],
		Edges: r.Edges[:0], Last: r.Last[:0],
	}
}

func (r *Row) decode(d *decoder) {
	jurisdiction := r.Jurisdiction.Value
	r.Reset()
	d.need(d.byte() == rowVersion)
	flags := d.byte()
	d.need(flags < rowFlags)
	if flags&rowMalformed != 0 {
		r.Malformed = d.varint()
		d.need(r.Malformed != -Infinite)
	}
	if flags&rowBirthDate != 0 {
		r.BirthDate = Attribute{Set: true, T: d.varint(), N: d.varint()}
	}
	if flags&rowLastInteraction != 0 {
		r.LastInteraction = Attribute{Set: true, T: d.varint(), N: d.varint()}
	}
	if flags&rowJurisdiction != 0 {
		r.Jurisdiction = Attribute{Set: true, T: d.varint(), Value: d.string(jurisdiction)}
	}
	if flags&rowSalt != 0 {
		copy(r.Salt[:], d.take(len(r.Salt)))
		d.need(r.Salt != [16]byte{})
	}
	r.decodeSlots(d)
	r.Notices = d.strings(r.Notices)
	d.need(len(r.Notices) <= MaxNotices)
	r.decodeEdges(d)
	r.decodeLast(d)
}

func (r *Row) decodeSlots(d *decoder) {
	n := d.count(MaxSlots)
	// Slots beyond the length keep their lists, whose memory is used again.
	r.Slots = slices.Grow(r.Slots, n)[:n]
	for i := range r.Slots {
		s := &r.Slots[i]
		s.decode(d)
		d.need(s.Key != "" && (i == 0 || r.Slots[i-1].Key < s.Key))
		if d.bad {
			r.Slots = r.Slots[:i]
			return
		}
	}
}

func (s *Slot) decode(d *decoder) {
	s.Key = d.string(s.Key)
	families, flags := d.byte(), d.byte()
	d.need(flags < slotFlags)
	s.No = [Families]Denial{}
	for f := range s.No {
		if families&(1<<f) != 0 {
			s.No[f].decode(d, Family(f))
		}
	}
	s.Lists = 0
	if families&slotTerms != 0 {
		s.Lists = s.Y.decode(d, s.Key)
	} else {
		s.Y = Terms{Recipients: s.Y.Recipients[:0], Overrides: s.Y.Overrides[:0]}
	}
	s.Pending = flags&slotPending != 0
	s.LSeen = -Infinite
	if flags&slotLSeen != 0 {
		s.LSeen = d.varint()
		d.need(s.LSeen != -Infinite)
	}
	if flags&slotLonger != 0 {
		longer := d.uvarint()
		d.need(s.Y.Set && longer > 0 && longer <= MaxRowBytes)
		s.Lists += int(longer)
	}
}

func (n *Denial) decode(d *decoder, family Family) {
	at, action := d.varint(), Action(d.byte())
	f, ok := action.Family()
	d.need(ok && f == family)
	*n = Denial{Set: true, At: at, Rank: action.rank(), Pos: d.position(), Action: action}
}

// decode also tells how many bytes the lists and the notice took.
func (t *Terms) decode(d *decoder, key string) (lists int) {
	flags := d.byte()
	d.need(flags < termsFlags && flags&(termsPast|termsEffective) != termsPast|termsEffective)
	t.Set, t.Key = true, key
	t.Explicit, t.Children = flags&termsExplicit != 0, flags&termsChildren != 0
	t.Guardian, t.Proven = flags&termsGuardian != 0, flags&termsProven != 0
	t.T = d.varint()
	t.Received = t.T + d.varint()
	t.Pos = d.position()
	t.Effective = t.T + d.varint()
	t.Expires = Infinite
	if flags&termsExpires != 0 {
		t.Expires = t.T + d.varint()
		d.need(t.Expires != Infinite)
	}
	switch {
	case flags&termsPast != 0:
		t.Start = -Infinite
	case flags&termsEffective != 0:
		t.Start = t.Effective
		d.need(t.Start != -Infinite)
	default:
		t.Start = t.Effective + d.varint()
		d.need(t.Start != -Infinite && t.Start != t.Effective)
	}
	lists = d.left()
	t.Recipients, t.Overrides = d.strings(t.Recipients), d.strings(t.Overrides)
	t.NoticeID, t.NoticeVer = d.string(t.NoticeID), d.string(t.NoticeVer)
	return lists - d.left()
}

func (r *Row) decodeEdges(d *decoder) {
	for i := range d.count(d.left()) {
		var e Edge
		copy(e.Tag[:], d.take(len(e.Tag)))
		e.Kinds = d.byte()
		e.LinkNo, e.LinkYes, e.UnlinkNo, e.UnlinkYes = d.varint(), d.varint(), d.varint(), d.varint()
		d.need(i == 0 || bytes.Compare(r.Edges[i-1].Tag[:], e.Tag[:]) < 0)
		if d.bad {
			return
		}
		r.Edges = append(r.Edges, e)
	}
}

func (r *Row) decodeLast(d *decoder) {
	for range d.count(MaxPartitions) {
		at := d.position()
		d.need(at.Partition < MaxPartitions && int(at.Partition) >= len(r.Last))
		if d.bad {
			return
		}
		for int(at.Partition) > len(r.Last) {
			r.Last = append(r.Last, -1)
		}
		r.Last = append(r.Last, at.Offset)
	}
}
