package schemas

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// mapKeys finds keys that a map has twice. Spans of the keys of all maps that
// are open lie on one stack; those of the innermost are last.
type mapKeys struct {
	spans []keySpan
	table []uint32 // index in spans + 1; 0: free
}

type keySpan struct{ start, end uint32 }

// pairwiseKeys is the size up to which comparing all pairs is faster.
const pairwiseKeys = 16

func (k *mapKeys) reset() { k.spans = k.spans[:0] }

// open begins a map and close ends it: what open gave stands for it.
func (k *mapKeys) open() int { return len(k.spans) }

func (k *mapKeys) close(base int) { k.spans = k.spans[:base] }

func (k *mapKeys) push(start, end int) {
	k.spans = append(k.spans, keySpan{uint32(start), uint32(end)})
}

// twice reports whether two keys of the map that began at base are the same bytes
// of b.
func (k *mapKeys) twice(b []byte, base int, seed maphash.Seed) bool {
	spans := k.spans[base:]
	if len(spans) > pairwiseKeys {
		return k.hashed(b, spans, seed)
	}
	for i := range spans {
		for j := range i {
			if spans[i].same(spans[j], b) {
				return true
			}
		}
	}
	return false
}

func (s keySpan) same(o keySpan, b []byte) bool {
	return s.end-s.start == o.end-o.start && bytes.Equal(b[s.start:s.end], b[o.start:o.end])
}

// hashed is twice with a hash table, at most half full. The seed is secret, so that
// nobody can choose keys that collide.
func (k *mapKeys) hashed(b []byte, spans []keySpan, seed maphash.Seed) bool {
	size := 1 << bits.Len(uint(2*len(spans)-1))
	if cap(k.table) < size {
		k.table = make([]uint32, size)
	}
	k.table = k.table[:size]
	clear(k.table)
	for i, s := range spans {
		at := maphash.Bytes(seed, b[s.start:s.end]) & uint64(size-1)
		for ; k.table[at] != 0; at = (at + 1) & uint64(size-1) {
			if spans[k.table[at]-1].same(s, b) {
				return true
			}
		}
		k.table[at] = uint32(i + 1)
	}
	return false
}
