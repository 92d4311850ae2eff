package redisstore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"

	"github.com/consentstream/consentstream/consent"
)

// Format is the version of the byte formats in this package, of the rows in them
// and of which events are folded into a row; part of the Epoch, so that two builds
// that differ never meet.
const Format = 4

// Limits that keep counts inside their fields; DESIGN section 6 allows at most
// 256 consent partitions.
const (
	MaxPartitions = 256
	MaxBuckets    = 1 << 14
)

// Epoch is everything that gives rows their meaning. Two writers that disagree
// about any of it never see each other's rows: another cluster, a recreated
// consent topic (whose offsets start again at 0 and would pass every "watermark
// at end" test), another key file, another normalisation.
type Epoch struct {
	ClusterID  string   // of the Kafka cluster
	TopicID    [16]byte // of the consent topic
	Partitions int      // of the consent topic
	TagCheck   []byte   // check value of the tag keys
	Namespaces [32]byte // hash of normalizer version and the policy's namespaces
	Buckets    int      // 0: DefaultBuckets
}

// DefaultBuckets is the number of hashes that an epoch is spread over: small
// enough to read all watermarks at once, large enough that rebuilding or
// deleting one blocks Redis for milliseconds only.
const DefaultBuckets = 64

func (e Epoch) validate() error {
	switch {
	case e.ClusterID == "" || e.TopicID == [16]byte{} || len(e.TagCheck) == 0 || e.Namespaces == [32]byte{}:
		return errors.New("redisstore: incomplete epoch")
	case e.Partitions < 1 || e.Partitions > MaxPartitions:
		return errors.New("redisstore: consent topic needs 1 to 256 partitions")
	case e.Buckets < 1 || e.Buckets > MaxBuckets:
		return errors.New("redisstore: bucket count out of range")
	}
	return nil
}

// Hash identifies the epoch: SHA-256 over its members, each with its length.
func (e Epoch) Hash() [32]byte {
	if e.Buckets == 0 {
		e.Buckets = DefaultBuckets
	}
	var b []byte
	field := func(f []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	number := func(n int) { field(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	field([]byte("consentstream redis epoch"))
	number(Format)
	field([]byte(e.ClusterID))
	field(e.TopicID[:])
	number(e.Partitions)
	field(e.TagCheck)
	field(e.Namespaces[:])
	number(e.Buckets)
	return sha256.Sum256(b)
}

// prefix is what all keys of the epoch start with.
func (e Epoch) prefix() string {
	h := e.Hash()
	return "cs:" + hex.EncodeToString(h[:8]) + ":"
}

func bucketKey(prefix string, bucket int) string {
	return prefix + "{" + strconv.Itoa(bucket) + "}"
}

// bucketOf places a tag. Tags are HMACs, so a prefix is uniform.
func bucketOf(t *consent.Tag, buckets int) int {
	return int(binary.BigEndian.Uint32(t[:4]) % uint32(buckets))
}
