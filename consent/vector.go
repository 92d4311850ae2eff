package consent

import "encoding/binary"

// MaxPartitions is how many consent partitions there may be: a vector of more
// does not fit into the offset metadata (DESIGN section 6).
const MaxPartitions = 256

// Covers reports whether v takes into account everything that o does. Vectors of
// different length are of different topics, so neither covers the other.
func (v Vector) Covers(o Vector) bool {
	if len(v) != len(o) {
		return false
	}
	for i := range v {
		if v[i] < o[i] {
			return false
		}
	}
	return true
}

// Holds reports whether every change of the row r lies below v: each last offset
// is one that v takes into account (D4).
func (v Vector) Holds(r *Row) bool {
	for p, last := range r.Last {
		if last >= 0 && (p >= len(v) || last >= v[p]) {
			return false
		}
	}
	return true
}

// Min lowers v to the element-wise minimum of v and o, in place, and returns
// it. Where lengths differ the result has the shorter one, which no fence of the
// longer length is covered by.
func (v Vector) Min(o Vector) Vector {
	if len(o) < len(v) {
		v = v[:len(o)]
	}
	for i := range v {
		v[i] = min(v[i], o[i])
	}
	return v
}

// AppendTo appends the number of partitions and the next offset of each, as
// unsigned LEB128.
func (v Vector) AppendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	for _, next := range v {
		dst = binary.AppendUvarint(dst, uint64(next))
	}
	return dst
}

// DecodeVector reads what Vector.AppendTo wrote, all of b, into v's memory.
func DecodeVector(v Vector, b []byte) (Vector, error) {
	d := decoder{b: b}
	n := d.count(MaxPartitions)
	v = v[:0]
	for range n {
		v = append(v, d.offset())
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return v, nil
}
