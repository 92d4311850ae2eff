package pipeline

import (
	"encoding/binary"
	"errors"
	"math"
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
// when nothing holds its bytes any more. kgo drops what it has buffered at an
// abort, at a new assignment and at its end, and tells nobody; a count that asks
// who has what would drift, and a full one stops a lane without a word.
//
// So a client holds sum at most, and of each broker one batch more while it is
// being unpacked. What is not compressed is as large as on the wire and is not
// counted.
type unpacker struct {
	one  *batchUnpacker
	sum  int64 // bound of all that is alive
	held *atomic.Int64

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
	// mostIdle collections without effect mean that what is counted is not going to
	// be handed out. Then a batch is taken nevertheless: better than to stand still.
	mostIdle = 200
	// bareTime is how long a batch counts of which no record holds a byte. A fetch
	// takes less to unpack, and the broker is not asked again before it is handed out.
	bareTime = 30 * time.Second
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
	if !u.room(size.bytes) {
		return nil, errFetchFull
	}
	u.hold(out, size)
	return out, nil
}

// hold counts a batch until it is garbage.
func (u *unpacker) hold(out []byte, size batchSize) {
	if len(out) == 0 {
		return
	}
	u.held.Add(int64(size.bytes))
	held := u.held // not u, which would live on with the batch
	runtime.AddCleanup(&out[0], func(n int) { held.Add(-int64(n)) }, size.bytes)
	if size.bare {
		time.AfterFunc(bareTime, func() { runtime.KeepAlive(out) })
	}
}

// room reports that n bytes more can be held, after a collection if need be.
func (u *unpacker) room(n int) bool {
	if u.fits(n) {
		return true
	}
	u.mu.Lock()
	fits := u.collect(n)
	u.mu.Unlock()
	if !fits {
		time.Sleep(fullPause)
	}
	return fits
}

func (u *unpacker) fits(n int) bool {
	held := u.held.Load()
	return held == 0 || held+int64(n) <= u.sum
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

func (b *batchUnpacker) unpack(src []byte, codec kgo.CompressionCodecType) (out []byte, size batchSize, err error) {
	if out, err = b.kgo.Decompress(src, codec); err != nil {
		return nil, batchSize{}, err
	}
	if size = sizeInMemory(out); size.bytes > b.most {
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

// batchSize is what a batch comes to in memory.
type batchSize struct {
	bytes int
	bare  bool // no record has a key or a value, so none holds the batch's bytes
}

// sizeInMemory is the size of the records of a batch (format 2, unpacked). It
// reads as far as kgo does: up to the first record that is cut off.
func sizeInMemory(records []byte) batchSize {
	size := batchSize{cap(records), true}
	for len(records) > 0 {
		length, rest := varint(records)
		if rest == nil || length < 0 || length > int64(len(rest)) {
			break
		}
		headers, payload := sizeOfRecord(rest[:length])
		size.bytes += recordBytes + headerBytes*headers
		size.bare = size.bare && payload == 0
		records = rest[length:]
	}
	return size
}

// sizeOfRecord is how many headers a record says that it has, at most one a byte,
// and how long its key and value are.
func sizeOfRecord(record []byte) (headers, payload int) {
	if len(record) == 0 {
		return 0, 0
	}
	_, rest := varint(record[1:]) // behind the attributes: the time
	_, rest = varint(rest)        // the offset
	for range 2 {                 // key and value
		var n int64
		if n, rest = varint(rest); n > int64(len(rest)) {
			return 0, 0
		}
		n = max(n, 0) // -1: null
		payload += int(n)
		rest = rest[n:]
	}
	n, rest := varint(rest)
	return int(max(0, min(n, int64(len(rest))))), payload
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
