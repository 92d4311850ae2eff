package schemas

import (
	"errors"
	"fmt"
	"slices"
)

// planOp is what becomes of a position.
type planOp uint8

const (
	planDrop    planOp = iota
	planKeep           // its span as it is, all below included
	planGated          // its span where the gate is open, else null
	planNull           // null whatever the input
	planReplace        // what via makes of it
	planConst          // what via makes of nothing
	planRecord         // rebuilt field by field
	planArray          // rebuilt element by element
)

// avroPlan is one position of a purpose's view.
//
// A container shows by being null, or by its number of elements, something of
// what lies in it. So it is written only while something below it is kept:
// always, or where one of gates is open. Else it is null whatever the input, or
// gone where nothing below it is a null either.
type avroPlan struct {
	pos    *avroPos
	op     planOp
	typ    Type   // derived
	gate   uint32 // the bit of a leaf's own gate; 0: none
	via    Transform
	kids   []avroPlan // all fields, also dropped ones; the element of an array
	always bool
	gates  uint32
}

// avroProjection is a compiled avroPlan.
type avroProjection struct {
	layout *avroLayout
	root   avroStep
	schema string
}

// Project implements Layout (package comment, "Avro: what is derived").
func (l *avroLayout) Project(acts []Action, name string) (Projection, error) {
	if len(acts) != len(l.nodes) {
		return nil, fmt.Errorf("%d actions for %d positions", len(acts), len(l.nodes))
	}
	if !avroNamespace(name) {
		return nil, errors.New("the namespace of a derived schema must be names with dots between them")
	}
	plan, err := planPosition(l.root, l.nodes, acts)
	if err != nil {
		return nil, err
	}
	p := &avroProjection{layout: l}
	if !slices.ContainsFunc(plan.kids, func(kid avroPlan) bool { return kid.op != planDrop }) {
		return p, nil
	}
	if plan.op != planKeep {
		plan.op = planRecord
	}
	plan.typ, plan.always = l.root.typ, true // the record itself is there
	if p.schema, err = deriveAvro(&plan, l.nodes, name); err != nil {
		return nil, err
	}
	p.root = compileStep(&plan)
	return p, nil
}

func (p *avroProjection) Schema() string { return p.schema }

func (p *avroProjection) Empty() bool { return p.root.op == planDrop }

// planPosition plans p and all below it.
func planPosition(p *avroPos, nodes []Node, acts []Action) (avroPlan, error) {
	if nodes[p.node].Leaf {
		plan, err := planLeaf(p, acts[p.node])
		if err != nil {
			return avroPlan{}, fmt.Errorf("%s: %w", nodes[p.node].Path, err)
		}
		return plan, nil
	}
	plan := avroPlan{pos: p, op: planRecord, typ: p.typ}
	for i := range p.fields {
		kid, err := planPosition(&p.fields[i], nodes, acts)
		if err != nil {
			return avroPlan{}, err
		}
		plan.kids = append(plan.kids, kid)
	}
	if p.typ.Kind == Array {
		kid, err := planPosition(p.elem, nodes, acts)
		if err != nil {
			return avroPlan{}, err
		}
		plan.op, plan.kids = planArray, []avroPlan{kid}
	}
	plan.settle()
	return plan, nil
}

// settle decides what becomes of a container, by what becomes of what it holds.
func (plan *avroPlan) settle() {
	kept, null := 0, false
	for i := range plan.kids {
		kid := &plan.kids[i]
		plan.always = plan.always || kid.always
		plan.gates |= kid.gates
		null = null || kid.op == planNull || kid.gate != 0 // a closed gate is a null
		if kid.op == planKeep {
			kept++
		}
	}
	switch {
	case kept == len(plan.kids):
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
}

// planLeaf plans a position with nothing below it.
func planLeaf(p *avroPos, a Action) (avroPlan, error) {
	if a.Gate > 32 {
		return avroPlan{}, fmt.Errorf("gate %d: there are 32", a.Gate)
	}
	plan := avroPlan{pos: p, typ: p.typ, via: a.Via}
	if a.Gate > 0 {
		plan.gate = 1 << (a.Gate - 1)
	}
	// An opaque position could only be kept or nulled with its type, which
	// this package does not carry over: it is withheld whatever the action.
	if p.typ.Kind == Opaque || a.Op == OpDrop {
		return avroPlan{pos: p}, nil
	}
	switch a.Op {
	case OpKeep:
		plan.op = planKeep
		if plan.gate != 0 {
			plan.op, plan.typ = planGated, nullable(p.typ)
		}
	case OpNull:
		plan.op, plan.typ = planNull, nullable(p.typ)
		return plan, nil
	case OpReplace, OpConst:
		if err := plan.result(a); err != nil {
			return avroPlan{}, err
		}
	default:
		return avroPlan{}, fmt.Errorf("operation %d is not one", a.Op)
	}
	if plan.op == planKeep || plan.op == planGated || plan.op == planReplace {
		plan.always, plan.gates = plan.gate == 0, plan.gate
	}
	return plan, nil
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
			plan.op = planNull
			return nil
		}
	}
	if err := checkResult(a.Result); err != nil {
		return err
	}
	plan.typ = a.Result
	if in.Nullable {
		plan.typ.Nullable, plan.typ.NullIndex = true, in.NullIndex
	}
	if plan.typ.Kind == Null {
		plan.typ = Type{Kind: Null}
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
