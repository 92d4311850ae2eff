package schemas

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// Records that are single values: "" declares them, and then nothing else is one.
func TestSingleValues(t *testing.T) {
	constant := Action{Op: OpConst, Via: fixedValue{Value{Kind: String, Text: []byte("same")}}}
	for _, c := range []struct {
		act       Action
		gates     uint32
		src, want string // a code, or what is written, behind the number of values withheld
	}{
		{keep, 0, ` "a\u0041" `, `0 "a\u0041"`}, {keep, 0, "1.50", "0 1.50"}, {keep, 0, "true", "0 true"}, {keep, 0, "null", "0 null"},
		{null, 0, "1", "0 null"}, {null, 0, `"x"`, "0 null"}, {gated, 0, "1", "0 null"}, {gated, 1, "1", "0 1"},
		{replace, 0, `"abc"`, `0 "ABC"`}, {replace, 0, "1", "1 null"}, {replace, 0, "null", "0 null"},
		{constant, 0, "1", `0 "same"`}, {constant, 0, "null", `0 "same"`},
		{keep, 0, "{}", "not_a_scalar"}, {keep, 0, `[1]`, "not_a_scalar"}, {keep, 0, "1 2", "trailing_bytes"}, {keep, 0, "", "empty_value"},
		{keep, 0, " ", "truncated"}, {keep, 0, `"a`, "truncated"}, {keep, 0, "x", "syntax"}, {keep, 0, "01", "trailing_bytes"}, {keep, 0, `"\ud800"`, "lone_surrogate"},
	} {
		l, p := project(t, []rule{{"", c.act}})
		got, withheld, err := scanSplice(l, p, c.src, c.gates)
		var f *Fault
		if errors.As(err, &f) {
			got = string(f.Code)
		} else {
			got = string(rune('0'+withheld)) + " " + got
		}
		if got != c.want || p.Empty() {
			t.Errorf("%+v of %q: %s, want %s", c.act.Op, c.src, got, c.want)
		}
	}
	if _, p := project(t, []rule{{"", drop}}); !p.Empty() {
		t.Error("something is left of what is dropped")
	}
	if l, _ := project(t, []rule{{"**", keep}}); l.Scan([]byte("1"), new(Tape)) == nil {
		t.Error("** declares no single values")
	}
	for _, paths := range [][]string{{"", "a"}, {"a", ""}, {"**", ""}} {
		if _, err := NewJSON(paths); err == nil || !strings.Contains(err.Error(), "single value") {
			t.Errorf("%q: %v", paths, err)
		}
	}
	if _, err := ParsePath(""); err == nil {
		t.Error("only rules may be empty")
	}
}

// The derived schema of single values is one of single values.
func TestDeriveSingleValues(t *testing.T) {
	upper := replace
	upper.Result = Type{Kind: String}
	for _, c := range []struct {
		schema string
		act    Action
		want   string
	}{
		{`{}`, keep, `["null","boolean","number","string"]`}, {`{"type":"string"}`, keep, `["null","string"]`}, {`{"type":"string"}`, gated, `["null","string"]`},
		{`{"type":["integer","string"]}`, upper, `["null","string"]`}, {`{}`, null, `"null"`}, {`{}`, one, `"number"`},
	} {
		_, p := projectWith(t, []rule{{"", c.act}}, func(paths []string) (Layout, error) { return NewJSONSchema(c.schema, "", paths) })
		if want := "{" + jsonSchemaDraft + `,"type":` + c.want + "}"; p.Schema() != want {
			t.Errorf("%s: %s, want %s", c.schema, p.Schema(), want)
		}
	}
}

// Whatever the value is: the scan agrees with encoding/json, what is redacted or
// constant does not depend on it, and what is written is of the derived schema.
func TestSingleValuesHold(t *testing.T) {
	text := Action{Op: OpReplace, Via: upperText{}, Result: Type{Kind: String}}
	acts := []Action{keep, null, gated, text, one}
	rapid.Check(t, func(rt *rapid.T) {
		act := rapid.SampledFrom(acts).Draw(rt, "action")
		l, p := project(t, []rule{{"", act}})
		src := rapid.OneOf(rapid.StringMatching(`[ ]?(-?[0-9]{1,3}(\.5)?(e1)?|"[a-z]{0,3}"|true|null)[ ]?`), rapid.StringMatching(`["0-9{}\[\] .,e-]{0,6}`)).Draw(rt, "value")
		out, _, err := scanSplice(l, p, src, 0)
		trimmed := strings.TrimSpace(src)
		if want := json.Valid([]byte(src)) && trimmed[0] != '{' && trimmed[0] != '['; (err == nil) != want {
			rt.Fatalf("%q: %v", src, err)
		}
		if err != nil {
			return
		}
		if fixed := map[Op]string{OpNull: "null", OpConst: "1"}[act.Op]; fixed != "" && out != fixed || act.Gate != 0 && out != "null" {
			rt.Fatalf("%q gives %q", src, out)
		}
		derived, _ := DeriveJSONSchema(p)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
		if err != nil {
			rt.Fatal(err)
		}
		if err := compileSchema(rt, derived).Validate(v); err != nil {
			rt.Fatalf("%s of %s: %v", out, derived, err)
		}
	})
}

// A text that holds a single value, as one that holds a record.
func TestSingleValueInText(t *testing.T) {
	inner, view := project(t, []rule{{"", replace}})
	n, err := NewNested(PlainText, inner, view)
	if err != nil {
		t.Fatal(err)
	}
	l, p := project(t, []rule{{"t", Action{Op: OpReplace, Via: n, Result: Type{Kind: String}}}})
	for src, want := range map[string]string{`{"t":"\"a\""}`: `{"t":"\"A\""}`, `{"t":"{}"}`: `{}`, `{"t":"7"}`: `{"t":"null"}`} {
		if got, _, err := scanSplice(l, p, src, 0); err != nil || got != want {
			t.Errorf("%s gives %s, %v; want %s", src, got, err, want)
		}
	}
}

func TestSingleValuesAllocateNothing(t *testing.T) {
	l, p := project(t, []rule{{"", replace}})
	var tape Tape
	src, dst := []byte(`"somebody@example.org"`), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		if err := l.Scan(src, &tape); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Splice(dst, src, &tape, 0); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
