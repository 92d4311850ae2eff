package filters

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/consentstream/consentstream/schemas"
)

// maskFiller is how many filler characters stand for what is hidden, always
// the same number, so that the length does not show. A value that would hide
// fewer characters than that is hidden whole.
const maskFiller = 4

// maxMaskKept bounds keep_first and keep_last.
const maxMaskKept = 1000

// mask shows the first and last characters (Unicode code points) of a text.
type mask struct {
	first, last int
	filler      []byte
}

func newMask(p *paramSet) (Treatment, error) {
	first, err := p.integer("keep_first", 0, 0, maxMaskKept)
	if err != nil {
		return nil, err
	}
	last, err := p.integer("keep_last", 0, 0, maxMaskKept)
	if err != nil {
		return nil, err
	}
	char := "*"
	if v, ok := p.find("char"); ok {
		char, _ = v.(string)
	}
	if r, n := utf8.DecodeRuneInString(char); n != len(char) || n == 0 || r == utf8.RuneError || !unicode.IsPrint(r) {
		return nil, fmt.Errorf("mask: char must be one printable character")
	}
	m := &mask{first: int(first), last: int(last)}
	for range maskFiller {
		m.filler = append(m.filler, char...)
	}
	return m, nil
}

func (*mask) Name() string   { return "mask" }
func (*mask) Op() schemas.Op { return schemas.OpReplace }

func (*mask) Result(t schemas.Type) (schemas.Type, error) {
	switch {
	case t.Kind == schemas.Any:
		return t, nil
	case t.Kind == schemas.String && (t.Logical == schemas.NoLogical || t.Logical == schemas.UUID):
		t.Logical = schemas.NoLogical
		return t, nil
	}
	return schemas.Type{}, typeError("mask", t, "it takes strings; use redact or drop")
}

func (m *mask) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	if v.Kind != schemas.String || !utf8.Valid(v.Text) {
		return schemas.Value{}, buf, ErrValue
	}
	n := len(buf)
	if utf8.RuneCount(v.Text) < m.first+m.last+maskFiller {
		buf = append(buf, m.filler...)
	} else {
		buf = append(buf, v.Text[:runes(v.Text, m.first)]...)
		buf = append(buf, m.filler...)
		buf = append(buf, v.Text[lastRunes(v.Text, m.last):]...)
	}
	return schemas.Value{Kind: schemas.String, Text: buf[n:]}, buf, nil
}

// runes is the number of bytes of the first n characters of text.
func runes(text []byte, n int) (bytes int) {
	for ; n > 0 && bytes < len(text); n-- {
		_, size := utf8.DecodeRune(text[bytes:])
		bytes += size
	}
	return bytes
}

// lastRunes is where the last n characters of text begin.
func lastRunes(text []byte, n int) (start int) {
	start = len(text)
	for ; n > 0 && start > 0; n-- {
		_, size := utf8.DecodeLastRune(text[:start])
		start -= size
	}
	return start
}
