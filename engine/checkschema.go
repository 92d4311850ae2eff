package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/filters"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// checkSchema checks an Avro stream against the schema that its config names.
func (c *checker) checkSchema(at string, s *CompiledStream) {
	layout, split, err := s.layout(s.wiring.Schema)
	if err != nil {
		place := at + ".schema"
		if _, whole := schemas.NewAvro(s.wiring.Schema, nil); whole == nil && s.wiring.Split != "" {
			place = at + ".split.path" // then it is not the schema
		}
		c.add(place, "%v", err)
		return
	}
	found := s.resolveNodes(layout)
	c.checkRules(at, s, layout, found)
	c.checkPlaces(at, s, layout)
	c.checkBindings(at, s, layout)
	plan, err := s.compile(layout, split)
	if err != nil {
		c.add(at, "%v", err)
		return
	}
	c.checkView(at, s, plan)
	c.checkTypes(at, s, layout, found)
	c.warnShadowed(at+".fields", s, s.rules, layout)
	c.warnCascades(at+".fields", s, s.rules, records(layout))
}

// checkRules finds rules that match nothing, ties, and fields without a rule.
// The last are one warning: a schema may have hundreds.
func (c *checker) checkRules(at string, s *CompiledStream, layout schemas.Layout, found []resolved) {
	used := make([]bool, len(s.rules))
	var withheld, recursive []string
	nodes := layout.Nodes()
	for i, n := range nodes {
		if n.Path == "" || n.Contested {
			c.warnContested(at, n, layout)
			continue
		}
		p, err := schemas.ParsePath(n.Path)
		if err != nil {
			continue
		}
		for r := range s.rules {
			used[r] = used[r] || s.rules[r].path.Covers(p)
		}
		c.checkTags(at, s, n)
		if found[i].nested != nil {
			c.checkNestedType(at, s, n)
		}
		if n.Type.Kind == schemas.Opaque {
			recursive = addName(recursive, leafName(nodes, i, func(k int) bool { return nodes[k].Type.Kind == schemas.Opaque }))
			continue
		}
		if n.Leaf && found[i] == (resolved{}) && !c.checkTie(at, s, n) {
			name := leafName(nodes, i, func(k int) bool { return found[k] == (resolved{}) })
			if tag := s.unlisted(nodes, schemas.NodeID(i)); tag != "" {
				name += fmt.Sprintf(" (tags: does not list its tag %q)", tag)
			}
			withheld = addName(withheld, name)
		}
	}
	c.warnWithheld(at, withheld)
	if len(recursive) > 0 {
		c.warn(at+".fields", "withheld whatever its category: %s; a type that contains itself is not looked into again", listed(recursive))
	}
	for i, ok := range used {
		if ok {
			continue
		}
		f := Finding{At: at + ".fields[" + s.rules[i].text + "]", Message: "matches nothing in the schema"}
		if f.Nearest = nearestPath(s.rules[i].text, layout); f.Nearest == "" {
			f.Message += "; if a newer version of it has this, put that version into the file of schema:, or leave schema: out where no one version has all fields"
		}
		c.found = append(c.found, f)
	}
}

// addName adds a leaf to those that a warning names: once, however many branches of a
// union have its name.
func addName(names []string, name string) []string {
	if slices.Contains(names[max(0, len(names)-maxBranches):], name) {
		return names
	}
	return append(names, name)
}

// warnContested says of an array that some of its elements belong to nobody.
func (c *checker) warnContested(at string, n schemas.Node, layout schemas.Layout) {
	if n.Contested && !layout.Nodes()[n.Parent].Contested {
		c.warn(at+".fields", chosenTwice, n.Path)
	}
}

// maxListed is how many paths a warning names.
const maxListed = 20

func (c *checker) warnWithheld(at string, paths []string) {
	switch n := len(paths); {
	case n == 1:
		c.warn(at+".fields", "%s is withheld: no rule classifies it", paths[0])
	case n > 1:
		c.warn(at+".fields", "%d fields are withheld, since no rule classifies them: %s", n, listed(paths))
	}
}

// listed are the first of the paths.
func listed(paths []string) string {
	if n := len(paths); n > maxListed {
		return fmt.Sprintf("%s and %d more", strings.Join(paths[:maxListed], ", "), n-maxListed)
	}
	return strings.Join(paths, ", ")
}

// checkTie reports whether a field would have a rule if two did not tie.
func (c *checker) checkTie(at string, s *CompiledStream, n schemas.Node) bool {
	_, _, err := s.rules.category(n.Path)
	var tie *tieError
	if !errors.As(err, &tie) {
		return false
	}
	c.add(at+".fields["+tie.A+"]", "%v", tie)
	return true
}

// checkTags finds a position whose tags say two things, and no rule one.
func (c *checker) checkTags(at string, s *CompiledStream, n schemas.Node) {
	if _, rule, _ := s.rules.category(n.Path); rule >= 0 {
		return
	}
	if _, err := s.tagCategory(n.Tags); err != nil {
		c.add(at+".tags", "%s: %v", n.Path, err)
	}
}

// checkPlaces finds a subject or event time that no record would ever show. In
// JSON nobody knows that before records come, but a path that no rule
// classifies, spelled almost like one that a rule does, is a slip.
func (c *checker) checkPlaces(at string, s *CompiledStream, layout schemas.Layout) {
	for k, sub := range s.wiring.Subjects {
		nodes := findNodes(layout, s.subjects[k].paths)
		for i, path := range sub.Paths {
			place := pathAt(at, sub, i)
			if t, ok := c.checkPlace(place, path, nodes[i], layout); ok && !namesSubject(t) {
				c.add(place, "%s is %s: a subject is named by a string or an integer", path, t)
			}
			c.checkSlip(place, s, path, layout)
		}
	}
	if s.wiring.EventTime.Path != "" {
		c.checkTime(at+".event_time", s.wiring.EventTime, layout)
		c.checkSlip(at+".event_time", s, s.wiring.EventTime.Path, layout)
	}
}

func (c *checker) checkSlip(at string, s *CompiledStream, path string, layout schemas.Layout) {
	if layout.Format() != schemas.JSON {
		return // checkPlace knows
	}
	if category, _, err := s.rules.category(path); err != nil || category != "" {
		return
	}
	named := make([]string, 0, len(s.rules))
	for _, r := range s.rules {
		named = append(named, r.text)
	}
	if near := policy.Nearest(path, named); near != "" {
		c.found = append(c.found, Finding{At: at, Message: path + " is not among fields; without a schema nobody can tell whether records have it", Nearest: near, Warning: true})
	}
}

// namesSubject is what Batch.subjectText reads.
func namesSubject(t schemas.Type) bool {
	switch t.Kind {
	case schemas.String, schemas.Any:
		return true
	case schemas.Int, schemas.Long:
		return t.Logical == schemas.NoLogical
	}
	return false
}

// checkPlace finds a path that the layout does not have, or has many times.
func (c *checker) checkPlace(at, path string, id schemas.NodeID, layout schemas.Layout) (t schemas.Type, ok bool) {
	if id >= 0 {
		return layout.Nodes()[id].Type, true
	}
	f := Finding{At: at, Message: path + " is not a single value in the schema"}
	if layout.Format() != schemas.Avro {
		f.Message = path + " is not a single value: it is an element of an array, or another path lies below it"
	} else if near := nearestPath(path, layout); near != path { // the word itself exists, and is wrong here
		f.Nearest = near
	}
	c.found = append(c.found, f)
	return t, false
}

func (c *checker) checkTime(at string, w TimeRule, layout schemas.Layout) {
	t, ok := c.checkPlace(at, w.Path, findNode(layout, w.Path), layout)
	if !ok || t.Kind == schemas.Any {
		return
	}
	typed := t.Logical == schemas.TimestampMillis || t.Logical == schemas.TimestampMicros || t.Logical == schemas.TimestampNanos
	plain := t.Logical == schemas.NoLogical && (t.Kind == schemas.Long || t.Kind == schemas.Int)
	switch {
	case typed && w.Unit != "":
		c.add(at, "%s has a logical type that says its unit; remove unit", w.Path)
	case plain && w.Unit == "":
		c.add(at, "%s is a plain number: say unit: s, ms or us", w.Path)
	case !typed && !plain && (t.Kind != schemas.String || t.Logical != schemas.NoLogical):
		c.add(at, "%s is not a point in time (a local timestamp has no zone)", w.Path)
	}
}

// checkView finds purposes for which nothing would be left, and what two
// purposes could be joined by.
func (c *checker) checkView(at string, s *CompiledStream, plan *Plan) {
	for i := range s.purposes {
		if plan.views[i].projection.Empty() {
			c.add(at+".purposes["+s.purposes[i].purpose.ID+"]", "nothing of %s would be left for purpose %s: it keeps none of the categories of its fields; classify more, or take the purpose out", s.wiring.Topic, s.purposes[i].purpose.ID)
		}
	}
	kept := map[string][]string{}
	for i := range s.purposes {
		for _, f := range plan.views[i].fields {
			if f.Treatment == "keep" && joins(s, plan, f) {
				kept[f.Path] = append(kept[f.Path], s.purposes[i].purpose.ID)
			}
		}
	}
	for _, n := range plan.layout.Nodes() {
		if ids := kept[n.Path]; len(ids) > 1 && n.Type.Kind != schemas.Bool { // a flag is unique to nobody
			c.warn(s.classifiedAt(at, n.Path), "%s is kept by %s: whoever reads both topics can join them by it", n.Path, strings.Join(ids, ", "))
			delete(kept, n.Path) // the branches of a union have one path
		}
	}
}

// classifiedAt is the place in the wiring that gives a path its category.
func (s *CompiledStream) classifiedAt(at, path string) string {
	if _, rule, err := s.rules.category(path); err == nil && rule >= 0 {
		return at + ".fields[" + s.rules[rule].text + "]"
	}
	return at + ".tags"
}

// joins guesses whether a kept field is unique to a record or a person, so that two
// outputs could be joined by it.
func joins(s *CompiledStream, plan *Plan, f audit.Field) bool {
	name := strings.ToLower(f.Path)
	if slices.ContainsFunc(s.subjects, func(sub streamSubject) bool { return sub.standsAt(f.Path) }) || plan.time >= 0 && f.Path == plan.layout.Nodes()[plan.time].Path {
		return true
	}
	for _, suffix := range []string{"id", "uuid", "guid", "email", "phone"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return strings.HasPrefix(f.Category, "user.unique_id")
}

// checkTypes finds treatments that have no result for a field's type.
func (c *checker) checkTypes(at string, s *CompiledStream, layout schemas.Layout, found []resolved) {
	for i := range s.purposes {
		for k, n := range layout.Nodes() {
			if found[k].category == "" || !n.Leaf {
				continue
			}
			c.checkType(s.classifiedAt(at, n.Path), s, s.purposes[i].purpose, n, found[k].category)
		}
	}
}

func (c *checker) checkType(at string, s *CompiledStream, p *policy.Purpose, n schemas.Node, category string) {
	rule, ok := p.Rule(category)
	if !ok {
		return
	}
	t, err := s.treatment(p, rule.Treatment, site{path: n.Path, domain: s.domain(n.Path, category), about: bit(s.main)})
	if err != nil {
		return // found at the rule already
	}
	if _, err := nodeAction(t, n); err != nil {
		c.add(at, "%s: purpose %s: %v", n.Path, p.ID, err)
		return
	}
	if use := filters.KeyUse(t.Name()); n.Type.Kind == schemas.Enum && (use == keys.UsePseudonym || use == keys.UseEncrypt) {
		// SEMANTICS section 8, 47.
		c.warn(at, "%s: purpose %s: an enum has few values, so how often each token comes tells what it stands for", n.Path, p.ID)
	}
}

// nearestPath is the schema's path that is spelled most like text.
func nearestPath(text string, layout schemas.Layout) string {
	paths := make([]string, 0, len(layout.Nodes()))
	for _, n := range layout.Nodes() {
		if n.Path != "" {
			paths = append(paths, n.Path)
		}
	}
	return policy.Nearest(text, paths)
}
