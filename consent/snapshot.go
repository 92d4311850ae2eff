package consent

// Snapshot is the answer to a read of several tags at once, by the index of the
// tag asked for. A reader fills it; its memory is reused by the next read, so
// nothing of it may be kept.
//
// Rows stay encoded until somebody asks for them, one at a time: thousands of
// decoded rows are megabytes that would be written, and read again from memory,
// where one row stays in the cache.
type Snapshot struct {
	// Cut is the vector under which each row was read: every consent event below
	// it is folded in. It may be above the fence (D4).
	Cut []Vector
	// ServerTime is the store's clock at the read in ms, for comparison with the
	// caller's (D1).
	ServerTime int64
	// Whole makes a reader decode every row at once, so that a genuine row that
	// does not decode is its reader's finding (see Row).
	Whole bool

	answers []answer
	intern  func([]byte) string // one func value for all rows
	row     Row
	decoded int // index of the answer in row, -1 for none
}

// answer is a row as its reader has it; neither is a true miss.
type answer struct {
	row     *Row
	encoded []byte
}

// maxInterned bounds the texts of rows (purposes, recipients, notices) that are
// kept as strings from read to read.
const maxInterned = 1 << 14

// Reset makes room for n answers, all of them misses. Reset(0) is what a failed
// read leaves, so that no answer can be taken for a miss.
func (s *Snapshot) Reset(n int) {
	clear(s.answers)
	clear(s.Cut)
	if cap(s.answers) < n || cap(s.Cut) < n {
		s.answers, s.Cut = make([]answer, n), make([]Vector, n)
	}
	s.answers, s.Cut, s.ServerTime, s.decoded = s.answers[:n], s.Cut[:n], 0, -1
}

// SetRow makes row answer i.
func (s *Snapshot) SetRow(i int, row *Row) { s.answers[i] = answer{row: row} }

// SetEncoded makes a row of canonical encoding (Row.AppendTo) answer i. b must
// stay as it is until the next Reset.
func (s *Snapshot) SetEncoded(i int, b []byte) { s.answers[i] = answer{encoded: b} }

// Len is the number of answers.
func (s *Snapshot) Len() int { return len(s.answers) }

// State returns the row of tag i and the watermark that it was read under. A nil
// row is a true miss: the state is complete and knows nothing of this tag. A reader
// that cannot vouch for that returns an error, never a miss. The row must not be
// modified and is valid until the next call. The error is ErrRow.
func (s *Snapshot) State(i int) (*Row, Vector, error) {
	a := &s.answers[i]
	if a.encoded == nil {
		return a.row, s.Cut[i], nil
	}
	if s.decoded != i {
		if s.intern == nil {
			s.intern = NewInterner(maxInterned).String
		}
		s.decoded = -1
		if err := s.row.Decode(a.encoded, s.intern); err != nil {
			return nil, nil, err
		}
		s.decoded = i
	}
	return &s.row, s.Cut[i], nil
}
