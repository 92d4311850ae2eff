package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// resolveNodes says of each node of a layout what is said of it. A rule of
// the wiring decides, and where none covers the node the schema's tags, which
// cascade like rules. What two rules or two tags claim equally stays
// unclassified; lint names it. So does what has another type than the wiring's
// own schema says: its rule was written for something else, and elements that a
// predicate was to choose from.
func (s *CompiledStream) resolveNodes(layout schemas.Layout) []resolved {
	nodes := layout.Nodes()
	found, tagged, changed := make([]resolved, len(nodes)), make([]string, len(nodes)), make([]bool, len(nodes))
	undecided := s.rules.undecided(layout)
	for i, n := range nodes {
		if n.Parent >= 0 && !isKey(n) {
			tagged[i] = tagged[n.Parent]
		}
		r, rule, err := s.rules.node(n)
		changed[i] = n.Parent >= 0 && changed[n.Parent] || s.reference.changed(n) && (n.Declared == 0 || rule >= 0) // JSON lets go by what a rule covers
		if len(n.Tags) > 0 {
			tagged[i], _ = s.tagCategory(n.Tags)
		}
		if n.Type.Kind == schemas.Opaque || n.Contested || changed[i] || undecided[i] {
			continue
		}
		switch {
		case err == nil && rule >= 0:
			found[i] = r
		case err == nil && n.Path != "":
			found[i].category = tagged[i]
		}
	}
	return found
}

// isKey reports whether a node is the keys of a map, onto which nothing cascades.
func isKey(n schemas.Node) bool { return strings.HasSuffix(n.Path, "~key") }

// tagCategory is what the wiring says of a position's tags: the most specific
// category, where the others lie above it. Of a tag that it does not list nobody knows
// what it means, so that the position has none.
func (s *CompiledStream) tagCategory(tags []string) (category string, err error) {
	for _, tag := range tags {
		rule := s.tagRule(tag)
		if rule == nil {
			return "", nil
		}
		switch c := rule.Category; {
		case category == "" || below(c, category):
			category = c
		case !below(category, c):
			return "", fmt.Errorf("its tags are both %s and %s; give it a category among fields", category, c)
		}
	}
	return category, nil
}

func (s *CompiledStream) tagRule(tag string) *TagRule {
	i := slices.IndexFunc(s.wiring.Tags, func(r TagRule) bool { return r.Tag == tag })
	if i < 0 {
		return nil
	}
	return &s.wiring.Tags[i]
}

// unlisted is the tag of a position, or of what it lies in, for which a wiring that
// goes by tags has no category; "" if there is none.
func (s *CompiledStream) unlisted(nodes []schemas.Node, i schemas.NodeID) string {
	for ; i >= 0 && len(s.wiring.Tags) > 0; i = nodes[i].Parent {
		for _, tag := range nodes[i].Tags {
			if s.tagRule(tag) == nil {
				return tag
			}
		}
	}
	return ""
}

// below reports whether a category is key or below it.
func below(category, key string) bool { return strings.HasPrefix(category+".", key+".") }

// reference are the nodes that the wiring's own schema gives each path; a union's
// path has several.
type reference map[string][]schemas.Node

// newReference is nil where the schema is none: lint says so.
func (s *CompiledStream) newReference(avsc string) reference {
	layout, _, err := s.layout(avsc)
	if err != nil {
		return nil
	}
	r := reference{}
	for _, n := range layout.Nodes() {
		r[n.Path] = append(r[n.Path], n)
	}
	return r
}

// changed reports whether a position has a type that the reference does not give it.
// Null may come and go: it is no value. A union is what its branches are, and what
// one of two JSON Schemas does not declare has no type there.
func (r reference) changed(n schemas.Node) bool {
	nodes, known := r[n.Path]
	return known && n.Type.Kind != schemas.Union && !slices.ContainsFunc(nodes, func(was schemas.Node) bool {
		t := was.Type
		return t.Kind == n.Type.Kind && t.Logical == n.Type.Logical && t.Size == n.Type.Size && t.Precision == n.Type.Precision && t.Scale == n.Type.Scale &&
			(was.Declared == 0 || n.Declared&^was.Declared == 0)
	})
}
