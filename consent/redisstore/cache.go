package redisstore

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/consentstream/consentstream/consent"
)

// stamp names the rows of a bucket: the first 16 bytes of SHA-256 over the vector
// of the watermark that last came with rows, as in the watermark; zeros before any
// did. Rows are a function of the log below a watermark, and below the later ones
// none has come: so in one epoch equal stamps mean equal rows, however often the
// bucket was lost and rebuilt in between, and in whatever batches.
type stamp [16]byte

func stampOf(next consent.Vector) stamp {
	b := make([]byte, 0, 8*len(next))
	for _, o := range next {
		b = binary.BigEndian.AppendUint64(b, uint64(o))
	}
	sum := sha256.Sum256(b)
	return stamp(sum[:])
}

// rowCache keeps rows that were read and verified, each bucket's under its stamp.
// They are used as answers only together with a freshly read watermark that has
// the same stamp.
type rowCache struct {
	room    int // bytes a bucket; 0: nothing is kept
	buckets []kept
}

// kept is what the cache has of one bucket.
type kept struct {
	mu    sync.Mutex
	stamp stamp
	rows  map[consent.Tag][]byte // encoded; nil: a true miss
	size  int
	// block is where the next rows are copied to. What was handed out lies in it,
	// so it is never written over, only left to the collector.
	block []byte
}

const (
	blockBytes = 32 << 10
	entryBytes = 64 // of the map, about, for each row
)

func newCache(bytes, buckets int) *rowCache {
	return &rowCache{room: max(0, bytes) / buckets, buckets: make([]kept, buckets)}
}

// answer puts the rows that are kept into into, and moves the tags that have none
// to the front of q.want: those have to be asked for. The answers do not count, and
// have no Cut, until the bucket's watermark has shown the same stamp.
func (c *rowCache) answer(q *asked, tags []consent.Tag, into *consent.Snapshot) {
	k := &c.buckets[q.bucket]
	k.mu.Lock()
	defer k.mu.Unlock()
	q.stamp = k.stamp
	for at, i := range q.want {
		row, ok := k.rows[tags[i]]
		if ok {
			into.SetEncoded(int(i), row)
			continue
		}
		q.want[at], q.want[q.ask] = q.want[q.ask], i
		q.ask++
	}
}

// keep takes the rows that were read under s; row n is that of tags[want[n]].
func (c *rowCache) keep(bucket int, s stamp, tags []consent.Tag, want []int32, rows [][]byte) {
	if c.room == 0 || len(rows) == 0 {
		return
	}
	k := &c.buckets[bucket]
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stamp != s || k.rows == nil {
		k.empty(s)
	}
	for n, i := range want[:len(rows)] {
		size := len(rows[n]) + entryBytes
		if size > c.room {
			continue
		}
		if k.size+size > c.room {
			k.empty(s)
		}
		k.rows[tags[i]] = k.copy(rows[n], min(blockBytes, c.room))
		k.size += size
	}
}

// forget drops what is kept of a bucket.
func (c *rowCache) forget(bucket int) {
	k := &c.buckets[bucket]
	k.mu.Lock()
	defer k.mu.Unlock()
	k.empty(stamp{})
}

func (k *kept) empty(s stamp) {
	if k.stamp, k.size, k.block = s, 0, nil; k.rows == nil {
		k.rows = make(map[consent.Tag][]byte)
	}
	clear(k.rows)
}

// copy gives a copy that nobody writes to. A miss stays nil. Blocks are of the size
// given, and larger for a row that is.
func (k *kept) copy(row []byte, block int) []byte {
	if row == nil {
		return nil
	}
	if len(k.block)+len(row) > cap(k.block) {
		k.block = make([]byte, 0, max(block, len(row)))
	}
	from := len(k.block)
	k.block = append(k.block, row...)
	return k.block[from:len(k.block):len(k.block)]
}
