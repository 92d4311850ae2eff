package pipeline

import (
	"encoding/binary"
	"errors"
	"math"
	"sync"
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
// So a client holds sum at most, and of each broker one batch more while it is
// being unpacked.
//
// What is not compressed is as large as on the wire, and its records are only
// counted. How many records a batch says that it has is believed, by kgo and here:
// a broker counts them when it takes the batch.
type unpacker struct {
	one *batchUnpacker
	sum int // bound of all that is fetched

	mu sync.Mutex
	// fetched is what the last fetch of each broker has come to. A client asks a
	// broker again when it has handed out or dropped all of its last answer.
	fetched map[int32]int
	open    []unpackedBatch // unpacked, and not counted in fetched yet
}

// unpackedBatch is a record batch by its compressed size, which is all that the
// two calls for it have in common.
type unpackedBatch struct{ compressed, size int }

// unpackedBytes is the default of Limits.Unpacked. A batch that unpacks to more is
// a bomb or a mistake.
const unpackedBytes = 64 << 20

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
	return &unpacker{one: one, sum: 2 * most, fetched: map[int32]int{}}, nil
}

// opts make u the decompressor of a client; it cannot be shared by several.
func (u *unpacker) opts() []kgo.Opt { return []kgo.Opt{kgo.WithDecompressor(u), kgo.WithHooks(u)} }

// Decompress implements kgo.Decompressor.
func (u *unpacker) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if !u.room(len(src)) {
		return nil, errFetchFull // before the work
	}
	out, size, err := u.one.unpack(src, codec)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if held := u.held(); held > 0 && held+size > u.sum {
		return nil, errFetchFull
	}
	u.open = append(u.open, unpackedBatch{len(src), size})
	return out, nil
}

func (u *unpacker) room(n int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	held := u.held()
	return held == 0 || held+n <= u.sum
}

// held is what the client holds at most; u.mu is locked.
func (u *unpacker) held() (n int) {
	for _, size := range u.fetched {
		n += size
	}
	for i := range u.open {
		n += u.open[i].size
	}
	return n
}

// OnFetchBatchRead implements kgo.HookFetchBatchRead: it says which broker a batch
// came from, right after Decompress if it is a compressed one.
func (u *unpacker) OnFetchBatchRead(broker kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	u.mu.Lock()
	defer u.mu.Unlock()
	size := m.UncompressedBytes + recordBytes*m.NumRecords
	for i, b := range u.open {
		if m.CompressionType != 0 && b.compressed == m.CompressedBytes {
			size = b.size
			u.open[i] = u.open[len(u.open)-1]
			u.open = u.open[:len(u.open)-1]
			break
		}
	}
	u.fetched[broker.NodeID] += size
}

// OnBrokerWrite implements kgo.HookBrokerWrite: a fetch that is asked for is the
// end of the one before. Of open only what a broken batch has left is there for
// long; a batch of another broker that is lost with it is counted when it is read.
func (u *unpacker) OnBrokerWrite(broker kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	const fetch = 1
	if key != fetch {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.fetched, broker.NodeID)
	u.open = u.open[:0]
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
// memory. It reads as far as kgo does: up to the first record that is cut off.
func sizeInMemory(records []byte) int {
	size := len(records)
	for len(records) > 0 {
		length, rest := varint(records)
		if rest == nil || length < 0 || length > int64(len(rest)) {
			break
		}
		size += recordBytes + headerBytes*headersOf(rest[:length])
		records = rest[length:]
	}
	return size
}

// headersOf is how many headers a record says that it has, at most one a byte.
func headersOf(record []byte) int {
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
	return int(max(0, min(n, int64(len(rest)))))
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
