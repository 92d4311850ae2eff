package schemas

import (
	"fmt"
	"slices"
)

// conform gives the plans of one position, one for each variant that the
// position lies in, one derived type: the union of the outcomes. What is dropped
// in one variant and written in another is null in the first.
func (d *avroDeriver) conform(group []*avroPlan) error {
	live := make([]*avroPlan, 0, len(group))
	for _, plan := range group {
		if !plan.gone() {
			live = append(live, plan)
		}
	}
	if len(live) == 0 {
		return d.conformNull(group)
	}
	if err := d.conformBelow(live); err != nil {
		return err
	}
	model := live[0]
	typ := model.typ
	for _, plan := range group {
		if !plan.gone() && !sameType(plan.typ, typ) {
			return fmt.Errorf("%s: elements would have two types, %s and %s", d.nodes[plan.node].Path, typ, plan.typ)
		}
		if plan.gone() || plan.typ.Nullable {
			typ = nullable(typ)
		}
	}
	if typ.Kind == Union {
		return d.conformUnion(group, live, typ)
	}
	for _, plan := range group {
		switch {
		case plan.gone():
			plan.op, plan.kids = planNull, model.kids
		case plan.op == planKeep && typ.Nullable && !plan.pos.typ.Nullable:
			plan.op = planWrap
		}
		plan.setType(typ)
	}
	return nil
}

// setType makes typ the derived type of a plan.
func (plan *avroPlan) setType(typ Type) {
	plan.typ, plan.branch, plan.null = typ, -1, -1
	if typ.Nullable {
		plan.null, plan.branch = int(typ.NullIndex), 1-int(typ.NullIndex)
	}
}

// conformNull does so for plans none of which writes anything but null.
func (d *avroDeriver) conformNull(group []*avroPlan) error {
	i := slices.IndexFunc(group, func(plan *avroPlan) bool { return plan.op == planNull })
	if i < 0 {
		return nil
	}
	model := group[i]
	if err := d.conformBelow([]*avroPlan{model}); err != nil {
		return err
	}
	typ := nullable(model.typ)
	if typ.Kind == Union {
		return d.conformUnion(group, []*avroPlan{model}, typ)
	}
	for _, plan := range group {
		plan.op, plan.kids = planNull, model.kids
		plan.setType(typ)
	}
	return nil
}

// conformBelow conforms what lies in containers of one position, and rebuilds
// those of which something is not kept as it is any more.
func (d *avroDeriver) conformBelow(live []*avroPlan) error {
	kind := live[0].pos.typ.Kind
	if kind == Array {
		var elements []*avroPlan
		for _, plan := range live {
			for i := range plan.kids {
				elements = append(elements, &plan.kids[i])
			}
		}
		if err := d.conform(elements); err != nil {
			return err
		}
	} else if err := d.conformKids(live, kind); err != nil {
		return err
	}
	for _, plan := range live {
		if plan.op == planKeep && slices.ContainsFunc(plan.kids, changed) {
			plan.op = rebuilt[kind]
		}
	}
	return nil
}

func changed(kid avroPlan) bool { return kid.op != planKeep && !kid.pos.unionNull() }

var rebuilt = map[Kind]planOp{Record: planRecord, Array: planArray, Map: planMap, Union: planUnion}

func (d *avroDeriver) conformKids(live []*avroPlan, kind Kind) error {
	column := make([]*avroPlan, len(live))
	for i := range live[0].kids {
		for k := range live {
			column[k] = &live[k].kids[i]
		}
		if kind == Map && i == 0 {
			for _, key := range column {
				key.setType(Type{Kind: String})
			}
			continue
		}
		if column[0].pos.unionNull() {
			continue
		}
		if err := d.conform(column); err != nil {
			return err
		}
	}
	return nil
}

// sameType reports whether two types are one except for null.
func sameType(a, b Type) bool {
	return a.Kind == b.Kind && a.Logical == b.Logical && a.Size == b.Size && a.Precision == b.Precision &&
		a.Scale == b.Scale && a.Name == b.Name && slices.Equal(a.Symbols, b.Symbols)
}
