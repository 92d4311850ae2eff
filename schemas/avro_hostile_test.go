package schemas

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

// rec is a schema of one record with field f of type ty.
func rec(ty string) string {
	return `{"type":"record","name":"R","fields":[{"name":"f","type":` + ty + `}]}`
}

const arr, obj = `{"type":"array","items":`, `}`

func TestAvroScanFaults(t *testing.T) {
	longMin := appendLong(nil, math.MinInt64)
	wide := `{"type":"record","name":"W","fields":[` + strings.TrimSuffix(strings.Repeat(`{"name":"n%d","type":"null"},`, 400), ",") + `]}`
	for i := range 400 {
		wide = strings.Replace(wide, "%d", fmt.Sprint(i), 1)
	}
	for _, tt := range []struct {
		name, ty string
		src      []byte
		want     Fault
	}{
		{"empty", `"long"`, nil, Fault{CodeTruncated, "f"}},
		{"nothing needed", `"null"`, nil, Fault{}},
		{"trailing", `"long"`, []byte{0, 0}, Fault{CodeTrailingBytes, ""}},
		{"int", `"int"`, appendLong(nil, math.MaxInt32), Fault{}},
		{"int too large", `"int"`, appendLong(nil, math.MaxInt32+1), Fault{CodeBadVarint, "f"}},
		{"int too small", `"int"`, appendLong(nil, math.MinInt32-1), Fault{CodeBadVarint, "f"}},
		{"long", `"long"`, longMin, Fault{}},
		{"11 bytes", `"long"`, append(bytes.Repeat([]byte{0x80}, 10), 0), Fault{CodeBadVarint, "f"}},
		{"65 bits", `"long"`, append(bytes.Repeat([]byte{0xff}, 9), 2), Fault{CodeBadVarint, "f"}},
		{"cut varint", `"long"`, []byte{0x80}, Fault{CodeTruncated, "f"}},
		{"int in 5 bytes", `"int"`, []byte{0x82, 0x80, 0x80, 0x80, 0}, Fault{}},
		{"int in 6 bytes", `"int"`, []byte{0x82, 0x80, 0x80, 0x80, 0x80, 0}, Fault{CodeBadVarint, "f"}},
		{"long in 6 bytes", `"long"`, []byte{0x82, 0x80, 0x80, 0x80, 0x80, 0}, Fault{}},
		{"null in 6 bytes", `["null","long"]`, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0}, Fault{CodeBadVarint, "f"}},
		{"branch in 6 bytes", `["null","long","string"]`, []byte{0x82, 0x80, 0x80, 0x80, 0x80, 0, 0}, Fault{CodeBadVarint, "f"}},
		{"enum in 6 bytes", `{"type":"enum","name":"E","symbols":["A"]}`, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0}, Fault{CodeBadVarint, "f"}},
		{"boolean 2", `"boolean"`, []byte{2}, Fault{CodeBadBool, "f"}},
		{"branch 2", `["null","long"]`, []byte{4, 0}, Fault{CodeBadBranch, "f"}},
		{"branch -1", `["null","long"]`, []byte{1, 0}, Fault{CodeBadBranch, "f"}},
		{"branch 3 of 3", `["null","long","string"]`, []byte{6, 0}, Fault{CodeBadBranch, "f"}},
		{"enum", `{"type":"enum","name":"E","symbols":["A"]}`, []byte{2}, Fault{CodeBadEnum, "f"}},
		{"enum -1", `{"type":"enum","name":"E","symbols":["A"]}`, []byte{1}, Fault{CodeBadEnum, "f"}},
		{"bad utf8", `"string"`, []byte{2, 0xff}, Fault{CodeBadUTF8, "f"}},
		{"surrogate", `"string"`, []byte{6, 0xed, 0xa0, 0x80}, Fault{CodeBadUTF8, "f"}},
		{"bytes need none", `"bytes"`, []byte{2, 0xff}, Fault{}},
		{"negative length", `"string"`, []byte{1}, Fault{CodeBadLength, "f"}},
		{"length beyond", `"bytes"`, []byte{4, 1}, Fault{CodeTruncated, "f"}},
		{"huge length", `"string"`, appendLong(nil, math.MaxInt64), Fault{CodeTruncated, "f"}},
		{"fixed", `{"type":"fixed","name":"F","size":4}`, []byte{1, 2, 3}, Fault{CodeTruncated, "f"}},
		{"map key", `{"type":"map","values":"null"}`, []byte{2, 2, 0xff, 0}, Fault{CodeBadUTF8, "f.*~key"}},
		{"in a map", `{"type":"map","values":"boolean"}`, []byte{2, 2, 'k', 7, 0}, Fault{CodeBadBool, "f.*"}},
		{"twin keys", `{"type":"map","values":"null"}`, []byte{4, 2, 'k', 2, 'k', 0}, Fault{CodeDuplicateKey, "f"}},
		{"twin keys in two blocks", `{"type":"map","values":"null"}`, []byte{2, 2, 'k', 2, 2, 'k', 0}, Fault{CodeDuplicateKey, "f"}},
		{"twin keys, one of a long length", `{"type":"map","values":"null"}`, []byte{4, 2, 'k', 0x82, 0, 'k', 0}, Fault{CodeDuplicateKey, "f"}},
		{"twin keys of two maps", `{"type":"map","values":{"type":"map","values":"null"}}`, []byte{4, 2, 'k', 2, 2, 'k', 0, 2, 'l', 2, 2, 'k', 0, 0}, Fault{}},
		{"twin keys around a map", `{"type":"map","values":{"type":"map","values":"null"}}`, []byte{4, 2, 'k', 2, 2, 'l', 0, 2, 'k', 2, 2, 'm', 0, 0}, Fault{CodeDuplicateKey, "f"}},
		{"twin keys of many", `{"type":"map","values":"null"}`, manyKeys(40, "k7"), Fault{CodeDuplicateKey, "f"}},
		{"many keys", `{"type":"map","values":"null"}`, manyKeys(40, "k40"), Fault{}},
		{"list", list, []byte{2, 2, 4, 2, 6, 0}, Fault{}},
		{"list with a fault", list, []byte{2, 2, 4, 2, 6, 4}, Fault{CodeBadBranch, "f.next"}},
		{"list cut off", list, []byte{2, 2, 4, 2}, Fault{CodeTruncated, "f.next"}},
		{"list of 64", list, append(bytes.Repeat([]byte{2, 2}, 64), 6, 0), Fault{}},
		{"list of 65", list, append(bytes.Repeat([]byte{2, 2}, 65), 6, 0), Fault{CodeTooDeep, "f.next"}},
		{"no list ends", `{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}`, nil, Fault{CodeTooDeep, "f.a"}},
		{"tree of maps", `{"type":"record","name":"T","fields":[{"name":"m","type":{"type":"map","values":["null","T"]}},{"name":"u","type":["T","null","int"]}]}`,
			[]byte{2, 2, 'k', 2, 2, 2, 'k', 0, 0, 2, 0, 2}, Fault{}},
		{"twin keys in a tree", `{"type":"record","name":"T","fields":[{"name":"m","type":{"type":"map","values":["null","T"]}},{"name":"u","type":["T","null","int"]}]}`,
			[]byte{2, 2, 'k', 2, 4, 2, 'k', 0, 2, 'k', 0, 0, 2, 0, 2, 0}, Fault{CodeDuplicateKey, "f.m.*"}},
		{"tree of nulls", `{"type":"record","name":"T","fields":[{"name":"w","type":` + wide + `},{"name":"l","type":["null","T"]},{"name":"r","type":["null","T"]}]}`,
			tree(10), Fault{CodeTooManyItems, "f.l"}},
		{"small tree", `{"type":"record","name":"T","fields":[{"name":"l","type":["null","T"]},{"name":"r","type":["null","T"]}]}`, tree(10), Fault{}},
		{"union of unions", `["null","long",{"type":"record","name":"A","fields":[{"name":"b","type":["int","boolean"]}]}]`, []byte{4, 2, 1}, Fault{}},
		{"union of unions, branch 2", `["null","long",{"type":"record","name":"A","fields":[{"name":"b","type":["int","boolean"]}]}]`, []byte{4, 4, 1}, Fault{CodeBadBranch, "f.b"}},
		{"in an element", arr + rec(`"boolean"`)[:0] + `{"type":"record","name":"I","fields":[{"name":"b","type":"boolean"}]}` + obj,
			[]byte{2, 7, 0}, Fault{CodeBadBool, "f[*].b"}},
		{"array bomb", arr + `"string"` + obj, appendLong(nil, math.MaxInt32-1), Fault{CodeTooManyItems, "f"}},
		{"array bomb of null", arr + `"null"` + obj, append(appendLong(nil, 4_000_000), 0), Fault{CodeTooManyItems, "f"}},
		{"1000 nulls", arr + `"null"` + obj, append(appendLong(nil, 1000), 0), Fault{}},
		{"blocks of null", arr + `"null"` + obj, bytes.Repeat(appendLong(nil, 600), 3), Fault{CodeTooManyItems, "f"}},
		{"wide nulls", arr + wide + obj, append(appendLong(nil, 1000), 0), Fault{CodeTooManyItems, "f"}},
		{"wide nulls in a map", `{"type":"map","values":` + arr + wide + obj + `}`, append([]byte{2, 0}, append(appendLong(nil, 1000), 0, 0)...), Fault{CodeTooManyItems, "f.*"}},
		{"block size", arr + `"long"` + obj, []byte{3, 4, 2, 2, 0}, Fault{}},
		{"block size too small", arr + `"long"` + obj, []byte{3, 2, 2, 2, 0}, Fault{CodeBadLength, "f"}},
		{"block size too large", arr + `"long"` + obj, []byte{3, 6, 2, 2, 0}, Fault{CodeBadLength, "f"}},
		{"block size negative", arr + `"long"` + obj, []byte{3, 3, 2, 2, 0}, Fault{CodeBadLength, "f"}},
		{"block size beyond", arr + `"long"` + obj, []byte{3, 40, 2, 2, 0}, Fault{CodeBadLength, "f"}},
		{"count of min-int", arr + `"long"` + obj, append(longMin, 0, 0), Fault{CodeBadLength, "f"}},
		{"no end", arr + `"long"` + obj, []byte{2, 2}, Fault{CodeTruncated, "f"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := mustAvro(t, rec(tt.ty))
			var tape Tape
			start := time.Now()
			err := l.Scan(tt.src, &tape)
			var f *Fault
			if errors.As(err, &f); f == nil {
				f = &Fault{}
			}
			if *f != tt.want {
				t.Errorf("got %v, want %v", *f, tt.want)
			}
			if err != nil && len(tape.Entries) > 0 {
				t.Error("a fault left entries")
			}
			if cap(tape.Entries) > 4*(len(tt.src)+1024)+64 {
				t.Errorf("%d entries for %d bytes", cap(tape.Entries), len(tt.src))
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

const list = `{"type":"record","name":"L","fields":[{"name":"v","type":"long"},{"name":"next","type":["null","L"]}]}`

// tree is a binary tree of the depth, of nodes without anything else.
func tree(depth int) []byte {
	if depth == 0 {
		return []byte{0, 0}
	}
	kid := append([]byte{2}, tree(depth-1)...)
	return append(kid, kid...)
}

// manyKeys is a map of keys k0, k1 and so on, and one more.
func manyKeys(n int, more string) []byte {
	b := appendLong(nil, int64(n+1))
	for i := range n {
		b = appendText(b, fmt.Appendf(nil, "k%d", i))
	}
	return append(appendText(b, []byte(more)), 0)
}

// The worst that a record of 1 MB can do is bounded by its size.
func TestAvroWorstRecord(t *testing.T) {
	chain := `"null"`
	for i := range 60 {
		chain = fmt.Sprintf(`{"type":"record","name":"C%d","fields":[{"name":"c","type":%s}]}`, i, chain)
	}
	l := mustAvro(t, rec(arr+chain+obj))
	src := appendLong(nil, 60_000)
	src = append(src, make([]byte, 1_000_000)...) // trailing bytes buy budget
	var tape Tape
	if err := l.Scan(src, &tape); err == nil {
		t.Fatal("accepted")
	}
	if n := cap(tape.Entries); n > 5*len(src) {
		t.Errorf("%d entries for %d bytes", n, len(src))
	}
}

func TestNewAvroRefuses(t *testing.T) {
	double := `{"type":"record","name":"D0","fields":[{"name":"x","type":"long"}]}`
	for i := 1; i <= 40; i++ {
		double = fmt.Sprintf(`{"type":"record","name":"D%d","fields":[{"name":"a","type":%s},{"name":"b","type":"D%d"}]}`, i, double, i-1)
	}
	for name, schema := range map[string]string{
		"empty":             ``,
		"scalar":            `"string"`,
		"array":             `{"type":"array","items":"string"}`,
		"no JSON":           `{`,
		"duplicate member":  `{"type":"record","name":"R","name":"S","fields":[]}`,
		"128 branches":      rec(`[` + strings.TrimSuffix(strings.Repeat(`"int",`, 128), ",") + `]`),
		"undefined":         rec(`"Nope"`),
		"redefined":         rec(`{"type":"fixed","name":"R","size":1}`),
		"nested union":      rec(`["null",["null","int"]]`),
		"twin branches":     rec(`["int","int"]`),
		"twin nulls":        rec(`["null","null"]`),
		"twin arrays":       rec(`[{"type":"array","items":"int"},{"type":"array","items":"long"}]`),
		"empty union":       rec(`[]`),
		"no symbols":        rec(`{"type":"enum","name":"E","symbols":[]}`),
		"twin symbols":      rec(`{"type":"enum","name":"E","symbols":["A","A"]}`),
		"symbol":            rec(`{"type":"enum","name":"E","symbols":["A-B"]}`),
		"negative size":     rec(`{"type":"fixed","name":"F","size":-1}`),
		"half a byte":       rec(`{"type":"fixed","name":"F","size":0.5}`),
		"no size":           rec(`{"type":"fixed","name":"F"}`),
		"no items":          rec(`{"type":"array"}`),
		"no values":         rec(`{"type":"map"}`),
		"no fields":         `{"type":"record","name":"R"}`,
		"field name":        `{"type":"record","name":"R","fields":[{"name":"a.b","type":"int"}]}`,
		"twin fields":       `{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}`,
		"no field type":     `{"type":"record","name":"R","fields":[{"name":"a"}]}`,
		"record name":       `{"type":"record","name":"a-b","fields":[]}`,
		"namespace":         `{"type":"record","name":"R","namespace":"a..b","fields":[]}`,
		"primitive name":    `{"type":"record","name":"long","fields":[]}`,
		"number as type":    rec(`7`),
		"nullable root":     `["null",{"type":"record","name":"R","fields":[]}]`,
		"deep":              rec(strings.Repeat(arr, 70) + `"int"` + strings.Repeat(obj, 70)),
		"very deep":         rec(strings.Repeat(arr, 9000) + `"int"` + strings.Repeat(obj, 9000)),
		"doubling":          double,
		"doubling in a map": rec(`{"type":"map","values":` + double + `}`),
	} {
		t.Run(name, func(t *testing.T) {
			if l, err := NewAvro(schema, nil); err == nil {
				t.Errorf("accepted as %v", l.Nodes())
			}
		})
	}
}

func TestAvroNames(t *testing.T) {
	l := mustAvro(t, `{"type":"record","name":"a.b.R","namespace":"ignored","fields":[
	 {"name":"x","type":{"type":"fixed","name":"F","size":2}},
	 {"name":"y","type":{"type":"record","name":"S","namespace":"c","aliases":["T"],"fields":[
	   {"name":"p","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"q","type":"a.b.F"}]}},
	 {"name":"z","type":["null","c.E"]}, {"name":"w","type":{"type":{"type":"string"}}}]}`)
	var got []string
	for _, n := range l.Nodes() {
		got = append(got, n.Path+"="+n.Type.Name)
	}
	if want := "=a.b.R x=a.b.F y=c.S y.p=c.E y.q=a.b.F z=c.E w="; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", strings.Join(got, " "), want)
	}
}

func TestAvroLogicalTypes(t *testing.T) {
	fixed := func(size int, rest string) string {
		return fmt.Sprintf(`{"type":"fixed","name":"F","size":%d,%s}`, size, rest)
	}
	for _, tt := range []struct {
		ty   string
		want Logical
	}{
		{`{"type":"int","logicalType":"date"}`, Date},
		{`{"type":"long","logicalType":"date"}`, NoLogical},
		{`{"type":"int","logicalType":"time-millis"}`, TimeMillis},
		{`{"type":"int","logicalType":"time-micros"}`, NoLogical},
		{`{"type":"long","logicalType":"time-micros"}`, TimeMicros},
		{`{"type":"long","logicalType":"timestamp-millis"}`, TimestampMillis},
		{`{"type":"long","logicalType":"timestamp-nanos"}`, TimestampNanos},
		{`{"type":"string","logicalType":"timestamp-millis"}`, NoLogical},
		{`{"type":"long","logicalType":"local-timestamp-micros"}`, LocalTimestampMicros},
		{`{"type":"string","logicalType":"uuid"}`, UUID},
		{`{"type":"bytes","logicalType":"uuid"}`, NoLogical},
		{fixed(16, `"logicalType":"uuid"`), UUID},
		{fixed(15, `"logicalType":"uuid"`), NoLogical},
		{fixed(12, `"logicalType":"duration"`), Duration},
		{fixed(11, `"logicalType":"duration"`), NoLogical},
		{`{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`, Decimal},
		{`{"type":"bytes","logicalType":"decimal","precision":4}`, Decimal},
		{`{"type":"bytes","logicalType":"decimal"}`, NoLogical},
		{`{"type":"bytes","logicalType":"decimal","precision":0}`, NoLogical},
		{`{"type":"bytes","logicalType":"decimal","precision":4,"scale":5}`, NoLogical},
		{`{"type":"bytes","logicalType":"decimal","precision":4,"scale":"2"}`, NoLogical},
		{fixed(2, `"logicalType":"decimal","precision":4`), Decimal},
		{fixed(2, `"logicalType":"decimal","precision":5`), NoLogical},
		{`{"type":"string","logicalType":"x-phone"}`, UnknownLogical},
		{`"long"`, NoLogical},
	} {
		l := mustAvro(t, rec(tt.ty))
		if got := l.Nodes()[1].Type.Logical; got != tt.want {
			t.Errorf("%s: %d, want %d", tt.ty, got, tt.want)
		}
		keep, err := l.Project(avroActs(t, l, Action{Op: OpKeep}, nil), "x")
		if err != nil {
			t.Errorf("%s: %v", tt.ty, err)
		} else if again := mustAvro(t, keep.Schema()).Nodes()[1].Type; tt.want != UnknownLogical && again.Logical != tt.want {
			t.Errorf("%s: derived %s", tt.ty, keep.Schema())
		}
	}
}

func TestAvroValue(t *testing.T) {
	f32 := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5))
	f64 := binary.LittleEndian.AppendUint64(nil, math.Float64bits(-2.25))
	for _, tt := range []struct {
		ty   string
		src  []byte
		want Value
		no   bool
	}{
		{ty: `"null"`, want: Value{Kind: Null}},
		{ty: `["null","long"]`, src: []byte{0}, want: Value{Kind: Null}},
		{ty: `["null","long"]`, src: []byte{2, 5}, want: Value{Kind: Long, Int: -3}},
		{ty: `["long","null"]`, src: []byte{0, 6}, want: Value{Kind: Long, Int: 3}},
		{ty: `"boolean"`, src: []byte{1}, want: Value{Kind: Bool, Int: 1}},
		{ty: `{"type":"int","logicalType":"date"}`, src: []byte{6}, want: Value{Kind: Int, Logical: Date, Int: 3}},
		{ty: `"long"`, src: appendLong(nil, math.MinInt64), want: Value{Kind: Long, Int: math.MinInt64}},
		{ty: `"float"`, src: f32, want: Value{Kind: Float, Float: 1.5}},
		{ty: `"double"`, src: f64, want: Value{Kind: Double, Float: -2.25}},
		{ty: `"string"`, src: []byte("\x06abc"), want: Value{Kind: String, Text: []byte("abc")}},
		{ty: `"bytes"`, src: []byte{2, 0xff}, want: Value{Kind: Bytes, Text: []byte{0xff}}},
		{ty: `{"type":"fixed","name":"F","size":2}`, src: []byte{1, 2}, want: Value{Kind: Fixed, Text: []byte{1, 2}}},
		{ty: `{"type":"enum","name":"E","symbols":["A","B"]}`, src: []byte{2}, want: Value{Kind: Enum, Int: 1, Text: []byte("B")}},
		{ty: `{"type":"map","values":"long"}`, src: []byte{0}, no: true},
		{ty: arr + `"long"` + obj, src: []byte{0}, no: true},
	} {
		l := mustAvro(t, rec(tt.ty))
		var tape Tape
		if err := l.Scan(tt.src, &tape); err != nil {
			t.Fatal(tt.ty, err)
		}
		e, _ := tape.Find(1)
		got, _, ok := l.Value(tt.src, e, nil)
		if ok == tt.no || got.Kind != tt.want.Kind || got.Logical != tt.want.Logical || got.Int != tt.want.Int ||
			got.Float != tt.want.Float || string(got.Text) != string(tt.want.Text) {
			t.Errorf("%s %x: %+v, %v; want %+v", tt.ty, tt.src, got, ok, tt.want)
		}
	}
}

// A registry takes schemas of a megabyte: parsing one must not take minutes.
func TestAvroLargeEnum(t *testing.T) {
	symbols := make([]string, 60_000)
	for i := range symbols {
		symbols[i] = fmt.Sprintf("s%d", i)
	}
	text := func() string {
		return `{"type":"record","name":"R","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["` + strings.Join(symbols, `","`) + `"]}}]}`
	}
	start := time.Now()
	if _, err := NewAvro(text(), nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 5*time.Second { // comparing all pairs took 17 s
		t.Errorf("parsing took %s", took)
	}
	symbols[59_999] = "s7"
	if _, err := NewAvro(text(), nil); err == nil {
		t.Error("a symbol twice")
	}
}

// Schemas of less than a megabyte in which something short to write is long to
// expand: a process would need gigabytes for each, and again after a restart.
func TestAvroSchemasThatExpand(t *testing.T) {
	long := strings.Repeat("n", 300_000)
	list := func(n int, format string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(items, ",")
	}
	deep := list(9000, `{"name":"f%d","type":"int"}`)
	for i := range 60 {
		deep = fmt.Sprintf(`{"name":"%s","type":{"type":"record","name":"N%d","fields":[%s]}}`, strings.Repeat("p", 500), i, deep)
	}
	for name, text := range map[string]string{
		"symbols of one enum":     `{"type":"record","name":"R","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":[` + list(30_000, `"s%d"`) + `]}},` + list(9000, `{"name":"f%d","type":"E"}`) + `]}`,
		"tags of one type":        `{"type":"record","name":"R","fields":[{"name":"e","type":{"type":"fixed","name":"E","size":1,"confluent:tags":[` + list(30_000, `"t%d"`) + `]}},` + list(9000, `{"name":"f%d","type":"E"}`) + `]}`,
		"tags of uses":            `{"type":"record","name":"R","fields":[{"name":"e","type":{"type":"fixed","name":"E","size":1,"confluent:tags":[` + list(30_000, `"t%d"`) + `]}},` + list(9000, `{"name":"f%d","type":{"type":"E","confluent:tags":["u"]}}`) + `]}`,
		"tags of one field":       `{"type":"record","name":"R","fields":[{"name":"e","type":{"type":"record","name":"E","fields":[{"name":"x","type":"int","confluent:tags":[` + list(30_000, `"t%d"`) + `]}]}},` + list(4500, `{"name":"f%d","type":"E"}`) + `]}`,
		"a long namespace":        `{"type":"record","name":"R","namespace":"` + long + `","fields":[` + list(4000, `{"name":"f%[1]d","type":{"type":"fixed","name":"F%[1]d","size":1}}`) + `]}`,
		"a long field":            `{"type":"record","name":"R","fields":[{"name":"` + long + `","type":{"type":"record","name":"S","fields":[` + list(9000, `{"name":"f%d","type":"int"}`) + `]}}]}`,
		"long paths":              `{"type":"record","name":"R","fields":[` + deep + `]}`,
		"uses of an enum in maps": `{"type":"record","name":"R","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":[` + list(30_000, `"s%d"`) + `]}},` + list(9000, `{"name":"f%d","type":{"type":"map","values":"E"}}`) + `]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := NewAvro(text, nil)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 200 {
			t.Errorf("%s: %d MiB for a schema of %d KiB", name, used, len(text)>>10)
		}
	}
}
