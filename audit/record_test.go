package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/schemas"
)

// native is r in goavro's representation.
func native(r *Record) map[string]any {
	union := func(name string, v any) any { return map[string]any{name: v} }
	longs := func(v []int64) []any {
		out := []any{}
		for _, x := range v {
			out = append(out, x)
		}
		return out
	}
	m := map[string]any{
		"lane":  map[string]any{"cluster": r.Lane.Cluster, "group": r.Lane.Group, "topic_id": r.Lane.TopicID[:], "topic": r.Lane.Topic, "partition": r.Lane.Partition},
		"index": r.Index, "prev": r.Prev[:], "kind": r.Kind.String(), "from": r.From, "offset": r.Offset,
		"context": nil, "cut": nil, "reason": r.Reason, "detail": r.Detail, "path": r.Path, "cites": nil, "note": r.Note,
	}
	if c := r.Context; c != nil {
		m["context"] = union("consentstream.audit.Context", map[string]any{"policy": c.Policy[:], "regimes": c.Regimes[:], "revision": c.Revision,
			"decided_at": time.UnixMilli(c.DecidedAt), "consent_topic_id": c.ConsentTopicID[:], "fence": longs(c.Fence),
			"key_epoch": c.KeyEpoch, "key_check": c.KeyCheck[:], "sign_key": c.SignKey, "version": c.Version})
	}
	if len(r.Cut) > 0 {
		m["cut"] = union("array", longs(r.Cut))
	}
	if r.Cites != nil {
		m["cites"] = union("consentstream.audit.Hash", r.Cites[:])
	}
	subjects, decisions := []any{}, []any{}
	for _, s := range r.Subjects {
		var tag any
		if s.Resolved {
			tag = union("consentstream.audit.SubjectTag", s.Tag[:])
		}
		subjects = append(subjects, map[string]any{"name": s.Name, "tag": tag})
	}
	for _, d := range r.Decisions {
		secondary := []any{}
		for _, s := range d.Secondary {
			secondary = append(secondary, s)
		}
		x := map[string]any{"element": d.Element, "purpose": d.Purpose, "subject": d.Subject, "permit": d.Permit, "reason": d.Reason,
			"secondary": secondary, "basis": d.Basis, "cited": nil, "plan": d.Plan[:], "gates": d.Gates, "withheld": d.Withheld, "output": nil}
		if d.HasCited {
			x["cited"] = union("consentstream.audit.Position", map[string]any{"partition": d.CitedPartition, "offset": d.CitedOffset})
		}
		if o := d.Output; o != nil {
			x["output"] = union("consentstream.audit.Output", map[string]any{"topic": o.Topic, "partition": o.Partition, "commitment": o.Commitment[:]})
		}
		decisions = append(decisions, x)
	}
	m["subjects"], m["decisions"] = subjects, decisions
	return m
}

// The hand-written encoder against goavro, with the schema that is registered;
// and back through our decoder.
func TestEncodingEqualsGoavro(t *testing.T) {
	codec, err := goavro.NewCodec(schemas.AuditRecord)
	if err != nil {
		t.Fatal(err)
	}
	check := func(t interface{ Fatalf(string, ...any) }, r *Record) {
		got := AppendRecord(nil, r)
		want, err := codec.BinaryFromNative(nil, native(r))
		if err != nil {
			t.Fatalf("goavro: %v", err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("encoded\n%x\ngoavro gives\n%x", got, want)
		}
		back, err := DecodeRecord(got)
		if err != nil {
			t.Fatalf("own bytes refused: %v", err)
		}
		if len(r.Cut) == 0 {
			back.Cut = r.Cut // nil and empty are one
		}
		if r.Context != nil && len(r.Context.Fence) == 0 {
			back.Context.Fence = r.Context.Fence
		}
		if !reflect.DeepEqual(&back, r) {
			t.Fatalf("decoded\n%+v\nwrote\n%+v", &back, r)
		}
	}
	check(t, sample())
	check(t, reset())
	check(t, &Record{Kind: LeafClosed, Cites: &Hash{}})
	rapid.Check(t, func(t *rapid.T) { check(t, drawRecord(t)) })
}

// A second implementation reads the schema and the bytes too.
func TestTwmbAvroReads(t *testing.T) {
	schema, err := avro.Parse(schemas.AuditRecord)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	rest, err := schema.Decode(AppendRecord(nil, sample()), &out)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	if got := out.(map[string]any)["index"]; got != int64(300) {
		t.Errorf("index %v", got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := AppendRecord(nil, sample())
	change := func(f func(*Record)) []byte {
		r := sample()
		f(r)
		return AppendRecord(nil, r)
	}
	minimal := AppendRecord(nil, &Record{Kind: LeafRecord})
	for name, c := range map[string]struct {
		value []byte
		want  string
	}{
		"empty":                {nil, "varint"},
		"trailing":             {append(bytes.Clone(good), 0), "trailing bytes"},
		"no leaf kind":         {change(func(r *Record) { r.Kind = NoLeaf }), "leaf kind"},
		"kind beyond the last": {change(func(r *Record) { r.Kind = LeafClosed + 1 }), "leaf kind"},
		"negative index":       {change(func(r *Record) { r.Index = -1 }), "index"},
		"backwards":            {change(func(r *Record) { r.From = 9 }), "backwards"},
		"negative from":        {change(func(r *Record) { r.From = -1 }), "backwards"},
		"negative partition":   {change(func(r *Record) { r.Lane.Partition = -1 }), "partition"},
		"closed with a range":  {change(func(r *Record) { r.Kind, r.Decisions = LeafClosed, nil }), "closed leaf"},
		"gap with decisions":   {change(func(r *Record) { r.Kind = LeafGap }), "decisions on"},
		"no such subject":      {change(func(r *Record) { r.Decisions[0].Subject = 1 }), "subject that is not there"},
		"output of a deny":     {change(func(r *Record) { r.Decisions[0].Permit = false }), "output of a deny"},
		"not UTF-8":            {change(func(r *Record) { r.Note = "\xff" }), "UTF-8"},
		"long varint":          {append([]byte{0x80, 0}, minimal[1:]...), "canonical"},
		"varint of 11 bytes":   {bytes.Repeat([]byte{0xff}, 11), "varint"},
		"varint of 65 bits":    {append(append(bytes.Repeat([]byte{0x80}, 9), 2), minimal[1:]...), "varint"},
		"two blocks":           {bytes.Replace(good, []byte{2, 16, 'c', 'u', 's'}, []byte{2, 0, 0, 2, 16, 'c', 'u', 's'}, 1), "several blocks"},
		"boolean of 2":         {bytes.Replace(good, []byte{'s', 0, 1, 26, 'C'}, []byte{'s', 0, 2, 26, 'C'}, 1), "boolean"},
		"string bomb":          {[]byte{0xfe, 0xff, 0xff, 0xff, 0x0f}, "string length"},
		"array bomb":           {append(bytes.Clone(minimal[:len(minimal)-1]), 0xfe, 0xff, 0xff, 0xff, 0x0f), "array count"},
		"negative block":       {append(bytes.Clone(minimal[:len(minimal)-1]), 1, 0), "array count"},
	} {
		r, err := DecodeRecord(c.value)
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) || !reflect.DeepEqual(r, Record{}) {
			t.Errorf("%s: %v; want one with %q and a zero record", name, err, c.want)
		}
	}
	for n := range good {
		if _, err := DecodeRecord(good[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were taken", n, len(good))
		}
	}
}

func TestAppendRecordAllocatesNothing(t *testing.T) {
	r, buf := sample(), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(200, func() { LeafHash(AppendRecord(buf[:0], r)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAppendJSON(t *testing.T) {
	r := sample()
	r.Decisions[0].CitedID = `01JD"3G9S`
	r.Decisions[0].Fields = []Field{{Path: "email", Category: "user.contact.email", Treatment: "redact"}, {Path: "name", Category: "user.name", Treatment: "keep", Gate: "explicit_consent"}}
	r.Decisions[1].Subject = 7 // never, but it is no reason to panic
	got := AppendJSON([]byte("before}"), "consent.audit", r)
	text, found := bytes.CutPrefix(got, []byte("before}"))
	if !found {
		t.Fatal("dst was overwritten")
	}
	const want = `{"kind":"audit","topic":"consent.audit","leaf":"record","source":{"topic":"crm.contacts","partition":3,"from":7,"offset":8},` +
		`"lane":{"cluster":"Nk018hRAQFytWskYqtQduw","group":"consentstream","topic_id":"01020300000000000000000000000010","partition":3},"index":300,` +
		`"prev":"ee000000000000000000000000000000000000000000000000000000000000ff",` +
		`"context":{"policy":"0100000000000000000000000000000000000000000000000000000000000000","revision":7,"decided_at":"2026-11-22T13:20:00.123Z",` +
		`"consent_topic_id":"09000000000000000000000000000000","fence":[10,0,1099511627776],"key_epoch":1,"key_check":"0807060504030201","sign_key":"enforcer-1","version":"v0.1.0"},` +
		`"cut":[11,0,1099511627776],"subjects":[{"name":"customer","tag":"0005000000000000000000000000000006"}],"decisions":[` +
		`{"element":0,"purpose":"analytics","subject":"customer","decision":"permit","reason":"CONSENT_GIVEN","basis":"consent","consent_event":"01JD\"3G9S","consent_position":{"partition":1,"offset":99},` +
		`"plan":"aa01000000000000000000000000000000000000000000000000000000000000","fields":[{"path":"email","category":"user.contact.email","treatment":"redact"},{"path":"name","category":"user.name","treatment":"keep","gate":"explicit_consent"}],` +
		`"output_topic":"crm.contacts.analytics","output_partition":2,"output_hash":"c000000000000000000000000000000000000000000000000000000000000000"},` +
		`{"element":0,"purpose":"marketing.email","subject":"?","decision":"deny","reason":"WITHDRAWN","secondary":["CONSENT_EXPIRED"],"basis":"consent","plan":"aa01000000000000000000000000000000000000000000000000000000000000"},` +
		`{"element":0,"purpose":"service","subject":"customer","decision":"permit","reason":"BASIS_CONTRACT","basis":"contract","plan":"aa01000000000000000000000000000000000000000000000000000000000000","gates":1,"withheld":2,` +
		`"output_topic":"crm.contacts.service","output_partition":-1,"output_hash":"c100000000000000000000000000000000000000000000000000000000000000"}]}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		if text := AppendJSON(nil, "a", drawRecord(t)); !json.Valid(text) {
			t.Fatalf("not JSON: %s", text)
		}
	})
}

// FuzzDecode: what is accepted is canonical as a record, and no other head than
// ours is; a record's lane can be read alone.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(goldenHead))
	f.Add([]byte("cs1.AAAA"))
	f.Add(AppendRecord(nil, sample()))
	f.Add(AppendRecord(nil, reset()))
	f.Fuzz(func(t *testing.T, value []byte) {
		readHead(t, string(value))
		lane, laneErr := DecodeLane(value)
		r, err := DecodeRecord(value)
		if err != nil {
			return
		}
		if laneErr != nil || lane != r.Lane {
			t.Fatalf("DecodeLane gives %+v, %v of a record of %+v", lane, laneErr, r.Lane)
		}
		if !bytes.Equal(AppendRecord(nil, &r), value) {
			t.Fatal("not canonical")
		}
		AppendJSON(nil, "a", &r)
	})
}

func BenchmarkLeaf(b *testing.B) {
	r, buf := sample(), make([]byte, 0, 4096)
	r.Context, r.Cut = nil, nil
	b.SetBytes(int64(len(AppendRecord(nil, r))))
	b.ReportAllocs()
	for b.Loop() {
		LeafHash(AppendRecord(buf[:0], r))
	}
}

func BenchmarkAppendRecord(b *testing.B) {
	r, buf := sample(), make([]byte, 0, 4096)
	r.Context, r.Cut = nil, nil
	b.ReportAllocs()
	for b.Loop() {
		AppendRecord(buf[:0], r)
	}
}
