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
)

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
		text        string
		column      int
		unsupported bool
	}{
		{"", 1, false},
		{".", 1, false},
		{".a", 1, false},
		{"a.", 3, false},
		{"a..b", 3, false},
		{"a b", 2, false},
		{"a:b", 2, false},
		{"a[", 2, false},
		{"a[]", 2, false},
		{"a[*]b", 5, false},
		{"größe b", 6, false},
		{`a."b`, 3, false},
		{`"a\n"`, 3, false},
		{`"a` + "\n" + `"`, 3, false},
		{`"a"b`, 4, false},
		{"a\xff", 1, false},
		{"$.", 3, false},
		{"a.*b", 4, false},
		{"a[0]", 2, true},
		{"a[-1].b", 2, true},
		{"**", 1, true},
		{"a.**.b", 3, true},
		{"utm.*~key", 6, true},
		{`p[key=="email"].value`, 2, true},
		{strings.Repeat("[*]", MaxPathSteps+1), 3*MaxPathSteps + 1, false},
	} {
		got, err := ParsePath(tt.text)
		var pe *PathError
		if got != nil || !errors.As(err, &pe) {
			t.Errorf("ParsePath(%q) = %v, %v; want a *PathError", tt.text, got, err)
			continue
		}
		if pe.Column != tt.column || pe.Unsupported != tt.unsupported {
			t.Errorf("ParsePath(%q): %v (unsupported %v); want column %d, unsupported %v",
				tt.text, pe, pe.Unsupported, tt.column, tt.unsupported)
		}
		if tt.unsupported != strings.Contains(pe.Message, "not supported yet") {
			t.Errorf("ParsePath(%q): message %q", tt.text, pe.Message)
		}
	}
}

func TestPathHasPrefix(t *testing.T) {
	for _, tt := range []struct {
		p, q string
		want bool
	}{
		{"a.b", "a", true}, {"a", "a", true}, {"a", "a.b", false}, {"ab", "a", false},
		{"a[*].b", "a[*]", true}, {"a[*]", "a.*", false}, {"A.b", "a", false},
	} {
		p, _ := ParsePath(tt.p)
		q, _ := ParsePath(tt.q)
		if got := p.HasPrefix(q); got != tt.want {
			t.Errorf("%s.HasPrefix(%s) = %v", tt.p, tt.q, got)
		}
	}
}

// Any path that can be built comes back from its text.
func TestPathRoundTrip(t *testing.T) {
	step := rapid.OneOf(
		rapid.Just(elements), rapid.Just(anyMember),
		rapid.Map(rapid.StringOf(rapid.RuneFrom([]rune(`ab."\[*]~ é`))), member),
	)
	rapid.Check(t, func(t *rapid.T) {
		p := Path(rapid.SliceOfN(step, 1, 8).Draw(t, "path"))
		got, err := ParsePath(p.String())
		if err != nil || !slices.Equal(got, p) {
			t.Fatalf("%q gives %v, %v; want %v", p.String(), got, err, p)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"a.b[*]", `"a.b".*`, "a[0]", `p[key=="x"]`, "a~key", "**", `"\\"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			var pe *PathError
			if p != nil || !errors.As(err, &pe) || pe.Column < 1 || pe.Column > utf8.RuneCountInString(s)+1 {
				t.Fatalf("ParsePath(%q) = %v, %v", s, p, err)
			}
			return
		}
		again, err := ParsePath(p.String())
		if err != nil || !slices.Equal(again, p) {
			t.Fatalf("%q reads as %q, which reads as %v, %v", s, p.String(), again, err)
		}
	})
}
