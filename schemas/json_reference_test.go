package schemas

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// seer says which part of a record a purpose sees, value by value and without
// an automaton: it walks the record with what is left of each rule's path.
type seer struct {
	rules []rule
	paths []Path
	gates uint32
}

func newSeer(rules []rule, gates uint32) seer {
	s := seer{rules: rules, gates: gates}
	for _, r := range rules {
		p, _ := ParsePath(r.path)
		s.paths = append(s.paths, p.trimDeep())
	}
	return s
}

// spot is where the walk is.
type spot struct {
	rests [][]Step // by rule: each way to go on; nil for none
	of    []int    // their rules
	done  []int    // the rules that ended here or last above
	float bool
	// scalar: a rule ended here by a step that is firmer than those of all that go on.
	scalar bool
}

func (s seer) start() (at spot) {
	for i, p := range s.paths {
		at.add(i, p)
	}
	return at
}

func (at *spot) add(rule int, rest []Step) {
	if len(rest) == 0 {
		return
	}
	at.rests, at.of = append(at.rests, rest), append(at.of, rule)
	if rest[0].Kind == StepDeep {
		at.add(rule, rest[1:])
	}
}

// firsts are the steps that may come next.
func (at spot) firsts(kinds ...StepKind) (steps []Step) {
	for _, r := range at.rests {
		if slices.Contains(kinds, r[0].Kind) && !slices.Contains(steps, r[0]) {
			steps = append(steps, r[0])
		}
	}
	return steps
}

// next goes on over a step that takes accepts; keys are the rules of its name.
func (s seer) next(at spot, takes func(Step) bool) (to spot, keys []int) {
	var ended []int
	firm := map[bool]int{}
	for i, rest := range at.rests {
		r := at.of[i]
		switch {
		case rest[0].Kind == StepDeep:
			to.add(r, rest)
		case !takes(rest[0]):
		case len(rest) == 1:
			ended = append(ended, r)
			firm[true] = max(firm[true], rest[0].rank())
		case rest[1].Kind == StepKey:
			keys = append(keys, r)
		default:
			to.add(r, rest[1:])
			firm[false] = max(firm[false], rest[0].rank())
		}
	}
	to.scalar = firm[true] > firm[false]
	if to.done = at.done; len(ended) > 0 {
		to.done = s.best(ended)
	}
	return to, s.best(keys)
}

func (s seer) best(rules []int) (best []int) {
	for _, r := range rules {
		if !slices.ContainsFunc(rules, func(o int) bool { return s.paths[o].compareRanks(s.paths[r]) > 0 }) {
			best = append(best, r)
		}
	}
	return best
}

// op is what rules of equal rank say; that they differ is as good as none.
func (s seer) op(rules []int) Op {
	if len(rules) == 0 {
		return OpDrop
	}
	act := s.rules[rules[0]].act
	for _, r := range rules {
		if s.rules[r].act.Op != act.Op || s.rules[r].act.Gate != act.Gate {
			return OpDrop
		}
	}
	if act.Gate != 0 && s.gates>>(act.Gate-1)&1 == 0 {
		return OpNull
	}
	return act.Op
}

// see gives the part of d that is seen, nil for none.
func (s seer) see(at spot, d *doc) *doc {
	op := s.op(at.done)
	if len(at.rests) == 0 {
		return seeValue(op, d)
	}
	deep := len(at.firsts(StepDeep)) > 0
	object := deep || len(at.firsts(StepMember, StepAnyMember)) > 0
	switch {
	case d.scalar != "" && !at.scalar && (!deep || at.float && op == OpReplace):
		return nil
	case d.scalar != "":
		return seeValue(op, d)
	case d.array && (deep || !object):
		return s.elements(at, d)
	case !d.array && object:
		return s.members(at, op, d)
	}
	return nil
}

func seeValue(op Op, d *doc) *doc {
	switch {
	case op == OpKeep || op == OpReplace && d.scalar == "null":
		return d
	case op == OpReplace && strings.HasPrefix(d.scalar, `"`):
		var text string
		if json.Unmarshal([]byte(d.scalar), &text) != nil {
			panic(d.scalar)
		}
		return &doc{scalar: string(appendJSONString(nil, bytes.ToUpper([]byte(text))))}
	}
	return nil
}

func (s seer) elements(at spot, d *doc) *doc {
	seen := &doc{array: true}
	tells := at.firsts(StepIndex, StepPredicate)
	for i, v := range d.items {
		claims := 0
		takes := func(st Step) bool {
			return st.Kind == StepElements || slices.Contains(tells, st) && claim(st, i, v) == 1
		}
		for _, st := range tells {
			claims += claim(st, i, v)
		}
		to, _ := s.next(at, takes)
		to.float = len(at.firsts(StepElements, StepIndex, StepPredicate)) == 0
		if claims > 1 || len(to.rests)+len(to.done) == 0 {
			continue
		}
		if v := s.see(to, v); v != nil {
			seen.items = append(seen.items, v)
		}
	}
	if len(seen.items) == 0 {
		return nil
	}
	return seen
}

// claim is 1 where an element is a step's, and 2 where nobody can tell.
func claim(st Step, i int, v *doc) int {
	if st.Kind == StepIndex {
		if st.Index == i {
			return 1
		}
		return 0
	}
	for _, m := range v.members {
		var text string
		switch {
		case m.name == st.Name && strings.HasPrefix(m.value.scalar, `"`):
			if json.Unmarshal([]byte(m.value.scalar), &text); text == st.Value {
				return 1
			}
		case m.name != st.Name && equalFold(m.name, st.Name):
			return 2
		}
	}
	return 0
}

func (s seer) members(at spot, op Op, d *doc) *doc {
	seen := &doc{}
	names := at.firsts(StepMember)
	for _, m := range d.members {
		step := member(m.name)
		if !slices.Contains(names, step) {
			if slices.ContainsFunc(names, func(st Step) bool { return equalFold(st.Name, m.name) }) {
				continue
			}
			step = Step{}
		}
		to, keys := s.next(at, func(st Step) bool { return st == step || st.Kind == StepAnyMember })
		if step.Kind == NoStep {
			anyMember := len(at.firsts(StepAnyMember)) > 0
			to.float = !anyMember
			name := op
			if anyMember {
				name = s.op(keys)
			} else if op == OpReplace {
				continue
			}
			if len(at.done) == 0 && !anyMember || name != OpKeep && name != OpReplace {
				continue
			}
			if name == OpReplace {
				m.name = string(bytes.ToUpper([]byte(m.name)))
			}
		}
		if m.value = s.see(to, m.value); m.value != nil {
			m.escape = false
			seen.members = append(seen.members, m)
		}
	}
	if len(seen.members) == 0 {
		return nil
	}
	return seen
}

// collides reports whether treated names are equal except for case somewhere.
func (d *doc) collides() bool {
	for i, m := range d.members {
		for _, o := range d.members[:i] {
			if equalFold(m.name, o.name) {
				return true
			}
		}
		if m.value.collides() {
			return true
		}
	}
	return slices.ContainsFunc(d.items, (*doc).collides)
}

func seenText(d, root *doc) string {
	switch {
	case d != nil:
		return d.text()
	case root.array:
		return "[]"
	}
	return "{}"
}

// What comes out is what is seen, where nothing stands in for what is not.
func TestSpliceShowsWhatIsSeen(t *testing.T) {
	seen := 0
	rapid.Check(t, func(rt *rapid.T) {
		rules := drawPattern(rt, []Action{keep, keep, keep, drop, replace})
		l, p := project(t, rules)
		d := drawRoot(rt)
		part := newSeer(rules, 0).seeRoot(d)
		got, _, err := scanSplice(l, p, d.text(), 0)
		if part != nil && part.collides() {
			if code(err) != CodeTreatmentFailed {
				rt.Fatalf("%v\n%s\ngives %s, %v; want a collision of names", rules, d.text(), got, err)
			}
			return
		}
		if err != nil {
			rt.Fatalf("%v\n%s: %v", rules, d.text(), err)
		}
		if part == nil {
			if got != "{}" && got != "[]" {
				rt.Fatalf("%v\n%s\ngives %s, want nothing", rules, d.text(), got)
			}
			return
		}
		seen++
		if have, want := decode(rt, got), decode(rt, part.text()); !reflect.DeepEqual(have, want) {
			rt.Fatalf("%v\n%s\ngives %s\nwant  %s", rules, d.text(), got, part.text())
		}
	})
	if seen == 0 {
		t.Error("nothing was ever seen")
	}
}

func (s seer) seeRoot(d *doc) *doc {
	at := s.start()
	for i, p := range s.paths {
		if len(p) == 0 {
			at.done = append(at.done, i)
		}
	}
	return s.see(at, d)
}

// P6 for every kind of path: of two records of which a purpose sees the same, it
// gets the same bytes.
func TestSpliceNoninterferenceOfPaths(t *testing.T) {
	noninterference(t, func(rt *rapid.T, acts []Action) ([]rule, *doc) { return drawPattern(rt, acts), drawRoot(rt) })
}

// So for the elements that [n] and [key=="v"] tell apart, which records drawn from
// everything seldom have.
func TestSpliceNoninterferenceOfElements(t *testing.T) {
	noninterference(t, func(rt *rapid.T, acts []Action) (rules []rule, d *doc) {
		for _, p := range []string{"[*].b", "[*].c", "[0].a", "[0].c", `[k=="x"].a`, `[k=="x"].d.a`, "[*].d.b", "[1].**.b"} {
			if rapid.Bool().Draw(rt, p) {
				rules = append(rules, rule{p, rapid.SampledFrom(acts).Draw(rt, p)})
			}
		}
		d = &doc{array: true}
		for range rapid.IntRange(1, 3).Draw(rt, "elements") {
			d.items = append(d.items, drawElement(rt, "a", "b", "c", "d", "k"))
		}
		return rules, d
	})
}

// drawElement draws an object with some of the members.
func drawElement(t *rapid.T, names ...string) *doc {
	d := &doc{}
	for _, name := range names {
		switch v := rapid.SampledFrom([]string{"", "", `"x"`, "1", "null"}).Draw(t, name); {
		case v != "" && name == "d":
			d.members = append(d.members, docMember{name: name, value: drawElement(t, "a", "b")})
		case v != "":
			d.members = append(d.members, docMember{name: name, value: &doc{scalar: v}})
		}
	}
	return d
}

func noninterference(t *testing.T, draw func(*rapid.T, []Action) ([]rule, *doc)) {
	same, differ := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		rules, a := draw(rt, []Action{keep, keep, drop, replace, null, one, gated, {Op: OpReplace, Via: upperText{}, Gate: 2}})
		l, p := project(t, rules)
		gates := uint32(rapid.IntRange(0, 3).Draw(rt, "gates"))
		s := newSeer(rules, gates)
		b := a
		for range rapid.IntRange(1, 4).Draw(rt, "changes") {
			if c := mutate(rt, b); seenText(s.seeRoot(c), c) == seenText(s.seeRoot(a), a) {
				b = c
			}
		}
		if a.text() == b.text() {
			same++
			return
		}
		differ++
		outA, _, errA := scanSplice(l, p, a.text(), gates)
		outB, _, errB := scanSplice(l, p, b.text(), gates)
		if outA != outB || code(errA) != code(errB) {
			rt.Fatalf("%v, gates %b\n%s\ngives %s, %v\n%s\ngives %s, %v", rules, gates, a.text(), outA, errA, b.text(), outB, errB)
		}
	})
	t.Logf("%d pairs that differ, %d that do not", differ, same)
	if differ < same/4 {
		t.Errorf("only %d pairs differ, %d do not", differ, same)
	}
}
