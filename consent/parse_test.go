package consent

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/internal/personal"
)

const minimal = `{"id":"1","subject":{"namespace":"crm","value":"42"},"action":"withdraw"`

var key42 = []byte("crm:42")

// sample is the event of DESIGN section 5.
const sample = `{"id": "01JD3G9S0C8Q", "subject": {"namespace": "crm", "value": "42"}, "action": "grant",
 "purposes": ["analytics", "marketing.email"], "consent_type": "explicit", "recipients": ["acme-mailer"], "jurisdiction": "DE",
 "asserted_at": "2026-11-01T10:00:00Z", "effective_at": null, "expires_at": "2027-11-01T00:00:00Z",
 "covers_past": false, "covers_children": false, "notice": {"id": "signup", "version": "3", "language": "de"},
 "evidence": {"method": "web_form", "source": "shop", "reference": "form-17"}, "guardian": null,
 "link": null, "attributes": {"birth_date": "1990-04-01"}, "overrides": [], "renews": null}`

func TestParseSample(t *testing.T) {
	got := Parse(key42, []byte(sample), Position{2, 7}, 1793530000000, testNamespaces)
	want := Event{
		At: Position{2, 7}, Received: 1793530000000, Subject: Identifier{"crm", "42"}, ID: "01JD3G9S0C8Q",
		Action: Grant, Purposes: []string{"analytics", "marketing.email"}, Asserted: Instant{true, 1793527200000},
		Expires: Instant{true, 1825027200000}, ConsentType: ConsentExplicit, Recipients: []string{"acme-mailer"}, Jurisdiction: "DE",
		Notice: Notice{"signup", "3", "de"}, Evidence: Evidence{"web_form", "shop", "form-17"},
		Attributes: EventAttributes{BirthDate: Instant{true, 638928000000}},
	}
	got.Overrides = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestParseFaults: each fault with whom the event denies (D14): those that its value
// names, and 43, whom its key does.
func TestParseFaults(t *testing.T) {
	with := func(members string) string { return minimal + "," + members + "}" }
	as := func(action, members string) string {
		return `{"id":"1","subject":{"namespace":"crm","value":"42"},"action":"` + action + `"` + members + "}"
	}
	subject := func(s string) string { return `{"id":"1","action":"withdraw","subject":` + s + `}` }
	for _, c := range []struct {
		name, value string
		fault       Fault
		named       string // by the value
	}{
		{"key of another subject", minimal + "}", FaultKeyMismatch, "42"},
		{"null value", "\x00", FaultNull, ""},
		{"empty value", "", FaultSyntax, ""},
		{"not JSON", "withdraw 42", FaultSyntax, ""},
		{"an array", "[" + minimal + "}]", FaultSyntax, "42"},
		{"two documents", minimal + "}{}", FaultSyntax, "42"},
		{"trailing comma", minimal + ",}", FaultSyntax, "42"},
		{"trailing word", minimal + "}x", FaultSyntax, "42"},
		{"truncated", minimal, FaultSyntax, "42"},
		{"truncated behind the subject", `{"id":"1","subject":{"namespace":"crm","value":"42"`, FaultSyntax, "42"},
		{"truncated in the subject", `{"id":"1","subject":{"namespace":"crm","value":"42`, FaultSyntax, ""},
		{"too large", with(`"renews":"` + strings.Repeat("x", MaxEventBytes) + `"`), FaultTooLarge, "42"},
		{"too large before the subject", `{"renews":"` + strings.Repeat("x", MaxEventBytes) + `",` + minimal[1:] + "}", FaultTooLarge, "42"},
		{"far too large", `{"renews":"` + strings.Repeat("x", maxSearched) + `",` + minimal[1:] + "}", FaultUnsearched, ""},
		{"ill-formed UTF-8", with("\"renews\":\"\xff\""), FaultSyntax, "42"},
		{"ill-formed UTF-8 before the subject", "{\"renews\":\"\xff\"," + minimal[1:] + "}", FaultSyntax, "42"},
		{"ill-formed UTF-8 in the subject", subject("{\"namespace\":\"crm\",\"value\":\"42\xff\"}"), FaultSyntax, ""},
		{"lone surrogate", with(`"renews":"\ud800"`), FaultSyntax, "42"},
		{"byte order mark", "\ufeff" + minimal + "}", FaultSyntax, "42"},
		{"unknown member", with(`"shoe_size":44`), FaultMember, "42"},
		{"another case", with(`"Purposes":["a"]`), FaultMember, "42"},
		{"duplicate member", with(`"action":"grant"`), FaultSyntax, "42"},
		{"escaped duplicate", with(`"\u0061ction":"grant"`), FaultSyntax, "42"},
		{"two subjects", with(`"subject":{"namespace":"crm","value":"44"}`), FaultSyntax, "42 44"},
		{"unknown member of the subject", subject(`{"namespace":"crm","value":"42","kind":"x"}`), FaultMember, "42"},
		{"unknown member before the value", subject(`{"namespace":"crm","alias":{"value":"44"},"value":"42"}`), FaultMember, "42"},
		{"two values", subject(`{"namespace":"crm","value":"42","value":"44"}`), FaultSyntax, "42 44"},
		{"null subject", subject(`null`), FaultMissing, ""},
		{"no subject", `{"id":"1","action":"withdraw"}`, FaultMissing, ""},
		{"no namespace", subject(`{"value":"42"}`), FaultSubject, ""},
		{"unknown namespace", subject(`{"namespace":"lead","value":"42"}`), FaultSubject, ""},
		{"placeholder", subject(`{"namespace":"crm","value":"undefined"}`), FaultSubject, ""},
		{"zero", subject(`{"namespace":"crm","value":0}`), FaultSubject, ""},
		{"empty identifier", subject(`{"namespace":"crm","value":""}`), FaultSubject, ""},
		{"float", subject(`{"namespace":"crm","value":42.0}`), FaultType, ""},
		{"exponent", subject(`{"namespace":"crm","value":1e3}`), FaultType, ""},
		{"minus zero", subject(`{"namespace":"crm","value":-0}`), FaultType, ""},
		{"a boolean", subject(`{"namespace":"crm","value":true}`), FaultType, ""},
		{"no id", `{"subject":{"namespace":"crm","value":"42"},"action":"withdraw"}`, FaultMissing, "42"},
		{"empty id", `{"id":"","subject":{"namespace":"crm","value":"42"},"action":"withdraw"}`, FaultMissing, "42"},
		{"no action", `{"id":"1","subject":{"namespace":"crm","value":"42"}}`, FaultMissing, "42"},
		{"unknown action", as("revoke", ""), FaultWord, "42"},
		{"action in capitals", as("GRANT", `,"purposes":["a"]`), FaultWord, "42"},
		{"link", as("link", ""), FaultLink, "42"},
		{"unlink", as("unlink", ""), FaultLink, "42"},
		{"withdrawal with a link", with(`"link":{"namespace":"crm","value":"9","kind":"device"}`), FaultLink, "42 9"},
		{"D11 blanket grant", as("grant", `,"purposes":["*"]`), FaultBlanket, "42"},
		{"D11 blanket grant among others", as("renew", `,"purposes":["a","*"]`), FaultBlanket, "42"},
		{"blanket request", as("request", `,"purposes":["*"]`), FaultBlanket, "42"},
		{"blanket lift", as("lift_restriction", `,"purposes":["*"]`), FaultBlanket, "42"},
		{"D11 grant of nothing", as("grant", ""), FaultNoPurpose, "42"},
		{"D11 opt_in of nothing", as("opt_in", `,"purposes":[]`), FaultNoPurpose, "42"},
		{"purpose in capitals", with(`"purposes":["Analytics"]`), FaultPurpose, "42"},
		{"purpose with an empty name", with(`"purposes":["a..b"]`), FaultPurpose, "42"},
		{"wildcard below", with(`"purposes":["a.*"]`), FaultPurpose, "42"},
		{"purposes as text", with(`"purposes":"a"`), FaultType, "42"},
		{"null purpose", with(`"purposes":[null]`), FaultType, "42"},
		{"nested purposes", with(`"purposes":[["a"]]`), FaultType, "42"},
		{"many purposes", with(`"purposes":["a"` + strings.Repeat(`,"a"`, maxPurposes) + `]`), FaultTooMany, "42"},
		{"purposes times recipients", broad(32, 64, 64), FaultTooBroad, "42"},
		{"boolean as text", with(`"covers_past":"true"`), FaultType, "42"},
		{"time as a number", with(`"asserted_at":1793527200`), FaultType, "42"},
		{"time without zone", with(`"asserted_at":"2026-11-01T10:00:00"`), FaultTime, "42"},
		{"consent type", with(`"consent_type":"Explicit"`), FaultWord, "42"},
		{"jurisdiction", with(`"jurisdiction":"Germany"`), FaultWord, "42"},
		{"unknown member of notice", with(`"notice":{"id":"n","url":"x"}`), FaultMember, "42"},
		{"unknown member of evidence", with(`"evidence":{"ip":"10.0.0.1"}`), FaultMember, "42"},
		{"unknown attribute", with(`"attributes":{"shoe_size":null}`), FaultMember, "42"},
		{"birth date that is none", with(`"attributes":{"birth_date":"1990-02-30"}`), FaultTime, "42"},
		{"guardian as object", with(`"guardian":{}`), FaultType, "42"},
		{"empty guardian", with(`"guardian":""`), FaultMissing, "42"},
		{"deep nesting", with(`"renews":` + strings.Repeat("[", 10000)), FaultUnsearched, "42"},
		{"deep nesting before the subject", `{"x":` + strings.Repeat("[", 20000) + `}`, FaultUnsearched, ""},
	} {
		value := []byte(c.value)
		if c.value == "\x00" {
			value = nil
		}
		e := Parse([]byte("crm:43"), value, Position{0, 1}, 5, testNamespaces)
		want := Event{At: e.At, Received: 5, Malformed: c.fault}
		for _, value := range append(strings.Fields(c.named), "43") {
			want.Named = append(want.Named, Identifier{"crm", personal.String(value)})
		}
		if !reflect.DeepEqual(e, want) {
			t.Errorf("%s: %q denies %q: %+v", c.name, e.Malformed, plain(e.Named), e)
		}
	}
}

func TestParseKey(t *testing.T) {
	for _, c := range []struct {
		name, key string
		null      bool
		value     string
		fault     Fault
		has       bool
	}{
		{"equal", "crm:42", false, minimal + "}", NoFault, true},
		{"equal once normalised", "crm: 42 ", false, minimal + "}", NoFault, true},
		{"null", "", true, minimal + "}", FaultKeyMismatch, true},
		{"empty", "", false, minimal + "}", FaultKeyMismatch, true},
		{"no namespace", "42", false, minimal + "}", FaultKeyMismatch, true},
		{"same value, another namespace", "raw:42", false, minimal + "}", FaultKeyMismatch, true},
		{"value with a colon", "crm:a:b", false, `{"id":"1","subject":{"namespace":"crm","value":"a:b"},"action":"erase"}`, NoFault, true},
		{"integer", "crm:42", false, `{"id":"1","subject":{"namespace":"crm","value":42},"action":"erase"}`, NoFault, true},
		{"an integer beyond 2^64", "crm:123456789012345678901234567890", false,
			`{"id":"1","subject":{"namespace":"crm","value":123456789012345678901234567890},"action":"erase"}`, NoFault, true},
		{"neither readable", "lead:42", false, "{", FaultSyntax, false},
		{"somebody else", "crm:43", false, minimal + "}", FaultKeyMismatch, true},
	} {
		key := []byte(c.key)
		if c.null {
			key = nil
		}
		e := Parse(key, []byte(c.value), Position{}, 5, testNamespaces)
		if has := len(slices.Collect(e.Subjects)) > 0; e.Malformed != c.fault || has != c.has {
			t.Errorf("%s: %q, subject %t", c.name, e.Malformed, has)
		}
	}
}

func TestParseAccepts(t *testing.T) {
	for _, c := range []struct {
		value string
		holds func(*Event) bool
	}{
		{minimal + "} \r\n\t", func(e *Event) bool { return e.Action == Withdraw && e.Purposes == nil }},
		{minimal + `,"purposes":["*","a"]}`, func(e *Event) bool { return slices.Equal(e.Purposes, []string{"*", "a"}) }},
		{minimal + `,"recipients":["n","m","n"]}`, func(e *Event) bool { return slices.Equal(e.Recipients, []string{"m", "n"}) }},
		{minimal + `,"notice":{"version":"3"}}`, func(e *Event) bool { return e.Notice == Notice{} }},
		{minimal + `,"notice":null,"evidence":{"method":null,"source":""},"attributes":{"birth_date":null}}`,
			func(e *Event) bool { return e.Evidence == Evidence{} && !e.Attributes.BirthDate.Set }},
		{minimal + `,"guardian":"parent-7"}`, func(e *Event) bool { return e.Guardian }},
		{minimal + `,"attributes":{"last_interaction":"1970-01-01T00:00:01Z","jurisdiction":"US-CA"}}`,
			func(e *Event) bool {
				return e.Attributes.LastInteraction.Ms == 1000 && e.Attributes.Jurisdiction == "US-CA"
			}},
		{`{"\u0061ction":"withdraw","subject":{"value":"42","namespace":"crm"},"id":"1"}`, func(e *Event) bool { return e.Action == Withdraw }},
	} {
		e := ParseUnkeyed([]byte(c.value), Position{}, 5, testNamespaces)
		if e.Malformed != NoFault || e.Subject != (Identifier{"crm", "42"}) || !c.holds(&e) {
			t.Errorf("%s: %+v", c.value, e)
		}
	}
	for a := Grant; a <= Attributes; a++ {
		if got, ok := ParseAction(a.String()); !ok || got != a {
			t.Errorf("%v does not read back", a)
		}
	}
}

// TestBrokenLogTime: a time that no log gives denies for good.
func TestBrokenLogTime(t *testing.T) {
	for _, received := range []int64{-1, maxInstant + 1} {
		e := Parse(key42, []byte(minimal+"}"), Position{}, received, testNamespaces)
		if e.Malformed != FaultTime || len(e.Named) != 1 || e.Received != maxInstant {
			t.Errorf("%d: %+v", received, e)
		}
		if e := Parse(nil, []byte(minimal+"}"), Position{}, received, testNamespaces); !slices.Equal(e.Named, []Identifier{{"crm", "42"}}) {
			t.Errorf("%d: the value's subject is not denied: %+v", received, e)
		}
	}
}

// TestInstantSyntax is D2 and SEMANTICS 8.2, 8.4.
func TestInstantSyntax(t *testing.T) {
	const base = 1793527200000 // 2026-11-01T10:00:00Z
	for s, want := range map[string]int64{
		"2026-11-01T10:00:00Z":             base,
		"2026-11-01t10:00:00z":             base,
		"2026-11-01T10:00:00+00:00":        base,
		"2026-11-01T10:00:00-00:00":        base,
		"2026-11-01T12:30:00+02:30":        base,
		"2026-10-31T23:00:00-11:00":        base,
		"2026-11-01T10:00:00.000Z":         base,
		"2026-11-01T10:00:00.1Z":           base + 100,
		"2026-11-01T10:00:00.9999999999Z":  base + 999, // truncated, not rounded
		"1970-01-01T00:00:00Z":             0,
		"1970-01-01T01:00:00+01:00":        0,
		"9999-12-31T23:59:59.999Z":         maxInstant,
		"2024-02-29T00:00:00Z":             1709164800000,
		"1969-12-31T23:59:59.999Z":         -1,
		"1970-01-01T00:00:00+00:01":        -1,
		"9999-12-31T23:59:59.999-00:01":    -1,
		"0000-01-01T00:00:00Z":             -1,
		"2026-11-01T10:00:60Z":             -1, // leap second
		"2016-12-31T23:59:60Z":             -1,
		"2026-11-01T24:00:00Z":             -1,
		"2026-11-01T10:60:00Z":             -1,
		"2026-02-29T10:00:00Z":             -1,
		"2026-13-01T10:00:00Z":             -1,
		"2026-00-01T10:00:00Z":             -1,
		"2026-11-01T10:00:00":              -1,
		"2026-11-01T10:00:00.Z":            -1,
		"2026-11-01T10:00:00,5Z":           -1,
		"2026-11-01T10:00:00+24:00":        -1,
		"2026-11-01T10:00:00+02:60":        -1,
		"2026-11-01T10:00:00+0200":         -1,
		"2026-11-01T10:00:00 02:00":        -1,
		"2026-11-01 10:00:00Z":             -1,
		"2026-11-1T10:00:00Z":              -1,
		"2026-11-01T1:00:00Z":              -1,
		"+2026-11-01T10:00:00Z":            -1,
		"2026-11-01T10:00:00Zx":            -1,
		"2026-11-01T10:00:00Europe/Berlin": -1,
		"1793527200":                       -1,
		"1793527200000":                    -1,
		"":                                 -1,
		"２０２６-11-01T10:00:00Z":             -1,
	} {
		if got, ok := parseInstant(s); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %t, want %d", s, got, ok, want)
		}
	}
}

// TestCanary: nothing that an event says gets into its fault, however it is printed.
func TestCanary(t *testing.T) {
	const canary = "canary@example.com"
	for _, value := range []string{
		canary,
		`{"` + canary + `":1}`,
		`{"id":"` + canary + `","action":"` + canary + `"}`,
		`{"id":"1","subject":{"namespace":"email","value":"` + canary + `"},"action":"` + canary + `"}`,
		`{"id":"1","subject":{"namespace":"` + canary + `","value":"` + canary + `"},"action":"erase"}`,
		`{"subject":{"namespace":"email","value":"` + canary + `"},"asserted_at":"` + canary + `"}`,
		`{"subject":{"namespace":"email","value":"` + canary + `"},"purposes":["` + canary + `"]}`,
		`{"subject":{"namespace":"email","value":"` + canary + `"},"evidence":{"` + canary + `":"` + canary + `"}}`,
		`{"subject":{"namespace":"email","value":"` + canary + "\xff" + `"}}`,
	} {
		e := Parse([]byte("email:"+canary), []byte(value), Position{}, 5, testNamespaces)
		if e.Malformed == NoFault {
			t.Errorf("%s is accepted", value)
		}
		if s := fmt.Sprintf("%v %+v %#v %s %q", e, e, e.Malformed, e.Malformed, e.Subject); strings.Contains(s, "canary") {
			t.Errorf("%s shows: %s", value, s)
		}
	}
	if _, err := testNamespaces.Normalize("email", canary+"\n"+canary); strings.Contains(fmt.Sprint(err), "canary") {
		t.Error(err)
	}
}

// TestRowIsSilent: a row that is printed by mistake does not tell a birth date.
func TestRowIsSilent(t *testing.T) {
	r := folded([]Event{{Action: Attributes, Attributes: EventAttributes{BirthDate: Instant{true, 7391 * dayMs}}}})
	asJSON, err := json.Marshal(r)
	if s := fmt.Sprintf("%v %+v %#v %s", r, *r, r, asJSON); err != nil || strings.Contains(s, "7391") || r.BirthDate.N != 7391 {
		t.Errorf("%v: %s", err, s)
	}
}

// FuzzParse: no input panics; what is faultless says who and what, and folds
// into a row that reads back; what is malformed says nothing but whom it names, and
// the reference finds the same people.
func FuzzParse(f *testing.F) {
	f.Add(key42, []byte(sample))
	f.Add(key42, []byte(minimal+"}"))
	f.Add([]byte("crm:"), []byte(`{"subject":{"namespace":"crm","value":-0}}`))
	f.Add([]byte("low:Ann"), []byte(`["{\"subject\":{\"value\":42,\"namespace\":\"crm\"}}",{"a":[{}],"namespace":"raw","value":"a\u0062"`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		e := Parse(key, value, Position{1, 1}, 1000, testNamespaces)
		if e.Malformed != NoFault {
			if e.ID != "" || e.Subject != (Identifier{}) || e.Action != NoAction || e.Purposes != nil || e.Evidence != (Evidence{}) {
				t.Errorf("a malformed event says more: %+v", e)
			}
		} else if e.Named != nil || e.ID == "" || e.Action == NoAction {
			t.Errorf("faultless, but says too little: %+v", e)
		}
		for id := range e.Subjects {
			if again, err := testNamespaces.Normalize(id.Namespace, string(id.Value)); err != nil || again != id.Value {
				t.Error("a subject is not normalised")
			}
		}
		if len(value) <= 4<<10 { // the reference is slow: it reads to the end from each brace
			same(t, key, value)
		}
		row, back := folded([]Event{e}), NewRow()
		if err := back.Decode(row.AppendTo(nil), nil); err != nil || text(back) != text(row) {
			t.Errorf("%v\n%s\n%s", err, text(row), text(back))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	value := []byte(sample)
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		Parse(key42, value, Position{}, 5, testNamespaces)
	}
}
