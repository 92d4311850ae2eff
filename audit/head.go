package audit

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/consentstream/consentstream/internal/keys"
)

// Head is what is stored as metadata with a lane's committed offset (DESIGN
// section 6, step 4): where the lane stands, so that the next owner goes on
// from exactly there. The text is
//
//	"cs1." ‖ base64url without padding (RFC 4648 section 5) of body ‖ mac
//
// where body holds the fields below in their order: numbers as Avro's zigzag
// varints, hashes and ids as they are, text and the fence after their length
// or count as a varint. mac is HMAC-SHA-256 under the key of the use
// keys.UseOffset of the epoch KeyEpoch over
//
//	lp("consentstream offset v1") ‖ lp(group) ‖ i32(partition) ‖ i64(committed offset) ‖ body
//
// so that metadata cannot be moved to another group, partition or offset.
type Head struct {
	Group          string
	TopicID        [16]byte
	NextIndex      int64
	NextSource     int64
	Hash           Hash // of the last leaf; genesis where NextIndex is 0
	Policy         Hash
	Revision       int64
	KeyEpoch       int32
	KeyCheck       [8]byte
	AuditTopicID   [16]byte
	AuditPartition int32
	ConsentTopicID [16]byte
	DecidedAt      int64 // ms
	Fence          []int64
	Closed         bool // the last leaf is a closed leaf
}

// Chain is where the lane that h was committed for stands.
func (h *Head) Chain(lane Lane) Chain {
	return Chain{Lane: lane, Next: h.NextIndex, Head: h.Hash, NextSource: h.NextSource, Closed: h.Closed}
}

// What DecodeHead can find wrong; its errors wrap exactly one of these.
var (
	ErrHeadMissing   = errors.New("offset metadata is missing")
	ErrHeadMalformed = errors.New("offset metadata is malformed")
	// ErrHeadMAC: forged, or moved from another group, partition or offset.
	ErrHeadMAC = errors.New("offset metadata has a wrong MAC")
	// ErrHeadOtherKey: the MAC is wrong and the check value is another one:
	// most likely written under another key file.
	ErrHeadOtherKey = errors.New("offset metadata was written under another key file")
	// ErrHeadEpoch: the key file does not hold the epoch that it names.
	ErrHeadEpoch = errors.New("offset metadata names an unknown key epoch")
	// ErrHeadTooLarge is Encode's: more than MaxHead characters or MaxFence
	// consent partitions.
	ErrHeadTooLarge = errors.New("offset metadata does not fit")
)

// MaxHead is Kafka's default offset.metadata.max.bytes; MaxFence the largest
// number of consent partitions, which always fits it with a group name of up
// to 300 bytes.
const (
	MaxHead  = 4096
	MaxFence = 256
)

const (
	headFormat = "cs1."
	headLabel  = "consentstream offset v1"
	headMAC    = 32
)

// Encode gives the metadata to commit with offset committed of the lane's
// partition. key is that of keys.UseOffset and h.KeyEpoch.
func (h *Head) Encode(key []byte, partition int32, committed int64) (string, error) {
	if len(h.Fence) > MaxFence {
		return "", fmt.Errorf("%w: %d consent partitions, at most %d", ErrHeadTooLarge, len(h.Fence), MaxFence)
	}
	body := h.appendBody(make([]byte, 0, 512))
	body = append(body, headSum(key, h.Group, partition, committed, body)...)
	text := headFormat + base64.RawURLEncoding.EncodeToString(body)
	if len(text) > MaxHead {
		return "", fmt.Errorf("%w: %d characters, at most %d", ErrHeadTooLarge, len(text), MaxHead)
	}
	return text, nil
}

// DecodeHead reads the metadata that was committed for (group, partition,
// offset committed). keyOf gives the offset key of an epoch and the epoch's
// check value. On error the Head is zero; nothing of it may be used.
func DecodeHead(text, group string, partition int32, committed int64, keyOf func(epoch int32) (key []byte, check [8]byte, err error)) (Head, error) {
	if text == "" {
		return Head{}, ErrHeadMissing
	}
	h, body, mac, err := parseHead(text)
	if err != nil {
		return Head{}, err
	}
	key, check, err := keyOf(h.KeyEpoch)
	if err != nil || len(key) == 0 {
		return Head{}, fmt.Errorf("%w: %d", ErrHeadEpoch, h.KeyEpoch)
	}
	if !hmac.Equal(mac, headSum(key, group, partition, committed, body)) {
		if check != h.KeyCheck {
			return Head{}, fmt.Errorf("%w (epoch %d)", ErrHeadOtherKey, h.KeyEpoch)
		}
		return Head{}, ErrHeadMAC
	}
	return h, nil
}

// parseHead splits and reads the text without believing it yet.
func parseHead(text string) (h Head, body, mac []byte, err error) {
	if len(text) > MaxHead || len(text) < len(headFormat) || text[:len(headFormat)] != headFormat {
		return Head{}, nil, nil, fmt.Errorf("%w: not %s…", ErrHeadMalformed, headFormat)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text[len(headFormat):])
	if err != nil || len(raw) < headMAC {
		return Head{}, nil, nil, fmt.Errorf("%w: base64", ErrHeadMalformed)
	}
	body, mac = raw[:len(raw)-headMAC], raw[len(raw)-headMAC:]
	d := decoder{rest: body}
	h = d.head()
	// Reading and writing again must give the same text: one form only (the
	// base64 decoder, for one, skips line breaks).
	again := append(h.appendBody(make([]byte, 0, len(raw))), mac...)
	switch {
	case d.fault != "":
		return Head{}, nil, nil, fmt.Errorf("%w: %s", ErrHeadMalformed, d.fault)
	case headFormat+base64.RawURLEncoding.EncodeToString(again) != text:
		return Head{}, nil, nil, fmt.Errorf("%w: not in canonical form", ErrHeadMalformed)
	case h.NextIndex < 0 || h.NextSource < 0 || h.KeyEpoch < 1:
		return Head{}, nil, nil, fmt.Errorf("%w: number out of range", ErrHeadMalformed)
	}
	return h, body, mac, nil
}

func (h *Head) appendBody(b []byte) []byte {
	b = appendString(b, h.Group)
	b = append(b, h.TopicID[:]...)
	b = appendLong(b, h.NextIndex)
	b = appendLong(b, h.NextSource)
	b = append(b, h.Hash[:]...)
	b = append(b, h.Policy[:]...)
	b = appendLong(b, h.Revision)
	b = appendLong(b, int64(h.KeyEpoch))
	b = append(b, h.KeyCheck[:]...)
	b = append(b, h.AuditTopicID[:]...)
	b = appendLong(b, int64(h.AuditPartition))
	b = append(b, h.ConsentTopicID[:]...)
	b = appendLong(b, h.DecidedAt)
	b = appendFence(b, h.Fence)
	return appendBool(b, h.Closed)
}

// appendFence writes offsets as unsigned varints: 9 bytes at most instead of
// 10, which is what lets 256 of them fit.
func appendFence(b []byte, fence []int64) []byte {
	b = binary.AppendUvarint(b, uint64(len(fence)))
	for _, x := range fence {
		b = binary.AppendUvarint(b, uint64(x))
	}
	return b
}

func (d *decoder) head() (h Head) {
	h.Group = d.string()
	d.fixed(h.TopicID[:])
	h.NextIndex = d.long()
	h.NextSource = d.long()
	d.fixed(h.Hash[:])
	d.fixed(h.Policy[:])
	h.Revision = d.long()
	h.KeyEpoch = d.int()
	d.fixed(h.KeyCheck[:])
	d.fixed(h.AuditTopicID[:])
	h.AuditPartition = d.int()
	d.fixed(h.ConsentTopicID[:])
	h.DecidedAt = d.long()
	h.Fence = d.fence()
	h.Closed = d.bool()
	if len(d.rest) > 0 {
		d.fail("trailing bytes")
	}
	return h
}

func (d *decoder) fence() []int64 {
	n := d.offset()
	if n > MaxFence {
		d.fail("fence")
		return nil
	}
	var out []int64
	for range n {
		out = append(out, d.offset())
	}
	return out
}

func (d *decoder) offset() int64 {
	u, n := binary.Uvarint(d.rest)
	if n <= 0 || u > math.MaxInt64 {
		d.fail("fence")
		return 0
	}
	d.rest = d.rest[n:]
	return int64(u)
}

func headSum(key []byte, group string, partition int32, committed int64, body []byte) []byte {
	m := keys.NewMAC(key)
	m.Start()
	m.String(headLabel)
	m.String(group)
	m.Int32(partition)
	m.Int64(committed)
	m.Raw(body)
	return m.Sum()
}
