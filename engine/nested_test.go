package engine_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// textAt is a field that holds JSON.
func textAt(path string, e schemas.Encoding, fields ...engine.FieldRule) engine.FieldRule {
	return engine.FieldRule{Path: path, Nested: &engine.NestedRule{Encoding: e, Fields: fields}}
}

// clicks has a payload in which more is hidden in base64.
func clicks(format schemas.Format) engine.Stream {
	more := textAt("more", schemas.Base64, fieldRules("phone", "user.contact.phone_number")...)
	payload := textAt("payload", schemas.PlainText, append(fieldRules("email", "user.contact.email", "sku", "system.operations", "health", "user.health_and_medical"), more)...)
	return engine.Stream{Format: format, Fields: append(fieldRules("id", "user.unique_id", "event", "system"), payload)}
}

const clicked = `{"email":"a@b.c","sku":12.50,"health":"h","secret":"s","more":"` // and base64, and "}

func clickPayload(more string) string {
	return clicked + base64.StdEncoding.EncodeToString([]byte(more)) + `"}`
}

func TestNestedText(t *testing.T) {
	for name, c := range map[string]struct{ payload, want string }{
		"what is kept of it":    {clickPayload(`{"phone":"+49","x":1}`), `{"sku":12.50,"more":"` + base64.StdEncoding.EncodeToString([]byte(`{"phone":"+49"}`)) + `","email":null,"health":null}`},
		"no base64":             {clicked + `???"}`, `{"sku":12.50,"email":null,"health":null}`},
		"not JSON":              {`jane@example.com`, ""},
		"nothing that is known": {`{"secret":"s"}`, `{"email":null,"health":null}`},
	} {
		purpose := byConsent("p", "user.contact", "keep", "user.contact.email", "redact", "user.health_and_medical", "keep!", "user", "keep", "system", "keep")
		r := newRig(t, clicks(schemas.JSON), purpose)
		r.say("grant", grants("p", "expressed"))
		it := r.value(fmt.Sprintf(`{"id":"42","event":"click","payload":%q}`, c.payload))
		want := `{"id":"42","event":"click"}`
		if c.want != "" {
			want = fmt.Sprintf(`{"id":"42","event":"click","payload":%q}`, c.want)
		}
		if got := written(it, "p"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		withheld := map[string]int32{"not JSON": 1, "no base64": 1}[name]
		if got := decision(t, it, "p").Withheld; got != withheld {
			t.Errorf("%s: withheld %d, want %d", name, got, withheld)
		}
		fields := fmt.Sprint(r.stream.Fields(0, "p"))
		for _, path := range []string{"payload{json}.email", "payload{json}.more{base64.json}.phone"} {
			if !strings.Contains(fields, path) {
				t.Errorf("the plan does not say %s: %s", path, fields)
			}
		}
	}
}

// The gate of a special category reaches into a text.
func TestNestedGate(t *testing.T) {
	r := newRig(t, clicks(schemas.JSON), byConsent("p", "user", "keep", "system", "keep", "user.health_and_medical", "keep!"))
	r.say("grant", grants("p", "explicit"))
	it := r.value(fmt.Sprintf(`{"id":"42","payload":%q}`, `{"health":"h"}`))
	if got, want := written(it, "p"), fmt.Sprintf(`{"id":"42","payload":%q}`, `{"health":"h"}`); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestNestedTextInAvro(t *testing.T) {
	const schema = `{"type":"record","name":"R","namespace":"web","fields":[{"name":"id","type":"string"},{"name":"event","type":"string"},{"name":"payload","type":"bytes"}]}`
	r := newRig(t, clicks(schemas.Avro), contract("p", "user.unique_id", "keep", "user.contact.email", "mask", "system", "keep"))
	plan := r.install(1, schema)
	if got := plan.Outputs()[0].Schema; !strings.Contains(got, `{"name":"payload","type":["null","bytes"],"default":null}`) {
		t.Errorf("schema %s", got)
	}
	if len(plan.Withheld) > 0 {
		t.Errorf("withheld %q", plan.Withheld)
	}
	it := r.decide(engine.Input{Value: framed(t, 1, schema, `{"id":"42","event":"e","payload":"{\"sku\":1,\"email\":\"ann@x\"}"}`)})[0]
	if got := written(it, "p"); !strings.Contains(got, "\x0442\x02e\x02") || !strings.Contains(got, `{"sku":1,"email":"a*`) {
		t.Errorf("%q", got)
	}
	if it := r.decide(engine.Input{Value: framed(t, 1, schema, `{"id":"42","event":"e","payload":"ann@x"}`)})[0]; !strings.HasSuffix(written(it, "p"), "\x02e\x00") {
		t.Errorf("%q", written(it, "p"))
	}
}

// What a text is about is what its field is bound to, or what is said within.
func TestNestedTextOfSeveralSubjects(t *testing.T) {
	w := messages(schemas.JSON)
	inner := fieldRules("mail", "user.contact", "by", "user.contact", "n", "system")
	inner[1].Subject = "sender"
	payload := textAt("payload", schemas.PlainText, inner...)
	payload.Subject = "recipient"
	w.Fields = append(w.Fields, payload)
	r := newRig(t, w, byConsent("p", "user", "keep", "system", "keep"))
	r.sayOf("1", "grant", grants("p", "expressed"))
	it := r.value(fmt.Sprintf(`{"from":{"id":"1"},"to":{"id":"2"},"payload":%q}`, `{"mail":"m","by":"b","n":1}`))
	want := fmt.Sprintf(`{"from":{"id":"1"},"payload":%q,"to":null,"text":null}`, `{"by":"b","mail":null,"n":null}`)
	if got := written(it, "p"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A text costs by its length: what is in it shows only when it is treated.
func TestNestedTextCosts(t *testing.T) {
	r := newRig(t, clicks(schemas.JSON), contract("p", "user", "keep", "system", "keep"), contract("q", "user", "keep"), contract("r", "user", "keep"))
	long := fmt.Sprintf(`{"id":"42","payload":%q}`, `{"sku":"`+strings.Repeat("x", 24<<20)+`"}`)
	r.wantFault(r.value(long), schemas.CodeTooManyItems, "")
}

// What treats the elements of a text costs as many of them as may be in it.
func TestNestedTreatmentsCost(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Fields = append(w.Fields, textAt("l[*]", schemas.PlainText, engine.FieldRule{Path: "[*]", Category: "user.behavior"}))
	r := newRig(t, w, contract("p", "user", "pseudonymize"), contract("q", "user", "pseudonymize"))
	record := func(texts, n int, comma string) string {
		text := fmt.Sprintf(`"[%s1]"`, strings.Repeat("1"+comma, n-1))
		return `{"id":"42","l":[` + strings.Repeat(text+",", texts-1) + text + `]}`
	}
	for _, comma := range []string{",", `\u002c`} {
		if it := r.value(record(7, 10_000, comma)); it.Fault != nil {
			t.Errorf("70,000 elements with %s: %v", comma, it.Fault)
		}
		r.wantFault(r.value(record(9, 10_000, comma)), schemas.CodeTooManyItems, "")
	}
}

func TestCheckNestedText(t *testing.T) {
	deep := textAt("a", schemas.PlainText, fieldRules("x", "system")...)
	for range 9 {
		deep = textAt("a", schemas.PlainText, deep)
	}
	both := textAt("payload", schemas.PlainText, fieldRules("x", "system")...)
	both.Category = "system"
	for _, c := range []struct {
		field       engine.FieldRule
		at, message string
	}{
		{textAt("payload", schemas.PlainText, fieldRules("x..y", "system")...), "streams[0].fields[payload].json[x..y]", "column 3"},
		{textAt("payload", schemas.Base64, fieldRules("x", "system", `"x"`, "user")...), `streams[0].fields[payload].base64.json["x"]`, "same path"},
		{textAt("payload", schemas.Base64URL, fieldRules("x.*", "system")...), "streams[0].fields[payload].base64url.json[x.*]", "x.*~key"},
		{textAt("payload", schemas.PlainText), "streams[0].fields[payload]", "nothing in payload is classified"},
		{both, "streams[0].fields[payload]", "one of the two"},
		{deep, "streams[0]", "more than 8 deep"},
		{textAt("payload", schemas.PlainText, engine.FieldRule{Path: "x", Category: "system", Subject: "sendr"}), "streams[0].fields[payload].json[x].subject", "not among"},
		{textAt("payload", schemas.PlainText, engine.FieldRule{Path: "x", Category: "system", Namespace: "y"}), "streams[0].fields[payload].json[x].namespace", "not in the policy"},
	} {
		cfg := soundJSON()
		cfg.Streams[0].Fields = append(cfg.Streams[0].Fields, c.field)
		wantFinding(t, cfg, c.at, c.message, "", false)
	}
	avro := sound()
	avro.Streams[0].Fields[1] = textAt("n", schemas.PlainText, fieldRules("x", "user")...)
	wantFinding(t, avro, "streams[0].fields[n]", "only a string or bytes can hold JSON", "", false)
}

// What is said of everything is said of all of a record, and of nothing that a
// longer path says something else of.
func TestEverything(t *testing.T) {
	w := jsonStream("**", "system.operations", "id", "user.unique_id", "**.email", "user.contact.email")
	r := newRig(t, w, contract("p", "system", "keep", "user.unique_id", "keep"), contract("q", "user.contact", "keep"))
	it := r.value(`{"id":"42","a":{"email":"e","b":[{"c":1,"email":"f"}]},"email":"g"}`)
	if got, want := written(it, "p"), `{"id":"42","a":{"b":[{"c":1}]}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := written(it, "q"), `{"email":"g"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if fields := fmt.Sprint(r.stream.Fields(0, "p")); !strings.Contains(fields, "{** system.operations keep") {
		t.Error(fields)
	}
}

// P6: of a text in which the purpose sees nothing it does not see either whether it
// is there, or is one.
func TestNestedTextUnseen(t *testing.T) {
	const schema = `{"type":"record","name":"R","namespace":"web","fields":[{"name":"id","type":"string"},{"name":"event","type":"string"},{"name":"payload","type":["null","string"]}]}`
	for name, treat := range map[string][]string{
		"redacted":      {"user.health_and_medical", "redact", "user.contact.email", "redact"},
		"constant":      {"user.health_and_medical", "constant", "user.contact.email", "drop"},
		"closed":        {"user.health_and_medical", "keep!"},
		"closed masked": {"user.health_and_medical", "mask!"},
	} {
		for format, payloads := range map[schemas.Format][]string{
			schemas.JSON: {"", `,"payload":null`, `,"payload":"x"`, `,"payload":7`, `,"payload":"{\"health\":1,\"email\":\"e\"}"`, `,"payload":"[]"`, `,"payload":"{}"`},
			schemas.Avro: {`,"payload":null`, `,"payload":{"string":"x"}`, `,"payload":{"string":"{\"health\":1}"}`, `,"payload":{"string":"{}"}`},
		} {
			r := newRig(t, clicks(format), byConsent("p", append([]string{"user.unique_id", "keep"}, treat...)...))
			r.say("grant", grants("p", "expressed"))
			if format == schemas.Avro {
				r.install(1, schema)
			}
			first := ""
			for i, payload := range payloads {
				text := fmt.Sprintf(`{"id":"42","event":"e"%s}`, payload)
				in := engine.Input{Value: []byte(text)}
				if format == schemas.Avro {
					in.Value = framed(t, 1, schema, text)
				}
				got := written(r.decide(in)[0], "p")
				if i == 0 {
					first = got
				}
				if got != first || got == "" {
					t.Errorf("%s, format %v, of %s: %q, else %q", name, format, payload, got, first)
				}
			}
		}
	}
}
