package redisstore

import (
	"bytes"
	"testing"

	"github.com/consentstream/consentstream/consent"
)

// walkReply takes the items from what may be a reply: each lies in it.
func walkReply(t *testing.T, b []byte) {
	r := reply{b}
	n, ok := r.array()
	if !ok {
		return
	}
	for range n {
		item, ok := r.bulk()
		if !ok {
			return
		}
		if !bytes.Contains(b, item) || cap(item) != len(item) {
			t.Fatal("an item that is not in the reply, or reaches beyond its end")
		}
	}
}

// FuzzOpen: any bytes are walked as a reply without a panic, and those that we did
// not seal are never believed, as row or watermark.
func FuzzOpen(f *testing.F) {
	for _, seed := range []string{"*3\r\n$1\r\nw\r\n$-1\r\n$0\r\n\r\n", "*-1\r\n", "$5\r\nab\r\n", "*1\r\n$999999999\r\n", "-WRONGTYPE x\r\n", "$01\r\na\r\n", "\r\n", "*1\n"} {
		f.Add([]byte(seed))
	}
	cfg := testConfig(nil)
	seal := newSealer(&cfg, cfg.Epoch.Hash())
	tag := tagIn(1, 0, 4)
	row := consent.NewRow()
	row.Fold(event(consent.Grant, 1, 7))
	good := seal.sealRow(1, &tag, row)
	mark, err := seal.sealMark(1, consent.Vector{3, 4}, 5, stampOf(consent.Vector{2, 4}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(mark.raw)
	f.Add(good[:len(good)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		walkReply(t, b)
		if _, code := seal.openRow(b, 1, &tag); (code == "") != bytes.Equal(b, good) {
			t.Errorf("row: %q", code)
		}
		var m Mark
		if code := seal.openMark(b, 1, &m); (code == "") != bytes.Equal(b, mark.raw) {
			t.Errorf("watermark: %q", code)
		}
	})
}

// TestSealEveryBit: one changed bit anywhere is found, and so is another tag or
// bucket.
func TestSealEveryBit(t *testing.T) {
	cfg := testConfig(nil)
	seal := newSealer(&cfg, cfg.Epoch.Hash())
	tag := tagIn(1, 0, 4)
	row := consent.NewRow()
	row.Fold(event(consent.Grant, 1, 7))
	sealed := seal.sealRow(1, &tag, row)
	mark, err := seal.sealMark(1, consent.Vector{3, 4}, 5, stampOf(consent.Vector{2, 4}))
	if err != nil {
		t.Fatal(err)
	}
	var m Mark
	for i := range 8 * max(len(sealed), len(mark.raw)) {
		if i < 8*len(sealed) {
			b := bytes.Clone(sealed)
			b[i/8] ^= 1 << (i % 8)
			if _, code := seal.openRow(b, 1, &tag); code == "" {
				t.Errorf("row: bit %d does not count", i)
			}
		}
		if i < 8*len(mark.raw) {
			b := bytes.Clone(mark.raw)
			b[i/8] ^= 1 << (i % 8)
			if seal.openMark(b, 1, &m) == "" {
				t.Errorf("watermark: bit %d does not count", i)
			}
		}
	}
	other := tagIn(1, 1, 4)
	_, otherTag := seal.openRow(sealed, 1, &other)
	_, otherBucket := seal.openRow(sealed, 2, &tag)
	if otherTag == "" || otherBucket == "" || seal.openMark(mark.raw, 2, &m) == "" {
		t.Error("tag or bucket do not count")
	}
}
