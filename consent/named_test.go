package consent

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/internal/personal"
	"github.com/consentstream/consentstream/internal/reference"
)

// oracleNamespaces are testNamespaces in the words of package reference.
var oracleNamespaces = &reference.Policy{Namespaces: map[string]string{
	"raw": "none", "crm": "trim", "low": "lower", "email": "email", "nfc": "nfc", "phone": "phone",
}}

func person(value string) string { return `{"namespace":"crm","value":"` + value + `"}` }

func event(value string) string {
	return `{"id":"1","subject":` + person(value) + `,"action":"withdraw"}`
}

// TestNamed: everybody whom a malformed value names, and nobody else (D14).
func TestNamed(t *testing.T) {
	inString := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
	}
	for _, c := range []struct {
		name, value string
		fault       Fault
		want        []string // in namespace crm, unless written namespace:value
	}{
		{"subject twice", `{"id":"1","subject":` + person("42") + `,"subject":` + person("43") + `,"action":"erase"}`, FaultSyntax, []string{"42", "43"}},
		{"subject as an array", `{"id":"1","subject":[` + person("42") + `,` + person("43") + `],"action":"erase"}`, FaultType, []string{"42", "43"}},
		{"subjects", `{"id":"1","subjects":[` + person("42") + `,` + person("43") + `],"action":"erase"}`, FaultMember, []string{"42", "43"}},
		{"subject in capitals", `{"id":"1","Subject":` + person("42") + `,"action":"erase"}`, FaultMember, []string{"42"}},
		{"array of events", `[` + event("42") + ",\n" + event("43") + `]`, FaultSyntax, []string{"42", "43"}},
		{"array torn in the second", `[` + event("42") + `,` + event("43")[:60], FaultSyntax, []string{"42", "43"}},
		{"two documents", event("42") + event("43"), FaultSyntax, []string{"42", "43"}},
		{"two lines", event("42") + "\n" + event("43") + "\n", FaultSyntax, []string{"42", "43"}},
		{"the same person twice", event("42") + "\n" + event(" 42"), FaultSyntax, []string{"42"}},
		{"byte order mark", "\ufeff" + event("42"), FaultSyntax, []string{"42"}},
		{"garbage before", "\x00\x00\x00\x00\x07" + event("42"), FaultSyntax, []string{"42"}},
		{"in an envelope", `{"schema":null,"payload":` + event("42") + `}`, FaultMember, []string{"42"}},
		{"flat", `{"id":"1","namespace":"crm","value":"42","action":"erase"}`, FaultMember, []string{"42"}},
		{"torn after the value", `{"id":"1","subject":{"namespace":"crm","value":"42"`, FaultSyntax, []string{"42"}},
		{"torn after an integer, which may have been longer", `{"id":"1","subject":{"namespace":"crm","value":42`, FaultSyntax, []string{"42"}},
		{"torn in the value", `{"id":"1","subject":{"namespace":"crm","value":"42`, FaultSyntax, nil},
		{"torn before the namespace", `{"id":"1","subject":{"value":"42"`, FaultSyntax, nil},
		{"the value first", `{"subject":{"value":"42","namespace":"crm"},"id":1}`, FaultType, []string{"42"}},
		{"escaped names", `{"subject":{"n\u0061mespace":"crm","v\u0061lue":"42"},"id":1}`, FaultType, []string{"42"}},
		{"two values", `{"subject":{"namespace":"crm","value":"42","value":43}}`, FaultSyntax, []string{"42", "43"}},
		{"two namespaces", `{"subject":{"namespace":"crm","value":"42","namespace":"raw"}}`, FaultSyntax, []string{"42", "raw:42"}},
		{"two people of two namespaces", `[` + person("42") + `,{"namespace":"raw","value":"43"}]`, FaultSyntax, []string{"42", "raw:43"}},
		{"members between", `{"subject":{"namespace":"crm","alias":{"value":"43"},"value":"42"}}`, FaultMember, []string{"42"}},
		{"a quote is missing before", `{"id":"1,"subject":` + person("42") + `,"action":"erase"}`, FaultSyntax, []string{"42"}},
		{"a quote is missing behind", `{"subject":` + person("42") + `,"action:"erase"}`, FaultMember, []string{"42"}},
		{"a bracket too many", `}]{"id":"1"},"subject":` + person("42") + `}`, FaultSyntax, []string{"42"}},
		{"a link carries denials", `{"id":"1","subject":` + person("42") + `,"action":"link","link":{"namespace":"crm","value":"43","kind":"device"}}`, FaultLink, []string{"42", "43"}},
		{"in a string", inString(event("42")), FaultSyntax, []string{"42"}},
		{"in a string, with escapes", inString("{\n \"subject\": " + person(`a\"b\\c`) + "}"), FaultSyntax, []string{`a"b\c`}},
		{"in a string, as .NET writes it", `{"payload":"` + strings.ReplaceAll(event("42"), `"`, `\u0022`) + `"}`, FaultMember, []string{"42"}},
		{"events in strings", `[` + inString(event("42")) + `,` + inString(event("43")) + `]`, FaultSyntax, []string{"42", "43"}},
		{"a value with escapes is not another one", `{"subject":` + person(`a\"b\\`) + `}`, FaultMissing, []string{`a"b\`}},
		{"deep", strings.Repeat("[", 100) + event("42"), FaultSyntax, []string{"42"}},
		{"a float", `{"subject":{"namespace":"crm","value":42.0}}`, FaultType, nil},
		{"an integer with a zero before it", `{"subject":{"namespace":"crm","value":042}}`, FaultSyntax, nil},
		{"ill-formed UTF-8 in the value", `{"subject":` + person("42\xff") + `}`, FaultSyntax, nil},
		{"unknown namespace", `{"subject":{"namespace":"lead","value":"42"}}`, FaultSubject, nil},
		{"text", `{"subject":"crm:42"}`, FaultType, nil},
	} {
		e := ParseUnkeyed([]byte(c.value), Position{}, 5, testNamespaces)
		var want []Identifier
		for _, w := range c.want {
			namespace, value, ok := strings.Cut(w, ":")
			if !ok {
				namespace, value = "crm", w
			}
			want = append(want, Identifier{namespace, personal.String(value)})
		}
		if got := slices.Collect(e.Subjects); e.Malformed != c.fault || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %s", c.name, e.Malformed, plain(got))
		}
		same(t, nil, []byte(c.value))
	}
}

// TestNamedBounds: what is not looked for is said, and takes no time: that of some of
// these would grow with the square of their length, to minutes.
func TestNamedBounds(t *testing.T) {
	crowd := func(n int, of func(i int) string) []byte {
		var b bytes.Buffer
		for i := range n {
			b.WriteString(of(i))
		}
		return b.Bytes()
	}
	each := func(i int) string { return person(fmt.Sprint("p", i)) }
	// What begins at each of these braces would be read up to the end.
	const hidden, inString = `"{"\"x",`, `{\"a\":1},`
	behind := strings.Repeat(" ", maxSearched-len(person("42")))
	for _, c := range []struct {
		name  string
		value []byte
		fault Fault
		named int
	}{
		{"as many as are denied", crowd(MaxNamed, each), FaultMember, MaxNamed},
		{"one more", crowd(MaxNamed+1, each), FaultUnsearched, MaxNamed},
		{"one of them again", append(crowd(MaxNamed, each), each(0)...), FaultMember, MaxNamed},
		{"at the end of what is searched", []byte(behind + person("42")), FaultTooLarge, 1},
		{"beyond what is searched", []byte(behind + "   " + person("42")), FaultUnsearched, 0},
		{"many that nobody is", append(crowd(maxTried, func(int) string { return person("null") }), person("42")...), FaultUnsearched, 0},
		{"many values of one", []byte(`{"namespace":"crm"` + string(crowd(maxTried, func(i int) string { return fmt.Sprintf(`,"value":"p%d"`, i) })) + "}"), FaultUnsearched, MaxNamed},
		{"many in strings of others", crowd(maxSearched/len(hidden), func(int) string { return hidden }), FaultUnsearched, 0},
		{"many in one string", crowd(maxSearched/len(inString), func(int) string { return inString }), FaultTooLarge, 0},
		{"many colons", []byte(strings.Repeat(`{"":`, maxNested-1) + strings.Repeat(":", maxSearched/2)), FaultTooLarge, 0},
		{"many namespaces that are one", []byte("{" + strings.Repeat(`"namespace":"crm",`, maxTried+1) + `"value":"42"}`), FaultTooLarge, 1},
		{"nested", crowd(10_000, func(int) string { return `{"a":` }), FaultUnsearched, 0},
		{"nested in strings", crowd(10_000, func(int) string { return `{"{` }), FaultUnsearched, 0},
		{"people in what is nested", append(crowd(100, func(int) string { return `{"a":` }), each(0)+each(1)...), FaultUnsearched, 2},
		{"as deep as is read", []byte(`{"namespace":"crm","x":` + strings.Repeat("[", maxNested-1) + strings.Repeat("]", maxNested-1) + `,"value":"42"}`), FaultMember, 1},
		{"deeper", []byte(`{"namespace":"crm","x":` + strings.Repeat("[", maxNested) + strings.Repeat("]", maxNested) + `,"value":"42"}`), FaultUnsearched, 0},
	} {
		e := ParseUnkeyed(c.value, Position{}, 5, testNamespaces)
		if e.Malformed != c.fault || len(e.Named) != c.named {
			t.Errorf("%s: %q, %d people", c.name, e.Malformed, len(e.Named))
		}
		if keyed := Parse([]byte("crm:key"), c.value, Position{}, 5, testNamespaces); keyed.Malformed != c.fault || len(keyed.Named) != c.named+1 {
			t.Errorf("%s, with a key: %q, %d people", c.name, keyed.Malformed, len(keyed.Named))
		}
	}
}

// same holds Parse against the reference, which finds for itself what is malformed
// and whom that names. It does not know too_broad, nor where the search ends.
func same(t interface{ Errorf(string, ...any) }, key, value []byte) {
	e := Parse(key, value, Position{1, 1}, 1000, testNamespaces)
	r := oracleNamespaces.ReadEvent(key, value, 1, 1, 1000)
	if r.Malformed != (e.Malformed != NoFault) && e.Malformed != FaultTooBroad {
		t.Errorf("%q, the reference says malformed: %t\n%q %q", e.Malformed, r.Malformed, key, value)
		return
	}
	want := r.Named
	if !r.Malformed {
		want = []string{r.Subject}
	}
	got := plain(slices.Collect(e.Subjects))
	if e.Malformed == FaultUnsearched {
		want = slices.DeleteFunc(want, func(id string) bool { return !slices.Contains(got, id) })
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q denies %q, in the reference %q\n%q %q", e.Malformed, got, want, key, value)
	}
}

func plain(ids []Identifier) (all []string) {
	for _, id := range ids {
		all = append(all, id.Namespace+":"+string(id.Value))
	}
	return all
}

// TestNamedTokens: whatever the tokens of an event are put together to, it denies
// the same people as in the reference.
func TestNamedTokens(t *testing.T) {
	several := 0
	token := rapid.SampledFrom([]string{`{`, `{`, `}`, `[`, `]`, `:`, `,`, ` `, `"`, `\`, `\"`, `"namespace"`, `"namespace":"crm"`, `"namespace":"raw",`, `"value"`,
		`"value":"4\"2"`, `"value" : 42`, `"value":"43",`, `"value":`, `{"namespace":"crm","value":"44"}`, `{"namespace":"crm","value":"`, `{"value":45,"namespace":"crm"`, `{"namespace":"crm",`, `"subject":`, `"crm"`, `7`, `-7`, `07`, `\u0022`, `"v\u0061lue":"\ud800"`, "\xff", "\n", `true`})
	rapid.Check(t, func(t *rapid.T) {
		value := []byte(strings.Join(rapid.SliceOfN(token, 20, 60).Draw(t, "tokens"), ""))
		same(t, nil, value)
		if e := ParseUnkeyed(value, Position{}, 5, testNamespaces); len(e.Named) > 1 {
			several++
		}
	})
	if several < 20 {
		t.Errorf("too tame: %d of several people", several)
	}
}

// TestDamage: a faultless event that names a person, damaged anywhere but in
// {namespace, value} itself, either still is that person's or denies the person.
func TestDamage(t *testing.T) {
	malformed, others := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		d := drawDamaged(t)
		for range rapid.IntRange(1, 4).Draw(t, "damages") {
			d = rapid.SampledFrom(damages).Draw(t, "damage")(t, d)
		}
		if rapid.IntRange(0, 4).Draw(t, "in a string") == 0 {
			d = d.quoted()
		}
		key := rapid.SampledFrom([]string{"", "crm:7", d.whom}).Draw(t, "key")
		e := Parse([]byte(key), d.text(), Position{}, 5, testNamespaces)
		named := plain(slices.Collect(e.Subjects))
		if !slices.Contains(named, d.whom) {
			t.Errorf("%q: %q is not denied but %q\n%q", e.Malformed, d.whom, named, d.text())
		}
		if e.Malformed != NoFault {
			malformed++
		}
		if len(named) > 1 {
			others++
		}
		same(t, []byte(key), d.text())
	})
	if malformed < 50 || others < 20 {
		t.Errorf("too tame: %d malformed, %d of several people", malformed, others)
	}
}

// damaged is a text and where in it somebody is named: subject must stay as it is.
type damaged struct {
	whom                    string // namespace:value, normalised
	before, subject, behind string
}

func (d damaged) text() []byte { return []byte(d.before + d.subject + d.behind) }

func drawDamaged(t *rapid.T) damaged {
	whom := rapid.SampledFrom([][2]string{
		{"crm:42", `{"namespace":"crm","value":"42"`}, {"crm:42", `{"value":42,"namespace":"crm"`}, {"crm:{\"", `{"namespace":"crm", "value" : "{\""`},
		{"email:ann@x.example", "{\n\"n\\u0061mespace\":\"email\",\"value\":\" Ann@X.example\""}, {`raw:}\`, `{"value":"}\\","namespace":"raw"`},
	}).Draw(t, "whom")
	members := rapid.Permutation([]string{
		`"id":"1"`, `"action":"grant"`, `"purposes":["a"]`, `"evidence":{"method":"{\"","source":"}"}`, `"notice":{"id":"[","version":"\\"}`,
	}).Draw(t, "members")
	n := rapid.IntRange(0, len(members)).Draw(t, "members before")
	d := damaged{whom: whom[0], before: "{", subject: whom[1], behind: "}"}
	for i, m := range members {
		if i < n {
			d.before += m + ","
		} else {
			d.behind += "," + m
		}
	}
	d.before += `"subject":`
	d.behind += "}"
	return d
}

// somebody else's event, whole.
const other = `{"id":"2","subject":{"namespace":"crm","value":"9"},"action":"withdraw"}`

var damages = []func(*rapid.T, damaged) damaged{
	func(t *rapid.T, d damaged) damaged { d.before = "\ufeff" + d.before; return d },
	func(t *rapid.T, d damaged) damaged { d.before += person("8") + `,"subject":`; return d },
	func(t *rapid.T, d damaged) damaged { d.behind = `},"subject":` + person("8") + "}"; return d },
	func(t *rapid.T, d damaged) damaged { d.before = other + d.before; return d },
	func(t *rapid.T, d damaged) damaged { d.behind += other; return d },
	func(t *rapid.T, d damaged) damaged {
		d.before, d.behind = "["+other+","+d.before, d.behind+","+other+"]"
		return d
	},
	func(t *rapid.T, d damaged) damaged {
		d.before, d.behind = `{"payload":`+d.before, d.behind+"}"
		return d
	},
	func(t *rapid.T, d damaged) damaged {
		d.behind = d.behind[:rapid.IntRange(0, len(d.behind)).Draw(t, "cut")]
		return d
	},
	func(t *rapid.T, d damaged) damaged {
		d.before = d.before[rapid.IntRange(0, len(d.before)).Draw(t, "cut before"):]
		return d
	},
	func(t *rapid.T, d damaged) damaged { d.before = flip(t, d.before); return d },
	func(t *rapid.T, d damaged) damaged { d.behind = flip(t, d.behind); return d },
}

// flip makes another byte of one, mostly such that matters.
func flip(t *rapid.T, s string) string {
	if s == "" {
		return s
	}
	i := rapid.IntRange(0, len(s)-1).Draw(t, "at")
	b := rapid.OneOf(rapid.SampledFrom([]byte(`"\{}[]:, x0`)), rapid.Byte()).Draw(t, "byte")
	return s[:i] + string([]byte{b}) + s[i+1:]
}

// quoted is the text as a JSON string, as it comes from who encodes twice.
func (d damaged) quoted() damaged {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	d.before, d.subject, d.behind = `"`+escape.Replace(d.before), escape.Replace(d.subject), escape.Replace(d.behind)+`"`
	return d
}
