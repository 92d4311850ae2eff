package e2e

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// record is an input record before it is written.
type record struct {
	kgo.Record
	// bad is the code, or codes with | between them, under which it must go to
	// quarantine; "" for a record that must be decided.
	bad string
}

// canary is a value that occurs once in a run and can be found wherever it
// comes to stand.
func canary(field string, i int) string { return fmt.Sprintf("ZZ%sZZ%d", field, i) }

// record draws the i-th input record: half contacts, half marketing events.
func (r draw) record(w *world, i int, shipped, wider uint32) record {
	var in record
	in.Topic, in.Partition = w.topic(contacts), r.Int32N(4)
	id := person(r.IntN(people))
	now := time.Now()
	in.Timestamp = now.Add(-time.Duration(r.IntN(5000)) * time.Millisecond)
	if r.one(100) {
		in.Timestamp = now.Add(30 * time.Minute)
	}
	in.Key = []byte(pick(r, "", "", "", " ") + id)
	at := in.Timestamp.Add(-time.Duration(r.IntN(3_600_000)) * time.Millisecond)
	switch {
	case r.one(40):
		at = now.Add(-100 * 24 * time.Hour) // past analytics' retention
	case r.one(40):
		at = now.Add(time.Hour) // suspect
	}
	value := id
	switch {
	case r.one(10):
		in.Key = nil
	case r.one(60):
		in.Key = []byte(person(r.IntN(people))) // mostly another person
	case r.one(60):
		value = pick(r, "null", "", " ", "anonymous", "ZZ\ufffdZZ")
	}
	tombstone := r.one(40)
	if in.Headers = nil; r.one(2) {
		in.Headers = r.headers(i)
	}
	if i%2 == 0 {
		in.Topic = w.topic(events)
		in.Value = r.marketing(i, value, at)
	} else if r.one(2) {
		in.Value = r.contact(i, shipped, false, value, at)
	} else {
		in.Value = r.contact(i, wider, true, value, at)
	}
	switch {
	case tombstone:
		in.Value = nil
	case r.one(100):
		r.spoil(w, &in, i)
	}
	return in
}

func (r draw) headers(i int) []kgo.RecordHeader {
	all := []kgo.RecordHeader{{Key: "traceparent", Value: []byte(canary("trace", i))}}
	for _, more := range []kgo.RecordHeader{
		{Key: "x-session", Value: []byte(canary("header", i))},
		{Key: "traceparent", Value: nil},
		{Key: "traceparent", Value: []byte(canary("trace", i) + "b")},
		{Key: "Traceparent", Value: []byte(canary("header", i))},
		{Key: canary("header", i), Value: []byte("name")},
		{Key: "cs-proof", Value: []byte(canary("header", i))},
	} {
		if r.one(3) {
			all = append(all, more)
		}
	}
	return all
}

// avro appends Avro binary.
type avro struct{ b []byte }

func (e *avro) long(v int64)    { e.b = binary.AppendVarint(e.b, v) }
func (e *avro) string(s string) { e.long(int64(len(s))); e.b = append(e.b, s...) }

func (e *avro) some(r draw, s string) {
	if r.one(4) {
		e.long(0)
		return
	}
	e.long(1)
	e.string(s)
}

// contact writes one contact under the shipped schema or the wider one.
func (r draw) contact(i int, schema uint32, wider bool, id string, at time.Time) []byte {
	e := avro{binary.BigEndian.AppendUint32([]byte{0}, schema)}
	if wider {
		e.some(r, canary("loyalty", i))
	}
	e.string(canary("eventid", i))
	e.long(int64(r.IntN(3)))
	e.long(at.UnixMilli())
	e.string(id)
	e.some(r, canary("email", i)+"@example.org")
	e.some(r, canary("phone", i))
	e.some(r, canary("first", i))
	e.some(r, pick(r, canary("last", i), "Öz", "李", "O'Brien-ZZlastZZ"))
	if e.long(int64(r.IntN(2))); e.b[len(e.b)-1] != 0 {
		e.long(int64(r.IntN(18_000)))
	}
	e.string(canary("language", i))
	e.some(r, canary("company", i))
	e.some(r, canary("job", i))
	if e.long(int64(r.IntN(2))); e.b[len(e.b)-1] != 0 {
		e.string(canary("street", i))
		e.string(canary("city", i))
		e.string(pick(r, canary("postal", i), "S", "", "日本橋"))
		e.string(canary("country", i))
	}
	r.tags(&e, i)
	if e.long(int64(r.IntN(2))); e.b[len(e.b)-1] != 0 {
		e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(r.Float64()*100))
	}
	e.long(int64(r.IntN(3)))
	if e.long(int64(r.IntN(2))); e.b[len(e.b)-1] != 0 {
		e.long(4) // a decimal with more bytes than it needs stays as it is
		e.b = binary.BigEndian.AppendUint32(e.b, r.Uint32N(1_000_000))
	}
	e.some(r, canary("accessibility", i))
	e.some(r, canary("ip", i))
	e.some(r, canary("notes", i))
	return e.b
}

func (r draw) tags(e *avro, i int) {
	if n := r.IntN(4); n > 0 {
		e.long(int64(n))
		for range n {
			e.string(canary("tag", i))
		}
	}
	e.long(0)
}

// marketing writes one marketing event: members in any order, some missing, some
// of an unexpected type, white space and escapes anywhere.
func (r draw) marketing(i int, id string, at time.Time) []byte {
	text := func(field string) string {
		return pick(r, `"`+canary(field, i)+`"`, `"`+canary(field, i)+`"`, `"`+canary(field, i)+` \u00e9\ud83d\ude00 \"\\\/ é"`, `null`)
	}
	m := map[string]string{
		"event_id": `"` + canary("eventid", i) + `"`, "event": pick(r, `"open"`, `"click"`, `17`), "occurred_at": `"` + at.UTC().Format(time.RFC3339Nano) + `"`,
		"contact_id": quote(id), "email": text("email"), "campaign": text("campaign"), "url": text("url"), "ip": text("ip"),
		"user_agent": text("agent"), "properties": r.properties(i), "referrer": text("referrer"),
		"profile": r.profile(i), "items": r.items(i), "visits": pick(r, `[]`, `null`, `["`+canary("postal", i)+`", null, 7, ["x"]]`, `"`+canary("postal", i)+`"`),
		"needs": pick(r, `{"allergy":"`+canary("health", i)+`"}`, `{}`, `null`, `["`+canary("health", i)+`"]`), "agent": pick(r, `{"name":"ZZagentnameZZ"}`, `{}`, `1`),
		"ZZextraZZ": `{"a":[1,{"b":null}]}`,
	}
	for _, name := range []string{"event_id", "event", "email", "campaign", "url", "ip", "user_agent", "properties", "referrer", "ZZextraZZ",
		"profile", "items", "visits", "needs", "agent"} {
		if r.one(6) {
			delete(m, name)
		}
	}
	switch r.IntN(60) {
	case 0:
		delete(m, "contact_id")
	case 1:
		m["contact_id"] = "12345.0"
	case 2:
		m["contact_id"] = `{"value":"` + id + `"}`
	case 3:
		m["contact_id"] = "1234567"
	case 4:
		m["campaign"] = `{ "deep" : [ "` + canary("campaign", i) + `" , 1e3 ] }`
	case 5:
		m["email"] = `[{"ZZemailZZ":1}]`
	case 6:
		delete(m, "occurred_at")
	case 7:
		m["occurred_at"] = pick(r, `"2026-11-01T10:00:00"`, `1761955200`, `"yesterday"`)
	case 8:
		m["occurred_at"] = `"` + at.In(time.FixedZone("", 5400)).Format(time.RFC3339) + `"`
	}
	var parts []string
	for name, v := range m {
		parts = append(parts, r.space()+`"`+name+`"`+r.space()+":"+r.space()+v+r.space())
	}
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return []byte(r.space() + "{" + strings.Join(parts, ",") + "}" + r.space())
}

func (r draw) properties(i int) string {
	all := []string{`"product":"` + canary("product", i) + `"`, `"price":` + pick(r, "19.90", "1e2", "-0", "null"), `"coupon":"` + canary("coupon", i) + `"`, `"search":"` + canary("search", i) + `"`}
	switch r.IntN(12) {
	case 0:
		return "null"
	case 1:
		return `"ZZsearchZZ"`
	case 2:
		return "{" + all[3] + "}"
	case 3:
		return "{}"
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return "{" + r.space() + strings.Join(all[:1+r.IntN(4)], ",") + "}"
}

// profile is an object with rules at several depths, and members without one.
func (r draw) profile(i int) string {
	all := []string{
		`"last_name":` + pick(r, `"`+canary("last", i)+`"`, `"Öz"`, `null`, `17`), `"needs":` + pick(r, `"`+canary("health", i)+`"`, `null`, `{"a":1}`),
		`"home":` + pick(r, `{"postal_code":"`+canary("postal", i)+`","street":"`+canary("street", i)+`","ZZnewZZ":1}`, `{"street":"`+canary("street", i)+`"}`, `{}`, `null`, `"ZZstreetZZ"`),
		`"mood":"` + canary("mood", i) + `"`, `"x\u0041":"` + canary("mood", i) + `b"`,
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return pick(r, "null", `[{"last_name":"ZZlastZZ"}]`, "{"+strings.Join(all[:r.IntN(6)], r.space()+",")+"}", "{"+strings.Join(all, ",")+"}", "{"+strings.Join(all[:3], ",")+"}")
}

func (r draw) items(i int) string {
	var all []string
	for range r.IntN(4) {
		all = append(all, pick(r, `{"sku":"`+canary("sku", i)+`","name":"`+canary("last", i)+`"}`, `{"name":"Li","needs":"`+canary("health", i)+`"}`, `{}`, `null`, `"ZZskuZZ"`,
			`{"ZZextraZZ":1,"sku": [1, {"a":"`+canary("sku", i)+`"}]}`))
	}
	return pick(r, "["+strings.Join(all, ",")+"]", "["+strings.Join(all, " , ")+"]", "["+strings.Join(all, ",")+"]", "{}", "null")
}

func (r draw) space() string { return pick(r, "", "", "", "", " ", "\n\t") }

func quote(s string) string { return `"` + s + `"` }

// spoil makes a record bad in one of the ways of which each must be found.
func (r draw) spoil(w *world, in *record, i int) {
	v := in.Value
	email := quote(canary("bad", i))
	if in.Topic == w.topic(contacts) {
		switch r.IntN(10) {
		case 0:
			in.Value, in.bad = v[:len(v)-1-r.IntN(len(v)/2)], "truncated|bad_length"
		case 1:
			in.Value, in.bad = v[:2], "truncated"
		case 2:
			in.Value, in.bad = append(v, "ZZbadZZ"...), "trailing_bytes"
		case 3:
			in.Value, in.bad = r.bomb(v, i), "truncated|bad_length|too_many_items|bad_branch|bad_varint"
		case 4:
			in.Value, in.bad = append([]byte{7}, v[1:]...), "bad_magic"
		case 5:
			in.Value, in.bad = []byte{}, "empty_value"
		case 6:
			in.Value, in.bad = append([]byte{0, 0x7f, 0xff, 0xff, 0xf0}, v[5:]...), "unknown_schema"
		case 7:
			in.Value, in.bad = r.contact(i, binary.BigEndian.Uint32(v[1:]), false, "ZZbadZZ\xff", time.Now()), "bad_utf8"
			if v := w.isWider(v); v {
				in.Value = r.contact(i, binary.BigEndian.Uint32(in.Value[1:]), true, "ZZbadZZ\xc0\xaf", time.Now())
			}
		case 8:
			in.Value, in.bad = append(v[:5:5], 0x04), "bad_branch|truncated|bad_length"
		default:
			in.Value, in.bad = append(v[:5:5], strings.Repeat("ZZbadZZ", 143_000)...), "too_large"
		}
		return
	}
	switch r.IntN(11) {
	case 0:
		in.Value, in.bad = []byte(`{"contact_id":"x","email":`+email+`,"email":`+email+`}`), "duplicate_key"
	case 1:
		in.Value, in.bad = []byte(`{"contact_id":"x","email":`+email+`,"EMAIL":`+email+`}`), "duplicate_key"
	case 2:
		in.Value, in.bad = []byte(`{"ZZbadZZ":{"a":1,"a":`+email+`}}`), "duplicate_key"
	case 3:
		in.Value, in.bad = []byte(`{"email":`+strings.Repeat(`{"ZZbadZZ":`, 10_000)+"1"+strings.Repeat("}", 10_001)), "too_deep"
	case 4:
		in.Value, in.bad = []byte("{\"email\":\"ZZbadZZ\xff\"}"), "bad_utf8"
	case 5:
		in.Value, in.bad = []byte(`{"email":"ZZbadZZ\ud83d"}`), "lone_surrogate"
	case 6:
		in.Value, in.bad = append(v, "{}"...), "trailing_bytes"
	case 7:
		in.Value, in.bad = []byte(pick(r, email, "17", "null", "true")), "top_level_scalar"
	case 8:
		in.Value, in.bad = []byte(`{"email":`+email), "truncated"
	case 9:
		in.Value, in.bad = []byte{}, "empty_value"
	default:
		in.Value, in.bad = []byte(`{"email":`+email+`,}`), "syntax"
	}
}

// bomb is a contact whose array claims to have 2^40 elements.
func (r draw) bomb(v []byte, i int) []byte {
	tag := []byte(canary("tag", i))
	at := strings.Index(string(v), string(tag))
	if at < 2 {
		return append(v[:5:5], binary.AppendVarint(nil, 1<<40)...)
	}
	return append(v[:at-2:at-2], binary.AppendVarint(nil, 1<<40)...)
}

func (w *world) isWider(v []byte) bool {
	text, _ := w.schema(binary.BigEndian.Uint32(v[1:]))
	return strings.Contains(text, "loyalty_card")
}
