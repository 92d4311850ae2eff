package filters

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

// everyKind lists every kind, with each logical type that it can carry.
var everyKind = []string{
	"null", "bool", "int", "int date", "int time-millis", "long", "long time-micros", "long timestamp-millis",
	"long timestamp-micros", "long timestamp-nanos", "long local-timestamp-millis", "long local-timestamp-micros",
	"long local-timestamp-nanos", "float", "double", "string", "string uuid", "bytes", "bytes decimal", "fixed",
	"fixed decimal", "fixed duration", "fixed uuid", "enum", "number", "record", "array", "map", "union", "any", "opaque", "invalid",
	"bool unknown", "int unknown", "long unknown", "float unknown", "double unknown", "string unknown", "bytes unknown",
	"fixed unknown", "enum unknown", "record unknown", "array unknown",
}

var kindWords = map[string]schemas.Kind{"invalid": schemas.Invalid, "null": schemas.Null, "bool": schemas.Bool, "int": schemas.Int, "long": schemas.Long,
	"float": schemas.Float, "double": schemas.Double, "string": schemas.String, "bytes": schemas.Bytes, "fixed": schemas.Fixed, "enum": schemas.Enum,
	"number": schemas.Number, "record": schemas.Record, "array": schemas.Array, "any": schemas.Any, "opaque": schemas.Opaque, "map": schemas.Map, "union": schemas.Union}

func parseType(t interface {
	Helper()
	Fatalf(string, ...any)
}, words string) schemas.Type {
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
		if typ.Logical == schemas.Duration {
			typ.Size = 12
		}
	case schemas.Enum:
		typ.Symbols, typ.Name = []string{"b", "x"}, "x.E"
	}
	if typ.Logical == schemas.Decimal {
		typ.Precision, typ.Scale = 12, 2
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
	return Env{Key: countingKey(32), Epoch: epoch, Domain: domain}
}

func sealEnv(purpose, path string, epoch int) Env {
	return Env{Key: countingKey(64), Epoch: epoch, Purpose: purpose, Path: path}
}

func countingKey(n int) keys.Key {
	key := make(keys.Key, n)
	for i := range key {
		key[i] = byte(i)
	}
	return key
}

// sample is a treatment of each kind, as a policy would write it.
type sample struct {
	column    string // of docs/treatments.md
	treatment Treatment
}

func samples(t testing.TB) []sample {
	someone := &Subject{}
	someone.Set([]byte("someone"))
	shift := goldenEnv("", 1)
	shift.Subject = someone
	generalize := func(params ...Param) Treatment { return mustNew(t, "generalize", Env{}, params...) }
	return []sample{
		{"keep", mustNew(t, "keep", Env{})}, {"drop", mustNew(t, "drop", Env{})}, {"redact", mustNew(t, "redact", Env{})},
		{"mask", mustNew(t, "mask", Env{}, Param{"keep_first", int64(1)})}, {"truncate", mustNew(t, "truncate", Env{}, Param{"n", int64(3)})},
		{"pseudonymize", mustNew(t, "pseudonymize", goldenEnv("d", 1))}, {"encrypt", mustNew(t, "encrypt", sealEnv("p", "x", 1))},
		{"date_shift", mustNew(t, "date_shift", shift, Param{"days", int64(30)}, Param{"unit", "ms"})},
		{"bucket", generalize(Param{"bucket", "10"})}, {"date", generalize(Param{"date", "month"}, Param{"unit", "ms"})},
		{"time", generalize(Param{"time", "hour"}, Param{"unit", "ms"})}, {"ip_prefix", generalize(Param{"ip_prefix", "24,48"})},
		{"geo", generalize(Param{"geo", int64(1)})}, {"email", generalize(Param{"email", "domain"})}, {"url", generalize(Param{"url_query", ""})},
		{"query", generalize(Param{"query", "utm_source"})},
	}
}

// outcome is what f does with a type: "same", a result type, "null", "gone" or
// "-" for a refusal. It fails the test where nullability is not kept, or where
// a refusal does not say what would fit.
func outcome(t *testing.T, column string, f Treatment, typ schemas.Type) string {
	t.Helper()
	words := map[string]bool{}
	for _, typ := range nullables(typ) {
		words[oneOutcome(t, column, f, typ)] = true
	}
	if len(words) != 1 {
		t.Errorf("%s of %s depends on nullability: %v", column, typeName(typ), words)
	}
	for w := range words {
		return w
	}
	return ""
}

func oneOutcome(t *testing.T, column string, f Treatment, typ schemas.Type) string {
	via, got, err := f.At(typ)
	if err != nil {
		if via != nil || got.Kind != schemas.Invalid || !strings.Contains(err.Error(), "; use ") || !strings.Contains(err.Error(), "drop") || strings.Contains(err.Error(), "or "+f.Name()+" ") {
			t.Errorf("%s of %s: the refusal gives a value, or does not say what fits: %v", column, typeName(typ), err)
		}
		return "-"
	}
	bare := got
	bare.Nullable, bare.NullIndex = typ.Nullable, typ.NullIndex
	switch {
	case f.Op() == schemas.OpDrop:
		return "gone"
	case via == nil, got.Nullable != typ.Nullable && f.Op() != schemas.OpNull, got.Nullable && typ.Nullable && got.NullIndex != typ.NullIndex:
		t.Errorf("%s of %s: %+v", column, typeName(typ), got)
	case f.Op() == schemas.OpNull:
		return "null"
	case fmt.Sprint(bare) == fmt.Sprint(typ):
		return "same"
	}
	return got.Kind.String()
}

// TestOutcomesAreDefined: each treatment has an outcome for each kind, an
// opaque or invalid position is never more than dropped, and an unknown logical
// type is never changed.
func TestOutcomesAreDefined(t *testing.T) {
	covered := map[schemas.Kind]bool{}
	for _, words := range everyKind {
		typ := parseType(t, words)
		covered[typ.Kind] = true
		for _, s := range samples(t) {
			got := outcome(t, s.column, s.treatment, typ)
			hidden := typ.Kind == schemas.Opaque || typ.Kind == schemas.Invalid
			if hidden && got != "-" && got != "gone" || typ.Logical == schemas.UnknownLogical && s.treatment.Op() == schemas.OpReplace && got != "-" {
				t.Errorf("%s of %s: %s", s.column, words, got)
			}
		}
	}
	for k := schemas.Invalid; k <= schemas.Union; k++ {
		if !covered[k] {
			t.Errorf("kind %d is not in the list", k)
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

// constantOutcome lists which of "x" (an enum's symbol), 1, 1.5 and true a
// constant of the type can be.
func constantOutcome(t *testing.T, typ schemas.Type) string {
	t.Helper()
	var takes []string
	for _, v := range []any{"x", int64(1), 1.5, true} {
		via, got, err := mustNew(t, "constant", Env{}, Param{"value", v}).At(typ)
		if err != nil {
			continue
		}
		takes = append(takes, map[any]string{"x": "text", int64(1): "integer", 1.5: "number", true: "boolean"}[v])
		if fmt.Sprint(got) != fmt.Sprint(typ) {
			t.Errorf("constant %v of %s yields %+v", v, typeName(typ), got)
		}
		// What a splicer will be given must be of the type that was promised.
		out, _, err := via.Apply(nil, schemas.Value{})
		if err != nil || !fits(typ, out) {
			t.Errorf("constant %v of %s gives %+v, %v", v, typeName(typ), out, err)
		}
	}
	if len(takes) == 0 {
		return "-"
	}
	return strings.Join(takes, ", ")
}

func TestRefusalsNameWhatFits(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  schemas.Type
		want string
	}{
		{"mask", schemas.Type{Kind: schemas.Long}, "mask does not take a long; use keep or redact or constant or pseudonymize or encrypt or generalize or drop"},
		{"mask", schemas.Type{Kind: schemas.Int, Logical: schemas.Date}, "mask does not take an int (date); use keep or redact or constant or encrypt or generalize or date_shift or drop"},
		{"pseudonymize", schemas.Type{Kind: schemas.Double}, "pseudonymize does not take a double; use keep or redact or constant or encrypt or generalize or drop"},
		{"date_shift", schemas.Type{Kind: schemas.Long}, "date_shift without unit (d, s, ms, us or ns) does not take a long; use keep or redact or constant or pseudonymize or encrypt or generalize or drop"},
		{"truncate", schemas.Type{Kind: schemas.Record}, "truncate does not take a record; use keep or redact or a treatment of what is in it or drop"},
		{"mask", schemas.Type{Kind: schemas.Map}, "mask does not take a map; use keep or redact or a treatment of what is in it or drop"},
		{"keep", schemas.Type{Kind: schemas.Opaque}, "keep does not take what a recursive type holds of itself; use drop"},
	} {
		var params []Param
		switch c.name {
		case "truncate":
			params = []Param{{"n", int64(1)}}
		case "date_shift":
			params = []Param{{"days", int64(1)}}
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
		"no form":             {"generalize", nil, Env{}, "it needs a form"},
		"two forms":           {"generalize", []Param{{"geo", int64(1)}, {"bucket", "1"}}, Env{}, "one form"},
		"form and more":       {"generalize", []Param{{"geo", int64(1)}, {"unit", "ms"}}, Env{}, `parameter "unit"`},
		"unknown form":        {"generalize", []Param{{"round", int64(1)}}, Env{}, "it needs a form"},
		"bucket of 0":         {"generalize", []Param{{"bucket", "0"}}, Env{}, "above 0"},
		"bucket below 0":      {"generalize", []Param{{"bucket", "-5"}}, Env{}, "above 0"},
		"bucket of text":      {"generalize", []Param{{"bucket", "ten"}}, Env{}, "bucket must be"},
		"bucket exponent":     {"generalize", []Param{{"bucket", "1e3"}}, Env{}, "bucket must be"},
		"bucket of 10 places": {"generalize", []Param{{"bucket", "0.0000000001"}}, Env{}, "bucket must be"},
		"empty bucket":        {"generalize", []Param{{"bucket", ""}}, Env{}, "bucket must be"},
		"bucket boolean":      {"generalize", []Param{{"bucket", true}}, Env{}, "bucket must be"},
		"edges descend":       {"generalize", []Param{{"bucket", "0,20,10"}}, Env{}, "must ascend"},
		"edges equal":         {"generalize", []Param{{"bucket", "0,10,10.0"}}, Env{}, "must ascend"},
		"an edge missing":     {"generalize", []Param{{"bucket", "0,,10"}}, Env{}, "bucket must be"},
		"geo of 7":            {"generalize", []Param{{"geo", int64(7)}}, Env{}, "geo must be"},
		"geo text":            {"generalize", []Param{{"geo", "1"}}, Env{}, "geo must be"},
		"date hour":           {"generalize", []Param{{"date", "hour"}}, Env{}, "date must be"},
		"time day":            {"generalize", []Param{{"time", "day"}}, Env{}, "time must be"},
		"hours of days":       {"generalize", []Param{{"time", "hour"}, {"unit", "d"}}, Env{}, "days have no hours"},
		"unit of minutes":     {"generalize", []Param{{"date", "day"}, {"unit", "m"}}, Env{}, "unit must be"},
		"email local":         {"generalize", []Param{{"email", "local"}}, Env{}, "email must be"},
		"one prefix":          {"generalize", []Param{{"ip_prefix", "24"}}, Env{}, "ip_prefix must be"},
		"whole address":       {"generalize", []Param{{"ip_prefix", "32,48"}}, Env{}, "ip_prefix must be"},
		"interface":           {"generalize", []Param{{"ip_prefix", "24,65"}}, Env{}, "ip_prefix must be"},
		"url true":            {"generalize", []Param{{"url_query", true}}, Env{}, "url_query must be"},
		"url empty name":      {"generalize", []Param{{"url_query", "a&&b"}}, Env{}, "name of a query parameter"},
		"url escaped name":    {"generalize", []Param{{"url_query", "%61"}}, Env{}, "name of a query parameter"},
		"no days":             {"date_shift", nil, good, "days must be"},
		"days of 0":           {"date_shift", []Param{{"days", int64(0)}}, good, "days must be"},
		"too many days":       {"date_shift", []Param{{"days", int64(36_526)}}, good, "days must be"},
		"shift without key":   {"date_shift", []Param{{"days", int64(1)}}, Env{}, "key of 32 bytes"},
		"shift of no unit":    {"date_shift", []Param{{"days", int64(1)}, {"unit", "h"}}, good, "unit must be"},
		"encrypt, short key":  {"encrypt", nil, Env{Key: good.Key, Epoch: 1, Purpose: "p", Path: "x"}, "key of 64 bytes"},
		"encrypt, no epoch":   {"encrypt", nil, sealEnv("p", "x", 0), "epoch"},
		"encrypt, no purpose": {"encrypt", nil, sealEnv("", "x", 1), "purpose and a path"},
		"encrypt, no path":    {"encrypt", nil, sealEnv("p", "", 1), "purpose and a path"},
		"encrypt parameter":   {"encrypt", []Param{{"x", int64(1)}}, sealEnv("p", "x", 1), `parameter "x"`},
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
	named := map[string]bool{"constant": true}
	if f := mustNew(t, "constant", Env{}, Param{"value", "x"}); f.Op() != schemas.OpConst || f.Name() != "constant" {
		t.Error("constant is not a constant")
	}
	for _, s := range samples(t) {
		want := map[string]schemas.Op{"keep": schemas.OpKeep, "drop": schemas.OpDrop, "redact": schemas.OpNull}
		op, ok := want[s.column]
		if !ok {
			op = schemas.OpReplace
		}
		if s.treatment.Op() != op {
			t.Errorf("%s: op %d", s.column, s.treatment.Op())
		}
		named[s.treatment.Name()] = true
	}
	for _, name := range Names() {
		if !named[name] {
			t.Errorf("no sample of %s", name)
		}
	}
	for name, want := range map[string]keys.Use{"pseudonymize": keys.UsePseudonym, "encrypt": keys.UseEncrypt, "date_shift": keys.UseDateShift, "keep": "", "": ""} {
		if KeyUse(name) != want {
			t.Errorf("the key of %q is %q", name, KeyUse(name))
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
