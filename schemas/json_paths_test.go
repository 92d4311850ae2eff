package schemas

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var patterns = [][]string{
	{"**.a"}, {"**.a", "**.b"}, {"a", "**.b"}, {"a", "a.b", "**.k"}, {"a.**.b", "a.*~key"}, {"**.*~key", "**.a", "b"},
	{"a.*", "a.*~key"}, {"a.*", "a.*~key", "a.b", "k"}, {"a.*.b", "a.*~key", "**.k"}, {"*", "*~key"}, {"*.a", "*~key", "b"},
	{"c[0]", "c[*]"}, {"c[1]"}, {"c", "c[1].a", "b"}, {`c[k=="x"].a`, "c[*].b"}, {`c[k=="x"].a`, `c[k=="ß"].a`, "c[*].a", "c[0]"},
	{`**[k=="x"].a`, "a"}, {"**[0]", "**.c"}, {"**[*].a", "b"}, {"a.**", "a.b"}, {"**", "a"}, {"a[*].**.b", "a[*]", "b"},
	{"**.a.**.b", "a.k", "**.*~key"}, {`[k=="x"].a`, "[*].b"}, {"[0].a", "[*].**.b"}, {"**.a", "**.A", "b.a"}, {`c[k=="x"].k`, `c[b=="x"].a`, "c[*]"},
}

// drawPattern draws the paths of a wiring and what a purpose does with them.
func drawPattern(t *rapid.T, acts []Action) (rules []rule) {
	paths := rapid.SampledFrom(patterns).Draw(t, "paths")
	if rapid.Bool().Draw(t, "any paths") {
		paths = drawPaths(t)
	}
	for _, p := range paths {
		rules = append(rules, rule{p, rapid.SampledFrom(acts).Draw(t, p)})
	}
	return rules
}

// drawPaths draws paths that can stand in one layout, each once.
func drawPaths(t *rapid.T) (paths []string) {
	steps := rapid.SampledFrom([]Step{member("a"), member("a"), member("b"), member("k"), anyMember, anyMember, elements, index(0), deep, deep,
		{Kind: StepPredicate, Name: "k", Value: "x"}})
	for range rapid.IntRange(1, 5).Draw(t, "paths") {
		var p Path
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			if s := steps.Draw(t, "step"); s != deep || len(p) == 0 || p[len(p)-1] != deep {
				p = append(p, s)
			}
		}
		if p[len(p)-1] == anyMember && rapid.Bool().Draw(t, "key") {
			p = append(p, key)
		}
		if more := append(slices.Clone(paths), p.String()); !slices.Contains(paths, p.String()) && !ambiguous(more) {
			paths = more
		}
	}
	return paths
}

// ambiguous reports whether paths say of a position what cannot both be.
func ambiguous(paths []string) bool {
	_, err := NewJSON(paths)
	return err != nil
}

// project gives every node the action of the rule that is the most specific
// there, as the categories of a wiring cascade.
func project(t testing.TB, rules []rule) (Layout, Projection) {
	t.Helper()
	return projectWith(t, rules, func(paths []string) (Layout, error) { return NewJSON(paths) })
}

func projectWith(t testing.TB, rules []rule, layout func([]string) (Layout, error)) (Layout, Projection) {
	t.Helper()
	var paths []string
	for _, r := range rules {
		paths = append(paths, r.path)
	}
	l, err := layout(paths)
	if err != nil {
		t.Fatal(err)
	}
	acts := make([]Action, len(l.Nodes()))
	for id, n := range l.Nodes() {
		acts[id] = actionAt(rules, l.(*jsonLayout).trie[id].path)
		if a := &acts[id]; n.Type.Kind == String && a.Op == OpConst {
			*a = drop // the constant of these tests is not a text
		}
	}
	p, err := l.Project(acts, "")
	if err != nil {
		t.Fatal(err)
	}
	return l, p
}

func actionAt(rules []rule, at Path) (best Action) {
	var won Path
	tie := false
	for _, r := range rules {
		p, _ := ParsePath(r.path)
		if !p.Covers(at) {
			continue
		}
		c := 1
		if won != nil {
			c = p.Compare(won, at)
		}
		switch {
		case c > 0:
			won, best, tie = p, r.act, false
		case c == 0:
			tie = tie || r.act.Op != best.Op || r.act.Gate != best.Gate
		}
	}
	if tie {
		return drop
	}
	return best
}

// put replaces the value of member or element i.
func (d *doc) put(i int, by func(*doc) *doc) {
	if d.array {
		d.items[i] = by(d.items[i])
	} else {
		d.members[i].value = by(d.members[i].value)
	}
}

// mutate changes one thing in a copy of d: a member or element goes, comes or
// changes.
func mutate(t *rapid.T, d *doc) *doc {
	c := &doc{scalar: d.scalar, members: slices.Clone(d.members), items: slices.Clone(d.items), array: d.array, pad: d.pad}
	n := len(c.members) + len(c.items)
	if n > 0 && rapid.IntRange(0, 2).Draw(t, "deeper") > 0 {
		i := rapid.IntRange(0, n-1).Draw(t, "which")
		c.put(i, func(v *doc) *doc {
			if v.scalar == "" {
				return mutate(t, v)
			}
			return drawDoc(t, 1)
		})
		return c
	}
	i := 0
	if n > 0 {
		i = rapid.IntRange(0, n-1).Draw(t, "which")
	}
	switch kind := rapid.IntRange(0, 2).Draw(t, "kind"); {
	case n > 0 && kind == 0 && c.array:
		c.items = slices.Delete(c.items, i, i+1)
	case n > 0 && kind == 0:
		c.members = slices.Delete(c.members, i, i+1)
	case kind == 1:
		c.pad = rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "pad")
	case c.array:
		c.items = slices.Insert(c.items, i, drawDoc(t, 2))
	default:
		if m := drawMember(t, 2); !c.holds(m.name) {
			c.members = slices.Insert(c.members, i, m)
		}
	}
	return c
}
