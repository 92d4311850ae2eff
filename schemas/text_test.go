package schemas

import (
	"testing"
	"unicode/utf8"
)

// TestValidText holds validText against utf8.Valid at every length and place.
func TestValidText(t *testing.T) {
	for n := range 40 {
		for at := range n {
			for _, rune := range []string{"a", "\x00", "\x7f", "\x80", "\xff", "é", "€", "\U0001f600", "\xed\xa0\x80"} {
				b := make([]byte, n)
				copy(b[at:], rune)
				if validText(b) != utf8.Valid(b) {
					t.Errorf("%d bytes, %q at %d: %t", n, rune, at, validText(b))
				}
			}
		}
	}
	if !validText(nil) {
		t.Error("empty text is none")
	}
}

func BenchmarkValidText(b *testing.B) {
	text := []byte("customer.17@mail.example.org")
	for b.Loop() {
		validText(text)
	}
}
