package schemas

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// nest makes the treatment of a field that holds JSON of which rules say what
// is kept.
func nest(t testing.TB, e Encoding, rules []rule) *Nested {
	t.Helper()
	l, p := project(t, rules)
	n, err := NewNested(e, l, p)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func quoted(text string) string { return string(appendJSONString(nil, text)) }

func TestNestedInJSON(t *testing.T) {
	inner := []rule{{"email", replace}, {"ip", null}, {"q", gated}, {"sku", keep}, {"a[*]", keep}}
	std := base64.StdEncoding.EncodeToString
	raw := base64.RawURLEncoding.EncodeToString
	odd := `{"sku":"??>>"}` // in base64 with the characters that the alphabets differ in
	for _, tt := range []struct {
		name     string
		encoding Encoding
		gates    uint32
		in, want string // of the field
		withheld int
	}{
		{"text", PlainText, 1, quoted(`{"email":"e\n","sku":1.50,"x":2,"q":3}`), quoted(`{"email":"E\n","sku":1.50,"q":3,"ip":null}`), 0},
		{"text, gate closed", PlainText, 0, quoted(`{"sku":1,"q":3}`), quoted(`{"sku":1,"ip":null,"q":null}`), 0},
		{"escapes of the outer text", PlainText, 1, `"{\u0022sku\u0022:\"\\u00e9\"}"`, quoted(`{"sku":"\u00e9","ip":null}`), 0},
		{"a treatment within that does not take it", PlainText, 1, quoted(`{"email":1}`), quoted(`{"ip":null}`), 1},
		{"nothing in it", PlainText, 1, quoted(`{}`), quoted(`{"ip":null}`), 0},
		{"null stays null", PlainText, 0, "null", "null", 0},
		{"not JSON", PlainText, 0, `"{"`, "", 1},
		{"two documents", PlainText, 0, quoted(`{}{}`), "", 1},
		{"a scalar", PlainText, 0, quoted(`"x"`), "", 1},
		{"empty", PlainText, 0, `""`, "", 1},
		{"a member twice", PlainText, 0, quoted(`{"sku":1,"SKU":1}`), "", 1},
		{"an object that is no text", PlainText, 0, `{"sku":1}`, "", 1},
		{"a number", PlainText, 0, `1`, "", 1},
		{"base64", Base64, 1, quoted(std([]byte(`{"sku":1,"x":2}`))), quoted(std([]byte(`{"sku":1,"ip":null}`))), 0},
		{"base64, both characters", Base64, 1, quoted(std([]byte(odd))), quoted(std([]byte(`{"sku":"??>>","ip":null}`))), 0},
		{"base64 without padding", Base64, 1, quoted(raw([]byte(`{"sku":12}`))), "", 1},
		{"base64 with a line end", Base64, 1, quoted(std([]byte(odd))[:8] + "\n" + std([]byte(odd))[8:]), "", 1},
		{"base64 with bits left over", Base64, 1, quoted("e31="), "", 1},
		{"base64 of something else", Base64, 1, quoted(std([]byte("x"))), "", 1},
		{"not base64", Base64, 1, quoted(`{"sku":1}`), "", 1},
		{"base64url", Base64URL, 1, quoted(raw([]byte(odd))), quoted(raw([]byte(`{"sku":"??>>","ip":null}`))), 0},
		{"base64url with padding", Base64URL, 1, quoted(raw([]byte(`{"sku":12}`)) + "=="), "", 1},
		{"many positions", PlainText, 1, quoted(`{"a":[` + strings.Repeat("0,", MaxNestedEntries-3) + `0]}`), quoted(`{"a":[` + strings.Repeat("0,", MaxNestedEntries-3) + `0],"ip":null}`), 0},
		{"too many positions", PlainText, 1, quoted(`{"a":[` + strings.Repeat("0,", MaxNestedEntries) + `0]}`), "", 1},
	} {
		l, p := project(t, []rule{{"payload", Action{Op: OpReplace, Via: nest(t, tt.encoding, inner)}}, {"id", keep}})
		want := `{"id":1}`
		if tt.want != "" {
			want = `{"payload":` + tt.want + `,"id":1}`
		}
		got, withheld, err := scanSplice(l, p, `{"payload":`+tt.in+`,"id":1}`, tt.gates)
		if got != want || withheld != tt.withheld || err != nil {
			t.Errorf("%s:\ngives %.200s, withheld %d, %v\nwant  %.200s, withheld %d", tt.name, got, withheld, err, want, tt.withheld)
		}
	}
}

func TestNestedInNested(t *testing.T) {
	third := nest(t, Base64URL, []rule{{"email", replace}})
	second := nest(t, PlainText, []rule{{"at", keep}, {"more", Action{Op: OpReplace, Via: third}}})
	l, p := project(t, []rule{{"payload", Action{Op: OpReplace, Via: second}}})
	wrap := func(email string) string {
		more := base64.RawURLEncoding.EncodeToString([]byte(`{"email":"` + email + `"}`))
		return `{"payload":` + quoted(`{"at":1,"more":"`+more+`"}`) + `}`
	}
	if got, _, err := scanSplice(l, p, wrap("jane"), 0); got != wrap("JANE") || err != nil {
		t.Errorf("gives %s, %v, want %s", got, err, wrap("JANE"))
	}
}

// In Avro a field that holds no JSON becomes null, so the field is nullable.
func TestNestedInAvro(t *testing.T) {
	const schema = `{"type":"record","name":"R","fields":[
		{"name":"a","type":"string"},{"name":"b","type":["bytes","null"]},{"name":"n","type":"int"}]}`
	l, err := NewAvro(schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	acts := make([]Action, len(l.Nodes()))
	for i, n := range l.Nodes() {
		if acts[i] = keep; n.Path == "a" || n.Path == "b" {
			via := nest(t, PlainText, []rule{{"x", replace}, {"g", gated}})
			result, err := via.Result(n.Type)
			if err != nil {
				t.Fatal(err)
			}
			acts[i] = Action{Op: OpReplace, Via: via, Result: result}
		}
	}
	p, err := l.Project(acts, "out")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"record","name":"R","namespace":"out","fields":[{"name":"a","type":["null","string"],"default":null},{"name":"b","type":["bytes","null"]},{"name":"n","type":"int"}]}`
	if p.Schema() != want {
		t.Errorf("schema %s", p.Schema())
	}
	text := func(s string) string { return string(appendLong(nil, int64(len(s)))) + s }
	for _, tt := range []struct {
		in, want string
		gates    uint32
		withheld int
	}{
		{text(`{"x":"y","z":1,"g":2}`) + "\x00" + text(`{"x":"w"}`) + "\x02", "\x02" + text(`{"x":"Y","g":2}`) + "\x00" + text(`{"x":"W"}`) + "\x02", 1, 0},
		{text(`{"x":"y","g":2}`) + "\x02\x02", "\x02" + text(`{"x":"Y","g":null}`) + "\x02\x02", 0, 0},
		{text(`jane@example.com`) + "\x00" + text(`{"x":1}`) + "\x02", "\x00\x00" + text(`{}`) + "\x02", 1, 2},
		{text(``) + "\x00" + text("\xff") + "\x02", "\x00\x02\x02", 1, 2},
	} {
		got, withheld, err := scanSplice(l, p, tt.in, tt.gates)
		if got != tt.want || withheld != tt.withheld || err != nil {
			t.Errorf("%q\ngives %q, withheld %d, %v\nwant  %q, withheld %d", tt.in, got, withheld, err, tt.want, tt.withheld)
		}
	}
	for _, n := range l.Nodes() {
		if _, err := nest(t, PlainText, nil).Result(n.Type); (err == nil) != (n.Type.Kind == String || n.Type.Kind == Bytes) {
			t.Errorf("%s: %v", n.Path, err)
		}
	}
}

func TestNewNestedRefuses(t *testing.T) {
	l, p := project(t, []rule{{"a", keep}})
	if n, err := NewNested(Base64URL+1, l, p); err == nil {
		t.Errorf("gives %v", n)
	}
	avro, err := NewAvro(`{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := NewNested(PlainText, avro, p); err == nil {
		t.Errorf("gives %v", n)
	}
}

// P6 through an encoding: what is hidden within a text changes nothing of what
// comes out, and what is seen is what would be seen of the text by itself.
func TestNestedIsTransparent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawPattern(rt, []Action{keep, keep, drop, replace, null, gated})
		encoding := rapid.SampledFrom([]Encoding{PlainText, Base64, Base64URL}).Draw(rt, "encoding")
		gates := uint32(rapid.IntRange(0, 1).Draw(rt, "gates"))
		n := nest(t, encoding, rules)
		wrap := func(text string) string {
			if n.codec != nil {
				text = n.codec.EncodeToString([]byte(text))
			}
			return `{"p":` + quoted(text) + `}`
		}
		inner, view := project(t, rules)
		l, p := project(t, []rule{{"p", Action{Op: OpReplace, Via: n}}})
		text := drawRoot(rt).text()
		alone, _, err := scanSplice(inner, view, text, gates)
		want := wrap(alone)
		switch {
		case !n.Shows(gates):
			want = `{"p":null}`
		case err != nil:
			want = "{}"
		}
		if got, _, err := scanSplice(l, p, wrap(text), gates); got != want || err != nil {
			rt.Fatalf("%v\n%s\ngives %s, %v\nwant  %s", rules, text, got, err, want)
		}
	})
}

// Without the engine's gates all of them are closed.
func TestNestedApplyIsClosed(t *testing.T) {
	var via Transform = nest(t, PlainText, []rule{{"a", gated}})
	out, _, err := via.Apply([]byte("before"), Value{Kind: String, Text: []byte(`{"a":1}`)})
	if out.Kind != Null || err != nil {
		t.Errorf("%s, %v", out.Text, err)
	}
	via = nest(t, PlainText, []rule{{"a", gated}, {"b", keep}})
	if out, _, err = via.Apply([]byte("before"), Value{Kind: String, Text: []byte(`{"a":1,"b":2}`)}); string(out.Text) != `{"b":2,"a":null}` || err != nil {
		t.Errorf("%s, %v", out.Text, err)
	}
	var f *Fault
	if _, rest, err := via.Apply([]byte("before"), Value{Kind: String, Text: []byte(`{"jane":1`)}); err == nil || errors.As(err, &f) || string(rest) != "before" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestNestedAllocations(t *testing.T) {
	payload := nest(t, Base64, []rule{{"email", replace}, {"**.k", drop}})
	l, p := project(t, []rule{{"payload", Action{Op: OpReplace, Via: payload}}})
	text := []byte(`{"email":"jane","x":{"k":[1,2,3]}}`)
	src := []byte(`{"payload":` + strconv.Quote(base64.StdEncoding.EncodeToString(text)) + `}`)
	var tape Tape
	var out []byte
	run := func() {
		if err := l.Scan(src, &tape); err != nil {
			t.Fatal(err)
		}
		out, _, _ = p.Splice(out[:0], src, &tape, 0)
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
	big := []byte(`{"payload":` + quoted(base64.StdEncoding.EncodeToString([]byte(`{"email":"`+strings.Repeat("x", 1<<20)+`"}`))) + `}`)
	if err := l.Scan(big, &tape); err != nil {
		t.Fatal(err)
	}
	if out, _, err := p.Splice(nil, big, &tape, 0); err != nil || !json.Valid(out) || len(out) < 1<<20 {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
	if cap(payload.decoded)+cap(payload.spliced)+cap(payload.tape.Entries) > 0 {
		t.Error("the memory of an unusual record is kept")
	}
}
