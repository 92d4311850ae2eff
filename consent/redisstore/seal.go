package redisstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash"

	"github.com/consentstream/consentstream/consent"
)

const (
	macSize = 16
	headRow = 1 + 4          // format, key epoch
	headW   = 1 + 4 + 32 + 2 // and epoch hash, bucket
	kindRow = 'r'
	kindW   = 'w'
)

// Mark is the watermark of one bucket. The zero Mark is that of a bucket that
// is not there: nothing is taken into account yet.
type Mark struct {
	// Next is the next offset per consent partition: all below is in the rows.
	Next consent.Vector
	// Rows is the number of subjects in the bucket.
	Rows  int64
	stamp stamp
	raw   []byte // as it stands in Redis, for the compare
}

// Exists reports whether the bucket has a watermark.
func (m *Mark) Exists() bool { return len(m.raw) > 0 }

// sealer makes and checks the MACs of one epoch. It is not safe for concurrent
// use: it reuses keyed hashes. Store keeps a pool of them.
type sealer struct {
	epoch  [32]byte
	parts  int
	active uint32
	keyed  map[uint32]hash.Hash
	sum    [sha256.Size]byte
	head   [3 + len(consent.Tag{})]byte
}

func newSealer(c *Config, epoch [32]byte) *sealer {
	s := &sealer{epoch: epoch, parts: c.Epoch.Partitions, active: c.ActiveKey, keyed: make(map[uint32]hash.Hash, len(c.Keys))}
	for id, key := range c.Keys {
		// The epoch goes into the key rather than into every message: it is
		// the same for all rows, and saves one hash block a row.
		m := hmac.New(sha256.New, key[:])
		m.Write([]byte("consentstream redis v1"))
		m.Write(epoch[:])
		s.keyed[id] = hmac.New(sha256.New, m.Sum(nil))
	}
	return s
}

// mac computes the MAC of body; tag is nil for a watermark. It is nil when the
// key is not known, and nil equals no MAC: what was sealed under a retired key
// cannot be checked by anybody any more, and is rebuilt.
func (s *sealer) mac(kind byte, key uint32, bucket int, tag *consent.Tag, body []byte) []byte {
	h := s.keyed[key]
	if h == nil {
		return nil
	}
	head := append(s.head[:0], kind)
	head = binary.BigEndian.AppendUint16(head, uint16(bucket))
	if tag != nil {
		head = append(head, tag[:]...)
	}
	h.Reset()
	h.Write(head)
	h.Write(body)
	return h.Sum(s.sum[:0])[:macSize]
}

// sealRow encodes a row.
func (s *sealer) sealRow(bucket int, tag *consent.Tag, row *consent.Row) []byte {
	dst := []byte{Format}
	dst = binary.BigEndian.AppendUint32(dst, s.active)
	dst = row.AppendTo(dst)
	return append(dst, s.mac(kindRow, s.active, bucket, tag, dst)...)
}

// openRow verifies a row and gives its encoding, which aliases b. The code is
// empty when the row is genuine; otherwise there is none.
func (s *sealer) openRow(b []byte, bucket int, tag *consent.Tag) (encoded []byte, _ Code) {
	if len(b) <= headRow+macSize || b[0] != Format {
		return nil, RowMalformed
	}
	body, got := b[:len(b)-macSize], b[len(b)-macSize:]
	key := binary.BigEndian.Uint32(b[1:5])
	want := s.mac(kindRow, key, bucket, tag, body)
	if want == nil && key > s.active {
		return nil, KeyUnknown // of a newer key file, whose owner is right: wait
	}
	if subtle.ConstantTimeCompare(want, got) != 1 {
		return nil, RowMAC
	}
	return body[headRow:], ""
}

// decodeRow decodes a verified row. A genuine row that names more partitions
// would be judged against partitions that the watermark knows nothing of.
func (s *sealer) decodeRow(encoded []byte, row *consent.Row, intern func([]byte) string) Code {
	if err := row.Decode(encoded, intern); err != nil || len(row.Last) > s.parts {
		return RowMalformed
	}
	return ""
}

// sealMark encodes a watermark under the active key.
func (s *sealer) sealMark(bucket int, next consent.Vector, rows int64, rev stamp) (Mark, error) {
	if len(next) != s.parts || rows < 0 {
		return Mark{}, errors.New("redisstore: watermark of another shape")
	}
	b := make([]byte, 0, headW+4+8*len(next)+8+len(rev)+macSize)
	b = append(b, Format)
	b = binary.BigEndian.AppendUint32(b, s.active)
	b = append(b, s.epoch[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(bucket))
	b = binary.BigEndian.AppendUint32(b, uint32(len(next)))
	for _, o := range next {
		if o < 0 {
			return Mark{}, errors.New("redisstore: negative offset in watermark")
		}
		b = binary.BigEndian.AppendUint64(b, uint64(o))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(rows))
	b = append(b, rev[:]...)
	b = append(b, s.mac(kindW, s.active, bucket, nil, b)...)
	return Mark{Next: append(consent.Vector(nil), next...), Rows: rows, stamp: rev, raw: b}, nil
}

// openMark checks a watermark. raw is copied, so the caller may reuse it. The
// vector is written over m.Next. The code is empty when m is good.
func (s *sealer) openMark(raw []byte, bucket int, m *Mark) Code {
	if len(raw) != headW+4+8*s.parts+8+len(stamp{})+macSize || raw[0] != Format {
		return WatermarkForm
	}
	body, got := raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	if [32]byte(body[5:37]) != s.epoch || int(binary.BigEndian.Uint16(body[37:39])) != bucket {
		return ForeignEpoch
	}
	key := binary.BigEndian.Uint32(raw[1:5])
	want := s.mac(kindW, key, bucket, nil, body)
	if want == nil && key > s.active {
		return KeyUnknown
	}
	if subtle.ConstantTimeCompare(want, got) != 1 {
		return WatermarkMAC
	}
	return s.readMark(body[headW:], raw, m)
}

func (s *sealer) readMark(b, raw []byte, m *Mark) Code {
	if int(binary.BigEndian.Uint32(b)) != s.parts {
		return WatermarkForm
	}
	b = b[4:]
	next := m.Next[:0]
	for range s.parts {
		o := int64(binary.BigEndian.Uint64(b))
		if o < 0 {
			return WatermarkForm
		}
		next, b = append(next, o), b[8:]
	}
	rows := int64(binary.BigEndian.Uint64(b))
	if rows < 0 {
		return WatermarkForm
	}
	m.Next, m.Rows, m.stamp, m.raw = next, rows, stamp(b[8:]), append(m.raw[:0], raw...)
	return ""
}
