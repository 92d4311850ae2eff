package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/consentstream/consentstream/internal/keys"
)

// Nonce is the value of an output's header cs-proof (AUDIT A8).
type Nonce [16]byte

// Noncer computes nonces for one purpose. It is not safe for concurrent use
// and allocates nothing in steady state.
type Noncer struct{ mac *keys.MAC }

// NewNoncer takes the purpose's key of the use keys.UseNonce.
func NewNoncer(key []byte) *Noncer { return &Noncer{keys.NewMAC(key)} }

// Nonce is the nonce of the output for one element of one input record. It
// cannot be guessed without the key, and the same input gives the same one, so
// that a replay shows as a duplicate.
func (n *Noncer) Nonce(lane *Lane, offset int64, element int32) (v Nonce) {
	n.mac.Start()
	n.mac.String(lane.Group)
	n.mac.Raw(lane.TopicID[:])
	n.mac.Int32(lane.Partition)
	n.mac.Int64(offset)
	n.mac.Int32(element)
	copy(v[:], n.mac.Sum())
	return v
}

// Committer computes output commitments: Begin, Header for each header in its
// order (cs-proof left out), End. It is not safe for concurrent use and
// allocates nothing in steady state; make it with NewCommitter.
type Committer struct {
	h   hash.Hash
	buf []byte
	sum []byte
}

// NewCommitter returns a Committer that can be used again and again.
func NewCommitter() *Committer {
	return &Committer{h: sha256.New(), buf: make([]byte, 0, 256), sum: make([]byte, 0, sha256.Size)}
}

// Begin starts the commitment of one output record. A nil key is Kafka's null;
// timestamp is in milliseconds.
func (c *Committer) Begin(nonce Nonce, topic string, partition int32, key []byte, timestamp int64) {
	b := append(c.buf[:0], outputPrefix)
	b = append(b, nonce[:]...)
	b = appendLP(b, topic)
	b = binary.BigEndian.AppendUint32(b, uint32(partition))
	b = appendOpt(b, key)
	c.buf = binary.BigEndian.AppendUint64(b, uint64(timestamp))
}

// Header adds the next header. A nil value is Kafka's null.
func (c *Committer) Header(key string, value []byte) {
	c.buf = appendOpt(appendLP(append(c.buf, 1), key), value)
}

// End gives the commitment. A nil value is a tombstone.
func (c *Committer) End(value []byte) (commitment Hash) {
	c.buf = append(c.buf, 0)
	if value == nil {
		c.buf = append(c.buf, 0)
	} else { // the value itself is hashed where it lies
		c.buf = binary.BigEndian.AppendUint32(append(c.buf, 1), uint32(len(value)))
	}
	c.h.Reset()
	_, _ = c.h.Write(c.buf)
	_, _ = c.h.Write(value)
	c.sum = c.h.Sum(c.sum[:0])
	copy(commitment[:], c.sum)
	return commitment
}

func appendOpt(b, x []byte) []byte {
	if x == nil {
		return append(b, 0)
	}
	return appendLP(append(b, 1), x)
}
