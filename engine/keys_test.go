package engine_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// The key is treated like the field that it is, by each treatment.
func TestKeyTreatments(t *testing.T) {
	for _, c := range []struct {
		category, treatment string
		want                string // "null", or a pattern: "k1.*" is a token
	}{
		{"user.contact.email", "keep", "ada@example.org"},
		{"user.contact.email", "drop", "null"},
		{"user.contact.email", "redact", "null"},
		{"user.contact.email", "mask", "a****"},
		{"user.contact.email", "truncate", "ad"},
		{"user.contact.email", "constant", "same"},
		{"user.contact.email", "pseudonymize", "k1.*"},
		{"user.contact.email", "keep!", "null"}, // the gate is closed under a contract without a grant
		{"user.behavior", "keep", "null"},       // a category without a rule
		{"", "keep", "null"},                    // key: none
	} {
		w := jsonStream("id", "user.unique_id")
		w.Key.Category = c.category
		r := newRig(t, w, contract("p", "user.contact", c.treatment, "user.unique_id", "keep"))
		out := output(r.decide(engine.Input{Key: []byte("ada@example.org"), Value: []byte(`{"id":"42"}`)})[0], "p")
		checkKey(t, fmt.Sprint(c.category, " ", c.treatment), out, c.want)

		out = output(r.decide(engine.Input{Value: []byte(`{"id":"42"}`)})[0], "p")
		if c.want != "same" { // a constant does not tell whether there was a key
			c.want = "null"
		}
		checkKey(t, "no key, "+c.treatment, out, c.want)
	}
}

func checkKey(t *testing.T, what string, out *engine.Output, want string) {
	t.Helper()
	if out == nil {
		t.Errorf("%s: no output", what)
		return
	}
	got := string(out.Key)
	switch {
	case want == "null":
		if out.Key != nil {
			t.Errorf("%s: key %q, want null", what, got)
		}
	case strings.HasSuffix(want, "*") && strings.HasPrefix(want, "k"):
		if !strings.HasPrefix(got, "k1.") || len(got) != len("k1.")+26 {
			t.Errorf("%s: key %q is no token", what, got)
		}
	case out.Key == nil || got != want:
		t.Errorf("%s: key %q (null: %v), want %q", what, got, out.Key == nil, want)
	}
}

func TestKeyGate(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Key.Category = "user.health_and_medical"
	r := newRig(t, w, byConsent("p", "user.health_and_medical", "keep!", "user.unique_id", "keep"))
	in := engine.Input{Key: []byte("loop"), Value: []byte(`{"id":"42"}`)}
	r.say("grant", grants("p", "expressed"))
	checkKey(t, "closed", output(r.decide(in)[0], "p"), "null")
	r.say("grant", strings.Replace(grants("p", "explicit"), "2026-01-01", "2026-01-02", 1))
	checkKey(t, "open", output(r.decide(in)[0], "p"), "loop")
}

// The subject's key has the pseudonym of the subject's field, in every spelling
// of either; and the wiring may quote a path that needs no quotes.
func TestKeyOfSubject(t *testing.T) {
	for _, path := range []string{"id", `"id"`} {
		w := jsonStream("id", "user.unique_id")
		w.Key.Subject, w.Subjects = "customer", []engine.SubjectRule{customer}
		w.Subjects[0].Paths = []string{path}
		r := newRig(t, w, contract("p", "user.unique_id", "pseudonymize"))
		for _, in := range []engine.Input{
			{Key: []byte("42"), Value: []byte(`{"id":"42"}`)}, {Key: []byte(" 42 "), Value: []byte(`{"id":42}`)},
		} {
			out := output(r.decide(in)[0], "p")
			if out == nil || len(out.Key) != 29 || string(out.Value) != `{"id":"`+string(out.Key)+`"}` {
				t.Errorf("subject path %s: %+v", path, out)
			}
		}
	}
	w := jsonStream("n", "user.behavior") // the subject has no category: its key neither
	w.Key.Subject = "customer"
	r := newRig(t, w, contract("p", "user.behavior", "keep"))
	checkKey(t, "no category", output(r.decide(engine.Input{Key: []byte("42"), Value: []byte(`{"id":"42","n":1}`)})[0], "p"), "null")
}

// A key that should be text and is none is bad input for all purposes, whoever
// would have seen it; without a rule nobody looks at it.
func TestKeyNotUTF8(t *testing.T) {
	bad := engine.Input{Key: []byte("a\xc3"), Value: []byte(`{"id":"42"}`)}
	for _, treatment := range []string{"keep", "drop", "pseudonymize", "mask"} {
		w := jsonStream("id", "user.unique_id")
		w.Key.Category = "user.contact.email"
		r := newRig(t, w, contract("p", "user.contact", treatment, "user.unique_id", "keep"), contract("q", "user.unique_id", "keep"))
		r.wantFault(r.decide(bad)[0], schemas.CodeBadUTF8, "key")
		bad := bad
		bad.Value = nil
		r.wantFault(r.decide(bad)[0], schemas.CodeBadUTF8, "key")
	}
	r := newRig(t, jsonStream("id", "user.unique_id"), contract("p", "user.unique_id", "keep"))
	checkKey(t, "key: none", output(r.decide(bad)[0], "p"), "null")
}

// The partition follows the key as it is written, else the source offset; it
// never is the source's partition, and the count may change between batches.
func TestPartitions(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Key.Subject = "customer"
	counts := map[string]int32{"in.p": 7, "in.q": 5}
	cfg := engine.Config{Policy: policyOf(contract("p", "user", "pseudonymize"), contract("q", "user", "keep"), contract("n", "user", "drop", "system", "keep")),
		Keys: testRing(t, 7), Partitions: func(topic string) int32 { return counts[topic] }}
	w.Topic, w.Format, w.Purposes, w.Subjects = "in", schemas.JSON, []string{"p", "q", "n"}, []engine.SubjectRule{customer}
	w.Fields = append(w.Fields, engine.FieldRule{Path: "n", Category: "system.operations"})
	cfg.Streams = []engine.Stream{w}
	e, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, now: nowMs, cfg: cfg, engine: e, stream: e.Stream("in"), batch: e.NewBatch()}
	r.lane = &engine.Lane{Lane: audit.Lane{Group: "g", Topic: "in", Partition: 3}, Stream: r.stream}
	tagger, _ := engine.Tagger(cfg.Policy, cfg.Keys)
	r.states = consent.NewMemory(tagger)
	for _, n := range []int32{7, 12, 1} {
		counts["in.p"] = n
		for i := range 30 {
			it := r.decide(engine.Input{Offset: int64(1000 + i), Key: fmt.Append(nil, i+1), Value: fmt.Appendf(nil, `{"id":%d,"n":1}`, i+1)})[0]
			for purpose, n := range map[string]int32{"p": n, "q": 5, "n": 1} {
				out := output(it, purpose)
				if out == nil {
					t.Fatal(it.State, it.Fault, it.Audit.Decisions)
				}
				want := int32(1000+i) % n
				if out.Key != nil {
					want = audit.Partition(out.Key, n)
				}
				if out.Partition != want || (out.Key == nil) != (purpose == "n") {
					t.Errorf("%s: partition %d of %d, key %q; want %d", purpose, out.Partition, n, out.Key, want)
				}
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	w := jsonStream("id", "user.unique_id")
	w.Headers = []engine.HeaderRule{{Name: "c", Category: "user.workplace"}, {Name: "m", Category: "user.contact.email"},
		{Name: "raw", Category: "system.operations"}, {Name: "z", Category: "user.behavior"}}
	r := newRig(t, w, contract("p", "user.unique_id", "keep", "user.contact", "mask", "system", "keep", "user.workplace", "constant", "user.behavior", "redact"))
	it := r.decide(engine.Input{Value: []byte(`{"id":"42"}`), Headers: []engine.Header{
		{Key: "raw", Value: []byte("1\xff")}, {Key: "unlisted", Value: []byte("secret")}, {Key: "m", Value: []byte("ada@example.org")},
		{Key: "RAW", Value: []byte("no")}, {Key: "raw", Value: []byte("2")}, {Key: "raw", Value: nil}, {Key: "z", Value: []byte("gone")},
		{Key: "m", Value: nil}, {Key: "m", Value: []byte("bad \xff")}, {Key: "cs-proof", Value: []byte("forged")}, {Key: "raw", Value: []byte{}},
	}})[0]
	out := output(it, "p")
	if out == nil {
		t.Fatal(it.State, it.Fault)
	}
	var got []string
	for _, h := range out.Headers[:len(out.Headers)-1] {
		got = append(got, h.Key+"="+string(h.Value))
	}
	if s := strings.Join(got, " "); s != "raw=1\xff m=a**** raw=2 raw= c=same" {
		t.Errorf("headers: %q", s)
	}
	if proof := out.Headers[len(out.Headers)-1]; proof.Key != engine.ProofHeader || len(proof.Value) != 16 || bytes.Contains(proof.Value, []byte("forged")) {
		t.Errorf("proof header: %q", proof)
	}
	if d := decision(t, it, "p"); d.Withheld != 1 {
		t.Errorf("%d values withheld, want the header that is not UTF-8", d.Withheld)
	}
	bare := output(r.value(`{"id":"42"}`), "p")
	if len(bare.Headers) != 2 || bare.Headers[0].Key != "c" || string(bare.Headers[0].Value) != "same" {
		t.Errorf("a constant header tells that there was none: %q", bare.Headers)
	}
}
