package audit

import (
	"crypto/ed25519"
	"encoding/hex"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// What stands here was computed by an independent implementation, a page of
// Python over hashlib and hmac that follows the package comment. It is what a
// second verifier can check itself against.
const (
	goldenRecord = "2c4e6b3031386852415146797457736b597174516475771a636f6e73656e7473747265616d010203000000000000000000000000101863726d2e636f6e746163747306d804ee000000000000000000000000000000000000000000000000000000000000ff000e1002010000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000ef681cfb6c068090000000000000000000000000000000614008080808080400002080706050403020114656e666f726365722d310c76302e312e30020616008080808080400000000000000210637573746f6d657202000500000000000000000000000000000600060012616e616c797469637300011a434f4e53454e545f474956454e000e636f6e73656e740202c601aa010000000000000000000000000000000000000000000000000000000000000000022c63726d2e636f6e74616374732e616e616c797469637304c000000000000000000000000000000000000000000000000000000000000000001e6d61726b6574696e672e656d61696c00001257495448445241574e021e434f4e53454e545f45585049524544000e636f6e73656e7400aa01000000000000000000000000000000000000000000000000000000000000000000000e7365727669636500011c42415349535f434f4e54524143540010636f6e747261637400aa010000000000000000000000000000000000000000000000000000000000000204022863726d2e636f6e74616374732e7365727669636501c10000000000000000000000000000000000000000000000000000000000000000"
	goldenLeaf   = "aaa5dac94576d8857669a226f239a31aa1b3a905f0670a1b59e2f1951d34b2aa"
	goldenSig    = "636f6e73656e7473747265616d207472616e73616374696f6e207631000000164e6b3031386852415146797457736b597174516475770000000d636f6e73656e7473747265616d0102030000000000000000000000001000000003000000000000012caaa5dac94576d8857669a226f239a31aa1b3a905f0670a1b59e2f1951d34b2aa"
	goldenHead   = "cs1.GmNvbnNlbnRzdHJlYW0BAgMAAAAAAAAAAAAAAAAQ2gQSqqXayUV22IV2aaIm8jmjGqGzqQXwZwobWeLxlR00sqoBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA4CCAcGBQQDAgEKAAAAAAAAAAAAAAAAAAAACgkAAAAAAAAAAAAAAAAAAAD2gc-2wGgDCgCAgICAgCAAdCqF27OZ0UpQez9LaTXrEe2hDFH-h3-luNAEKqXLYk8"
)

func goldenKey() []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	return key
}

func TestGoldenLeaf(t *testing.T) {
	r := sample()
	value := AppendRecord(nil, r)
	if got := hex.EncodeToString(value); got != goldenRecord {
		t.Errorf("record %s", got)
	}
	leaf := LeafHash(value)
	if got := hex.EncodeToString(leaf[:]); got != goldenLeaf {
		t.Errorf("leaf %s", got)
	}
	genesis := r.Lane.Genesis(7)
	if got := hex.EncodeToString(genesis[:]); got != "10e1e73e8e62b5cee1439eb8fd01c33462706d1f272fcc7dc0dc3d6f3fcbcd05" {
		t.Errorf("genesis %s", got)
	}
	if got := hex.EncodeToString(SigMessage(&r.Lane, r.Index, leaf)); got != goldenSig {
		t.Errorf("signature message %s", got)
	}
	if got := r.Lane.AuditPartition(12); got != 8 {
		t.Errorf("audit partition %d", got)
	}
}

func TestVerifySig(t *testing.T) {
	key := ed25519.NewKeyFromSeed(goldenKey())
	public := key.Public().(ed25519.PublicKey)
	lane, leaf := sample().Lane, Hash{1}
	sig := ed25519.Sign(key, SigMessage(&lane, 5, leaf))
	if !VerifySig(public, &lane, 5, leaf, sig) {
		t.Error("a genuine signature was refused")
	}
	other := lane
	other.Partition++
	if VerifySig(public, &other, 5, leaf, sig) || VerifySig(public, &lane, 6, leaf, sig) || VerifySig(public, &lane, 5, Hash{2}, sig) ||
		VerifySig(nil, &lane, 5, leaf, sig) || VerifySig(public, &lane, 5, leaf, nil) || VerifySig(public, &lane, 5, leaf, sig[:63]) {
		t.Error("a wrong signature was taken")
	}
}

func TestGoldenCommitment(t *testing.T) {
	r, c, n := sample(), NewCommitter(), NewNoncer(goldenKey())
	for range 2 { // the second time from the kept state
		nonce := n.Nonce(&r.Lane, 8, 0)
		if got := hex.EncodeToString(nonce[:]); got != "f4dd186013904e50e16dc203a36d3f9a" {
			t.Errorf("nonce %s", got)
		}
		c.Begin(nonce, "crm.contacts.analytics", 2, []byte("42"), 1_795_353_600_123)
		c.Header("traceparent", []byte("00-ab"))
		c.Header("empty", []byte{})
		c.Header("null", nil)
		h := c.End([]byte(`{"a":1}`))
		if got := hex.EncodeToString(h[:]); got != "2c6424db77353657e70381c764c28d2d4e76902aed5a4383f135fb3b068b846f" {
			t.Errorf("commitment %s", got)
		}
		c.Begin(nonce, "crm.contacts.analytics", 2, nil, 1_795_353_600_123)
		h = c.End(nil)
		if got := hex.EncodeToString(h[:]); got != "121805eb5983766b8105195da36b8acbf5c4ab106727dcfe52b264d2f1c0187c" {
			t.Errorf("commitment of a tombstone %s", got)
		}
	}
}

type output struct {
	topic     string
	partition int32
	timestamp int64
	key       *string
	value     *string
	headers   string // "kv" pairs of one byte each
}

func bytesOrNil(s *string) []byte {
	if s == nil {
		return nil
	}
	return append([]byte{}, *s...)
}

func (o output) commit(c *Committer) Hash {
	c.Begin(Nonce{}, o.topic, o.partition, bytesOrNil(o.key), o.timestamp)
	for i := 0; i+1 < len(o.headers); i += 2 {
		var v []byte
		if o.headers[i+1] != '-' {
			v = []byte{o.headers[i+1]}
		}
		c.Header(o.headers[i:i+1], v)
	}
	return c.End(bytesOrNil(o.value))
}

// Two outputs have one commitment only if they are equal: null is not empty,
// and no part can be moved into its neighbour.
func TestCommitmentsAreDistinct(t *testing.T) {
	draw := func(t *rapid.T) output {
		text := rapid.StringMatching(`[\x00\x01a]{0,3}`)
		return output{text.Draw(t, "topic"), rapid.Int32Range(0, 1).Draw(t, "partition"), rapid.Int64Range(0, 1).Draw(t, "timestamp"),
			rapid.Ptr(text, true).Draw(t, "key"), rapid.Ptr(text, true).Draw(t, "value"), rapid.StringMatching(`([\x00\x01a][-\x00\x01a]){0,2}`).Draw(t, "headers")}
	}
	equal := func(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
	c := NewCommitter()
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t), draw(t)
		same := a.topic == b.topic && a.partition == b.partition && a.timestamp == b.timestamp && a.headers == b.headers && equal(a.key, b.key) && equal(a.value, b.value)
		if (a.commit(c) == b.commit(c)) != same {
			t.Fatalf("%+v and %+v: equal commitments must mean equal outputs", a, b)
		}
	})
}

func TestHotPathAllocatesNothing(t *testing.T) {
	r, c, n := sample(), NewCommitter(), NewNoncer(goldenKey())
	key, value := []byte("42"), make([]byte, 480)
	if got := testing.AllocsPerRun(200, func() {
		c.Begin(n.Nonce(&r.Lane, 8, 0), "crm.contacts.analytics", 2, key, 5)
		c.Header("traceparent", key)
		c.End(value)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// From Kafka's UtilsTest.testMurmur2; toPositive is & 0x7fffffff.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := Murmur2([]byte(key)); got != want&math.MaxInt32 {
			t.Errorf("Murmur2(%q) = %d, want %d", key, got, want&math.MaxInt32)
		}
		if got := Partition([]byte(key), 7); got != want&math.MaxInt32%7 {
			t.Errorf("Partition(%q, 7) = %d", key, got)
		}
	}
}

func BenchmarkNonce(b *testing.B) {
	r, n := sample(), NewNoncer(goldenKey())
	b.ReportAllocs()
	for b.Loop() {
		n.Nonce(&r.Lane, 8, 0)
	}
}

func BenchmarkCommit(b *testing.B) {
	c, key, value := NewCommitter(), []byte("k1.abcdefghijklmnopqrstuvwxyz"), make([]byte, 480)
	b.ReportAllocs()
	for b.Loop() {
		c.Begin(Nonce{}, "crm.contacts.analytics", 2, key, 5)
		c.End(value)
	}
}
