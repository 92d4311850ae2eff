package engine

import (
	"fmt"
	"slices"

	"github.com/consentstream/consentstream/schemas"
)

// warnShadowed finds members that a path with * takes although another path names
// them: m.* comes before **.email at m.email, since a name comes before a **. Whoever
// dropped every email has not dropped that one.
func (c *checker) warnShadowed(at string, s *CompiledStream, rs ruleSet, layout schemas.Layout) {
	for i := range rs {
		path := rs[i].path
		if slices.Contains(path, schemas.Step{Kind: schemas.StepKey}) {
			continue
		}
		var taken, rules []string
		for k := range path {
			if path[k].Kind != schemas.StepAnyMember {
				continue
			}
			for _, t := range s.shadowed(rs, i, k, layout) {
				taken = append(taken, fmt.Sprintf("%s (not %s)", t.position, t.from.text))
				rules = append(rules, fmt.Sprintf("%s: %s", t.position, t.from.category))
			}
		}
		if len(taken) == 0 {
			continue
		}
		remedy := "write these too: " + listed(rules)
		if layout.Format() == schemas.Avro {
			remedy = "give it the category that shows least: the entries of an Avro map have one"
		}
		c.warn(at+"["+rs[i].text+"]", "takes members that other paths name, and shows more of them: %s; the first step that differs decides, so %s", listed(taken), remedy)
	}
}

// shadow is a position that a rule takes from another one.
type shadow struct {
	position schemas.Path
	from     *pathRule
}

// shadowed lists the positions that rule i takes by the * at step k from rules that
// name them and show less.
func (s *CompiledStream) shadowed(rs ruleSet, i, k int, layout schemas.Layout) (taken []shadow) {
	for j := range rs {
		less := &rs[j]
		if !slices.ContainsFunc(less.path, wild) || !s.showsMore(rs[i].category, less) {
			continue
		}
		seen := map[schemas.Step]bool{}
		for _, step := range less.path {
			if step.Kind != schemas.StepMember || seen[step] {
				continue
			}
			seen[step] = true
			at := slices.Clone(rs[i].path)
			at[k] = step
			if _, by, err := rs.at(at); err == nil && by == i && less.path.Names(at) && mayHold(layout, rs[i].path, at) {
				taken = append(taken, shadow{at, less})
			}
		}
	}
	return taken
}

func wild(s schemas.Step) bool {
	return s.Kind == schemas.StepDeep || s.Kind == schemas.StepAnyMember
}

// mayHold reports whether records may hold a position that a rule names: in Avro as a
// field, or as an entry of a map.
func mayHold(layout schemas.Layout, rule, position schemas.Path) bool {
	if layout.Format() != schemas.Avro {
		return true
	}
	deep := slices.Contains(rule, schemas.Step{Kind: schemas.StepDeep})
	return slices.ContainsFunc(layout.Nodes(), func(n schemas.Node) bool {
		p, err := nodePath(n)
		return err == nil && rule.Names(p) && (deep || p.Names(position))
	})
}
