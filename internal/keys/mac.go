package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
)

// MAC is HMAC-SHA-256 (RFC 2104) under one key, for hot paths: it is keyed
// once, gathers its message in its own buffer and allocates nothing in steady
// state. It is not safe for concurrent use; make it with NewMAC.
//
//	m.Start(); m.String(namespace); m.Bytes(value); tag := m.Sum()[:16]
type MAC struct {
	h   hash.Hash
	msg []byte
	sum []byte
}

// Format implements fmt.Formatter for every verb: a MAC holds its key and the
// last message.
func (*MAC) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, placeholder) }

// NewMAC keys a MAC. The key must not be empty: an HMAC without a key can be
// computed by everybody. That is a programming error and panics.
func NewMAC(key []byte) *MAC {
	if len(key) == 0 {
		panic("keys: empty HMAC key")
	}
	return &MAC{h: hmac.New(sha256.New, key), msg: make([]byte, 0, 256), sum: make([]byte, 0, sha256.Size)}
}

// Start begins a new message.
func (m *MAC) Start() { m.msg = m.msg[:0] }

// Bytes appends the length of b (4 bytes, big-endian) and b, so that no two
// sequences of parts give the same message.
func (m *MAC) Bytes(b []byte) {
	m.msg = binary.BigEndian.AppendUint32(m.msg, uint32(len(b)))
	m.msg = append(m.msg, b...)
}

// String is Bytes for text.
func (m *MAC) String(s string) {
	m.msg = binary.BigEndian.AppendUint32(m.msg, uint32(len(s)))
	m.msg = append(m.msg, s...)
}

// Raw appends b as it is, for parts of a fixed size.
func (m *MAC) Raw(b []byte) { m.msg = append(m.msg, b...) }

// Int64 appends v as 8 bytes, big-endian, two's complement.
func (m *MAC) Int64(v int64) { m.msg = binary.BigEndian.AppendUint64(m.msg, uint64(v)) }

// Int32 appends v as 4 bytes, big-endian, two's complement.
func (m *MAC) Int32(v int32) { m.msg = binary.BigEndian.AppendUint32(m.msg, uint32(v)) }

// Sum is the HMAC of the message, 32 bytes, valid until the next Sum.
func (m *MAC) Sum() []byte {
	m.h.Reset()
	_, _ = m.h.Write(m.msg)
	m.sum = m.h.Sum(m.sum[:0])
	return m.sum
}
