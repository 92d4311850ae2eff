package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

const fixtures = "../../shared/fixtures"

func code(err error) Code {
	var f *Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}

// nst/JSONTestSuite: all that must be refused is refused; what must be accepted
// is, except for what the package comment refuses beyond RFC 8259.
func TestJSONTestSuite(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(fixtures, "json-test-suite", "*.json"))
	if len(files) == 0 {
		t.Skip("no fixtures/json-test-suite here")
	}
	beyond := map[string]Code{
		"y_object_duplicated_key.json":           CodeDuplicateKey,
		"y_object_duplicated_key_and_value.json": CodeDuplicateKey,
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		want := beyond[name]
		if first := bytes.TrimLeft(src, " \t\r\n"); want == "" && name[0] == 'y' && !bytes.ContainsAny(first[:1], "[{") {
			want = CodeTopLevelScalar
		}
		for _, paths := range [][]string{nil, {"a", "b.c"}, {"[*].a"}, {"[*]"}} {
			l, err := NewJSON(paths)
			if err != nil {
				t.Fatal(err)
			}
			var tape Tape
			switch got := code(l.Scan(src, &tape)); {
			case name[0] == 'n' && got == "":
				t.Errorf("%s is accepted", name)
			case name[0] == 'y' && got != want:
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

// What the same suite leaves to the reader (its i_ files, by their names).
func TestJSONTestSuiteOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		src  string
		want Code
	}{
		"number_double_huge_neg_exp":                {"[123.456e-789]", ""},
		"number_huge_exp":                           {"[0.4e00669999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999969999999006]", ""},
		"number_neg_int_huge_exp":                   {"[-1e+9999]", ""},
		"number_pos_double_huge_exp":                {"[1.5e+9999]", ""},
		"number_real_neg_overflow":                  {"[-123123e100000]", ""},
		"number_real_underflow":                     {"[123e-10000000]", ""},
		"number_too_big_neg_int":                    {"[-123123123123123123123123123123]", ""},
		"number_very_big_negative_int":              {"[-237462374673276894279832749832423479823246327846]", ""},
		"object_key_lone_2nd_surrogate":             {`{"\uDFAA":0}`, CodeLoneSurrogate},
		"string_1st_surrogate_but_2nd_missing":      {`["\uDADA"]`, CodeLoneSurrogate},
		"string_1st_valid_surrogate_2nd_invalid":    {`["\uD888\u1234"]`, CodeLoneSurrogate},
		"string_incomplete_surrogate_and_escape":    {`["\uD800\n"]`, CodeLoneSurrogate},
		"string_incomplete_surrogates_escape_valid": {`["\uD800\uD800\n"]`, CodeLoneSurrogate},
		"string_inverted_surrogates_U+1D11E":        {`["\uDd1e\uD834"]`, CodeLoneSurrogate},
		"string_lone_second_surrogate":              {`["\uDFAA"]`, CodeLoneSurrogate},
		"string_invalid_utf-8":                      {"[\"\xff\"]", CodeBadUTF8},
		"string_iso_latin_1":                        {"[\"\xe9\"]", CodeBadUTF8},
		"string_not_in_unicode_range":               {"[\"\xf4\xbf\xbf\xbf\"]", CodeBadUTF8},
		"string_overlong_sequence_2_bytes":          {"[\"\xc0\xaf\"]", CodeBadUTF8},
		"string_overlong_sequence_6_bytes":          {"[\"\xfc\x83\xbf\xbf\xbf\xbf\"]", CodeBadUTF8},
		"string_truncated-utf-8":                    {"[\"\xe0\xff\"]", CodeBadUTF8},
		"string_UTF-8_invalid_sequence":             {"[\"\xe6\x97\xa5\xd1\x88\xfa\"]", CodeBadUTF8},
		"string_UTF8_surrogate_U+D800":              {"[\"\xed\xa0\x80\"]", CodeBadUTF8},
		"string_UTF-16LE_with_BOM":                  {"\xff\xfe[\x00\"\x00\xe9\x00\"\x00]\x00", CodeSyntax},
		"string_utf16BE_no_BOM":                     {"\x00[\x00\"\x00\xe9\x00\"\x00]", CodeSyntax},
		"structure_500_nested_arrays":               {strings.Repeat("[", 500) + strings.Repeat("]", 500), CodeTooDeep},
		"structure_UTF-8_BOM_empty_object":          {"\ufeff{}", CodeSyntax},
	} {
		l, p := project(t, []rule{{"[*]", keep}})
		var tape Tape
		err := l.Scan([]byte(tt.src), &tape)
		if code(err) != tt.want {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
			continue
		}
		if err != nil {
			continue
		}
		if got, _, err := p.Splice(nil, []byte(tt.src), &tape, 0); string(got) != tt.src || err != nil {
			t.Errorf("%s: a number loses its text: %s, %v", name, got, err)
		}
	}
}

// agree compares one verdict with those of encoding/json and jsontext.
func agree(src []byte) error {
	l, err := NewJSON([]string{"a", "b.c[*].d", "b"})
	if err != nil {
		return err
	}
	var tape Tape
	got := code(l.Scan(src, &tape))
	std, text := json.Valid(src), jsontext.Value(src).IsValid()
	switch got {
	case "":
		if !std || !text {
			return fmt.Errorf("accepted; encoding/json %v, jsontext %v", std, text)
		}
	case CodeTooDeep, CodeTopLevelScalar: // our own limits
	case CodeDuplicateKey:
		if lower := bytes.ToLower(src); text && jsontext.Value(lower).IsValid() && bytes.IndexByte(src, '\\') < 0 && isASCII(src) {
			return errors.New("duplicate_key without one")
		}
	default:
		if text {
			return fmt.Errorf("%s, but jsontext accepts", got)
		}
	}
	return nil
}

func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= 0x80 })
}

func TestJSONDifferential(t *testing.T) {
	bits := []string{"{", "}", "[", "]", ",", ":", `"`, `\`, `\u`, `\ud800`, `\udc00`, "d83d", "0", "-", ".", "e", "1",
		"true", "null", " ", "\n", "\x00", "\x1f", "\x7f", "\xff", "\xed\xa0\x80", "\xf0\x9f\x98\x80", "\ufeff", `"a":1`, `"A":1`, `"b":{"c":[{"d":2}]}`}
	rapid.Check(t, func(t *rapid.T) {
		src := []byte(drawRoot(t).text())
		for range rapid.IntRange(0, 3).Draw(t, "mutations") {
			i := rapid.IntRange(0, len(src)).Draw(t, "at")
			j := min(len(src), i+rapid.IntRange(0, 2).Draw(t, "cut"))
			src = slices.Concat(src[:i], []byte(rapid.SampledFrom(bits).Draw(t, "put")), src[j:])
		}
		if err := agree(src); err != nil {
			t.Fatalf("%q: %v", src, err)
		}
	})
}

// Large records cost time in proportion, whatever they are made of. The bound
// is loose: what it must catch is the square of the size.
func TestJSONLarge(t *testing.T) {
	var many, folded, nested strings.Builder
	for i := range 250_000 {
		fmt.Fprintf(&many, `"k%d":0,`, i)
		fmt.Fprintf(&folded, `"\u00e9%d":0,`, i)
	}
	for i := range 60 { // every open object has many members when it closes
		for j := range 2000 {
			fmt.Fprintf(&nested, `"%d.%d":0,`, i, j)
		}
		nested.WriteString(`"o":{`)
	}
	for _, tt := range []struct {
		name, in string
		want     Code
	}{
		{"members", "{" + many.String() + `"k":0}`, ""},
		{"members, one twice", "{" + many.String() + `"K131071":0}`, CodeDuplicateKey},
		{"folded members", "{" + folded.String() + `"k":0}`, ""},
		{"folded members, one twice", "{" + folded.String() + `"É77777":0}`, CodeDuplicateKey},
		{"nested", "{" + strings.TrimSuffix(nested.String(), ",") + strings.Repeat("}", 61), ""},
		{"string", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, ""},
		{"string of escapes", `{"a":"` + strings.Repeat(`\u00e9`, 1<<17) + `"}`, ""},
		{"name", `{"` + strings.Repeat("é", 1<<19) + `":1}`, ""},
		{"elements", "[" + strings.Repeat("{},", 250_000) + "{}]", ""},
		{"white space", "[" + strings.Repeat(" ", 1<<20) + "]", ""},
		{"depth", strings.Repeat("[", 10_000), CodeTooDeep},
	} {
		for _, paths := range [][]string{{"x"}, {"a", "a.b"}, {"[*].x"}} {
			l, err := NewJSON(paths)
			if err != nil {
				t.Fatal(err)
			}
			var tape Tape
			start := time.Now()
			if got := code(l.Scan([]byte(tt.in), &tape)); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
			t.Logf("%s: %v", tt.name, time.Since(start))
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("%s: %v", tt.name, d)
			}
		}
	}
}

// Equal hashes must neither hide a duplicate nor invent one, nor cost the
// square of their number: names are ordered after them.
func TestDuplicatesUnderCollisions(t *testing.T) {
	for _, n := range []int{2, pairwiseNames, pairwiseNames + 1, 20_000} {
		var src []byte
		var names []jsonName
		put := func(text string) {
			start := len(src)
			src = append(src, `"`+text+`"`...)
			names = append(names, jsonName{7, uint32(start), uint32(len(src))})
		}
		for i := range n {
			put(fmt.Sprintf("n%d", i))
		}
		if a, b, found := new(jsonScratch).duplicates(src, names); found {
			t.Fatalf("%d names: %s and %s are taken for equal", n, src[a.start:a.end], src[b.start:b.end])
		}
		put(`\u004e1`)
		if a, b, found := new(jsonScratch).duplicates(src, names); !found || compareNames(src, a, b) != 0 {
			t.Errorf("%d names: N1 beside n1 is not found", n)
		}
	}
}

// The hash of a name is that of its folded form, whichever way it is written.
func TestHashFolded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOf(rapid.RuneFrom([]rune("aAzZ@[`{09 kKsS"))).Draw(t, "name")
		seed := rapid.Uint64().Draw(t, "seed")
		want := hashFolded(folded(name), seed)
		if hashFolded([]byte(name), seed) != want {
			t.Fatalf("%q", name)
		}
		text := []byte(strings.Join(escaped(name), ""))
		if hashFolded(appendFoldedJSON(nil, text), seed) != want {
			t.Fatalf("%q escaped", name)
		}
	})
}

// equalFold is the relation of strings.EqualFold.
func TestEqualFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOf(rapid.RuneFrom([]rune("aAkK\u212asSſéÉßẞσςΣǅǆǄıİiI")))
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		if rapid.Bool().Draw(t, "swap") {
			b = strings.ToUpper(a)
		}
		if equalFold(a, b) != strings.EqualFold(a, b) {
			t.Fatalf("%q, %q", a, b)
		}
		src := []byte(strings.ToValidUTF8(`"`+a+`""`+b+`"`, ""))
		x := jsonName{start: 0, end: uint32(len(a) + 2)}
		y := jsonName{start: uint32(len(a) + 2), end: uint32(len(src))}
		if (compareNames(src, x, y) == 0) != strings.EqualFold(a, b) || compareNames(src, x, y) != -compareNames(src, y, x) {
			t.Fatalf("compareNames(%q, %q) = %d", a, b, compareNames(src, x, y))
		}
	})
}

func TestJSONStringRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		got := appendJSONString(nil, text)
		var std string
		if err := json.Unmarshal(got, &std); err != nil || std != strings.ToValidUTF8(text, "\ufffd") {
			t.Fatalf("%q is written as %s", text, got)
		}
		if back := appendUnescaped(nil, got[1:len(got)-1]); string(back) != text {
			t.Fatalf("%q comes back as %q", text, back)
		}
	})
}

func TestAppendJSONValue(t *testing.T) {
	for _, tt := range []struct {
		v    Value
		want string
		ok   bool
	}{
		{Value{Kind: Null}, "null", true},
		{Value{Kind: Bool}, "false", true},
		{Value{Kind: Bool, Int: 1}, "true", true},
		{Value{Kind: Int, Int: -3}, "-3", true},
		{Value{Kind: Long, Int: 1 << 62}, "4611686018427387904", true},
		{Value{Kind: Double, Float: 1e21}, "1e+21", true},
		{Value{Kind: Double, Float: 1 / zero}, "", false},
		{Value{Kind: Number, Text: []byte("1.50")}, "1.50", true},
		{Value{Kind: Number, Text: []byte("1,2")}, "", false},
		{Value{Kind: Number}, "", false},
		{Value{Kind: String, Text: []byte("a\"\\\b\f\n\r\t\x01\x7fé/")}, `"a\"\\\b\f\n\r\t\u0001` + "\x7fé/\"", true},
		{Value{Kind: String, Text: []byte("\xff")}, "", false},
		{Value{Kind: Bytes, Text: []byte("x")}, "", false},
		{Value{}, "", false},
	} {
		got, ok := appendJSONValue(nil, tt.v)
		if ok != tt.ok || ok && string(got) != tt.want {
			t.Errorf("%+v: %s, %v; want %s, %v", tt.v, got, ok, tt.want, tt.ok)
		}
	}
}

var zero float64
