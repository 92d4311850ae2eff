package engine_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/filters"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
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

// TestEncryptedElements: an element that a rule names has tokens of its own, in both
// formats alike; where none is named all have one path.
func TestEncryptedElements(t *testing.T) {
	const avsc = `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"l","type":{"type":"array","items":"string"}}]}`
	for rules, paths := range map[string][]string{"l[*] l[0]": {"l[0]", "l[*]", "l[*]"}, "l[*]": {"l[*]", "l[*]", "l[*]"}, "l l[1]": {"l[*]", "l[1]", "l[*]"}} {
		fields := []engine.FieldRule{{Path: "id", Category: "user.unique_id"}}
		for _, path := range strings.Fields(rules) {
			fields = append(fields, engine.FieldRule{Path: path, Category: "user.contact"})
		}
		r := newRig(t, engine.Stream{Format: schemas.Avro, Fields: fields}, contract("p", "user.contact", "encrypt"))
		plan := r.install(1, avsc)
		out := output(r.decide(engine.Input{Value: framed(t, 1, avsc, `{"id":"42","l":["x@y.z","x@y.z","x@y.z"]}`)})[0], "p")
		checkElementPaths(t, r, "Avro, "+rules, text(t, plan, "p", out.Value), paths)
		if strings.HasPrefix(rules, "l ") {
			continue // in JSON what a rule for a container alone covers is removed
		}
		r = newRig(t, engine.Stream{Format: schemas.JSON, Fields: fields}, contract("p", "user.contact", "encrypt"))
		checkElementPaths(t, r, "JSON, "+rules, written(r.value(`{"id":"42","l":["x@y.z","x@y.z","x@y.z"]}`), "p"), paths)
	}
}

func checkElementPaths(t *testing.T, r *rig, name, record string, paths []string) {
	t.Helper()
	var got struct{ L []string }
	if err := json.Unmarshal([]byte(record), &got); err != nil || len(got.L) != len(paths) {
		t.Fatalf("%s: %s, %v", name, record, err)
	}
	key, err := r.cfg.Keys.Derive(keys.UseEncrypt, "p", 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, token := range got.L {
		if v, _, err := filters.Reveal(key, "p", paths[i], []byte(token)); err != nil || string(v) != "x@y.z" {
			t.Errorf("%s: element %d does not open under %s: %v", name, i, paths[i], err)
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

const dated = `{"type":"record","name":"R","namespace":"crm","fields":[
 {"name":"id","type":"string"},
 {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
 {"name":"paid","type":["null",{"type":"fixed","name":"D","size":6,"logicalType":"decimal","precision":12,"scale":2}]},
 {"name":"born","type":{"type":"int","logicalType":"date"}},
 {"name":"seen","type":{"type":"long","logicalType":"timestamp-micros"}},
 {"name":"uid","type":{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}},
 {"name":"raw","type":{"type":"fixed","name":"F","size":2}},
 {"name":"tier","type":{"type":"enum","name":"T","symbols":["gold","iron"]}},
 {"name":"ip","type":["string","null"]}]}`

// TestTreatmentsInAvro: what the new treatments yield is what the derived schema
// says, read by a library.
func TestTreatmentsInAvro(t *testing.T) {
	p := contract("p", "user.unique_id", "keep", "user.account", "encrypt")
	for category, param := range map[string]policy.Param{"user.financial": {Name: "bucket", Value: "10"}, "user.demographic": {Name: "date", Value: "year"},
		"user.behavior": {Name: "time", Value: "hour"}, "user.device": {Name: "ip_prefix", Value: "24,48"}} {
		p.Treat = append(p.Treat, policy.Rule{Category: category, Treatment: policy.Treatment{Name: "generalize", Params: []policy.Param{param}}})
	}
	r := newRig(t, avroStream("id", "user.unique_id", "price", "user.financial", "paid", "user.financial", "born", "user.demographic",
		"seen", "user.behavior", "uid", "user.account", "raw", "user.account", "tier", "user.account", "ip", "user.device"), p)
	plan := r.install(1, dated)
	codec, err := goavro.NewCodec(dated)
	if err != nil {
		t.Fatal(err)
	}
	value, err := codec.BinaryFromNative([]byte{0, 0, 0, 0, 1}, map[string]any{
		"id": "42", "price": big.NewRat(-1, 100), "paid": goavro.Union("crm.D", big.NewRat(1999, 100)), "born": time.Date(1990, 4, 1, 0, 0, 0, 0, time.UTC),
		"seen": time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), "uid": []byte("0123456789abcdef"), "raw": []byte{1, 2}, "tier": "gold", "ip": goavro.Union("string", "192.0.2.77"),
	})
	if err != nil {
		t.Fatal(err)
	}
	it := r.decide(engine.Input{Value: value})[0]
	out := output(it, "p")
	if out == nil {
		t.Fatalf("no output: %+v", it.Audit)
	}
	derived, err := goavro.NewCodec(plan.Outputs()[0].Schema)
	if err != nil {
		t.Fatal(err)
	}
	native, rest, err := derived.NativeFromBinary(out.Value[5:])
	if err != nil || len(rest) > 0 {
		t.Fatalf("%d bytes left, %v; schema %s", len(rest), err, plan.Outputs()[0].Schema)
	}
	m := native.(map[string]any)
	key, err := r.cfg.Keys.Derive(keys.UseEncrypt, "p", 1)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"uid": "30313233-3435-3637-3839-616263646566", "raw": "\x01\x02", "tier": "gold"} {
		token, isBytes := m[path].([]byte)
		if !isBytes {
			token = []byte(m[path].(string))
		}
		if got, raw, err := filters.Reveal(key, "p", path, token); err != nil || string(got) != want || raw != isBytes {
			t.Errorf("%s: %q, %v", path, got, err)
		}
		delete(m, path)
	}
	if got, want := fmt.Sprint(m), "map[born:1990-01-01 00:00:00 +0000 UTC id:42 ip:map[string:192.0.2.0] paid:map[crm.p.D:10/1] price:-10/1 seen:2026-03-04 05:00:00 +0000 UTC]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
