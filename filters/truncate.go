package filters

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/consentstream/consentstream/schemas"
)

// truncate keeps the first n characters (Unicode code points) of a text, or the
// first n bytes of bytes.
type truncate struct{ n int }

func newTruncate(p *paramSet) (Treatment, error) {
	n, err := p.integer("n", 0, 1, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("truncate needs a length: {truncate: 4}")
	}
	return truncate{int(n)}, nil
}

func (truncate) Name() string   { return "truncate" }
func (truncate) Op() schemas.Op { return schemas.OpReplace }

func (truncate) Result(t schemas.Type) (schemas.Type, error) {
	if t.Logical == schemas.NoLogical && (t.Kind == schemas.String || t.Kind == schemas.Bytes || t.Kind == schemas.Any) {
		return t, nil
	}
	return schemas.Type{}, typeError("truncate", t, "it takes plain strings and bytes; use redact or drop")
}

func (f truncate) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	switch {
	case v.Kind == schemas.String && utf8.Valid(v.Text):
		v.Text = v.Text[:runes(v.Text, f.n)]
		return v, buf, nil
	case v.Kind == schemas.Bytes:
		v.Text = v.Text[:min(f.n, len(v.Text))]
		return v, buf, nil
	}
	return schemas.Value{}, buf, ErrValue
}
