package schemas

import (
	"encoding/json"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// gnode is one position of a random case, as the package comment numbers them.
type gnode struct {
	ty        *gtype
	id        int
	path      string
	contested bool
	// kids are the fields; the variants of an element; key and value; the
	// branches, nil for null.
	kids  []*gnode
	steps []Step // of an array
	a     Action
}

// gcase is one random case.
type gcase struct {
	root   *gnode
	schema string
	layout Layout
	acts   []Action
	gates  uint32
	nodes  []*gnode
	steps  map[string][]Step // by path of an array
}

// drawCase draws a schema and, where actions is true, random actions.
func drawCase(t *rapid.T, actions bool) *gcase {
	g := gschema{t: t}
	ty := g.of("record", 3)
	ty.nullable = 0
	text, err := json.Marshal(ty.schema(map[string]bool{}))
	if err != nil {
		t.Fatal(err)
	}
	c := &gcase{schema: string(text), steps: map[string][]Step{}}
	c.root = c.build(t, ty, "", false)
	var paths []string
	for path, steps := range c.steps {
		for _, s := range steps {
			paths = append(paths, path+s.text())
		}
	}
	if c.layout, err = NewAvro(c.schema, paths); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(c.nodes) != len(c.layout.Nodes()) {
		t.Fatalf("%d nodes, want %d", len(c.layout.Nodes()), len(c.nodes))
	}
	c.drawActions(t, actions)
	return c
}

func (c *gcase) drawActions(t *rapid.T, actions bool) {
	c.gates = uint32(rapid.IntRange(0, 3).Draw(t, "gates"))
	// Few operations a case, so that whole containers often share one.
	ops := rapid.SliceOfN(rapid.SampledFrom([]Op{OpDrop, OpKeep, OpKeep, OpNull, OpReplace, OpConst}), 1, 3).Draw(t, "ops")
	gates := rapid.SampledFrom([][]int{{0}, {0, 0, 1, 2}, {1, 2}}).Draw(t, "action gates")
	for i, n := range c.layout.Nodes() {
		if n.Path != c.nodes[i].path || n.Contested != c.nodes[i].contested {
			t.Fatalf("node %d is %q, want %q", i, n.Path, c.nodes[i].path)
		}
		a := Action{Op: OpKeep}
		if actions {
			a = drawAction(t, n.Type, rapid.SampledFrom(ops).Draw(t, "op"), rapid.SampledFrom(gates).Draw(t, "gate"))
		}
		if a.Op == OpConst && strings.HasSuffix(n.Path, "~key") {
			a = Action{Op: OpKeep, Gate: a.Gate}
		}
		c.acts = append(c.acts, a)
		if c.nodes[i].a = a; n.Contested {
			c.nodes[i].a = Action{}
		}
	}
}

func drawAction(t *rapid.T, ty Type, op Op, gate int) Action {
	a := Action{Op: op}
	if a.Op != OpDrop && a.Op != OpNull {
		a.Gate = uint8(gate)
	}
	switch {
	case a.Op == OpReplace && ty.Kind == Record:
		a.Op = OpKeep
	case a.Op == OpReplace && ty.Kind == String:
		a.Via, a.Result = upper{}, Type{Kind: String}
	case a.Op == OpReplace || a.Op == OpConst:
		a.Via, a.Result = constant("const"), Type{Kind: String}
	}
	return a
}

// build numbers ty and all below it.
func (c *gcase) build(t *rapid.T, ty *gtype, path string, contested bool) *gnode {
	n := &gnode{ty: ty, id: len(c.nodes), path: path, contested: contested}
	c.nodes = append(c.nodes, n)
	switch ty.kind {
	case "record":
		for i, f := range ty.subs {
			n.kids = append(n.kids, c.build(t, f, joinPath(path, ty.names[i]), contested))
		}
	case "map":
		n.kids = []*gnode{c.build(t, &gtype{kind: "string"}, path+".*~key", contested), c.build(t, ty.subs[0], path+".*", contested)}
	case "union":
		for _, b := range ty.subs {
			if b.kind == "null" {
				n.kids = append(n.kids, nil)
			} else {
				n.kids = append(n.kids, c.build(t, b, path, contested))
			}
		}
	case "array":
		c.buildElements(t, n)
	}
	return n
}

func (c *gcase) buildElements(t *rapid.T, n *gnode) {
	elem := n.ty.subs[0]
	n.steps = c.drawSteps(t, n.path, elem)
	n.kids = append(n.kids, c.build(t, elem, n.path+"[*]", n.contested))
	names := map[string]bool{}
	for _, s := range n.steps {
		names[s.Name] = true // "" for an index
		n.kids = append(n.kids, c.build(t, elem, n.path+s.text(), n.contested))
	}
	if len(names) > 1 {
		n.kids = append(n.kids, c.build(t, elem, n.path+"[*]", true))
	}
}

// drawSteps draws the variants of an array, the same for all that have its path
// except for elements chosen in other ways around it.
func (c *gcase) drawSteps(t *rapid.T, path string, elem *gtype) []Step {
	p, err := ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range p {
		if s.Kind == StepIndex || s.Kind == StepPredicate {
			p[i] = elements
		}
	}
	shape := p.String()
	steps, ok := c.steps[shape]
	if !ok {
		some := []Step{index(0), index(1), where("f0", "v"), where("f0", "w"), where("f0", "A"), where("f1", "v"), where("f9", "v")}
		if n := rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(t, "variants"); len(c.nodes) < 300 {
			steps = rapid.Permutation(some).Draw(t, "steps")[:n]
		}
		c.steps[shape] = steps
	}
	return slices.DeleteFunc(slices.Clone(steps), func(s Step) bool {
		return s.Kind == StepPredicate && !elem.canBe(s.Name)
	})
}

func (ty *gtype) canBe(name string) bool {
	switch ty.kind {
	case "union":
		return slices.ContainsFunc(ty.subs, func(b *gtype) bool { return b.canBe(name) })
	case "record":
		i := slices.Index(ty.names, name)
		return i >= 0 && (ty.subs[i].kind == "string" || ty.subs[i].kind == "enum")
	}
	return false
}

// is reports whether member name of v is the text.
func (v *gval) is(ty *gtype, name, text string) bool {
	if ty.kind == "union" {
		return v.kids[0].is(ty.subs[v.branch], name, text)
	}
	if v.null || !ty.canBe(name) {
		return false
	}
	i := slices.Index(ty.names, name)
	m, mt := v.kids[i], ty.subs[i]
	if mt.kind == "enum" {
		return !m.null && mt.names[m.raw[0]/2] == text
	}
	return !m.null && string(m.raw) == string(appendText(nil, []byte(text)))
}

// variant is the position of element k of an array.
func (n *gnode) variant(v *gval, k int) *gnode {
	found := 0
	for i, s := range n.steps {
		if s.Kind == StepIndex && s.Index == k || s.Kind == StepPredicate && v.is(n.ty.subs[0], s.Name, s.Value) {
			if found > 0 {
				return n.kids[len(n.kids)-1]
			}
			found = i + 1
		}
	}
	return n.kids[found]
}

// outcome is what a position becomes whatever the gates.
type outcome int

const (
	oDrop outcome = iota
	oNull
	oConst
	oLive
)

func (n *gnode) leaf() bool { return len(n.kids) == 0 }

func (n *gnode) outcome() outcome {
	switch {
	case n.leaf() && n.a.Op == OpConst:
		return oConst
	case n.leaf() && n.a.Op == OpReplace && n.ty.kind == "null":
		return oNull
	case n.leaf():
		return []outcome{oDrop, oLive, oNull, oLive}[n.a.Op]
	case n.ty.kind == "map" && (n.kids[0].outcome() == oDrop || n.kids[1].outcome() == oDrop):
		return oDrop
	case n.ty.kind == "map":
		return n.kids[0].outcome()
	}
	out := oDrop
	for _, kid := range n.kids {
		if kid == nil {
			continue
		}
		o := kid.outcome()
		if o == oConst {
			if o = oDrop; kid.a.Gate != 0 {
				o = oNull
			}
		}
		out = max(out, o)
	}
	return out
}

// open says whether anything of the input is to be seen at or below n now.
func (c *gcase) open(n *gnode) bool {
	switch {
	case n == nil || n.outcome() != oLive:
		return false
	case n.leaf():
		return c.gateOpen(n.a)
	case n.ty.kind == "map":
		return c.open(n.kids[0])
	}
	return slices.ContainsFunc(n.kids, c.open)
}

func (c *gcase) gateOpen(a Action) bool { return a.Gate == 0 || c.gates&(1<<(a.Gate-1)) != 0 }

// below gives the positions that share the derived type of kid i of n.
func below(group []*gnode, i int) (out []*gnode) {
	for _, n := range group {
		if o := n.outcome(); o == oLive {
			out = append(out, n.kids[i])
		}
	}
	return out
}

// edit is the obvious reference: what becomes of the value v of n, decoded in.
// group are the positions with which n shares its derived type.
func (c *gcase) edit(group []*gnode, n *gnode, v *gval, in any) any {
	if n.leaf() {
		return c.editLeaf(n, in)
	}
	if !c.open(n) && n != c.root || n.ty.nullable != 0 && v.null {
		return nil
	}
	if n == c.root {
		return c.editRecord(n, v, in, func(i int) []*gnode { return []*gnode{n.kids[i]} })
	}
	switch n.ty.kind {
	case "array":
		return c.editArray(group, n, v, in)
	case "map":
		out := map[string]any{}
		for k, kid := range v.kids {
			key := c.editLeaf(n.kids[0], v.keys[k]).(string)
			out[key] = c.edit(below(group, 1), n.kids[1], kid, in.(map[string]any)[v.keys[k]])
		}
		return out
	case "union":
		if n.kids[v.branch] == nil {
			return nil
		}
		return c.edit(below(group, v.branch), n.kids[v.branch], v.kids[0], in)
	}
	return c.editRecord(n, v, in, func(i int) []*gnode { return below(group, i) })
}

func (c *gcase) editArray(group []*gnode, n *gnode, v *gval, in any) any {
	var elements []*gnode
	for i := range n.kids {
		elements = append(elements, below(group, i)...)
	}
	out := []any{}
	for k, kid := range v.kids {
		out = append(out, c.edit(elements, n.variant(kid, k), kid, in.([]any)[k]))
	}
	return out
}

func (c *gcase) editRecord(n *gnode, v *gval, in any, kids func(int) []*gnode) any {
	out := map[string]any{}
	for i, name := range n.ty.names {
		group := kids(i)
		if slices.ContainsFunc(group, func(g *gnode) bool { return g.outcome() != oDrop }) {
			out[name] = c.edit(group, n.kids[i], v.kids[i], in.(map[string]any)[name])
		}
	}
	return out
}

func (c *gcase) editLeaf(n *gnode, in any) any {
	switch a := n.a; {
	case a.Op == OpDrop || a.Op == OpNull || !c.gateOpen(a):
		return nil
	case a.Op == OpConst:
		return "const"
	case a.Op == OpReplace && in == nil:
		return nil
	case a.Op == OpReplace && n.ty.kind == "string":
		s, ok := in.(string)
		if !ok {
			return in // a uuid, which others decode to something else
		}
		out, _, _ := upper{}.Apply(nil, Value{Text: []byte(s)})
		return string(out.Text)
	case a.Op == OpReplace:
		return "const"
	}
	return in
}

// redraw is v with all drawn anew that the purpose may not see. pinned are names
// of members that choose a variant, which shows.
func (c *gcase) redraw(t *rapid.T, n *gnode, v *gval, pinned []string) *gval {
	if !c.open(n) && n != c.root && len(pinned) == 0 {
		return drawVal(t, n.ty)
	}
	if v.null || n.leaf() {
		return v
	}
	out := *v
	out.kids = slices.Clone(v.kids)
	switch n.ty.kind {
	case "record":
		for i, kid := range n.kids {
			if !slices.Contains(pinned, n.ty.names[i]) {
				out.kids[i] = c.redraw(t, kid, v.kids[i], nil)
			}
		}
	case "array":
		var names []string
		for _, s := range n.steps {
			if s.Kind == StepPredicate {
				names = append(names, s.Name)
			}
		}
		for k, kid := range v.kids {
			out.kids[k] = c.redraw(t, n.variant(kid, k), kid, names)
		}
	case "map":
		for k, kid := range v.kids {
			out.kids[k] = c.redraw(t, n.kids[1], kid, nil)
		}
	case "union":
		c.redrawBranch(t, n, v, &out, pinned)
	}
	return &out
}

// redrawBranch changes the branch among those that all become null.
func (c *gcase) redrawBranch(t *rapid.T, n *gnode, v, out *gval, pinned []string) {
	hidden := func(b int) bool {
		kid := n.kids[b]
		return kid == nil || !c.open(kid) && (kid.outcome() != oConst || !c.gateOpen(kid.a))
	}
	if b := rapid.IntRange(0, len(n.kids)-1).Draw(t, "other branch"); len(pinned) == 0 && hidden(v.branch) && hidden(b) {
		out.branch, out.kids[0] = b, drawVal(t, n.ty.subs[b])
		return
	}
	if kid := n.kids[v.branch]; kid != nil {
		out.kids[0] = c.redraw(t, kid, v.kids[0], pinned)
	}
}
