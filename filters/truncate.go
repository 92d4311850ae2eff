package filters

import (
	"math"
	"unicode/utf8"

	"github.com/consentstream/consentstream/schemas"
)

// truncate keeps the first n characters of a string, or bytes of a byte string.
type truncate struct{ n int }

func newTruncate(p *parameters) (Treatment, error) {
	n, err := p.number("n", 1, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	return truncate{n}, nil
}

func (truncate) Name() string   { return "truncate" }
func (truncate) Op() schemas.Op { return schemas.OpReplace }

func (c truncate) At(t schemas.Type) (schemas.Transform, schemas.Type, error) {
	if !truncateTakes(t) {
		return nil, schemas.Type{}, refuse("truncate", t)
	}
	if t.Kind == schemas.Any {
		t = scalarType(schemas.String, t) // of JSON it takes text alone
	}
	return c, t, nil
}

// truncateTakes excludes a uuid, which is no longer one once cut short, and a
// fixed, which has only one length.
func truncateTakes(t schemas.Type) bool {
	switch t.Kind {
	case schemas.Null, schemas.Any:
		return true
	case schemas.String, schemas.Bytes:
		return plain(t)
	}
	return false
}

// Apply cuts in place: the result's Text is the beginning of the input's.
func (c truncate) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	switch v.Kind {
	case schemas.String:
		if !utf8.Valid(v.Text) {
			return schemas.Value{}, buf, ErrValue
		}
		v.Text = v.Text[:prefix(v.Text, c.n)]
	case schemas.Bytes:
		v.Text = v.Text[:min(c.n, len(v.Text))]
	default:
		return schemas.Value{}, buf, ErrValueType
	}
	return v, buf, nil
}
