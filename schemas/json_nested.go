package schemas

import (
	"bytes"
	"encoding/base64"
	"errors"
)

// Encoding is how a field's text holds a record of its own.
type Encoding uint8

// The encodings of a nested record. The zero Encoding is the JSON text itself.
const (
	PlainText Encoding = iota
	Base64             // RFC 4648 section 4: the standard alphabet, with padding
	Base64URL          // RFC 4648 section 5 without padding
)

// MaxNestedEntries is the most positions of a text that are looked at: whoever
// bounds what a record may cost does not see what is in it.
const MaxNestedEntries = 1 << 16

// Nested is the Transform that looks into a text field, or an Avro bytes field,
// that holds JSON: it scans the text as a record of its own, writes what a
// purpose keeps of it, and encodes that as it was. What is no such text, or has
// more than 65,536 positions that paths name, is removed and counted, as a value
// of a wrong type is: in Avro it is a null.
//
// A text in which nothing of the record is kept is a null, whether or not it is
// there and is one: with gates, where those that are open let nothing through.
//
// The alphabet and padding of base64 are declared, not seen in the value: they
// would show something of the bytes that were removed.
//
// A Nested has memory of its own: unlike other parts of a Projection it belongs to
// one goroutine.
type Nested struct {
	codec   *base64.Encoding // nil: the text itself
	layout  Layout
	view    *jsonProjection
	tape    Tape
	decoded []byte
	spliced []byte
}

// maxNestedScratch is the size of texts, in bytes, up to which a Nested keeps its
// memory for the next.
const maxNestedScratch = 1 << 16

// NewNested makes the Transform of a field of which view, a projection of the JSON
// layout inner, is what a purpose sees.
func NewNested(encoding Encoding, inner Layout, view Projection) (*Nested, error) {
	json, ok := view.(*jsonProjection)
	if !ok || inner.Format() != JSON {
		return nil, errors.New("a field can hold JSON only")
	}
	n := &Nested{layout: inner, view: json}
	switch encoding {
	case PlainText:
	case Base64:
		n.codec = base64.StdEncoding.Strict()
	case Base64URL:
		n.codec = base64.RawURLEncoding.Strict()
	default:
		return nil, errors.New("no such encoding")
	}
	return n, nil
}

// Result is the type of a treated position: as the input's, but nullable, since
// the text need not parse. Only text and bytes can hold JSON; in a JSON layout
// it is text, or the value is removed.
func (n *Nested) Result(t Type) (Type, error) {
	if t.Kind != Any && (t.Kind != String && t.Kind != Bytes || t.Logical != NoLogical) {
		return Type{}, errors.New("only a string or bytes can hold JSON")
	}
	if t.Kind == Any {
		t.Kind = String
	}
	return nullable(t), nil
}

// Shows reports whether under these open gates something of a text can be left. Where
// nothing can, the position is a null.
func (n *Nested) Shows(gates uint32) bool { return n.view.live[n.view.plan(gates)] }

// openers are the gates that each alone let something through; always says that
// there is no need. What needs two of them does not count.
func (n *Nested) openers() (always bool, gates uint32) {
	for _, g := range n.view.gates {
		if bit := uint32(1) << (g - 1); n.Shows(bit) {
			gates |= bit
		}
	}
	return n.Shows(0), gates
}

var errNested = errors.New("holds no such text")

// Apply implements Transform with every gate closed.
func (n *Nested) Apply(buf []byte, v Value) (out Value, rest []byte, err error) {
	out, rest, _, err = n.apply(buf, v, 0)
	return out, rest, err
}

// apply also counts what was withheld within the text.
func (n *Nested) apply(buf []byte, v Value, gates uint32) (out Value, rest []byte, withheld int, err error) {
	if !n.Shows(gates) {
		return Value{Kind: Null}, buf, 0, nil
	}
	defer n.trim(len(v.Text))
	text, err := n.decode(v)
	n.tape.most = MaxNestedEntries
	if n.tape.Reset(0); err == nil {
		err = n.layout.Scan(text, &n.tape)
	}
	if err == nil {
		n.spliced, withheld, err = n.view.Splice(n.spliced[:0], text, &n.tape, gates)
	}
	if err != nil {
		return Value{}, buf, 0, errNested // a Fault of the text is none of the record
	}
	at := len(buf)
	buf = n.encode(buf)
	return Value{Kind: v.Kind, Text: buf[at:]}, buf, withheld, nil
}

func (n *Nested) decode(v Value) (text []byte, err error) {
	if v.Kind != String && v.Kind != Bytes {
		return nil, errNested
	}
	if n.codec == nil {
		return v.Text, nil
	}
	if bytes.ContainsAny(v.Text, "\r\n") {
		return nil, errNested // the codec would skip them
	}
	n.decoded, err = n.codec.AppendDecode(n.decoded[:0], v.Text)
	if err != nil {
		return nil, errNested
	}
	return n.decoded, nil
}

func (n *Nested) encode(dst []byte) []byte {
	if n.codec == nil {
		return append(dst, n.spliced...)
	}
	return n.codec.AppendEncode(dst, n.spliced)
}

// trim gives back the memory that only an unusual record needed.
func (n *Nested) trim(size int) {
	if size > maxNestedScratch || cap(n.spliced) > 8*maxNestedScratch {
		n.tape, n.decoded, n.spliced = Tape{}, nil, nil
	}
}
