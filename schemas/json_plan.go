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
	p := &jsonProjection{layout: l, empty: true}
	consts := make([][]byte, len(acts))
	for id, a := range acts {
		var err error
		if consts[id], err = l.check(NodeID(id), a); err != nil {
			return nil, fmt.Errorf("%s: %w", describe(l.trie[id].path), err)
		}
		if a.Gate != 0 && !slices.Contains(p.gates, a.Gate) {
			p.gates = append(p.gates, a.Gate)
		}
	}
	if len(p.gates) > maxGates {
		return nil, fmt.Errorf("%d gates in one purpose, at most %d are supported", len(p.gates), maxGates)
	}
	slices.Sort(p.gates)
	for open := range 1 << len(p.gates) {
		c := jsonCompiler{layout: l, acts: p.resolve(acts, open), consts: consts}
		plan, something := c.compile()
		p.plans = append(p.plans, plan)
		p.empty = p.empty && !something
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
	if !ok {
		return nil, errors.New("the constant has no plain JSON form")
	}
	return constant, nil
}

// resolve gives the actions under one set of open gates.
func (p *jsonProjection) resolve(acts []Action, open int) []Action {
	acts = slices.Clone(acts)
	for id := range acts {
		a := &acts[id]
		if a.Gate == 0 || a.Op == OpDrop {
			continue
		}
		if k := slices.Index(p.gates, a.Gate); open>>k&1 == 0 {
			*a = Action{Op: OpNull}
		}
	}
	return acts
}

// jsonCompiler turns resolved actions into a plan, from the leaves up.
type jsonCompiler struct {
	layout *jsonLayout
	acts   []Action
	consts [][]byte
	// fixed[id] is what is always written for id: null, a constant; nil for
	// what is written where the record holds it, or never.
	fixed [][]byte
	live  []bool // live[id]: something of a record can come to stand at id
	steps []jsonStep
}

// compile also reports whether anything but the root can be written.
func (c *jsonCompiler) compile() (plan []jsonStep, something bool) {
	n := len(c.acts)
	c.fixed, c.live, c.steps = make([][]byte, n), make([]bool, n), make([]jsonStep, n)
	for id := NodeID(n - 1); id >= 0; id-- { // children come after their parents
		c.steps[id].name = c.layout.trie[id].name
		if c.layout.nodes[id].Leaf && id != 0 {
			c.leaf(id)
		} else {
			c.container(id)
		}
	}
	return c.steps, c.live[0] || len(c.steps[0].tail) > 0
}

func (c *jsonCompiler) leaf(id NodeID) {
	switch a := c.acts[id]; a.Op {
	case OpKeep:
		c.steps[id].do, c.live[id] = jsonCopy, true
	case OpReplace:
		c.steps[id].do, c.steps[id].via, c.live[id] = jsonReplace, a.Via, true
	case OpNull:
		c.fixed[id] = []byte("null")
	case OpConst:
		c.fixed[id] = c.consts[id]
	}
}

// container enters what something can stay of. A container with nothing live
// below it is a null itself where something below it is; else it is gone, also
// where it would hold a constant.
func (c *jsonCompiler) container(id NodeID) {
	node, step := &c.layout.trie[id], &c.steps[id]
	null := false
	if node.covered && c.layout.nodes[id].Type.Kind == Record { // elements have no rest
		step.rest = restOf(c.acts[id].Op)
		c.live[id] = step.rest == jsonCopy
		null = c.acts[id].Op == OpNull
	}
	for _, child := range node.children {
		c.live[id] = c.live[id] || c.live[child]
		null = null || string(c.fixed[child]) == "null"
	}
	switch {
	case null && !c.live[id] && id != 0:
		c.fixed[id] = []byte("null")
	case c.live[id] || id == 0 || step.rest == jsonReplace: // the last one to count only
		step.do, step.kind = jsonEnter, c.layout.nodes[id].Type.Kind
		step.tail = c.tail(node)
	}
}

func restOf(op Op) jsonDo {
	switch op {
	case OpKeep:
		return jsonCopy
	case OpReplace:
		return jsonReplace
	}
	return jsonDrop
}

// tail joins the members of a Record node that are always written.
func (c *jsonCompiler) tail(node *jsonNode) (tail []byte) {
	for _, child := range node.children {
		if c.fixed[child] == nil || c.steps[child].name == nil {
			continue
		}
		if tail != nil {
			tail = append(tail, ',')
		}
		tail = append(tail, c.steps[child].name...)
		tail = append(tail, c.fixed[child]...)
	}
	return tail
}
