package eval

import (
	"bytes"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// The entries of maps keep their order, wherever the maps are, and come back as
// they were (promise P12). A map beside an array in a union has none.
func TestAvroMaps(t *testing.T) {
	for name, tt := range map[string]struct{ field, value string }{
		"a map":                     {`{"type":"map","values":"int"}`, `{"d":1,"a":2,"c":3,"b":4,"<":5}`},
		"empty":                     {`{"type":"map","values":"int"}`, `{}`},
		"of maps":                   {`{"type":"map","values":{"type":"map","values":"string"}}`, `{"z":{"b":"1","a":"2"},"y":{},"x":{"d":"3","c":"4"}}`},
		"nullable":                  {`["null",{"type":"map","values":"int"}]`, `{"map":{"d":1,"a":2,"c":3,"b":4}}`},
		"null":                      {`["null",{"type":"map","values":"int"}]`, `null`},
		"of unions":                 {`{"type":"map","values":["null","int"]}`, `{"d":null,"a":{"int":2},"c":null}`},
		"in an array":               {`{"type":"array","items":{"type":"map","values":"int"}}`, `[{"d":1,"a":2,"c":3},{},{"c":1,"a":1}]`},
		"of records of a namespace": {`{"type":"map","values":{"type":"record","name":"Q","namespace":"q","fields":[{"name":"m","type":{"type":"map","values":"int"}},{"name":"q","type":["null","Q"]}]}}`, `{"d":{"m":{"y":1,"x":2},"q":{"q.Q":{"m":{"d":1,"c":2,"b":3},"q":null}}},"a":{"m":{},"q":null}}`},
		"a name of before":          {`{"type":"map","values":"n.E"}`, `{"d":"A","a":"A","c":"A"}`},
	} {
		schema := `{"type":"record","name":"R","namespace":"n","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"v","type":` + tt.field + `}]}`
		a, err := newAvroText(schema, []engine.OutputSchema{{SchemaID: writerSchemaID, Schema: schema}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := `{"e":"A","v":` + tt.value + `}`
		value, unfit := a.encode([]byte(text))
		for range 10 {
			if again, _ := a.encode([]byte(text)); !bytes.Equal(again, value) {
				t.Fatalf("%s: other bytes", name)
			}
		}
		layout, err := schemas.NewAvro(schema, nil)
		if err != nil {
			t.Fatal(err)
		}
		var tape schemas.Tape
		if err := layout.Scan(value[5:], &tape); unfit || err != nil {
			t.Errorf("%s: unfit %v, our scanner says %v", name, unfit, err)
		}
		if got, err := a.text(value); string(got) != text || err != nil {
			t.Errorf("%s: %s comes back as %s, %v", name, text, got, err)
		}
	}
}

// An entry twice is what it is on a topic, not the last of them.
func TestAvroMapTwice(t *testing.T) {
	schema := `{"type":"record","name":"R","fields":[{"name":"v","type":{"type":"map","values":"int"}}]}`
	a, err := newAvroText(schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := schemas.NewAvro(schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	value, unfit := a.encode([]byte(`{"v":{"a":1,"a":2}}`))
	var tape schemas.Tape
	if err := layout.Scan(value[5:], &tape); unfit || err == nil {
		t.Errorf("unfit %v, the scanner says %v", unfit, err)
	}
}

// A map in a union with an array still comes and goes.
func TestAvroMapBesideArray(t *testing.T) {
	schema := `{"type":"record","name":"R","fields":[{"name":"v","type":[{"type":"array","items":"int"},{"type":"map","values":{"type":"map","values":"int"}}]}]}`
	a, err := newAvroText(schema, []engine.OutputSchema{{SchemaID: writerSchemaID, Schema: schema}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`{"v":{"array":[1,2]}}`, `{"v":{"map":{"a":{"y":1,"x":2}}}}`} {
		value, unfit := a.encode([]byte(text))
		if got, err := a.text(value); unfit || string(got) != text || err != nil {
			t.Errorf("%s comes back as %s, unfit %v, %v", text, got, unfit, err)
		}
	}
}
