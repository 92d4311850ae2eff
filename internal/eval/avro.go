package eval

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// avroText turns Avro's JSON encoding (Avro 1.12, "JSON Encoding") into framed
// binary and back. In that encoding a logical type is what it stands for, and
// a union's branch is named by its type alone ({"int": 5822}); goavro would
// name it {"int.date": 5822}, which is accepted too.
// Maps keep their order (avro_maps.go).
type avroText struct {
	in     []*goavro.Codec // by preference
	inMaps *avroShape
	out    map[int]avroOutput
}

// avroOutput shows the values of one output schema.
type avroOutput struct {
	schema *avro.Schema
	maps   *avroShape
}

func newAvroText(schema string, outputs []engine.OutputSchema) (*avroText, error) {
	a := &avroText{out: map[int]avroOutput{}}
	for _, text := range []string{physical(schema), schema} {
		text, a.inMaps = withoutMaps(text)
		codec, err := goavro.NewCodec(text)
		if err != nil {
			return nil, errors.New("the writer schema does not parse as Avro")
		}
		a.in = append(a.in, codec)
	}
	for _, o := range outputs {
		text, maps := withoutMaps(physical(o.Schema))
		s, err := avro.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("the derived schema of %s does not parse: %w", o.Topic, err)
		}
		a.out[o.SchemaID] = avroOutput{s, maps}
	}
	return a, nil
}

// physical is a schema without its logical types: the binary is the same.
func physical(schema string) string {
	d := json.NewDecoder(bytes.NewReader([]byte(schema)))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return schema
	}
	stripLogical(v)
	text, err := json.Marshal(v)
	if err != nil {
		return schema
	}
	return string(text)
}

func stripLogical(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			stripLogical(x)
		}
	case map[string]any:
		delete(v, "logicalType")
		for name, x := range v {
			if name != "default" { // data, not a schema
				stripLogical(x)
			}
		}
	}
}

// encode turns a value in Avro's JSON encoding into framed binary. unfit says
// that it is not a value of the writer schema; there are no bytes then.
func (a *avroText) encode(text []byte) (value []byte, unfit bool) {
	text = a.inMaps.fold(text)
	for _, codec := range a.in {
		native, rest, err := codec.NativeFromTextual(text)
		if err != nil || len(trimSpace(rest)) > 0 {
			continue
		}
		if value, err = codec.BinaryFromNative(schemas.AppendFrame(nil, writerSchemaID), native); err == nil {
			return value, false
		}
	}
	return []byte{}, true
}

// text renders an output value for people, its members in the schema's order.
func (a *avroText) text(framed []byte) (json.RawMessage, error) {
	id, payload, f := schemas.ParseFrame(framed)
	if f != nil {
		return nil, f
	}
	out := a.out[id]
	if out.schema == nil {
		return nil, errors.New("an output has a schema that was not derived here")
	}
	var v any
	if rest, err := out.schema.Decode(payload, &v); err != nil || len(rest) > 0 {
		return nil, errors.New("an output does not decode under its derived schema")
	}
	text, err := out.schema.EncodeJSON(v, avro.TaggedUnions())
	if err != nil {
		return nil, errors.New("an output cannot be shown as JSON")
	}
	return out.maps.unfold(text), nil
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}
