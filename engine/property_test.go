package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// show is all that a purpose's topic shows of an output.
func show(o *engine.Output) string {
	if o == nil {
		return "none"
	}
	return fmt.Sprintf("%s %s %d %d key %q null %v value %q tombstone %v headers %q", o.Purpose, o.Topic, o.Partition, o.Timestamp,
		o.Key, o.Key == nil, o.Value, o.Value == nil, o.Headers)
}

// Whatever batch a record is in, behind and before whatever others, its outputs
// and its audit are those of that record alone in a new process.
func TestOutputsDependOnTheirRecordAlone(t *testing.T) {
	for name, format := range map[string]schemas.Format{"json": schemas.JSON, "avro": schemas.Avro} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				w := drawWorld(rt, format)
				r := w.open(t)
				var inputs []engine.Input
				var alone []string
				for i := range rapid.IntRange(2, 8).Draw(rt, "records") {
					rec := drawRecord(rt)
					in := w.input(&rec)
					in.Offset = int64(100 * i)
					in.Value = damage(rt, in.Value)
					inputs = append(inputs, in)
					alone = append(alone, all(w.open(t).decide(in)[0]))
				}
				for range 3 {
					order := rapid.Permutation(indexes(len(inputs))).Draw(rt, "order")[:rapid.IntRange(1, len(inputs)).Draw(rt, "size")]
					batch := make([]engine.Input, len(order))
					for k, i := range order {
						batch[k] = inputs[i]
						batch[k].Offset -= int64(k) // decide adds it
					}
					for k, it := range r.decide(batch...) {
						if got := all(it); got != alone[order[k]] {
							rt.Fatalf("record %d of %v:\n%s\nalone:\n%s", order[k], order, got, alone[order[k]])
						}
					}
				}
			})
		})
	}
}

// damage leaves most values as they are, and makes tombstones and bad records
// of others.
func damage(t *rapid.T, value []byte) []byte {
	switch rapid.IntRange(0, 9).Draw(t, "damage") {
	case 0:
		return nil
	case 1:
		return value[:rapid.IntRange(0, len(value)-1).Draw(t, "cut")]
	case 2:
		value[rapid.IntRange(0, len(value)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
	}
	return value
}

func indexes(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

// all is all that an item says.
func all(it *engine.Item) string {
	if it.Result == nil {
		return fmt.Sprint(it.State, it.SchemaID) // it waits for its schema
	}
	parts := []string{fmt.Sprint(it.State, it.Fault, it.Audit.Kind, it.Audit.Offset, it.Audit.Reason, it.Audit.Detail, it.Audit.Path, it.Audit.Cut, it.Audit.Subjects)}
	for i := range it.Audit.Decisions {
		d := it.Audit.Decisions[i]
		out := d.Output
		d.Output = nil
		parts = append(parts, fmt.Sprintf("%+v", d))
		if out != nil {
			parts = append(parts, fmt.Sprintf("%+v", *out))
		}
	}
	for i := range it.Outputs {
		parts = append(parts, show(&it.Outputs[i]))
	}
	return strings.Join(parts, "\n")
}

// Memory is reused from record to record: a canary of one never shows up in
// another's output.
func TestNoRecordShowsInAnother(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "a", "user.behavior", "b", "user.contact", "c", "user.device")
	w.Key.Category, w.Headers = "user.contact", []engine.HeaderRule{{Name: "h", Category: "user.device"}}
	r := newRig(t, w, contract("p", "user", "keep"), contract("q", "user", "mask"), contract("s", "user", "pseudonymize"), contract("u", "user", "truncate", "user.behavior", "keep"))
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(rt, "records")
		var in []engine.Input
		for i := range n {
			c := fmt.Sprintf("<canary-%d>", i)
			pad := strings.Repeat("~", rapid.SampledFrom([]int{0, 1, 500, 3000, 70_000}).Draw(rt, "pad"))
			in = append(in, engine.Input{Key: []byte(c + "k"), Value: fmt.Appendf(nil, `{"id":"%s","a":"%s%s\n","b":["%s"],"c":"%s\u0020"}`, c, c, pad, c, c),
				Headers: []engine.Header{{Key: "h", Value: []byte(c)}}})
		}
		for i, it := range r.decide(in...) {
			if len(it.Outputs) != 4 {
				rt.Fatal(it.State, it.Fault)
			}
			text := all(it)
			if !strings.Contains(text, fmt.Sprintf("<canary-%d>", i)) || strings.Count(text, "<canary-") != strings.Count(text, fmt.Sprintf("<canary-%d>", i)) {
				rt.Fatalf("record %d of %d shows %s", i, n, text)
			}
		}
	})
}

// P7: within a purpose one person has one pseudonym, in every format, spelling
// and place; of two purposes, two keys or two people no two are equal.
func TestUnlinkable(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "mail", "user.contact.email")
	w.Key.Subject = "customer"
	purposes := []policy.Purpose{contract("p", "user", "pseudonymize"), contract("q", "user", "pseudonymize")}
	j := newRig(t, w, purposes...)
	w.Format = schemas.Avro
	a := newRig(t, w, purposes...)
	avsc := `{"type":"record","name":"R","fields":[{"name":"id","type":"long"},{"name":"mail","type":"string"}]}`
	plan := a.install(1, avsc)
	seen := map[string]string{} // token -> purpose and subject
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.Int64Range(1, 1<<40).Draw(rt, "id")
		key := fmt.Appendf(nil, " %d", id)
		x := j.decide(engine.Input{Key: key, Value: fmt.Appendf(nil, `{"id":"%d ","mail":"%d"}`, id, id)})[0]
		y := a.decide(engine.Input{Key: key, Value: framed(t, 1, avsc, fmt.Sprintf(`{"id":%d,"mail":"%d"}`, id, id))})[0]
		for _, p := range []string{"p", "q"} {
			token := string(output(x, p).Key)
			if string(output(y, p).Key) != token || !strings.Contains(written(x, p), `"id":"`+token+`"`) || !strings.Contains(text(t, plan, p, output(y, p).Value), `"id":"`+token+`"`) {
				rt.Fatalf("%s: another token than %s for the same person in %s", p, token, written(x, p))
			}
			if strings.Count(written(x, p), token) != 1 {
				rt.Fatalf("%s: an e-mail address has the token of an id: %s", p, written(x, p))
			}
			who := fmt.Sprint(p, id)
			if other, ok := seen[token]; ok && other != who {
				rt.Fatalf("%s and %s share a token", other, who)
			}
			seen[token] = who
		}
	})
}
