package filters

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

// tokenChars is the length of a token behind its epoch: 130 bits.
const tokenChars = 26

// tokenBytes hold 26 base32 characters: 17 bytes are 28 characters, of which
// the first 26 are taken.
const tokenBytes = 17

// tokenEncoding is RFC 4648 section 6 in lower case, without padding.
var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// pseudonymize writes a keyed token in the place of a value:
//
//	"k" epoch "." 26 characters of base32(HMAC-SHA-256(key, lp(domain) ‖ lp(value)))
//
// where lp(x) is x behind its length as 4 bytes, big-endian. The value is its
// UTF-8 text, normalised by its namespace where it has one; an integer is its
// decimal text. So equal values have equal tokens in every format, and without
// the purpose's key nobody can compute or join them (promise P7). A uuid stays
// one: RFC 9562 version 8, whose first byte is the epoch modulo 256 and whose
// other 114 free bits are the first of the HMAC.
type pseudonymize struct {
	mac    *keys.MAC
	domain string
	prefix []byte
	epoch  byte
	norm   func(dst, text []byte) ([]byte, error)
	text   []byte   // canonical text of the value at hand
	last   []byte   // of the value before, and its HMAC: a subject often stands
	sum    [32]byte // in a record and in its key
}

func newPseudonymize(env Env) (Treatment, error) {
	if env.Domain == "" || env.Key == [32]byte{} || env.Epoch <= 0 {
		return nil, errors.New("pseudonymize needs a key, its epoch and a domain")
	}
	prefix := append(strconv.AppendInt([]byte{'k'}, int64(env.Epoch), 10), '.')
	return &pseudonymize{mac: keys.NewMAC(env.Key[:]), domain: env.Domain, prefix: prefix, epoch: byte(env.Epoch), norm: env.Normalize}, nil
}

func (*pseudonymize) Name() string   { return "pseudonymize" }
func (*pseudonymize) Op() schemas.Op { return schemas.OpReplace }

func (*pseudonymize) Result(t schemas.Type) (schemas.Type, error) {
	switch {
	case t.Kind == schemas.Any:
		return t, nil
	case t.Kind == schemas.String && t.Logical == schemas.NoLogical,
		t.Logical == schemas.UUID && (t.Kind == schemas.String || t.Kind == schemas.Fixed && t.Size == 16):
		return t, nil
	case (t.Kind == schemas.Int || t.Kind == schemas.Long) && t.Logical == schemas.NoLogical:
		t.Kind = schemas.String
		return t, nil
	}
	return schemas.Type{}, typeError("pseudonymize", t, "it takes strings, uuids and plain integers; use redact or drop")
}

func (p *pseudonymize) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	if !p.canonical(v) {
		return schemas.Value{}, buf, ErrValue
	}
	sum := p.hash()
	n := len(buf)
	switch {
	case v.Logical == schemas.UUID && v.Kind == schemas.Fixed:
		id := p.uuid(sum)
		buf = append(buf, id[:]...)
		return schemas.Value{Kind: schemas.Fixed, Logical: schemas.UUID, Text: buf[n:]}, buf, nil
	case v.Logical == schemas.UUID:
		buf = appendUUID(buf, p.uuid(sum))
		return schemas.Value{Kind: schemas.String, Logical: schemas.UUID, Text: buf[n:]}, buf, nil
	}
	var token [28]byte
	tokenEncoding.Encode(token[:], sum[:tokenBytes])
	buf = append(buf, p.prefix...)
	buf = append(buf, token[:tokenChars]...)
	return schemas.Value{Kind: schemas.String, Text: buf[n:]}, buf, nil
}

// hash is the HMAC of p.text.
func (p *pseudonymize) hash() []byte {
	if len(p.text) > 0 && bytes.Equal(p.text, p.last) {
		return p.sum[:]
	}
	p.mac.Start()
	p.mac.String(p.domain)
	p.mac.Bytes(p.text)
	copy(p.sum[:], p.mac.Sum())
	p.last = append(p.last[:0], p.text...)
	return p.sum[:]
}

// canonical puts the text that stands for v in p.text; false: v has none.
func (p *pseudonymize) canonical(v schemas.Value) bool {
	switch v.Kind {
	case schemas.String:
		if !utf8.Valid(v.Text) {
			return false
		}
		p.text = append(p.text[:0], v.Text...)
		if v.Logical == schemas.UUID { // hex digits have two spellings
			lower(p.text)
		}
	case schemas.Fixed:
		if v.Logical != schemas.UUID || len(v.Text) != 16 {
			return false
		}
		p.text = appendUUID(p.text[:0], [16]byte(v.Text))
	case schemas.Int, schemas.Long:
		p.text = strconv.AppendInt(p.text[:0], v.Int, 10)
	case schemas.Number:
		if !schemas.IsInteger(v.Text) {
			return false
		}
		p.text = append(p.text[:0], v.Text...)
	default:
		return false
	}
	return p.normalise()
}

// normalise replaces p.text by its normal form, which is appended behind it.
func (p *pseudonymize) normalise() bool {
	if p.norm == nil {
		return true
	}
	n := len(p.text)
	out, err := p.norm(p.text, p.text[:n:n])
	if err != nil || len(out) < n {
		return false
	}
	p.text = append(out[:0], out[n:]...)
	return true
}

// uuid lays out version 8 of RFC 9562 section 5.8: the epoch, and 114 bits of
// sum around the version and the variant.
func (p *pseudonymize) uuid(sum []byte) (id [16]byte) {
	id[0] = p.epoch
	copy(id[1:6], sum)
	v := binary.BigEndian.Uint16(sum[5:])
	id[6], id[7] = 0x80|byte(v>>12), byte(v>>4)
	copy(id[8:], sum[7:15])
	id[8] = 0x80 | id[8]&0x3f
	return id
}

// appendUUID writes the text form of RFC 9562 section 4.
func appendUUID(dst []byte, id [16]byte) []byte {
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// lower writes ASCII letters in lower case.
func lower(text []byte) {
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
}
