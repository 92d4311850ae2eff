package consent

// Snapshot is the answer to a read of several tags at once, by the index of the
// tag asked for. A reader fills it; its slices and rows are reused by the next
// read, so nothing of it may be kept.
type Snapshot struct {
	// Rows is nil at a true miss: complete state knows nothing of this tag. A
	// reader that cannot vouch for that returns an error, never a nil row.
	Rows []*Row
	// Cut is the vector under which the row was read: every consent event below
	// it is folded in. It may be above the fence (D4).
	Cut []Vector
	// ServerTime is the store's clock at the read in ms, for comparison with the
	// caller's (D1).
	ServerTime int64

	spare []Row // see Spare
}

// Reset makes room for n answers, all of them absent. Reset(0) is what a failed
// read leaves, so that no answer can be taken for a miss.
func (s *Snapshot) Reset(n int) {
	clear(s.Rows[:cap(s.Rows)])
	clear(s.Cut[:cap(s.Cut)])
	if cap(s.Rows) < n || cap(s.Cut) < n {
		s.Rows, s.Cut = make([]*Row, n), make([]Vector, n)
	}
	if len(s.spare) < n {
		s.spare = append(s.spare, make([]Row, n-len(s.spare))...)
	}
	s.Rows, s.Cut, s.ServerTime = s.Rows[:n], s.Cut[:n], 0
}

// Spare is the reusable row for answer i, to decode into: it keeps its slices
// from read to read. It becomes the answer when Rows[i] is set to it.
func (s *Snapshot) Spare(i int) *Row { return &s.spare[i] }
