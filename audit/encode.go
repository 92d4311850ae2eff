package audit

// AppendRecord appends the Avro binary of r, without the 5-byte frame, to dst.
// It allocates only to grow dst. CitedID and Fields are not part of the bytes.
func AppendRecord(dst []byte, r *Record) []byte {
	dst = appendLane(dst, &r.Lane)
	dst = appendLong(dst, r.Index)
	dst = append(dst, r.Prev[:]...)
	dst = appendLong(dst, int64(r.Kind)-1) // NoLeaf becomes -1, which no enum has
	dst = appendLong(dst, r.From)
	dst = appendLong(dst, r.Offset)
	dst = appendContext(dst, r.Context)
	dst = appendCut(dst, r.Cut)
	dst = appendString(dst, r.Reason)
	dst = appendString(dst, r.Detail)
	dst = appendString(dst, r.Path)
	if r.Cites == nil {
		dst = append(dst, branchNull)
	} else {
		dst = append(append(dst, branchValue), r.Cites[:]...)
	}
	dst = appendString(dst, r.Note)
	dst = appendSubjects(dst, r.Subjects)
	return appendDecisions(dst, r.Decisions)
}

// arrayEnd is the block of no items that ends every array.
const arrayEnd = 0

// The branch numbers of a ["null", T] union, as the varints of 0 and 1.
const (
	branchNull  = 0
	branchValue = 2
)

func appendLane(dst []byte, l *Lane) []byte {
	dst = appendString(dst, l.Cluster)
	dst = appendString(dst, l.Group)
	dst = append(dst, l.TopicID[:]...)
	dst = appendString(dst, l.Topic)
	return appendLong(dst, int64(l.Partition))
}

func appendContext(dst []byte, c *Context) []byte {
	if c == nil {
		return append(dst, branchNull)
	}
	dst = append(dst, branchValue)
	dst = append(dst, c.Policy[:]...)
	dst = append(dst, c.Regimes[:]...)
	dst = appendLong(dst, c.Revision)
	dst = appendLong(dst, c.DecidedAt)
	dst = append(dst, c.ConsentTopicID[:]...)
	dst = appendLongs(dst, c.Fence)
	dst = appendLong(dst, int64(c.KeyEpoch))
	dst = append(dst, c.KeyCheck[:]...)
	dst = appendString(dst, c.SignKey)
	return appendString(dst, c.Version)
}

// appendCut writes an empty cut as null, so that there is one form of it.
func appendCut(dst []byte, cut []int64) []byte {
	if len(cut) == 0 {
		return append(dst, branchNull)
	}
	return appendLongs(append(dst, branchValue), cut)
}

func appendSubjects(dst []byte, subjects []Subject) []byte {
	dst = appendCount(dst, len(subjects))
	for i := range subjects {
		s := &subjects[i]
		dst = appendString(dst, s.Name)
		if s.Resolved {
			dst = append(append(dst, branchValue), s.Tag[:]...)
		} else {
			dst = append(dst, branchNull)
		}
	}
	return append(dst, arrayEnd)
}

func appendDecisions(dst []byte, decisions []Decision) []byte {
	dst = appendCount(dst, len(decisions))
	for i := range decisions {
		dst = appendDecision(dst, &decisions[i])
	}
	return append(dst, arrayEnd)
}

func appendDecision(dst []byte, d *Decision) []byte {
	dst = appendLong(dst, int64(d.Element))
	dst = appendString(dst, d.Purpose)
	dst = appendLong(dst, int64(d.Subject))
	dst = appendBool(dst, d.Permit)
	dst = appendString(dst, d.Reason)
	dst = appendCount(dst, len(d.Secondary))
	for _, s := range d.Secondary {
		dst = appendString(dst, s)
	}
	dst = append(dst, arrayEnd)
	dst = appendString(dst, d.Basis)
	if d.HasCited {
		dst = appendLong(append(dst, branchValue), int64(d.CitedPartition))
		dst = appendLong(dst, d.CitedOffset)
	} else {
		dst = append(dst, branchNull)
	}
	dst = append(dst, d.Plan[:]...)
	dst = appendLong(dst, int64(d.Gates))
	dst = appendLong(dst, int64(d.Withheld))
	if d.Output == nil {
		return append(dst, branchNull)
	}
	dst = appendString(append(dst, branchValue), d.Output.Topic)
	dst = appendLong(dst, int64(d.Output.Partition))
	return append(dst, d.Output.Commitment[:]...)
}

func appendLongs(dst []byte, v []int64) []byte {
	dst = appendCount(dst, len(v))
	for _, x := range v {
		dst = appendLong(dst, x)
	}
	return append(dst, arrayEnd)
}

// appendCount begins an array; of an empty one it writes nothing, because its
// only block is the end mark.
func appendCount(dst []byte, n int) []byte {
	if n == 0 {
		return dst
	}
	return appendLong(dst, int64(n))
}

func appendString(dst []byte, s string) []byte {
	return append(appendLong(dst, int64(len(s))), s...)
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// appendLong writes Avro's zigzag varint, which serves int, long and enum.
func appendLong(dst []byte, v int64) []byte {
	u := uint64(v)<<1 ^ uint64(v>>63)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}
