package reference

import (
	"encoding/binary"
	"errors"
)

// Decode reads a payload without its frame. It must be well-formed.
func (a *Avro) Decode(payload []byte) (map[string]any, error) {
	native, rest, err := a.reader.NativeFromBinary(payload)
	if err != nil || len(rest) > 0 {
		return nil, errors.New("goavro does not take the record")
	}
	return native.(map[string]any), nil
}

// Encode writes the purpose's value under the registered schema id.
func (a *Avro) Encode(native map[string]any, id uint32, heard voices) ([]byte, error) {
	a.heard = heard
	out, err := a.fields(a.root, native)
	if err != nil {
		return nil, err
	}
	return a.writer.BinaryFromNative(binary.BigEndian.AppendUint32([]byte{0}, id), out)
}

func (a *Avro) fields(s *avroShape, native map[string]any) (map[string]any, error) {
	out := map[string]any{}
	for _, f := range s.fields {
		if f.shape.op == "drop" {
			continue
		}
		v, err := a.value(f.shape, native[f.name])
		if err != nil {
			return nil, err
		}
		out[f.name] = v
	}
	return out, nil
}

// value treats one position; goavro's union is a map of type name to value.
func (a *Avro) value(s *avroShape, native any) (any, error) {
	union, nullable := s.made.([]any)
	if s.op == "constant" {
		return a.constant(s), nil
	}
	if s.nullable {
		if native == nil {
			return nil, nil
		}
		for _, v := range native.(map[string]any) {
			native = v
		}
	}
	if s.op == "null" || !a.shown(s) {
		return nil, nil
	}
	var out any
	var err error
	switch s.kind {
	case "record":
		out, err = a.fields(s, native.(map[string]any))
	case "array":
		out, err = a.array(s, native.([]any))
	default:
		out, err = a.scalar(s, native)
	}
	if err != nil || !nullable {
		return out, err
	}
	return a.inUnion(union, out), nil
}

// inUnion is goavro's value in a union with null.
func (a *Avro) inUnion(union []any, v any) any {
	base := union[0]
	if base == "null" {
		base = union[1]
	}
	return map[string]any{a.branch(base): v}
}

// constant is there whatever the input, but behind a closed gate.
func (a *Avro) constant(s *avroShape) any {
	v := s.scalar.constant(s.treat.Params["value"]).native()
	union, nullable := s.made.([]any)
	switch {
	case !nullable:
		return v
	case a.open(s):
		return a.inUnion(union, v)
	}
	return nil
}

func (a *Avro) open(s *avroShape) bool {
	return a.heard.open(a.view.stream.about(s.path), a.view.stream.main(), s.treat)
}

// shown says that something of a position is there, where the input has it.
func (a *Avro) shown(s *avroShape) bool {
	if s.follow {
		return true
	}
	if s.items != nil {
		return a.shown(s.items)
	}
	for _, f := range s.fields {
		if a.shown(f.shape) {
			return true
		}
	}
	return s.op == "value" && a.open(s)
}

// branch is goavro's name for a type in a union.
func (a *Avro) branch(base any) string {
	m, ok := base.(map[string]any)
	if !ok {
		return base.(string)
	}
	if name, ok := m["name"].(string); ok {
		return a.schema.(map[string]any)["namespace"].(string) + "." + name
	}
	return m["type"].(string)
}

func (a *Avro) array(s *avroShape, items []any) (any, error) {
	out := []any{}
	for _, item := range items {
		v, err := a.value(s.items, item)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// errNoResult says that a treatment does not take a value.
var errNoResult = errors.New("no result for the value")

func (a *Avro) scalar(s *avroShape, native any) (any, error) {
	if s.treat.Name == "keep" {
		return native, nil
	}
	out, ok := a.view.treat(a.view.field(s.path), s.scalar.of(native), s.treat, a.heard)
	if !ok {
		return nil, errNoResult
	}
	return out.native(), nil
}
