package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
)

// A JSON subject is a string or an integer that names somebody (DECISION D7).
func TestSubjectJSON(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id"), contract("s", "user", "keep"))
	for value, resolved := range map[string]bool{
		`"42"`: true, `42`: true, `" 42\t"`: true, `"\u0034\u0032"`: true, `-7`: true, `123456789012345678901234567890`: true, `"é"`: true,
		`"0042"`: true, `42.0`: false, `4.2e1`: false, `-0`: false, `0`: false, `"0"`: false, `true`: false, `null`: false, `""`: false,
		`"  "`: false, `"null"`: false, `"NULL"`: false, `"undefined"`: false, `"anonymous"`: false, `"a\u0000b"`: false, `["42"]`: false,
		`{"id":"42"}`: false, `"\ufffd"`: false,
		`"` + strings.Repeat("x", 1024) + `"`: true, `"` + strings.Repeat("x", 1025) + `"`: false,
	} {
		it := r.value(`{"id":` + value + `}`)
		checkResolved(t, value, it, resolved)
	}
	checkResolved(t, "missing", r.value(`{"Id":"42","other":{"id":"42"}}`), false)
}

// A name that .* matches too is a position of its own, which need not be an object.
func TestSubjectBesideAnyMember(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id", "*.email", "user.contact.email", "*~key", "user"), contract("s", "user", "keep"))
	checkResolved(t, "a scalar", r.value(`{"id":"42","x":{"email":"e"}}`), true)
	checkResolved(t, "an object", r.value(`{"id":{"email":"e"}}`), false)
}

// checkResolved wants an unresolved subject to deny under any basis, without a
// tag to look up or to show.
func checkResolved(t *testing.T, what string, it *engine.Item, want bool) {
	t.Helper()
	d, s := decision(t, it, "s"), it.Audit.Subjects[0]
	if s.Resolved != want || s.Name != "customer" || d.Permit != want || (output(it, "s") != nil) != want {
		t.Errorf("%s: resolved %v, permit %v (%s); want %v", what, s.Resolved, d.Permit, d.Reason, want)
	}
	if !want && (d.Reason != string(policy.SubjectUnresolved) || s.Tag != [17]byte{}) {
		t.Errorf("%s: reason %s, tag %x", what, d.Reason, s.Tag)
	}
}

func TestSubjectAvro(t *testing.T) {
	for _, c := range []struct {
		typ, value string
		want       bool
	}{
		{`"string"`, `"42"`, true},
		{`"int"`, `42`, true},
		{`"long"`, `42`, true},
		{`"int"`, `0`, false},
		{`["null","string"]`, `{"string":"42"}`, true},
		{`["null","string"]`, `null`, false},
		{`{"type":"string","logicalType":"uuid"}`, `"6f1c2d30-0000-4000-8000-000000000001"`, true},
		{`{"type":"string","logicalType":"uuid"}`, `"00000000-0000-0000-0000-000000000000"`, false},
		{`"double"`, `42`, false},
		{`"boolean"`, `true`, false},
		{`"bytes"`, `"42"`, false},
		{`{"type":"fixed","name":"F","size":2}`, `"42"`, false},
		{`{"type":"enum","name":"E","symbols":["A"]}`, `"A"`, false},
		{`{"type":"long","logicalType":"timestamp-millis"}`, `42`, false},
		{`{"type":"int","logicalType":"date"}`, `42`, false},
		{`{"type":"map","values":"string"}`, `{"id":"42"}`, false},
		{`["null","string","long"]`, `{"string":"42"}`, false},
		{`{"type":"array","items":"string"}`, `["42"]`, false},
		{`{"type":"record","name":"I","fields":[{"name":"id","type":"string"}]}`, `{"id":"42"}`, false},
	} {
		r := newRig(t, avroStream("id", "user.unique_id", "n", "user.behavior"), contract("s", "user", "keep"))
		avsc := `{"type":"record","name":"R","fields":[{"name":"id","type":` + c.typ + `},{"name":"n","type":"int"}]}`
		r.install(1, avsc)
		it := r.decide(engine.Input{Value: framed(t, 1, avsc, `{"id":`+c.value+`,"n":1}`)})[0]
		checkResolved(t, c.typ+" "+c.value, it, c.want)
	}
	t.Run("no such field in this version", func(t *testing.T) {
		r := newRig(t, avroStream("n", "user.behavior"), contract("s", "user", "keep"))
		avsc := `{"type":"record","name":"R","fields":[{"name":"n","type":"int"}]}`
		r.install(1, avsc)
		checkResolved(t, "absent", r.decide(engine.Input{Value: framed(t, 1, avsc, `{"n":1}`)})[0], false)
	})
}

// A key that contradicts the value leaves nobody whose consent would count.
func TestSubjectKeyConflict(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Key.Subject = "customer"
	r := newRig(t, w, contract("s", "user", "keep"))
	for _, c := range []struct {
		key  []byte
		want bool
	}{
		{nil, true}, {[]byte("42"), true}, {[]byte(" 42\n"), true}, {[]byte("43"), false}, {[]byte(""), false},
		{[]byte("042"), false}, {[]byte("4\xff2"), false}, {[]byte("\xff"), false}, {[]byte("null"), false},
	} {
		it := r.decide(engine.Input{Key: c.key, Value: []byte(`{"id":42}`)})[0]
		checkResolved(t, fmt.Sprintf("key %q", c.key), it, c.want)
	}
}

// All spellings of one person are one tag to look up; another tag than the
// audit's, and no two persons share one.
func TestTagsOncePerSubject(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id"), contract("s", "user", "keep"))
	items := r.decide(engine.Input{Value: []byte(`{"id":"42"}`)}, engine.Input{Value: []byte(`{"id":43}`)},
		engine.Input{Value: []byte(`{"id":42}`)}, engine.Input{Value: []byte(`{"id":null}`)}, engine.Input{Value: []byte(`{"id":" 43"}`)})
	tags := r.batch.Tags()
	if len(tags) != 2 || tags[0] == tags[1] {
		t.Fatalf("tags: %x", tags)
	}
	a, b := items[0].Audit.Subjects[0].Tag, items[1].Audit.Subjects[0].Tag
	if a == b || a != items[2].Audit.Subjects[0].Tag || b != items[4].Audit.Subjects[0].Tag || a[0] != 0 {
		t.Errorf("audit tags: %x, %x", a, b)
	}
	for value, want := range map[string]string{"42": fmt.Sprintf("%x", a), " 43": fmt.Sprintf("%x", b)} {
		if got, ok, err := engine.AuditTag(r.cfg.Policy, r.cfg.Keys, "crm", value); got != want || !ok || err != nil {
			t.Errorf("%q: %s, %v, %v, want %s", value, got, ok, err, want)
		}
	}
	if got, ok, err := engine.AuditTag(r.cfg.Policy, r.cfg.Keys, "crn", "42"); ok || err != nil {
		t.Errorf("an unknown namespace: %s, %v", got, err)
	}
	if [16]byte(a[1:]) == [16]byte(tags[0]) {
		t.Error("the audit shows the state store's tag")
	}
	if r.batch.Reset(); len(r.batch.Tags()) != 0 {
		t.Error("tags outlive Reset")
	}
}

// The consents that count are those of the subject that the record names.
func TestSubjectsOwnConsent(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id"), byConsent("ads", "user", "keep"))
	r.say("grant", grants("ads", "explicit"))
	for id, want := range map[string]policy.Reason{`"42"`: policy.ConsentGiven, `42`: policy.ConsentGiven, `"43"`: policy.ConsentUnknown} {
		if d := decision(t, r.value(`{"id":`+id+`}`), "ads"); d.Reason != string(want) {
			t.Errorf("%s: %s, want %s", id, d.Reason, want)
		}
	}
	r.say("withdraw", `,"purposes":["ads"]`)
	it := r.value(`{"id":"42"}`)
	if d := decision(t, it, "ads"); d.Permit || d.Reason != string(policy.ConsentWithdrawn) || !d.HasCited || d.CitedOffset != 1 || len(it.Outputs) > 0 {
		t.Errorf("after the withdrawal: %+v", d)
	}
}
