package schemas

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// upperText is a treatment that takes text only; it stands for mask and the like.
type upperText struct{}

func (upperText) Apply(buf []byte, v Value) (Value, []byte, error) {
	if v.Kind != String {
		return Value{}, buf, errors.New("takes text only")
	}
	n := len(buf)
	for i := 0; i < len(v.Text); {
		r, size := utf8.DecodeRune(v.Text[i:])
		buf = utf8.AppendRune(buf, unicode.ToUpper(r))
		i += size
	}
	return Value{Kind: String, Text: buf[n:]}, buf, nil
}

// fixedValue yields the same value for every input.
type fixedValue struct{ v Value }

func (f fixedValue) Apply(buf []byte, _ Value) (Value, []byte, error) { return f.v, buf, nil }

var (
	keep    = Action{Op: OpKeep}
	drop    = Action{}
	null    = Action{Op: OpNull}
	replace = Action{Op: OpReplace, Via: upperText{}}
	gated   = Action{Op: OpKeep, Gate: 1}
	one     = Action{Op: OpConst, Via: fixedValue{Value{Kind: Int, Int: 1}}}
)

// rule is a path and what is done there.
type rule struct {
	path string
	act  Action
}

func nodeID(t testing.TB, l Layout, path string) NodeID {
	t.Helper()
	id := slices.IndexFunc(l.Nodes(), func(n Node) bool { return n.Path == path })
	if id < 0 {
		t.Fatalf("no node %q", path)
	}
	return NodeID(id)
}

func scanSplice(l Layout, p Projection, src string, gates uint32) (string, int, error) {
	var tape Tape
	if err := l.Scan([]byte(src), &tape); err != nil {
		return "", 0, err
	}
	out, withheld, err := p.Splice(nil, []byte(src), &tape, gates)
	return string(out), withheld, err
}

func TestJSONSplice(t *testing.T) {
	abc := []rule{{"a", keep}, {"b", null}, {"c", replace}}
	address := []rule{{"address.city", keep}, {"address.street", null}, {"id", keep}}
	cascade := []rule{{"address", keep}, {"address.country", drop}, {"address.street", null}}
	items := []rule{{"items[*].sku", keep}, {"items[*].email", null}, {"items[*].note", drop}}
	params := []rule{{"p[*].key", keep}, {"p[*].value", replace}, {`p[key=="email"].value`, drop}}
	for _, tt := range []struct {
		name     string
		rules    []rule
		gates    uint32
		in, want string
		withheld int
	}{
		{"input order, nulls last", abc, 0, ` { "c" : "x" , "z":1, "b":"secret", "a" : [1, 2] } `, `{"c":"X","a":[1, 2],"b":null}`, 0},
		{"null whether there or not", abc, 0, `{"a":1}`, `{"a":1,"b":null}`, 0},
		{"nothing but the null", abc, 0, `{}`, `{"b":null}`, 0},
		{"null stays null", abc, 0, `{"a":null,"c":null}`, `{"a":null,"c":null,"b":null}`, 0},
		{"a refused type is withheld", abc, 0, `{"c":1,"a":2}`, `{"a":2,"b":null}`, 1},
		{"a container too", abc, 0, `{"a":2,"c":{"x":"y"}}`, `{"a":2,"b":null}`, 1},
		{"an array too, last", abc, 0, `{"c":["y"]}`, `{"b":null}`, 1},
		{"escapes out and in", abc, 0, `{"c":"a\"\u00e9\/\n\u0001\ud83d\ude00","a":"\u0061"}`, `{"c":"A\"É/\n\u0001😀","a":"\u0061","b":null}`, 0},
		{"escaped names are names", abc, 0, `{"\u0061":1,"\u0063":"x"}`, `{"a":1,"c":"X","b":null}`, 0},
		{"another case is another name", abc, 0, `{"A":1,"C":"x"}`, `{"b":null}`, 0},

		{"container with something kept", address, 0, `{"address":{"street":"s","city":"c","zip":1},"id":7}`, `{"address":{"city":"c","street":null},"id":7}`, 0},
		{"container with nothing kept", address, 0, `{"id":7,"address":{"street":"s","zip":1}}`, `{"id":7}`, 0},
		{"container that is none", address, 0, `{"address":"Main St","id":7}`, `{"id":7}`, 1},
		{"container of the other kind", address, 0, `{"id":7,"address":[{"city":"c"}]}`, `{"id":7}`, 1},
		{"null container", address, 0, `{"address":null,"id":7}`, `{"id":7}`, 0},
		{"empty container", address, 0, `{"address":{}}`, `{}`, 0},

		{"rest of a named container", cascade, 0, `{"address":{"country":"DE","City":"c","zip" : 1,"street":2}}`, `{"address":{"City":"c","zip":1,"street":null}}`, 0},
		{"rest spelled as a rule but for case", cascade, 0, `{"address":{"COUNTRY":"DE","Street":"s","zip":1}}`, `{"address":{"zip":1,"street":null}}`, 0},
		{"rest by escape and Kelvin sign", []rule{{"k", keep}, {"k.risk", drop}}, 0, `{"k":{"ris\u212a":1,"RIS\u004b2":2}}`, `{"k":{"RISK2":2}}`, 0},
		{"rest and nothing else", cascade, 0, `{"address":{"country":"DE"}}`, `{}`, 0},
		{"rest of a scalar", cascade, 0, `{"address":"DE"}`, `{}`, 1},
		{"rest under a treatment of scalars", []rule{{"a", replace}, {"a.b", keep}}, 0, `{"a":{"x":"y","b":1}}`, `{"a":{"b":1}}`, 1},
		{"rest under a treatment, nothing kept", []rule{{"a", replace}, {"a.b", drop}}, 0, `{"a":{"x":"y","b":1}}`, `{}`, 1},
		{"rest dropped", []rule{{"a", drop}, {"a.b", keep}}, 0, `{"a":{"x":"y","b":1}}`, `{"a":{"b":1}}`, 0},
		{"rest redacted", []rule{{"a", null}, {"a.b", keep}}, 0, `{"a":{"x":"y","b":1}}`, `{"a":{"b":1}}`, 0},

		{"all null: the container is", []rule{{"a.b", null}, {"a.c", drop}}, 0, `{"a":{"b":1},"x":2}`, `{"a":null}`, 0},
		{"all null, deep", []rule{{"a.b.c", null}, {"a.d[*].e", null}, {"x", keep}}, 0, `{"x":2}`, `{"x":2,"a":null}`, 0},
		{"all dropped: gone", []rule{{"a.b", drop}, {"x", keep}}, 0, `{"a":{"b":1},"x":2}`, `{"x":2}`, 0},
		{"constants", []rule{{"n", one}, {"a.n", one}, {"a.b", keep}}, 0, `{"n":"secret","a":{"b":2}}`, `{"a":{"b":2,"n":1},"n":1}`, 0},
		{"constants keep no container", []rule{{"a.n", one}}, 0, `{"a":{"n":2}}`, `{}`, 0},

		{"elements", items, 0, `{"items":[{"sku":1,"email":"e"},{"email":"e"},7,null,{"note":1,"sku":[2]}]}`, `{"items":[{"sku":1,"email":null},{"sku":[2],"email":null}]}`, 1},
		{"no elements", items, 0, `{"items":[]}`, `{}`, 0},
		{"elements with nothing kept", items, 0, `{"items":[{"email":"e"}]}`, `{}`, 0},
		{"scalar elements", []rule{{"tags[*]", replace}}, 0, `{"tags":["a",1,null,"b"]}`, `{"tags":["A",null,"B"]}`, 1},
		{"null elements", []rule{{"tags[*]", null}}, 0, `{"tags":["a",1]}`, `{"tags":null}`, 0},
		{"null elements of a kept array", []rule{{"tags", keep}, {"tags[*]", null}}, 0, `{"tags":["a",1]}`, `{"tags":null}`, 0},
		{"array of arrays", []rule{{"m[*][*]", keep}}, 0, `{"m":[[1,2],[],3,[4]]}`, `{"m":[[1,2],[4]]}`, 1},

		{"root array", []rule{{"[*].email", replace}, {"[*].t", keep}}, 0, ` [ {"email":"e"} , {"x":1}, {"t":2} ] `, `[{"email":"E"},{"t":2}]`, 0},
		{"root array, nothing kept", []rule{{"[*].email", drop}}, 0, `[{"email":"e"}]`, `[]`, 0},
		{"root array where an object is wanted", abc, 0, `[1]`, `{"b":null}`, 1},
		{"root object where an array is wanted", []rule{{"[*].email", keep}}, 0, `{"email":1}`, `[]`, 1},

		{"root of any kind, as ** has it", []rule{{"**.a", keep}}, 0, `[[{"a":1}]]`, `[[{"a":1}]]`, 0},
		{"an array of which ** finds nothing", []rule{{"**.a", keep}}, 0, `[1,{"b":[{}]}]`, `{}`, 0},
		{"an empty array where ** may find something", []rule{{"**.a", keep}, {"b", null}, {"c", one}}, 0, `[]`, `{"b":null,"c":1}`, 0},

		{"open gate", []rule{{"h", gated}, {"x", keep}}, 1, `{"h":1,"x":2}`, `{"h":1,"x":2}`, 0},
		{"open gate, absent", []rule{{"h", gated}, {"x", keep}}, 1, `{"x":2}`, `{"x":2}`, 0},
		{"closed gate", []rule{{"h", gated}, {"x", keep}}, 0, `{"h":1,"x":2}`, `{"x":2,"h":null}`, 0},
		{"closed gate, absent", []rule{{"h", gated}, {"x", keep}}, 2, `{"x":2}`, `{"x":2,"h":null}`, 0},
		{"closed gate nulls the container", []rule{{"h.a", gated}, {"h.b", drop}}, 0, `{"h":{"a":1}}`, `{"h":null}`, 0},
		{"closed gate before what is dropped", []rule{{"h", Action{Gate: 1}}}, 0, `{"h":1}`, `{}`, 0},
		{"named below a named container", []rule{{"a", keep}, {"a.b.c", drop}, {"a.b", keep}}, 0, `{"a":{"b":{"c":1,"d":2}}}`, `{"a":{"b":{"d":2}}}`, 0},
		{"open gate opens the container", []rule{{"h.a", gated}, {"h.b", null}}, 1, `{"h":{"a":1}}`, `{"h":{"a":1,"b":null}}`, 0},

		{"an index", []rule{{"a[1]", keep}}, 0, `{"a":[1,[2],3]}`, `{"a":[[2]]}`, 0},
		{"an index that is not there", []rule{{"a[1]", keep}}, 0, `{"a":[1]}`, `{}`, 0},
		{"an index against the others", []rule{{"a[*]", keep}, {"a[0].x", drop}, {"a[0]", keep}}, 0, `{"a":[{"x":1,"y":2},{"x":3}]}`, `{"a":[{"y":2},{"x":3}]}`, 0},
		{"the first of many is redacted", []rule{{"a[0]", null}, {"a[*]", keep}}, 0, `{"a":[1,2]}`, `{"a":[2]}`, 0},
		{"predicates", params, 0, `{"p":[{"key":"email","value":"e"},{"value":"v","key":"page"},{"value":"w"},{"key":3,"value":"x"}]}`,
			`{"p":[{"key":"email"},{"value":"V","key":"page"},{"value":"W"},{"key":3,"value":"X"}]}`, 0},
		{"predicates by escape", params, 0, `{"p":[{"\u006bey":"em\u0061il","value":"e"}]}`, `{"p":[{"key":"em\u0061il"}]}`, 0},
		{"a predicate's member but for case", params, 0, `{"p":[{"KEY":"email","value":"e"},{"Key":"page","value":"v"}]}`, `{}`, 0},
		{"a predicate's text is its own case", params, 0, `{"p":[{"key":"Email","value":"e"}]}`, `{"p":[{"key":"Email","value":"E"}]}`, 0},
		{"a predicate behind much", params, 0, `{"p":[{"x":[{"key":"page"},"}]",{}],"y":"\"","key":"email","value":"e"}]}`, `{"p":[{"key":"email"}]}`, 0},
		{"predicates of no object", params, 0, `{"p":["key",["key","email"],null,{}]}`, `{}`, 2},
		{"two claims", []rule{{"a[0].x", keep}, {`a[k=="v"].y`, keep}}, 0, `{"a":[{"k":"v","x":1,"y":2},{"k":"v","x":1,"y":2}]}`, `{"a":[{"y":2}]}`, 0},

		{"a null would tell the first element", []rule{{"a[0].x", null}, {"a[*].y", keep}}, 0, `{"a":[{"y":1},{"y":2}]}`, `{"a":[{"y":1},{"y":2}]}`, 0},
		{"a constant would tell what a predicate looks at", []rule{{`a[k=="v"].x`, one}, {"a[*].y", keep}}, 0, `{"a":[{"k":"v","y":1},{"y":2}]}`, `{"a":[{"y":1},{"y":2}]}`, 0},
		{"a null further down", []rule{{"a[0].u.x", null}, {"a[*].u.y", keep}, {"a[*].z", keep}}, 0, `{"a":[{"u":{"y":1}},{"u":{"y":2}}]}`, `{"a":[{"u":{"y":1}},{"u":{"y":2}}]}`, 0},
		{"a null where ** finds something", []rule{{"[0].a", null}, {"[*].**.b", keep}}, 0, `[{"b":1},{"b":2}]`, `[{"b":1},{"b":2}]`, 0},
		{"a null in each of them tells nothing", []rule{{"a[*].x", null}, {"a[0].y", drop}, {"a[*].y", keep}, {"a[*].z", keep}}, 0, `{"a":[{"y":1,"z":1},{"y":2}]}`, `{"a":[{"z":1,"x":null},{"y":2,"x":null}]}`, 0},

		{"a map without its keys", []rule{{"m.*", keep}}, 0, `{"m":{"a":1}}`, `{}`, 0},
		{"a map with its keys", []rule{{"m.*", keep}, {"m.*~key", keep}}, 0, `{"m":{"a":1,"\u0062":[2, 3]}}`, `{"m":{"a":1,"b":[2, 3]}}`, 0},
		{"treated keys", []rule{{"m.*", keep}, {"m.*~key", replace}}, 0, `{"m":{"a\"":1,"B":2}}`, `{"m":{"A\"":1,"B":2}}`, 0},
		{"a treated value below a key", []rule{{"m.*.x", replace}, {"m.*~key", keep}}, 0, `{"m":{"a":{"x":"y","z":1},"b":{"z":1},"c":1}}`, `{"m":{"a":{"x":"Y"}}}`, 1},
		{"a named member is no entry", []rule{{"m.*", keep}, {"m.n", keep}}, 0, `{"m":{"a":1,"n":2}}`, `{"m":{"n":2}}`, 0},
		{"a name beside .* need not be a map's entry", []rule{{"id", keep}, {"*.email", keep}, {"*~key", keep}}, 0, `{"id":7,"u":{"email":"e","x":1},"v":3}`, `{"id":7,"u":{"email":"e"}}`, 1},
		{"nor a container, and if it is one the longer path counts", []rule{{"id", keep}, {"*.email", null}, {"*~key", keep}}, 0, `{"id":{"email":"e","x":1}}`, `{"id":{"x":1,"email":null}}`, 0},
		{"a treated name beside .*", []rule{{"id", replace}, {"*.email", null}}, 0, `{"id":"x"}`, `{"id":"X"}`, 0},
		{"a redacted name beside .*", []rule{{"id", null}, {"*.email", keep}}, 0, `{"id":"x"}`, `{"id":null}`, 0},
		{"one element beside all", []rule{{"a[0]", keep}, {"a[*].x", keep}}, 0, `{"a":[1,2,{"x":3}]}`, `{"a":[1,{"x":3}]}`, 1},
		{"the values are redacted", []rule{{"m.*", null}, {"m.*~key", keep}}, 0, `{"m":{"a":1}}`, `{"m":null}`, 0},
		{"the category of a map is not its keys'", []rule{{"m", keep}, {"m.*", keep}}, 0, `{"m":{"a":1}}`, `{}`, 0},
		{"keys behind a gate", []rule{{"m.*", keep}, {"m.*~key", gated}, {"x", keep}}, 0, `{"x":1,"m":{"a":1}}`, `{"x":1}`, 0},
		{"keys behind an open gate", []rule{{"m.*", keep}, {"m.*~key", gated}}, 1, `{"m":{"a":1}}`, `{"m":{"a":1}}`, 0},

		{"any depth", []rule{{"**.email", replace}, {"a", keep}}, 0, `{"email":"e","a":{"b":[{"email":"f","c":"g"}],"email":null},"x":{"email":"h"}}`,
			`{"email":"E","a":{"b":[{"email":"F","c":"g"}],"email":null}}`, 0},
		{"any depth redacted", []rule{{"**.email", null}, {"a", keep}}, 0, `{"email":"e","a":{"b":[{"email":"f","c":"g"}],"email":null}}`, `{"a":{"b":[{"c":"g"}]}}`, 0},
		{"any depth, other case", []rule{{"**.email", keep}, {"a", keep}}, 0, `{"a":{"Email":1,"b":{"EMAIL":2,"c":3}}}`, `{"a":{"b":{"c":3}}}`, 0},
		{"any depth in arrays at the top", []rule{{"**.email", keep}}, 0, `[[{"email":1,"x":2}],{"email":3}]`, `[[{"email":1}],{"email":3}]`, 0},
		{"any depth and all names", []rule{{"**.email", keep}, {"**.*~key", keep}}, 0, `{"x":{"y":{"email":1,"z":2}}}`, `{"x":{"y":{"email":1}}}`, 0},
		{"redacted, with something kept in it", []rule{{"a", null}, {"**.k", keep}}, 0, `{"a":{"x":1}}`, `{"a":null}`, 0},
		{"redacted, with something kept and there", []rule{{"a", null}, {"**.k", keep}}, 0, `{"a":[{"k":1}]}`, `{"a":[{"k":1}]}`, 0},
		{"a treatment of scalars and any depth", []rule{{"a", replace}, {"**.k", keep}}, 0, `{"a":{"x":"y","k":1}}`, `{"a":{"k":1}}`, 1},
		{"a treatment of scalars and elements", []rule{{"a", replace}, {"**.k", keep}}, 0, `{"a":["x",{"k":1}]}`, `{"a":[{"k":1}]}`, 1},
		{"everything but", []rule{{"**", keep}, {"**.email", drop}}, 0, `{}`, `{}`, 0},

		{"quoted names", []rule{{`"a.b"."x\"y"`, keep}, {`"a.b".n`, null}}, 0, `{"a.b":{"x\"y":1}}`, `{"a.b":{"x\"y":1,"n":null}}`, 0},
		{"non-ASCII names", []rule{{"größe", keep}}, 0, `{"gr\u00f6\u00dfe":1,"GRÖSSE":2}`, `{"größe":1}`, 0},
		{"the empty name", []rule{{`""`, keep}}, 0, `{"":1}`, `{"":1}`, 0},
		{"no rules", nil, 0, `{"a":1}`, `{}`, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, p := project(t, tt.rules)
			got, withheld, err := scanSplice(l, p, tt.in, tt.gates)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want || withheld != tt.withheld {
				t.Errorf("%s\ngives %s, withheld %d\nwant  %s, withheld %d", tt.in, got, withheld, tt.want, tt.withheld)
			}
			if !json.Valid([]byte(got)) {
				t.Error("not JSON")
			}
		})
	}
}

func TestJSONFaults(t *testing.T) {
	l, err := NewJSON([]string{"email", "a", "a.b", "list[*].x", "leaf"})
	if err != nil {
		t.Fatal(err)
	}
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		in   string
		code Code
		path string
	}{
		{"", CodeEmptyValue, ""},
		{" ", CodeTruncated, ""},
		{"\ufeff{}", CodeSyntax, ""},
		{"null", CodeTopLevelScalar, ""},
		{`"x"`, CodeTopLevelScalar, ""},
		{"-1", CodeTopLevelScalar, ""},
		{"{}{}", CodeTrailingBytes, ""},
		{"{} x", CodeTrailingBytes, ""},
		{"{}\x00", CodeTrailingBytes, ""},
		{"{", CodeTruncated, ""},
		{`{"email"`, CodeTruncated, "email"},
		{`{"email":`, CodeTruncated, "email"},
		{`{"email":"x`, CodeTruncated, "email"},
		{`{"email":tru`, CodeTruncated, "email"},
		{`{"email":-`, CodeTruncated, "email"},
		{`{"email":1.`, CodeTruncated, "email"},
		{`{"email":"\u00`, CodeTruncated, "email"},
		{`{"email":01}`, CodeSyntax, "email"},
		{`{"email":+1}`, CodeSyntax, "email"},
		{`{"email":.5}`, CodeSyntax, "email"},
		{`{"email":1.x}`, CodeSyntax, "email"},
		{`{"email":1e+}`, CodeSyntax, "email"},
		{`{"email":NaN}`, CodeSyntax, "email"},
		{`{"email":nul1}`, CodeSyntax, "email"},
		{`{"email" 1}`, CodeSyntax, "email"},
		{`{"email":1,}`, CodeSyntax, "?"},
		{`{,}`, CodeSyntax, "?"},
		{`{"email":1 "a":2}`, CodeSyntax, "email"},
		{`{"email":1]`, CodeSyntax, "email"},
		{"{\"email\":\"\x01\"}", CodeSyntax, "email"},
		{"{\"email\":\"tab\t\"}", CodeSyntax, "email"},
		{`{"email":"\x"}`, CodeSyntax, "email"},
		{`{"email":"\u12g4"}`, CodeSyntax, "email"},
		{"{\"email\":\"\xff\"}", CodeBadUTF8, "email"},
		{"{\"email\":\"\xed\xa0\x80\"}", CodeBadUTF8, "email"},
		{"{\"email\":\"\xc0\xaf\"}", CodeBadUTF8, "email"},
		{"{\"jane@example.com\xff\":1}", CodeBadUTF8, "?"},
		{`{"email":"\ud800"}`, CodeLoneSurrogate, "email"},
		{`{"email":"\udc00\ud800"}`, CodeLoneSurrogate, "email"},
		{`{"email":"\ud800\ud800"}`, CodeLoneSurrogate, "email"},
		{`{"email":"\ud800\n12345"}`, CodeLoneSurrogate, "email"},
		{`{"email":1,"email":1}`, CodeDuplicateKey, "email"},
		{`{"email":1,"EMAIL":1}`, CodeDuplicateKey, "email"},
		{`{"eMAIL":1,"x":2,"\u0065mail":1}`, CodeDuplicateKey, "email"},
		{`{"jane@example.com":1,"JANE@example.com":1}`, CodeDuplicateKey, "?"},
		{`{"a":{"b":1,"B":1}}`, CodeDuplicateKey, "a.b"},
		{`{"a":{"s":1,"ſ":1}}`, CodeDuplicateKey, "a.?"},
		{`{"a":{"k":1,"\u212a":1}}`, CodeDuplicateKey, "a.?"},
		{`{"a":{"ÉÉ":1,"éé":1}}`, CodeDuplicateKey, "a.?"},
		{`{"a":{"rest":{"x":1,"x":1}}}`, CodeDuplicateKey, "a.?"},
		{`{"leaf":{"x":{"y":1,"y":1}}}`, CodeDuplicateKey, "leaf.?"},
		{`{"leaf":[{"email":1,"email":1}]}`, CodeDuplicateKey, "leaf.?"},
		{`{"unlisted":{"email":1,"email":1}}`, CodeDuplicateKey, "?"},
		{`{"list":[{"x":1},{"x":1,"X":1}]}`, CodeDuplicateKey, "list[*].x"},
		{`{"list":[{"":1,"":2}]}`, CodeDuplicateKey, "list[*].?"},
		{`{"list":[{"x":"\ud800"}]}`, CodeLoneSurrogate, "list[*].x"},
		{deep(65), CodeTooDeep, "?"},
		{deep(10_000), CodeTooDeep, "?"},
		{strings.Repeat(`{"a":`, 10_000), CodeTooDeep, "a.?"},
		{`{"leaf":` + deep(64) + `}`, CodeTooDeep, "leaf.?"},
	} {
		var tape Tape
		err := l.Scan([]byte(tt.in), &tape)
		var f *Fault
		if !errors.As(err, &f) || f.Code != tt.code || f.Path != tt.path {
			t.Errorf("Scan(%.60q) = %v; want %s at %s", tt.in, err, tt.code, tt.path)
		}
		if len(tape.Entries) > 0 || tape.At[0] >= 0 {
			t.Errorf("Scan(%.60q) left a tape", tt.in)
		}
	}
	var tape Tape
	if err := l.Scan([]byte(deep(64)), &tape); err != nil {
		t.Errorf("depth 64: %v", err)
	}
	if err := l.Scan([]byte(`{"leaf":`+deep(63)+`}`), &tape); err != nil {
		t.Errorf("depth 64 in a leaf: %v", err)
	}
}

func TestNewJSONRefuses(t *testing.T) {
	for _, tt := range []struct {
		paths []string
		want  string
	}{
		{[]string{"a", "b["}, "column 2"},
		{[]string{"a.b~key"}, "a member that a path names has no key"},
		{[]string{"a[0]", "a.b"}, "a cannot be both an array, as in a[0], and an object, as in a.b"},
		{[]string{"a.*", `a[k=="v"]`}, `a cannot be both an array, as in a[k=="v"], and an object, as in a.*`},
		{manyDeep(), "too many positions"},
		{[]string{"a.b", "a[*]"}, "a cannot be both an array, as in a[*], and an object, as in a.b"},
		{[]string{"[*].x", "y"}, "the record cannot be both an array, as in [*], and an object, as in y"},
		{[]string{"a.email", "a.EMAIL"}, "differ only in case"},
		{[]string{"k", "\u212a"}, "differ only in case"},
	} {
		l, err := NewJSON(tt.paths)
		if l != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("NewJSON(%q) = %v, %v; want an error with %q", tt.paths, l, err, tt.want)
		}
	}
}

// manyDeep is a wiring whose positions multiply: 16 times 16 times 16 times 16.
func manyDeep() (paths []string) {
	for _, c := range "abcdefghijklmnop" {
		n := string(c)
		paths = append(paths, "**."+n+"1.**."+n+"2.**."+n+"3.**."+n+"4")
	}
	return paths
}

func TestProjectRefuses(t *testing.T) {
	l, err := NewJSON([]string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []Action{
		{Op: OpReplace}, {Op: OpConst}, {Op: OpConst + 1}, {Op: OpKeep, Gate: 33},
		{Op: OpConst, Via: upperText{}},
		{Op: OpConst, Via: fixedValue{Value{Kind: Bytes}}},
		{Op: OpConst, Via: fixedValue{Value{Kind: String, Text: []byte{0xff}}}},
	} {
		if p, err := l.Project([]Action{{}, a}, ""); err == nil {
			t.Errorf("Project(%+v) = %v", a, p)
		}
	}
	if _, err := l.Project([]Action{{}}, ""); err == nil {
		t.Error("too few actions are accepted")
	}
}

// What no path covers is withheld, whatever action its container is given.
func TestUnlistedIsWithheld(t *testing.T) {
	l, err := NewJSON([]string{"a.b.c", "a.n"})
	if err != nil {
		t.Fatal(err)
	}
	acts := []Action{keep, keep, keep, {}, null}
	p, err := l.Project(acts, "")
	if err != nil {
		t.Fatal(err)
	}
	in := `{"x":"canary","a":{"x":"canary","b":{"x":"canary","c":"canary"}}}`
	if got, _, err := scanSplice(l, p, in, 0); err != nil || got != `{"a":null}` {
		t.Errorf("%s, %v", got, err)
	}
}

// What lies below a named path belongs to it, also in containers that only a
// longer path names.
func TestNamedPathCascades(t *testing.T) {
	l, err := NewJSON([]string{"a", "a.b.c"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Project([]Action{{}, keep, keep, drop}, "") // a, a.b, a.b.c
	if err != nil {
		t.Fatal(err)
	}
	in := `{"x":1,"a":{"y":2,"b":{"z":3,"c":4}}}`
	if got, _, err := scanSplice(l, p, in, 0); err != nil || got != `{"a":{"y":2,"b":{"z":3}}}` {
		t.Errorf("%s, %v", got, err)
	}
}

// A tape that holds no scan yields nothing, whatever the plan keeps.
func TestSpliceWithoutScan(t *testing.T) {
	l, p := project(t, []rule{{"a", keep}})
	var tape Tape
	src := []byte(`{"a":"canary"`)
	if err := l.Scan(src, &tape); err == nil {
		t.Fatal("half a record is accepted")
	}
	for _, tape := range []*Tape{&tape, {}} {
		out, _, err := p.Splice([]byte("x"), src, tape, 0)
		if err == nil || string(out) != "x" {
			t.Errorf("Splice gives %q, %v", out, err)
		}
	}
}
