package schemas

import (
	"fmt"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
)

// crm20 is a contact of 20 fields: strings, nullable strings, numbers, times.
func crm20(tb testing.TB) (schema string, native map[string]any, src []byte) {
	var fields []string
	native = map[string]any{}
	for i := range 20 {
		name := fmt.Sprintf("field_%02d", i)
		ty, v := `"string"`, any(fmt.Sprintf("value %02d of some %d words in it", i, i))
		switch i % 5 {
		case 2:
			ty, v = `["null","string"]`, goavro.Union("string", fmt.Sprintf("nullable value %02d", i)+strings.Repeat("x", 18))
		case 3:
			ty, v = `"long"`, int64(1_700_000_000_000+i)
		case 4:
			ty, v = `["null","double"]`, goavro.Union("double", 1.5*float64(i))
		}
		fields = append(fields, fmt.Sprintf(`{"name":%q,"type":%s}`, name, ty))
		native[name] = v
	}
	schema = `{"type":"record","name":"Contact","namespace":"crm","fields":[` + strings.Join(fields, ",") + `]}`
	codec, err := goavro.NewCodec(schema)
	if err != nil {
		tb.Fatal(err)
	}
	if src, err = codec.BinaryFromNative(nil, native); err != nil {
		tb.Fatal(err)
	}
	return schema, native, src
}

// analytics drops three fields, nulls two, replaces one and keeps the others.
func analytics(tb testing.TB, l Layout) Projection {
	p, err := l.Project(avroActs(tb, l, Action{Op: OpKeep}, map[string]Action{
		"field_00": {Op: OpReplace, Via: upper{}, Result: Type{Kind: String}},
		"field_01": {}, "field_06": {}, "field_12": {},
		"field_02": {Op: OpNull}, "field_11": {Op: OpNull},
	}), "crm.analytics")
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func BenchmarkAvroScan(b *testing.B) {
	schema, _, src := crm20(b)
	l := mustAvro(b, schema)
	var tape Tape
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Scan(src, &tape); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkSplice(b *testing.B, purposes int) {
	schema, _, src := crm20(b)
	l := mustAvro(b, schema)
	p := analytics(b, l)
	var tape Tape
	var out []byte
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Scan(src, &tape); err != nil {
			b.Fatal(err)
		}
		for range purposes {
			var err error
			if out, _, err = p.Splice(out[:0], src, &tape, 0); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkAvroScanSplice1(b *testing.B) { benchmarkSplice(b, 1) }
func BenchmarkAvroScanSplice3(b *testing.B) { benchmarkSplice(b, 3) }

// The same edit by goavro: decode to a map, edit it, encode it.
func BenchmarkAvroGoavroEdit(b *testing.B) {
	schema, _, src := crm20(b)
	p := analytics(b, mustAvro(b, schema))
	in, err := goavro.NewCodec(schema)
	if err != nil {
		b.Fatal(err)
	}
	derived, err := goavro.NewCodec(p.Schema())
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		native, _, err := in.NativeFromBinary(src)
		if err != nil {
			b.Fatal(err)
		}
		m := native.(map[string]any)
		delete(m, "field_01")
		delete(m, "field_06")
		delete(m, "field_12")
		m["field_02"], m["field_11"] = nil, nil
		m["field_00"] = strings.ToUpper(m["field_00"].(string))
		if out, err = derived.BinaryFromNative(out[:0], m); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAvroAllocatesNothing(t *testing.T) {
	schema, _, src := crm20(t)
	if len(src) < 450 || len(src) > 530 {
		t.Errorf("the benchmark's record has %d bytes", len(src))
	}
	l := mustAvro(t, schema)
	p := analytics(t, l)
	var tape Tape
	var out []byte
	n := testing.AllocsPerRun(100, func() {
		if err := l.Scan(src, &tape); err != nil {
			t.Fatal(err)
		}
		out, _, _ = p.Splice(out[:0], src, &tape, 0)
	})
	if n != 0 || len(out) == 0 {
		t.Errorf("%v allocations, %d bytes", n, len(out))
	}
}
