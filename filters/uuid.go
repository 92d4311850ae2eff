package filters

import "encoding/hex"

// parseUUID reads the text form of RFC 9562 section 4.
func parseUUID(text []byte) (id [16]byte, ok bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id, false
	}
	var digits [32]byte
	n := 0
	for i, c := range text {
		if i != 8 && i != 13 && i != 18 && i != 23 {
			digits[n] = c
			n++
		}
	}
	_, err := hex.Decode(id[:], digits[:])
	return id, err == nil
}

// appendUUID writes the text form in lower case.
func appendUUID(dst []byte, id [16]byte) []byte {
	for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// tokenUUID is a version 8 uuid (RFC 9562 section 5.8): 8 bits of epoch and
// 114 bits of the digest.
func tokenUUID(epoch byte, digest []byte) (id [16]byte) {
	id[0] = epoch
	copy(id[1:], digest[:15])
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id
}
