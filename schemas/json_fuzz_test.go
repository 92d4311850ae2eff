package schemas

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// What is scanned and spliced is JSON for everybody, and scans again.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":"x\u0041\ud83d\ude00","b":{"c":[{"d":1},{"d":"y","e":null}],"r":{"s":[]}},"k":-1.5e3}`,
		`{"a":1,"A":2}`, `[{"d":1}]`, `{"b":{"C":1,"c":{}}}`, "{\"\u212a\":1}", `{"a":"` + strings.Repeat("é", 20) + `"}`,
	} {
		f.Add([]byte(s), uint32(1))
	}
	for _, s := range numbers {
		f.Add([]byte(s), uint32(0))
	}
	rules := []rule{{"a", replace}, {"b", keep}, {"b.c[*].d", replace}, {"b.c[*].e", null}, {"k", gated}, {"n", one}}
	l, p := project(f, rules)
	var tape Tape
	f.Fuzz(func(t *testing.T, src []byte, gates uint32) {
		checkNumber(t, src)
		if err := agree(src); err != nil {
			t.Fatal(err)
		}
		if l.Scan(src, &tape) != nil {
			return
		}
		out, _, err := p.Splice(nil, src, &tape, gates)
		if err != nil || !json.Valid(out) {
			t.Fatalf("gives %q, %v", out, err)
		}
		if err := l.Scan(out, &tape); err != nil {
			t.Fatalf("gives %q, which is %v", out, err)
		}
	})
}

// FuzzJSONPaths is FuzzJSON with every kind of path, and with an eye on what
// nobody may see: the text of a member "secret", wherever it stands.
func FuzzJSONPaths(f *testing.F) {
	for _, s := range []string{
		`{"a":{"x":"y","secret":"canary"},"m":{"k":{"secret":"canary"}},"p":[{"key":"v","x":1},{"secret":"canary"}]}`,
		`{"p":[{"x":1,"\u006bey":"v"},{"KEY":"v"},{"key":"v","key":"w"}],"m":{"a":1,"A":2}}`,
		`[{"secret":{"k":"canary"}},[{"k":1}]]`, `{"p":[{"key":"v"`, `{"p":[[{"key":"v"}],{"a":"]}\\\""}]}`,
	} {
		f.Add([]byte(s), uint32(1))
	}
	rules := []rule{{"a", keep}, {"m.*", keep}, {"m.*~key", replace}, {`p[key=="v"].x`, replace}, {"p[*]", keep}, {"p[0].k", gated},
		{"**.secret", drop}, {"**[1]", replace}, {"**.*.x", keep}}
	l, p := project(f, rules)
	plain, err := NewJSON([]string{"x"})
	if err != nil {
		f.Fatal(err)
	}
	var tape, other Tape
	f.Fuzz(func(t *testing.T, src []byte, gates uint32) {
		verdict, same := code(l.Scan(src, &tape)), code(plain.Scan(src, &other))
		if verdict != same {
			t.Fatalf("the paths decide what is JSON: %q, %q", verdict, same)
		}
		if verdict != "" {
			return
		}
		out, _, err := p.Splice(nil, src, &tape, gates)
		if c := code(err); c != "" {
			if c != CodeTreatmentFailed {
				t.Fatal(err)
			}
			return
		}
		if err := l.Scan(out, &tape); err != nil {
			t.Fatalf("gives %q, which is %v", out, err)
		}
		v := decode(t, string(out))
		if holds(v, "secret") {
			t.Fatalf("gives %q", out)
		}
	})
}

// holds reports whether a scalar stands in a member of this name; what other rules
// find deeper in it is theirs.
func holds(v any, name string) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, v := range v {
			_, text := v.(string)
			if k == name && text || holds(v, name) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(v any) bool { return holds(v, name) })
	}
	return false
}

// numbers are seeds of FuzzJSON, and what is one is checked there.
var numbers = []string{"0", "-1.5e+3", "01", "1.", "", "-", "1e", "0x1"}

func checkNumber(t *testing.T, b []byte) {
	want := json.Valid(b) && !bytes.ContainsAny(b, " \t\r\n\"[{tfn")
	if isNumber(b) != want {
		t.Fatalf("isNumber(%q) = %v", b, !want)
	}
}
