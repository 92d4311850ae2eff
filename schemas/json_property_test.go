package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// doc is a JSON value with its order and its white space.
type doc struct {
	scalar  string // its text; "" for containers
	members []docMember
	items   []*doc
	array   bool
	pad     string
}

type docMember struct {
	name   string
	escape bool // write it with \u escapes
	value  *doc
}

func (d *doc) text() string {
	if d.scalar != "" {
		return d.scalar
	}
	var parts []string
	for _, m := range d.members {
		name := string(appendJSONString(nil, m.name))
		if m.escape {
			name = `"` + strings.Join(escaped(m.name), "") + `"`
		}
		parts = append(parts, d.pad+name+d.pad+":"+d.pad+m.value.text()+d.pad)
	}
	for _, v := range d.items {
		parts = append(parts, d.pad+v.text()+d.pad)
	}
	if d.array {
		return "[" + strings.Join(parts, ",") + d.pad + "]"
	}
	return "{" + strings.Join(parts, ",") + d.pad + "}"
}

func escaped(name string) (out []string) {
	for _, r := range name {
		out = append(out, fmt.Sprintf(`\u%04x`, r))
	}
	return out
}

// holds reports whether a name is there already, except for case.
func (d *doc) holds(name string) bool {
	return slices.ContainsFunc(d.members, func(m docMember) bool { return equalFold(m.name, name) })
}

var (
	docNames  = []string{"a", "b", "c", "d", "A", "B", "k", "\u212a", "zz", "é", ""}
	docValues = []string{`"x"`, `"y\n\u00e9"`, `"ß"`, "1", "-2.5e3", "true", "false", "null", `""`}
)

func drawDoc(t *rapid.T, depth int) *doc {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	if depth == 0 || kind < 2 {
		return &doc{scalar: rapid.SampledFrom(docValues).Draw(t, "scalar")}
	}
	d := &doc{array: kind == 2, pad: rapid.SampledFrom([]string{"", "", " ", "\r\n\t"}).Draw(t, "pad")}
	for range rapid.IntRange(0, 4).Draw(t, "size") {
		if d.array {
			d.items = append(d.items, drawDoc(t, depth-1))
		} else if m := drawMember(t, depth-1); !d.holds(m.name) {
			d.members = append(d.members, m)
		}
	}
	return d
}

func drawMember(t *rapid.T, depth int) docMember {
	return docMember{
		name:   rapid.SampledFrom(docNames).Draw(t, "name"),
		escape: rapid.Bool().Draw(t, "escape"),
		value:  drawDoc(t, depth),
	}
}

func drawRoot(t *rapid.T) *doc {
	for {
		d := drawDoc(t, 4)
		if d.scalar == "" {
			return d
		}
	}
}

// drawRules draws actions for paths that can stand in one layout.
func drawRules(t *rapid.T) []rule {
	sets := [][]string{
		{"a", "b", "c", "k"},
		{"b", "b.a", "b.c[*].a", "b.c[*].k", "c[*]", "a"},
		{"a.a.a", "a.a.b", "a.b", "b[*][*]", "k", "k.k"},
		{"[*].a", "[*].b.c", "[*].b"},
	}
	acts := []Action{keep, keep, drop, null, replace, one, gated, {Op: OpReplace, Via: upperText{}, Gate: 2}}
	var rules []rule
	for _, p := range rapid.SampledFrom(sets).Draw(t, "paths") {
		rules = append(rules, rule{p, rapid.SampledFrom(acts).Draw(t, p)})
	}
	return rules
}

// reference is what Splice promises, told slowly: it decodes into maps.
type reference struct {
	acts  map[string]Action // by path, gates resolved
	named []Path
}

func newReference(rules []rule, gates uint32) reference {
	r := reference{acts: map[string]Action{}}
	for _, rule := range rules {
		a := rule.act
		if a.Gate != 0 && gates>>(a.Gate-1)&1 == 0 {
			a = Action{Op: OpNull}
		}
		p, _ := ParsePath(rule.path)
		r.acts[p.String()], r.named = a, append(r.named, p)
	}
	return r
}

func (r reference) children(at Path) (steps []Step) {
	for _, p := range r.named {
		if len(p) > len(at) && slices.Equal(p[:len(at)], at) && !slices.Contains(steps, p[len(at)]) {
			steps = append(steps, p[len(at)])
		}
	}
	return steps
}

// act is what is said of a path or of the nearest above it: it cascades.
func (r reference) act(at Path) Action {
	for n := len(at); n > 0; n-- {
		if a, ok := r.acts[at[:n].String()]; ok {
			return a
		}
	}
	return drop
}

func (r reference) keepsRest(at Path) bool {
	kids := r.children(at)
	return len(kids) > 0 && kids[0].Kind == StepMember && r.act(at).Op == OpKeep
}

// can says whether anything of a record can come to stand at a path.
func (r reference) can(at Path) bool {
	kids := r.children(at)
	if len(kids) == 0 {
		op := r.act(at).Op
		return op == OpKeep || op == OpReplace
	}
	return r.keepsRest(at) || slices.ContainsFunc(kids, func(s Step) bool { return r.can(append(slices.Clone(at), s)) })
}

// always gives what is written at a path whatever the record holds.
func (r reference) always(at Path) (v any, is bool) {
	kids := r.children(at)
	switch op := r.act(at).Op; {
	case r.can(at):
		return nil, false
	case len(kids) == 0:
		if op == OpConst {
			return json.Number("1"), true
		}
		return nil, op == OpNull
	case op == OpNull && kids[0].Kind == StepMember:
		return nil, true
	}
	for _, s := range kids {
		if v, is := r.always(append(slices.Clone(at), s)); is && v == nil {
			return nil, true
		}
	}
	return nil, false
}

// value gives what is written for v at a path, and whether it is.
func (r reference) value(at Path, v any) (out any, wrote bool) {
	kids := r.children(at)
	if len(kids) == 0 {
		return r.leaf(r.act(at).Op, v)
	}
	if kids[0].Kind == StepElements {
		items, _ := v.([]any)
		kept := []any{}
		for _, v := range items {
			if out, wrote := r.value(append(slices.Clone(at), elements), v); wrote {
				kept = append(kept, out)
			}
		}
		return kept, len(kept) > 0
	}
	return r.object(at, kids, v)
}

func (reference) leaf(op Op, v any) (out any, wrote bool) {
	switch s, isText := v.(string); {
	case op == OpKeep || op == OpReplace && v == nil:
		return v, true
	case op == OpReplace && isText:
		return string(bytes.ToUpper([]byte(s))), true
	}
	return nil, false
}

func (r reference) object(at Path, kids []Step, v any) (out any, wrote bool) {
	kept := map[string]any{}
	members, _ := v.(map[string]any)
	for name, v := range members {
		near := slices.ContainsFunc(kids, func(s Step) bool { return equalFold(s.Name, name) })
		if slices.Contains(kids, member(name)) {
			v, near = r.value(append(slices.Clone(at), member(name)), v)
			if near {
				kept[name] = v
			}
		} else if !near && r.keepsRest(at) {
			kept[name] = v
		}
	}
	wrote = len(kept) > 0
	for _, s := range kids {
		if v, is := r.always(append(slices.Clone(at), s)); is {
			kept[s.Name] = v
		}
	}
	return kept, wrote
}

func decode(t interface{ Fatalf(string, ...any) }, text string) (v any) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestSpliceEqualsReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		l, p := project(t, rules)
		gates := uint32(rapid.IntRange(0, 3).Draw(rt, "gates"))
		in := drawRoot(rt).text()
		got, _, err := scanSplice(l, p, in, gates)
		if err != nil {
			rt.Fatalf("%s: %v", in, err)
		}
		want, _ := newReference(rules, gates).value(Path{}, decode(rt, in))
		if have := decode(rt, got); !reflect.DeepEqual(have, want) {
			rt.Fatalf("%v, gates %b\n%s\ngives %s\nwant  %v", rules, gates, in, got, want)
		}
	})
}

// hide changes in a copy of d what the purpose may not see, and nothing else:
// values, presence, order and white space of everything that is not written.
func (r reference) hide(t *rapid.T, at Path, d *doc) *doc {
	kids := r.children(at)
	if d.scalar != "" || len(kids) == 0 || (kids[0].Kind == StepElements) != d.array {
		return d
	}
	h := &doc{array: d.array, pad: rapid.SampledFrom([]string{"", " ", "\n"}).Draw(t, "pad")}
	noise := func() {
		m := drawMember(t, 2)
		sees := r.sees(at, m.name, m.value)
		if h.array && !sees {
			h.items = append(h.items, m.value)
		}
		if !h.array && !sees && !d.holds(m.name) && !h.holds(m.name) {
			h.members = append(h.members, m)
		}
	}
	for _, v := range d.items {
		if rapid.Bool().Draw(t, "noise") {
			noise()
		}
		if r.sees(at, "", v) {
			h.items = append(h.items, r.hide(t, append(slices.Clone(at), elements), v))
		}
	}
	for _, m := range d.members {
		if rapid.Bool().Draw(t, "noise") {
			noise()
		}
		if r.sees(at, m.name, m.value) {
			if below := append(slices.Clone(at), member(m.name)); slices.Contains(kids, member(m.name)) {
				m.value = r.hide(t, below, m.value)
			}
			h.members = append(h.members, m)
		}
	}
	noise()
	return h
}

// sees says whether anything of a member (or element) is written.
func (r reference) sees(at Path, name string, v *doc) bool {
	kids := r.children(at)
	x := decode(panics{}, v.text())
	if kids[0].Kind == StepElements {
		_, wrote := r.value(append(slices.Clone(at), elements), x)
		return wrote
	}
	_, wrote := r.object(at, kids, map[string]any{name: x})
	return wrote
}

type panics struct{}

func (panics) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// P6: two records that differ only in what a purpose may not see come out as
// the same bytes.
func TestSpliceNoninterference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawRules(rt)
		l, p := project(t, rules)
		gates := uint32(rapid.IntRange(0, 3).Draw(rt, "gates"))
		d := drawRoot(rt)
		a := d.text()
		b := newReference(rules, gates).hide(rt, Path{}, d).text()
		outA, _, errA := scanSplice(l, p, a, gates)
		outB, _, errB := scanSplice(l, p, b, gates)
		if errA != nil || errB != nil {
			rt.Fatalf("%s: %v\n%s: %v", a, errA, b, errB)
		}
		if outA != outB {
			rt.Fatalf("%v, gates %b\n%s\ngives %s\n%s\ngives %s", rules, gates, a, outA, b, outB)
		}
	})
}

// A canary in every member that no rule keeps, in names and values, is never
// written, whatever stands around it.
func TestSpliceCanary(t *testing.T) {
	const canary = "jane.canary@example.com"
	rapid.Check(t, func(rt *rapid.T) {
		l, p := project(t, []rule{{"a.b", keep}, {"a.c", drop}, {"b[*].k", replace}, {"k", gated}, {"d", null}})
		plant := func(m *doc) {
			if !m.array && m.scalar == "" {
				m.members = append(m.members, docMember{canary, false, &doc{scalar: `"` + canary + `"`}})
			}
		}
		d := drawRoot(rt)
		plant(d)
		for _, m := range d.members {
			switch m.name {
			case "a":
				plant(m.value)
			case "d", "k":
				m.value.scalar = `"` + canary + `"`
			case "b":
				for _, v := range m.value.items {
					plant(v)
				}
			}
		}
		in := d.text()
		if cut := rapid.IntRange(0, 3*len(in)).Draw(rt, "cut"); cut < len(in) {
			in = in[:cut] // what is wrong with a record must not tell either
		}
		got, _, err := scanSplice(l, p, in, 0)
		if strings.Contains(got, canary) || err != nil && strings.Contains(err.Error(), "canary") {
			rt.Fatalf("%s\ngives %s, %v", in, got, err)
		}
	})
}

// Names that a treatment makes equal fail the record also in elements that are told
// apart, and so are given no nulls.
func TestEqualNamesInVariants(t *testing.T) {
	same := Action{Op: OpReplace, Via: fixedValue{Value{Kind: String, Text: []byte("same")}}, Result: Type{Kind: String}}
	l, p := project(t, []rule{{"l[*].*", keep}, {"l[*].*~key", same}, {"l[0].*", keep}, {"l[0].*~key", same}, {"l[0].x", null}})
	for src, want := range map[string]Code{`{"l":[{"a":1},{"b":1}]}`: "", `{"l":[{"a":1,"b":2}]}`: CodeTreatmentFailed, `{"l":[{},{"a":1,"b":2}]}`: CodeTreatmentFailed} {
		if out, _, err := scanSplice(l, p, src, 0); code(err) != want {
			t.Errorf("%s gives %s, %v", src, out, err)
		}
	}
}
