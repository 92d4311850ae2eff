package engine_test

import (
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// warnings are the findings of a stream of plain JSON, one purpose of which sees
// behaviour and masks contacts.
func warnings(rules []string, fields ...engine.FieldRule) (all []string) {
	w := jsonStream("id", "user.unique_id")
	w.Topic, w.Purposes, w.Subjects, w.Fields = "in", []string{"p"}, []engine.SubjectRule{customer}, append(w.Fields, fields...)
	for _, f := range engine.Check(engine.Config{Policy: policyOf(contract("p", rules...)), Streams: []engine.Stream{w}}) {
		all = append(all, f.At+": "+f.Message)
	}
	return all
}

// A member whose name has dots is not the path that is spelled alike. What takes it
// instead is warned of, unless it shows no more.
func TestCheckSpellings(t *testing.T) {
	usual := []string{"user.unique_id", "drop", "user.behavior", "keep", "user.contact", "mask", "user.content", "drop"}
	for _, c := range []struct {
		name   string
		rules  []string
		fields []string
		want   string // in turn, the rules that are warned of and what they take
	}{
		{"under **", usual, []string{"**", "user.behavior", "user.email", "user.contact"}, `[**] "user.email" (not user.email)`},
		{"below a cascade", usual, []string{"a", "user.behavior", "a.b.c", "user.contact"}, `[a] a."b.c" (not a.b.c)`},
		{"of a map", usual, []string{"a.*", "user.behavior", "a.*~key", "user.behavior", "a.b.c", "user.contact"}, `[a.*] a."b.c" (not a.b.c)`},
		{"the other way round", usual, []string{"**", "user.behavior", `"user.email"`, "user.contact"}, `[**] user.email (not "user.email")`},
		{"deep", usual, []string{"**", "user.behavior", "**.user.email", "user.contact"}, `[**] **."user.email" (not **.user.email)`},
		{"two", usual, []string{"**", "user.behavior", "a.b", "user.contact", "a.c", "user.contact"}, `[**] "a.b" (not a.b), "a.c" (not a.c)`},
		{"named", usual, []string{"**", "user.behavior", "user.email", "user.contact", `"user.email"`, "user.contact"}, ""},
		{"named otherwise", usual, []string{"user.email", "user.contact", `"user.email"`, "user.behavior"}, ""},
		{"nobody takes it", usual, []string{"user.email", "user.contact"}, ""},
		{"dropped", usual, []string{"**", "user.content", "user.email", "user.contact"}, ""},
		{"the same category", usual, []string{"**", "user.contact", "user.email", "user.contact"}, ""},
		{"the field is kept", usual, []string{"**", "user.contact", "user.x", "user.behavior"}, ""},
		{"the same treatment", []string{"user", "keep", "user.unique_id", "drop"}, []string{"**", "user.behavior", "user.email", "user.contact"}, ""},
		{"behind a gate", []string{"user.behavior", "keep", "user.contact", "keep!"}, []string{"**", "user.behavior", "user.email", "user.contact"}, `[**] "user.email" (not user.email)`},
		{"behind the same gate", []string{"user.behavior", "keep!", "user.contact", "keep!"}, []string{"**", "user.behavior", "user.email", "user.contact"}, ""},
		{"no rule", []string{"user.behavior", "keep"}, []string{"**", "user.behavior", "user.email", "user.contact"}, `[**] "user.email" (not user.email)`},
	} {
		got := ""
		for _, w := range warnings(c.rules, fieldRules(c.fields...)...) {
			if at, takes, ok := strings.Cut(strings.TrimPrefix(w, "streams[0].fields"), ": also takes what is only spelled like another field: "); ok {
				takes, _, _ = strings.Cut(takes, ";")
				got += at + " " + takes
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// It is true: such a member goes out, and does not once it has a path of its own.
func TestSpellingsAreApart(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "**", "user.behavior", "user.email", "user.contact")
	r := newRig(t, w, contract("p", "user.behavior", "keep"))
	const value = `{"id":"42","user":{"email":"a"},"user.email":"b"}`
	if got, want := written(r.value(value), "p"), `{"user.email":"b"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w.Fields = append(w.Fields, fieldRules(`"user.email"`, "user.contact", "n", "user.behavior")...)
	r = newRig(t, w, contract("p", "user.behavior", "keep"))
	if it := r.value(strings.Replace(value, "{", `{"n":1,`, 1)); written(it, "p") != `{"n":1}` {
		t.Errorf("%s", written(it, "p"))
	}
}

// Elements that two paths may choose are warned of once an array, also in a text.
func TestCheckChosenElements(t *testing.T) {
	const twice = "that several paths choose"
	for _, c := range []struct{ fields, want string }{
		{`l[0].m l[k=="v"].m`, "fields: an element of l[*]"},
		{`l[k=="v"].m l[j=="v"].m l[2].m`, "fields: an element of l[*]"},
		{`**[0].m **[k=="v"].m`, "fields: an element of **"},
		{`a.l[0].m b.l[k=="v"].m`, ""}, {`l[0].m l[1].m`, ""}, {`l[k=="v"].m l[k=="w"].m l[*].m`, ""}, {"l[0].m l[*].m", ""},
	} {
		var fields []engine.FieldRule
		for _, path := range strings.Fields(c.fields) {
			fields = append(fields, engine.FieldRule{Path: path, Category: "user.behavior"})
		}
		for _, where := range []string{"", "[t].json"} {
			rules := fields
			if where != "" {
				rules = []engine.FieldRule{{Path: "t", Nested: &engine.NestedRule{Encoding: schemas.PlainText, Fields: fields}}}
			}
			want := strings.Replace(c.want, "fields", "fields"+where, 1)
			n, found := 0, warnings([]string{"user", "keep"}, rules...)
			for _, w := range found {
				if strings.Contains(w, twice) {
					n++
				}
				if want != "" && strings.HasPrefix(w, "streams[0]."+want) {
					want = ""
				}
			}
			if want != "" || n > 1 || n == 1 && c.want == "" {
				t.Errorf("%s in %q: %q, want %s", c.fields, where, found, c.want)
			}
		}
	}
}

// What a path with * takes from one that shows less is warned of, with what to write.
func TestCheckShadowed(t *testing.T) {
	const stable = "user.unique_id drop user.behavior keep user.contact mask user.content drop"
	for _, c := range []struct{ fields, want string }{
		{"m.* user.behavior m.*~key user.behavior **.email user.content", "[m.*] m.email (not **.email) m.email: user.content"},
		{"m.* user.behavior m.*~key user.behavior **.email user.contact **.phone user.content", "[m.*] m.email (not **.email), m.phone (not **.phone) m.email: user.contact, m.phone: user.content"},
		{"* user.behavior *~key user.behavior **.email user.content", "[*] email (not **.email) email: user.content"},
		{"m.*.v user.behavior m.*~key user.behavior **.email.v user.content", "[m.*.v] m.email.v (not **.email.v) m.email.v: user.content"},
		{"m.* user.behavior *.email user.content **.*~key user.behavior", "[m.*] m.email (not *.email) m.email: user.content"},
		{"m.* user.behavior m.*~key user.behavior **.email user.content m.email user.content", ""},
		{"m.* user.behavior m.*~key user.behavior **.email.v user.content", ""},
		{"m.* user.behavior m.*~key user.behavior **.email user.behavior", ""},
		{"m.* user.content m.*~key user.behavior **.email user.behavior", ""},
		{"m.* user.behavior m.*~key user.behavior x.email user.content", ""},
		{"m user.behavior **.email user.content", ""},
		{"**.* user.behavior **.*~key user.behavior **.email user.content", ""},
	} {
		got := ""
		for _, w := range warnings(strings.Fields(stable), fieldRules(strings.Fields(c.fields)...)...) {
			if at, takes, ok := strings.Cut(strings.TrimPrefix(w, "streams[0].fields"), ": takes members that other paths name, and shows more of them: "); ok {
				takes, remedy, _ := strings.Cut(takes, "; the first step that differs decides, so write these too: ")
				got += at + " " + takes + " " + remedy
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.fields, got, c.want)
		}
	}
}

// It is true: the entry goes out, and does not once it has a path of its own.
func TestShadowedGoesOut(t *testing.T) {
	w := jsonStream("id", "user.unique_id", "m.*", "user.behavior", "m.*~key", "user.behavior", "**.email", "user.content")
	const value = `{"id":"42","email":"a","m":{"email":"b","n":1}}`
	if got, want := written(newRig(t, w, contract("p", "user.behavior", "keep")).value(value), "p"), `{"m":{"email":"b","n":1}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w.Fields = append(w.Fields, fieldRules("m.email", "user.content")...)
	if got, want := written(newRig(t, w, contract("p", "user.behavior", "keep")).value(value), "p"), `{"m":{"n":1}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The entries of an Avro map have one category.
func TestCheckShadowedInAvro(t *testing.T) {
	for fields, want := range map[string]bool{"m.* user.behavior m.*~key user.behavior **.email user.content": true, "l[*] user.behavior **.email user.content": false} {
		cfg := sound()
		cfg.Policy = policyOf(contract("p", "user.unique_id", "drop", "user.behavior", "keep"))
		cfg.Streams[0].Fields = append(fieldRules("id", "user.unique_id"), fieldRules(strings.Fields(fields)...)...)
		got := false
		for _, f := range engine.Check(cfg) {
			got = got || f.Warning && f.At == "streams[0].fields[m.*]" && strings.Contains(f.Message, "m.email (not **.email)") && strings.HasSuffix(f.Message, "give it the category that shows least: the entries of an Avro map have one")
		}
		if got != want {
			t.Errorf("%s: warned %v", fields, got)
		}
	}
}
