package schemas

import (
	"encoding/binary"
	"unicode/utf8"
)

// validText is utf8.Valid, and quicker where a short text is ASCII, as most are:
// it is read by words, of which the last may overlap the one before.
func validText(b []byte) bool {
	high, n := uint64(0), len(b)
	if n >= 8 {
		for i := 0; i < n-8; i += 8 {
			high |= binary.LittleEndian.Uint64(b[i:])
		}
		high |= binary.LittleEndian.Uint64(b[n-8:])
	} else {
		for _, c := range b {
			high |= uint64(c)
		}
	}
	return high&0x8080808080808080 == 0 || utf8.Valid(b)
}
