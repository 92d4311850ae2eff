package consent

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// decoder reads untrusted bytes. After the first fault it is bad for good and yields
// zeros, so callers check once, before they use a value as an index or a length. No
// length is believed before it is checked.
type decoder struct {
	b      []byte
	i      int // where in b it reads
	intern func([]byte) string
	bad    bool
}

func (d *decoder) need(ok bool) {
	if !ok {
		d.bad, d.i = true, len(d.b)
	}
}

// left is the number of bytes to come.
func (d *decoder) left() int { return len(d.b) - d.i }

// end errs unless everything was read and well formed.
func (d *decoder) end() error {
	if d.bad || d.left() > 0 {
		return ErrRow
	}
	return nil
}

func (d *decoder) byte() byte {
	if d.i >= len(d.b) {
		d.need(false)
		return 0
	}
	c := d.b[d.i]
	d.i++
	return c
}

func (d *decoder) take(n int) []byte {
	if n > d.left() {
		d.need(false)
		return nil
	}
	p := d.b[d.i : d.i+n]
	d.i += n
	return p
}

// uvarint reads unsigned LEB128 in its shortest form only.
func (d *decoder) uvarint() uint64 {
	if d.i < len(d.b) {
		if c := d.b[d.i]; c < 0x80 {
			d.i++
			return uint64(c)
		}
	}
	return d.wideUvarint()
}

// wideUvarint is uvarint of up to 8 bytes, read at once.
func (d *decoder) wideUvarint() uint64 {
	if d.left() < 8 {
		return d.longUvarint()
	}
	// The first byte without its top bit is the last. The groups of 7 bits are
	// then moved together in pairs, pairs of pairs and so on.
	x := binary.LittleEndian.Uint64(d.b[d.i:])
	n := bits.TrailingZeros64(^x&0x8080808080808080)/8 + 1
	if n > 8 {
		return d.longUvarint()
	}
	d.need(d.b[d.i+n-1] != 0)
	if d.bad {
		return 0
	}
	d.i += n
	x &= 0x7f7f7f7f7f7f7f7f & (1<<(8*n) - 1)
	x = x&0x007f007f007f007f | x&0x7f007f007f007f00>>1
	x = x&0x00003fff00003fff | x&0x3fff00003fff0000>>2
	return x&0x0fffffff | x&0x0fffffff00000000>>4
}

// longUvarint is uvarint byte by byte: at the end of the input, and for numbers
// of more than 8 bytes.
func (d *decoder) longUvarint() uint64 {
	x, n := binary.Uvarint(d.b[d.i:])
	d.need(n == 1 || n > 1 && d.b[d.i+n-1] != 0)
	if d.bad {
		return 0
	}
	d.i += n
	return x
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
	d.need(n <= uint64(most) && n <= uint64(d.left()))
	if d.bad {
		return 0
	}
	return int(n)
}

// string reads a text. used is the text that was in the same place before, in memory
// that is being reused: it is mostly the same text, which then is not looked up.
func (d *decoder) string(used string) string {
	b := d.take(d.count(math.MaxInt32))
	switch {
	case string(b) == used:
		return used
	case len(b) == 0:
		return ""
	case d.intern == nil:
		return string(b)
	}
	return d.intern(b)
}

// strings reads a strictly ascending list into the memory of list.
func (d *decoder) strings(list []string) []string {
	used := list[:cap(list)]
	list = list[:0]
	for i := range d.count(d.left()) {
		var old string
		if i < len(used) {
			old = used[i]
		}
		s := d.string(old)
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
	known  map[string]string
	limit  int
	recent [64]string // of known, by their looks
}

// NewInterner makes an Interner of at most limit texts.
func NewInterner(limit int) *Interner {
	return &Interner{known: make(map[string]string), limit: limit}
}

// String is string(b).
func (in *Interner) String(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	recent := &in.recent[(len(b)^int(b[0])<<2^int(b[len(b)-1]))%len(in.recent)]
	if *recent == string(b) {
		return *recent
	}
	s, ok := in.known[string(b)]
	if !ok {
		if s = string(b); len(in.known) >= in.limit {
			return s
		}
		in.known[s] = s
	}
	*recent = s
	return s
}
