package filters

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// ipPrefix keeps the first bits of an IP address and zeroes the others.
type ipPrefix struct{ v4, v6 int }

// newIPPrefix reads "24,48". After bit 64 an IPv6 address has only the
// interface (RFC 4291 section 2.5.1), which is one machine's.
func newIPPrefix(v any, _ *parameters) (form, error) {
	text, _ := v.(string)
	a, b, _ := strings.Cut(text, ",")
	v4, err4 := strconv.Atoi(a)
	v6, err6 := strconv.Atoi(b)
	if err4 != nil || err6 != nil || v4 < 1 || v4 > 31 || v6 < 1 || v6 > 64 {
		return nil, errors.New("ip_prefix must be two numbers of bits: from 1 to 31 for IPv4, from 1 to 64 for IPv6")
	}
	return ipPrefix{v4, v6}, nil
}

func (ipPrefix) word() string              { return "ip_prefix" }
func (ipPrefix) takes(t schemas.Type) bool { return plainString(t) }
func (ipPrefix) ofJSON() schemas.Kind      { return schemas.String }

func (f ipPrefix) at(schemas.Type) (schemas.Transform, error) { return stringForm(f.apply), nil }

// apply writes the prefix in canonical form (RFC 5952 for IPv6). An IPv4
// address in an IPv6 one is treated as IPv4: mapped ones (RFC 4291 section
// 2.5.5.2) become it, and of a 6to4 prefix (RFC 3056), which holds one in bits
// 16 to 47, no more is kept than of that address.
func (f ipPrefix) apply(dst, text []byte) (out []byte, ok bool) {
	a, is4, ok := parseIP(text)
	switch {
	case !ok:
		return dst, false
	case is4:
		v4 := binary.BigEndian.Uint32(a[12:]) &^ (1<<(32-f.v4) - 1)
		return appendIPv4(dst, v4), true
	}
	bits := f.v6
	if a[0] == 0x20 && a[1] == 0x02 {
		bits = min(bits, 16+f.v4)
	}
	hi := binary.BigEndian.Uint64(a[:8]) &^ (1<<(64-bits) - 1)
	return appendPrefix6(dst, hi), true
}

func appendIPv4(dst []byte, a uint32) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		dst = strconv.AppendUint(dst, uint64(a>>shift&0xff), 10)
		if shift > 0 {
			dst = append(dst, '.')
		}
	}
	return dst
}

// appendPrefix6 writes an IPv6 address whose last 64 bits are zero. The zeros
// at its end are the longest run, so they are the ones written as "::".
func appendPrefix6(dst []byte, hi uint64) []byte {
	if hi == 0 {
		return append(dst, "::"...)
	}
	for ; hi != 0; hi <<= 16 {
		dst = strconv.AppendUint(dst, hi>>48, 16)
		dst = append(dst, ':')
	}
	return append(dst, ':')
}

// parseIP reads an address in the forms of RFC 4291 section 2.2 or in four
// decimal numbers without leading zeros; a zone ("%eth0") is not looked at.
// (Package net is out of bounds for the core, and its parser takes a string.)
// IPv4 and mapped addresses are in a[12:].
func parseIP(text []byte) (a [16]byte, is4, ok bool) {
	for i, c := range text {
		switch c {
		case '.':
			ok = parseIPv4(a[12:], text)
			return a, true, ok
		case ':':
			a, ok = parseIPv6(text)
			mapped := binary.BigEndian.Uint64(a[:8]) == 0 && binary.BigEndian.Uint32(a[8:12]) == 0xffff
			return a, mapped, ok
		}
		if i == 4 {
			break
		}
	}
	return a, false, false
}

func parseIPv4(dst, text []byte) bool {
	for i := range 4 {
		ds, rest := digits(text)
		n, ok := natural(ds[:min(len(ds), 4)])
		if !ok || len(ds) > 3 || n > 255 || len(ds) > 1 && ds[0] == '0' {
			return false
		}
		dst[i] = byte(n)
		if i == 3 {
			return len(rest) == 0
		}
		if len(rest) == 0 || rest[0] != '.' {
			return false
		}
		text = rest[1:]
	}
	return false
}

// parseIPv6 fills groups of 16 bits from the front; at "::" it notes where the
// rest is to be moved to the end.
func parseIPv6(text []byte) (a [16]byte, ok bool) {
	if text, ok = cutZone(text); !ok {
		return a, false
	}
	n, gap := 0, -1
	if len(text) >= 2 && text[0] == ':' && text[1] == ':' {
		gap, text = 0, text[2:]
	}
	for len(text) > 0 && n < 16 {
		group, length := hexGroup(text)
		if length < len(text) && text[length] == '.' {
			if n > 12 || !parseIPv4(a[n:], text) {
				return a, false
			}
			n, text = n+4, nil
			break
		}
		if length == 0 {
			return a, false
		}
		binary.BigEndian.PutUint16(a[n:], group)
		n, text = n+2, text[length:]
		if len(text) == 0 {
			break
		}
		if len(text) == 1 || text[0] != ':' {
			return a, false
		}
		if text = text[1:]; text[0] == ':' {
			if gap >= 0 {
				return a, false
			}
			gap, text = n, text[1:]
		}
	}
	return spread(a, n, gap, len(text) == 0)
}

// spread moves what follows the gap to the end.
func spread(a [16]byte, n, gap int, ended bool) ([16]byte, bool) {
	if !ended || gap < 0 && n != 16 || gap >= 0 && n == 16 {
		return a, false
	}
	if gap >= 0 {
		var b [16]byte
		copy(b[:], a[:gap])
		copy(b[16-(n-gap):], a[gap:n])
		a = b
	}
	return a, true
}

func cutZone(text []byte) (address []byte, ok bool) {
	for i, c := range text {
		if c == '%' {
			return text[:i], i+1 < len(text)
		}
	}
	return text, true
}

// hexGroup reads up to four hexadecimal digits; length 0 for more or none.
func hexGroup(text []byte) (n uint16, length int) {
	for _, c := range text {
		var d byte
		switch {
		case '0' <= c && c <= '9':
			d = c - '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			d = c | 0x20 - 'a' + 10
		default:
			return n, length
		}
		if length == 4 {
			return 0, 0
		}
		n, length = n<<4|uint16(d), length+1
	}
	return n, length
}
