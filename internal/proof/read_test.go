package proof

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// reader reads what a purpose gets as its consumers do.
type reader struct {
	w    *world
	text map[string]string // the derived schemas, by purpose
	avro map[string]*avro.Schema
	json map[string]*jsonschema.Schema
	in   *jsonschema.Schema // of the records; nil: there is none
	read int                // outputs that were compared with their schema
}

func (w *world) reader(t *rapid.T) *reader {
	r := &reader{w: w, text: map[string]string{}, avro: map[string]*avro.Schema{}, json: map[string]*jsonschema.Schema{}}
	outputs := w.rig.stream.PlainJSON()
	if w.stream.Format.Framed() {
		plan, err := w.rig.stream.Plan(3, w.writer)
		if err != nil {
			t.Fatal(err)
		}
		outputs = plan.Outputs()
	}
	for _, o := range outputs {
		r.text[o.Purpose] = o.Schema
		if strings.Contains(o.Schema, "canary") {
			t.Fatalf("%s\nshows what stands in %s", o.Schema, w.writer)
		}
		var err error
		if w.stream.Format == schemas.Avro {
			r.avro[o.Purpose], err = avro.Parse(o.Schema)
		} else {
			r.json[o.Purpose], err = compileSchema(o.Schema)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, o.Schema)
		}
	}
	if w.stream.Format == schemas.JSONSchema {
		r.in, _ = compileSchema(w.writer)
	}
	return r
}

func compileSchema(text string) (*jsonschema.Schema, error) {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", v); err != nil {
		return nil, err
	}
	return c.Compile("schema.json")
}

// holds reports whether a text is what a schema says.
func holds(s *jsonschema.Schema, text []byte) bool {
	if s == nil {
		return false
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	return err == nil && s.Validate(v) == nil
}

// fine reports whether an output of a record can be read to its end by its schema.
func (r *reader) fine(in *record, o *engine.Output) bool {
	switch r.w.stream.Format {
	case schemas.Avro:
		_, payload, fault := schemas.ParseFrame(o.Value)
		rest, err := r.avro[o.Purpose].Decode(payload, new(any))
		r.read++
		return fault == nil && err == nil && len(rest) == 0
	case schemas.JSONSchema:
		_, payload, fault := schemas.ParseFrame(o.Value)
		fine := fault == nil && jsontext.Value(payload).IsValid() && holds(r.json[o.Purpose], payload)
		if _, was, _ := schemas.ParseFrame(in.Value); holds(r.in, was) {
			r.read++ // of others too, but these must not be few
		}
		return fine
	}
	r.read++
	return jsontext.Value(o.Value).IsValid() && holds(r.json[o.Purpose], o.Value)
}

// Whatever a purpose gets, others read as we meant it: by the derived schema, to the
// last byte, with no name twice; and that schema has no text of the input's but names
// and types.
func TestOutputsAreRead(t *testing.T) {
	t.Parallel()
	read := 0
	for _, format := range []schemas.Format{schemas.JSON, schemas.JSONSchema, schemas.Avro} {
		rapid.Check(t, func(rt *rapid.T) {
			w := drawWorld(rt, format, false)
			d, r := &drawer{T: rt, format: valuesOf(format)}, w.reader(rt)
			for range pairsEach {
				in := w.drawRecord(d)
				err := w.decide(in.Input, func(it *engine.Item) {
					for i := range it.Outputs {
						if o := &it.Outputs[i]; !r.fine(&in, o) {
							rt.Fatalf("%q cannot be read as\n%s\nof %s\n%s", o.Value, r.text[o.Purpose], in.describe(), w.describe(0))
						}
					}
				})
				if err != nil {
					rt.Fatal(err)
				}
			}
			read += r.read
		})
	}
	t.Logf("%d outputs compared with their schema", read)
	if read < 200 {
		t.Errorf("only %d outputs were compared with their schema", read)
	}
}
