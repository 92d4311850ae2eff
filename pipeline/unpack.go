package pipeline

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What a client has fetched and not handed out is bounded on the wire by
// fetchBytes, and kgo bounds what ONE record batch unpacks to. Neither bounds the
// sum: 4 MB of fetched log can be two thousand batches of 64 MB. Nor what kgo makes
// of a batch: a record takes 7 bytes of it at least and a header 2, in memory some
// 200 and 40. Whoever may write a topic that we read could end the process, so the
// client unpacks with a decompressor that counts (promise P9).
//
// A batch that alone comes to too much is one that kgo does not unpack: see
// takeTooLarge. Any other is left in the log until there is room: for a fetch that
// has read something of the partition kgo takes an error of the decompressor for
// the end of what was fetched, else it reports errFetchFull, and in both cases
// fetches again from there on.
//
// What counts is what is alive: the garbage collector takes a batch off the count
// when nothing holds its bytes any more. A record without key and value holds none,
// so the unpacker is also a pool of kgo's, an empty one: then each record has a
// context that holds what it would put back. kgo drops what it has buffered at an
// abort, at a new assignment and at its end, and tells nobody; a count that asks who
// has what would drift, and a full one stops a lane without a word.
//
// So a client holds sum at most, and of each broker one batch more while it is
// being unpacked. What is not compressed is as large as on the wire and is not
// counted.
type unpacker struct {
	one  *batchUnpacker
	sum  int64 // bound of all that is alive
	held *atomic.Int64
	// refused is when there was no room last, in ns of the clock.
	refused atomic.Int64

	mu        sync.Mutex
	collected time.Time // when room last had garbage collected
	idle      int       // collections in a row that made no room
}

// unpackedBytes is the default of Limits.Unpacked. A batch that unpacks to more is
// a bomb or a mistake.
const unpackedBytes = 64 << 20

const (
	// collectPace is how often garbage is collected at most for want of room. What
	// is counted is garbage in part: Go's collector lets it come to as much as is alive.
	collectPace = 50 * time.Millisecond
	// fullPause is how long a fetch waits that finds no room; it is repeated at once.
	fullPause = 5 * time.Millisecond
	// scarceTime is how long lots are drawn after a fetch found no room.
	scarceTime = time.Second
	// mostIdle collections without effect mean that what is counted is not going to
	// be handed out. Then a batch is taken nevertheless: better than to stand still.
	mostIdle = 200
)

// errFetchFull: the rest of a fetch is read when there is room for it.
var errFetchFull = errors.New("what was fetched unpacks to more than may be held")

// newUnpacker makes the decompressor of one client, for batches of at most so many
// bytes. kgo's own makes its bound from the options of a client only.
func newUnpacker(most int) (*unpacker, error) {
	cl, err := kgo.NewClient(kgo.MaxDecompressBatchBytes(min(most, math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	one := &batchUnpacker{kgo: cl.OptValue(kgo.WithDecompressor).(kgo.Decompressor), most: 2 * most}
	return &unpacker{one: one, sum: 4 * int64(most), held: new(atomic.Int64)}, nil
}

// Decompress implements kgo.Decompressor.
func (u *unpacker) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if !u.room(len(src)) {
		return nil, errFetchFull // before the work
	}
	out, size, err := u.one.unpack(src, codec)
	if err != nil {
		return nil, err
	}
	if !u.turn(size) || !u.room(size) {
		return nil, errFetchFull
	}
	u.hold(out, size)
	return out, nil
}

// turn draws lots, while there is too little room, for the upper half of it. A
// broker names the partitions in the same order each time: what the first of them
// has could take all that gets free, again and again. Its fetch ends at the first
// batch that draws a blank, and the next partition has its chance.
func (u *unpacker) turn(n int) bool {
	if u.fitsIn(u.sum/2, n) || time.Since(time.Unix(0, u.refused.Load())) > scarceTime {
		return true
	}
	return rand.IntN(2) == 0
}

// hold counts a batch until it is garbage.
func (u *unpacker) hold(out []byte, size int) {
	if len(out) == 0 {
		return
	}
	u.held.Add(int64(size))
	held := u.held // not u, which would live on with the batch
	runtime.AddCleanup(&out[0], func(n int) { held.Add(-int64(n)) }, size)
}

// opts make a client read with u.
func (u *unpacker) opts() []kgo.Opt { return []kgo.Opt{kgo.WithDecompressor(u), kgo.WithPools(u)} }

// GetDecompressBytes and PutDecompressBytes make u a kgo.PoolDecompressBytes that is
// always empty.
func (u *unpacker) GetDecompressBytes([]byte, kgo.CompressionCodecType) []byte { return nil }

// PutDecompressBytes implements kgo.PoolDecompressBytes.
func (u *unpacker) PutDecompressBytes([]byte) {}

// room reports that n bytes more can be held, after a collection if need be.
func (u *unpacker) room(n int) bool {
	if u.fits(n) {
		return true
	}
	u.mu.Lock()
	fits := u.collect(n)
	u.mu.Unlock()
	if !fits {
		u.refused.Store(time.Now().UnixNano())
		time.Sleep(fullPause)
	}
	return fits
}

func (u *unpacker) fits(n int) bool { return u.fitsIn(u.sum, n) }

func (u *unpacker) fitsIn(sum int64, n int) bool {
	held := u.held.Load()
	return held == 0 || held+int64(n) <= sum
}

// collect makes room for n bytes, if garbage takes it; u.mu is locked.
func (u *unpacker) collect(n int) bool {
	if time.Since(u.collected) < collectPace {
		return u.fits(n)
	}
	before := u.held.Load()
	runtime.GC()
	for range 1000 { // cleanups run in goroutines of the runtime
		if runtime.Gosched(); u.fits(n) {
			break
		}
	}
	u.collected = time.Now()
	if u.idle++; u.held.Load() < before {
		u.idle = 0
	}
	if u.idle < mostIdle {
		return u.fits(n)
	}
	u.idle = 0
	return true
}

// batchUnpacker unpacks one record batch, as long as that comes to at most so many
// bytes of memory with the records that kgo makes of it.
type batchUnpacker struct {
	kgo  kgo.Decompressor
	most int
}

// Decompress implements kgo.Decompressor, for a batch that is looked at alone.
func (b *batchUnpacker) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	out, _, err := b.unpack(src, codec)
	return out, err
}

func (b *batchUnpacker) unpack(src []byte, codec kgo.CompressionCodecType) (out []byte, size int, err error) {
	if out, err = b.kgo.Decompress(src, codec); err != nil {
		return nil, 0, err
	}
	if size = sizeInMemory(out); size > b.most {
		return nil, size, kgo.ErrMaxDecompress
	}
	return out, size, nil
}

// recordBytes and headerBytes are what a record and a header of it take besides
// their bytes, in kgo's record and in ours.
const (
	recordBytes = 240
	headerBytes = 80
)

// sizeInMemory is what the records of a batch (format 2, unpacked) come to in
// memory. It reads as far as kgo does at least: up to the first record that is cut
// off.
func sizeInMemory(records []byte) int {
	size := cap(records)
	for len(records) > 0 {
		length, rest := varint(records)
		if rest == nil || length < 0 || length > int64(len(rest)) {
			break
		}
		size += recordBytes + sizeOfHeaders(rest[:length])
		records = rest[length:]
	}
	return size
}

// sizeOfHeaders is what the headers of a record come to at most: as many as it says
// that there are, but one a byte, and the copies that kgo makes of their names.
func sizeOfHeaders(record []byte) int {
	if len(record) == 0 {
		return 0
	}
	_, rest := varint(record[1:]) // behind the attributes: the time
	_, rest = varint(rest)        // the offset
	for range 2 {                 // key and value
		var n int64
		if n, rest = varint(rest); n > int64(len(rest)) {
			return 0
		}
		rest = rest[max(n, 0):] // -1: null
	}
	n, rest := varint(rest)
	return headerBytes*int(max(0, min(n, int64(len(rest))))) + len(rest)
}

// varint reads a zigzag number; nil is left where there is none.
func varint(b []byte) (int64, []byte) {
	if len(b) > 0 && b[0] < 0x80 { // nearly all are
		return int64(b[0]>>1) ^ -int64(b[0]&1), b[1:]
	}
	n, used := binary.Varint(b)
	if used <= 0 {
		return 0, nil
	}
	return n, b[used:]
}
