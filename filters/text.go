package filters

import (
	"unicode"
	"unicode/utf8"
)

// prefix is the length in bytes of the longest prefix of s that has at most n code
// points and does not end within a character.
func prefix(s []byte, n int) int {
	end := 0
	for count := 0; count < n && end < len(s); count++ {
		_, size := utf8.DecodeRune(s[end:])
		end += size
	}
	for end > 0 && !boundary(s, end) {
		_, size := utf8.DecodeLastRune(s[:end])
		end -= size
	}
	return end
}

// suffix is the offset of the longest suffix of s that has at most n code points and
// does not begin within a character.
func suffix(s []byte, n int) int {
	begin := len(s)
	for count := 0; count < n && begin > 0; count++ {
		_, size := utf8.DecodeLastRune(s[:begin])
		begin -= size
	}
	for begin < len(s) && !boundary(s, begin) {
		_, size := utf8.DecodeRune(s[begin:])
		begin += size
	}
	return begin
}

const zeroWidthJoiner = '\u200d'

// boundary reports whether s may be cut at byte i, which lies between code points.
func boundary(s []byte, i int) bool {
	if i == 0 || i == len(s) {
		return true
	}
	before, _ := utf8.DecodeLastRune(s[:i])
	after, _ := utf8.DecodeRune(s[i:])
	switch {
	case after < utf8.RuneSelf && before < utf8.RuneSelf:
		return before != '\r' || after != '\n'
	case before == zeroWidthJoiner || after == zeroWidthJoiner, unicode.Is(unicode.M, after):
		return false
	case 0x1f3fb <= after && after <= 0x1f3ff, // emoji modifiers
		0xe0020 <= after && after <= 0xe007f, // tags, as in the flag of Scotland
		0x1160 <= after && after <= 0x11ff:   // conjoining vowels and finals
		return false
	case 0x1100 <= before && before <= 0x115f: // conjoining initials
		return !('가' <= after && after <= '힣' || 0x1100 <= after && after <= 0x115f)
	case regional(before) && regional(after):
		return flags(s[:i])%2 == 0
	}
	return true
}

func regional(r rune) bool { return 0x1f1e6 <= r && r <= 0x1f1ff }

// flags counts the regional indicators at the end of s; two make a flag.
func flags(s []byte) (n int) {
	for len(s) > 0 {
		r, size := utf8.DecodeLastRune(s)
		if !regional(r) {
			break
		}
		s = s[:len(s)-size]
		n++
	}
	return n
}
