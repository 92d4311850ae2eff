package filters

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"

	"github.com/consentstream/consentstream/internal/keys"
)

// The errors of Reveal and TokenEpoch.
var (
	ErrNotToken  = errors.New("not a token of encrypt, which looks like e1.Zm9v…")
	ErrPseudonym = errors.New("a pseudonym, which nobody can undo; only encrypt makes tokens that can be revealed")
	ErrNotOurs   = errors.New("not made for this purpose and path under this key, or changed since")
)

// The first byte of what is encrypted says what the rest is.
const (
	tagText  = 't'
	tagBytes = 'b'
)

// padTo: plaintexts are padded to a multiple of it, so that the token shows a
// value's length only in steps.
const padTo = 16

// sealer makes and opens tokens of one purpose, path and epoch (package
// comment). It holds scratch and is not safe for concurrent use.
type sealer struct {
	siv    *subtle.AESSIV
	data   []byte // associated data
	prefix []byte // "e<epoch>."
	plain  []byte // scratch
}

func newSealer(key keys.Key, epoch int, purpose, path string) (*sealer, error) {
	switch {
	case len(key) != subtle.AESSIVKeySize:
		return nil, errors.New("a key of 64 bytes is needed")
	case epoch < 1 || epoch > math.MaxInt32:
		return nil, errors.New("a key epoch of at least 1 is needed")
	case purpose == "" || path == "":
		return nil, errors.New("a purpose and a path are needed")
	}
	siv, err := subtle.NewAESSIV(bytes.Clone(key))
	if err != nil {
		return nil, errors.New("the key is not one for AES-SIV")
	}
	s := &sealer{siv: siv, prefix: append(strconv.AppendInt([]byte{'e'}, int64(epoch), 10), '.')}
	for _, part := range []string{"consentstream encrypt 1", purpose, path} {
		s.data = binary.BigEndian.AppendUint32(s.data, uint32(len(part)))
		s.data = append(s.data, part...)
	}
	s.data = binary.BigEndian.AppendUint64(s.data, uint64(epoch))
	return s, nil
}

// seal appends the token of plain.
func (s *sealer) seal(dst []byte, tag byte, plain []byte) ([]byte, error) {
	p := append(append(append(s.plain[:0], tag), plain...), 0x80)
	for len(p)%padTo != 0 {
		p = append(p, 0)
	}
	s.plain = p
	sealed, err := s.siv.EncryptDeterministically(p, s.data)
	if err != nil {
		return dst, err
	}
	return base64.RawURLEncoding.AppendEncode(append(dst, s.prefix...), sealed), nil
}

// open undoes seal.
func (s *sealer) open(token []byte) (tag byte, plain []byte, err error) {
	text, ok := bytes.CutPrefix(token, s.prefix)
	if !ok {
		return 0, nil, ErrNotToken
	}
	sealed, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	if err != nil || bytes.ContainsAny(text, "\r\n") {
		return 0, nil, ErrNotToken
	}
	p, err := s.siv.DecryptDeterministically(sealed, s.data)
	if err != nil {
		return 0, nil, ErrNotOurs
	}
	p = bytes.TrimRight(p, "\x00")
	if len(p) < 2 || p[len(p)-1] != 0x80 || p[0] != tagText && p[0] != tagBytes {
		return 0, nil, ErrNotOurs
	}
	return p[0], p[1 : len(p)-1], nil
}

// TokenEpoch is the key epoch that a token of encrypt names, from 1 to
// 2147483647. The error is ErrNotToken or ErrPseudonym.
func TokenEpoch(token []byte) (int, error) {
	if len(token) > 0 && token[0] == 'k' {
		if _, err := TokenEpoch(append([]byte{'e'}, token[1:]...)); err == nil {
			return 0, ErrPseudonym
		}
	}
	head, _, ok := bytes.Cut(token, []byte{'.'})
	if !ok || len(head) < 2 || head[0] != 'e' || head[1] == '0' {
		return 0, ErrNotToken
	}
	ds, rest := digits(head[1:])
	n, err := strconv.ParseInt(string(ds), 10, 32)
	if err != nil || len(rest) > 0 {
		return 0, ErrNotToken
	}
	return int(n), nil
}

// Reveal undoes encrypt. key is that of keys.UseEncrypt for the purpose and
// TokenEpoch(token); path is the field's, or KeyPath or HeaderPath. isBytes says
// that the value was bytes, which need be no text. Errors are ErrNotToken,
// ErrPseudonym, ErrNotOurs or about the other arguments, and hold nothing of
// the token.
func Reveal(key keys.Key, purpose, path string, token []byte) (value []byte, isBytes bool, err error) {
	epoch, err := TokenEpoch(token)
	if err != nil {
		return nil, false, err
	}
	s, err := newSealer(key, epoch, purpose, path)
	if err != nil {
		return nil, false, err
	}
	tag, value, err := s.open(token)
	if err != nil {
		return nil, false, err
	}
	return value, tag == tagBytes, nil
}

// KeyPath stands for the Kafka key in place of a field's path; "@" begins
// no field's.
const KeyPath = "@key"

// HeaderPath stands for a header in place of a field's path.
func HeaderPath(name string) string { return "@header." + name }
