package schemas

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func member(name string) Step { return Step{Kind: StepMember, Name: name} }

var (
	elements  = Step{Kind: StepElements}
	anyMember = Step{Kind: StepAnyMember}
	deep      = Step{Kind: StepDeep}
	key       = Step{Kind: StepKey}
)

func index(n int) Step { return Step{Kind: StepIndex, Index: n} }

func where(name, value string) Step { return Step{Kind: StepPredicate, Name: name, Value: value} }

func TestParsePath(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Path
	}{
		{"email", Path{member("email")}},
		{"address.city", Path{member("address"), member("city")}},
		{"tags[*]", Path{member("tags"), elements}},
		{"[*].email", Path{elements, member("email")}},
		{"[*][*]", Path{elements, elements}},
		{"items[*].sku", Path{member("items"), elements, member("sku")}},
		{"utm.*", Path{member("utm"), anyMember}},
		{"*", Path{anyMember}},
		{"*.x", Path{anyMember, member("x")}},
		{`"a.b".c`, Path{member("a.b"), member("c")}},
		{`a."b c"[*]`, Path{member("a"), member("b c"), elements}},
		{`"say \"hi\" \\"`, Path{member(`say "hi" \`)}},
		{`""`, Path{member("")}},
		{"größe-1.$ref_2", Path{member("größe-1"), member("$ref_2")}},
		{`"xdm:name"`, Path{member("xdm:name")}},
		{"a[0]", Path{member("a"), index(0)}},
		{"[12][999999999].b", Path{index(12), index(999999999), member("b")}},
		{`p[key=="email"].value`, Path{member("p"), where("key", "email"), member("value")}},
		{`p["a b"=="]\"\\"]`, Path{member("p"), where("a b", `]"\`)}},
		{`p[0=="x"]`, Path{member("p"), where("0", "x")}},
		{`p[key==""]`, Path{member("p"), where("key", "")}},
		{"**", Path{deep}},
		{"**.email", Path{deep, member("email")}},
		{"a.**.b", Path{member("a"), deep, member("b")}},
		{"a.**[*].*", Path{member("a"), deep, elements, anyMember}},
		{"utm.*~key", Path{member("utm"), anyMember, key}},
		{`"a b"~key`, Path{member("a b"), key}},
		{`"~key"`, Path{member("~key")}},
		{`"**"."*"."[*]"`, Path{member("**"), member("*"), member("[*]")}},
	} {
		got, err := ParsePath(tt.text)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("ParsePath(%q) = %v, %v; want %v", tt.text, got, err, tt.want)
		}
		if got.String() != tt.text {
			t.Errorf("ParsePath(%q).String() = %q", tt.text, got.String())
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	for _, tt := range []struct {
		text    string
		column  int
		message string
	}{
		{"", 1, "empty"},
		{".", 1, "expected a name"},
		{".a", 1, "expected a name"},
		{"a.", 3, "expected a name"},
		{"a..b", 3, "expected a name"},
		{"a b", 2, "double quotes"},
		{"a:b", 2, "double quotes"},
		{"größe b", 6, "double quotes"},
		{"$.", 3, "expected a name"},
		{"a.*b", 4, `expected "."`},
		{"a\xff", 1, "UTF-8"},
		{`a."b`, 3, "does not end"},
		{`"a\n"`, 3, "escapes"},
		{`"a` + "\n" + `"`, 3, "control"},
		{`"a"b`, 4, `expected "."`},
		{"a[", 2, `"[n]"`},
		{"a[]", 2, `"[n]"`},
		{"a[[", 2, `"[n]"`},
		{"a[*]b", 5, `expected "."`},
		{"a[-1].b", 3, "from 0"},
		{"a[01]", 3, "no zero in front"},
		{"a[1000000000]", 3, "at most 9 digits"},
		{"a[1", 2, `the "[" does not end`},
		{"a[1 ]", 4, `expected "=="`},
		{"a[key]", 6, `expected "=="`},
		{`a[key="v"]`, 6, `expected "=="`},
		{"a[key==v]", 8, "text in double quotes"},
		{"a[key==1]", 8, "text in double quotes"},
		{"a[key==", 8, "text in double quotes"},
		{`a[key=="v]`, 8, "does not end"},
		{`a[key=="v"`, 11, `expected "]"`},
		{`a[key=="v"x]`, 11, `expected "]"`},
		{`a[*==""]`, 3, "expected a name"},
		{"**.**", 3, "twice"},
		{"a***", 2, `expected "."`},
		{"a.***", 5, `expected "."`},
		{"~key", 1, "stands behind"},
		{"a[*]~key", 5, "stands behind"},
		{"**~key", 3, "stands behind"},
		{"a.~key", 3, "expected a name"},
		{"a.*~", 4, "nothing behind"},
		{"a.*~keys", 4, "nothing behind"},
		{"a.*~key.b", 4, "nothing behind"},
		{"a.*~key~key", 4, "nothing behind"},
		{strings.Repeat("[*]", MaxPathSteps+1), 3*MaxPathSteps + 1, "steps"},
	} {
		got, err := ParsePath(tt.text)
		var pe *PathError
		if got != nil || !errors.As(err, &pe) {
			t.Errorf("ParsePath(%q) = %v, %v; want a *PathError", tt.text, got, err)
			continue
		}
		if pe.Column != tt.column || !strings.Contains(pe.Message, tt.message) {
			t.Errorf("ParsePath(%q): %v; want column %d and %q", tt.text, pe, tt.column, tt.message)
		}
	}
}

func TestRespelled(t *testing.T) {
	for text, want := range map[string]string{
		"a": "", "a.b": `"a.b"`, "a.b.c": `a."b.c" "a.b.c"`, "l[*].a.b": `l[*]."a.b"`, "**.a.b": `**."a.b"`, "a.b[*].*": `"a.b"[*].*`, "a.*~key": "", "a.b.*~key": `"a.b".*~key`,
		`"a.b"`: "a.b", `x."a.b"`: `"x.a.b" x.a.b`, `"a.b".*`: "a.b.*", `"a..b"`: "", `".a"`: "", `"."`: "", `a.*.b`: "",
	} {
		var got []string
		for _, p := range mustPath(t, text).Respelled() {
			got = append(got, p.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is respelled as %q, want %q", text, got, want)
		}
	}
}

func TestMeets(t *testing.T) {
	for pair, want := range map[string]bool{
		"[0] [1]": false, "[0] [0]": false, `[0] [k=="v"]`: true, `[k=="v"] [k=="w"]`: false, `[k=="v"] [j=="v"]`: true, "[0] [*]": false, "[*] [*]": false, `[k=="v"] k`: false,
	} {
		a, b, _ := strings.Cut(pair, " ")
		if p, q := mustPath(t, a)[0], mustPath(t, b)[0]; p.Meets(q) != want || q.Meets(p) != want {
			t.Errorf("%s meet: %v, want %v", pair, p.Meets(q), want)
		}
	}
}

// What a text was probably meant to be; "" where that is a guess too many.
func TestPathSuggestions(t *testing.T) {
	for text, want := range map[string]string{
		"a b": `"a b"`, "a.b c": `a."b c"`, "a.b c.d e[*]": `a."b c"."d e"[*]`, "xdm:a.xdm:b": `"xdm:a"."xdm:b"`, "a.@type": `a."@type"`,
		`"a.b`: `"a.b"`, `a."b c`: `a."b c"`, `a[key=="v]`: `a[key=="v"]`, `a."b"c`: "", `"a" b`: "", `a"b`: "", `a"b".c`: `a."b".c`, `a b"c"`: "",
		"'a b'.c": `"a b".c`, "a.'b'": `a."b"`, "“a b”": `"a b"`, "„a“.«b»": `"a"."b"`, "a.'b": "", "'": "",
		"a['b c'].d": `a."b c".d`, `a["b.c"]`: `a."b.c"`, "a[b]": "a.b", "a[key='v']": `a[key=="v"]`, "a[key=v].b": `a[key=="v"].b`, `a[key=="v"`: "", "a[key": "",
		"tags[]": "tags[*]", "[]": "[*]", "a[0": "a[0]", "a[": "", "a[-1]": "", "a.[*]": "a[*]", "a[*]b": "a[*].b", ".a": "a", "a..b": "a.b", "a.": "a", "a.b..": "a.b", ".": "",
		"a.**.**": "", "a.b~keys": "", "a{b}": `"a{b}"`, "größe b": `"größe b"`, "a\\b": `"a\\b"`, "a[k=='it is']": `a[k=="it is"]`,
	} {
		_, err := ParsePath(text)
		var pe *PathError
		if !errors.As(err, &pe) || pe.Suggestion != want {
			t.Errorf("ParsePath(%q) suggests %+v, want %q", text, pe, want)
		}
	}
}

func mustPath(t interface{ Fatal(...any) }, text string) Path {
	p, err := ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPathCovers(t *testing.T) {
	for _, tt := range []struct {
		rule, position string
		want           bool
	}{
		{"a", "a", true}, {"a", "a.b", true}, {"a.b", "a", false}, {"a", "ab", false}, {"a", "A.b", false},
		{"a[*]", "a[*].b", true}, {"a.*", "a[*]", false}, {"a.*", "a.b.c", true}, {"a.*", "a.*", true}, {"a.b", "a.*", false},
		{"a[*]", "a[0].b", true}, {"a[*]", `a[k=="v"]`, true}, {"a[0]", "a[*]", false}, {"a[0]", "a[1]", false},
		{"a[0]", "a[0].b", true}, {`a[k=="v"]`, `a[k=="v"].b`, true}, {`a[k=="v"]`, `a[k=="w"]`, false}, {`a[k=="v"]`, "a[0]", false},
		{"**", "a", true}, {"**", "a[*].b.*", true}, {"**.b", "b", true}, {"**.b", "a[*].b.c", true}, {"**.b", "a.c", false},
		{"a.**.b", "a.b", true}, {"a.**.b", "a.x[0].y.b.z", true}, {"a.**.b", "x.a.b", false}, {"a.**", "a", true}, {"a.**", "ab", false},
		{"**.a.**.b.c", "a.a.b.a.b.b.c", true}, {"**.a.**.b.c", "b.c.a", false}, {"**[*].b", "x.a[*].b", true}, {"**[*].b", "x.b", false},
		{"**.a.b", "a.a.b", true}, {"**.a.b", "a.c.a.c.b", false},
		{"m.*", "m.*~key", false}, {"m", "m.*~key", false}, {"**", "m.*~key", false}, {"**.*", "m.*~key", false},
		{"m.*~key", "m.*~key", true}, {"m.*~key", "m.*", false}, {"**.*~key", "x.m.*~key", true}, {"**.*~key", "m.*", false},
		{"m.*~key", "m.x.*~key", false}, {"m.a~key", "m.a~key", true}, {"m.*~key", "m.a~key", true}, {"m.**.*~key", "m.*~key", true},
	} {
		if got := mustPath(t, tt.rule).Covers(mustPath(t, tt.position)); got != tt.want {
			t.Errorf("%s covers %s: %v", tt.rule, tt.position, got)
		}
	}
}

func TestPathCompare(t *testing.T) {
	for _, tt := range []struct {
		p, q, at string
		want     int
	}{
		{"a.b", "a", "a.b", 1}, {"a.*", "a", "a.b.c", 1}, {"a[*].b", "a[0]", "a[0].b", 1}, {"a.b", "a.*", "a.b", 1}, {"a.*", "*.b", "a.b", 1},
		{"a[0]", "a[*]", "a[0]", 1}, {`a[k=="v"]`, "a[*]", `a[k=="v"]`, 1},
		{"a.**.b", "a", "a.x.b", 1}, {"**.b", "a", "a.b", 1}, {"**.b", "a.x", "a.x.y.b.z", 1}, {"**.b", "**.x", "b.a.x", -1},
		{"a.b", "a.**.b", "a.b", 1}, {"a.*", "a.**.b", "a.b", 1}, {"a.*", "a.**.b", "a.x.b", -1},
		{"a.**", "a", "a.b", 0}, {"**", "a", "a.b", -1}, {"a.**", "a.b", "a.b.c.d", -1},
		{"a.**.b", "**.a.b", "a.a.b", 1}, {"**.a.b", "a.c", "a.a.b", 1},
		{"a.*~key", "*.a~key", "a.a~key", 1}, {"**.*~key", "**.*.*~key", "a.*~key", 0}, {"a", "a", "a.b", 0}, {"*", "*", "a", 0}, {"*.b", "**.b", "x.b", 1},
	} {
		p, q, at := mustPath(t, tt.p), mustPath(t, tt.q), mustPath(t, tt.at)
		if got, back := p.Compare(q, at), q.Compare(p, at); got != tt.want || back != -tt.want {
			t.Errorf("%s against %s at %s: %d, and %d back; want %d", tt.p, tt.q, tt.at, got, back, tt.want)
		}
	}
}

// slowCovers says once more what Path.Covers does, by trying everything.
func slowCovers(rule, position Path) bool {
	if len(rule) == 0 {
		return len(position) == 0 || position[len(position)-1].Kind != StepKey
	}
	if rule[0].Kind == StepDeep {
		return slowCovers(rule[1:], position) || len(position) > 0 && position[0].Kind != StepKey && slowCovers(rule, position[1:])
	}
	return len(position) > 0 && rule[0].names(position[0]) && slowCovers(rule[1:], position[1:])
}

func TestPathCoversAll(t *testing.T) {
	rule := rapid.SliceOfN(rapid.SampledFrom([]Step{member("a"), member("b"), elements, index(0), anyMember, deep, key}), 1, 7)
	position := rapid.SliceOfN(rapid.SampledFrom([]Step{member("a"), member("a"), member("b"), elements, index(0), anyMember, key}), 0, 9)
	covered := 0
	rapid.Check(t, func(t *rapid.T) {
		p, q := Path(rule.Draw(t, "rule")), Path(position.Draw(t, "position"))
		for _, path := range []Path{p, q} {
			if i := slices.Index(path, key); i >= 0 && i < len(path)-1 {
				t.Skip("~key is the last step")
			}
		}
		want := slowCovers(p, q)
		if want {
			covered++
		}
		if got := p.Covers(q); got != want {
			t.Fatalf("%s covers %s: %v, want %v", p, q, got, want)
		}
	})
	if covered == 0 {
		t.Error("no case in which a rule covers a position")
	}
}

// Any path that can be built comes back from its text.
func TestPathRoundTrip(t *testing.T) {
	text := rapid.StringOf(rapid.RuneFrom([]rune(`ab0."\[*]=~ é`)))
	step := rapid.OneOf(
		rapid.Just(elements), rapid.Just(anyMember), rapid.Just(deep),
		rapid.Map(text, member),
		rapid.Map(rapid.IntRange(0, 999_999_999), index),
		rapid.Custom(func(t *rapid.T) Step { return where(text.Draw(t, "name"), text.Draw(t, "value")) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		p := Path(rapid.SliceOfN(step, 1, 8).Draw(t, "path"))
		for i := len(p) - 1; i > 0; i-- {
			if p[i].Kind == StepDeep && p[i-1].Kind == StepDeep {
				p = slices.Delete(p, i, i+1)
			}
		}
		if k := p[len(p)-1].Kind; (k == StepMember || k == StepAnyMember) && rapid.Bool().Draw(t, "key") {
			p = append(p, key)
		}
		got, err := ParsePath(p.String())
		if err != nil || !slices.Equal(got, p) {
			t.Fatalf("%q gives %v, %v; want %v", p.String(), got, err, p)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"a.b[*]", `"a.b".*`, "a[0]", `p[key=="x"].**`, "a.*~key", "**.a", `"\\"`, `p["]"=="\""]`, "a.'b c'[x='y']", "“a”.@b", "a[]..b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			var pe *PathError
			if p != nil || !errors.As(err, &pe) || pe.Column < 1 || pe.Column > utf8.RuneCountInString(s)+1 {
				t.Fatalf("ParsePath(%q) = %v, %v", s, p, err)
			}
			if _, err := ParsePath(pe.Suggestion); pe.Suggestion != "" && err != nil {
				t.Fatalf("the suggestion for %q is no path: %v", s, err)
			}
			return
		}
		again, err := ParsePath(p.String())
		if err != nil || !slices.Equal(again, p) {
			t.Fatalf("%q reads as %q, which reads as %v, %v", s, p.String(), again, err)
		}
	})
}
