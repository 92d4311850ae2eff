package schemas

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// The tokens of RFC 8259. The functions here are given all of the record and
// an offset, and return the offset after the token.

// stringEnd validates a string whose first character (after the quote) is at
// i. plain reports whether it is ASCII without escapes. Code "" is fine.
func stringEnd(src []byte, i int) (end int, plain bool, code Code) {
	plain = true
	for i < len(src) {
		if len(src)-i >= 8 {
			m := special(binary.LittleEndian.Uint64(src[i:]))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		switch c := src[i]; {
		case c == '"':
			return i + 1, plain, ""
		case c == '\\':
			plain = false
			if i, code = escapeEnd(src, i); code != "" {
				return i, plain, code
			}
		case c < ' ':
			return i, plain, CodeSyntax
		case c < utf8.RuneSelf:
			i++ // in the last bytes, where no word can be loaded
		default:
			plain = false
			r, n := utf8.DecodeRune(src[i:])
			if r == utf8.RuneError && n < 3 {
				return i, plain, CodeBadUTF8
			}
			i += n
		}
	}
	return i, plain, CodeTruncated
}

// special marks with their high bit the bytes of w that end a run of plain
// characters: quote, backslash, control characters, non-ASCII. Borrows may mark
// more bytes, but only above (behind) the first that is rightly marked.
func special(w uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote := w ^ '"'*ones
	slash := w ^ '\\'*ones
	return (w | (w - ' '*ones) | (quote - ones) | (slash - ones)) & high
}

// escapeEnd validates the escape whose backslash is at i.
func escapeEnd(src []byte, i int) (int, Code) {
	if i+1 >= len(src) {
		return i, CodeTruncated
	}
	switch src[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, ""
	case 'u':
	default:
		return i, CodeSyntax
	}
	r, code := hex4(src, i+2)
	switch {
	case code != "":
		return i, code
	case !utf16.IsSurrogate(r):
		return i + 6, ""
	}
	if i+6 < len(src) && src[i+6] != '\\' {
		return i, CodeLoneSurrogate
	}
	if i+8 > len(src) {
		return i, CodeTruncated
	}
	if src[i+6] != '\\' || src[i+7] != 'u' {
		return i, CodeLoneSurrogate
	}
	low, code := hex4(src, i+8)
	if code != "" {
		return i, code
	}
	if utf16.DecodeRune(r, low) == utf8.RuneError {
		return i, CodeLoneSurrogate
	}
	return i + 12, ""
}

func hex4(src []byte, i int) (r rune, code Code) {
	if i+4 > len(src) {
		return 0, CodeTruncated
	}
	for _, c := range src[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, CodeSyntax
		}
		r = r<<4 | rune(c)
	}
	return r, ""
}

// jsonRune decodes the character at i of a string that stringEnd has validated.
func jsonRune(b []byte, i int) (r rune, next int) {
	switch c := b[i]; {
	case c >= utf8.RuneSelf:
		r, n := utf8.DecodeRune(b[i:])
		return r, i + n
	case c != '\\':
		return rune(c), i + 1
	}
	switch c := b[i+1]; c {
	case 'b':
		return '\b', i + 2
	case 'f':
		return '\f', i + 2
	case 'n':
		return '\n', i + 2
	case 'r':
		return '\r', i + 2
	case 't':
		return '\t', i + 2
	case 'u':
	default:
		return rune(c), i + 2
	}
	r, _ = hex4(b, i+2)
	if !utf16.IsSurrogate(r) {
		return r, i + 6
	}
	low, _ := hex4(b, i+8)
	return utf16.DecodeRune(r, low), i + 12
}

// numberEnd validates the number that starts at i. What follows it is the
// caller's to judge: the grammar allows no number to be a longer one's prefix
// with anything but a digit, "." or "e" after, and those no caller takes.
func numberEnd(src []byte, i int) (end int, code Code) {
	if src[i] == '-' {
		i++
	}
	switch {
	case i < len(src) && src[i] == '0':
		i++
	default:
		if i, code = digitsEnd(src, i); code != "" {
			return i, code
		}
	}
	if i < len(src) && src[i] == '.' {
		if i, code = digitsEnd(src, i+1); code != "" {
			return i, code
		}
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		return digitsEnd(src, i)
	}
	return i, ""
}

// digitsEnd wants at least one digit.
func digitsEnd(src []byte, i int) (end int, code Code) {
	start := i
	for i < len(src) && '0' <= src[i] && src[i] <= '9' {
		i++
	}
	switch {
	case i > start:
		return i, ""
	case i == len(src):
		return i, CodeTruncated
	}
	return i, CodeSyntax
}

// wordEnd validates that the literal word is at i.
func wordEnd(src []byte, i int, word string) (end int, code Code) {
	have := src[i:min(i+len(word), len(src))]
	switch {
	case string(have) == word:
		return i + len(word), ""
	case string(have) == word[:len(have)]:
		return i, CodeTruncated
	}
	return i, CodeSyntax
}

// spaceEnd skips white space.
func spaceEnd(src []byte, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] == '\n' || src[i] == '\r' || src[i] == '\t') {
		i++
	}
	return i
}
