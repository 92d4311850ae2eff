package eval

import (
	"encoding/json"

	"github.com/consentstream/consentstream/schemas"
)

// framedText turns the JSON of a line into a framed value and back.
type framedText interface {
	// encode frames a value; unfit says that it is not a value of the writer schema.
	encode(text []byte) (value []byte, unfit bool)
	// text shows an output.
	text(framed []byte) (json.RawMessage, error)
}

// jsonText is for streams with a JSON Schema, whose payload is the JSON itself.
type jsonText struct{}

func (jsonText) encode(text []byte) (value []byte, unfit bool) {
	return append(schemas.AppendFrame(nil, writerSchemaID), text...), false
}

func (jsonText) text(framed []byte) (json.RawMessage, error) {
	_, payload, f := schemas.ParseFrame(framed)
	if f != nil {
		return nil, f
	}
	return payload, nil
}
