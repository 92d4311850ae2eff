package engine_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// FuzzEngine gives arbitrary bytes to both formats. Whatever they are: no
// panic, one state, no output beside a fault, the same outcome when decided
// again, and nothing of what nobody listed.
func FuzzEngine(f *testing.F) {
	for _, v := range []string{`{"id":"42","a":"x","at":1795089600000,"l":[{"z":1,"w":null}],"o":{"k":1,"new":2}}`, `{"id":42}`, `[{}]`, `{"id":"4`, ""} {
		f.Add([]byte("42"), []byte(v), []byte("h"), false)
	}
	rec := record{a: "x", bx: "y", l: []element{{"z", "w"}, {"", ""}}, shape: [4]int{1, 1, 1, 0}}
	f.Add([]byte("42"), rec.avro(), []byte("\xff"), true)
	f.Add([]byte{}, []byte("\x00\x00\x00\x00\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), []byte{}, true)
	f.Add([]byte("0"), []byte("\x000000"), []byte("0"), true) // waits for its schema
	rigs := map[bool]*rig{}
	for avro, format := range map[bool]schemas.Format{false: schemas.JSON, true: schemas.Avro} {
		w := jsonStream("id", "user.unique_id", "at", "system", "a", "user.contact", "o", "user.behavior", "o.k", "user.device", "l[*].z", "user.contact", "l[*].w", "user.behavior")
		w.Format, w.EventTime = format, engine.TimeRule{Path: "at"}
		w.Key.Category, w.Headers = "user.contact", []engine.HeaderRule{{Name: "h", Category: "user.contact"}}
		rigs[avro] = newRig(f, w, contract("p", "user", "keep", "system", "keep"), contract("q", "user", "pseudonymize"), contract("s", "user", "mask", "user.behavior", "truncate"))
		if avro {
			rigs[avro].install(1, worldSchema)
		}
	}
	f.Fuzz(func(t *testing.T, key, value, header []byte, avro bool) {
		r := rigs[avro]
		r.t = t
		in := engine.Input{Key: key, Value: value, Headers: []engine.Header{{Key: "h", Value: header}, {Key: "secret", Value: value}}}
		it := r.decide(in, engine.Input{Value: value})[0]
		once := all(it)
		switch it.State {
		case engine.StateDecided:
			if len(it.Audit.Decisions) != 3 || it.Fault != nil {
				t.Errorf("%d decisions, fault %v", len(it.Audit.Decisions), it.Fault)
			}
		case engine.StateFaulted, engine.StateNeedsSchema:
			if it.Result != nil && len(it.Outputs) > 0 {
				t.Error("outputs of a record that was not decided")
			}
		default:
			t.Errorf("state %d", it.State)
		}
		if again := all(r.decide(in)[0]); again != once {
			t.Errorf("once\n%s\nand then\n%s", once, again)
		}
	})
}

// FuzzUnlisted hides a canary in whatever JSON there is: what no rule lists
// never gets out.
func FuzzUnlisted(f *testing.F) {
	f.Add([]byte(`"canary"`))
	f.Add([]byte(`{"id":"canary","a":"canary"}`))
	r := newRig(f, jsonStream("id", "user.unique_id", "a.b", "user.contact", "l[*].a", "user.contact"), contract("p", "user", "keep"))
	f.Fuzz(func(t *testing.T, junk []byte) {
		if !json.Valid(junk) {
			return // it might close its place and list itself
		}
		r.t = t
		value := bytes.Join([][]byte{[]byte(`{"x":`), []byte(`,"a":{"x":`), []byte(`},"l":[{"x":`), []byte(`}],"id":"42"}`)}, junk)
		it := r.decide(engine.Input{Value: value})[0]
		if it.State == engine.StateDecided && written(it, "p") != `{"id":"42"}` {
			t.Errorf("%q became %q", value, written(it, "p"))
		}
	})
}
