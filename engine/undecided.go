package engine

import (
	"slices"
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// undecided marks the elements, with all that lies in them, of Avro arrays at which a
// rule has a predicate that the writer's schema has no text for: the member is gone, or
// is of another type now. Those that the predicate was to take out would go by the rule
// of the others. Where ** or * leads to the array it need not be one that the rule
// means, so that a member counts only that is called as the predicate's is but for case.
// So it marks the values of a map of which a rule names one: the scan does not tell
// them apart.
func (rs ruleSet) undecided(layout schemas.Layout) []bool {
	nodes := layout.Nodes()
	marks := make([]bool, len(nodes))
	if layout.Format() != schemas.Avro {
		return marks
	}
	at := make([]schemas.Path, len(nodes))
	for i, n := range nodes {
		at[i], _ = nodePath(n)
	}
	for i, n := range nodes {
		if n.Parent < 0 {
			continue
		}
		switch nodes[n.Parent].Type.Kind {
		case schemas.Array:
			marks[i] = rs.misses(layout, at, schemas.NodeID(i))
		case schemas.Map:
			marks[i] = rs.nameEntry(at[n.Parent])
		}
		marks[i] = marks[i] || marks[n.Parent]
	}
	return marks
}

func predicate(s schemas.Step) bool { return s.Kind == schemas.StepPredicate }

// misses reports whether a rule has a predicate at the array of an element for which
// the layout has no such elements. at are the paths of all nodes.
func (rs ruleSet) misses(layout schemas.Layout, at []schemas.Path, element schemas.NodeID) bool {
	array := layout.Nodes()[element].Parent
	for _, r := range rs {
		for k, step := range r.path {
			if !predicate(step) || !leadsTo(r.path[:k], at[array]) || chosenBy(layout, at, array, step) {
				continue
			}
			if spelledOut(r.path[:k]) || hasMember(layout, element, step.Name) {
				return true
			}
		}
	}
	return false
}

// nameEntry reports whether a rule names an entry of the map at a position.
func (rs ruleSet) nameEntry(at schemas.Path) bool {
	return slices.ContainsFunc(rs, func(r pathRule) bool {
		for k, step := range r.path {
			if step.Kind == schemas.StepMember && spelledOut(r.path[:k]) && r.path[:k].Names(at) {
				return true
			}
		}
		return false
	})
}

// leadsTo reports whether a beginning of a rule's path may end at a position.
func leadsTo(p, at schemas.Path) bool {
	deep := len(p) > 0 && p[len(p)-1].Kind == schemas.StepDeep
	return p.Names(at) || deep && p.Covers(at)
}

// chosenBy reports whether an array has elements that a step chooses.
func chosenBy(layout schemas.Layout, at []schemas.Path, array schemas.NodeID, step schemas.Step) bool {
	for i := array + 1; lies(layout, i, array); i++ {
		if layout.Nodes()[i].Parent == array && at[i][len(at[i])-1] == step {
			return true
		}
	}
	return false
}

// hasMember reports whether an element has a member of this name, in any case.
func hasMember(layout schemas.Layout, element schemas.NodeID, name string) bool {
	path := layout.Nodes()[element].Path + "." + name
	for i := element + 1; lies(layout, i, element); i++ {
		if strings.EqualFold(layout.Nodes()[i].Path, path) {
			return true
		}
	}
	return false
}

// lies reports whether a node is one of those that lie in a container, which come
// right after it.
func lies(layout schemas.Layout, id, container schemas.NodeID) bool {
	return int(id) < len(layout.Nodes()) && layout.Nodes()[id].Parent >= container
}

// spelledOut reports whether a path has neither ** nor *.
func spelledOut(p schemas.Path) bool {
	return !slices.ContainsFunc(p, func(s schemas.Step) bool { return s.Kind == schemas.StepDeep || s.Kind == schemas.StepAnyMember })
}
