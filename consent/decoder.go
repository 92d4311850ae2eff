package consent

import "math"

// decoder reads bytes that nobody vouches for. After the first fault it is bad
// for good and yields zeros, so that callers check once, and before they use a
// value as an index or a length. No length is believed before it is checked.
type decoder struct {
	b      []byte
	intern func([]byte) string
	bad    bool
}

func (d *decoder) need(ok bool) {
	if !ok {
		d.bad, d.b = true, nil
	}
}

// end errs unless everything was read and well formed.
func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return ErrRow
	}
	return nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.need(false)
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.need(false)
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

// uvarint reads unsigned LEB128 in its shortest form only.
func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		c := d.b[0]
		d.b = d.b[1:]
		return uint64(c)
	}
	var x uint64
	for i, c := range d.b {
		if i == 9 && c > 1 {
			break
		}
		x |= uint64(c&0x7f) << (7 * i)
		if c >= 0x80 {
			continue
		}
		if c == 0 && i > 0 {
			break
		}
		d.b = d.b[i+1:]
		return x
	}
	d.need(false)
	return 0
}

// varint reads zigzag LEB128, as encoding/binary writes it.
func (d *decoder) varint() int64 {
	x := d.uvarint()
	return int64(x>>1) ^ -int64(x&1)
}

// offset reads a Kafka offset, which is not negative.
func (d *decoder) offset() int64 {
	x := d.uvarint()
	d.need(x <= math.MaxInt64)
	if d.bad {
		return 0
	}
	return int64(x)
}

func (d *decoder) position() Position {
	p := d.uvarint()
	d.need(p <= math.MaxInt32)
	return Position{Partition: int32(p), Offset: d.offset()}
}

// count reads the length of a list, of which each item takes a byte or more.
func (d *decoder) count(most int) int {
	n := d.uvarint()
	d.need(n <= uint64(most) && n <= uint64(len(d.b)))
	if d.bad {
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	b := d.take(d.count(math.MaxInt32))
	switch {
	case len(b) == 0:
		return ""
	case d.intern == nil:
		return string(b)
	}
	return d.intern(b)
}

// strings reads a strictly ascending list into the memory of list.
func (d *decoder) strings(list []string) []string {
	list = list[:0]
	for i := range d.count(len(d.b)) {
		s := d.string()
		d.need(i == 0 || list[i-1] < s)
		if d.bad {
			return list
		}
		list = append(list, s)
	}
	return list
}

// Interner gives the same string for the same bytes without allocating again:
// the texts of rows (purposes, recipients, notices) are few and come back
// always. It holds at most limit texts; what comes later is copied each time.
// It is NOT safe for concurrent use.
type Interner struct {
	known map[string]string
	limit int
}

// NewInterner makes an Interner of at most limit texts.
func NewInterner(limit int) *Interner {
	return &Interner{known: make(map[string]string), limit: limit}
}

// String is string(b).
func (in *Interner) String(b []byte) string {
	if s, ok := in.known[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(in.known) < in.limit {
		in.known[s] = s
	}
	return s
}
