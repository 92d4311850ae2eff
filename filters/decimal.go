package filters

import (
	"math/big"

	"github.com/consentstream/consentstream/schemas"
)

// maxDecimalPrecision is the most digits of a decimal that is looked into: 76
// are what 32 bytes hold. No database that people have goes further.
const maxDecimalPrecision = 76

// maxDecimalBytes bounds the bytes of a decimal that is looked into.
const maxDecimalBytes = 64

// decimal reads and writes Avro decimals (Avro 1.12, "Decimal": the unscaled
// integer in big-endian two's complement) of one type, in integers only. It is
// scratch and not safe for concurrent use.
type decimal struct {
	size  int // of a fixed; 0: bytes
	scale int
	limit big.Int // 10^precision
	x, r  big.Int
	raw   [maxDecimalBytes]byte
}

// newDecimal is ok for decimals that can be looked into.
func newDecimal(t schemas.Type) (*decimal, bool) {
	if t.Logical != schemas.Decimal || t.Precision > maxDecimalPrecision || t.Size > maxDecimalBytes {
		return nil, false
	}
	d := &decimal{scale: t.Scale}
	if t.Kind == schemas.Fixed {
		d.size = t.Size
	}
	d.limit.Set(power(t.Precision))
	return d, true
}

func decimalTakes(t schemas.Type) bool {
	return t.Logical == schemas.Decimal && t.Precision <= maxDecimalPrecision && t.Size <= maxDecimalBytes
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// read makes x the unscaled integer of v; it must be one that the type holds.
func (d *decimal) read(v schemas.Value) error {
	if v.Logical != schemas.Decimal {
		return ErrValueType
	}
	if n := len(v.Text); n == 0 || n > len(d.raw) || d.size > 0 && n != d.size {
		return ErrValue
	}
	raw := d.raw[:copy(d.raw[:], v.Text)]
	neg := raw[0]&0x80 != 0
	if neg {
		invert(raw)
	}
	d.x.SetBytes(raw)
	if neg {
		d.x.Not(&d.x)
	}
	if d.x.CmpAbs(&d.limit) >= 0 {
		return ErrValue
	}
	return nil
}

// append writes x as a value of the type after buf.
func (d *decimal) append(buf []byte) (schemas.Value, []byte, error) {
	if d.x.CmpAbs(&d.limit) >= 0 {
		return schemas.Value{}, buf, ErrValue
	}
	neg := d.x.Sign() < 0
	if neg {
		d.x.Not(&d.x)
	}
	n := max(d.size, d.x.BitLen()/8+1) // with room for the sign bit
	if n > len(d.raw) || d.size > 0 && n != d.size {
		return schemas.Value{}, buf, ErrValue
	}
	raw := d.x.FillBytes(d.raw[:n])
	if neg {
		invert(raw)
	}
	v := schemas.Value{Kind: schemas.Bytes, Logical: schemas.Decimal}
	if d.size > 0 {
		v.Kind = schemas.Fixed
	}
	at := len(buf)
	buf = append(buf, raw...)
	v.Text = buf[at:len(buf):len(buf)]
	return v, buf, nil
}

func invert(raw []byte) {
	for i := range raw {
		raw[i] = ^raw[i]
	}
}

// appendText writes x with the type's decimal places: "-12.50".
func (d *decimal) appendText(dst []byte) []byte {
	if d.x.Sign() < 0 {
		dst = append(dst, '-')
	}
	d.r.Abs(&d.x)
	at := len(dst)
	dst = d.r.Append(dst, 10)
	if d.scale == 0 {
		return dst
	}
	for len(dst)-at <= d.scale { // at least one digit before the point
		dst = append(dst, 0)
		copy(dst[at+1:], dst[at:])
		dst[at] = '0'
	}
	point := len(dst) - d.scale
	dst = append(dst, 0)
	copy(dst[point+1:], dst[point:])
	dst[point] = '.'
	return dst
}
