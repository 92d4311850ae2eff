package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/consentstream/consentstream/schemas"
)

// checkJSON finds what shows without a record in the rules of a JSON layout: those
// that claim a position equally, and a .* whose names nobody classifies. They are
// data themselves, so that nothing after it would ever go out.
func (c *checker) checkJSON(at string, s *CompiledStream, rs ruleSet, layout schemas.Layout) {
	for _, n := range layout.Nodes() {
		var tie *tieError
		if _, _, err := rs.category(n.Path); n.Path != "" && errors.As(err, &tie) {
			c.add(at+"["+tie.A+"]", "%v", tie)
		}
	}
	c.warnChosen(at, layout)
	c.warnSpellings(at, s, rs)
	c.warnShadowed(at, s, rs, layout)
	c.warnCascades(at, s, rs, rs.objects())
	for _, r := range rs {
		if keys := rs.unclassifiedKeys(r.path); keys != nil {
			c.add(at+"["+r.text+"]", "the names that .* matches are data themselves: classify %s too, or name the members", keys)
		}
		if r.nested != nil {
			c.checkJSON(at+"["+r.text+"]."+nestedWord(r.nested.encoding), s, r.nested.rules, r.nested.layout)
		}
	}
}

// unclassifiedKeys is the first .*~key of a path that no rule classifies.
func (rs ruleSet) unclassifiedKeys(p schemas.Path) schemas.Path {
	for i, step := range p {
		keys := append(slices.Clone(p[:i+1]), schemas.Step{Kind: schemas.StepKey})
		if step.Kind == schemas.StepAnyMember && !slices.ContainsFunc(rs, func(o pathRule) bool { return o.path.Covers(keys) }) {
			return keys
		}
	}
	return nil
}

// warnChosen says of arrays that some of their elements may belong to nobody, as
// warnContested does of Avro's.
func (c *checker) warnChosen(at string, layout schemas.Layout) {
	chosen := map[string][]schemas.Step{} // by array
	var twice []string
	for _, n := range layout.Nodes() {
		path, err := nodePath(n)
		if err != nil || len(path) == 0 {
			continue
		}
		array, step := path[:len(path)-1].String(), path[len(path)-1]
		if slices.ContainsFunc(chosen[array], step.Meets) && !slices.Contains(twice, array+"[*]") {
			twice = append(twice, array+"[*]")
		}
		chosen[array] = append(chosen[array], step)
	}
	if len(twice) > 0 {
		c.warn(at, chosenTwice, listed(twice))
	}
}

// chosenTwice is what is said of the elements of an array.
const chosenTwice = `an element of %s that several paths choose, by [n] or by [key=="v"], is withheld`

// warnSpellings finds members whose names have dots and that are spelled like a
// path, or the other way round: `"user.email"` is not user.email. Where they go by a
// path that cascades, or by a *, they may go out though user.email may not.
func (c *checker) warnSpellings(at string, s *CompiledStream, rs ruleSet) {
	twins := make([][]string, len(rs)) // by the rule that takes them
	for i := range rs {
		for _, twin := range rs[i].path.Respelled() {
			category, by, err := rs.at(twin)
			if err == nil && by >= 0 && !rs[by].spellsOut(twin) && s.showsMore(category, &rs[i]) {
				twins[by] = append(twins[by], fmt.Sprintf("%s (not %s)", twin, rs[i].text))
			}
		}
	}
	for i, list := range twins {
		if len(list) > 0 {
			c.warn(at+"["+rs[i].text+"]", "also takes what is only spelled like another field: %s; if records have it, give it a path and that field's category", listed(list))
		}
	}
}

// spellsOut reports whether a rule names a position by its name.
func (r *pathRule) spellsOut(at schemas.Path) bool {
	n := len(r.path)
	return n > 0 && r.path[n-1].Kind == schemas.StepMember && r.path.Names(at)
}

// showsMore reports whether some purpose shows more of a category than of what the
// rule than classifies.
func (s *CompiledStream) showsMore(category string, than *pathRule) bool {
	for i := range s.purposes {
		p := s.purposes[i].purpose
		shown, ok := p.Rule(category)
		if !ok || shown.Treatment.Name == "drop" || shown.Treatment.Name == "redact" {
			continue
		}
		field, ok := p.Rule(than.category)
		alike := field.Treatment.Name == "keep" || describe(field.Treatment) == describe(shown.Treatment)
		if !ok || !alike || field.Gate() != 0 && field.Gate() != shown.Gate() {
			return true
		}
	}
	return false
}
