package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// numbered is tagsSchema under a name of its own, with n more fields that nobody
// classified.
func numbered(id, n int) string {
	var more strings.Builder
	for i := range n {
		fmt.Fprintf(&more, `,{"name":"f%d","type":"int","default":0}`, i)
	}
	text := strings.Replace(tagsSchema, `"name":"r"`, fmt.Sprintf(`"name":"r%d"`, id), 1)
	return text[:strings.LastIndex(text, "]")] + more.String() + text[strings.LastIndex(text, "]"):]
}

// learn installs every schema that the items wait for, as the pipeline does; it
// stops where the stream says that it is full.
func (r *rig) learn(items []*engine.Item, text func(id int) string) (full bool) {
	r.t.Helper()
	for _, it := range items {
		if it.State != engine.StateNeedsSchema {
			continue
		}
		if !r.stream.Knows(it.SchemaID) {
			if r.stream.Full() {
				return true
			}
			r.install(it.SchemaID, text(it.SchemaID))
		}
		r.batch.Rescan(it)
	}
	return false
}

// TestPlansAreForgotten: however many schemas records name, a stream remembers a
// bounded number, those that were used last, and forgets their documents too.
func TestPlansAreForgotten(t *testing.T) {
	r := newRig(t, avroStream("id", "user.unique_id"), contract("p", "user", "keep"))
	value := framed(t, 1, tagsSchema, `{"id":"42","tags":[]}`)
	in := func(id int) engine.Input {
		return engine.Input{Value: append(schemas.AppendFrame(nil, id), value[5:]...)}
	}
	text := func(id int) string { return numbered(id, 0) }
	const plans = 256
	for id := 1; id <= 3*plans; id++ {
		r.batch.Reset()
		items := r.add(in(id), in(1))
		if r.learn(items, text) {
			t.Fatal("full")
		}
		if items[0].State != engine.StateScanned || items[1].State != engine.StateScanned {
			t.Fatalf("states %d and %d", items[0].State, items[1].State)
		}
	}
	known := 0
	for id := 1; id <= 3*plans; id++ {
		if r.stream.Knows(id) {
			known++
		}
	}
	if known != plans || !r.stream.Knows(1) || r.stream.Knows(2) || !r.stream.Knows(3*plans) || r.stream.Fields(2, "p") != nil {
		t.Errorf("%d schemas are known; 1: %v, 2: %v, the last: %v", known, r.stream.Knows(1), r.stream.Knows(2), r.stream.Knows(3*plans))
	}
	if n := len(r.engine.Documents()); n != 2 {
		t.Errorf("%d documents: the policy, and one plan that all schemas have in common", n)
	}
}

// TestFullBatch: a batch never forgets a plan that it uses: it says that it is too
// large, and one record never is.
func TestFullBatch(t *testing.T) {
	r := newRig(t, avroStream("id", "user.unique_id"), contract("p", "user", "keep"))
	value := framed(t, 1, tagsSchema, `{"id":"42","tags":[]}`)
	cases := map[string]struct{ fields, records, learned int }{
		"many":     {fields: 0, records: 300, learned: 256},
		"large":    {fields: 9000, records: 17, learned: 15},
		"in order": {fields: 0, records: 256, learned: 256},
		"one":      {fields: 9990, records: 1, learned: 1},
	}
	next := 1
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var ins []engine.Input
			for range c.records {
				ins = append(ins, engine.Input{Value: append(schemas.AppendFrame(nil, next), value[5:]...)})
				next++
			}
			r.batch.Reset()
			items := r.add(ins...)
			full := r.learn(items, func(id int) string { return numbered(id, c.fields) })
			if full != (c.learned < c.records) {
				t.Errorf("full: %v", full)
			}
			scanned := 0
			for _, it := range items {
				if it.State == engine.StateScanned || it.State == engine.StateFaulted { // the fields that were added are missing
					scanned++
				}
			}
			if scanned != c.learned {
				t.Errorf("%d of %d records learned, want %d", scanned, c.records, c.learned)
			}
			for _, it := range items[:scanned] {
				if !r.stream.Knows(schemaOf(it)) {
					t.Fatalf("schema %d of the batch was forgotten", schemaOf(it))
				}
			}
		})
	}
}

func schemaOf(it *engine.Item) int {
	id, _, _ := schemas.ParseFrame(it.Value)
	return id
}

// TestDocumentsAreComplete: whatever is installed, refused, used and forgotten,
// the documents are those of the plans that a record could use, each once.
func TestDocumentsAreComplete(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, avroStream("id", "user.unique_id", "a", "user.contact.email", "b", "user.behavior"), contract("p", "user", "keep"))
		texts := []string{
			`{"type":"record","name":"r","fields":[{"name":"id","type":"string"}]}`,
			`{"type":"record","name":"r","fields":[{"name":"id","type":"string"},{"name":"a","type":"string"}]}`,
			`{"type":"record","name":"r","fields":[{"name":"id","type":"string"},{"name":"b","type":"string"}]}`,
		}
		have := map[int]int{}
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			id := rapid.IntRange(1, 4).Draw(rt, "id")
			switch rapid.SampledFrom([]string{"install", "refuse", "forget", "reset"}).Draw(rt, "step") {
			case "install":
				have[id] = rapid.IntRange(0, len(texts)-1).Draw(rt, "text")
				r.install(id, texts[have[id]])
			case "refuse":
				r.stream.Refuse(id, schemas.CodeBadSchema)
				delete(have, id)
			case "forget":
				r.stream.Forget(id)
				delete(have, id)
			default:
				r.batch.Reset()
			}
		}
		want := map[int]bool{}
		for _, text := range have {
			want[text] = true
		}
		seen := map[string]bool{}
		for _, d := range r.engine.Documents() {
			seen[d.Key] = true
		}
		if n := len(r.engine.Documents()); n != 1+len(want) || len(seen) != n {
			rt.Fatalf("%d documents, %d of them distinct; want the policy and %d plans", n, len(seen), len(want))
		}
	})
}
