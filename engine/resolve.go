package engine

import (
	"fmt"

	"github.com/consentstream/consentstream/schemas"
)

// ruleSet gives positions their categories: a rule's category cascades below
// its path, the most specific path wins, and a tie classifies nothing.
type ruleSet []pathRule

type pathRule struct {
	path      schemas.Path
	text      string
	category  string
	subject   string // that it binds to, "" for none
	namespace string // of the identifiers that stand there, "" for none
}

func newRuleSet(fields []FieldRule) (ruleSet, error) {
	rs := make(ruleSet, 0, len(fields))
	for _, f := range fields {
		p, err := schemas.ParsePath(f.Path)
		if err != nil {
			return nil, err
		}
		rs = append(rs, pathRule{path: p, text: f.Path, category: f.Category, subject: f.Subject, namespace: f.Namespace})
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
	p, err := schemas.ParsePath(path)
	if err != nil {
		return "", -1, err
	}
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
		case c == 0 && (rs[i].category != rs[best].category || rs[i].namespace != rs[best].namespace):
			tied = i
		}
	}
	if tied >= 0 {
		return "", -1, &tieError{Path: path, A: rs[best].text, B: rs[tied].text}
	}
	if best < 0 {
		return "", -1, nil
	}
	return rs[best].category, best, nil
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

// findNode finds a position of a layout; -1 where it has none, or several (the
// branches of a union), or where the record can hold it more than once.
func findNode(layout schemas.Layout, path string) schemas.NodeID {
	if path == "" {
		return -1
	}
	p, err := schemas.ParsePath(path)
	if err != nil {
		return -1
	}
	found := schemas.NodeID(-1)
	for i, n := range layout.Nodes() {
		if n.Path != p.String() || !n.Leaf || n.Repeated {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = schemas.NodeID(i)
	}
	return found
}
