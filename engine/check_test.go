package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

const checked = `{"type":"record","name":"R","namespace":"crm","fields":[{"name":"id","type":"string"},{"name":"n","type":"long"},{"name":"email","type":"string"},
 {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"local","type":{"type":"long","logicalType":"local-timestamp-millis"}},
 {"name":"m","type":{"type":"map","values":"string"}},{"name":"l","type":{"type":"array","items":"string"}}]}`

// sound is a configuration without findings except for warnings of what is withheld.
func sound() engine.Config {
	w := engine.Stream{Topic: "in", Format: schemas.Avro, Schema: checked, Purposes: []string{"p"}, Subjects: []engine.SubjectRule{customer},
		Fields: fieldRules("id", "user.unique_id", "n", "user.behavior", "email", "user.contact.email", "at", "system.operations")}
	return engine.Config{Policy: policyOf(contract("p", "user", "keep", "system", "keep"), contract("q", "user", "drop")), Streams: []engine.Stream{w}}
}

func soundJSON() engine.Config {
	c := sound()
	c.Streams[0].Format, c.Streams[0].Schema = schemas.JSON, ""
	return c
}

// Each finding, one by one, with the place that it names.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		change             func(c *engine.Config, w *engine.Stream)
		at, message, close string
		warning            bool
	}{
		{func(c *engine.Config, w *engine.Stream) { c.Policy = nil }, "", "there is no policy", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Format = schemas.NoFormat }, "streams[0].format", "needs a format", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Purposes = nil }, "streams[0].purposes", "needs a purpose", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Purposes = []string{"p", "z"} }, "streams[0].purposes[z]", "not in the policy", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Purposes = []string{"q"} }, "streams[0].purposes[q]", "nothing of in would be left", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Subjects[0].Namespace = "mail" }, "streams[0].subjects[customer].namespace", "not in the policy", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Subjects[0].Paths = []string{"idd"} }, "streams[0].subjects[customer].path", "not a single value in the schema", "id", false},
		{func(c *engine.Config, w *engine.Stream) { w.Subjects[0].Paths = []string{"l[*]"} }, "streams[0].subjects[customer].path", "not a single value", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Subjects[0].Paths = []string{"at"} }, "streams[0].subjects[customer].path", "string or an integer", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Subjects[0].Paths = []string{"m"} }, "streams[0].subjects[customer].path", "not a single value", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Subjects[0].Paths = []string{"a..b"} }, "streams[0].subjects[customer].path", "column 3 of the path", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Key.Subject = "sender" }, "streams[0].key.subject", "not among the stream's subjects", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Key.Subject = "customer"; w.Fields = w.Fields[1:] }, "streams[0].key", "has no category", "", true},
		{func(c *engine.Config, w *engine.Stream) {
			w.Key.Category = "user.contact"
			c.Policy.Purposes[0].Treat = []policy.Rule{numberConstant("user")}
		}, "streams[0].key", "cannot hold the value", "", false},
		{func(c *engine.Config, w *engine.Stream) {
			w.Headers = []engine.HeaderRule{{Name: "h", Category: "user.behavior"}}
			c.Policy.Purposes[0].Treat = []policy.Rule{numberConstant("user")}
		}, "streams[0].headers[h]", "cannot hold the value", "", false},
		{func(c *engine.Config, w *engine.Stream) {
			w.Headers = []engine.HeaderRule{{Name: "CS-Proof", Category: "system"}}
		}, "streams[0].headers[CS-Proof]", "written by consentstream itself", "", false},
		{func(c *engine.Config, w *engine.Stream) {
			w.Headers = []engine.HeaderRule{{Name: "h", Category: "system"}, {Name: "h", Category: "user"}}
		}, "streams[0].headers[h]", "two categories", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Fields = append(w.Fields, fieldRules("a[", "user")...) }, "streams[0].fields[a[]", "column 2 of the path", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Fields = append(w.Fields, fieldRules(`"n"`, "user")...) }, `streams[0].fields["n"]`, "same path as n", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Fields = append(w.Fields, fieldRules("emial", "user")...) }, "streams[0].fields[emial]", "matches nothing", "email", false},
		{func(c *engine.Config, w *engine.Stream) {
			w.Fields = append(w.Fields, fieldRules("zzzzzzzzzz", "user")...)
		}, "streams[0].fields[zzzzzzzzzz]", "matches nothing", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Schema = `{"type":"record"}` }, "streams[0].schema", "", "", false},
		{func(c *engine.Config, w *engine.Stream) {
			w.Schema = strings.Replace(checked, `{"name":"n","type":"long"}`, `{"name":"n","type":{"type":"enum","name":"E","symbols":["A","B"]}}`, 1)
			c.Policy.Purposes[0].Treat[0].Treatment.Name = "pseudonymize"
			w.Fields = fieldRules("n", "user")
		}, "streams[0].fields[n]", "an enum has few values", "", true},
		{func(c *engine.Config, w *engine.Stream) { w.EventTime.Path = "att" }, "streams[0].event_time", "not a single value", "at", false},
		{func(c *engine.Config, w *engine.Stream) { w.EventTime.Path = "a b" }, "streams[0].event_time", "of the path", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.EventTime = engine.TimeRule{Path: "at", Unit: "ms"} }, "streams[0].event_time", "remove unit", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.EventTime.Path = "n" }, "streams[0].event_time", "say unit", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.EventTime.Path = "local" }, "streams[0].event_time", "not a point in time", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.EventTime.Path = "m" }, "streams[0].event_time", "not a single value", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Fields = fieldRules("id", "user.unique_id") }, "streams[0].fields", "7 fields are withheld, since no rule classifies them: n, email, at, local, m.*~key, m.*, l[*]", "", true},
		{func(c *engine.Config, w *engine.Stream) { w.Fields = append(w.Fields, fieldRules("m", "user")...) }, "streams[0].fields", "m.*~key", "", true},
		{func(c *engine.Config, w *engine.Stream) {
			w.Fields = append(w.Fields, fieldRules("*[*]", "user", "l.*", "system", "l[*]", "user.behavior", "*[*]", "user")...)
		}, "streams[0].fields[*[*]]", "same path as", "", false},
		{func(c *engine.Config, w *engine.Stream) { c.Policy.Purposes[0].Treat[0].Treatment.Name = "blur" }, "purposes[p].treat[user]", `"blur" is not a treatment`, "", false},
		{func(c *engine.Config, w *engine.Stream) { c.Policy.Purposes[0].Treat[0].Treatment.Name = "mask" }, "streams[0].fields[n]", "mask does not take", "", false},
		{func(c *engine.Config, w *engine.Stream) { w.Purposes = []string{"p", "r"} }, "streams[0].fields[id]", "can join them by it", "", true},
		{func(c *engine.Config, w *engine.Stream) { w.Purposes, w.EventTime.Path = []string{"p", "r"}, `"at"` }, "streams[0].fields[at]", "can join them by it", "", true},
	} {
		cfg := sound()
		cfg.Policy.Purposes = append(cfg.Policy.Purposes, contract("r", "user", "keep", "system", "keep"))
		c.change(&cfg, &cfg.Streams[0])
		wantFinding(t, cfg, c.at, c.message, c.close, c.warning)
	}
}

func numberConstant(category string) policy.Rule {
	return policy.Rule{Category: category, Treatment: policy.Treatment{Name: "constant", Params: []policy.Param{{Name: "value", Value: int64(5)}}}}
}

func TestCheckJSON(t *testing.T) {
	for _, c := range []struct {
		change               func(w *engine.Stream)
		at, message, nearest string
		warning              bool
	}{
		{func(w *engine.Stream) { w.Fields = append(w.Fields, fieldRules("a.*", "user")...) }, "streams[0].fields[a.*]", "names that .* matches are data", "", false},
		{func(w *engine.Stream) { w.Fields = append(w.Fields, fieldRules("id.x", "user")...) }, "streams[0].subjects[customer].path", "another path lies below it", "", false},
		{func(w *engine.Stream) { w.Subjects[0].Paths = []string{"l[*]"} }, "streams[0].subjects[customer].path", "element of an array", "", false},
		{func(w *engine.Stream) { w.EventTime.Path = "l[*]" }, "streams[0].event_time", "element of an array", "", false},
		{func(w *engine.Stream) { w.Fields = append(w.Fields, fieldRules("Email", "user")...) }, "streams[0]", "differ only in case", "", false},
		{func(w *engine.Stream) { w.Subjects[0].Paths = []string{"idd"} }, "streams[0].subjects[customer].path", "not among fields", "id", true},
		{func(w *engine.Stream) { w.EventTime = engine.TimeRule{Path: "at", Header: "h"} }, "streams[0].event_time", "exactly one of path and header", "", false},
		{func(w *engine.Stream) { w.EventTime = engine.TimeRule{Header: "h", Unit: "ms"} }, "streams[0].event_time", "has no unit", "", false},
		{func(w *engine.Stream) {
			w.EventTime, w.Headers = engine.TimeRule{Header: "ce_tme"}, []engine.HeaderRule{{Name: "ce_time", Category: "system"}}
		}, "streams[0].event_time", "not among headers", "ce_time", true},
		{func(w *engine.Stream) {
			w.Subjects[0].Header, w.Headers = "ce_subjec", []engine.HeaderRule{{Name: "ce_subject", Category: "user.unique_id"}}
		}, "streams[0].subjects[customer].header", "not among headers", "ce_subject", true},
		{func(w *engine.Stream) { w.EventTime.Path = "att" }, "streams[0].event_time", "not among fields", "at", true},
		{func(w *engine.Stream) { w.Fields = append(w.Fields, fieldRules("$.a", "user")...) }, "streams[0].fields[$.a]", "without $", "a", true},
	} {
		cfg := soundJSON()
		c.change(&cfg.Streams[0])
		wantFinding(t, cfg, c.at, c.message, c.nearest, c.warning)
	}
}

// wantFinding wants that finding, and New to refuse just what is no warning.
func wantFinding(t *testing.T, cfg engine.Config, at, message, nearest string, warning bool) {
	t.Helper()
	found := engine.Check(cfg)
	if !slices.ContainsFunc(found, func(f engine.Finding) bool {
		return f.At == at && strings.Contains(f.Message, message) && f.Nearest == nearest && f.Warning == warning
	}) {
		t.Errorf("no finding at %s with %q, nearest %q, warning %v, in:\n%+v", at, message, nearest, warning, found)
	}
	cfg.Keys = testRing(t, 7)
	if _, err := engine.New(cfg); (err == nil) != !slices.ContainsFunc(found, func(f engine.Finding) bool { return !f.Warning }) {
		t.Errorf("at %s: New says %v", at, err)
	}
}

// A tie is an error at the rules that tie, in words that say how to mend it.
func TestCheckTie(t *testing.T) {
	cfg := sound()
	cfg.Streams[0].Schema = nested
	cfg.Streams[0].Fields = fieldRules("id", "user.unique_id", "a.x", "user.contact", "a.x.**", "system")
	wantFinding(t, cfg, "streams[0].fields[a.x]", "a.x and a.x.** match a.x equally well", "", false)
}

func TestCheckSound(t *testing.T) {
	for _, cfg := range []engine.Config{sound(), soundJSON()} {
		for _, f := range engine.Check(cfg) {
			if !f.Warning || !strings.Contains(f.Message, "withheld") {
				t.Errorf("%+v", f)
			}
		}
		if _, err := engine.New(cfg); err == nil {
			t.Error("an engine without keys")
		}
	}
}

// What each purpose makes a token of joins nothing.
func TestCheckJoinsByKeptFieldsOnly(t *testing.T) {
	cfg := sound()
	cfg.Streams[0].Purposes = []string{"p", "r"}
	cfg.Policy.Purposes[0].Treat = treat("user.unique_id", "pseudonymize", "user", "keep")
	cfg.Policy.Purposes = append(cfg.Policy.Purposes, contract("r", "user.unique_id", "pseudonymize", "system", "keep"))
	for _, f := range engine.Check(cfg) {
		if strings.Contains(f.Message, "join") {
			t.Errorf("%+v", f)
		}
	}
}

// A flag is unique to nobody, whatever it is called.
func TestCheckJoinsByNoFlag(t *testing.T) {
	cfg := sound()
	w := &cfg.Streams[0]
	w.Purposes, w.Key, w.Subjects[0] = []string{"p", "r"}, engine.KeyRule{}, engine.SubjectRule{Name: "customer", Namespace: "crm", Header: "id"}
	w.Schema = `{"type":"record","name":"c","fields":[{"name":"opted_out_of_email","type":["null","boolean"]}]}`
	w.Fields, w.EventTime = fieldRules("opted_out_of_email", "user.privacy_preferences"), engine.TimeRule{}
	cfg.Policy.Purposes = append(cfg.Policy.Purposes, contract("r", "user", "keep"))
	if found := engine.Check(cfg); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

// Documents are cited by digest: the same for the same configuration, others
// for another policy, in an order that does not depend on anything else.
func TestDocuments(t *testing.T) {
	docs := func(change func(*engine.Config)) []engine.Document {
		cfg := sound()
		change(&cfg)
		r := newRigOf(t, cfg.Policy, cfg.Streams[0])
		r.install(1, checked)
		r.install(2, checked) // the same fields: the same plan
		return r.engine.Documents()
	}
	a := docs(func(c *engine.Config) {})
	if len(a) != 2 || fmt.Sprint(a) != fmt.Sprint(docs(func(c *engine.Config) {})) {
		t.Errorf("%d documents", len(a))
	}
	for _, d := range a {
		if len(d.Key) != 64 || len(d.Value) == 0 {
			t.Errorf("document %s", d.Key)
		}
	}
	b := docs(func(c *engine.Config) { c.Policy.Purposes[0].Treat[1].Treatment.Name = "redact" })
	if b[0].Key == a[0].Key || b[1].Key == a[1].Key {
		t.Error("another policy has the same documents")
	}
	c := docs(func(c *engine.Config) { c.Streams[0].Purposes = []string{"p"}; c.Streams[0].RecordBytes = 5 })
	if c[0].Key != a[0].Key || c[1].Key != a[1].Key {
		t.Error("what is no rule changes a document")
	}
}

// All that is wrong is found, not the first.
func TestCheckFindsAllAtOnce(t *testing.T) {
	cfg := sound()
	cfg.Policy.Purposes[0].Treat[0].Treatment.Name = "blur"
	cfg.Streams[0].Key.Subject = "sender"
	cfg.Streams = append(cfg.Streams, cfg.Streams[0])
	cfg.Streams[1].Format = schemas.NoFormat
	var at []string
	for _, f := range engine.Check(cfg) {
		at = append(at, f.At)
	}
	for _, want := range []string{"purposes[p].treat[user]", "streams[0].key.subject", "streams[1].key.subject", "streams[1].format"} {
		if !slices.Contains(at, want) {
			t.Errorf("%s is not among %q", want, at)
		}
	}
}
