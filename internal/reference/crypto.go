package reference

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
)

// Keys is a key file with one epoch.
type Keys struct {
	Epoch  int
	SignID string
	root   []byte
	seed   []byte
}

// ReadKeys reads the text of a key file.
func ReadKeys(text []byte) (*Keys, error) {
	var doc struct {
		Epochs []struct {
			Epoch int
			Root  string
		}
		Sign struct{ ID, Seed string }
	}
	if err := json.Unmarshal(text, &doc); err != nil || len(doc.Epochs) != 1 {
		return nil, fmt.Errorf("not a key file with one epoch")
	}
	k := &Keys{Epoch: doc.Epochs[0].Epoch, SignID: doc.Sign.ID}
	var err, err2 error
	k.root, err = base64.StdEncoding.DecodeString(doc.Epochs[0].Root)
	k.seed, err2 = base64.StdEncoding.DecodeString(doc.Sign.Seed)
	if err != nil || err2 != nil || len(k.root) != 32 || len(k.seed) != 32 {
		return nil, fmt.Errorf("not a key file")
	}
	return k, nil
}

// lp is a part behind its length.
func lp(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

// opt is a part that may be null.
func opt(b []byte) []byte {
	if b == nil {
		return []byte{0}
	}
	return append([]byte{1}, lp(string(b))...)
}

func i32(v int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func i64(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// key derives K(use, name, epoch), of 32 bytes except for "encrypt".
func (k *Keys) key(use, name string) []byte { return k.keyOf(use, name, 32) }

func (k *Keys) keyOf(use, name string, size int) []byte {
	info := join(lp("consentstream v1"), lp(use), lp(name), i64(int64(k.Epoch)))
	out, err := hkdf.Key(sha256.New, k.root, nil, string(info), size)
	if err != nil {
		panic(err) // so few bytes of SHA-256 are always to be had
	}
	return out
}

func sign(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(join(parts...))
	return m.Sum(nil)
}

// Check is the epoch's public check value.
func (k *Keys) Check() []byte { return k.key("check", "")[:8] }

// Token is the pseudonym of a canonical value.
func (k *Keys) Token(purpose, domain, value string) string {
	isUUID := uuid.MatchString(value)
	if isUUID {
		value = strings.ToLower(value)
	}
	digest := sign(k.key("pseudonym", purpose), lp(domain), lp(value))
	if isUUID {
		b := append([]byte{byte(k.Epoch)}, digest[:15]...)
		b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	return fmt.Sprintf("k%d.%s", k.Epoch, strings.ToLower(base32.StdEncoding.EncodeToString(digest))[:26])
}

// AuditTag names a subject in the audit (AUDIT A10), without salt.
func (k *Keys) AuditTag(namespace, value string) []byte {
	return append([]byte{0}, sign(k.key("tag", "!audit"), lp(namespace), lp(value))[:16]...)
}

// StateTag names a subject in the state store: by it dates are moved. The key is
// that of the namespace, of its normalisation and of the version of the
// normalisations' rules.
func (k *Keys) StateTag(namespace, normalization, value string) []byte {
	return sign(k.key("tag", namespace+"/"+normalization+"/3"), lp(namespace), lp(value))[:16]
}

// Public is the key that signatures verify under.
func (k *Keys) Public() ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(k.seed).Public().(ed25519.PublicKey)
}

// Lane is a partition of an input topic in a consumer group.
type Lane struct {
	Cluster, Group string
	TopicID        [16]byte
	Partition      int32
}

func (l Lane) bytes() []byte { return join(lp(l.Group), l.TopicID[:], i32(l.Partition)) }

// Genesis is the hash before a lane's first leaf.
func (l Lane) Genesis(start int64) [32]byte {
	return sha256.Sum256(join([]byte("consentstream lane v1"), lp(l.Cluster), l.bytes(), i64(start)))
}

// Leaf is the hash of an audit record without its frame.
func Leaf(record []byte) [32]byte { return sha256.Sum256(join([]byte{0}, record)) }

// Signed reports whether sig is the enforcer's signature under a leaf.
func (k *Keys) Signed(l Lane, index int64, leaf [32]byte, sig []byte) bool {
	msg := join([]byte("consentstream transaction v1"), lp(l.Cluster), l.bytes(), i64(index), leaf[:])
	return ed25519.Verify(k.Public(), msg, sig)
}

// AuditPartition is where a lane's leaves go on a topic of n partitions.
func (l Lane) AuditPartition(n int32) int32 {
	return Partition(join(l.TopicID[:], i32(l.Partition)), n)
}

// Nonce is an output's cs-proof.
func (k *Keys) Nonce(purpose string, l Lane, offset int64, element int) []byte {
	return sign(k.key("nonce", purpose), l.bytes(), i64(offset), i32(int32(element)))[:16]
}

// Commitment is AUDIT A8 over an output without its cs-proof.
func (o *Output) Commitment(nonce []byte) [32]byte {
	b := join([]byte{2}, nonce, lp(o.Topic), i32(o.Partition), opt(o.Key), i64(o.Timestamp))
	for _, h := range o.Headers {
		b = join(b, []byte{1}, lp(h.Key), opt(h.Value))
	}
	return sha256.Sum256(join(b, []byte{0}, opt(o.Value)))
}

// PayloadMAC is what a quarantine record says of its input record.
func (k *Keys) PayloadMAC(l Lane, in *Input) []byte {
	b := join(lp(l.Group), l.TopicID[:], i32(l.Partition), i64(in.Offset), opt(in.Key), opt(in.Value), i32(int32(len(in.Headers))))
	for _, h := range in.Headers {
		b = join(b, lp(h.Key), opt(h.Value))
	}
	return sign(k.key("quarantine", ""), b)
}

// Partition is where Kafka's default partitioner puts a key: murmur2 of its
// signed bytes as in org.apache.kafka.common.utils.Utils, without the sign.
func Partition(key []byte, n int32) int32 {
	const m, r = int32(0x5bd1e995), 24
	word := func(i int) int32 { return int32(binary.LittleEndian.Uint32(key[i:])) }
	shift := func(v int32, n uint) int32 { return int32(uint32(v) >> n) } // >>> of Java
	seed := uint32(0x9747b28c)
	h := int32(seed) ^ int32(len(key))
	whole := len(key) / 4 * 4
	for i := 0; i < whole; i += 4 {
		k := word(i) * m
		k ^= shift(k, r)
		h = h*m ^ k*m
	}
	for i := len(key) - 1; i >= whole; i-- {
		h ^= int32(key[i]) << (8 * (i - whole))
		if i == whole {
			h *= m
		}
	}
	h ^= shift(h, 13)
	h *= m
	h ^= shift(h, 15)
	return (h & 0x7fffffff) % n
}
