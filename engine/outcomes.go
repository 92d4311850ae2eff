package engine

import (
	"slices"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/schemas"
)

// Outcome is what becomes of one leaf of a schema for a purpose.
type Outcome struct {
	Path string
	// Branch is the leaf's type where other branches of its union have another
	// outcome, or hold more than a value; else "".
	Branch string
	// Recursive: what a recursive type holds of itself, which is withheld.
	Recursive bool
	// Fields are what is done with it; with a text of JSON, with all that is in it.
	// None: nothing classifies it.
	Fields []audit.Field
}

func (o *Outcome) equal(other *Outcome) bool {
	return o.Recursive == other.Recursive && slices.Equal(o.Fields, other.Fields)
}

// Outcomes says, for people, what a purpose does with each leaf of the plan that a
// record of schemaID uses (0 for JSON), in the order of the schema. A path whose leaves
// have one outcome is there once. What a JSON Schema declares and no path of the wiring
// names comes last.
func (s *CompiledStream) Outcomes(schemaID int, purpose string) ([]Outcome, error) {
	p := s.plan(schemaID)
	i := slices.IndexFunc(s.purposes, func(sp streamPurpose) bool { return sp.purpose.ID == purpose })
	if p == nil || i < 0 {
		return nil, nil
	}
	nodes, found := p.layout.Nodes(), s.resolveNodes(p.layout)
	byNode := make([]Outcome, len(nodes))
	a, gs := newActions(p.layout), gates{}
	for k, n := range nodes {
		a.fields = nil
		clear(a.said)
		if err := s.addAction(&a, s.purposes[i].purpose, k, found[k], s.record(), &gs); err != nil {
			return nil, err
		}
		byNode[k] = Outcome{Path: n.Path, Recursive: n.Type.Kind == schemas.Opaque, Fields: a.fields}
	}
	var out []Outcome
	for k, n := range nodes {
		if !n.Leaf || n.Contested || n.Path == "" && len(byNode[k].Fields) == 0 {
			continue
		}
		o := byNode[k]
		o.Branch = branchApart(nodes, k, func(other int) bool { return o.equal(&byNode[other]) })
		if !slices.ContainsFunc(out[max(0, len(out)-maxBranches):], func(have Outcome) bool {
			return have.Path == o.Path && have.Branch == o.Branch
		}) {
			out = append(out, o)
		}
	}
	if s.wiring.Format == schemas.JSONSchema {
		out = append(out, p.unnamed()...)
	}
	return out, nil
}

// unnamed are what is withheld and is no position of the layout: a JSON Schema declares
// it, and the wiring does not name it.
func (p *Plan) unnamed() (out []Outcome) {
	named := map[string]bool{}
	for _, n := range p.layout.Nodes() {
		named[n.Path] = true
	}
	for _, path := range p.Withheld {
		if !named[path] {
			out = append(out, Outcome{Path: path})
		}
	}
	return out
}

// maxBranches is the most branches of a union; those that are leaves stand close together
// in a list of leaves.
const maxBranches = 127

// branchApart is the type of a leaf that is a branch of a union where same is not so of
// all its branches; else "".
func branchApart(nodes []schemas.Node, leaf int, same func(other int) bool) string {
	n := nodes[leaf]
	if n.Parent < 0 || nodes[n.Parent].Type.Kind != schemas.Union {
		return ""
	}
	for k := int(n.Parent) + 1; k < len(nodes) && nodes[k].Parent >= n.Parent; k++ {
		if nodes[k].Parent == n.Parent && !(nodes[k].Leaf && same(k)) {
			return branchName(n.Type)
		}
	}
	return ""
}

func branchName(t schemas.Type) string {
	t.Nullable = false
	if t.Name != "" {
		return t.String() + " " + t.Name
	}
	return t.String()
}

// leafName is a leaf's path, with the type of a branch that is apart from the others.
func leafName(nodes []schemas.Node, leaf int, same func(other int) bool) string {
	if branch := branchApart(nodes, leaf, same); branch != "" {
		return nodes[leaf].Path + " (" + branch + ")"
	}
	return nodes[leaf].Path
}
