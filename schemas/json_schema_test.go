package schemas

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

const orderSchema = `{"$schema":"http://json-schema.org/draft-07/schema#","title":"Order","type":"object",
 "definitions":{"address":{"type":"object","properties":{"city":{"type":"string","description":"secret words"},"zip":{"type":["string","null"]}}},
  "loop":{"properties":{"next":{"$ref":"#/definitions/loop"},"v":{"type":"integer"}}},"a/b":{"type":"boolean"}},
 "properties":{"id":{"type":"integer"},"price":{"type":"number"},"note":{"type":["string","null"],"default":"secret"},
  "ship":{"$ref":"#/definitions/address"},"bill":{"allOf":[{"$ref":"#/definitions/address"},{"properties":{"vat":{"type":"string"}}}]},
  "pay":{"oneOf":[{"type":"null"},{"type":"object","properties":{"card":{"type":"string"}}},{"type":"object","properties":{"iban":{"type":"string"}},"additionalProperties":false}]},
  "lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"n":{"type":"integer"}}}},
  "pair":{"type":"array","items":[{"type":"string"},{"type":"integer"}]},
  "attrs":{"type":"object","additionalProperties":{"type":"string"}},"closed":{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false},
  "loop":{"$ref":"#/definitions/loop"},"flag":{"$ref":"#/definitions/a~1b"},"far":{"$ref":"other.json#/x"},"both":{"type":["integer","string"]},
  "tags":{"type":"array","items":{"type":"string"}},"pattern":{"patternProperties":{"^x":{"type":"string"}}}}}`

func TestJSONSchemaTypes(t *testing.T) {
	s, err := parseJSONSchema(orderSchema)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path     string
		want     jsonTypes
		declared bool
	}{
		{"id", typeInteger, true}, {"price", typeNumber | typeInteger, true}, {"note", typeString | typeNull, true}, {"ship.city", typeString, true},
		{"ship.zip", typeString | typeNull, true}, {"ship.none", anyType, false}, {"bill.city", typeString, true}, {"bill.vat", typeString, true},
		{"pay.card", anyType, true}, {"pay.iban", anyType, true}, {"pay", typeObject | typeNull, true}, {"lines[*].sku", typeString, true},
		{"lines[3].n", typeInteger, true}, {`lines[sku=="x"].n`, typeInteger, true}, {"pair[0]", anyType, true}, {"attrs.*", typeString, true}, {"attrs.x", typeString, true},
		{"attrs.*~key", typeString, true}, {"closed.a", typeString, true}, {"closed.b", anyType, false}, {"loop.next.next.next.v", typeInteger, true},
		{"flag", typeBoolean, true}, {"far", anyType, true}, {"far.x", anyType, false}, {"both", typeInteger | typeString, true}, {"nothing", anyType, false},
		{"**.sku", anyType, false}, {"pattern.x1", anyType, true}, {"pattern.*~key", anyType, true}, {"id.x", anyType, false},
	} {
		got, declared := s.types(mustPath(t, tt.path))
		if got != tt.want || declared != tt.declared {
			t.Errorf("%s: %07b, declared %v; want %07b, %v", tt.path, got, declared, tt.want, tt.declared)
		}
	}
}

// What a schema declares is listed, also where a wiring names none of it.
func TestDeclared(t *testing.T) {
	paths := func(schema, of string) (out []string) {
		nodes, err := Declared(schema, of)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			out = append(out, n.Path)
		}
		return out
	}
	want := strings.Fields(`attrs.*~key attrs.* bill.city bill.vat bill.zip both closed.a far flag id lines[*].n lines[*].sku loop.next loop.v note pair[*]
		pattern.*~key pattern.* pay.card pay.iban price ship.city ship.zip tags[*]`)
	if got := paths(orderSchema, ""); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := paths(orderSchema, "lines[*]"); !slices.Equal(got, []string{"n", "sku"}) {
		t.Errorf("%q", got)
	}
	for _, schema := range []string{`{}`, `{"$ref":"#"}`, `{"additionalProperties":true}`, `{"properties":{}}`} {
		if got := paths(schema, ""); len(got) > 0 {
			t.Errorf("%s: %q", schema, got)
		}
	}
	if got := paths(`{"properties":{"a.b":{"items":{"$ref":"#"}},"c":{"type":"string"}}}`, ""); !slices.Equal(got, []string{`"a.b"[*]`, "c"}) {
		t.Errorf("%q", got)
	}
	many := `{"properties":{"a":{"anyOf":[` + strings.Repeat(`{"properties":{"x":{"$ref":"#"},"y":{"$ref":"#"}}},`, 20) + `{}]}}}`
	if got := paths(many, ""); len(got) == 0 || len(got) > maxDeclared {
		t.Errorf("%d positions", len(got))
	}
}

// As many kinds of events as a topic may have are told apart; of more nothing is said,
// and that is known.
func TestAlternatives(t *testing.T) {
	kinds := func(n int) string {
		return `{"oneOf":[` + strings.Repeat(`{"properties":{"a":{"properties":{"x":{"type":"integer"}}},"b":{"oneOf":[{},{"type":"string"}]}}},`, n-1) + `{}]}`
	}
	inner := `{"properties":{"a":` + kinds(maxSchemaAlternatives+1) + `}}`
	for _, c := range []struct {
		schema, path, at string
		wide             bool
	}{
		{kinds(maxSchemaAlternatives), "a.x", "", false}, {kinds(maxSchemaAlternatives + 1), "a.x", "", true},
		{kinds(maxSchemaAlternatives / 2), "b", "", false}, {kinds(maxSchemaAlternatives), "b", "b", true},
		{inner, "b", "", false}, {inner, "a.b", "a", true},
	} {
		at, wide, err := TooWide(c.schema, c.path)
		if err != nil || at != c.at || wide != c.wide {
			t.Errorf("%s of %.40s: %q, %v, %v", c.path, c.schema, at, wide, err)
		}
	}
	s, err := parseJSONSchema(strings.Replace(kinds(maxSchemaAlternatives), "{}]}", `{"properties":{"a":{"properties":{"x":{"type":"string"}}}}}]}`, 1))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := s.types(mustPath(t, "a.x")); got != typeInteger|typeString {
		t.Errorf("types %07b", got)
	}
	if _, _, err := TooWide("x", "a"); err == nil {
		t.Error("no schema")
	}
	if _, _, err := TooWide("{}", "a..b"); err == nil {
		t.Error("no path")
	}
}

// A schema that nobody means costs no more than the bound.
func TestWideSchemaIsBounded(t *testing.T) {
	text := `{"allOf":[` + strings.Repeat(`{"properties":{"a":{"$ref":"#"}}},`, 20_000) + `{"anyOf":[` + strings.Repeat("{},", 99) + `{}]}]}`
	s, err := parseJSONSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := s.types(mustPath(t, "a.a.a")); got != anyType || !s.wide || s.work > 2*maxSchemaWork {
		t.Errorf("types %07b, wide %v after %d", got, s.wide, s.work)
	}
}

func TestParseJSONSchemaRefuses(t *testing.T) {
	for _, text := range []string{"", "true", "[]", `"x"`, `{"a":1,"a":2}`, "{", `{} {}`, strings.Repeat(`{"a":`, 99), `{"x":"` + strings.Repeat("x", maxJSONSchema) + `"}`} {
		if l, err := NewJSONSchema(text, "", nil); err == nil {
			t.Errorf("%.20s gives %v", text, l)
		}
	}
	for _, text := range []string{`{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}`, `{"$ref":"#"}`, `{"allOf":[{"$ref":"#"},{"$ref":"#"}]}`, `{"anyOf":[` + strings.Repeat(`{"properties":{"a":{"$ref":"#"}}},`, 99) + `{}]}`} {
		s, err := parseJSONSchema(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := s.types(mustPath(t, "a.a.a.a.a.a")); got != anyType {
			t.Errorf("%.40s: %07b", text, got)
		}
	}
}

func TestDeriveJSONSchema(t *testing.T) {
	text := func(a Action, k Kind) Action { a.Result = Type{Kind: k}; return a }
	number := Action{Op: OpConst, Via: fixedValue{Value{Kind: Number, Text: []byte("1.5")}}}
	for _, tt := range []struct {
		rules []rule
		want  string // after the draft
	}{
		{[]rule{{"id", keep}, {"price", keep}, {"note", null}, {"gone", drop}}, `"type":"object","properties":{"id":{"type":"integer"},"price":{"type":"number"},"note":{"type":"null"}},"additionalProperties":false`},
		{[]rule{{"id", gated}, {"note", text(replace, String)}, {"n", number}}, `"type":"object","properties":{"id":{"type":["null","integer"]},"note":{"type":["null","string"]},"n":{"type":"number"}},"additionalProperties":false`},
		{[]rule{{"id", text(replace, Any)}, {"note", text(replace, Any)}, {"other", text(replace, Any)}, {"price", text(replace, Number)}}, `"type":"object","properties":{"id":{"type":["null","integer"]},"note":{"type":["null","string"]},"other":{"type":["null","number","string"]},"price":{"type":["null","number"]}},"additionalProperties":false`},
		{[]rule{{"ship", keep}, {"ship.city", drop}}, `"type":"object","properties":{"ship":{"type":"object","properties":{},"additionalProperties":true}},"additionalProperties":false`},
		{[]rule{{"ship.city", null}, {"id", keep}}, `"type":"object","properties":{"ship":{"type":"null"},"id":{"type":"integer"}},"additionalProperties":false`},
		{[]rule{{"ship", keep}}, `"type":"object","properties":{"ship":{"type":"object"}},"additionalProperties":false`},
		{[]rule{{"ship.city", gated}}, `"type":"object","properties":{"ship":{"type":["null","object"],"properties":{"city":{"type":["null","string"]}},"additionalProperties":false}},"additionalProperties":false`},
		{[]rule{{"lines[*].sku", keep}, {"lines[0].n", keep}}, `"type":"object","properties":{"lines":{"type":"array","items":{"anyOf":[{"type":"object","properties":{"sku":{"type":"string"}},"additionalProperties":false},{"type":"object","properties":{"sku":{"type":"string"},"n":{"type":"integer"}},"additionalProperties":false}]}}},"additionalProperties":false`},
		{[]rule{{"attrs.*", keep}, {"attrs.*~key", replace}, {"attrs.id", keep}}, `"type":"object","properties":{"attrs":{"type":"object","properties":{"id":{"type":"string"}},"additionalProperties":{"type":"string"}}},"additionalProperties":false`},
		{[]rule{{"tags[*]", null}}, `"type":"object","properties":{"tags":{"type":"null"}},"additionalProperties":false`},
		{[]rule{{"unknown", keep}}, `"type":"object","properties":{"unknown":{}},"additionalProperties":false`},
		{[]rule{{"**.sku", keep}, {"id", keep}}, `"type":["array","object"]`},
		{nil, `"type":"object","properties":{},"additionalProperties":false`},
	} {
		_, p := projectWith(t, tt.rules, func(paths []string) (Layout, error) { return NewJSONSchema(orderSchema, "", paths) })
		want := "{" + jsonSchemaDraft + "," + tt.want + "}"
		if p.Schema() != want {
			t.Errorf("%v:\ngives %s\nwant  %s", tt.rules, p.Schema(), want)
		}
		if strings.Contains(p.Schema(), "secret") {
			t.Error("text of the input's schema")
		}
		if _, plain := project(t, tt.rules); plain.Schema() != "" {
			t.Error("plain JSON has no schema of its own")
		}
	}
}

// What is written is a record of the derived schema, whatever the paths; the
// schema is one for an independent reader, and is the same each time.
func TestDerivedJSONSchemaHolds(t *testing.T) {
	valid := 0
	rapid.Check(t, func(rt *rapid.T) {
		upper := Action{Op: OpReplace, Via: upperText{}, Result: Type{Kind: String}}
		rules := drawPattern(rt, []Action{keep, keep, drop, upper, null, one, gated})
		l, p := project(t, rules)
		text, _ := DeriveJSONSchema(p)
		if _, again := project(t, rules); again != nil {
			if other, _ := DeriveJSONSchema(again); other != text {
				rt.Fatalf("%s\nand %s", text, other)
			}
		}
		schema := compileSchema(rt, text)
		gates := uint32(rapid.IntRange(0, 1).Draw(rt, "gates"))
		in := drawRoot(rt).text()
		got, _, err := scanSplice(l, p, in, gates)
		if err != nil {
			return
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(got))
		if err != nil {
			rt.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			rt.Fatalf("%v\n%s\ngives %s\nwhich is none of %s\n%v", rules, in, got, text, err)
		}
		valid++
	})
	if valid == 0 {
		t.Error("nothing was validated")
	}
}

func compileSchema(t interface{ Fatalf(string, ...any) }, text string) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("derived.json", doc); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	schema, err := c.Compile("derived.json")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return schema
}

// Where a schema allows no type at all, nothing goes out, as the derived one says.
func TestDeriveImpossible(t *testing.T) {
	const schema = `{"properties":{"x":{"type":"string","allOf":[{"type":"integer"}]},"y":{"type":"string"}}}`
	l, p := projectWith(t, []rule{{"x", keep}, {"y", keep}}, func(paths []string) (Layout, error) { return NewJSONSchema(schema, "", paths) })
	got, withheld, err := scanSplice(l, p, `{"x":"a","y":"b"}`, 0)
	if want := `"properties":{"y":{"type":"string"}}`; !strings.Contains(p.Schema(), want) || got != `{"y":"b"}` || withheld > 1 || err != nil {
		t.Errorf("%s, %d, %v by %s, want %s", got, withheld, err, p.Schema(), want)
	}
}

func TestCompatibleJSON(t *testing.T) {
	upper := Action{Op: OpReplace, Via: upperText{}, Result: Type{Kind: String}}
	for _, tt := range []struct {
		old, now []rule
		want     []string
	}{
		{[]rule{{"id", keep}}, []rule{{"id", keep}}, nil},
		{[]rule{{"id", keep}, {"price", keep}}, []rule{{"id", keep}}, nil},
		{[]rule{{"id", keep}}, []rule{{"id", keep}, {"ship.city", keep}}, []string{"would newly see ship (object)"}},
		{[]rule{{"ship.city", keep}}, []rule{{"ship.city", keep}, {"ship.zip", keep}}, []string{"would newly see ship.zip (null or string)"}},
		{[]rule{{"ship.city", keep}}, []rule{{"ship", keep}, {"ship.city", keep}}, []string{"would newly see ship.* (any type)"}},
		{[]rule{{"ship.city", keep}}, []rule{{"ship", keep}}, []string{"would newly see all of ship"}},
		{[]rule{{"ship", keep}}, []rule{{"ship.city", keep}}, nil},
		{[]rule{{"ship", keep}, {"ship.zip", drop}}, []rule{{"ship.city", keep}, {"ship.zip", keep}}, nil},
		{[]rule{{"note", null}}, []rule{{"note", keep}}, []string{"would get note as null or string, so far null"}},
		{[]rule{{"id", keep}}, []rule{{"id", gated}}, []string{"would get id as null or integer, so far integer"}},
		{[]rule{{"lines[*].sku", keep}}, []rule{{"lines[*].n", keep}, {"lines[*].sku", keep}}, []string{"would newly see lines[*].n (integer)"}},
		{[]rule{{"attrs.*", keep}, {"attrs.*~key", keep}, {"attrs.id", drop}}, []rule{{"attrs.*", keep}, {"attrs.*~key", keep}}, nil},
		{[]rule{{"attrs.id", keep}}, []rule{{"attrs.*", keep}, {"attrs.*~key", keep}, {"attrs.id", keep}}, []string{"would newly see attrs.* (string)"}},
		{[]rule{{"far.*", upper}, {"far.*~key", keep}}, []rule{{"far.*", upper}, {"far.*~key", keep}, {"far.id", upper}}, nil},
		{[]rule{{"far.*", upper}, {"far.*~key", keep}}, []rule{{"far.*", upper}, {"far.*~key", keep}, {"far.id", keep}}, []string{"would get far.id as any type, so far null or string"}},
		{nil, []rule{{"far", keep}, {`"a b"`, keep}}, []string{`would newly see "a b" (any type)`, "would newly see far (any type)"}},
	} {
		derive := func(rules []rule) string {
			_, p := projectWith(t, rules, func(paths []string) (Layout, error) { return NewJSONSchema(orderSchema, "", paths) })
			return p.Schema()
		}
		err := CompatibleJSON(derive(tt.old), derive(tt.now))
		var what *IncompatibleError
		if errors.As(err, &what); (err == nil) != (tt.want == nil) || what != nil && !slices.Equal(what.Changes, tt.want) {
			t.Errorf("%v to %v: %v, want %q", tt.old, tt.now, err, tt.want)
		}
	}
	for _, text := range []string{"", "{", `{"type":1}`, `{"required":["x"]}`, `[]`} {
		if err := CompatibleJSON(text, "{}"); err == nil {
			t.Errorf("%s is read", text)
		}
	}
}

func FuzzJSONSchema(f *testing.F) {
	for _, s := range []string{orderSchema, `{"$ref":"#"}`, `{"properties":{"a":{"anyOf":[{"type":"null"},{"items":{}}]}}}`, `{"items":[{}],"type":[1,"x"]}`, `{"$ref":"#/properties/a~0/0","allOf":3}`,
		`{"properties":{"a\u007f":{"additionalProperties":{"type":"string"}},"b":{}}}`} {
		f.Add(s)
	}
	rules := []rule{{"a", keep}, {"id", gated}, {"ship.*", keep}, {"ship.*~key", keep}, {"lines[*].x", null}}
	f.Fuzz(func(t *testing.T, text string) {
		var paths []string
		for _, r := range rules {
			paths = append(paths, r.path)
		}
		if _, err := NewJSONSchema(text, "", paths); err != nil {
			return
		}
		_, p := projectWith(t, rules, func(paths []string) (Layout, error) { return NewJSONSchema(text, "", paths) })
		compileSchema(t, p.Schema())
		nodes, err := Declared(text, "")
		if err != nil || len(nodes) > 2*maxDeclared {
			t.Fatalf("%d positions, %v", len(nodes), err)
		}
		for _, n := range nodes {
			if p, err := ParsePath(n.Path); err != nil || p.String() != n.Path {
				t.Fatalf("declares %q, %v", n.Path, err)
			}
		}
	})
}
