package schemas

import "math"

// avroScratch is working memory of scanner and splicer, kept in the Tape.
type avroScratch struct {
	text []byte // what transforms write their results to
	keys mapKeys
}

// avroScan is one walk over a record. Its functions take the offset of a value
// and return the offset after it, or -1 after fail. They recurse over the
// schema, whose depth is bounded, never over the input.
type avroScan struct {
	src    []byte
	ents   []Entry
	at     []int32
	budget int // array elements and map entries that may still come
	deep   int // recursive types around this one
	keys   *mapKeys
	layout *avroLayout
	code   Code
	node   NodeID
}

// Scan implements Layout (package comment, "Avro: what is accepted").
func (l *avroLayout) Scan(src []byte, tape *Tape) error {
	tape.Reset(len(l.nodes))
	if len(src) > math.MaxInt32 {
		return &Fault{Code: CodeTooLarge}
	}
	s := avroScan{src: src, ents: tape.Entries, at: tape.At, budget: len(src) + 1024, keys: &tape.scratch.avro.keys, layout: l}
	s.keys.reset()
	end := s.value(l.root, 0)
	tape.Entries = s.ents
	if end == len(src) {
		return nil
	}
	tape.Reset(len(l.nodes)) // nothing of it may be used
	if end >= 0 {
		return &Fault{Code: CodeTrailingBytes}
	}
	return &Fault{Code: s.code, Path: l.nodes[s.node].Path}
}

// fail notes the innermost fault. Positions inside an opaque one have no node:
// the nearest one around them fills it in.
func (s *avroScan) fail(code Code, node NodeID) int {
	s.code, s.node = code, node
	return -1
}

// value scans p, a node of the layout, and notes it and all below it.
func (s *avroScan) value(p *avroPos, i int) int {
	if p.scalar {
		return s.leaf(p, i)
	}
	at := len(s.ents)
	kind, start := p.typ.Kind, i
	if p.typ.Nullable && kind != Union {
		null, next := s.nullBranch(p, i)
		if next < 0 {
			return -1
		}
		if i = next; null {
			kind = Null
		}
	}
	e := s.note(p, kind, i)
	e.Start, e.NameStart, e.NameEnd = uint32(start), uint32(i), uint32(i)
	switch kind {
	case Record:
		for k := range p.fields {
			f := &p.fields[k]
			if f.scalar {
				i = s.leaf(f, i)
			} else {
				i = s.value(f, i)
			}
			if i < 0 {
				return -1
			}
		}
	case Array, Map:
		var n int
		i, n = s.blocks(p, i)
		s.ents[at].NameEnd = uint32(n)
	case Union:
		i = s.union(p, at, i)
	case Opaque:
		if i = s.recursive(p, i); i < 0 {
			s.node = p.node
		}
	}
	if i < 0 {
		return -1
	}
	e = &s.ents[at] // it may have moved
	e.End, e.Next = uint32(i), uint32(len(s.ents))
	return i
}

// leaf scans and notes a scalar. Most of a record's time goes here: a branch
// number of one byte and a short string, the usual cases, are read in place.
func (s *avroScan) leaf(p *avroPos, i int) int {
	kind, start := p.typ.Kind, i
	if p.typ.Nullable {
		var null bool
		if i < len(s.src) && s.src[i]&^2 == 0 {
			null, i = s.src[i]>>1 == p.typ.NullIndex, i+1
		} else if null, i = s.nullBranch(p, i); i < 0 {
			return -1
		}
		if null {
			kind = Null
		}
	}
	value := i
	switch kind {
	case Null:
	case String:
		if i < len(s.src) && s.src[i]&0x81 == 0 && int(s.src[i]>>1) < len(s.src)-i {
			end := i + 1 + int(s.src[i]>>1)
			if !validText(s.src[i+1 : end]) {
				return s.fail(CodeBadUTF8, p.node)
			}
			i = end
			break
		}
		i = s.text(p, i, true)
	default:
		i = s.scalar(p, kind, i)
	}
	if i < 0 {
		return -1
	}
	e := s.note(p, kind, i)
	e.Start, e.End, e.Next = uint32(start), uint32(i), uint32(len(s.ents))
	e.NameStart, e.NameEnd = uint32(value), uint32(value)
	return i
}

// union scans the union p, whose entry is at.
func (s *avroScan) union(p *avroPos, at, i int) int {
	b, i := s.branch(p, i)
	if i < 0 {
		return -1
	}
	e := &s.ents[at]
	e.NameStart, e.NameEnd = uint32(i), uint32(b)
	branch := &p.branches[b]
	if branch.typ.Kind == Null {
		e.Kind = Null
		return i
	}
	return s.value(branch, i)
}

// nullBranch reads the branch number of a nullable position.
func (s *avroScan) nullBranch(p *avroPos, i int) (null bool, next int) {
	b, next := s.int(p, i)
	if next < 0 {
		return false, -1
	}
	if b != 0 && b != 1 {
		return false, s.fail(CodeBadBranch, p.node)
	}
	return b == int64(p.typ.NullIndex), next
}

// branch reads the branch number of any other union.
func (s *avroScan) branch(p *avroPos, i int) (branch, next int) {
	b, i := s.int(p, i)
	if i < 0 {
		return 0, -1
	}
	if b < 0 || b >= int64(len(p.branches)) {
		return 0, s.fail(CodeBadBranch, p.node)
	}
	return int(b), i
}

// blocks scans an array or a map (Avro 1.12, "Arrays", "Maps"): blocks of a
// count and so many items, until a count of 0. A negative count is followed by
// the size of the block in bytes, which must be what the items take. It gives the
// number of items.
func (s *avroScan) blocks(p *avroPos, i int) (next, items int) {
	keys, done := s.keys.open(), 0
	for {
		n, next := s.long(p, i)
		if next < 0 {
			return -1, 0
		}
		if n == 0 {
			i = next
			break
		}
		i = next
		size := int64(-1)
		if n < 0 {
			if size, i = s.long(p, i); i < 0 {
				return -1, 0
			}
			// -MinInt64 is negative still. The size is only compared, after
			// the items.
			if n = -n; n < 0 || size < 0 {
				return s.fail(CodeBadLength, p.node), 0
			}
		}
		if n > int64(s.budget/p.elem.weight) {
			return s.fail(CodeTooManyItems, p.node), 0
		}
		s.budget -= int(n) * p.elem.weight
		start := i
		if i = s.items(p, done, int(n), i); i < 0 {
			return -1, 0
		}
		if size >= 0 && int64(i-start) != size {
			return s.fail(CodeBadLength, p.node), 0
		}
		done += int(n)
	}
	if p.typ.Kind == Map && s.keys.twice(s.src, keys, s.layout.seed) {
		return s.fail(CodeDuplicateKey, p.node), 0
	}
	s.keys.close(keys)
	return i, done
}

// items scans the n items of one block, after done others.
func (s *avroScan) items(p *avroPos, done, n, i int) int {
	for k := range n {
		at := len(s.ents)
		if p.typ.Kind == Map {
			i = s.mapKey(p, i)
		}
		switch {
		case i < 0:
			return -1
		case p.elem.node < 0:
			i = s.skip(p.elem, i)
		default:
			i = s.value(p.elem, i)
		}
		if i < 0 {
			return -1
		}
		if p.variants != nil {
			s.vary(p, at, done+k)
		}
	}
	return i
}

// mapKey scans a key; it is noted unless p is inside an opaque position.
func (s *avroScan) mapKey(p *avroPos, i int) (next int) {
	if p.key != nil {
		next = s.leaf(p.key, i)
	} else {
		next = s.text(p, i, true)
	}
	if next >= 0 {
		_, i = readLong(s.src, i) // one length has many encodings
		s.keys.push(i, next)
	}
	return next
}

// scalar scans a value that holds no other.
func (s *avroScan) scalar(p *avroPos, kind Kind, i int) int {
	switch kind {
	case Null:
		return i
	case String:
		return s.text(p, i, true)
	case Long:
		_, i = s.long(p, i)
		return i
	case Int:
		v, next := s.int(p, i)
		if next >= 0 && int64(int32(v)) != v {
			return s.fail(CodeBadVarint, p.node)
		}
		return next
	case Bool:
		if i < len(s.src) && s.src[i] > 1 {
			return s.fail(CodeBadBool, p.node)
		}
		return s.take(p, 1, i)
	case Float:
		return s.take(p, 4, i)
	case Double:
		return s.take(p, 8, i)
	case Bytes:
		return s.text(p, i, false)
	case Fixed:
		return s.take(p, p.typ.Size, i)
	case Enum:
		v, i := s.int(p, i)
		if i >= 0 && (v < 0 || v >= int64(len(p.symbols))) {
			return s.fail(CodeBadEnum, p.node)
		}
		return i
	}
	return s.fail(CodeBadSchema, p.node) // a kind that the parser does not make
}

// text scans a string (strict UTF-8) or bytes.
func (s *avroScan) text(p *avroPos, i int, strict bool) int {
	n, i := s.long(p, i)
	if i < 0 {
		return -1
	}
	if n < 0 {
		return s.fail(CodeBadLength, p.node)
	}
	if n > int64(len(s.src)-i) {
		return s.fail(CodeTruncated, p.node)
	}
	end := i + int(n)
	if strict && !validText(s.src[i:end]) {
		return s.fail(CodeBadUTF8, p.node)
	}
	return end
}

// take steps over n bytes.
func (s *avroScan) take(p *avroPos, n, i int) int {
	if n > len(s.src)-i {
		return s.fail(CodeTruncated, p.node)
	}
	return i + n
}

// int is long for what readers take for an int, as branch numbers and the indexes of
// enums are: many of them refuse one of more than five bytes.
func (s *avroScan) int(p *avroPos, i int) (v int64, next int) {
	if v, next = s.long(p, i); next-i > maxVarint32 {
		next = s.fail(CodeBadVarint, p.node)
	}
	return v, next
}

// long reads a zigzag varint; next is -1 after fail.
func (s *avroScan) long(p *avroPos, i int) (v int64, next int) {
	if i < len(s.src) && s.src[i] < 0x80 {
		return int64(s.src[i]>>1) ^ -int64(s.src[i]&1), i + 1
	}
	return s.longSlow(p, i)
}

func (s *avroScan) longSlow(p *avroPos, i int) (v int64, next int) {
	v, next = readLongSlow(s.src, i)
	switch next {
	case -1:
		s.fail(CodeTruncated, p.node)
	case -2:
		next = s.fail(CodeBadVarint, p.node)
	}
	return v, next
}
