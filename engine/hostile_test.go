package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// A tombstone that goes out whatever the consent is its key alone: its headers
// would show what nobody has consented to.
func TestTombstoneShowsNoHeader(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Key.Subject = "customer"
	w.Headers = []engine.HeaderRule{{Name: "mail", Category: "user.contact.email"}, {Name: "mark", Category: "system"}}
	in := engine.Input{Key: []byte("42"), Headers: []engine.Header{{Key: "mail", Value: []byte("a@example.org")}, {Key: "mark", Value: []byte("x")}}}
	for _, said := range []string{"", "withdraw", "erase"} {
		r := newRig(t, w, byConsent("p", "user.unique_id", "pseudonymize", "user.contact.email", "keep", "system", "constant"))
		if said != "" {
			r.say(said, "")
		}
		it := r.decide(in)[0]
		out := output(it, "p")
		if out == nil || len(out.Headers) != 1 || out.Headers[0].Key != engine.ProofHeader {
			t.Errorf("after %q: %+v", said, out)
		}
	}
	// By a permit, a tombstone has what every record of the purpose may have.
	r := newRig(t, w, byConsent("p", "user.unique_id", "keep", "user.contact.email", "keep"))
	r.say("grant", grants("p", "expressed"))
	if out := output(r.decide(in)[0], "p"); out == nil || len(out.Headers) != 2 {
		t.Errorf("permitted: %+v", out)
	}
}

// Elements of a few bytes for which much is written: the output would be more
// than a hundred times the record.
func TestOutputIsBounded(t *testing.T) {
	fields := []string{"id", "user.unique_id", "l[*].a", "user.behavior"}
	for i := range 50 {
		fields = append(fields, fmt.Sprintf("l[*].a_long_name_%d", i), "user.contact.email")
	}
	r := newRig(t, jsonStream(fields...), contract("p", "user", "keep", "user.contact", "redact"), contract("q", "user", "keep"))
	record := func(n int) engine.Input {
		return engine.Input{Value: []byte(`{"id":"42","l":[` + strings.TrimSuffix(strings.Repeat(`{"a":0},`, n), ",") + `]}`)}
	}
	items := r.decide(record(120_000), record(500))
	d := decision(t, items[0], "p")
	if d.Permit || d.Reason != string(policy.InputMalformed) || output(items[0], "p") != nil {
		t.Errorf("the long output: permit %v, %s", d.Permit, d.Reason)
	}
	if output(items[0], "q") == nil || output(items[1], "p") == nil {
		t.Error("outputs of usual size were withheld")
	}
}

// The same for Avro, and for what a treatment makes longer.
func TestAvroOutputIsBounded(t *testing.T) {
	const avsc = `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"l","type":{"type":"array","items":"int"}}]}`
	r := newRig(t, avroStream("id", "user.unique_id", "l", "user.behavior"), contract("p", "user", "pseudonymize"), contract("q", "user", "keep"))
	r.install(1, avsc)
	list := func(n int) engine.Input {
		text := `{"id":"42","l":[` + strings.TrimSuffix(strings.Repeat("1,", n), ",") + `]}`
		return engine.Input{Value: framed(t, 1, avsc, text)}
	}
	items := r.decide(list(150_000), list(1000))
	if d := decision(t, items[0], "p"); d.Permit || d.Reason != string(policy.InputMalformed) {
		t.Errorf("the long output: permit %v, %s", d.Permit, d.Reason)
	}
	if output(items[0], "q") == nil || output(items[1], "p") == nil {
		t.Error("outputs of usual size were withheld")
	}
}

// listWork is a stream in which every purpose pseudonymizes every element.
func listWork(t *testing.T, purposes int) *rig {
	var ps []policy.Purpose
	for i := range purposes {
		ps = append(ps, contract(fmt.Sprintf("p%d", i), "user", "pseudonymize"))
	}
	return newRig(t, jsonStream("id", "user.unique_id", "l[*]", "user.behavior"), ps...)
}

func ones(n int) engine.Input {
	return engine.Input{Value: []byte(`{"id":"42","l":[` + strings.TrimSuffix(strings.Repeat("1,", n), ",") + `]}`)}
}

// A record that would take seconds by itself is refused, and a batch that would
// is not decided: its fence would be too old when it is ready, for ever.
func TestWorkIsBounded(t *testing.T) {
	r := listWork(t, 4)
	r.wantFault(r.add(ones(41_000))[0], schemas.CodeTooManyItems, "")
	in := make([]engine.Input, 14)
	for i := range in {
		in[i] = ones(39_000)
	}
	items := r.add(in...)
	err := r.run(r.lookUp(), engine.Moment{Now: r.now, Fence: r.states.Next()})
	if !errors.Is(err, engine.ErrBatchTooLarge) {
		t.Fatal(err)
	}
	for i, it := range items {
		if it.State != engine.StateScanned || it.Result != nil {
			t.Fatalf("item %d: state %d, result %v", i, it.State, it.Result)
		}
	}
	// In parts it is decided; the cost of the one does not count for the next.
	for range 2 {
		r.decide(in[:2]...)
	}
	if it := r.decide(ones(39_900))[0]; it.State != engine.StateDecided {
		t.Errorf("alone: state %d, %v", it.State, it.Fault)
	}
}

// What takes longer counts for more: 100,000 times encrypt are a third of a second.
func TestDearWorkIsBounded(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id", "l[*]", "user.behavior"), contract("p", "user.unique_id", "keep", "user", "encrypt"))
	r.wantFault(r.add(ones(12_600))[0], schemas.CodeTooManyItems, "")
	if it := r.decide(ones(12_400))[0]; it.State != engine.StateDecided {
		t.Errorf("state %d, %v", it.State, it.Fault)
	}
}

// The names of members are treated as their values are.
func TestNamesAreWork(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id", "m.*~key", "user.behavior", "m.*", "user.behavior", "**.x.*~key", "user.behavior", "**.x.*", "user.behavior"),
		contract("p", "user", "pseudonymize"), contract("q", "user", "pseudonymize"))
	for _, name := range []string{"m", "x"} {
		record := func(n int) engine.Input {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, `,"%d":0`, i)
			}
			return engine.Input{Value: []byte(`{"id":"42","` + name + `":{` + b.String()[1:] + `}}`)}
		}
		if it := r.decide(record(39_000))[0]; it.Fault != nil {
			t.Errorf("78,000 names and values in %s: %v", name, it.Fault)
		}
		r.wantFault(r.add(record(41_000))[0], schemas.CodeTooManyItems, "")
	}
}

// A header takes as little room as an element of a list.
func TestHeaderWorkIsBounded(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Key.Subject, w.Headers = "customer", []engine.HeaderRule{{Name: "h", Category: "user"}}
	r := newRig(t, w, contract("p", "user", "pseudonymize"), contract("q", "user", "pseudonymize"))
	in := engine.Input{Key: []byte("42"), Value: []byte(`{"id":"42"}`)}
	for range 1000 {
		in.Headers = append(in.Headers, engine.Header{Key: "h", Value: []byte{}})
	}
	if out := output(r.decide(in)[0], "p"); out == nil || len(out.Headers) != 1001 {
		t.Errorf("a thousand headers: %+v", out)
	}
	for range 300_000 {
		in.Headers = append(in.Headers, engine.Header{Key: "h", Value: []byte{}})
	}
	r.wantFault(r.decide(in)[0], schemas.CodeTooManyItems, "")
	in.Value = nil
	r.wantFault(r.decide(in)[0], schemas.CodeTooManyItems, "")
}

// Outputs of records that cost no treatment count too.
func TestBatchOutputIsBounded(t *testing.T) {
	var ps []policy.Purpose
	for i := range 12 {
		ps = append(ps, contract(fmt.Sprintf("p%d", i), "user", "keep"))
	}
	r := newRig(t, jsonStream("id", "user.unique_id", "t", "user.behavior"), ps...)
	in := make([]engine.Input, 12)
	for i := range in {
		in[i] = engine.Input{Value: []byte(`{"id":"42","t":"` + strings.Repeat("x", 990_000) + `"}`)}
	}
	r.add(in...)
	if err := r.run(r.lookUp(), engine.Moment{Now: r.now, Fence: r.states.Next()}); !errors.Is(err, engine.ErrBatchTooLarge) {
		t.Fatal(err)
	}
	r.decide(in[:4]...)
}

// Without a fence nobody knows what a missing row means (promise P1).
func TestNoFenceNoDecision(t *testing.T) {
	r := newRig(t, jsonStream("id", "user.unique_id"), contract("p", "user", "keep"))
	items := r.add(engine.Input{Value: []byte(`{"id":"42"}`)})
	st := states{make([]*consent.Row, 1), make([]consent.Vector, 1)}
	if err := r.run(st, engine.Moment{Now: r.now}); !errors.Is(err, engine.ErrInconsistentCut) || items[0].Result != nil {
		t.Errorf("%v, %v", err, items[0].Result)
	}
}
