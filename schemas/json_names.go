package schemas

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Two member names are equal here if they are so after unescaping and Unicode
// simple case folding, the relation by which encoding/json matches a member to
// a struct field. The folded form of a rune is the least of its folding orbit,
// so of an ASCII letter the upper case one.
//
// Each open object keeps a hash of every folded name; when it closes, equal
// hashes are looked for, and the names behind them compared. Small objects are
// compared pair by pair; large ones in a table, or, where hashes meet too often,
// sorted by hash, then by name: n log n comparisons whatever names somebody sends.

// pairwiseNames is the size up to which comparing all pairs is faster.
const pairwiseNames = 32

// jsonName is a member of an open object: where its name lies, with quotes.
type jsonName struct {
	hash       uint64
	start, end uint32
}

// duplicates finds two names of one object that are equal. It may reorder them.
func (t *jsonScratch) duplicates(src []byte, names []jsonName) (a, b jsonName, found bool) {
	if len(names) > pairwiseNames {
		return t.duplicatesHashed(src, names)
	}
	for i := 1; i < len(names); i++ {
		h := names[i].hash
		for j := range names[:i] {
			if names[j].hash == h && compareNames(src, names[i], names[j]) == 0 {
				return names[j], names[i], true
			}
		}
	}
	return a, b, false
}

// duplicatesHashed has a table at most half full of indexes in names + 1.
func (t *jsonScratch) duplicatesHashed(src []byte, names []jsonName) (a, b jsonName, found bool) {
	size := 1 << bits.Len(uint(2*len(names)-1))
	if cap(t.table) < size {
		t.table = make([]uint32, size)
	}
	table, met := t.table[:size], 0
	clear(table)
	for i, n := range names {
		at := n.hash & uint64(size-1)
		for ; table[at] != 0; at = (at + 1) & uint64(size-1) {
			if o := names[table[at]-1]; o.hash == n.hash && compareNames(src, o, n) == 0 {
				return o, n, true
			}
			if met++; met > 8*len(names) {
				return duplicatesSorted(src, names)
			}
		}
		table[at] = uint32(i + 1)
	}
	return a, b, false
}

func duplicatesSorted(src []byte, names []jsonName) (a, b jsonName, found bool) {
	order := func(a, b jsonName) int {
		if a.hash != b.hash {
			return cmp.Compare(a.hash, b.hash)
		}
		return compareNames(src, a, b)
	}
	slices.SortFunc(names, order)
	for i := 1; i < len(names); i++ {
		if order(names[i-1], names[i]) == 0 {
			return names[i-1], names[i], true
		}
	}
	return a, b, false
}

// compareNames orders two scanned names by their folded runes.
func compareNames(src []byte, a, b jsonName) int {
	i, j := int(a.start)+1, int(b.start)+1
	for i < int(a.end)-1 && j < int(b.end)-1 {
		var r, s rune
		r, i = jsonRune(src, i)
		s, j = jsonRune(src, j)
		if c := cmp.Compare(foldRune(r), foldRune(s)); c != 0 {
			return c
		}
	}
	return cmp.Compare(int(a.end)-i, int(b.end)-j) // one of them is at its end
}

// foldRune returns the least rune of r's orbit under unicode.SimpleFold.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// folded is the folded form of name.
func folded(name string) (dst []byte) {
	for _, r := range name {
		dst = utf8.AppendRune(dst, foldRune(r))
	}
	return dst
}

// appendFoldedJSON does so for a scanned name between its quotes.
func appendFoldedJSON(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		var r rune
		r, i = jsonRune(text, i)
		dst = utf8.AppendRune(dst, foldRune(r))
	}
	return dst
}

// hash is that of a scanned name between its quotes; plain says that it is ASCII
// without escapes.
func (t *jsonScratch) hash(text []byte, plain bool, seed uint64) uint64 {
	if !plain {
		text = appendFoldedJSON(t.folded[:0], text)
		t.folded = text
	}
	return hashFolded(text, seed)
}

func equalFold(a, b string) bool {
	return string(folded(a)) == string(folded(b))
}

// The multipliers are the first constants of wyhash's secret (public domain).
const (
	hashMul0 = 0xa0761d6478bd642f
	hashMul1 = 0xe7037ed1a0b428db
)

// hashFolded hashes a name that is ASCII, or folded already: it folds ASCII
// letters as it goes, which leaves folded text as it is. It multiplies word by
// word in the way of wyhash.
func hashFolded(b []byte, seed uint64) uint64 {
	h := seed ^ uint64(len(b))*hashMul1
	for len(b) > 8 {
		h = mulFold(h^upperWord(binary.LittleEndian.Uint64(b)), hashMul0)
		b = b[8:]
	}
	h = mulFold(h^upperWord(lastWord(b)), hashMul0)
	return mulFold(h^seed, hashMul1)
}

// lastWord packs the 0 to 8 bytes that are left; with the length, which the
// caller hashes too, it says which they are.
func lastWord(b []byte) uint64 {
	switch n := len(b); {
	case n >= 4:
		lo := binary.LittleEndian.Uint32(b)
		hi := binary.LittleEndian.Uint32(b[n-4:])
		return uint64(hi)<<32 | uint64(lo)
	case n > 0:
		return uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16
	}
	return 0
}

func mulFold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// upperWord turns the lower-case letters of eight ASCII bytes to upper case. For
// other bytes the result is some function of the word, which is all that a
// hash of folded text needs.
func upperWord(w uint64) uint64 {
	const ones = 0x0101010101010101
	fromA := w + (0x80-'a')*ones
	beyondZ := w + (0x7f-'z')*ones
	return w - (fromA&^beyondZ&(0x80*ones))>>2
}
