package engine_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// world is a drawn configuration: wiring, policy and consents.
type world struct {
	w          engine.Stream
	policy     *policy.Policy
	consents   []string // by purpose: "", "expressed", "explicit", "withdrawn"
	categories map[string]string
}

var (
	worldCategories = []string{"user.contact.email", "user.behavior", "user.device", "user.health_and_medical", "user.financial", "system.operations"}
	worldTreatments = []string{"", "keep", "keep!", "drop", "redact", "mask", "mask!", "truncate", "pseudonymize", "pseudonymize!", "constant"}
	worldPaths      = []string{"a", "b.x", "b.y", "o", "o.k", "l[*].z", "l[*].w"}
)

func drawWorld(t *rapid.T, format schemas.Format) *world {
	w := &world{categories: map[string]string{}}
	w.w = engine.Stream{Topic: "in", Format: format, Subject: customer, Fields: fieldRules("id", "user.unique_id", "at", "system"),
		EventTime: engine.TimeRule{Path: "at", Unit: "ms"}}
	if format == schemas.Avro {
		w.w.EventTime.Unit = ""
	}
	for _, p := range worldPaths {
		if c := rapid.SampledFrom(append(worldCategories, "")).Draw(t, p); c != "" {
			w.w.Fields = append(w.w.Fields, engine.FieldRule{Path: p, Category: c})
			w.categories[p] = c
		}
	}
	switch rapid.SampledFrom([]string{"none", "subject", "category"}).Draw(t, "key") {
	case "subject":
		w.w.Key.Subject = "customer"
	case "category":
		w.w.Key.Category = rapid.SampledFrom(worldCategories).Draw(t, "key category")
		w.categories["key"] = w.w.Key.Category
	}
	w.categories["header"] = rapid.SampledFrom(worldCategories).Draw(t, "header category")
	w.w.Headers = []engine.HeaderRule{{Name: "h", Category: w.categories["header"]}}
	w.drawPolicy(t)
	return w
}

func (w *world) drawPolicy(t *rapid.T) {
	var purposes []policy.Purpose
	for i := range rapid.IntRange(1, 3).Draw(t, "purposes") {
		rules := []string{"user.unique_id", rapid.SampledFrom([]string{"keep", "pseudonymize"}).Draw(t, "id")}
		for _, c := range append(worldCategories, "user", "system") {
			if tr := rapid.SampledFrom(worldTreatments).Draw(t, c); tr != "" {
				rules = append(rules, c, tr)
			}
		}
		p := contract(fmt.Sprintf("p%d", i), rules...)
		if rapid.Bool().Draw(t, "by consent") {
			p.Basis = policy.Consent
		}
		purposes = append(purposes, p)
		w.consents = append(w.consents, rapid.SampledFrom([]string{"", "expressed", "explicit", "explicit", "withdrawn"}).Draw(t, "consent"))
		w.w.Purposes = append(w.w.Purposes, p.ID)
	}
	w.policy = policyOf(purposes...)
}

func (w *world) open(t testing.TB) *rig {
	r := newRigOf(t, w.policy, w.w)
	for i, c := range w.consents {
		if id := w.policy.Purposes[i].ID; c != "" {
			r.say("grant", grants(id, strings.Replace(c, "withdrawn", "explicit", 1)))
			if c == "withdrawn" {
				r.say("withdraw", fmt.Sprintf(`,"purposes":[%q]`, id))
			}
		}
	}
	if w.w.Format == schemas.Avro {
		r.install(1, worldSchema)
	}
	return r
}

// sees says by the policy alone whether a purpose may see anything of a
// position: what the engine makes of it is what is tested.
func (w *world) sees(p *policy.Purpose, position string, explicit bool) bool {
	category := w.categories[position]
	if category == "" && strings.HasPrefix(position, "o.") {
		category = w.categories["o"]
	}
	rule, ok := p.Rule(category)
	if category == "" || !ok || rule.RequiresExplicit && !explicit {
		return false
	}
	return slices.Contains([]string{"keep", "mask", "truncate", "pseudonymize"}, rule.Treatment.Name)
}

// record is a drawn record; "" is what is missing.
type record struct {
	a, bx, by, ok, orest string
	l                    []element
	key, header          string
	shape                [4]int // of b, o, l where nothing tells; how members stand
	junk                 string
}

type element struct{ z, w string }

var jsonValues = []string{"", `"x"`, `"ada@example.org"`, `"\u00e9\n"`, "5", "-1.5e3", "true", "null", `{"q":["deep"]}`, `[]`, `""`}

func drawRecord(t *rapid.T) record {
	v := func(what string) string { return rapid.SampledFrom(jsonValues).Draw(t, what) }
	r := record{a: v("a"), bx: v("b.x"), by: v("b.y"), ok: v("o.k"), orest: v("o.rest"), key: v("key"), header: v("header"), junk: v("junk")}
	for range rapid.IntRange(0, 3).Draw(t, "elements") {
		r.l = append(r.l, element{v("z"), v("w")})
	}
	for i := range r.shape {
		r.shape[i] = rapid.IntRange(0, 3).Draw(t, "shape")
	}
	return r
}

// other is r with everything changed that the purpose may not see. Of a list
// that it sees something of, the number of elements stays.
func (r record) other(t *rapid.T, sees func(string) bool) record {
	o := drawRecord(t)
	keep := func(position string, from, to *string) {
		if sees(position) {
			*to = *from
		}
	}
	keep("a", &r.a, &o.a)
	keep("b.x", &r.bx, &o.bx)
	keep("b.y", &r.by, &o.by)
	keep("o.k", &r.ok, &o.ok)
	keep("o", &r.orest, &o.orest)
	keep("key", &r.key, &o.key)
	keep("header", &r.header, &o.header)
	if sees("o") || sees("o.k") { // a container tells of what it holds by being null
		o.shape[2] = r.shape[2]
	}
	if sees("l[*].z") && sees("l[*].w") { // what is wholly kept is copied, blocks and all
		o.shape[1] = r.shape[1]
	}
	if !sees("l[*].z") && !sees("l[*].w") {
		return o
	}
	fresh := o.l
	o.l = slices.Clone(r.l)
	for i := range o.l {
		e := element{}
		if i < len(fresh) {
			e = fresh[i]
		}
		keep("l[*].z", &o.l[i].z, &e.z)
		keep("l[*].w", &o.l[i].w, &e.w)
		o.l[i] = e
	}
	return o
}

// object writes members, each a name and a value, "" for none.
func object(members ...string) string {
	var parts []string
	for i := 0; i < len(members); i += 2 {
		if members[i+1] != "" {
			parts = append(parts, members[i]+": "+members[i+1])
		}
	}
	return "{" + strings.Join(parts, " ,") + "}"
}

// empty is one of the ways of a container to hold nothing.
func empty(s string, shape int) string {
	if s == "{}" || s == "[]" {
		return []string{s, "", "null", `"else"`}[shape]
	}
	return s
}

func (r *record) json() []byte {
	var items []string
	for _, e := range r.l {
		items = append(items, object(`"w"`, e.w, `"z"`, e.z))
	}
	members := []string{`"id"`, `"42"`, `"a"`, r.a, `"b"`, empty(object(`"x"`, r.bx, `"y"`, r.by), r.shape[0]),
		`"l"`, empty("["+strings.Join(items, ",")+"]", r.shape[1]), `"at"`, fmt.Sprint(int64(eventMs)),
		`"o"`, empty(object(`"k"`, r.ok, `"new"`, r.orest), r.shape[2])}
	junk := []string{`"junk"`, r.junk}
	at := r.shape[3] * 4
	return []byte(object(slices.Concat(members[:at], junk, members[at:])...))
}

const worldSchema = `{"type":"record","name":"R","namespace":"crm","fields":[{"name":"id","type":"string"},{"name":"a","type":["null","string"]},
 {"name":"b","type":{"type":"record","name":"B","fields":[{"name":"x","type":"string"},{"name":"y","type":["long","null"]}]}},
 {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
 {"name":"o","type":["null",{"type":"record","name":"O","fields":[{"name":"k","type":"string"},{"name":"new","type":"bytes"}]}]},
 {"name":"l","type":{"type":"array","items":{"type":"record","name":"L","fields":[{"name":"z","type":"string"},{"name":"w","type":["null","string"]}]}}},
 {"name":"junk","type":"string"},{"name":"map","type":{"type":"map","values":"long"}}]}`

func (r *record) avro() []byte {
	b := schemas.AppendFrame(nil, 1)
	str := func(s string) { b = append(binary.AppendVarint(b, int64(len(s))), s...) }
	long := func(n int64) { b = binary.AppendVarint(b, n) }
	nullable := func(s string) {
		if s == "" {
			long(0)
			return
		}
		long(1)
		str(s)
	}
	str("42")
	nullable(r.a)
	str(r.bx)
	if r.by == "" {
		long(1)
	} else {
		long(0)
		long(int64(len(r.by)))
	}
	long(eventMs)
	if r.shape[2] == 0 {
		long(0)
	} else {
		long(1)
		str(r.ok)
		str(r.orest)
	}
	for i, e := range r.l { // one block each, with or without its size
		if i%2 == r.shape[1]%2 {
			var in []byte
			b, in = in, b
			str(e.z)
			nullable(e.w)
			b, in = in, b
			long(-1)
			long(int64(len(in)))
			b = append(b, in...)
			continue
		}
		long(1)
		str(e.z)
		nullable(e.w)
	}
	long(0)
	str(r.junk)
	for i := range r.shape[0] {
		long(1)
		str(fmt.Sprint(i))
		long(int64(r.shape[3]))
	}
	long(0)
	return b
}

func (w *world) input(r *record) engine.Input {
	in := engine.Input{Offset: 5, Timestamp: stampMs, Headers: []engine.Header{{Key: "other", Value: []byte(r.junk)}}}
	if in.Value = r.json(); w.w.Format == schemas.Avro {
		in.Value = r.avro()
	}
	switch {
	case w.w.Key.Subject != "":
		in.Key = []byte("42")
	case r.key != "":
		in.Key = []byte(r.key)
	}
	if r.header != "" {
		in.Headers = append(in.Headers, engine.Header{Key: "h", Value: []byte(r.header)})
	}
	return in
}

// show is all that a purpose's topic shows of an output.
func show(o *engine.Output) string {
	if o == nil {
		return "none"
	}
	return fmt.Sprintf("%s %s %d %d key %q null %v value %q tombstone %v headers %q", o.Purpose, o.Topic, o.Partition, o.Timestamp,
		o.Key, o.Key == nil, o.Value, o.Value == nil, o.Headers)
}

// P6: records that differ only in what a purpose may not see, in value, key and
// headers, give it the same output, byte for byte, or both none.
func TestNoninterference(t *testing.T) {
	for name, format := range map[string]schemas.Format{"json": schemas.JSON, "avro": schemas.Avro} {
		t.Run(name, func(t *testing.T) {
			seen := 0
			rapid.Check(t, func(rt *rapid.T) {
				w := drawWorld(rt, format)
				r := w.open(t)
				one := drawRecord(rt)
				for i := range w.policy.Purposes {
					p := &w.policy.Purposes[i]
					other := one.other(rt, func(position string) bool { return w.sees(p, position, w.consents[i] == "explicit") })
					a := show(output(r.decide(w.input(&one))[0], p.ID))
					it := r.decide(w.input(&other))[0]
					if b := show(output(it, p.ID)); a != b {
						rt.Fatalf("%s sees what it may not\n%s\n%s\nfrom\n%s\n%s\nfault %v, policy %s", p.ID, a, b, one.json(), other.json(), it.Fault, w.policy.Canonical())
					} else if a != "none" {
						seen++
					}
				}
			})
			if seen < 50 {
				t.Errorf("only %d outputs were compared", seen)
			}
		})
	}
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
