package filters

import (
	"math"
	"strconv"
)

// maxPlaces bounds the decimal places that a parameter may have: 10^maxPlaces
// is a factor of an int64 with room to spare.
const maxPlaces = 9

// magnitude is |x| of a number, cut off at some decimal place.
type magnitude struct {
	neg  bool
	n    uint64 // floor(|x| · 10^places)
	rest bool   // something was cut off
}

// floor is floor(x · 10^places); ok is false where that is no int64.
func (m magnitude) floor() (n int64, ok bool) {
	if !m.neg {
		return int64(m.n), m.n <= math.MaxInt64
	}
	below := m.n
	if m.rest && below < math.MaxUint64 {
		below++
	}
	return -int64(below), below <= 1<<63
}

// readMagnitude reads a number in the form of RFC 8259 section 6, exactly: its
// digits are cut off, never rounded. ok is false for what is no such number and
// for what is too large for a uint64.
func readMagnitude(text []byte, places int) (m magnitude, ok bool) {
	whole, fraction, exponent, neg, ok := splitNumber(text)
	if !ok {
		return m, false
	}
	m.neg = neg
	// digits is how many of the digits count: those before the decimal point as
	// the exponent and places move it.
	digits := len(whole) + exponent + places
	for i := range len(whole) + len(fraction) {
		d := digitAt(whole, fraction, i)
		switch {
		case i >= digits:
			m.rest = m.rest || d != 0
		case !m.push(d):
			return m, false
		}
	}
	for i := len(whole) + len(fraction); i < digits && m.n > 0; i++ {
		if !m.push(0) {
			return m, false
		}
	}
	return m, true
}

func digitAt(whole, fraction []byte, i int) uint64 {
	if i < len(whole) {
		return uint64(whole[i] - '0')
	}
	return uint64(fraction[i-len(whole)] - '0')
}

// push appends a digit; false where it does not fit.
func (m *magnitude) push(d uint64) bool {
	if m.n > (math.MaxUint64-9)/10 {
		return false
	}
	m.n = m.n*10 + d
	return true
}

// maxExponent is beyond whatever a record can hold digits for.
const maxExponent = 1 << 30

// splitNumber takes a JSON number apart.
func splitNumber(text []byte) (whole, fraction []byte, exponent int, neg, ok bool) {
	if len(text) > 0 && text[0] == '-' {
		neg, text = true, text[1:]
	}
	whole, text = digits(text)
	if len(whole) == 0 || len(whole) > 1 && whole[0] == '0' {
		return nil, nil, 0, false, false
	}
	if len(text) > 0 && text[0] == '.' {
		if fraction, text = digits(text[1:]); len(fraction) == 0 {
			return nil, nil, 0, false, false
		}
	}
	if len(text) > 0 && text[0]|0x20 == 'e' {
		if exponent, ok = readExponent(text[1:]); !ok {
			return nil, nil, 0, false, false
		}
		text = nil
	}
	return whole, fraction, exponent, neg, len(text) == 0
}

// readExponent reads what follows the "e", clamped to ±maxExponent.
func readExponent(text []byte) (n int, ok bool) {
	neg := len(text) > 0 && text[0] == '-'
	if len(text) > 0 && (neg || text[0] == '+') {
		text = text[1:]
	}
	ds, rest := digits(text)
	if len(ds) == 0 || len(rest) > 0 {
		return 0, false
	}
	for _, c := range ds {
		n = min(n*10+int(c-'0'), maxExponent)
	}
	if neg {
		n = -n
	}
	return n, true
}

// digits cuts the decimal digits off the front of text.
func digits(text []byte) (ds, rest []byte) {
	n := 0
	for n < len(text) && '0' <= text[n] && text[n] <= '9' {
		n++
	}
	return text[:n], text[n:]
}

// pow10 is 10^n for n from 0 to 18.
func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// appendUnits writes n · 10^-places as the shortest JSON number without an
// exponent; zero is never written with a sign.
func appendUnits(dst []byte, n int64, places int) []byte {
	for places > 0 && n%10 == 0 {
		n, places = n/10, places-1
	}
	if places == 0 {
		return strconv.AppendInt(dst, n, 10)
	}
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	scale := pow10(places)
	dst = strconv.AppendInt(dst, n/scale, 10)
	dst = append(dst, '.')
	for r := n % scale; scale > 1; r %= scale {
		scale /= 10
		dst = append(dst, byte('0'+r/scale))
	}
	return dst
}

// floorDiv is floor(a / b) for b > 0.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// times is a · b; ok is false where that is no int64. b is positive.
func times(a, b int64) (p int64, ok bool) {
	p = a * b
	return p, p/b == a
}
