package schemas

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// drawSchema draws a JSON Schema of the names and types that drawDoc draws, in ways
// that say less, the same or more than NewJSONSchema reads. Its definitions are a and b.
func drawSchema(t *rapid.T, depth int) any {
	word := func(m map[string]any) {
		names := []string{"a", "b", "c", "k"}
		sub := func() any { return drawSchema(t, depth-1) }
		subs := func() []any {
			return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return drawSchema(t, depth-1) }), 1, 2).Draw(t, "subs")
		}
		members := func() any {
			m := map[string]any{}
			for _, name := range names {
				if rapid.Bool().Draw(t, name) {
					m[name] = sub()
				}
			}
			return m
		}
		switch w := rapid.SampledFrom([]string{"type", "type", "types", "properties", "properties", "additionalProperties", "patternProperties", "items", "tuple", "prefixItems",
			"allOf", "anyOf", "oneOf", "$ref", "enum", "if", "not", "additionalItems", "propertyNames", "minimum"}).Draw(t, "word"); w {
		case "type":
			m[w] = rapid.SampledFrom(jsonTypeNames[:]).Draw(t, "type")
		case "types":
			m["type"] = []any{"null", rapid.SampledFrom(jsonTypeNames[1:]).Draw(t, "type")}
		case "properties":
			m[w] = members()
		case "additionalProperties", "items", "not", "additionalItems", "propertyNames":
			m[w] = sub()
		case "if":
			m[w], m["then"], m["else"] = sub(), sub(), sub()
		case "minimum":
			m[w] = 2
		case "patternProperties":
			m[w] = map[string]any{"^[ab]": sub()}
		case "tuple":
			m["items"] = subs()
		case "$ref":
			m[w] = "#/definitions/" + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "ref")
		case "enum":
			m[w] = []any{"x", 1, true, nil}
		default:
			m[w] = subs()
		}
	}
	if depth == 0 {
		return rapid.SampledFrom([]any{true, true, false, map[string]any{}, map[string]any{"type": "string"}, map[string]any{"type": "number"}}).Draw(t, "leaf")
	}
	m := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "words") {
		word(m)
	}
	return m
}

var drafts = map[string]string{"": "", "4": "http://json-schema.org/draft-04/schema#", "7": "http://json-schema.org/draft-07/schema#", "2020": "https://json-schema.org/draft/2020-12/schema"}

// A record that is one of its schema is treated as plain JSON is, whatever the draft;
// of one that is not, what is written still is a record of the derived schema.
func TestTypedRecordsHold(t *testing.T) {
	valid, invalid := 0, 0
	checkMore(t, func(rt *rapid.T) {
		draft := rapid.SampledFrom([]string{"", "4", "7", "2020"}).Draw(rt, "draft")
		doc := map[string]any{"definitions": map[string]any{"a": drawSchema(rt, 1), "b": drawSchema(rt, 1)}, "properties": map[string]any{"a": drawSchema(rt, 2), "c": drawSchema(rt, 3), "k": drawSchema(rt, 1)}}
		if draft != "" {
			doc["$schema"] = drafts[draft]
		}
		text, err := json.Marshal(doc)
		if err != nil {
			rt.Fatal(err)
		}
		input, ok := compiles(string(text), draft)
		if !ok {
			return // draft 4 has no boolean schemas, 2020 no tuples under items
		}
		upper := Action{Op: OpReplace, Via: upperText{}, Result: Type{Kind: String}}
		same := Action{Op: OpReplace, Via: sameValue{}, Result: Type{Kind: Any}}
		rules := drawPattern(rt, []Action{keep, keep, drop, upper, same, null, one, gated})
		l, p := projectWith(t, rules, func(paths []string) (Layout, error) { return NewJSONSchema(string(text), "", paths) })
		plain, q := project(t, rules)
		gates := uint32(rapid.IntRange(0, 1).Draw(rt, "gates"))
		in := drawRoot(rt).text()
		got, withheld, err := scanSplice(l, p, in, gates)
		want, asPlain, plainErr := scanSplice(plain, q, in, gates)
		if err != nil || plainErr != nil {
			return
		}
		if v := unmarshalled(rt, in); input.Validate(v) == nil {
			valid++
			if got != want || withheld != asPlain {
				rt.Fatalf("%v\n%s\n%s\ngives %s (%d)\nplain %s (%d)", rules, text, in, got, withheld, want, asPlain)
			}
		} else {
			invalid++
		}
		if err := compileSchema(rt, p.Schema()).Validate(unmarshalled(rt, got)); err != nil {
			rt.Fatalf("%v\n%s\n%s\ngives %s\nwhich is none of %s\n%v", rules, text, in, got, p.Schema(), err)
		}
	})
	if valid == 0 || invalid == 0 {
		t.Errorf("%d records of their schemas, %d others", valid, invalid)
	}
}

func unmarshalled(t *rapid.T, text string) any {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func compiles(text, draft string) (schema *jsonschema.Schema, ok bool) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, false
	}
	c := jsonschema.NewCompiler()
	if draft == "" {
		c.DefaultDraft(jsonschema.Draft7)
	}
	if err := c.AddResource("input.json", doc); err != nil {
		return nil, false
	}
	schema, err = c.Compile("input.json")
	return schema, err == nil
}

// What is kept under a type has that type: a value that the schema does not allow is
// withheld and counted, as one of another type that a treatment does not take. What is
// replaced may still be null, and where the treatment says of which type its result is,
// it may have been of any.
func TestValuesOfUndeclaredTypes(t *testing.T) {
	upper := Action{Op: OpReplace, Via: upperText{}, Result: Type{Kind: String}}
	const schema = `{"properties":{"s":{"type":"string"},"i":{"type":"integer"},"n":{"type":["number","null"]},"u":{"type":"string"},"t":{"type":"integer"},"d":{"type":"integer"},"o":{"type":"object"},"l":{"type":"array","items":{"type":"boolean"}},
		"m":{"additionalProperties":{"type":"string"}},"any":{},"e":{"enum":["x"]}}}`
	same := Action{Op: OpReplace, Via: sameValue{}, Result: Type{Kind: Any}}
	rules := []rule{{"t", upper}, {"d", same}, {"s", keep}, {"i", keep}, {"n", keep}, {"u", upper}, {"o", keep}, {"l[*]", keep}, {"m.*", keep}, {"m.*~key", keep}, {"any", keep}, {"e", keep}}
	l, p := projectWith(t, rules, func(paths []string) (Layout, error) { return NewJSONSchema(schema, "", paths) })
	for _, c := range []struct {
		in, want string
		withheld int
	}{
		{`{"s":"x","i":1,"n":1.5,"u":"u","o":{"x":1},"l":[true],"m":{"k":"v"},"any":1,"e":"x"}`, `{"s":"x","i":1,"n":1.5,"u":"U","o":{"x":1},"l":[true],"m":{"k":"v"},"any":1,"e":"x"}`, 0},
		{`{"s":1,"i":"1","n":"1","u":["u"],"o":[1],"l":[1,true,null],"m":{"k":1,"j":"v"},"any":{"x":1},"e":2}`, `{"l":[true],"m":{"j":"v"},"any":{"x":1},"e":2}`, 8},
		{`{"t":"x","d":1}`, `{"t":"X","d":1}`, 0}, {`{"t":null,"d":"x"}`, `{"t":null}`, 1}, {`{"d":null}`, `{"d":null}`, 0},
		{`{"s":{"canary":1},"i":true,"n":null,"u":null,"o":"canary"}`, `{"n":null,"u":null}`, 3},
		{`{"s":null,"i":1.0,"n":1e400}`, `{"i":1.0,"n":1e400}`, 1},
		{`{"i":1.5}`, `{}`, 1}, {`{"i":-1.50e1}`, `{"i":-1.50e1}`, 0}, {`{"i":1.55e1}`, `{}`, 1}, {`{"i":10e-1}`, `{"i":10e-1}`, 0}, {`{"i":10e-2}`, `{}`, 1}, {`{"i":0e-9}`, `{"i":0e-9}`, 0},
		{`{"i":1e99999999999999999999}`, `{"i":1e99999999999999999999}`, 0}, {`{"i":1e-99999999999999999999}`, `{}`, 1}, {`{"i":-0.0}`, `{"i":-0.0}`, 0},
	} {
		got, withheld, err := scanSplice(l, p, c.in, 0)
		if err != nil || got != c.want || withheld != c.withheld {
			t.Errorf("%s\ngives %s, %d, %v\nwant  %s, %d", c.in, got, withheld, err, c.want, c.withheld)
		}
	}
}

// Where what lies in some elements is kept with all the rest, whatever type it has, its
// type does not tell the elements that a predicate or an index chose from these.
func TestTypesTellNoElements(t *testing.T) {
	const schema = `{"properties":{"b":{"items":{"properties":{"k":{"type":"string"},"c":{"type":"string"},"o":{"properties":{"x":{"type":"string"}}}}}}}}`
	for _, c := range []struct {
		rules    []rule
		in, want string
	}{
		{[]rule{{"b[*]", keep}, {`b[k=="w"].c`, keep}, {"b[*].k", drop}}, `{"b":[{"k":"w","c":1},{"k":"x","c":1}]}`, `{"b":[{"c":1},{"c":1}]}`},
		{[]rule{{"b", keep}, {"b[0].c", keep}, {"b[*].k", keep}}, `{"b":[{"c":1},{"c":1}]}`, `{"b":[{"c":1},{"c":1}]}`},
		{[]rule{{"b[*]", keep}, {`b[k=="w"].o.x`, keep}, {"b[*].k", drop}}, `{"b":[{"k":"w","o":{"x":1}},{"k":"x","o":{"x":1}}]}`, `{"b":[{"o":{"x":1}},{"o":{"x":1}}]}`},
		{[]rule{{"b[*].c", keep}, {`b[k=="w"].c`, keep}}, `{"b":[{"k":"w","c":1},{"k":"x","c":1},{"c":"y"}]}`, `{"b":[{"c":"y"}]}`},
		{[]rule{{`b[k=="w"].c`, keep}, {"b[*].k", keep}}, `{"b":[{"k":"w","c":1},{"k":"x","c":1}]}`, `{"b":[{"k":"w"},{"k":"x"}]}`},
	} {
		l, p := projectWith(t, c.rules, func(paths []string) (Layout, error) { return NewJSONSchema(schema, "", paths) })
		got, _, err := scanSplice(l, p, c.in, 0)
		if err != nil || got != c.want {
			t.Errorf("%v: %s gives %s, %v, want %s", c.rules, c.in, got, err, c.want)
		}
		if v, err := jsonschema.UnmarshalJSON(strings.NewReader(got)); err != nil || compileSchema(t, p.Schema()).Validate(v) != nil {
			t.Errorf("%s is none of %s", got, p.Schema())
		}
	}
}

// sameValue is a treatment that leaves text text and numbers numbers.
type sameValue struct{}

func (sameValue) Apply(dst []byte, v Value) (Value, []byte, error) {
	if v.Kind != String && v.Kind != Number {
		return Value{}, dst, errors.New("neither")
	}
	return v, dst, nil
}

// What stands beside a $ref counts for nothing until draft 7, and since then as
// elsewhere; in a schema that does not say which draft it is, either may be meant.
func TestBesideRef(t *testing.T) {
	const f = `"definitions":{"d":{"type":["string","null"],"properties":{"x":{"type":"string"}}}},"properties":{"f":{"$ref":"#/definitions/d","type":["string","object"],"properties":{"x":{"type":"integer"},"y":{"type":"null"}},"allOf":[{"type":"string"}]}}}`
	for _, c := range []struct {
		draft   string
		f, x, y jsonTypes
	}{
		{`{"$schema":"http://json-schema.org/draft-04/schema#",`, typeString | typeNull, typeString, anyType},
		{`{"$schema":"http://json-schema.org/draft-07/schema#",`, typeString | typeNull, typeString, anyType},
		{`{"$schema":"https://json-schema.org/draft/2019-09/schema",`, typeString, 0, typeNull},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema",`, typeString, 0, typeNull},
		{`{"$schema":"https://example.org/own",`, typeString | typeNull, typeString, anyType},
		{`{`, typeString | typeNull, typeString, anyType},
	} {
		s, err := parseJSONSchema(c.draft + f)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]jsonTypes{"f": c.f, "f.x": c.x, "f.y": c.y} {
			if got, _ := s.types(mustPath(t, path)); got != want {
				t.Errorf("%s %s: %07b, want %07b", c.draft, path, got, want)
			}
		}
	}
}

// References of a schema with an $id of its own are within it (core, section 8.2.1), and
// are not followed: what they say is not what the same words say of the document.
func TestRefsBelowID(t *testing.T) {
	const ref = `"definitions":{"d":{"type":"integer"}},"properties":{"x":{"$ref":"#/definitions/d"},"y":{"type":"null"}}`
	for _, c := range []struct {
		draft, id string
		want      jsonTypes
	}{
		{"", `"$id":"https://example.org/other.json",`, anyType},
		{"", `"$id":"#/properties/a",`, typeString},
		{"", `"$id":"https://example.org/this.json#a",`, typeString},
		{"", `"id":"other.json",`, anyType},
		{drafts["4"], `"id":"other.json",`, anyType},
		{drafts["7"], `"id":"other.json",`, typeString},
		{"", "", typeString},
	} {
		draft := ""
		if c.draft != "" {
			draft = `"$schema":"` + c.draft + `",`
		}
		s, err := parseJSONSchema(`{` + draft + `"$id":"https://example.org/this.json","definitions":{"d":{"type":"string"}},"properties":{"id":{"$ref":"#/definitions/d"},"a":{` + c.id + ref + `}}}`)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]jsonTypes{"id": typeString, "a.x": c.want, "a.y": typeNull} {
			if got, _ := s.types(mustPath(t, path)); got != want {
				t.Errorf("%s %s %s: %07b, want %07b", c.draft, c.id, path, got, want)
			}
		}
	}
}

// What costs more than is followed may be anything, also where it is the last of what can
// stand at a position.
func TestTypesBeyondWork(t *testing.T) {
	heavy := strings.Repeat(`{},`, maxSchemaWork) + `{}`
	for _, more := range []string{`"allOf":[` + heavy + `],"anyOf":[{"type":"integer"}]`, `"anyOf":[{"allOf":[` + heavy + `],"oneOf":[{"type":"integer"}]}]`, `"allOf":[` + heavy + `]`} {
		s, err := parseJSONSchema(`{"oneOf":[{"properties":{"x":{"type":"string"}}},{"properties":{"x":{` + more + `}}}]}`)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := s.types(mustPath(t, "x")); got != anyType || !s.wide {
			t.Errorf("%.20s...: %07b", more, got)
		}
	}
}

// Types cost no memory.
func TestTypedRecordsAllocateNothing(t *testing.T) {
	l, p := projectWith(t, []rule{{"a", keep}, {"b", keep}, {"c", keep}}, func(paths []string) (Layout, error) {
		return NewJSONSchema(`{"properties":{"a":{"type":"integer"},"b":{"type":"integer"},"c":{"type":"string"}}}`, "", paths)
	})
	var tape Tape
	src, dst := []byte(`{"a":1,"b":15.0e-1,"c":1}`), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		if err := l.Scan(src, &tape); err != nil {
			t.Fatal(err)
		}
		if _, withheld, err := p.Splice(dst, src, &tape, 0); err != nil || withheld != 2 {
			t.Fatal(withheld, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
