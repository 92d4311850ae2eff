package filters

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/consentstream/consentstream/schemas"
)

// encrypt replaces a value with a token that whoever has the key can turn back into
// the value (Reveal). tink makes the token, and allocates. encrypt holds scratch and
// is not safe for concurrent use.
type encrypt struct{ sealer *sealer }

func newEncrypt(env Env) (Treatment, error) {
	s, err := newSealer(env.Key, env.Epoch, env.Purpose, env.Path)
	if err != nil {
		return nil, err
	}
	return encrypt{s}, nil
}

func (encrypt) Name() string   { return "encrypt" }
func (encrypt) Op() schemas.Op { return schemas.OpReplace }

func (e encrypt) At(t schemas.Type) (schemas.Transform, schemas.Type, error) {
	if !encryptTakes(t) {
		return nil, schemas.Type{}, refuse("encrypt", t)
	}
	d, _ := newDecimal(t)
	via := &encryptAt{sealer: e.sealer, decimal: d}
	switch {
	case t.Kind == schemas.Null:
		return via, t, nil
	case isBytes(t.Kind, t.Logical):
		return via, scalarType(schemas.Bytes, t), nil
	}
	return via, scalarType(schemas.String, t), nil
}

// encryptTakes leaves out booleans, whose two tokens would soon be told apart, and
// types that have no bytes of their own.
func encryptTakes(t schemas.Type) bool {
	switch t.Logical {
	case schemas.UnknownLogical:
		return false
	case schemas.Decimal:
		return decimalTakes(t)
	}
	switch t.Kind {
	case schemas.Null, schemas.Any, schemas.Int, schemas.Long, schemas.Float, schemas.Double, schemas.String,
		schemas.Bytes, schemas.Fixed, schemas.Enum, schemas.Number:
		return true
	}
	return false
}

// isBytes reports whether values are bytes rather than text: their token is bytes,
// too.
func isBytes(k schemas.Kind, l schemas.Logical) bool {
	return (k == schemas.Bytes || k == schemas.Fixed) && l != schemas.Decimal && l != schemas.UUID
}

// encryptAt is encrypt at one type.
type encryptAt struct {
	sealer  *sealer
	decimal *decimal // of a decimal
	text    []byte   // scratch
}

// Weight is the cost of one treatment in multiples of the cheapest one.
func (e *encryptAt) Weight() int { return 64 }

func (e *encryptAt) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	out := schemas.Value{Kind: schemas.String}
	tag := byte(tagText)
	plainText, err := e.canonical(e.text[:0], v)
	if err != nil {
		return schemas.Value{}, buf, err
	}
	if isBytes(v.Kind, v.Logical) {
		out.Kind, tag = schemas.Bytes, tagBytes
	}
	e.text = plainText
	at := len(buf)
	if buf, err = e.sealer.seal(buf, tag, plainText); err != nil {
		return failed(buf, at, ErrValue)
	}
	out.Text = buf[at:len(buf):len(buf)]
	return out, buf, nil
}

// canonical appends what is encrypted of v: the text that people know it by.
func (e *encryptAt) canonical(dst []byte, v schemas.Value) ([]byte, error) {
	switch v.Logical {
	case schemas.UnknownLogical:
		return nil, ErrValueType
	case schemas.Decimal:
		if e.decimal == nil {
			return nil, ErrValueType
		}
		if err := e.decimal.read(v); err != nil {
			return nil, err
		}
		return e.decimal.appendText(dst), nil
	}
	switch v.Kind {
	case schemas.String, schemas.Enum:
		if !utf8.Valid(v.Text) {
			return nil, ErrValue
		}
		return append(dst, v.Text...), nil
	case schemas.Number, schemas.Bytes:
		return append(dst, v.Text...), nil
	case schemas.Fixed:
		if v.Logical == schemas.UUID && len(v.Text) == 16 {
			return appendUUID(dst, [16]byte(v.Text)), nil
		}
		return append(dst, v.Text...), nil
	case schemas.Int, schemas.Long:
		return appendInteger(dst, v), nil
	case schemas.Float:
		return appendFloat(dst, v.Float, 32), nil
	case schemas.Double:
		return appendFloat(dst, v.Float, 64), nil
	}
	return nil, ErrValueType
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// appendInteger writes dates and times as ISO 8601 has them, and what lies
// outside the years 0000 to 9999, or of the day, as the number that it is.
func appendInteger(dst []byte, v schemas.Value) []byte {
	per := perSecond(v.Logical)
	var t time.Time
	form := ""
	switch {
	case v.Logical == schemas.Date:
		t, form = time.Unix(v.Int*secondsPerDay, 0).UTC(), dateForm
	case timeOfDay(v.Logical) && 0 <= v.Int && v.Int < secondsPerDay*per:
		t, form = clockTime(v.Int, per), fractions[per][len("2006-01-02T"):]
	case instant(v.Logical):
		t, form = clockTime(v.Int, per), fractions[per]
	}
	if form == "" || t.Year() < 0 || t.Year() > 9999 {
		return strconv.AppendInt(dst, v.Int, 10)
	}
	dst = t.AppendFormat(dst, form)
	if v.Logical == schemas.TimestampMillis || v.Logical == schemas.TimestampMicros || v.Logical == schemas.TimestampNanos {
		dst = append(dst, 'Z')
	}
	return dst
}

// fractions are the forms of date-times by units per second.
var fractions = map[int64]string{
	1e3: "2006-01-02T15:04:05.000", 1e6: "2006-01-02T15:04:05.000000", 1e9: "2006-01-02T15:04:05.000000000",
}

func clockTime(v, per int64) time.Time {
	seconds := floorDiv(v, per)
	return time.Unix(seconds, (v-seconds*per)*(1e9/per)).UTC()
}
