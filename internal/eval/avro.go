package eval

import (
	"encoding/json"
	"errors"

	"github.com/consentstream/consentstream/schemas"
)

// encode turns a value in Avro's JSON encoding into framed binary. unfit says
// that it is no value of the writer schema; the bytes are then not to be used.
func (a *avroText) encode(text []byte) (framed []byte, unfit bool) {
	native, rest, err := a.in.NativeFromTextual(text)
	if err != nil || len(trimSpace(rest)) > 0 {
		return []byte{}, true
	}
	framed, err = a.in.BinaryFromNative(schemas.AppendFrame(nil, writerSchemaID), native)
	if err != nil {
		return []byte{}, true
	}
	return framed, false
}

// text renders an output value for people.
func (a *avroText) text(framed []byte) (json.RawMessage, error) {
	id, payload, f := schemas.ParseFrame(framed)
	if f != nil {
		return nil, f
	}
	codec := a.out[id]
	if codec == nil {
		return nil, errors.New("an output has a schema that was not derived here")
	}
	native, _, err := codec.NativeFromBinary(payload)
	if err != nil {
		return nil, errors.New("an output does not decode under its derived schema")
	}
	text, err := codec.TextualFromNative(nil, native)
	if err != nil {
		return nil, errors.New("an output cannot be shown as JSON")
	}
	return text, nil
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}
