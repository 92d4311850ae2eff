package consent

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
