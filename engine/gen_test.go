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
	w        engine.Stream
	policy   *policy.Policy
	consents []string // by purpose: "", "expressed", "explicit", "withdrawn"
}

var (
	worldCategories = []string{"user.contact.email", "user.behavior", "user.device", "user.health_and_medical", "user.financial", "system.operations"}
	worldTreatments = []string{"", "keep", "keep!", "drop", "redact", "mask", "mask!", "truncate", "pseudonymize", "pseudonymize!", "constant"}
	worldPaths      = []string{"a", "b.x", "b.y", "o", "o.k", "l[*].z", "l[*].w"}
)

func drawWorld(t *rapid.T, format schemas.Format) *world {
	w := &world{}
	w.w = engine.Stream{Topic: "in", Format: format, Subjects: []engine.SubjectRule{customer}, Fields: fieldRules("id", "user.unique_id", "at", "system"),
		EventTime: engine.TimeRule{Path: "at", Unit: "ms"}}
	if format == schemas.Avro {
		w.w.EventTime.Unit = ""
	}
	for _, p := range worldPaths {
		if c := rapid.SampledFrom(append(worldCategories, "")).Draw(t, p); c != "" {
			w.w.Fields = append(w.w.Fields, engine.FieldRule{Path: p, Category: c})
		}
	}
	switch rapid.SampledFrom([]string{"none", "subject", "category"}).Draw(t, "key") {
	case "subject":
		w.w.Key.Subject = "customer"
	case "category":
		w.w.Key.Category = rapid.SampledFrom(worldCategories).Draw(t, "key category")
	}
	w.w.Headers = []engine.HeaderRule{{Name: "h", Category: rapid.SampledFrom(worldCategories).Draw(t, "header category")}}
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
