package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

const (
	stampMs = nowMs - day // of the Kafka records in these tests
	eventMs = nowMs - 2*day
)

// timeCase is an event time and what is to come of it. A zero want is stampMs,
// which stands for a missing event time.
type timeCase struct {
	name, typ, unit, value string
	want                   int64
}

func (c *timeCase) check(t *testing.T, it *engine.Item) {
	t.Helper()
	want, suspect := c.want, c.want == 0
	if suspect {
		want = stampMs
	}
	checkTime(t, c.name, it, want, suspect)
}

// checkTime looks at the timestamps of a purpose that keeps the event time and
// of one that does not, and at the mark of both decisions.
func checkTime(t *testing.T, name string, it *engine.Item, want int64, suspect bool) {
	t.Helper()
	sees, blind := output(it, "sees"), output(it, "blind")
	if sees == nil || blind == nil {
		t.Fatalf("%s: no outputs; state %d, fault %v", name, it.State, it.Fault)
	}
	if sees.Timestamp != want || blind.Timestamp != nowMs {
		t.Errorf("%s: timestamps %d and %d, want %d and %d", name, sees.Timestamp, blind.Timestamp, want, int64(nowMs))
	}
	for _, p := range []string{"sees", "blind"} {
		d := decision(t, it, p)
		if got := slices.Contains(d.Secondary, string(policy.EventTimeSuspect)); got != suspect {
			t.Errorf("%s: %s: suspect %v, want %v", name, p, got, suspect)
		}
	}
}

func timePurposes() []policy.Purpose {
	return []policy.Purpose{contract("sees", "system", "keep", "user", "keep"), contract("blind", "user", "keep")}
}

func TestEventTimeAvro(t *testing.T) {
	logical := func(base, name string) string { return `{"type":"` + base + `","logicalType":"` + name + `"}` }
	ms, us := fmt.Sprint(eventMs), fmt.Sprint(eventMs*1000+999)
	for _, c := range []timeCase{
		{"timestamp-millis", logical("long", "timestamp-millis"), "", ms, eventMs},
		{"timestamp-micros", logical("long", "timestamp-micros"), "", us, eventMs},
		{"timestamp-nanos", logical("long", "timestamp-nanos"), "", fmt.Sprint(eventMs*1000000 + 999999), eventMs},
		{"local-timestamp-millis has no zone", logical("long", "local-timestamp-millis"), "", ms, 0},
		{"local-timestamp-micros has no zone", logical("long", "local-timestamp-micros"), "", us, 0},
		{"date", logical("int", "date"), "", "20000", 0},
		{"time-millis", logical("int", "time-millis"), "", "5000", 0},
		{"long in s", `"long"`, "s", fmt.Sprint(eventMs / 1000), eventMs},
		{"long in ms", `"long"`, "ms", ms, eventMs},
		{"long in us", `"long"`, "us", us, eventMs},
		{"int in s", `"int"`, "s", fmt.Sprint(eventMs / 1000), eventMs},
		{"long without unit", `"long"`, "", ms, 0},
		{"negative", `"long"`, "s", "-1", 0},
		{"beyond 9999", `"long"`, "ms", "253402300800000", 0},
		{"overflow", `"long"`, "s", "9223372036854775807", 0},
		{"overflow into range", `"long"`, "s", "18446744073709552", 0},
		{"text", `"string"`, "", `"2026-11-19T13:00:00+01:00"`, eventMs},
		{"text with a unit for numbers", `"string"`, "s", `"2026-11-19T12:00:00Z"`, eventMs},
		{"text without zone", `"string"`, "", `"2026-11-19T12:00:00"`, 0},
		{"text, a date", `"string"`, "", `"2026-11-20"`, 0},
		{"digits as text", `"string"`, "ms", `"` + ms + `"`, 0},
		{"double", `"double"`, "s", fmt.Sprint(eventMs / 1000), 0},
		{"nullable", `["null",` + logical("long", "timestamp-millis") + `]`, "", `{"long.timestamp-millis":` + ms + `}`, eventMs},
		{"null", `["null",` + logical("long", "timestamp-millis") + `]`, "", `null`, 0},
		{"bytes", `"bytes"`, "", `"x"`, 0},
	} {
		w := avroStream("id", "user.unique_id", "at", "system.operations")
		w.EventTime = engine.TimeRule{Path: "at", Unit: c.unit}
		r := newRig(t, w, timePurposes()...)
		avsc := `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"at","type":` + c.typ + `}]}`
		r.install(1, avsc)
		it := r.decide(engine.Input{Timestamp: stampMs, Value: framed(t, 1, avsc, `{"id":"42","at":`+c.value+`}`)})[0]
		c.check(t, it)
	}
}

func TestEventTimeJSON(t *testing.T) {
	for _, c := range []timeCase{
		{"text", "", "", `"2026-11-19T12:00:00Z"`, eventMs},
		{"text with escapes", "", "", `"2026-11-19T12:00:00\u005a"`, eventMs},
		{"text below a millisecond", "", "", `"2026-11-19T12:00:00.000999Z"`, eventMs},
		{"text in another zone", "", "ms", `"2026-11-19T07:00:00-05:00"`, eventMs},
		{"no zone", "", "", `"2026-11-19T12:00:00"`, 0},
		{"leap second", "", "", `"2026-11-19T23:59:60Z"`, 0},
		{"before 1970", "", "", `"1969-12-31T23:59:59Z"`, 0},
		{"empty", "", "", `""`, 0},
		{"long text", "", "", `"2026-11-19T12:00:00.00000000000000000000000000000000000Z"`, 0},
		{"number in s", "", "s", fmt.Sprint(eventMs / 1000), eventMs},
		{"number with a fraction, cut off", "", "s", fmt.Sprint(eventMs/1000) + ".999", eventMs},
		{"number in ms", "", "ms", fmt.Sprint(eventMs), eventMs},
		{"number in us", "", "us", fmt.Sprint(eventMs * 1000), eventMs},
		{"exponent", "", "s", "1.7e9", 0},
		{"20 digits", "", "s", "17950824000000000000", 0},
		{"number without unit", "", "", fmt.Sprint(eventMs), 0},
		{"negative", "", "s", "-5", 0},
		{"digits as text", "", "s", `"` + fmt.Sprint(eventMs/1000) + `"`, 0},
		{"null", "", "", "null", 0},
		{"true", "", "", "true", 0},
		{"an array", "", "", `["2026-11-19T12:00:00Z"]`, 0},
		{"an object", "", "", `{"at":1}`, 0},
	} {
		w := jsonStream("id", "user.unique_id", "at", "system.operations")
		w.EventTime = engine.TimeRule{Path: "at", Unit: c.unit}
		r := newRig(t, w, timePurposes()...)
		it := r.decide(engine.Input{Timestamp: stampMs, Value: []byte(`{"id":"42","at":` + c.value + `}`)})[0]
		c.check(t, it)
	}
}

// An event time in a header is as one in the value, and a tombstone has headers
// too. A value with one says nothing.
func TestEventTimeInHeader(t *testing.T) {
	at := func(texts ...string) (headers []engine.Header) {
		for _, text := range texts {
			headers = append(headers, engine.Header{Key: "ce_time", Value: []byte(text)})
		}
		return headers
	}
	const noon = "2026-11-19T12:00:00Z"
	for _, c := range []struct {
		name    string
		headers []engine.Header
		want    int64 // 0: missing
	}{
		{"text", at(noon), eventMs},
		{"in another zone", at("2026-11-19T07:00:00-05:00"), eventMs},
		{"twice", at(noon, noon), eventMs},
		{"twice, differently", at(noon, "2026-11-19T12:00:01Z"), 0},
		{"twice, once malformed", at(noon, ""), 0},
		{"missing", nil, 0},
		{"null", []engine.Header{{Key: "ce_time"}}, 0},
		{"null and text", append([]engine.Header{{Key: "ce_time"}}, at(noon)...), eventMs},
		{"another name", []engine.Header{{Key: "CE_TIME", Value: []byte(noon)}}, 0},
		{"empty", at(""), 0},
		{"no zone", at("2026-11-19T12:00:00"), 0},
		{"a number", at(fmt.Sprint(eventMs)), 0},
		{"before 1970", at("1969-12-31T23:59:59Z"), 0},
		{"not UTF-8", at("2026-11-19T12:00:00\xff"), 0},
	} {
		w := jsonStream("id", "user.unique_id", "at", "system.operations")
		w.EventTime = engine.TimeRule{Header: "ce_time"}
		w.Headers = []engine.HeaderRule{{Name: "ce_time", Category: "system.operations"}}
		w.Key.Subject = "customer"
		r := newRig(t, w, timePurposes()...)
		want, suspect := c.want, c.want == 0
		if suspect {
			want = stampMs
		}
		in := engine.Input{Timestamp: stampMs, Headers: c.headers, Value: []byte(`{"id":"42","at":"2026-11-18T00:00:00Z"}`)}
		checkTime(t, c.name, r.decide(in)[0], want, suspect)
		in.Key, in.Value = []byte("42"), nil
		if d := decision(t, r.decide(in)[0], "sees"); slices.Contains(d.Secondary, string(policy.EventTimeSuspect)) != suspect {
			t.Errorf("%s: a tombstone has %v", c.name, d.Secondary)
		}
	}
}

// A header that a purpose does not see as it is does not show as its records'
// timestamp either.
// A header without a name is not where an event time stands that is in the value.
func TestHiddenTimeBesideANamelessHeader(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "at", "user.behavior")
	w.EventTime = engine.TimeRule{Path: "at"}
	w.Headers = []engine.HeaderRule{{Name: "", Category: "system.operations"}}
	r := newRig(t, w, contract("p", "user.unique_id", "keep", "system", "keep"))
	it := r.decide(engine.Input{Timestamp: stampMs, Value: []byte(`{"id":"42","at":"2026-11-19T12:00:00Z"}`)})[0]
	if out := output(it, "p"); out == nil || out.Timestamp != nowMs {
		t.Errorf("output %+v, want one of the time of deciding", out)
	}
}

func TestOutputTimestampIsAHeader(t *testing.T) {
	for treatment, want := range map[string]int64{"keep": eventMs, "drop": nowMs, "mask": nowMs, "constant": nowMs, "keep!": nowMs, "": nowMs} {
		w := jsonStream("id", "user.unique_id")
		w.EventTime = engine.TimeRule{Header: "at"}
		if treatment == "" {
			treatment = "keep"
		} else {
			w.Headers = []engine.HeaderRule{{Name: "at", Category: "user.behavior"}}
		}
		r := newRig(t, w, byConsent("p", "user.unique_id", "keep", "user.behavior", treatment))
		r.say("grant", grants("p", "explicit"))
		in := engine.Input{Timestamp: stampMs, Value: []byte(`{"id":"42"}`), Headers: []engine.Header{{Key: "at", Value: []byte("2026-11-19T12:00:00Z")}}}
		if out := output(r.decide(in)[0], "p"); out == nil || out.Timestamp != want {
			t.Errorf("%q: %+v, want %d", treatment, out, want)
		}
	}
}

// Each element of a record has the time in its header.
func TestSplitTimeInHeader(t *testing.T) {
	w := splitStream(schemas.JSON, "[*]")
	w.EventTime = engine.TimeRule{Header: "at"}
	short := contract("p", "user", "keep")
	short.Retention = day
	r := newRig(t, w, short)
	it := r.decide(engine.Input{Timestamp: nowMs, Value: []byte(`[{"id":1},{"id":2}]`), Headers: []engine.Header{{Key: "at", Value: []byte("2026-11-01T12:00:00Z")}}})[0]
	for i, d := range it.Audit.Decisions {
		if d.Reason != string(policy.RetentionExceeded) {
			t.Errorf("element %d: %s", i, d.Reason)
		}
	}
	if len(it.Audit.Decisions) != 2 {
		t.Errorf("%d decisions", len(it.Audit.Decisions))
	}
}

// The event time is the least of event time, record timestamp and decision
// time; what is clamped is marked (DECISION D20).
func TestEventTimeClamps(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "at", "system.operations")
	w.EventTime = engine.TimeRule{Path: "at", Unit: "ms"}
	r := newRig(t, w, timePurposes()...)
	for _, c := range []struct {
		name           string
		at, stamp      int64
		want           int64
		suspect, nokey bool
	}{
		{"as usual", eventMs, stampMs, eventMs, false, false},
		{"at the record's timestamp", stampMs, stampMs, stampMs, false, false},
		{"after the record's timestamp", stampMs + 1, stampMs, stampMs, true, false},
		{"record from the future", eventMs, nowMs + day, eventMs, false, false},
		{"both from the future", nowMs + 1, nowMs + day, nowMs, true, false},
		{"missing", -1, stampMs, stampMs, true, false},
		{"missing, record from the future", -1, nowMs + day, nowMs, true, false},
		{"no time anywhere", -1, -1, nowMs, true, false},
		{"1970", 0, stampMs, 0, false, false},
	} {
		value := fmt.Sprintf(`{"id":"42","at":%d}`, c.at)
		if c.at < 0 {
			value = `{"id":"42"}`
		}
		it := r.decide(engine.Input{Timestamp: c.stamp, Value: []byte(value)})[0]
		checkTime(t, c.name, it, c.want, c.suspect)
	}
}

// Without an event time in the wiring the record's timestamp is the event time.
// No purpose keeps it then as a field, so it stands on no output.
func TestEventTimeNotWired(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id"), timePurposes()...)
	checkTime(t, "past", r.decide(engine.Input{Timestamp: stampMs, Value: []byte(`{"id":"42"}`)})[0], nowMs, false)
	checkTime(t, "future", r.decide(engine.Input{Timestamp: nowMs + 1, Value: []byte(`{"id":"42"}`)})[0], nowMs, true)
}

// Only a purpose that keeps the event time as it is, behind no gate, may show
// it as the record's timestamp.
func TestOutputTimestampIsAField(t *testing.T) {
	for treatment, want := range map[string]int64{
		"keep": eventMs, "drop": nowMs, "redact": nowMs, "mask": nowMs, "truncate": nowMs, "pseudonymize": nowMs, "constant": nowMs, "keep!": nowMs,
	} {
		w := jsonStream("id", "user.unique_id", "at", "user.health_and_medical")
		if treatment == "keep" {
			w.Fields[1].Category = "system.operations"
		}
		w.EventTime = engine.TimeRule{Path: "at"}
		p := byConsent("p", "user.unique_id", "keep", "system", "keep", "user.health_and_medical", treatment)
		r := newRig(t, w, p)
		r.say("grant", grants("p", "explicit"))
		out := output(r.value(`{"id":"42","at":"2026-11-19T12:00:00Z"}`), "p")
		if out == nil || out.Timestamp != want {
			t.Errorf("%s: %+v, want %d", treatment, out, want)
		}
	}
}

func TestRetention(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "at", "system.operations")
	w.EventTime = engine.TimeRule{Path: "at", Unit: "ms"}
	short := contract("short", "user", "keep")
	short.Retention = 10 * day
	r := newRig(t, w, short, contract("long", "user", "keep"))
	for _, c := range []struct {
		at     int64
		permit bool
	}{{nowMs - 10*day, false}, {nowMs - 10*day + 1, true}, {0, false}} {
		it := r.value(fmt.Sprintf(`{"id":"42","at":%d}`, c.at))
		d := decision(t, it, "short")
		if d.Permit != c.permit || !c.permit && d.Reason != string(policy.RetentionExceeded) {
			t.Errorf("event at %d: permit %v, %s", c.at, d.Permit, d.Reason)
		}
		if !decision(t, it, "long").Permit {
			t.Errorf("event at %d: a purpose without retention denies", c.at)
		}
	}
}

// The commitment covers what was written, the timestamp too.
func TestCommitmentCoversTimestamp(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id"), contract("s", "user", "keep"))
	it := r.value(`{"id":"42"}`)
	out, d := output(it, "s"), decision(t, it, "s")
	commit := func(timestamp int64) audit.Hash {
		c := audit.NewCommitter()
		c.Begin(audit.Nonce(out.Headers[0].Value), out.Topic, out.Partition, out.Key, timestamp)
		return c.End(out.Value)
	}
	if d.Output == nil || d.Output.Commitment != commit(out.Timestamp) || d.Output.Commitment == commit(out.Timestamp+1) {
		t.Error("the commitment is not that of the output")
	}
	if d.Output.Topic != "in.s" || d.Output.Partition != out.Partition {
		t.Errorf("the audit says %s %d", d.Output.Topic, d.Output.Partition)
	}
}
