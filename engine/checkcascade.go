package engine

import (
	"slices"

	"github.com/consentstream/consentstream/schemas"
)

// unheard is a member of which nobody has heard yet: no path names it.
var unheard = schemas.Step{Kind: schemas.StepMember, Name: "\x00"}

// warnCascades lists where a field that is new tomorrow goes out at once, since a path
// of today cascades over it or is a *: everywhere else it is withheld until somebody
// classifies it. Of Avro the records are known; of JSON the objects in which paths
// name something.
func (c *checker) warnCascades(at string, s *CompiledStream, rs ruleSet, containers []schemas.Path) {
	open := make([][]string, len(rs)) // by the rule that takes what is new there
	for _, p := range containers {
		category, by, err := rs.at(append(slices.Clone(p), unheard))
		if err == nil && by >= 0 && s.shows(category) && !slices.Contains(open[by], p.String()) {
			open[by] = append(open[by], p.String())
		}
	}
	for i, list := range open {
		if len(list) > 0 {
			c.warn(at+"["+rs[i].text+"]", "new fields of %s will go out as %s: to have them withheld, name the fields one by one", listed(list), rs[i].category)
		}
	}
}

// shows reports whether some purpose shows something of a category.
func (s *CompiledStream) shows(category string) bool {
	return slices.ContainsFunc(s.purposes, func(sp streamPurpose) bool {
		r, ok := sp.purpose.Rule(category)
		return ok && r.Treatment.Shows()
	})
}

// records are the positions of the records of a schema, the whole one apart.
func records(layout schemas.Layout) (paths []schemas.Path) {
	for _, n := range layout.Nodes() {
		if p, err := schemas.ParsePath(n.Path); n.Type.Kind == schemas.Record && err == nil && len(p) > 0 {
			paths = append(paths, p)
		}
	}
	return paths
}

// objects are the positions in which a path names a member, and none says with a * that
// members there may have any name.
func (rs ruleSet) objects() (paths []schemas.Path) {
	for _, r := range rs {
		for n := 1; n < len(r.path); n++ {
			if r.path[n].Kind == schemas.StepMember && !rs.has(append(slices.Clone(r.path[:n]), schemas.Step{Kind: schemas.StepAnyMember})) {
				paths = append(paths, r.path[:n])
			}
		}
	}
	return paths
}

func (rs ruleSet) has(path schemas.Path) bool {
	return slices.ContainsFunc(rs, func(r pathRule) bool { return slices.Equal(r.path, path) })
}
