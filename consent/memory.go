package consent

import "slices"

// Memory is the state of all subjects in this process: what `eval` and tests
// look up, by the same fold as the projector's. It is NOT safe for concurrent
// use.
type Memory struct {
	tagger *Tagger
	rows   map[Tag]*Row
	next   Vector
}

// NewMemory makes the state of a consent topic of one partition, or more when
// Fold says so, of which nothing was read.
func NewMemory(tagger *Tagger) *Memory {
	return &Memory{tagger: tagger, rows: make(map[Tag]*Row), next: Vector{0}}
}

// Fold takes an event into account. It is false, and only the position moves,
// for an event whose subject could not be read: that one is for quarantine.
func (m *Memory) Fold(e *Event) bool {
	p := int(e.At.Partition)
	for p >= len(m.next) {
		m.next = append(m.next, 0)
	}
	m.next[p] = max(m.next[p], e.At.Offset+1)
	known := false
	for id := range e.Subjects {
		tag, ok := m.tagger.TagOf(id)
		if !ok {
			continue
		}
		if m.rows[tag] == nil {
			m.rows[tag] = NewRow()
		}
		m.rows[tag].Fold(e)
		known = true
	}
	return known
}

// Next is the next offset of each partition up to the last that had an event:
// what the state takes into account.
func (m *Memory) Next() Vector { return m.next }

// Read fills the snapshot for the tags, as a store does; ServerTime is left to
// the caller, who has the clock.
func (m *Memory) Read(tags []Tag, into *Snapshot) {
	into.Reset(len(tags))
	cut := slices.Clone(m.next)
	for i, tag := range tags {
		into.SetRow(i, m.rows[tag])
		into.Cut[i] = cut
	}
}
