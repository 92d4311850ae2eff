package audit

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sampleHead(t testing.TB) *Head {
	t.Helper()
	var leaf Hash
	copy(leaf[:], unhex(t, goldenLeaf))
	return &Head{Group: "consentstream", TopicID: sample().Lane.TopicID, NextIndex: 301, NextSource: 9, Hash: leaf, Policy: Hash{1}, Revision: 7,
		KeyEpoch: 1, KeyCheck: [8]byte{8, 7, 6, 5, 4, 3, 2, 1}, AuditTopicID: [16]byte{10}, AuditPartition: 5, ConsentTopicID: [16]byte{9},
		DecidedAt: 1_795_353_600_123, Fence: []int64{10, 0, 1 << 40}}
}

// keyOf knows epoch 1 with the golden key and sampleHead's check value.
func keyOf(epoch int32) ([]byte, [8]byte, error) {
	if epoch != 1 {
		return nil, [8]byte{}, errors.New("no such epoch")
	}
	return goldenKey(), [8]byte{8, 7, 6, 5, 4, 3, 2, 1}, nil
}

func TestGoldenHead(t *testing.T) {
	h := sampleHead(t)
	text, err := h.Encode(goldenKey(), 3, 9)
	if err != nil || text != goldenHead {
		t.Errorf("head %s, %v", text, err)
	}
	back, err := DecodeHead(goldenHead, "consentstream", 3, 9, keyOf)
	if err != nil || !reflect.DeepEqual(&back, h) {
		t.Errorf("decoded %+v, %v", back, err)
	}
	chain := back.Chain(sample().Lane)
	if chain.Next != 301 || chain.NextSource != 9 || chain.Head != h.Hash || chain.Closed {
		t.Errorf("chain %+v", chain)
	}
}

func TestDecodeHeadFaults(t *testing.T) {
	other := func(epoch int32) ([]byte, [8]byte, error) { return make([]byte, 32), [8]byte{1}, nil }
	forged := func(int32) ([]byte, [8]byte, error) { return make([]byte, 32), sampleHead(t).KeyCheck, nil }
	none := func(int32) ([]byte, [8]byte, error) { return nil, [8]byte{}, nil }
	unknown := func(int32) ([]byte, [8]byte, error) { return goldenKey(), [8]byte{}, errors.New("unknown") }
	for name, c := range map[string]struct {
		text, group string
		partition   int32
		offset      int64
		keyOf       func(int32) ([]byte, [8]byte, error)
		want        error
	}{
		"missing":         {"", "consentstream", 3, 9, keyOf, ErrHeadMissing},
		"foreign":         {"some other tool", "consentstream", 3, 9, keyOf, ErrHeadMalformed},
		"format 2":        {"cs2." + goldenHead[4:], "consentstream", 3, 9, keyOf, ErrHeadMalformed},
		"cut":             {goldenHead[:len(goldenHead)-8], "consentstream", 3, 9, keyOf, ErrHeadMalformed},
		"only the format": {"cs1.", "consentstream", 3, 9, keyOf, ErrHeadMalformed},
		"padded":          {goldenHead + "=", "consentstream", 3, 9, keyOf, ErrHeadMalformed},
		"line break":      {goldenHead + "\n", "consentstream", 3, 9, keyOf, ErrHeadMalformed},
		"too long":        {goldenHead + strings.Repeat("A", MaxHead), "consentstream", 3, 9, keyOf, ErrHeadMalformed},
		"other group":     {goldenHead, "consentstream2", 3, 9, keyOf, ErrHeadMAC},
		"other partition": {goldenHead, "consentstream", 4, 9, keyOf, ErrHeadMAC},
		"other offset":    {goldenHead, "consentstream", 3, 10, keyOf, ErrHeadMAC},
		"forged":          {goldenHead, "consentstream", 3, 9, forged, ErrHeadMAC},
		"other key file":  {goldenHead, "consentstream", 3, 9, other, ErrHeadOtherKey},
		"unknown epoch":   {goldenHead, "consentstream", 3, 9, unknown, ErrHeadEpoch},
		"no key":          {goldenHead, "consentstream", 3, 9, none, ErrHeadEpoch},
	} {
		h, err := DecodeHead(c.text, c.group, c.partition, c.offset, c.keyOf)
		if !errors.Is(err, c.want) || !reflect.DeepEqual(h, Head{}) {
			t.Errorf("%s: %v, want %v and a zero head", name, err, c.want)
		}
	}
}

// Epoch 0 is no epoch, even where somebody has a key for it.
func TestHeadWithoutEpoch(t *testing.T) {
	h := sampleHead(t)
	h.KeyEpoch = 0
	text, err := h.Encode(goldenKey(), 3, 9)
	if err != nil {
		t.Fatal(err)
	}
	anyEpoch := func(int32) ([]byte, [8]byte, error) { return goldenKey(), h.KeyCheck, nil }
	if _, err := DecodeHead(text, h.Group, 3, 9, anyEpoch); !errors.Is(err, ErrHeadMalformed) {
		t.Errorf("%v", err)
	}
}

// No single changed character of the metadata is taken.
func TestHeadTampered(t *testing.T) {
	for i := range len(goldenHead) {
		for bit := range 8 {
			b := []byte(goldenHead)
			b[i] ^= 1 << bit
			if _, err := DecodeHead(string(b), "consentstream", 3, 9, keyOf); err == nil {
				t.Fatalf("character %d bit %d: taken", i, bit)
			}
		}
	}
}

func TestHeadFits(t *testing.T) {
	h := sampleHead(t)
	h.Group, h.Fence = strings.Repeat("g", 300), make([]int64, MaxFence)
	for i := range h.Fence {
		h.Fence[i] = math.MaxInt64
	}
	h.NextIndex, h.NextSource, h.Revision, h.DecidedAt = math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64
	h.KeyEpoch, h.AuditPartition = math.MaxInt32, math.MaxInt32
	text, err := h.Encode(goldenKey(), 3, 9)
	if err != nil || len(text) > 4096 {
		t.Errorf("the largest head has %d characters, %v", len(text), err)
	}
	h.Group += strings.Repeat("g", 300)
	if _, err := h.Encode(goldenKey(), 3, 9); !errors.Is(err, ErrHeadTooLarge) {
		t.Errorf("too long a group: %v", err)
	}
	h.Group, h.Fence = "g", make([]int64, MaxFence+1)
	if _, err := h.Encode(goldenKey(), 3, 9); !errors.Is(err, ErrHeadTooLarge) {
		t.Errorf("257 consent partitions: %v", err)
	}
}

func TestHeadRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &Head{Group: rapid.String().Draw(t, "group"), NextIndex: rapid.Int64Min(0).Draw(t, "index"), NextSource: rapid.Int64Min(0).Draw(t, "source"),
			Hash: drawHash(t, "hash"), Policy: drawHash(t, "policy"), Revision: rapid.Int64().Draw(t, "revision"), KeyEpoch: 1, AuditPartition: rapid.Int32().Draw(t, "audit"),
			DecidedAt: rapid.Int64().Draw(t, "decided at"), Closed: rapid.Bool().Draw(t, "closed")}
		if n := rapid.IntRange(0, MaxFence).Draw(t, "partitions"); n > 0 {
			h.Fence = rapid.SliceOfN(rapid.Int64Min(0), n, n).Draw(t, "fence")
		}
		partition, offset := rapid.Int32Min(0).Draw(t, "partition"), rapid.Int64Min(0).Draw(t, "offset")
		text, err := h.Encode(goldenKey(), partition, offset)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range text {
			if c > 126 || c < 33 {
				t.Fatalf("%q is not ASCII", text)
			}
		}
		back, err := DecodeHead(text, h.Group, partition, offset, keyOf)
		if err != nil || !reflect.DeepEqual(&back, h) {
			t.Fatalf("decoded %+v, %v", back, err)
		}
	})
}

// readHead takes nothing but the golden head for one of ours.
func readHead(t *testing.T, text string) {
	h, err := DecodeHead(text, "consentstream", 3, 9, keyOf)
	if err == nil && text != goldenHead {
		t.Fatalf("forged: %+v", h)
	}
	h, _, mac, err := parseHead(text)
	if err == nil && len(mac) != headMAC {
		t.Fatalf("head %+v with a MAC of %d bytes", h, len(mac))
	}
}
