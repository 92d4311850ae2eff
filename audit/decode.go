package audit

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// ErrMalformed is wrapped by every error of DecodeRecord. The texts name a
// member and what is wrong with it, never a value.
var ErrMalformed = errors.New("malformed audit record")

// DecodeRecord reads a record as AppendRecord writes it and nothing else: any
// other encoding, an unknown branch or symbol, a byte too few or too many, a
// range that runs backwards, a decision on a subject that is not there and a
// deny with an output are faults. It never panics and allocates in proportion
// to len(value). On error the Record is zero.
func DecodeRecord(value []byte) (Record, error) {
	d := decoder{rest: value}
	r := d.record()
	if d.fault == "" && len(d.rest) > 0 {
		d.fail("trailing bytes")
	}
	if d.fault == "" {
		d.fault = r.fault()
	}
	// Varints have long forms and arrays many blocks; only the one canonical
	// form is evidence, else one record would have many hashes.
	if d.fault == "" && !bytes.Equal(AppendRecord(make([]byte, 0, len(value)), &r), value) {
		d.fail("not in canonical form")
	}
	if d.fault != "" {
		return Record{}, fmt.Errorf("%w: %s", ErrMalformed, d.fault)
	}
	return r, nil
}

// DecodeLane reads the lane that an encoded audit record begins with, at a fraction of
// DecodeRecord's cost: enough to tell which records are worth decoding. Every record
// that DecodeRecord takes has the lane that this gives; not everything that has a lane
// is a record.
func DecodeLane(value []byte) (Lane, error) {
	d := decoder{rest: value}
	l := d.lane()
	if d.fault != "" {
		return Lane{}, fmt.Errorf("%w: %s", ErrMalformed, d.fault)
	}
	return l, nil
}

// fault names what no honest writer would have written.
func (r *Record) fault() string {
	switch {
	case r.Kind < LeafRecord || r.Kind > LeafClosed:
		return "no leaf kind"
	case r.Index < 0:
		return "index is negative"
	case r.From < 0 || r.Offset < r.From || r.Offset == math.MaxInt64:
		return "source range runs backwards"
	case r.Lane.Partition < 0:
		return "partition is negative"
	case r.Kind == LeafClosed && r.Offset != r.From:
		return "closed leaf with a source range"
	case r.Kind != LeafRecord && len(r.Decisions) > 0:
		return "decisions on a leaf that is no record"
	case !utf8.ValidString(r.Note) || !utf8.ValidString(r.Path) || !utf8.ValidString(r.Detail) || !utf8.ValidString(r.Reason):
		// Checked here too, because an operator types the note: a leaf that no
		// reader takes must not get into a chain. All other text is config's.
		return "text is not UTF-8"
	}
	for i := range r.Decisions {
		d := &r.Decisions[i]
		switch {
		case d.Subject < 0 || int(d.Subject) >= len(r.Subjects):
			return "decision on a subject that is not there"
		case d.Output != nil && !d.Permit:
			return "output of a deny"
		}
	}
	return ""
}

// decoder reads Avro binary. The first fault sticks; after it every method
// returns zero and consumes nothing.
type decoder struct {
	rest  []byte
	fault string
}

func (d *decoder) fail(what string) {
	if d.fault == "" {
		d.fault = what
	}
	d.rest = nil
}

func (d *decoder) record() (r Record) {
	r.Lane = d.lane()
	r.Index = d.long()
	d.fixed(r.Prev[:])
	r.Kind = d.kind()
	r.From = d.long()
	r.Offset = d.long()
	if d.branch() {
		r.Context = d.context()
	}
	if d.branch() {
		r.Cut = d.longs()
	}
	r.Reason = d.string()
	r.Detail = d.string()
	r.Path = d.string()
	if d.branch() {
		r.Cites = new(Hash)
		d.fixed(r.Cites[:])
	}
	r.Note = d.string()
	r.Subjects = array(d, d.subject)
	r.Decisions = array(d, d.decision)
	return r
}

func (d *decoder) kind() LeafKind {
	n := d.long()
	if n < 0 || n > int64(LeafClosed)-1 {
		d.fail("unknown leaf kind")
		return NoLeaf
	}
	return LeafKind(n + 1)
}

func (d *decoder) lane() (l Lane) {
	l.Cluster = d.string()
	l.Group = d.string()
	d.fixed(l.TopicID[:])
	l.Topic = d.string()
	l.Partition = d.int()
	return l
}

func (d *decoder) context() *Context {
	c := &Context{}
	d.fixed(c.Policy[:])
	d.fixed(c.Regimes[:])
	c.Revision = d.long()
	c.DecidedAt = d.long()
	d.fixed(c.ConsentTopicID[:])
	c.Fence = d.longs()
	c.KeyEpoch = d.int()
	d.fixed(c.KeyCheck[:])
	c.SignKey = d.string()
	c.Version = d.string()
	return c
}

func (d *decoder) subject() (s Subject) {
	s.Name = d.string()
	if s.Resolved = d.branch(); s.Resolved {
		d.fixed(s.Tag[:])
	}
	return s
}

func (d *decoder) decision() (x Decision) {
	x.Element = d.int()
	x.Purpose = d.string()
	x.Subject = d.int()
	x.Permit = d.bool()
	x.Reason = d.string()
	x.Secondary = array(d, d.string)
	x.Basis = d.string()
	if x.HasCited = d.branch(); x.HasCited {
		x.CitedPartition = d.int()
		x.CitedOffset = d.long()
	}
	d.fixed(x.Plan[:])
	x.Gates = d.int()
	x.Withheld = d.int()
	if d.branch() {
		x.Output = &Output{Topic: d.string(), Partition: d.int()}
		d.fixed(x.Output.Commitment[:])
	}
	return x
}

func (d *decoder) longs() []int64 { return array(d, d.long) }

// array reads one block and the end mark. It grows with the items that are
// really there, so that a count alone buys no memory.
func array[T any](d *decoder, item func() T) []T {
	n := d.long()
	if n == 0 || d.fault != "" {
		return nil
	}
	if n < 0 || n > int64(len(d.rest)) { // every item takes at least one byte
		d.fail("array count")
		return nil
	}
	var out []T
	for range n {
		out = append(out, item())
		if d.fault != "" {
			return nil
		}
	}
	if d.long() != 0 {
		d.fail("array of several blocks")
	}
	return out
}

// branch reads the branch number of a ["null", T] union: is it T?
func (d *decoder) branch() bool {
	switch d.long() {
	case 0:
		return false
	case 1:
		return d.fault == ""
	}
	d.fail("unknown union branch")
	return false
}

func (d *decoder) bool() bool {
	var b [1]byte
	d.fixed(b[:])
	if b[0] > 1 {
		d.fail("boolean")
	}
	return b[0] == 1
}

func (d *decoder) int() int32 {
	n := d.long()
	if n < math.MinInt32 || n > math.MaxInt32 {
		d.fail("int out of range")
		return 0
	}
	return int32(n)
}

func (d *decoder) long() int64 {
	var u uint64
	for i := 0; i < len(d.rest) && i < 10; i++ {
		b := d.rest[i]
		if i == 9 && b > 1 {
			break // more than 64 bits
		}
		u |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			d.rest = d.rest[i+1:]
			return int64(u>>1) ^ -int64(u&1)
		}
	}
	d.fail("varint")
	return 0
}

func (d *decoder) string() string {
	n := d.long()
	if n < 0 || n > int64(len(d.rest)) {
		d.fail("string length")
		return ""
	}
	s := d.rest[:n]
	if !utf8.Valid(s) {
		d.fail("string is not UTF-8")
		return ""
	}
	d.rest = d.rest[n:]
	return string(s)
}

func (d *decoder) fixed(dst []byte) {
	if len(d.rest) < len(dst) {
		d.fail("truncated")
		return
	}
	d.rest = d.rest[copy(dst, d.rest):]
}
