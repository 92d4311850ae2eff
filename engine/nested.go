package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// nestedField is a field whose text holds JSON, with the rules for what is in it.
type nestedField struct {
	encoding schemas.Encoding
	rules    ruleSet
	layout   schemas.Layout
	found    []resolved // by node of layout
}

// maxNesting is how many texts may stand in each other.
const maxNesting = 8

func newNestedField(f FieldRule) (*nestedField, error) {
	if nesting(f.Nested) > maxNesting {
		return nil, fmt.Errorf("texts of JSON are nested more than %d deep", maxNesting)
	}
	n := &nestedField{encoding: f.Nested.Encoding}
	var err error
	if n.rules, err = newRuleSet(f.Nested.Fields); err != nil {
		return nil, err
	}
	paths := make([]string, len(f.Nested.Fields))
	for i, in := range f.Nested.Fields {
		paths[i] = in.Path
	}
	if n.layout, err = schemas.NewJSON(paths, binding(f.Nested.Fields)...); err != nil {
		return nil, err
	}
	n.found = make([]resolved, len(n.layout.Nodes()))
	for i, node := range n.layout.Nodes() {
		if r, _, err := n.rules.node(node); err == nil { // lint says what two rules claim
			n.found[i] = r
		}
	}
	return n, nil
}

func nesting(n *NestedRule) (deepest int) {
	if n == nil {
		return 0
	}
	for _, f := range n.Fields {
		deepest = max(deepest, nesting(f.Nested))
	}
	return deepest + 1
}

// nestedWord is how the wiring calls an encoding, and after it plans and people.
func nestedWord(e schemas.Encoding) string {
	switch e {
	case schemas.Base64:
		return "base64.json"
	case schemas.Base64URL:
		return "base64url.json"
	}
	return "json"
}

// actions are what a purpose does with the nodes of a layout.
type actions struct {
	layout   schemas.Layout
	acts     []schemas.Action // by node
	fields   []audit.Field
	said     map[audit.Field]bool // those of this layout
	withheld []string             // paths at whose type a treatment has no result
	dearest  []int32              // by node, of a text: the greatest weight of a treatment in it
}

// setting is what the positions of a layout have from where it stands: in the
// record, or in a text within it.
type setting struct {
	text   string // how plans call the text: payload{json}; "": the record
	about  func(path schemas.Path, category string) subjectSet
	domain func(path, category string) domain
}

func (s *CompiledStream) record() setting { return setting{about: s.aboutPath, domain: s.domain} }

// inside is the setting of a text at a path of another. What its own rules do not
// bind to a subject is about whom the text is about.
func (s *CompiledStream) inside(outer setting, at schemas.Path, f *nestedField) setting {
	in := setting{text: pathWithin(outer.text, at.String()) + "{" + nestedWord(f.encoding) + "}"}
	in.about = func(path schemas.Path, category string) subjectSet {
		switch rule, tied := f.rules.binding(path); {
		case tied:
			return s.all()
		case rule != nil:
			return s.bound(rule.subject, category)
		}
		return outer.about(at, category)
	}
	in.domain = func(path, category string) domain {
		if _, rule, err := f.rules.category(path); err == nil && rule >= 0 {
			return inNamespace(f.rules[rule].namespace, category)
		}
		return domain{name: category}
	}
	return in
}

func (in *setting) site(path schemas.Path, category string) site {
	text := path.String()
	return site{path: pathWithin(in.text, text), domain: in.domain(text, category), about: in.about(path, category)}
}

// pathWithin writes a path for plans and people; ** is all of a record.
func pathWithin(text, path string) string {
	if path == "" {
		path = "**"
	}
	if text == "" || strings.HasPrefix(path, "[") {
		return text + path
	}
	return text + "." + path
}

func newActions(layout schemas.Layout) actions {
	n := len(layout.Nodes())
	return actions{layout: layout, said: map[audit.Field]bool{}, acts: make([]schemas.Action, n), dearest: make([]int32, n)}
}

// actions settles what a purpose does with each node of a layout in a setting.
func (s *CompiledStream) actions(p *policy.Purpose, layout schemas.Layout, found []resolved, in setting, gs *gates) (actions, error) {
	a := newActions(layout)
	for i := range found {
		if err := s.addAction(&a, p, i, found[i], in, gs); err != nil {
			return a, err
		}
	}
	return a, nil
}

// addAction settles what a purpose does with node i, of which r is what the rules say.
func (s *CompiledStream) addAction(a *actions, p *policy.Purpose, i int, r resolved, in setting, gs *gates) error {
	n := a.layout.Nodes()[i]
	if r == (resolved{}) || !n.Leaf && a.layout.Format() == schemas.Avro {
		return nil
	}
	path, err := nodePath(n)
	if err != nil {
		return err
	}
	if f := r.nested; f != nil {
		if a.acts[i], a.dearest[i], err = s.nestedAction(p, n.Type, f, s.inside(in, path, f), gs, a); err != nil {
			return fmt.Errorf("%s: %w", n.Path, err)
		}
		return nil
	}
	act, field, ok := s.action(p, n, r.category, in.site(path, r.category), gs)
	if !ok {
		a.withheld = append(a.withheld, field.Path)
	}
	a.acts[i] = act
	if !a.said[field] { // the branches of a union have one path
		a.said[field] = true
		a.fields = append(a.fields, field)
	}
	return nil
}

// nestedAction is what a purpose does with a text; what it does with the contents is
// added to outer. A text of which nothing can be left is dropped, or null where it
// would have a null in it, so that the output does not tell whether it was there.
// dearest is the greatest weight of a treatment of the contents.
func (s *CompiledStream) nestedAction(p *policy.Purpose, t schemas.Type, f *nestedField, in setting, gs *gates, outer *actions) (act schemas.Action, dearest int32, err error) {
	a, err := s.actions(p, f.layout, f.found, in, gs)
	if err != nil {
		return act, 0, err
	}
	view, err := f.layout.Project(a.acts, "")
	if err != nil {
		return act, 0, err
	}
	outer.fields, outer.withheld = append(outer.fields, a.fields...), append(outer.withheld, a.withheld...)
	if view.Empty() {
		return act, 0, nil
	}
	via, err := schemas.NewNested(f.encoding, f.layout, view)
	if err != nil {
		return act, 0, err
	}
	result, err := via.Result(t)
	if err != nil { // the schema says that it is not a text
		outer.withheld = append(outer.withheld, in.text)
		return act, 0, nil
	}
	if !via.Shows(^uint32(0)) {
		return a.standIn(), 0, nil
	}
	return schemas.Action{Op: schemas.OpReplace, Via: via, Result: result}, a.heaviest(), nil
}

// heaviest is the greatest weight of a treatment here or in a text here.
func (a *actions) heaviest() (most int32) {
	for i, act := range a.acts {
		if act.Op == schemas.OpReplace {
			most = max(most, a.dearest[i], weight(act.Via))
		}
	}
	return most
}

// standIn replaces a text in which nothing may be seen.
func (a *actions) standIn() schemas.Action {
	null := func(act schemas.Action) bool { return act.Op == schemas.OpNull }
	if slices.ContainsFunc(a.acts, null) {
		return schemas.Action{Op: schemas.OpNull}
	}
	return schemas.Action{}
}

// checkNestedType finds a text that is none by the schema.
func (c *checker) checkNestedType(at string, s *CompiledStream, n schemas.Node) {
	_, rule, err := s.rules.category(n.Path)
	if err != nil || rule < 0 {
		return
	}
	if _, err := new(schemas.Nested).Result(n.Type); err != nil {
		c.add(at+".fields["+s.rules[rule].text+"]", "%s: %v", n.Path, err)
	}
}

// checkNested finds what is wrong with the rules for what stands in the text at
// place.
func (c *checker) checkNested(place string, f FieldRule) {
	if f.Category != "" {
		c.add(place, "%s has a category and is a text of fields with their own: one of the two", f.Path)
	}
	if len(f.Nested.Fields) == 0 {
		c.add(place, "nothing in %s is classified, so nothing of it would be left", f.Path)
	}
	c.checkFields(place+"."+nestedWord(f.Nested.Encoding), f.Nested.Fields)
}
