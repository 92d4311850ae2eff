package reference

import (
	"encoding/hex"
	"testing"
)

// RFC 5297 appendix A.1.
func TestSealSIV(t *testing.T) {
	raw := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := raw("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
	got := sealSIV(key, raw("101112131415161718191a1b1c1d1e1f2021222324252627"), raw("112233445566778899aabbccddee"))
	if want := "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"; hex.EncodeToString(got) != want {
		t.Errorf("%x, want %s", got, want)
	}
}
