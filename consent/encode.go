package consent

import "encoding/binary"

// rowVersion is the first byte of an encoded row.
const rowVersion = 2

// Flags of a row.
const (
	rowMalformed = 1 << iota
	rowBirthDate
	rowLastInteraction
	rowJurisdiction
	rowSalt
	rowFlags // the first bit that is not defined
)

// Flags of a slot. Bit 7 of its family byte says that terms follow.
const (
	slotPending = 1 << iota
	slotLSeen
	slotLonger
	slotFlags
)

const slotTerms = 1 << 7

// Flags of terms.
const (
	termsExplicit = 1 << iota
	termsChildren
	termsGuardian
	termsProven
	termsExpires
	termsPast      // Start is -Infinite
	termsEffective // Start equals Effective
	termsFlags
)

// AppendTo appends the row's canonical encoding (package comment).
func (r *Row) AppendTo(dst []byte) []byte {
	dst = append(dst, rowVersion, r.flags())
	if r.Malformed != -Infinite {
		dst = binary.AppendVarint(dst, r.Malformed)
	}
	dst = appendNumber(dst, r.BirthDate)
	dst = appendNumber(dst, r.LastInteraction)
	if r.Jurisdiction.Set {
		dst = appendString(binary.AppendVarint(dst, r.Jurisdiction.T), r.Jurisdiction.Value)
	}
	if r.Salt != [16]byte{} {
		dst = append(dst, r.Salt[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Slots)))
	for i := range r.Slots {
		dst = r.Slots[i].appendTo(dst)
	}
	dst = appendStrings(dst, r.Notices)
	dst = binary.AppendUvarint(dst, uint64(len(r.Edges)))
	for i := range r.Edges {
		dst = r.Edges[i].appendTo(dst)
	}
	return r.Last.appendSparse(dst)
}

func (r *Row) flags() byte {
	return bit(r.Malformed != -Infinite, rowMalformed) | bit(r.BirthDate.Set, rowBirthDate) |
		bit(r.LastInteraction.Set, rowLastInteraction) | bit(r.Jurisdiction.Set, rowJurisdiction) |
		bit(r.Salt != [16]byte{}, rowSalt)
}

func (s *Slot) appendTo(dst []byte) []byte {
	dst = appendString(dst, s.Key)
	families := bit(s.Y.Set, slotTerms)
	for f := range s.No {
		families |= bit(s.No[f].Set, 1<<f)
	}
	longer := s.Lists - s.Y.lists() // negative without terms
	dst = append(dst, families, bit(s.Pending, slotPending)|bit(s.LSeen != -Infinite, slotLSeen)|bit(longer > 0, slotLonger))
	for f := range s.No {
		dst = s.No[f].appendTo(dst)
	}
	if s.Y.Set {
		dst = s.Y.appendTo(dst)
	}
	if s.LSeen != -Infinite {
		dst = binary.AppendVarint(dst, s.LSeen)
	}
	if longer > 0 {
		dst = binary.AppendUvarint(dst, uint64(longer))
	}
	return dst
}

// appendTo leaves the rank out: the action gives it.
func (d *Denial) appendTo(dst []byte) []byte {
	if !d.Set {
		return dst
	}
	dst = append(binary.AppendVarint(dst, d.At), byte(d.Action))
	return d.Pos.appendTo(dst)
}

func (p Position) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(uint32(p.Partition)))
	return binary.AppendUvarint(dst, uint64(p.Offset))
}

func (t *Terms) flags() byte {
	return bit(t.Explicit, termsExplicit) | bit(t.Children, termsChildren) | bit(t.Guardian, termsGuardian) |
		bit(t.Proven, termsProven) | bit(t.Expires != Infinite, termsExpires) |
		bit(t.Start == -Infinite, termsPast) | bit(t.Start != -Infinite && t.Start == t.Effective, termsEffective)
}

// appendTo leaves the key out: it is the slot's.
func (t *Terms) appendTo(dst []byte) []byte {
	flags := t.flags()
	dst = binary.AppendVarint(append(dst, flags), t.T)
	dst = binary.AppendVarint(dst, t.Received-t.T)
	dst = t.Pos.appendTo(dst)
	dst = binary.AppendVarint(dst, t.Effective-t.T)
	if flags&termsExpires != 0 {
		dst = binary.AppendVarint(dst, t.Expires-t.T)
	}
	if flags&(termsPast|termsEffective) == 0 {
		dst = binary.AppendVarint(dst, t.Start-t.Effective)
	}
	dst = appendStrings(appendStrings(dst, t.Recipients), t.Overrides)
	return appendString(appendString(dst, t.NoticeID), t.NoticeVer)
}

func (e *Edge) appendTo(dst []byte) []byte {
	dst = append(append(dst, e.Tag[:]...), e.Kinds)
	dst = binary.AppendVarint(binary.AppendVarint(dst, e.LinkNo), e.LinkYes)
	return binary.AppendVarint(binary.AppendVarint(dst, e.UnlinkNo), e.UnlinkYes)
}

// appendSparse lists the partitions that have an offset: a row is mostly
// changed from one.
func (v Vector) appendSparse(dst []byte) []byte {
	n := 0
	for _, last := range v {
		n += int(bit(last >= 0, 1))
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	for p, last := range v {
		if last >= 0 {
			dst = Position{Partition: int32(p), Offset: last}.appendTo(dst)
		}
	}
	return dst
}

func appendNumber(dst []byte, a Attribute) []byte {
	if !a.Set {
		return dst
	}
	return binary.AppendVarint(binary.AppendVarint(dst, a.T), a.N)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = appendString(dst, s)
	}
	return dst
}

func bit(set bool, b byte) byte {
	if set {
		return b
	}
	return 0
}
