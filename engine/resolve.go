package engine

import (
	"fmt"
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// ruleSet gives positions their categories: a rule's category cascades below
// its path, the most specific path wins, and a tie classifies nothing.
type ruleSet []pathRule

type pathRule struct {
	path      schemas.Path
	text      string
	category  string
	subject   string       // that it binds to, "" for none
	namespace string       // of the identifiers that stand there, "" for none
	nested    *nestedField // instead of a category
}

func newRuleSet(fields []FieldRule) (ruleSet, error) {
	rs := make(ruleSet, 0, len(fields))
	for _, f := range fields {
		p, err := schemas.ParseRule(f.Path)
		if err != nil {
			return nil, err
		}
		r := pathRule{path: p, text: f.Path, category: f.Category, subject: f.Subject, namespace: f.Namespace}
		if f.Nested != nil {
			r.category = ""
			if r.nested, err = newNestedField(f); err != nil {
				return nil, fmt.Errorf("%s: %w", f.Path, err)
			}
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// tieError says that two rules match a position equally well.
type tieError struct{ Path, A, B string }

func (e *tieError) Error() string {
	return fmt.Sprintf("%s and %s match %s equally well; write a longer path, or a name instead of *", e.A, e.B, e.Path)
}

// category finds the category of a position; "" where no rule covers it. rule
// is the index of the rule that won.
func (rs ruleSet) category(path string) (category string, rule int, err error) {
	p, err := schemas.ParseRule(path)
	if err != nil {
		return "", -1, err
	}
	return rs.at(p)
}

// at is category of a parsed path; the empty one is all of a record.
func (rs ruleSet) at(p schemas.Path) (category string, rule int, err error) {
	best, tied := -1, -1
	for i := range rs {
		if !rs[i].path.Covers(p) {
			continue
		}
		if best < 0 {
			best = i
			continue
		}
		switch c := rs[i].path.Compare(rs[best].path, p); {
		case c > 0:
			best, tied = i, -1
		case c == 0 && !rs[i].says(&rs[best]):
			tied = i
		}
	}
	if tied >= 0 {
		return "", -1, &tieError{Path: p.String(), A: rs[best].text, B: rs[tied].text}
	}
	if best < 0 {
		return "", -1, nil
	}
	return rs[best].category, best, nil
}

// says reports whether two rules say the same of a position.
func (r *pathRule) says(o *pathRule) bool {
	return r.category == o.category && r.namespace == o.namespace && r.nested == o.nested
}

// binding finds the most specific rule that covers a position and binds it to a
// subject; nil for none. tied says that two bind it to different ones.
func (rs ruleSet) binding(p schemas.Path) (best *pathRule, tied bool) {
	for i := range rs {
		r := &rs[i]
		if r.subject == "" || !r.path.Covers(p) {
			continue
		}
		if best == nil {
			best = r
			continue
		}
		switch c := r.path.Compare(best.path, p); {
		case c > 0:
			best, tied = r, false
		case c == 0 && r.subject != best.subject:
			tied = true
		}
	}
	return best, tied
}

// resolved is what the rules say of a node: a category, or how the text there is
// parsed. The zero resolved classifies nothing.
type resolved struct {
	category string
	nested   *nestedField
}

// node says what the rules say of a node, and by which rule; -1 where none covers
// it. A text that holds JSON stands at its rule's path itself: what lies below
// that is no such text, and nobody's.
func (rs ruleSet) node(n schemas.Node) (r resolved, rule int, err error) {
	p, err := nodePath(n)
	if err != nil {
		return r, -1, err
	}
	category, rule, err := rs.at(p)
	if err != nil || rule < 0 {
		return r, rule, err
	}
	r.category = category
	if f := rs[rule].nested; f != nil && n.Leaf && rs[rule].path.String() == n.Path {
		r.nested = f
	}
	return r, rule, nil
}

// nodePath is a node's path; of the root it is empty.
func nodePath(n schemas.Node) (schemas.Path, error) {
	return schemas.ParseRule(n.Path)
}

// Nodes that a layout does not have: nowhere says nothing, and at what is unclear
// something may stand that cannot be read as one value.
const (
	nowhere schemas.NodeID = -1
	unclear schemas.NodeID = -2
)

// findNodes finds the places of one identifier. Where it has several, one that may
// hold something else than the node that is read is unclear: what is there must
// agree with the others.
func findNodes(layout schemas.Layout, paths []string) []schemas.NodeID {
	found := make([]schemas.NodeID, len(paths))
	for i, path := range paths {
		found[i] = findNode(layout, path)
		for id, n := range layout.Nodes() {
			another := n.Path == path && schemas.NodeID(id) != found[i] && n.Type.Kind != schemas.Union
			if len(paths) > 1 && (another || contests(n, path)) {
				found[i] = unclear
				break
			}
		}
	}
	return found
}

// contests reports whether a node is an element that can be the one that a path goes
// through as [n]: one that both choose is withheld.
func contests(n schemas.Node, path string) bool {
	if !strings.Contains(path, "[") || !strings.HasSuffix(n.Path, "]") {
		return false
	}
	p, err := schemas.ParsePath(path)
	at, err2 := nodePath(n)
	if err != nil || err2 != nil {
		return false
	}
	array, element := at[:len(at)-1], at[len(at)-1]
	for i, step := range p {
		if element.Meets(step) && array.Names(p[:i]) {
			return true
		}
	}
	return false
}

// findNode finds a position of a layout; nowhere where it has none, or several (the
// branches of a union), or where the record can hold it more than once.
func findNode(layout schemas.Layout, path string) schemas.NodeID {
	if path == "" {
		return nowhere
	}
	p, err := schemas.ParsePath(path)
	if err != nil {
		return nowhere
	}
	found := nowhere
	for i, n := range layout.Nodes() {
		if n.Path != p.String() || !n.Leaf || n.Repeated {
			continue
		}
		if found >= 0 {
			return nowhere
		}
		found = schemas.NodeID(i)
	}
	return found
}
