package schemas

import (
	"errors"
	"fmt"
	"slices"
)

// maxGates is the most gates that one projection may use: it has two to their
// number of plans.
const maxGates = 6

func (l *jsonLayout) Project(acts []Action, _ string) (Projection, error) {
	if len(acts) != len(l.nodes) {
		return nil, fmt.Errorf("%d actions for %d positions", len(acts), len(l.nodes))
	}
	p := &jsonProjection{layout: l, acts: acts, empty: true}
	consts := make([][]byte, len(acts))
	for id, a := range acts {
		var err error
		if consts[id], err = l.check(NodeID(id), a); err != nil {
			return nil, fmt.Errorf("%s: %w", describe(l.trie[id].path), err)
		}
		p.gates = append(p.gates, a.gates()...)
	}
	slices.Sort(p.gates)
	if p.gates = slices.Compact(p.gates); len(p.gates) > maxGates {
		return nil, fmt.Errorf("%d gates in one purpose, at most %d are supported", len(p.gates), maxGates)
	}
	for open := range 1 << len(p.gates) {
		c := jsonCompiler{layout: l, acts: p.resolve(acts, open), consts: consts}
		plan, something, err := c.compile()
		if err != nil {
			return nil, err
		}
		p.plans, p.live, p.fixed = append(p.plans, plan), append(p.live, c.live[0].any()), append(p.fixed, c.fixed, c.late)
		p.empty = p.empty && !something
	}
	if l.format == JSONSchema {
		p.schema, _ = DeriveJSONSchema(p)
	}
	return p, nil
}

// check refuses an action that says nothing definite, and gives the text of a
// constant.
func (l *jsonLayout) check(id NodeID, a Action) (constant []byte, err error) {
	switch {
	case a.Gate > 32:
		return nil, fmt.Errorf("gate %d: gates are 1 to 32", a.Gate)
	case a.Op > OpConst:
		return nil, fmt.Errorf("unknown operation %d", a.Op)
	case (a.Op == OpReplace || a.Op == OpConst) && a.Via == nil:
		return nil, errors.New("a replacement without a treatment")
	case a.Op != OpConst || !l.nodes[id].Leaf:
		return nil, nil
	}
	v, _, err := a.Via.Apply(nil, Value{})
	if err != nil {
		return nil, err
	}
	constant, ok := appendJSONValue(nil, v)
	switch {
	case !ok:
		return nil, errors.New("the constant has no plain JSON form")
	case l.nodes[id].Type.Kind == String && v.Kind != String: // ~key
		return nil, errors.New("the constant is no text, and a name is one")
	}
	return constant, nil
}

// gates are those that what an action does depends on.
func (a *Action) gates() (gates []uint8) {
	if n, ok := a.Via.(*Nested); ok {
		gates = append(gates, n.view.gates...)
	}
	if a.Gate != 0 {
		gates = append(gates, a.Gate)
	}
	return gates
}

// resolve gives the actions of plan number open.
func (p *jsonProjection) resolve(acts []Action, open int) []Action {
	gates := uint32(0)
	for k, g := range p.gates {
		gates |= uint32(open>>k&1) << (g - 1)
	}
	acts = slices.Clone(acts)
	for i := range acts {
		if acts[i].closed(gates) {
			acts[i] = Action{Op: OpNull}
		}
	}
	return acts
}

// closed reports whether under these open gates an action lets nothing through that it
// would let through under others.
func (a *Action) closed(gates uint32) bool {
	if n, ok := a.Via.(*Nested); ok && a.Op == OpReplace && !n.Shows(gates) {
		return true
	}
	return a.Gate != 0 && a.Op != OpDrop && gates>>(a.Gate-1)&1 == 0
}

// jsonCompiler turns resolved actions into a plan.
type jsonCompiler struct {
	layout *jsonLayout
	acts   []Action
	consts [][]byte
	// fixed[id] is what is always written for id: null, a constant; nil for
	// what is written where the record holds it, or never.
	fixed [][]byte
	late  [][]byte   // what is written for id where the record does not show it
	live  []jsonLive // what of a record can come to stand at id
	muted []bool     // its objects are given neither nulls nor constants
	loose []bool     // the type of what is kept there is not looked at
	steps []jsonStep
}

// jsonLive says in which kinds of value something of the record can stand.
type jsonLive struct{ scalar, object, array bool }

func (l jsonLive) any() bool { return l.scalar || l.object || l.array }

// compile also reports whether anything but the root can be written.
func (c *jsonCompiler) compile() (plan []jsonStep, something bool, err error) {
	n := NodeID(len(c.acts))
	c.fixed, c.late, c.live, c.steps = make([][]byte, n), make([][]byte, n), make([]jsonLive, n), make([]jsonStep, n)
	for changed := true; changed; { // once and once more, where no ** makes loops
		changed = false
		for id := n - 1; id >= 0; id-- {
			now := c.lives(id)
			changed = changed || now != c.live[id]
			c.live[id] = now
		}
	}
	for id := n - 1; id >= 0; id-- {
		c.fix(id)
	}
	c.mute()
	c.untype()
	for id := n - 1; id >= 0; id-- {
		if err := c.step(id); err != nil {
			return nil, false, fmt.Errorf("%s: %w", describe(c.layout.trie[id].path), err)
		}
	}
	return c.steps, c.live[0].any() || len(c.steps[0].tail) > 0, nil
}

// takesScalars reports whether a scalar at a node is its action's to treat: it is
// a leaf, or ** lets it be anything. A container that must be one is not.
func (n *jsonNode) takesScalars() bool { return n.scalar || n.objects == n.arrays }

func (c *jsonCompiler) lives(id NodeID) (l jsonLive) {
	n := &c.layout.trie[id]
	do := c.value(id)
	l.scalar = n.takesScalars() && (do == jsonCopy || do == jsonReplace)
	names := c.names(id)
	l.object = names == jsonCopy && n.other == restNode ||
		(names == jsonCopy || names == jsonReplace) && n.other > 0 && c.live[n.other].any()
	for _, m := range n.members {
		l.object = l.object || c.live[m.child].any()
	}
	l.array = n.elements > 0 && c.live[n.elements].any()
	for _, x := range n.indexes {
		l.array = l.array || c.live[x.child].any()
	}
	for _, w := range n.wants {
		l.array = l.array || c.live[w.child].any()
	}
	return l
}

// value is what happens to a scalar at a node, or to all that is at a leaf. A
// treatment of scalars does not cascade to what ** finds in a container.
func (c *jsonCompiler) value(id NodeID) jsonDo {
	n := &c.layout.trie[id]
	switch op := c.acts[id].Op; {
	case !n.covered:
		return jsonDrop
	case op == OpKeep:
		return jsonCopy
	case op == OpReplace && n.float:
		return jsonWithhold
	case op == OpReplace:
		return jsonReplace
	}
	return jsonDrop
}

// names is what happens to the names that no path names.
func (c *jsonCompiler) names(id NodeID) jsonDo {
	n := &c.layout.trie[id]
	at := id
	if n.key > 0 {
		at = n.key
	} else if !n.covered || !n.objects {
		return jsonDrop
	}
	switch op := c.acts[at].Op; {
	case op == OpKeep:
		return jsonCopy
	case n.key > 0 && (op == OpReplace || op == OpConst):
		return jsonReplace
	case op == OpReplace:
		return jsonWithhold // no treatment of scalars takes the rest of an object
	}
	return jsonDrop
}

// fix says what always stands at a node. A container with nothing live in it is
// a null itself where something in it is; else it is gone, also where it would
// hold a constant.
func (c *jsonCompiler) fix(id NodeID) {
	n, op := &c.layout.trie[id], c.acts[id].Op
	if c.live[id].any() || n.float || id == 0 && !c.layout.single {
		return
	}
	null := op == OpNull && n.covered && (n.objects || !n.arrays) // an array is its elements
	for _, m := range n.members {
		null = null || m.fixed && string(c.fixed[m.child]) == "null"
	}
	for _, kid := range n.kids() {
		null = null || c.layout.trie[kid].name == nil && string(c.fixed[kid]) == "null"
	}
	switch {
	case null:
		c.fixed[id] = []byte("null")
	case op == OpConst && n.covered && n.takesScalars():
		c.fixed[id] = c.consts[id]
	}
}

func (c *jsonCompiler) step(id NodeID) error {
	n, live, step := &c.layout.trie[id], c.live[id], &c.steps[id]
	step.name, step.names, step.parts, step.takes = n.name, c.names(id), n.parts(), anyType
	if n.key > 0 {
		step.nameVia = c.acts[n.key].Via
	}
	if live.any() {
		step.do, step.via = c.value(id), c.acts[id].Via
	}
	switch {
	case step.do == jsonCopy && !c.loose[id]:
		step.takes = c.layout.typesAt(id)
	case step.do == jsonReplace && c.acts[id].Result.Kind == Any:
		step.takes = c.layout.typesAt(id) | typeNull // null stays null
	}
	step.object = live.object || n.objects && step.names == jsonWithhold // to count only
	step.array = live.array
	switch {
	case id == 0 && c.layout.single:
		step.tail = c.fixed[0]
	case id == 0 && n.objects:
		step.object = true
	case id == 0 && n.arrays:
		step.array = true
	}
	if !n.takesScalars() {
		step.do = jsonDrop
		if step.object || step.array {
			step.do = jsonWithhold
		}
	}
	step.gone = step.do == jsonDrop && !step.object && !step.array
	step.tells = step.names == jsonReplace
	if !step.object || c.muted[id] {
		return nil
	}
	step.tail = c.tail(n)
	err := c.addLate(n, step)
	step.tells = step.tells || len(step.late) > 0
	return err
}

// tail joins the members of a node that are always written.
func (c *jsonCompiler) tail(n *jsonNode) (tail []byte) {
	for _, m := range n.members {
		if m.fixed && c.fixed[m.child] != nil {
			tail = c.appendMember(tail, m.child, c.fixed[m.child])
		}
	}
	return tail
}

func (c *jsonCompiler) appendMember(dst []byte, id NodeID, value []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	return append(append(dst, c.layout.trie[id].name...), value...)
}

// addLate lists the members that are a null or a constant where nothing that **
// finds in them is written.
func (c *jsonCompiler) addLate(n *jsonNode, step *jsonStep) error {
	for _, m := range n.members {
		if !m.fixed || !c.live[m.child].any() {
			continue
		}
		if value := c.standIn(m.child); value != nil {
			step.late = append(step.late, jsonLate{m.child, c.appendMember(nil, m.child, value)})
			c.late[m.child] = value
		}
	}
	if len(step.late) > maxLate {
		return fmt.Errorf("more than %d redacted members in which ** finds something to keep", maxLate)
	}
	return nil
}

// standIn is what stands for a member in which nothing that ** finds is written.
func (c *jsonCompiler) standIn(id NodeID) []byte {
	switch {
	case !c.layout.trie[id].takesScalars():
		return nil
	case c.acts[id].Op == OpNull:
		return []byte("null")
	}
	return c.consts[id]
}
