package engine_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/filters"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
)

// members is a JSON output's members.
func members(t *testing.T, it *engine.Item, purpose string) map[string]string {
	t.Helper()
	m := map[string]string{}
	if err := json.Unmarshal([]byte(written(it, purpose)), &m); err != nil {
		t.Fatalf("%s: %v", written(it, purpose), err)
	}
	return m
}

// TestEncryptedFieldsAndKeys: a token opens with the purpose's key and the path
// that it stood at, and nowhere else; key and headers have paths of their own.
func TestEncryptedFieldsAndKeys(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "email", "user.contact.email", "backup", "user.contact.email")
	w.Key = engine.KeyRule{Subject: "customer"}
	w.Headers = []engine.HeaderRule{{Name: "mail", Category: "user.contact.email"}}
	rules := []string{"user.unique_id", "encrypt", "user.contact", "encrypt"}
	r := newRig(t, w, contract("a", rules...), contract("b", rules...))
	it := r.decide(engine.Input{Key: []byte("42"), Value: []byte(`{"id":"42","email":"x@y.z","backup":"x@y.z"}`),
		Headers: []engine.Header{{Key: "mail", Value: []byte("x@y.z")}}})[0]
	tokens := map[string]string{}
	for _, purpose := range []string{"a", "b"} {
		out, m := output(it, purpose), members(t, it, purpose)
		places := map[string][2]string{"id": {m["id"], "42"}, "email": {m["email"], "x@y.z"}, "backup": {m["backup"], "x@y.z"},
			filters.KeyPath: {string(out.Key), "42"}, filters.HeaderPath("mail"): {string(out.Headers[0].Value), "x@y.z"}}
		for path, p := range places {
			if other, seen := tokens[p[0]]; seen {
				t.Errorf("%s of %s has the token of %s", path, purpose, other)
			}
			tokens[p[0]] = path + " of " + purpose
			key, err := r.cfg.Keys.Derive(keys.UseEncrypt, purpose, 1)
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := filters.Reveal(key, purpose, path, []byte(p[0])); err != nil || string(got) != p[1] {
				t.Errorf("%s of %s: %q, %v", path, purpose, got, err)
			}
		}
	}
}

// TestDatesMoveWithTheirSubject: the dates of one person move alike in a
// purpose, in every record; those of another person, and in another purpose,
// otherwise. A record that names nobody has no output, so no date at all.
func TestDatesMoveWithTheirSubject(t *testing.T) {
	purpose := func(id string) policy.Purpose {
		p := contract(id, "user.unique_id", "keep")
		p.Treat = append(p.Treat, policy.Rule{Category: "user.demographic", Treatment: policy.Treatment{Name: "date_shift",
			Params: []policy.Param{{Name: "days", Value: int64(10_000)}}}})
		return p
	}
	r := newRig(t, jsonStream("id", "user.unique_id", "born", "user.demographic", "died", "user.demographic"), purpose("a"), purpose("b"))
	record := func(id string) engine.Input {
		return engine.Input{Value: []byte(`{"id":"` + id + `","born":"1970-01-01","died":"2000-01-01"}`)}
	}
	items := r.decide(record("1"), record("2"), record("1"), engine.Input{Value: []byte(`{"born":"1970-01-01"}`)})
	moved := map[string]bool{}
	for _, it := range items[:2] {
		for _, p := range []string{"a", "b"} {
			m := members(t, it, p)
			if moved[m["born"]] || m["born"] == "1970-01-01" {
				t.Errorf("born %s twice, or not moved", m["born"])
			}
			moved[m["born"]] = true
		}
	}
	if first, again := members(t, items[0], "a"), members(t, items[2], "a"); first["born"] != again["born"] || first["died"] != again["died"] {
		t.Errorf("%v, later %v", first, again)
	}
	if len(items[3].Outputs) > 0 {
		t.Errorf("a record of nobody: %s", written(items[3], "a"))
	}
}

// TestGroundGates: what is shown on a ground shows for everybody but those who
// have limited the use of sensitive data, and is null for them; the audit names
// the ground.
func TestGroundGates(t *testing.T) {
	p := contract("p", "system", "keep")
	p.Treat = append(p.Treat, policy.Rule{Category: "user.health_and_medical", Treatment: policy.Treatment{Name: "keep"}, Ground: "art9_2_h"})
	w := jsonStream("id", "system", "h", "user.health_and_medical")
	w.Key, w.Headers = engine.KeyRule{Category: "user.health_and_medical"}, []engine.HeaderRule{{Name: "h", Category: "user.health_and_medical"}}
	r := newRig(t, w, p)
	in := engine.Input{Key: []byte("flu"), Value: []byte(`{"id":"42","h":"flu"}`), Headers: []engine.Header{{Key: "h", Value: []byte("flu")}}}
	it := r.decide(in)[0]
	if written(it, "p") != `{"id":"42","h":"flu"}` || string(output(it, "p").Key) != "flu" || decision(t, it, "p").Gates != int32(policy.GateGround) {
		t.Errorf("%s, key %s, gates %d", written(it, "p"), output(it, "p").Key, decision(t, it, "p").Gates)
	}
	if f := r.stream.Fields(0, "p")[1]; f.Gate != "art9_2_h" || f.Treatment != "keep" {
		t.Errorf("the plan says %+v", f)
	}
	r.say("limit_sensitive", "")
	it = r.decide(in)[0]
	if got := written(it, "p"); strings.Contains(got, "flu") || output(it, "p").Key != nil || len(output(it, "p").Headers) != 1 || decision(t, it, "p").Gates != 0 {
		t.Errorf("limited: %s, key %s", got, output(it, "p").Key)
	}
}
