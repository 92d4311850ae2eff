package filters

import (
	"errors"
	"unicode"
	"unicode/utf8"

	"github.com/consentstream/consentstream/schemas"
)

// maskFiller is how many filler characters stand at least in a mask. A value
// that has no more than that many characters to hide is hidden whole.
const maskFiller = 4

// maxMask bounds keep_first and keep_last.
const maxMask = 1000

// mask shows the first and last characters. Its result always has keep_first +
// 4 + keep_last code points, so that the length of the value does not show;
// where fewer may be shown (a short value, a character of several code points
// at the cut) filler stands in their place.
type mask struct {
	first, last int
	char        []byte
}

func newMask(p *parameters) (Treatment, error) {
	var m mask
	var err, err2 error
	m.first, err = p.number("keep_first", 0, maxMask)
	m.last, err2 = p.number("keep_last", 0, maxMask)
	if err = errors.Join(err, err2); err != nil {
		return nil, err
	}
	v, ok := p.take("char")
	if !ok {
		v = "*"
	}
	char, _ := v.(string)
	if r, size := utf8.DecodeRuneInString(char); char == "" || size != len(char) || !utf8.ValidString(char) || !unicode.IsPrint(r) || unicode.Is(unicode.M, r) {
		return nil, errors.New("char must be one printable character")
	}
	m.char = []byte(char)
	return m, nil
}

func (mask) Name() string   { return "mask" }
func (mask) Op() schemas.Op { return schemas.OpReplace }

func (m mask) At(t schemas.Type) (schemas.Transform, schemas.Type, error) {
	switch {
	case !maskTakes(t):
		return nil, schemas.Type{}, refuse("mask", t)
	case t.Kind == schemas.String || t.Kind == schemas.Any:
		t = scalarType(schemas.String, t) // a masked uuid is no longer one
	}
	return m, t, nil
}

func maskTakes(t schemas.Type) bool {
	switch t.Kind {
	case schemas.Null, schemas.Any:
		return true
	case schemas.String:
		return plain(t) || t.Logical == schemas.UUID
	}
	return false
}

func (m mask) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	if v.Kind != schemas.String {
		return schemas.Value{}, buf, ErrValueType
	}
	if !utf8.Valid(v.Text) {
		return schemas.Value{}, buf, ErrValue
	}
	head, tail := 0, len(v.Text)
	if utf8.RuneCount(v.Text) >= m.first+m.last+maskFiller {
		head, tail = prefix(v.Text, m.first), suffix(v.Text, m.last)
	}
	fill := m.first + m.last + maskFiller - utf8.RuneCount(v.Text[:head]) - utf8.RuneCount(v.Text[tail:])
	n := len(buf)
	buf = append(buf, v.Text[:head]...)
	for range fill {
		buf = append(buf, m.char...)
	}
	buf = append(buf, v.Text[tail:]...)
	return schemas.Value{Kind: schemas.String, Text: buf[n:len(buf):len(buf)]}, buf, nil
}
