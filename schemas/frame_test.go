package schemas

import (
	"bytes"
	"testing"
)

func TestParseFrame(t *testing.T) {
	for _, tt := range []struct {
		value   string
		id      int
		payload string
		code    Code
	}{
		{"", 0, "", CodeEmptyValue},
		{"\x00", 0, "", CodeTruncated},
		{"\x00\x00\x00\x01", 0, "", CodeTruncated},
		{"\x00\x00\x00\x00\x07", 7, "", ""},
		{"\x00\x00\x01\x00\x07abc", 65543, "abc", ""},
		{"\x00\x7f\xff\xff\xffx", 1<<31 - 1, "x", ""},
		{"\x00\x80\x00\x00\x00x", 0, "", CodeUnknownSchema},
		{"\x01\x00\x00\x00\x07abc", 0, "", CodeBadMagic},
		{"{\"a\":1}", 0, "", CodeBadMagic},
	} {
		id, payload, f := ParseFrame([]byte(tt.value))
		var code Code
		if f != nil {
			code = f.Code
		}
		if id != tt.id || string(payload) != tt.payload || code != tt.code {
			t.Errorf("%q: %d, %q, %q; want %d, %q, %q", tt.value, id, payload, code, tt.id, tt.payload, tt.code)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x07abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, payload, fault := ParseFrame(b)
		if fault != nil {
			if payload != nil || id != 0 {
				t.Fatal("a fault with a payload")
			}
			return
		}
		if got := append(AppendFrame(nil, id), payload...); !bytes.Equal(got, b) {
			t.Fatalf("%x became %x", b, got)
		}
	})
}
