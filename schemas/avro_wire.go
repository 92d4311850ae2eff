package schemas

// Avro binary primitives (Avro 1.12 specification, "Binary encoding").

// maxVarint is the longest encoding of a long; more bytes cannot be one.
const maxVarint = 10

// maxVarint32 is that of an int.
const maxVarint32 = 5

// readLong reads the zigzag varint at b[i:]. next is the offset after it, or
// -1 where it is cut off and -2 where it has more than 64 bits.
func readLong(b []byte, i int) (v int64, next int) {
	if i < len(b) && b[i] < 0x80 {
		return int64(b[i]>>1) ^ -int64(b[i]&1), i + 1
	}
	return readLongSlow(b, i)
}

func readLongSlow(b []byte, i int) (v int64, next int) {
	var u uint64
	for n := 0; n < maxVarint; n++ {
		if i+n >= len(b) {
			return 0, -1
		}
		c := b[i+n]
		if n == maxVarint-1 && c > 1 {
			return 0, -2
		}
		u |= uint64(c&0x7f) << (7 * n)
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), i + n + 1
		}
	}
	return 0, -2
}

// appendLong appends v as a zigzag varint.
func appendLong(dst []byte, v int64) []byte {
	u := uint64(v)<<1 ^ uint64(v>>63)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}
