package consent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Tagger computes tags. It reuses its keyed hashes and is NOT safe for
// concurrent use: each worker has its own. The zero Tagger knows no namespace.
type Tagger struct {
	macs map[string]hash.Hash
	msg  []byte
	sum  [sha256.Size]byte
}

// NewTagger takes the key of each namespace (use "tag", name the namespace;
// DESIGN section 6, Keys).
func NewTagger(keys map[string][32]byte) *Tagger {
	t := &Tagger{macs: make(map[string]hash.Hash, len(keys))}
	for namespace, key := range keys {
		t.macs[namespace] = hmac.New(sha256.New, key[:])
	}
	return t
}

// Tag is the first 16 bytes of HMAC-SHA-256 over the namespace and the
// normalised value, each preceded by its length as 4 bytes, big endian; so no
// two pairs give one message. It is false for a namespace without a key.
func (t *Tagger) Tag(namespace string, normalized []byte) (Tag, bool) {
	mac, ok := t.macs[namespace]
	if !ok {
		return Tag{}, false
	}
	t.msg = binary.BigEndian.AppendUint32(t.msg[:0], uint32(len(namespace)))
	t.msg = append(t.msg, namespace...)
	t.msg = binary.BigEndian.AppendUint32(t.msg, uint32(len(normalized)))
	t.msg = append(t.msg, normalized...)
	mac.Reset()
	mac.Write(t.msg)
	return Tag(mac.Sum(t.sum[:0])[:len(Tag{})]), true
}

// TagOf is Tag of an identifier, whose value is already normalised.
func (t *Tagger) TagOf(id Identifier) (Tag, bool) { return t.Tag(id.Namespace, []byte(id.Value)) }
