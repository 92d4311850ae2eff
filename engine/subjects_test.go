package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// A message has a sender and a recipient; what is about one of them, or both.
func messages(format schemas.Format) engine.Stream {
	return engine.Stream{Format: format, Subjects: []engine.SubjectRule{
		{Name: "sender", Namespace: "crm", Paths: []string{"from.id"}}, {Name: "recipient", Namespace: "crm", Paths: []string{"to.id"}}},
		Fields: []engine.FieldRule{
			{Path: "from", Category: "user.contact", Subject: "sender"}, {Path: "from.id", Category: "user.unique_id"},
			{Path: "to", Category: "user.contact", Subject: "recipient"}, {Path: "to.id", Category: "user.unique_id"},
			{Path: "text", Category: "user.content"}, {Path: "n", Category: "system.operations"},
			{Path: "health", Category: "user.health_and_medical", Subject: "recipient"},
		}}
}

const message = `{"from":{"id":"1","mail":"a"},"to":{"id":"2","mail":"b"},"text":"t","n":7,"health":"h"}`

// sayOf folds a consent event of a subject of namespace crm.
func (r *rig) sayOf(id, action, rest string) {
	r.t.Helper()
	r.sayText(fmt.Sprintf(`{"id":"c%d","subject":{"namespace":"crm","value":%q},"action":%q%s}`, r.events, id, action, rest))
}

// D25: an output only if the main subject permits; what is about somebody who does
// not permit is withheld, and what is about nobody in particular unless all do.
func TestSeveralSubjects(t *testing.T) {
	const health = "user.health_and_medical"
	for _, c := range []struct {
		name, key, one, two, want string
	}{
		{"both", "", "expressed", "expressed", `{"from":{"id":"1","mail":"a"},"to":{"id":"2","mail":"b"},"text":"t","n":7,"health":null}`},
		{"explicit", "", "expressed", "explicit", `{"from":{"id":"1","mail":"a"},"to":{"id":"2","mail":"b"},"text":"t","n":7,"health":"h"}`},
		{"explicit of the other", "", "explicit", "expressed", `{"from":{"id":"1","mail":"a"},"to":{"id":"2","mail":"b"},"text":"t","n":7,"health":null}`},
		{"first only", "", "explicit", "", `{"from":{"id":"1","mail":"a"},"n":7,"to":null,"text":null,"health":null}`},
		{"second only", "", "", "explicit", ""},
		{"the key's only", "recipient", "", "explicit", `{"to":{"id":"2","mail":"b"},"n":7,"health":"h","from":null,"text":null}`},
		{"not the key's", "recipient", "explicit", "", ""},
		{"nobody", "", "", "", ""},
	} {
		w := messages(schemas.JSON)
		w.Key.Subject = c.key
		r := newRig(t, w, byConsent("p", "user", "keep", "system", "keep", health, "keep!"))
		for id, given := range map[string]string{"1": c.one, "2": c.two} {
			if given != "" {
				r.sayOf(id, "grant", grants("p", given))
			}
		}
		it := r.value(message)
		if got := written(it, "p"); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		r.wantDecisions(c.name, it, []string{
			fmt.Sprintf("0 p sender %v %v", c.one != "", c.key == "" && c.want != ""), fmt.Sprintf("0 p recipient %v %v", c.two != "", c.key != "" && c.want != "")})
	}
}

// Whom a path binds its position to, it binds what ** finds below it to, too.
func TestBindingReachesBehindDeepPaths(t *testing.T) {
	w := messages(schemas.JSON)
	w.Fields = append(w.Fields, engine.FieldRule{Path: "list[*]", Category: "user.contact", Subject: "recipient"}, engine.FieldRule{Path: "**.d", Category: "system.operations"})
	r := newRig(t, w, byConsent("p", "user.unique_id", "keep", "system", "keep"))
	r.sayOf("1", "grant", grants("p", "expressed"))
	const ids = `"from":{"id":"1"},"to":{"id":"2"}`
	it := r.value(`{` + ids + `,"d":1,"x":{"d":2},"list":[{"d":3},{"x":{"d":4}}]}`)
	if got, want := written(it, "p"), `{"from":{"id":"1"},"d":1,"to":null}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What stands behind a ground is withheld where one of those whom it is about has
// limited the use of sensitive data.
func TestGroundOfSeveralSubjects(t *testing.T) {
	w := messages(schemas.JSON)
	w.Fields[6].Subject = "" // about both
	p := contract("p", "user.unique_id", "keep", "user.health_and_medical", "keep")
	p.Treat[1].Ground = "art9_2_h"
	r := newRig(t, w, p)
	const ids = `"from":{"id":"1"},"to":{"id":"2"}`
	if got, want := written(r.value(message), "p"), `{`+ids+`,"health":"h"}`; got != want {
		t.Errorf("nobody has limited it: %s, want %s", got, want)
	}
	r.sayOf("2", "limit_sensitive", "")
	if got, want := written(r.value(message), "p"), `{`+ids+`,"health":null}`; got != want {
		t.Errorf("the recipient has limited it: %s, want %s", got, want)
	}
}

// A namespace that is normalised otherwise has other tags.
// An identifier of two subjects, as of a person who has accounts of two kinds under one
// number, is about both.
func TestIdentifierOfTwoSubjects(t *testing.T) {
	p := policyOf(byConsent("p", "user", "keep", "system", "keep"))
	p.Namespaces = append(p.Namespaces, policy.Namespace{Name: "shop", Normalize: "none"})
	w := jsonStream("id", "user.unique_id", "n", "system")
	w.Headers = []engine.HeaderRule{{Name: "h", Category: "user.unique_id"}}
	w.Subjects = []engine.SubjectRule{{Name: "contact", Namespace: "crm", Paths: []string{"id"}, Header: "h"}, {Name: "account", Namespace: "shop", Paths: []string{"id"}, Header: "h"}}
	in := engine.Input{Value: []byte(`{"id":"42","n":1}`), Headers: []engine.Header{{Key: "h", Value: []byte("42")}}}
	for _, c := range []struct {
		namespaces []string
		want       string
		headers    int // with that of the proof
	}{{[]string{"crm"}, `{"n":1,"id":null}`, 1}, {[]string{"crm", "shop"}, `{"id":"42","n":1}`, 2}} {
		r := newRigOf(t, p, w)
		for _, ns := range c.namespaces {
			r.sayText(fmt.Sprintf(`{"id":"c%d","subject":{"namespace":%q,"value":"42"},"action":"grant"%s}`, r.events, ns, grants("p", "expressed")))
		}
		it := r.decide(in)[0]
		if got := written(it, "p"); got != c.want {
			t.Errorf("%s agrees: %s, want %s", c.namespaces, got, c.want)
		}
		if out := output(it, "p"); out != nil && len(out.Headers) != c.headers {
			t.Errorf("%s agrees: %d headers, want %d", c.namespaces, len(out.Headers), c.headers)
		}
	}
}

// So it is where the identifier is the key; and a header without a name is not that of
// the subjects that stand in no header.
func TestKeyAndNamelessHeaderOfTwoSubjects(t *testing.T) {
	p := policyOf(byConsent("p", "user", "keep", "system", "keep"))
	p.Namespaces = append(p.Namespaces, policy.Namespace{Name: "shop", Normalize: "none"})
	w := jsonStream("id", "user.unique_id", "n", "system")
	w.Headers, w.Key = []engine.HeaderRule{{Name: "", Category: "user.contact"}}, engine.KeyRule{Subject: "contact"}
	w.Subjects = []engine.SubjectRule{{Name: "contact", Namespace: "crm", Paths: []string{"id"}}, {Name: "account", Namespace: "shop", Paths: []string{"id"}}, {Name: "other", Namespace: "shop", Header: "h"}}
	in := engine.Input{Key: []byte("42"), Value: []byte(`{"id":"42","n":1}`), Headers: []engine.Header{{Key: "", Value: []byte("personal")}, {Key: "h", Value: []byte("43")}}}
	for _, c := range []struct {
		agreed  []string // of namespace and identifier
		key     string
		headers int // with that of the proof
	}{{[]string{"crm 42"}, "", 1}, {[]string{"crm 42", "shop 42"}, "42", 1}, {[]string{"crm 42", "shop 42", "shop 43"}, "42", 2}} {
		r := newRigOf(t, p, w)
		for _, who := range c.agreed {
			ns, id, _ := strings.Cut(who, " ")
			r.sayText(fmt.Sprintf(`{"id":"c%d","subject":{"namespace":%q,"value":%q},"action":"grant"%s}`, r.events, ns, id, grants("p", "expressed")))
		}
		out := output(r.decide(in)[0], "p")
		if out == nil {
			t.Fatalf("%s agreed: no output", c.agreed)
		}
		if string(out.Key) != c.key || len(out.Headers) != c.headers {
			t.Errorf("%s agreed: key %q and %d headers, want %q and %d", c.agreed, out.Key, len(out.Headers), c.key, c.headers)
		}
	}
}

func TestTagsFollowNormalisation(t *testing.T) {
	tag := func(rule string) consent.Tag {
		p := policyOf()
		p.Namespaces[0].Normalize = rule
		tagger, err := engine.Tagger(p, testRing(t, 7))
		if err != nil {
			t.Fatal(err)
		}
		tag, _ := tagger.Tag("crm", []byte("42"))
		return tag
	}
	one, same, other := tag("trim"), tag("trim"), tag("lower")
	if one == other || one != same || one == (consent.Tag{}) {
		t.Error("tags do not follow the rule")
	}
}

// A date is shifted by the person whom it is about.
func TestShiftOfSeveralSubjects(t *testing.T) {
	w := messages(schemas.JSON)
	w.Fields = append(w.Fields, engine.FieldRule{Path: "from.born", Category: "user.demographic", Subject: "sender"},
		engine.FieldRule{Path: "to.born", Category: "user.demographic", Subject: "recipient"})
	p := contract("p", "user.unique_id", "keep", "user.demographic", "keep")
	p.Treat[1].Treatment = policy.Treatment{Name: "date_shift", Params: []policy.Param{{Name: "days", Value: int64(3000)}}}
	r := newRig(t, w, p)
	const born = `"born":"1990-01-01"`
	show := func(from, to string) []string {
		got := written(r.value(fmt.Sprintf(`{"from":{"id":%q,%s},"to":{"id":%q,%s}}`, from, born, to, born)), "p")
		return []string{got[strings.Index(got, `born`):strings.Index(got, `},"to`)], got[strings.LastIndex(got, `born`):]}
	}
	a, b, c := show("1", "2"), show("2", "1"), show("1", "1")
	if a[0] == a[1][:len(a[0])] || a[0] != b[1][:len(a[0])] || b[0] != a[1][:len(b[0])] || c[0] != a[0] || !strings.HasPrefix(c[1], c[0]) || strings.Contains(a[0], "1990-01-01") {
		t.Errorf("%q, %q, %q", a, b, c)
	}
}

// wantDecisions compares element, purpose, subject, verdict and whether an output
// is cited.
func (r *rig) wantDecisions(name string, it *engine.Item, want []string) {
	r.t.Helper()
	var got []string
	for _, d := range it.Audit.Decisions {
		got = append(got, fmt.Sprintf("%d %s %s %v %v", d.Element, d.Purpose, it.Audit.Subjects[d.Subject].Name, d.Permit, d.Output != nil))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		r.t.Errorf("%s: decisions\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// In Avro, what another subject's permit decides is nullable, whatever they said.
func TestSeveralSubjectsAvro(t *testing.T) {
	const schema = `{"type":"record","name":"M","namespace":"x","fields":[
		{"name":"from","type":{"type":"record","name":"P","fields":[{"name":"id","type":"string"},{"name":"mail","type":"string"}]}},
		{"name":"to","type":{"type":"record","name":"Q","fields":[{"name":"id","type":"string"},{"name":"mail","type":"string"}]}},
		{"name":"text","type":"string"},{"name":"n","type":"int"}]}`
	w := messages(schemas.Avro)
	w.Fields = w.Fields[:6]
	r := newRig(t, w, byConsent("p", "user", "keep", "system", "keep"))
	plan := r.install(1, schema)
	r.sayOf("1", "grant", grants("p", "explicit"))
	in := engine.Input{Value: framed(t, 1, schema, `{"from":{"id":"1","mail":"a"},"to":{"id":"2","mail":"b"},"text":"t","n":7}`)}
	got := text(t, plan, "p", output(r.decide(in)[0], "p").Value)
	for _, member := range []string{`"to":null`, `"text":null`, `"n":7`, `"id":"1"`} {
		if !strings.Contains(got, member) {
			t.Errorf("the sender permits: %s has no %s", got, member)
		}
	}
	r.sayOf("2", "grant", grants("p", "explicit"))
	if got := text(t, plan, "p", output(r.decide(in)[0], "p").Value); !strings.Contains(got, `"id":{"string":"2"}`) || !strings.Contains(got, `{"string":"t"}`) {
		t.Errorf("both permit: %s", got)
	}
}

// Where an identifier may stand: every place that the record has must agree.
func TestPlacesOfSubjects(t *testing.T) {
	rule := func(path string, key bool, header string) engine.SubjectRule {
		rule := engine.SubjectRule{Name: "customer", Namespace: "crm", Key: key, Header: header}
		if path != "" {
			rule.Paths = []string{path}
		}
		return rule
	}
	null := engine.Input{}
	in := func(key, value string, headers ...string) engine.Input {
		in := null
		if key != "-" {
			in.Key = []byte(key)
		}
		if value != "-" {
			in.Value = []byte(value)
		}
		for _, h := range headers {
			in.Headers = append(in.Headers, engine.Header{Key: "h", Value: []byte(h)})
		}
		return in
	}
	for _, c := range []struct {
		name string
		rule engine.SubjectRule
		in   engine.Input
		want string // "": resolved
	}{
		{"value", rule("id", false, ""), in("x", `{"id":"42"}`), ""},
		{"no value", rule("id", false, ""), in("42", `{}`), "SUBJECT_UNRESOLVED"},
		{"key", rule("", true, ""), in(" 42", `{"id":"43"}`), ""},
		{"null key", rule("", true, ""), in("-", `{"id":"42"}`), "SUBJECT_UNRESOLVED"},
		{"placeholder key", rule("", true, ""), in("null", `{}`), "SUBJECT_UNRESOLVED"},
		{"header", rule("", false, "h"), in("x", `{}`, "42"), ""},
		{"no header", rule("", false, "h"), in("42", `{"id":"42"}`), "SUBJECT_UNRESOLVED"},
		{"two headers", rule("", false, "h"), in("x", `{}`, "42", " 42"), ""},
		{"two other headers", rule("", false, "h"), in("x", `{}`, "42", "43"), "SUBJECT_UNRESOLVED SUBJECT_CONFLICT"},
		{"bad second header", rule("", false, "h"), in("x", `{}`, "42", "0"), "SUBJECT_UNRESOLVED"},
		{"value and key", rule("id", true, ""), in("42", `{"id":42}`), ""},
		{"value not key", rule("id", true, ""), in("43", `{"id":42}`), "SUBJECT_UNRESOLVED SUBJECT_CONFLICT"},
		{"value, bad key", rule("id", true, ""), in("", `{"id":42}`), "SUBJECT_UNRESOLVED"},
		{"value, no key", rule("id", true, ""), in("-", `{"id":42}`), ""},
		{"key, no value", rule("id", true, ""), in("42", `{}`), "SUBJECT_UNRESOLVED"},
		{"all", rule("id", true, "h"), in("42", `{"id":42}`, "42"), ""},
		{"all but header", rule("id", true, "h"), in("42", `{"id":42}`), ""},
		{"header disagrees", rule("id", true, "h"), in("42", `{"id":42}`, "41"), "SUBJECT_UNRESOLVED SUBJECT_CONFLICT"},
		{"not UTF-8 header", rule("id", false, "h"), in("42", `{"id":42}`, "4\xff"), "SUBJECT_UNRESOLVED"},
	} {
		w := jsonStream("id", "user.unique_id", "n", "system.operations")
		w.Subjects = []engine.SubjectRule{c.rule}
		r := newRig(t, w, contract("p", "user", "keep", "system", "keep"))
		it := r.decide(c.in)[0]
		d := decision(t, it, "p")
		got := ""
		if !d.Permit {
			got = strings.Join(append([]string{d.Reason}, d.Secondary...), " ")
		}
		if got != c.want || it.Audit.Subjects[0].Resolved != (c.want == "") || (output(it, "p") != nil) != (c.want == "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The key of a subject that has no path is treated as the category that it is
// given, in the subject's namespace; and the namespace of another identifier gives
// it the pseudonym that the subject's has.
func TestKeyWithoutPath(t *testing.T) {
	w := jsonStream("who", "user.unique_id", "n", "system.operations")
	w.Subjects = []engine.SubjectRule{{Name: "customer", Namespace: "crm", Key: true}}
	w.Key = engine.KeyRule{Subject: "customer", Category: "user.unique_id"}
	w.Fields[0].Namespace = "crm"
	r := newRig(t, w, contract("p", "user", "pseudonymize"))
	out := output(r.decide(engine.Input{Key: []byte(" 42"), Value: []byte(`{"who":"42","n":1}`)})[0], "p")
	if out == nil || len(out.Key) != 29 || string(out.Value) != `{"who":"`+string(out.Key)+`"}` {
		t.Fatalf("%+v", out)
	}
	w.Key.Subject = ""
	r = newRig(t, w, contract("p", "user", "pseudonymize"))
	if same := output(r.decide(engine.Input{Key: []byte("42"), Value: []byte(`{"who":"42","n":1}`)})[0], "p"); string(same.Key) != string(out.Key) {
		t.Errorf("the key has pseudonym %s, want %s", same.Key, out.Key)
	}
	w.Fields[0].Namespace = ""
	r = newRig(t, w, contract("p", "user", "pseudonymize"))
	if other := output(r.decide(engine.Input{Key: []byte("42"), Value: []byte(`{"who":"42","n":1}`)})[0], "p"); strings.Contains(string(other.Value), string(out.Key)) {
		t.Error("without a namespace a field has the pseudonym of an identifier")
	}
}

// A key or a header that is about nobody in particular stays only where all permit.
func TestTextsOfSeveralSubjects(t *testing.T) {
	w := messages(schemas.JSON)
	w.Key.Category = "user.contact"
	w.Headers = []engine.HeaderRule{{Name: "both", Category: "user.contact"}, {Name: "one", Category: "user.contact", Subject: "sender"},
		{Name: "sys", Category: "system.operations"}, {Name: "two", Category: "user.contact", Subject: "recipient"}}
	r := newRig(t, w, byConsent("p", "user", "keep", "system", "keep"))
	in := engine.Input{Key: []byte("k"), Value: []byte(message)}
	for _, name := range []string{"both", "one", "sys", "two"} {
		in.Headers = append(in.Headers, engine.Header{Key: name, Value: []byte("v")})
	}
	show := func() string {
		out := output(r.decide(in)[0], "p")
		names := []string{string(out.Key)}
		for _, h := range out.Headers {
			names = append(names, h.Key)
		}
		return strings.Join(names, " ")
	}
	r.sayOf("1", "grant", grants("p", "explicit"))
	if got := show(); got != " one sys cs-proof" {
		t.Errorf("the sender permits: %q", got)
	}
	r.sayOf("2", "grant", grants("p", "explicit"))
	if got := show(); got != "k both one sys two cs-proof" {
		t.Errorf("both permit: %q", got)
	}
}

// Wirings of several subjects that say nothing definite.
func TestCheckSubjects(t *testing.T) {
	for _, c := range []struct {
		change      func(*engine.Stream)
		at, message string
		nearest     string
		warning     bool
	}{
		{func(w *engine.Stream) { w.Subjects = nil }, "streams[0].subjects", "0 subjects", "", false},
		{func(w *engine.Stream) { w.Subjects = make([]engine.SubjectRule, 9) }, "streams[0].subjects", "9 subjects", "", false},
		{func(w *engine.Stream) { w.Subjects[0].Paths = nil }, "streams[0].subjects[sender]", "is found nowhere", "", false},
		{func(w *engine.Stream) { w.Subjects[1].Name = "sender" }, "streams[0].subjects[sender]", "twice", "", false},
		{func(w *engine.Stream) { w.Subjects[1].Namespace = "crn" }, "streams[0].subjects[recipient].namespace", "not in the policy", "", false},
		{func(w *engine.Stream) { w.Subjects[0].Key, w.Subjects[1].Key = true, true }, "streams[0].subjects[recipient]", "identifier of sender already", "", false},
		{func(w *engine.Stream) { w.Subjects[0].Key, w.Key.Subject = true, "recipient" }, "streams[0].subjects[recipient]", "identifier of sender already", "", false},
		{func(w *engine.Stream) { w.Fields[0].Subject = "sendr" }, "streams[0].fields[from].subject", "not among", "sender", false},
		{func(w *engine.Stream) { w.Fields[0].Namespace = "x" }, "streams[0].fields[from].namespace", "not in the policy", "", false},
		{func(w *engine.Stream) { w.Headers = []engine.HeaderRule{{Name: "h", Category: "user", Subject: "x"}} }, "streams[0].headers[h].subject", "not among", "", false},
		{func(w *engine.Stream) { w.Key = engine.KeyRule{Category: "user", Namespace: "x"} }, "streams[0].key.namespace", "not in the policy", "", false},
		{func(w *engine.Stream) { w.Split = "a" }, "streams[0].split.path", "[*] at the end", "", false},
		{func(w *engine.Stream) { w.Split = "a..b[*]" }, "streams[0].split.path", "column 3", "", false},
		{func(*engine.Stream) {}, "streams[0].fields", "text: bound to no subject", "", true},
	} {
		w := messages(schemas.JSON)
		w.Topic, w.Purposes = "in", []string{"p"}
		c.change(&w)
		p := policyOf(contract("p", "user", "keep", "system", "keep"))
		found := engine.Check(engine.Config{Policy: p, Streams: []engine.Stream{w}})
		if !hasFinding(found, c.at, c.message, c.nearest, c.warning) {
			t.Errorf("no finding at %s with %q, in %+v", c.at, c.message, found)
		}
	}
}

func hasFinding(found []engine.Finding, at, message, nearest string, warning bool) bool {
	for _, f := range found {
		if f.At == at && strings.Contains(f.Message, message) && f.Nearest == nearest && f.Warning == warning {
			return true
		}
	}
	return false
}
