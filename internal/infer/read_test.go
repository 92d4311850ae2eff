package infer

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/schemas"
)

// describe writes what was found, a line for each field.
func describe(fields []Field) string {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "%s: %s", f.Path, strings.Join(f.Types, "|"))
		if f.Category != "" {
			fmt.Fprintf(&b, " = %s", f.Category)
		}
		if f.Events > 0 {
			fmt.Fprintf(&b, " %d/%d", f.Events, f.Values)
		}
		for _, n := range f.Notes {
			fmt.Fprintf(&b, " (%s)", n)
		}
		b.WriteByte('\n')
		for line := range strings.Lines(describe(f.Inside)) {
			fmt.Fprintf(&b, "  %s %s", f.Encoding, line)
		}
	}
	return b.String()
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"the union of paths", `{"email":"a@b.example","x":1}
{"email":null,"y":[]}
`, `email: null|string = user.contact.email 2/2
x: number 1/1
y: array 1/1 (always empty)
`},
		{"arrays", `{"tags":["a","b"],"items":[{"sku":"1"},{"sku":"2"}],"deep":[[1]]}`,
			`tags[*]: string = user.behavior 1/2
items[*].sku: string = user.behavior.purchase_history 1/2
deep[*][*]: number 1/1
`},
		{"one array of events", "[{\"foo\":1},\n {\"foo\":2}]", "foo: number 2/2\n"},
		{"arrays as events", "[{\"foo\":1},{\"foo\":2}]\n[{\"foo\":3}]", "[*].foo: number 3/3\n"},
		{"a byte order mark, and several lines", "\ufeff{\n \"foo\":\n 1}\n\n", "foo: number 1/1\n"},
		{"a value and an object", `{"a":"x"}{"a":{"b":1}}`, "a: string|object 2/2\na.b: number 1/1\n"},
		{"names that differ in case", `{"fos":1}{"Foſ":{"bar":1}}`, "fos: number 1/1\nFoſ.bar: number 1/1 (fos and Foſ differ only in case: leave one out)\n"},
		{"names that need quotes", `{"a b":{"c.d":1}}`, `"a b"."c.d": number 1/1` + "\n"},
		{"a map by its keys", `{"subscribers":{"ada@x.example":{"foo":"y"},"bob@x.example":{"foo":"n"}}}`,
			"subscribers.*~key: string = user.contact.email\nsubscribers.*.foo: string 1/2\n"},
		{"a map of digits", `{"by_year":{"2024":1,"2025":2}}`, "by_year.*~key: string = user.unique_id\nby_year.*: number 1/2\n"},
		{"known names beside data", `{"email":"a@b.example","ada@x.example":1}`, `email: string = user.contact.email 1/1
*~key: string = user.contact.email
*: number 1/1
`},
		{"names that may be people's beside data", `{"p":{"alice":1,"foo":2,"ada@x.example":1}}`,
			"p.*~key: string = user.contact.email\np.*: number 1/3\n"},
		{"a name in nearly every object", strings.Repeat(`{"foo":1,"ada@x.example":1}`, 5), "foo: number 5/5\n*~key: string = user.contact.email\n*: number 5/5\n"},
		{"twice in one event", `{"foos":[{"foo":1},{"foo":2}]}{"foos":[]}{"bar":1}`, "foos[*].foo: number 1/2\nbar: number 1/1\n"},
		{"three that are alike", `{"p":{"ada":{"q":1,"r":2},"bob":{"q":1,"r":2},"cyd":{"q":1,"r":2}}}`,
			"p.*~key: string = user.unique_id\np.*.q: number 1/3\np.*.r: number 1/3\n"},
		{"alike, with names that are known", `{"home":{"q":1,"r":2},"work":{"q":1,"r":2},"other":{"q":1,"r":2}}`,
			"home.q: number 1/1\nhome.r: number 1/1\nwork.q: number 1/1\nwork.r: number 1/1\nother.q: number 1/1\nother.r: number 1/1\n"},
		{"keys and values", `{"params":[{"key":"email","value":"a@b.example"},{"key":"page_title","value":"x"},{"key":"canary","value":"y"}]}`,
			`params[key=="email"].value: string = user.contact.email 1/1
params[key=="page_title"].value: string = user.behavior.browsing_history 1/1
params[*].key: string 1/3 (1 more entries have keys that are not shown: name those you know by [key=="…"])
params[*].value: string 1/1
`},
		{"keys below what would cascade", `{"device":[{"key":"email","value":"x"},{"key":"canary","value":"y"}]}`,
			`device[key=="email"].value: string = user.contact.email 1/1
device[*].key: string 1/2 (1 more entries have keys that are not shown: name those you know by [key=="…"])
device[*].value: string 1/1
`},
		{"no keys and values", `{"params":[{"name":"email","price":"1"},{"name":"phone"}]}`, `params[*].name: string 1/2
params[*].price: string = user.behavior.purchase_history 1/1
`},
		{"elements without a key", `{"params":[{"key":"email","value":"x"},{"foo":1}]}`, `params[*].foo: number 1/1
params[*].key: string 1/1
params[*].value: string 1/1
`},
		{"keys that are text", `{"params":[{"key":"` + strings.Repeat("email_", 11) + `","value":"x"}]}`, "params[*].key: string 1/1\nparams[*].value: string 1/1\n"},
		{"JSON in a string", `{"foo":"{\"email\":\"a@b.example\",\"n\":[1]}"}`, `foo: string 1/1 (has JSON in a string (1 of 1))
  json email: string = user.contact.email 1/1
  json n[*]: number 1/1
`},
		{"base64", `{"foo":"eyJlbWFpbCI6ImFAYi5leGFtcGxlIn0="}`, `foo: string 1/1 (has JSON in base64 (1 of 1))
  base64 email: string = user.contact.email 1/1
`},
		{"base64url", `{"foo":"eyJlbWFpbCI6ImFAYi5leGFtcGxlIn0"}`, `foo: string 1/1 (has JSON in base64 (1 of 1))
  base64url email: string = user.contact.email 1/1
`},
		{"values over a name", `{"user_id":"a@b.example","created":"4111111111111111"}`, `user_id: string = user.contact.email 1/1
created: string = user.financial.credit_card 1/1
`},
		{"e-mail addresses in most of the texts", `{"query":"UPDATE t SET m='a@b.example'","url":"https://x.example/?m=a%40b.example","diagnosis":"a@b.example","x":1}`, `query: string = user.contact.email 1/1
url: string = user.contact.email 1/1
diagnosis: string = user.health_and_medical 1/1
x: number 1/1
`},
		{"what lies below a system", `{"source":{"foo":"x","version":"1"},"event":{"foo":"x"},"device":{"foo":"y"}}`, `source.foo: string 1/1
source.version: string = system.operations 1/1
event.foo: string 1/1
device.foo: string = user.device 1/1
`},
		{"a name over values that are not sure", `{"email":"3c2f4df8-c6dd-4cd2-9b91-6582b81a0349","foo":"3c2f4df8-c6dd-4cd2-9b91-6582b81a0349"}`,
			"email: string = user.contact.email 1/1\nfoo: string = user.unique_id 1/1\n"},
		{"a few among many", strings.Repeat(`{"foo":"x"}`, 9) + `{"foo":"a@b.example"}{"foo":"mail a@b.example"}`,
			"foo: string 11/11 (has e-mail addresses (1 of 11)) (has e-mail addresses inside (1 of 11))\n"},
	} {
		s, err := Read(strings.NewReader(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := describe(s.Fields()); got != c.want {
			t.Errorf("%s: got\n%swant\n%s", c.name, got, c.want)
		}
	}
}

// Many members of which each object has few are a map; a wide record is none.
func TestSparse(t *testing.T) {
	var sparse, wide strings.Builder
	for i := range 40 {
		fmt.Fprintf(&sparse, `{"p":{"n%c%c":1}}`, 'a'+i/20, 'a'+i%20)
		wide.WriteString(`{"p":{`)
		for j := range 40 {
			fmt.Fprintf(&wide, `"n%c%c":1,`, 'a'+j/20, 'a'+j%20)
		}
		wide.WriteString(`"z":1}}`)
	}
	for text, want := range map[string]int{sparse.String(): 2, wide.String(): 41} {
		s, err := Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(s.Fields()); got != want {
			t.Errorf("got %d fields, want %d: %s", got, want, describe(s.Fields()))
		}
	}
}

func TestReadErrors(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	for _, c := range []struct {
		name, in     string
		line, column int
		message      string
	}{
		{"no JSON", "{\"a\":1}\n{\"a\":canary}\n", 2, 6, "not valid JSON"},
		{"cut", "{\"a\":1}\n\n{\"a\":\n\"canary", 4, 8, "ends in the middle"},
		{"twice", "{\"canary\":1,\"canary\":2}", 1, 13, "twice"},
		{"a scalar", "{}\n\"canary\"\n", 2, 1, "an object or an array"},
		{"deep", deep, 1, 321, "64 levels"},
		{"deep arrays", strings.Repeat("[", 10_000), 1, 65, "64 levels"},
		{"no UTF-8", "{\"a\":\"\xff\"}", 1, 7, "not valid JSON"},
		{"members", "{" + manyMembers(maxEntries+1) + "}", 1, 0, "100,000 members"},
	} {
		s, err := Read(strings.NewReader(c.in))
		var e *InputError
		if s != nil || !errors.As(err, &e) {
			t.Errorf("%s: got %v, %v", c.name, s, err)
			continue
		}
		if e.Line != c.line || c.column > 0 && e.Column != c.column || !strings.Contains(e.Message, c.message) || strings.Contains(e.Error(), "canary") {
			t.Errorf("%s: got %v, want %d:%d %q", c.name, e, c.line, c.column, c.message)
		}
	}
	if _, err := Read(io.MultiReader(strings.NewReader(`{"a":`), failing{})); !errors.Is(err, errBroken) {
		t.Errorf("a reader that fails: got %v", err)
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%d":1`, i)
	}
	return b.String()
}

var errBroken = errors.New("broken")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }

// endless repeats a text until n bytes are read.
type endless struct {
	text string
	n    int
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		k := copy(p[n:], e.text[e.at:])
		n, e.at = n+k, (e.at+k)%len(e.text)
	}
	e.n -= n
	return n, nil
}

// A line of 100 MB, whatever it is, is refused or read in bounded memory.
func TestReadMemory(t *testing.T) {
	const size = 100 << 20
	for _, c := range []struct {
		name, start, text, err string
		size                   int
	}{
		{"a string", `{"a":"`, "x", "more than 16 MiB", size},
		{"white space", ``, " \n", "more than 16 MiB", size},
		{"one event", `{"a":[1`, ",1", "more than 16 MiB", size},
		{"digits", `[1`, "1", "more than 16 MiB", size},
		{"many events", `[{}`, `,{"email":"a@b.example"}`, "middle", size / 16},
	} {
		in := io.MultiReader(strings.NewReader(c.start), &endless{text: c.text, n: c.size})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(in)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.err)
		}
		// In all, not at a time: buffers that double are 4 times the largest.
		if got := after.TotalAlloc - before.TotalAlloc; got > 200<<20 {
			t.Errorf("%s: %d MiB were allocated", c.name, got>>20)
		}
	}
}

// Positions are bounded, however the names differ.
func TestReadPositions(t *testing.T) {
	var b strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&b, `{"n%s":{"m%s":[{"o%s":1}]}}`, letters(i), letters(i), letters(i))
	}
	s, err := Read(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Fields()); n > maxPositions || s.positions > maxPositions {
		t.Errorf("%d fields of %d positions", n, s.positions)
	}
	if got := describe(s.Fields()); !strings.HasPrefix(got, "*~key: ") {
		t.Errorf("no map: %.200s", got)
	}
}

func letters(i int) string {
	b := []byte("aaa")
	for j := range b {
		b[j] += byte(i % 26)
		i /= 26
	}
	return string(b)
}

func TestWithinAndNew(t *testing.T) {
	s, err := Read(strings.NewReader(`[{"email":"a@b.example","foo":{"bar":1}}][]`))
	if err != nil || !Arrays(s.Fields()) || s.Listed {
		t.Fatalf("%+v, %v", s, err)
	}
	fields := Within(s.Fields(), schemas.Path{{Kind: schemas.StepElements}})
	if got := describe(fields); got != "email: string = user.contact.email 1/1\nfoo.bar: number 1/1\n" || !fields[0].Once {
		t.Errorf("within: got\n%s", got)
	}
	for rule, want := range map[string]int{"foo": 1, "foo.bar": 1, "**": 0, "email.x": 2, "*": 0} {
		p, err := schemas.ParsePath(rule)
		if err != nil {
			t.Fatal(err)
		}
		if got := New(fields, []Rule{{Path: p}}); len(got) != want {
			t.Errorf("%s leaves %d, want %d", rule, len(got), want)
		}
	}
}

// What is null or empty, and has rules for what may lie in it, is not new.
func TestNewHollow(t *testing.T) {
	s, err := Read(strings.NewReader(`{"before":null,"tags":[],"foo":null,"bar":1}`))
	if err != nil {
		t.Fatal(err)
	}
	var rules []Rule
	for _, text := range []string{"before.email", "tags[*]", "bar.x"} {
		p, err := schemas.ParsePath(text)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, Rule{Path: p})
	}
	if got := describe(New(s.Fields(), rules)); got != "foo: null 1/1\nbar: number 1/1\n" {
		t.Errorf("got\n%s", got)
	}
}

// Of a text that the wiring looks into, what is new in it is new.
func TestNewInside(t *testing.T) {
	s, err := Read(strings.NewReader(`{"p":"{\"email\":\"a@b.example\",\"foo\":1}","q":"{\"x\":1}"}`))
	if err != nil {
		t.Fatal(err)
	}
	path := func(name string) schemas.Path { return schemas.Path{{Kind: schemas.StepMember, Name: name}} }
	rules := []Rule{{Path: path("p"), Nested: true, Inside: []Rule{{Path: path("email")}}}, {Path: path("q"), Nested: true, Inside: []Rule{{Path: path("x")}}}}
	const want = "p: string 1/1 (has JSON in a string (1 of 1)) (add these to the lines that it has)\n  json foo: number 1/1\n"
	if got := describe(New(s.Fields(), rules)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
