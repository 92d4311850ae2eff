package schemas

import "slices"

// note adds an entry, whose span is for the caller to fill in: field by field, since
// an Entry that is made elsewhere and copied costs more than all that is in it.
func (s *avroScan) note(p *avroPos, kind Kind, i int) *Entry {
	at := len(s.ents)
	if at == cap(s.ents) {
		s.grow(i)
	}
	if s.at[p.node] < 0 {
		s.at[p.node] = int32(at)
	}
	s.ents = s.ents[:at+1]
	e := &s.ents[at]
	e.Node, e.Kind = p.node, kind
	return e
}

// grow makes room on the tape: a short one doubles; one that is long at i is
// taken to go on as it began. Growing by less each time would take five times the
// memory of the tape in all.
func (s *avroScan) grow(i int) {
	n, rest := len(s.ents), len(s.src)-i
	more := n + 32
	if n > 4096 {
		more = max(n/2, int(1.02*float64(n)*float64(rest)/float64(i+1)))
	}
	s.ents = slices.Grow(s.ents, min(more, 2*rest+maxAvroPositions))
}

// vary moves the entries of element n, which begin at ents[at], to the nodes of
// its variant.
func (s *avroScan) vary(p *avroPos, at, n int) {
	chosen := p.variants.choose(s.layout, s.src, s.ents, at, n)
	if chosen == 0 {
		return
	}
	by := NodeID(chosen) * p.variants.stride
	for k := at; k < len(s.ents); k++ {
		e := &s.ents[k]
		if s.at[e.Node] == int32(k) {
			s.at[e.Node] = -1
		}
		if e.Node += by; s.at[e.Node] < 0 {
			s.at[e.Node] = int32(k)
		}
	}
}
