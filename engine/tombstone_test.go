package engine_test

import (
	"fmt"
	"testing"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// The four cases of DESIGN section 5: a tombstone goes out whatever the consent
// where the key is pseudonymized, by a permit where it shows something, not at
// all without a key.
func TestTombstones(t *testing.T) {
	const never, always, byPermit = "never", "always", "by permit"
	for _, c := range []struct{ treatment, want string }{
		{"pseudonymize", always}, {"keep", byPermit}, {"mask", byPermit}, {"truncate", byPermit},
		{"redact", never}, {"drop", never}, {"constant", never}, {"keep!", never}, {"pseudonymize!", never},
	} {
		for _, wire := range []string{"subject", "category"} {
			w := jsonStream("id", "user.unique_id", "n", "system.operations")
			if wire == "subject" {
				w.Key.Subject = "customer"
			} else {
				w.Key.Category = "user.unique_id"
			}
			r := newRig(t, w, byConsent("p", "user.unique_id", c.treatment, "system", "keep"))
			for _, consented := range []bool{false, true} {
				if consented {
					r.say("grant", grants("p", "expressed"))
				}
				what := fmt.Sprintf("%s key, %s, consent %v", wire, c.treatment, consented)
				permit := c.want == always || c.want == byPermit && consented && wire == "subject"
				it := r.decide(engine.Input{Key: []byte("42")})[0]
				d := decision(t, it, "p")
				if d.Permit != permit {
					t.Errorf("%s: permit %v, %s", what, d.Permit, d.Reason)
				}
				if out := output(it, "p"); permit && (out == nil || out.Value != nil || out.Key == nil || out.Timestamp != nowMs || d.Output == nil) {
					t.Errorf("%s: output %+v", what, out)
				}
				if c.want != byPermit && d.Reason != string(policy.Tombstone) {
					t.Errorf("%s: reason %s", what, d.Reason)
				}
			}
			if d := decision(t, r.decide(engine.Input{})[0], "p"); d.Permit || d.Reason != string(policy.Tombstone) {
				t.Errorf("%s key, %s, null key: permit %v, %s", wire, c.treatment, d.Permit, d.Reason)
			}
		}
	}
}

// A tombstone removes what the same key wrote, on the same partition.
func TestTombstoneRemoves(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Key.Subject = "customer"
	r := newRig(t, w, contract("p", "user.unique_id", "pseudonymize"))
	items := r.decide(engine.Input{Key: []byte("42"), Value: []byte(`{"id":"42"}`)}, engine.Input{Key: []byte(" 42")})
	a, b := output(items[0], "p"), output(items[1], "p")
	if a == nil || b == nil || string(a.Key) != string(b.Key) || a.Partition != b.Partition || b.Value != nil {
		t.Errorf("%+v, %+v", a, b)
	}
	if items[1].Audit.Kind != audit.LeafRecord || items[1].State != engine.StateDecided {
		t.Errorf("a tombstone is %v, state %d", items[1].Audit.Kind, items[1].State)
	}
}

// Under a key that should name the subject and does not, nothing was written:
// a tombstone is denied, not quarantined.
func TestTombstoneOfNobody(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Key.Subject = "customer"
	for _, treatment := range []string{"pseudonymize", "keep", "mask"} {
		r := newRig(t, w, contract("p", "user.unique_id", treatment))
		for _, key := range []string{"", "null", "\xff", "  "} {
			it := r.decide(engine.Input{Key: []byte(key)})[0]
			d := decision(t, it, "p")
			if d.Permit || d.Reason != string(policy.SubjectUnresolved) || len(it.Outputs) > 0 {
				t.Errorf("%s, key %q: permit %v, %s", treatment, key, d.Permit, d.Reason)
			}
		}
	}
}

// An Avro tombstone has no frame and needs no schema.
func TestTombstoneAvro(t *testing.T) {
	w := avroStream("id", "user.unique_id")
	w.Key.Subject = "customer"
	r := newRig(t, w, contract("p", "user", "pseudonymize"))
	if it := r.decide(engine.Input{Key: []byte("42")})[0]; output(it, "p") == nil {
		t.Errorf("state %d, fault %v", it.State, it.Fault)
	}
}

// An item is used for one record after the other: what the one was must not
// show on the next.
func TestItemsAreReused(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Key.Subject = "customer"
	w.Headers = []engine.HeaderRule{{Name: "h", Category: "system"}}
	r := newRig(t, w, contract("p", "user", "keep", "system", "keep"))
	full := engine.Input{Key: []byte("42"), Value: []byte(`{"id":"42"}`), Headers: []engine.Header{{Key: "h", Value: []byte("x")}}}
	r.decide(full)
	tomb := r.decide(engine.Input{Key: []byte("42")})[0]
	if out := output(tomb, "p"); len(tomb.Outputs) != 1 || out.Value != nil || len(out.Headers) != 1 || decision(t, tomb, "p").Plan != (audit.Hash{}) {
		t.Errorf("a tombstone after a record: %+v", tomb.Outputs)
	}
	r.wantFault(r.decide(engine.Input{Value: []byte("{")})[0], schemas.CodeTruncated, "")
	r.decide(full)
	if it := r.decide(engine.Input{Value: []byte(`{"id":"42"}`)})[0]; output(it, "p").Key != nil || len(output(it, "p").Headers) != 1 {
		t.Errorf("a record without key after one with: %+v", it.Outputs)
	}
}
