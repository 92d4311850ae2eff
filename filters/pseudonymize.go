package filters

import (
	"bytes"
	"encoding/base32"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

// tokenChars of 5 bits each follow the epoch in a token.
const tokenChars = 26

// tokenEncoding is RFC 4648's base32 in lower case.
var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// pseudonymize puts a keyed token in place of an identifier. It holds
// scratch and is not safe for concurrent use.
type pseudonymize struct {
	mac       *keys.MAC
	epoch     byte   // modulo 256, for uuids
	prefix    []byte // "k<epoch>."
	domain    string
	normalize func(dst, text []byte) ([]byte, error)
	text      []byte // scratch: canonical value
	// last is the text of the value before, lastToken its token: a subject often
	// stands in a record and again in its key.
	last, lastToken []byte
}

func newPseudonymize(env Env) (Treatment, error) {
	switch {
	case len(env.Key) != 32:
		return nil, errors.New("a key of 32 bytes is needed")
	case env.Epoch < 1:
		return nil, errors.New("a key epoch of at least 1 is needed")
	case env.Domain == "":
		return nil, errors.New("a domain is needed")
	}
	prefix := append(strconv.AppendInt([]byte{'k'}, int64(env.Epoch), 10), '.')
	return &pseudonymize{mac: keys.NewMAC(env.Key), epoch: byte(env.Epoch), prefix: prefix, domain: env.Domain, normalize: env.Normalize}, nil
}

// Weight is the cost of one treatment in multiples of the cheapest ones, which have
// no Weight method and take about 50 ns.
func (*pseudonymize) Weight() int { return 5 }

func (*pseudonymize) Name() string   { return "pseudonymize" }
func (*pseudonymize) Op() schemas.Op { return schemas.OpReplace }

func (p *pseudonymize) At(t schemas.Type) (schemas.Transform, schemas.Type, error) {
	switch {
	case !pseudonymizeTakes(t):
		return nil, schemas.Type{}, refuse("pseudonymize", t)
	case t.Kind == schemas.Null || t.Logical == schemas.UUID:
		return p, t, nil
	}
	return p, scalarType(schemas.String, t), nil
}

// pseudonymizeTakes reports whether values of t identify somebody and have exactly
// one text. A float has no exact text, booleans and dates have too few values for a
// token to hide them, and what text bytes stand for is unknown.
func pseudonymizeTakes(t schemas.Type) bool {
	switch t.Kind {
	case schemas.Null, schemas.Any:
		return true
	case schemas.String:
		return plain(t) || t.Logical == schemas.UUID
	case schemas.Fixed:
		return t.Logical == schemas.UUID && t.Size == 16
	case schemas.Int, schemas.Long, schemas.Enum, schemas.Number:
		return plain(t)
	}
	return false
}

func (p *pseudonymize) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) {
	plainText := v.Kind == schemas.String && v.Logical == schemas.NoLogical
	if plainText && len(p.last) > 0 && bytes.Equal(v.Text, p.last) {
		n := len(buf)
		buf = append(buf, p.lastToken...)
		return schemas.Value{Kind: schemas.String, Text: buf[n:len(buf):len(buf)]}, buf, nil
	}
	text, err := p.canonical(v)
	if err != nil {
		return schemas.Value{}, buf, err
	}
	id, isUUID := parseUUID(text)
	if isUUID {
		text = appendUUID(text[:0], id)
	} else if v.Logical == schemas.UUID {
		return schemas.Value{}, buf, ErrValue // the type promises a uuid, so it cannot be a token
	}
	p.mac.Start()
	p.mac.String(p.domain)
	p.mac.Bytes(text)
	digest := p.mac.Sum()

	n := len(buf)
	out := schemas.Value{Kind: schemas.String}
	switch {
	case v.Kind == schemas.Fixed:
		out.Kind, out.Logical = schemas.Fixed, schemas.UUID
		id = tokenUUID(p.epoch, digest)
		buf = append(buf, id[:]...)
	case isUUID:
		out.Logical = v.Logical
		buf = appendUUID(buf, tokenUUID(p.epoch, digest))
	default:
		buf = append(buf, p.prefix...)
		buf = tokenEncoding.AppendEncode(buf, digest[:17])
		buf = buf[:n+len(p.prefix)+tokenChars]
	}
	out.Text = buf[n:len(buf):len(buf)]
	if plainText {
		p.last, p.lastToken = append(p.last[:0], v.Text...), append(p.lastToken[:0], out.Text...)
	}
	return out, buf, nil
}

// canonical gives the text of v, in p's scratch.
func (p *pseudonymize) canonical(v schemas.Value) ([]byte, error) {
	raw := p.text[:0]
	switch v.Kind {
	case schemas.String, schemas.Enum:
		raw = append(raw, v.Text...)
	case schemas.Int, schemas.Long:
		raw = strconv.AppendInt(raw, v.Int, 10)
	case schemas.Number:
		switch {
		case string(v.Text) == "-0":
			raw = append(raw, '0')
		case schemas.IsInteger(v.Text):
			raw = append(raw, v.Text...)
		default:
			return nil, ErrValue
		}
	case schemas.Fixed:
		if v.Logical != schemas.UUID || len(v.Text) != 16 {
			return nil, ErrValueType
		}
		raw = appendUUID(raw, [16]byte(v.Text))
	default:
		return nil, ErrValueType
	}
	p.text = raw
	if v.Logical != schemas.NoLogical && v.Logical != schemas.UUID {
		return nil, ErrValueType
	}
	if !utf8.Valid(raw) {
		return nil, ErrValue
	}
	if p.normalize == nil {
		return raw, nil
	}
	return p.normalized(raw)
}

// normalized appends the normal form after raw, in the same scratch. Only
// that it failed is said: the normaliser's error may know the value.
func (p *pseudonymize) normalized(raw []byte) ([]byte, error) {
	all, err := p.normalize(raw, raw)
	if err != nil || len(all) < len(raw) {
		return nil, ErrValue
	}
	p.text = all
	return all[len(raw):], nil
}
