package schemas

import (
	"errors"
	"fmt"
	"slices"
)

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
	planner := avroPlanner{nodes: l.nodes, acts: acts}
	plan, err := planner.position(l.root, 0)
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
