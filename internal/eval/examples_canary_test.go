package eval_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// canary is a value that no rule classifies.
const canary = "CANARY-4711"

// withCanary adds a member to every object of the records' values that is not a map,
// and a header; in Avro a field to every record of the schema.
func (j exampleJob) withCanary(t *testing.T) exampleJob {
	t.Helper()
	var out strings.Builder
	for row := range strings.Lines(j.records) {
		var rec map[string]any
		d := json.NewDecoder(strings.NewReader(row))
		d.UseNumber()
		if err := d.Decode(&rec); err != nil {
			t.Fatal(err)
		}
		if j.wiring.Format == schemas.Avro {
			var schema any
			if err := json.Unmarshal([]byte(j.wiring.Schema), &schema); err != nil {
				t.Fatal(err)
			}
			avroCanary(schema, rec["value"])
		} else if rec["value"] != nil {
			var value struct{ Value json.RawMessage }
			if err := json.Unmarshal([]byte(row), &value); err != nil {
				t.Fatal(err)
			}
			rec["value"] = json.RawMessage(j.jsonCanary(t, value.Value))
		}
		headers, _ := rec["headers"].(map[string]any)
		if headers == nil {
			headers = map[string]any{}
		}
		headers["zz-canary"], rec["headers"] = canary, headers
		out.WriteString(asJSON(t, rec) + "\n")
	}
	j.records = out.String()
	if j.wiring.Format == schemas.Avro {
		j.wiring.Schema = canarySchema(t, j.wiring.Schema)
	}
	return j
}

// jsonCanary keeps the order of members, which is that of the output.
func (j exampleJob) jsonCanary(t *testing.T, value []byte) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var out bytes.Buffer
	var path schemas.Path
	var walk func()
	scalar := func(v any) { out.WriteString(asJSON(t, v)) }
	next := func() json.Token {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	walk = func() {
		tok := next()
		delim, container := tok.(json.Delim)
		if !container {
			scalar(j.textCanary(t, tok))
			return
		}
		out.WriteRune(rune(delim))
		for n := 0; d.More(); n++ {
			if n > 0 {
				out.WriteByte(',')
			}
			step := schemas.Step{Kind: schemas.StepIndex, Index: n}
			if delim == '{' {
				step = schemas.Step{Kind: schemas.StepMember, Name: next().(string)}
				scalar(step.Name)
				out.WriteByte(':')
			}
			path = append(path, step)
			walk()
			path = path[:len(path)-1]
		}
		if delim == '{' && !j.isMap(path) {
			if out.Bytes()[out.Len()-1] != '{' {
				out.WriteByte(',')
			}
			out.WriteString(`"zz_canary":"` + canary + `"`)
		}
		out.WriteRune(rune(next().(json.Delim)))
	}
	walk()
	return out.Bytes()
}

// textCanary is a scalar, with the member in it where it is a text of JSON.
func (j exampleJob) textCanary(t *testing.T, v any) any {
	t.Helper()
	text, _ := v.(string)
	inner, err := base64.StdEncoding.DecodeString(text)
	switch {
	case strings.HasPrefix(text, "{"):
		return string(j.jsonCanary(t, []byte(text)))
	case err == nil && bytes.HasPrefix(inner, []byte("{")):
		return base64.StdEncoding.EncodeToString(j.jsonCanary(t, inner))
	}
	return v
}

// isMap reports whether a rule classifies the names of the object's members: another
// one is no new field then.
func (j exampleJob) isMap(path schemas.Path) bool {
	if j.wiring.Split != "" {
		split, _ := schemas.ParsePath(j.wiring.Split)
		path = path[min(len(split), len(path)):]
	}
	keys := append(slices.Clone(path), schemas.Step{Kind: schemas.StepAnyMember}, schemas.Step{Kind: schemas.StepKey})
	return slices.ContainsFunc(j.wiring.Fields, func(f engine.FieldRule) bool {
		p, err := schemas.ParsePath(f.Path)
		return err == nil && len(p) == len(keys) && p.Covers(keys)
	})
}

// canarySchema gives every record of an Avro schema one more field.
func canarySchema(t *testing.T, text string) string {
	t.Helper()
	var schema any
	if err := json.Unmarshal([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	records(schema, func(record map[string]any) {
		record["fields"] = append(record["fields"].([]any), map[string]any{"name": "zz_canary", "type": "string"})
	})
	b, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// records visits the definitions of records in a schema.
func records(schema any, visit func(map[string]any)) {
	switch s := schema.(type) {
	case []any:
		for _, branch := range s {
			records(branch, visit)
		}
	case map[string]any:
		for _, inner := range []string{"type", "items", "values"} {
			records(s[inner], visit)
		}
		fields, _ := s["fields"].([]any)
		for _, f := range fields {
			records(f.(map[string]any)["type"], visit)
		}
		if s["type"] == "record" {
			visit(s)
		}
	}
}

// avroCanary gives every record of a value in Avro's JSON encoding the field of
// canarySchema. It knows a record by its fields: the names of types are not needed.
func avroCanary(schema, value any) {
	var kinds []map[string]any
	records(schema, func(r map[string]any) { kinds = append(kinds, r) })
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
			if slices.ContainsFunc(kinds, func(r map[string]any) bool { return sameFields(r, v) }) {
				v["zz_canary"] = canary
			}
		}
	}
	walk(value)
}

func sameFields(record, value map[string]any) bool {
	fields := record["fields"].([]any)
	for _, f := range fields {
		if _, ok := value[f.(map[string]any)["name"].(string)]; !ok {
			return false
		}
	}
	return len(fields) == len(value)
}
