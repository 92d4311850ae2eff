package filters

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/schemas"
)

// The outcome of every treatment at every type, written out. A column holds
// the result type ("=": the same, "-": refused); `constant` holds which of the
// values "x" (or the enum's symbol "a"), 1, 1.5 and true it takes. drop takes
// every type and is not shown.
const everyType = `
type                            keep  redact  constant    mask    truncate  pseudonymize
invalid                         -     -       -           -       -         -
null                            =     =       -           =       =         =
bool                            =     =       true        -       -         -
int                             =     =       1           -       -         string
int date                        =     =       1           -       -         -
int time-millis                 =     =       1           -       -         -
long                            =     =       1           -       -         string
long time-micros                =     =       1           -       -         -
long timestamp-millis           =     =       1           -       -         -
long timestamp-micros           =     =       1           -       -         -
long timestamp-nanos            =     =       1           -       -         -
long local-timestamp-millis     =     =       1           -       -         -
long local-timestamp-micros     =     =       1           -       -         -
long local-timestamp-nanos      =     =       1           -       -         -
float                           =     =       1,1.5       -       -         -
double                          =     =       1,1.5       -       -         -
string                          =     =       x           string  =         string
string uuid                     =     =       -           string  -         =
bytes                           =     =       -           -       =         -
bytes decimal                   =     =       -           -       -         -
fixed                           =     =       -           -       -         -
fixed decimal                   =     =       -           -       -         -
fixed duration                  =     =       -           -       -         -
fixed uuid                      =     =       -           -       -         =
enum                            =     =       x           -       -         string
number                          =     =       1,1.5       -       -         string
record                          =     =       -           -       -         -
array                           =     =       -           -       -         -
any                             =     =       x,1,1.5,true  =     =         =
opaque                          -     -       -           -       -         -
bool unknown                    =     =       -           -       -         -
int unknown                     =     =       -           -       -         -
long unknown                    =     =       -           -       -         -
float unknown                   =     =       -           -       -         -
double unknown                  =     =       -           -       -         -
string unknown                  =     =       -           -       -         -
bytes unknown                   =     =       -           -       -         -
fixed unknown                   =     =       -           -       -         -
enum unknown                    =     =       -           -       -         -
record unknown                  =     =       -           -       -         -
array unknown                   =     =       -           -       -         -
`

var kindWords = map[string]schemas.Kind{"invalid": schemas.Invalid, "null": schemas.Null, "bool": schemas.Bool, "int": schemas.Int, "long": schemas.Long,
	"float": schemas.Float, "double": schemas.Double, "string": schemas.String, "bytes": schemas.Bytes, "fixed": schemas.Fixed, "enum": schemas.Enum,
	"number": schemas.Number, "record": schemas.Record, "array": schemas.Array, "any": schemas.Any, "opaque": schemas.Opaque}

func parseType(t *testing.T, words string) schemas.Type {
	t.Helper()
	kind, logical, _ := strings.Cut(words, " ")
	k, ok := kindWords[kind]
	if !ok {
		t.Fatalf("no kind %q", kind)
	}
	typ := schemas.Type{Kind: k}
	switch logical {
	case "":
	case "unknown":
		typ.Logical = schemas.UnknownLogical
	default:
		for l, name := range logicalNames {
			if name == logical {
				typ.Logical = l
			}
		}
		if typ.Logical == schemas.NoLogical {
			t.Fatalf("no logical type %q", logical)
		}
	}
	switch k {
	case schemas.Fixed:
		typ.Size, typ.Name = 16, "x.F"
	case schemas.Enum:
		typ.Symbols, typ.Name = []string{"b", "x"}, "x.E"
	}
	return typ
}

func mustNew(t testing.TB, name string, env Env, params ...Param) Treatment {
	t.Helper()
	f, err := New(name, params, env)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func goldenEnv(domain string, epoch int) Env {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	return Env{Key: key, Epoch: epoch, Domain: domain}
}

func TestEveryType(t *testing.T) {
	treatments := map[string]Treatment{
		"keep": mustNew(t, "keep", Env{}), "redact": mustNew(t, "redact", Env{}), "mask": mustNew(t, "mask", Env{}),
		"truncate": mustNew(t, "truncate", Env{}, Param{"n", int64(3)}), "pseudonymize": mustNew(t, "pseudonymize", goldenEnv("d", 1)),
	}
	constants := []any{"x", int64(1), 1.5, true}
	lines := strings.Split(strings.Trim(everyType, "\n"), "\n")
	columns := strings.Fields(lines[0])[1:]
	covered := map[schemas.Kind]map[schemas.Logical]bool{}
	for _, line := range lines[1:] {
		words := strings.TrimSpace(line[:32])
		plainType := parseType(t, words)
		if covered[plainType.Kind] == nil {
			covered[plainType.Kind] = map[schemas.Logical]bool{}
		}
		covered[plainType.Kind][plainType.Logical] = true
		for _, typ := range nullables(plainType) {
			for i, want := range strings.Fields(line[32:]) {
				if columns[i] == "constant" {
					checkConstants(t, words, typ, constants, want)
					continue
				}
				checkResult(t, columns[i]+" of "+words, treatments[columns[i]], typ, want)
			}
			if _, result, err := mustNew(t, "drop", Env{}).At(typ); err != nil || result.Kind != schemas.Invalid {
				t.Errorf("drop of %s: %v, %v", words, result, err)
			}
		}
	}
	for k := schemas.Invalid; k <= schemas.Opaque; k++ {
		if covered[k] == nil {
			t.Errorf("kind %d has no line", k)
		}
	}
}

// nullables gives t, and where it can be, t or null in both orders.
func nullables(t schemas.Type) []schemas.Type {
	if t.Kind == schemas.Invalid || t.Kind == schemas.Null || t.Kind == schemas.Opaque {
		return []schemas.Type{t}
	}
	first, second := t, t
	first.Nullable = true
	second.Nullable, second.NullIndex = true, 1
	return []schemas.Type{t, first, second}
}

func checkResult(t *testing.T, what string, f Treatment, typ schemas.Type, want string) {
	t.Helper()
	via, got, err := f.At(typ)
	if want == "-" {
		if err == nil || via != nil || got.Kind != schemas.Invalid {
			t.Errorf("%s: %+v, want a refusal", what, got)
		} else if !strings.Contains(err.Error(), "use ") || !strings.Contains(err.Error(), "drop") || strings.Contains(err.Error(), "or "+f.Name()) {
			t.Errorf("%s: refusal does not say what fits: %v", what, err)
		}
		return
	}
	expected := typ
	if want == "string" {
		expected = schemas.Type{Kind: schemas.String, Nullable: typ.Nullable, NullIndex: typ.NullIndex}
	}
	if f.Name() == "redact" && typ.Kind != schemas.Null {
		expected.Nullable = true
	}
	if err != nil || via == nil || fmt.Sprint(got) != fmt.Sprint(expected) {
		t.Errorf("%s: %+v, %v; want %+v", what, got, err, expected)
	}
}

func checkConstants(t *testing.T, words string, typ schemas.Type, values []any, want string) {
	t.Helper()
	var takes []string
	for _, v := range values {
		f := mustNew(t, "constant", Env{}, Param{"value", v})
		via, got, err := f.At(typ)
		if err != nil {
			continue
		}
		takes = append(takes, fmt.Sprint(v))
		if fmt.Sprint(got) != fmt.Sprint(typ) {
			t.Errorf("constant %v of %s yields %+v", v, words, got)
		}
		// What a splicer will be given must be of the type that was promised.
		out, _, err := via.Apply(nil, schemas.Value{})
		if err != nil || out.Kind != typ.Kind && typ.Kind != schemas.Any || out.Logical != typ.Logical {
			t.Errorf("constant %v of %s gives %+v, %v", v, words, out, err)
		}
	}
	if got := strings.Join(takes, ","); got != want && !(got == "" && want == "-") {
		t.Errorf("constant of %s takes %q, want %q", words, got, want)
	}
}

func TestRefusalsNameWhatFits(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  schemas.Type
		want string
	}{
		{"mask", schemas.Type{Kind: schemas.Long}, "mask does not take a long; use keep or redact or constant or pseudonymize or drop"},
		{"mask", schemas.Type{Kind: schemas.Int, Logical: schemas.Date}, "mask does not take an int (date); use keep or redact or constant or drop"},
		{"pseudonymize", schemas.Type{Kind: schemas.Double}, "pseudonymize does not take a double; use keep or redact or constant or drop"},
		{"truncate", schemas.Type{Kind: schemas.Record}, "truncate does not take a record; use keep or redact or a treatment of what is in it or drop"},
		{"keep", schemas.Type{Kind: schemas.Opaque}, "keep does not take a map or a union of several branches; use drop"},
	} {
		var params []Param
		if c.name == "truncate" {
			params = []Param{{"n", int64(1)}}
		}
		_, _, err := mustNew(t, c.name, goldenEnv("d", 1), params...).At(c.typ)
		if err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := goldenEnv("crm", 1)
	for name, c := range map[string]struct {
		treatment string
		params    []Param
		env       Env
		want      string
	}{
		"unknown":             {"hash", nil, good, "is not a treatment; the treatments are keep, drop"},
		"case":                {"Keep", nil, good, "is not a treatment"},
		"parameter of keep":   {"keep", []Param{{"x", int64(1)}}, good, `parameter "x"`},
		"parameter of drop":   {"", []Param{{"x", nil}}, good, `parameter "x"`},
		"no value":            {"constant", nil, good, "value must be"},
		"null constant":       {"constant", []Param{{"value", nil}}, good, "redact"},
		"constant of a slice": {"constant", []Param{{"value", []byte("x")}}, good, "value must be"},
		"constant not UTF-8":  {"constant", []Param{{"value", "\xff"}}, good, "UTF-8"},
		"infinite constant":   {"constant", []Param{{"value", math.Inf(1)}}, good, "finite"},
		"value twice":         {"constant", []Param{{"value", "a"}, {"value", "b"}}, good, "repeated"},
		"keep_first text":     {"mask", []Param{{"keep_first", "1"}}, good, "keep_first must be"},
		"keep_first negative": {"mask", []Param{{"keep_first", int64(-1)}}, good, "keep_first must be"},
		"keep_last too large": {"mask", []Param{{"keep_last", int64(1001)}}, good, "keep_last must be"},
		"char of two":         {"mask", []Param{{"char", "**"}}, good, "char must be"},
		"no char":             {"mask", []Param{{"char", ""}}, good, "char must be"},
		"char that combines":  {"mask", []Param{{"char", "\u0301"}}, good, "char must be"},
		"char of control":     {"mask", []Param{{"char", "\n"}}, good, "char must be"},
		"char not UTF-8":      {"mask", []Param{{"char", "\xff"}}, good, "char must be"},
		"char a number":       {"mask", []Param{{"char", int64(1)}}, good, "char must be"},
		"no n":                {"truncate", nil, good, "n must be"},
		"n of 0":              {"truncate", []Param{{"n", int64(0)}}, good, "n must be"},
		"no key":              {"pseudonymize", nil, Env{Epoch: 1, Domain: "d"}, "key of 32 bytes"},
		"short key":           {"pseudonymize", nil, Env{Key: good.Key[:31], Epoch: 1, Domain: "d"}, "key of 32 bytes"},
		"no epoch":            {"pseudonymize", nil, Env{Key: good.Key, Domain: "d"}, "epoch"},
		"no domain":           {"pseudonymize", nil, Env{Key: good.Key, Epoch: 1}, "domain"},
	} {
		f, err := New(c.treatment, c.params, c.env)
		if err == nil || f != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want an error with %q", name, err, c.want)
		}
	}
	if f := mustNew(t, "", Env{}); f.Op() != schemas.OpDrop || f.Name() != "drop" {
		t.Error("the zero treatment is not drop")
	}
}

func TestOps(t *testing.T) {
	for _, name := range Names() {
		params := map[string][]Param{"constant": {{"value", "x"}}, "truncate": {{"n", int64(1)}}}[name]
		f := mustNew(t, name, goldenEnv("d", 1), params...)
		want := map[string]schemas.Op{"keep": schemas.OpKeep, "drop": schemas.OpDrop, "redact": schemas.OpNull, "constant": schemas.OpConst}[name]
		if name == "mask" || name == "truncate" || name == "pseudonymize" {
			want = schemas.OpReplace
		}
		if f.Op() != want || f.Name() != name {
			t.Errorf("%s: op %d, name %s", name, f.Op(), f.Name())
		}
	}
}

// The treatments that look at no value: what Apply gives all the same.
func TestFixedOutcomes(t *testing.T) {
	in := schemas.Value{Kind: schemas.String, Text: []byte("secret")}
	if out, rest, err := drop.Apply(drop{}, []byte("b"), in); err == nil || out.Text != nil || string(rest) != "b" {
		t.Errorf("drop: %+v, %v", out, err)
	}
	if out, rest, err := redact.Apply(redact{}, []byte("b"), in); err != nil || out.Kind != schemas.Null || out.Text != nil || string(rest) != "b" {
		t.Errorf("redact: %+v, %v", out, err)
	}
	if out, _, err := keep.Apply(keep{}, nil, in); err != nil || string(out.Text) != "secret" {
		t.Errorf("keep: %+v, %v", out, err)
	}
}

func TestConstantBounds(t *testing.T) {
	uuid := schemas.Type{Kind: schemas.String, Logical: schemas.UUID}
	for _, c := range []struct {
		value any
		typ   schemas.Type
		fits  bool
	}{
		{int64(1 << 31), schemas.Type{Kind: schemas.Int}, false},
		{int64(-1 << 31), schemas.Type{Kind: schemas.Int}, true},
		{int64(1<<53 + 1), schemas.Type{Kind: schemas.Double}, false},
		{int64(1<<24 + 1), schemas.Type{Kind: schemas.Float}, false},
		{1e39, schemas.Type{Kind: schemas.Float}, false},
		{1e39, schemas.Type{Kind: schemas.Double}, true},
		{int64(86_400_000), schemas.Type{Kind: schemas.Int, Logical: schemas.TimeMillis}, false},
		{int64(86_399_999), schemas.Type{Kind: schemas.Int, Logical: schemas.TimeMillis}, true},
		{int64(-1), schemas.Type{Kind: schemas.Long, Logical: schemas.TimeMicros}, false},
		{"a", schemas.Type{Kind: schemas.Enum, Symbols: []string{"b"}}, false},
		{"00000000-0000-0000-0000-000000000000", uuid, true},
		{"00000000-0000-0000-0000-00000000000g", uuid, false},
		{"00000000-0000-0000-0000-000000000000", schemas.Type{Kind: schemas.Fixed, Size: 16, Logical: schemas.UUID}, false},
	} {
		if _, _, err := mustNew(t, "constant", Env{}, Param{"value", c.value}).At(c.typ); (err == nil) != c.fits {
			t.Errorf("constant %v of %+v: %v", c.value, c.typ, err)
		}
	}
}
