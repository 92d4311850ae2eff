package engine

import "slices"

// arenaChunk is the size of an arena's chunks: about a hundred outputs. Those of
// a full batch, 32 MiB, are kept for the next one.
const (
	arenaChunk = 256 << 10
	arenaKept  = 128
)

// arena hands out byte slices that stay valid until reset. Its chunks are kept
// for the next batch, so that a steady state allocates nothing.
type arena struct {
	chunks [][]byte // chunks[:used] are in use, each with its length filled
	used   int
	bytes  int // handed out since reset
}

func (a *arena) reset() {
	for i := range a.chunks {
		a.chunks[i] = a.chunks[i][:0]
	}
	a.used, a.bytes = 0, 0
}

// trim gives back what only unusual records needed: chunks larger than others,
// and more of them than a full batch takes.
func (a *arena) trim() {
	a.chunks = slices.DeleteFunc(a.chunks, func(c []byte) bool { return cap(c) > arenaChunk })
	if len(a.chunks) > arenaKept {
		clear(a.chunks[arenaKept:])
		a.chunks = a.chunks[:arenaKept]
	}
}

// open returns an empty slice with room for at least n bytes. The caller
// appends to it and gives it back with close; nothing else may be opened
// in between. An append beyond the room moves the slice out of the arena,
// which is correct, only slower.
func (a *arena) open(n int) []byte {
	for ; a.used < len(a.chunks); a.used++ {
		if c := a.chunks[a.used]; cap(c)-len(c) >= n {
			return c[len(c):len(c):cap(c)]
		}
	}
	a.chunks = append(a.chunks, make([]byte, 0, max(arenaChunk, n)))
	return a.chunks[a.used][0:0:max(arenaChunk, n)]
}

// close keeps what was appended to an opened slice and returns it, cut so that
// an append to it cannot reach its neighbour.
func (a *arena) close(b []byte) []byte {
	c := a.chunks[a.used]
	a.bytes += len(b)
	if room := cap(c) - len(c); len(b) <= room && len(b) > 0 && &b[0] == &c[:len(c)+1][len(c)] {
		a.chunks[a.used] = c[:len(c)+len(b)]
	}
	return b[:len(b):len(b)]
}

// copy keeps a copy of b.
func (a *arena) copy(b []byte) []byte { return a.close(append(a.open(len(b)), b...)) }
