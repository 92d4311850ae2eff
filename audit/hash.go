package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
)

// The first byte of what is hashed keeps leaves, tree nodes (0x01, of the
// sealer) and outputs apart. The labels below begin with a letter, so that
// they cannot be mistaken for any of them.
const (
	leafPrefix   = 0x00
	outputPrefix = 0x02
	genesisLabel = "consentstream lane v1"
	signLabel    = "consentstream transaction v1"
)

// LeafHash is SHA-256(0x00 ‖ value) (RFC 6962 section 2.1), where value is the
// record as stored, without the 5-byte frame.
func LeafHash(value []byte) (leaf Hash) {
	h := sha256.New()
	_, _ = h.Write([]byte{leafPrefix})
	_, _ = h.Write(value)
	h.Sum(leaf[:0])
	return leaf
}

// Genesis is what index 0 of the lane has as its Prev, where start is the
// source offset that the lane begins at (the From of index 0).
func (l *Lane) Genesis(start int64) Hash {
	b := appendLP([]byte(genesisLabel), l.Cluster)
	b = l.appendTo(b)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(start)))
}

// AuditPartition is the partition of the audit topic that a new lane goes to
// when that topic has n of them, n > 0. It is computed once, at the lane's
// genesis; afterwards Head.AuditPartition says it (AUDIT A0).
func (l *Lane) AuditPartition(n int32) int32 {
	b := append(make([]byte, 0, 20), l.TopicID[:]...)
	return Partition(binary.BigEndian.AppendUint32(b, uint32(l.Partition)), n)
}

// SigMessage is what the enforcer signs for the last leaf of a lane's
// transaction; the signature travels in that record's header `sig`.
func SigMessage(lane *Lane, index int64, leaf Hash) []byte {
	b := appendLP([]byte(signLabel), lane.Cluster)
	b = lane.appendTo(b)
	b = binary.BigEndian.AppendUint64(b, uint64(index))
	return append(b, leaf[:]...)
}

// VerifySig reports whether sig is the enforcer's signature of that leaf.
func VerifySig(public ed25519.PublicKey, lane *Lane, index int64, leaf Hash, sig []byte) bool {
	return len(public) == ed25519.PublicKeySize && ed25519.Verify(public, SigMessage(lane, index, leaf), sig)
}

// appendTo writes the `lane` of the package comment. Topic is not in it: a
// topic's name can be given to another topic, its id cannot.
func (l *Lane) appendTo(b []byte) []byte {
	b = appendLP(b, l.Group)
	b = append(b, l.TopicID[:]...)
	return binary.BigEndian.AppendUint32(b, uint32(l.Partition))
}

func appendLP[T string | []byte](b []byte, s T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// Partition is the partition that Kafka's default partitioner gives a record
// with this key on a topic of n partitions, n > 0.
func Partition(key []byte, n int32) int32 { return Murmur2(key) % n }

// Murmur2 is Kafka's murmur2 (org.apache.kafka.common.utils.Utils) with the
// sign bit cleared, as the default partitioner uses it.
func Murmur2(b []byte) int32 {
	const m = 0x5bd1e995
	h := 0x9747b28c ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		h = h*m ^ (k^k>>24)*m
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(b[0])) * m
	}
	h = (h ^ h>>13) * m
	return int32((h ^ h>>15) & 0x7fffffff)
}
