package schemas

import (
	"errors"
	"fmt"
)

// planOp is what becomes of a position.
type planOp uint8

const (
	planDrop    planOp = iota
	planKeep           // its span as it is, all below included
	planWrap           // its value, after the branch number of a derived union
	planGated          // that where the gate is open, else null
	planNull           // null whatever the input
	planReplace        // what via makes of it
	planConst          // what via makes of nothing
	planRecord         // rebuilt field by field
	planArray          // rebuilt element by element
	planMap            // rebuilt entry by entry
	planUnion          // what its branch becomes
)

// avroPlan is one position of a purpose's view.
//
// A container shows by being null, by its branch, or by its number of elements,
// something of what lies in it. So it is written only while something below it
// is kept: always, or where one of gates is open. Else it is null whatever the
// input, or gone where nothing below it is a null either.
type avroPlan struct {
	pos  *avroPos
	node NodeID // pos's own, or that of a variant
	op   planOp
	typ  Type // derived
	// union are the branches of a derived union; nil stands for null. It is of
	// use where typ is a Union; one branch alone is not a union.
	union []*avroPlan
	// branch and null are the branch numbers of a value and of null; -1: none.
	branch, null int
	gate         uint32 // the bit of a leaf's own gate; 0: none
	via          Transform
	// kids are all fields, also dropped ones; the variants of an array's element;
	// key and value of a map; all branches of a union.
	kids   []avroPlan
	always bool
	gates  uint32
}

func (plan *avroPlan) gone() bool { return plan.op == planDrop || plan.op == planNull }

// avroPlanner plans positions for one set of actions.
type avroPlanner struct {
	nodes []Node
	acts  []Action
}

// position plans p, whose nodes are moved by shift, and all below it.
func (a *avroPlanner) position(p *avroPos, shift NodeID) (avroPlan, error) {
	plan := avroPlan{pos: p, node: p.node + shift, typ: p.typ}
	if a.nodes[plan.node].Leaf {
		err := plan.leaf(a.action(plan.node))
		if err != nil {
			err = fmt.Errorf("%s: %w", a.nodes[plan.node].Path, err)
		}
		return plan, err
	}
	var err error
	switch p.typ.Kind {
	case Record:
		plan.op, err = planRecord, a.kids(&plan, p.fields, shift)
	case Array:
		plan.op, err = planArray, a.elements(&plan, shift)
	case Map:
		plan.op, err = planMap, a.kids(&plan, []avroPos{*p.key, *p.elem}, shift)
	case Union:
		plan.op, err = planUnion, a.kids(&plan, p.branches, shift)
	}
	if err != nil {
		return avroPlan{}, err
	}
	if err = plan.settle(); err != nil {
		return avroPlan{}, fmt.Errorf("%s: %w", a.nodes[plan.node].Path, err)
	}
	return plan, nil
}

// action is that of a node. No rule is for a contested element.
func (a *avroPlanner) action(id NodeID) Action {
	if a.nodes[id].Contested {
		return Action{}
	}
	return a.acts[id]
}

func (a *avroPlanner) kids(plan *avroPlan, below []avroPos, shift NodeID) error {
	plan.kids = make([]avroPlan, len(below))
	for i := range below {
		if below[i].unionNull() {
			plan.kids[i] = avroPlan{pos: &below[i], op: planNull, typ: Type{Kind: Null}}
			continue
		}
		var err error
		if plan.kids[i], err = a.position(&below[i], shift); err != nil {
			return err
		}
	}
	return nil
}

// elements plans every variant of an array's element.
func (a *avroPlanner) elements(plan *avroPlan, shift NodeID) error {
	n, stride := 1, NodeID(0)
	if v := plan.pos.variants; v != nil {
		n, stride = max(len(v.steps), v.contested)+1, v.stride
	}
	plan.kids = make([]avroPlan, n)
	for i := range plan.kids {
		var err error
		if plan.kids[i], err = a.position(plan.pos.elem, shift+NodeID(i)*stride); err != nil {
			return err
		}
	}
	return nil
}

// settle decides what becomes of a container, by what becomes of what it holds.
func (plan *avroPlan) settle() error {
	if plan.op == planMap {
		return plan.settleMap()
	}
	kept, of, null := 0, 0, false
	for i := range plan.kids {
		kid := &plan.kids[i]
		if plan.op == planUnion && kid.pos.unionNull() {
			continue // null stays null while anything is kept
		}
		of++
		plan.always = plan.always || kid.always
		plan.gates |= kid.gates
		null = null || kid.op == planNull || kid.gate != 0 // a closed gate is a null
		if kid.op == planKeep {
			kept++
		}
	}
	switch {
	case kept == of && of > 0:
		plan.op = planKeep
	case plan.always:
	case plan.gates == 0 && !null:
		plan.op = planDrop // also where constants would be all that it holds
	case plan.gates == 0:
		plan.op = planNull
	}
	if !plan.always {
		plan.typ = nullable(plan.typ)
	}
	return nil
}

// settleMap decides what becomes of a map. Keys are personal by themselves: where
// they may not be seen, no entry is.
func (plan *avroPlan) settleMap() error {
	key, value := &plan.kids[0], &plan.kids[1]
	switch {
	case key.op == planConst:
		return errors.New("the keys of a map cannot be a constant: they would all be one")
	case key.op == planReplace && key.typ.Kind != String:
		return errors.New("the keys of a map stay text")
	case key.op == planDrop || value.op == planDrop:
		plan.op = planDrop
	case key.op == planNull:
		plan.op = planNull
	case key.op == planKeep && value.op == planKeep:
		plan.op = planKeep
	}
	if !plan.gone() {
		plan.always, plan.gates = key.always, key.gates
	}
	if !plan.always {
		plan.typ = nullable(plan.typ)
	}
	key.typ = Type{Kind: String} // behind an open gate: a closed one closes the map
	return nil
}

// leaf plans a position with nothing below it.
func (plan *avroPlan) leaf(a Action) error {
	if a.Gate > 32 {
		return fmt.Errorf("gate %d: there are 32", a.Gate)
	}
	// An opaque position could only be kept or nulled with its type, which
	// this package does not carry over: it is withheld whatever the action.
	if plan.typ.Kind == Opaque || a.Op == OpDrop {
		return nil
	}
	if a.Gate > 0 {
		plan.gate = 1 << (a.Gate - 1)
	}
	plan.via = a.Via
	switch a.Op {
	case OpKeep:
		plan.op = planKeep
		if plan.gate != 0 {
			plan.op, plan.typ = planGated, nullable(plan.typ)
		}
	case OpNull:
		plan.toNull()
		return nil
	case OpReplace, OpConst:
		if err := plan.result(a); err != nil {
			return err
		}
	default:
		return fmt.Errorf("operation %d is not one", a.Op)
	}
	if plan.op == planKeep || plan.op == planGated || plan.op == planReplace {
		plan.always, plan.gates = plan.gate == 0, plan.gate
	}
	if n, ok := plan.via.(*Nested); ok && plan.op == planReplace && plan.gate == 0 {
		plan.always, plan.gates = n.openers()
	}
	return nil
}

// toNull plans null whatever the input.
func (plan *avroPlan) toNull() {
	plan.op, plan.typ, plan.gate = planNull, nullable(plan.typ), 0
}

// result plans an OpReplace or OpConst.
func (plan *avroPlan) result(a Action) error {
	if a.Via == nil {
		return errors.New("a treatment without a transform")
	}
	in := plan.typ
	if plan.op = planConst; a.Op == OpReplace {
		plan.op = planReplace
		switch in.Kind {
		case Record:
			return errors.New("a record cannot be replaced by a scalar treatment")
		case Null: // null stays null
			plan.toNull()
			return nil
		}
	}
	if err := checkResult(a.Result); err != nil {
		return err
	}
	if a.Result.Kind == Null {
		plan.typ = Type{Kind: Null}
		plan.toNull()
		return nil
	}
	plan.typ = a.Result
	if in.Nullable {
		plan.typ.Nullable, plan.typ.NullIndex = true, in.NullIndex
	}
	if plan.gate != 0 {
		plan.typ = nullable(plan.typ)
	}
	return nil
}

// checkResult refuses what a treatment cannot yield in Avro.
func checkResult(t Type) error {
	switch t.Kind {
	case Null, Bool, Int, Long, Float, Double, String, Bytes:
		return nil
	case Fixed:
		if t.Size >= 0 && (t.Name == "" || avroNamespace(t.Name)) {
			return nil
		}
	case Enum:
		ok := len(t.Symbols) > 0 && (t.Name == "" || avroNamespace(t.Name))
		for _, s := range t.Symbols {
			ok = ok && avroName(s)
		}
		if ok {
			return nil
		}
	}
	return errors.New("a treatment yields a type that Avro does not have")
}

// nullable is the union of null and t. Null alone is nullable already; a type
// that was nullable keeps the order of its branches.
func nullable(t Type) Type {
	if t.Kind != Null && !t.Nullable {
		t.Nullable, t.NullIndex = true, 0
	}
	return t
}
