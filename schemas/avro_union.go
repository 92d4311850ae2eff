package schemas

import (
	"fmt"
	"slices"
)

// conformUnion gives the plans of a union of several branches one derived union;
// models are those that write it. Where that is the input's, with all that is in
// it, kept spans stay as they are.
func (d *avroDeriver) conformUnion(group, models []*avroPlan, typ Type) error {
	u, err := d.branches(models, typ.Nullable)
	if err != nil {
		return err
	}
	whole := typ.Nullable == models[0].pos.typ.Nullable && len(u.branches) > 1
	for _, plan := range models {
		whole = whole && plan.op == planKeep
	}
	typ.Nullable = u.null >= 0
	for _, plan := range group {
		switch {
		case plan.gone():
			plan.op, plan.kids = planNull, models[0].kids
		case !whole:
			plan.op = planUnion
			u.number(plan.kids)
		}
		plan.typ, plan.union, plan.branch, plan.null = typ, u.branches, -1, u.null
	}
	return nil
}

// derivedUnion is what a union becomes.
type derivedUnion struct {
	branches []*avroPlan // nil: null
	null     int         // -1: none
	of       []int       // by branch of the input; -1: null
}

// branches collects the outcomes of all branches in the order of the input, each
// once. Null stands where it stood, or else in front.
func (d *avroDeriver) branches(models []*avroPlan, null bool) (*derivedUnion, error) {
	u := &derivedUnion{null: -1, of: make([]int, len(models[0].kids))}
	shown := make([]*avroPlan, len(u.of)) // a plan that writes the branch
	for i := range models[0].kids {
		u.of[i] = -1
		shown[i] = showing(models, i)
		kid := &models[0].kids[i]
		null = null || shown[i] == nil || kid.typ.Nullable
	}
	if null && !models[0].pos.typ.Nullable {
		u.addNull()
	}
	signatures := make([]string, len(shown))
	for i, kid := range shown {
		if models[0].kids[i].pos.unionNull() {
			u.addNull()
		}
		if kid == nil {
			continue
		}
		signatures[i] = d.signature(kid)
		if same := slices.Index(signatures, signatures[i]); same < i {
			u.of[i] = u.of[same]
		} else if err := u.add(i, kid); err != nil {
			return nil, fmt.Errorf("%s: %w", d.nodes[kid.node].Path, err)
		}
	}
	return u, nil
}

// showing finds a plan that writes branch i of a union. In a union that is always
// null, one that would write null stands for its type.
func showing(models []*avroPlan, i int) *avroPlan {
	for _, plan := range models {
		kid := &plan.kids[i]
		if !kid.gone() || plan.op == planNull && kid.op == planNull && !kid.pos.unionNull() {
			return kid
		}
	}
	return nil
}

func (u *derivedUnion) addNull() {
	u.null = len(u.branches)
	u.branches = append(u.branches, nil)
}

// add adds the outcome of branch i. Of types without a name a union has at most
// one each (Avro 1.12, "Unions").
func (u *derivedUnion) add(i int, kid *avroPlan) error {
	for _, b := range u.branches {
		if b == nil || b.typ.Kind != kid.typ.Kind {
			continue
		}
		switch kid.typ.Kind {
		case Record, Enum, Fixed:
		default:
			return fmt.Errorf("would be a union of two branches of type %s", kid.typ.Kind)
		}
	}
	u.of[i] = len(u.branches)
	u.branches = append(u.branches, kid)
	return nil
}

// number notes in the plans of a union's branches what stands in front of what
// they write; nothing where one branch is left, which is not a union any more.
func (u *derivedUnion) number(kids []avroPlan) {
	for i := range kids {
		kid := &kids[i]
		switch kid.op {
		case planKeep:
			kid.op = planWrap
		case planDrop:
			kid.op = planNull
		}
		if kid.branch, kid.null = u.of[i], u.null; len(u.branches) == 1 {
			kid.branch, kid.null = -1, -1
		}
	}
}

// unionNull reports whether p is the null of a union of several branches.
func (p *avroPos) unionNull() bool { return p.node < 0 }
