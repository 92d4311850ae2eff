package engine

import (
	"fmt"
	"slices"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/filters"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// action decides what a purpose does with a node of a category, and gives it the
// gate of the subjects that it is about. ok is false, and the node dropped, where
// the treatment has no result for the node's type or there are too many gates.
func (s *CompiledStream) action(p *policy.Purpose, n schemas.Node, category string, at site, gs *gates) (a schemas.Action, f audit.Field, ok bool) {
	f = audit.Field{Path: at.path, Category: category, Treatment: "drop", Subject: s.boundName(at.about)}
	rule, ruled := p.Rule(category)
	if !ruled {
		return a, f, true
	}
	t, err := s.treatment(p, rule.Treatment, at)
	if err != nil {
		return a, f, false
	}
	a, err = nodeAction(t, n)
	if err != nil {
		return schemas.Action{}, f, false
	}
	f.Treatment = describe(rule.Treatment)
	if a.Op == schemas.OpDrop || a.Op == schemas.OpNull {
		return a, f, true
	}
	if rule.Gate() != 0 {
		f.Gate = gateWord(rule)
	}
	if a.Gate, err = gs.number(s.gate(at.about, rule.Gate())); err != nil {
		return schemas.Action{}, f, false
	}
	return a, f, true
}

// gateWord is what the audit calls a rule's gate.
func gateWord(r policy.Rule) string {
	if r.Gate() == policy.GateExplicit {
		return "explicit_consent"
	}
	return r.Ground
}

// nodeAction is a treatment at a node's type. A JSON position has no type of
// its own: the value decides when it is there.
func nodeAction(t filters.Treatment, n schemas.Node) (schemas.Action, error) {
	if n.Type.Kind == schemas.Opaque {
		return schemas.Action{}, nil
	}
	a := schemas.Action{Op: t.Op()}
	if a.Op != schemas.OpReplace && a.Op != schemas.OpConst {
		return a, nil
	}
	typ := n.Type
	if a.Op == schemas.OpReplace && (typ.Kind == schemas.Record || typ.Kind == schemas.Array) {
		typ = schemas.Type{Kind: schemas.Any} // a JSON container: what its rule alone covers is removed and counted
	}
	var err error
	a.Via, a.Result, err = t.At(typ)
	return a, err
}

// site is what a treatment must know of where it is applied.
type site struct {
	path   string
	domain domain
	about  subjectSet
}

// treatment builds a treatment with the key of a purpose, for a site. Equal
// ones are one, so that the pseudonym of a subject that stands in the value and
// in the key is computed once; only encrypt differs by path, and date_shift by
// whom it is about.
func (s *CompiledStream) treatment(p *policy.Purpose, spec policy.Treatment, at site) (filters.Treatment, error) {
	id, who := treatmentID{purpose: p.ID, spec: describe(spec), domain: at.domain}, s.who(at.about)
	switch filters.KeyUse(spec.Name) {
	case keys.UseEncrypt:
		id.path = at.path
	case keys.UseDateShift:
		id.subject = who
	}
	if t, ok := s.treatments[id]; ok {
		return t, nil
	}
	env := filters.Env{Domain: at.domain.name, Normalize: s.normaliser(at.domain), Purpose: p.ID, Path: at.path, Subject: &s.subjects[who].whose}
	t, err := newTreatment(s.engine.cfg.Keys, spec, env)
	if err == nil {
		s.treatments[id] = t
	}
	return t, err
}

// treatmentID is what makes two treatments the same.
type treatmentID struct {
	purpose, spec string
	domain        domain
	path          string // of encrypt
	subject       int    // of date_shift
}

// newTreatment adds to env the key of its purpose that the treatment needs.
func newTreatment(ring *keys.Ring, spec policy.Treatment, env filters.Env) (filters.Treatment, error) {
	params := make([]filters.Param, len(spec.Params))
	for i, p := range spec.Params {
		params[i] = filters.Param(p)
	}
	if use := filters.KeyUse(spec.Name); use != "" {
		key, err := ring.Derive(use, env.Purpose, ring.Active())
		if err != nil {
			return nil, fmt.Errorf("deriving a %s key: %w", use, err)
		}
		env.Key, env.Epoch = key, ring.Active()
	}
	return filters.New(spec.Name, params, env)
}

// domain is what a pseudonym is unique in: the namespace of an identifier, a
// subject's or another, else the category, so that the same value of another kind
// gets another pseudonym.
type domain struct {
	name      string
	namespace bool
}

func (s *CompiledStream) domain(path, category string) domain {
	_, rule, err := s.rules.category(path)
	if err == nil && rule >= 0 && s.rules[rule].namespace != "" {
		return inNamespace(s.rules[rule].namespace, category)
	}
	for i := range s.subjects {
		if s.subjects[i].standsAt(path) {
			return inNamespace(s.subjects[i].Namespace, category)
		}
	}
	return domain{name: category}
}

// inNamespace is the domain of identifiers of a namespace; "" is that of a category.
func inNamespace(namespace, category string) domain {
	if namespace == "" {
		return domain{name: category}
	}
	return domain{name: namespace, namespace: true}
}

// normaliser canonicalises identifiers before they become pseudonyms, so that
// equal persons get equal ones whatever the record's spelling.
func (s *CompiledStream) normaliser(d domain) func(dst, text []byte) ([]byte, error) {
	if !d.namespace {
		return nil
	}
	return func(dst, text []byte) ([]byte, error) {
		return s.engine.norm.AppendNormalized(dst, d.name, text)
	}
}

// keyPlan says what the Kafka key of the stream is.
type keyPlan struct {
	category string
	site     site
	subject  int // whose identifier it is; -1: nobody's
	// inValue: the key that came says nothing of an element, whose subject stands
	// in the value.
	inValue bool
}

// outputKey is what a purpose does with the Kafka key.
type outputKey struct {
	textPlan
	pseudonym bool
	subject   int  // whose identifier it is; -1: nobody's
	inValue   bool // keyPlan.inValue
}

func (s *CompiledStream) compileKey() (keyPlan, error) {
	k := s.wiring.Key
	i := s.keyed
	if i < 0 || k == (KeyRule{}) {
		at := site{filters.KeyPath, inNamespace(k.Namespace, k.Category), s.bound("", k.Category)}
		return keyPlan{category: k.Category, site: at, subject: -1}, nil
	}
	sub := &s.subjects[i]
	of := s.namedBy(sub.sharesPlace) | bit(i)
	at := site{filters.KeyPath, inNamespace(sub.Namespace, k.Category), of}
	plan := keyPlan{category: k.Category, site: at, subject: i, inValue: !sub.key}
	var err error
	if plan.category == "" {
		plan.category, err = s.categoryOf(sub)
	}
	return plan, err
}

// categoryOf is the category of a subject's identifiers; "" where its places have
// several, or none.
func (s *CompiledStream) categoryOf(sub *streamSubject) (category string, err error) {
	for i, path := range sub.paths {
		c, _, err := s.rules.category(path)
		if err != nil || i > 0 && c != category {
			return "", err
		}
		category = c
	}
	return category, nil
}

func (s *CompiledStream) compileOutputKey(p *policy.Purpose) (outputKey, error) {
	plan, name, err := s.compileText(p, s.key.category, s.key.site)
	return outputKey{textPlan: plan, pseudonym: name == "pseudonymize", subject: s.key.subject, inValue: s.key.inValue}, err
}

func (s *CompiledStream) compileHeaders(p *policy.Purpose) ([]headerPlan, error) {
	var plans []headerPlan
	for _, h := range s.wiring.Headers {
		plan, _, err := s.compileText(p, h.Category, s.headerSite(h))
		if err != nil {
			return nil, err
		}
		if plan.op != schemas.OpDrop && plan.op != schemas.OpNull {
			plans = append(plans, headerPlan{name: h.Name, textPlan: plan})
		}
	}
	return plans, nil
}

// headerSite is where a header's values stand. One that holds the identifier of a
// subject, or of several, is about those.
func (s *CompiledStream) headerSite(h HeaderRule) site {
	at := site{filters.HeaderPath(h.Name), inNamespace(h.Namespace, h.Category), s.bound(h.Subject, h.Category)}
	of := s.namedBy(func(sub *streamSubject) bool { return h.Name != "" && sub.Header == h.Name })
	if of == 0 {
		return at
	}
	if h.Namespace == "" {
		first := slices.IndexFunc(s.subjects, func(sub streamSubject) bool { return sub.Header == h.Name })
		at.domain = inNamespace(s.subjects[first].Namespace, h.Category)
	}
	if h.Subject == "" {
		at.about = of
	}
	return at
}

// compileText settles what a purpose does with text of a category; it drops
// what has no category or no rule, and what a treatment cannot do to text.
func (s *CompiledStream) compileText(p *policy.Purpose, category string, at site) (textPlan, string, error) {
	rule, ok := p.Rule(category)
	if category == "" || !ok {
		return textPlan{}, "drop", nil
	}
	t, err := s.treatment(p, rule.Treatment, at)
	if err != nil {
		return textPlan{}, "", err
	}
	a, err := textAction(t)
	if err != nil {
		return textPlan{}, "drop", nil
	}
	return textPlan{op: a.Op, via: a.Via, gate: s.gate(at.about, rule.Gate())}, t.Name(), nil
}

// textAction is a treatment at a key or a header, which stay text.
func textAction(t filters.Treatment) (schemas.Action, error) {
	a, err := nodeAction(t, schemas.Node{Type: schemas.Type{Kind: schemas.String}})
	if err == nil && a.Via != nil && a.Result.Kind != schemas.String {
		err = fmt.Errorf("%s does not give text", t.Name())
	}
	return a, err
}

// tombstone turns the decision on a record without value into what may be
// written: a tombstone only removes, so with a pseudonymized key it goes out
// whatever the consent; a key that shows the person needs a permit; without a
// key there is nothing to remove (DESIGN section 5). Nor is there under a key
// that should name the subject and names nobody: no record got out under it.
func (k *outputKey) tombstone(pt *part, d *policy.Decision, c consents) {
	switch {
	case k.none(pt, c):
		*d = policy.Decision{Reason: policy.Tombstone, Secondary: d.Secondary[:0]}
	case k.pseudonym && (k.subject < 0 || pt.refs[k.subject].tag >= 0):
		*d = policy.Decision{Permit: true, Reason: policy.Tombstone, Secondary: d.Secondary[:0]}
	}
}

// none reports whether a tombstone would have no key by which to remove anything;
// a constant key is everybody's.
func (k *outputKey) none(pt *part, c consents) bool {
	switch k.op {
	case schemas.OpKeep, schemas.OpReplace:
		return pt.item.Key == nil || k.inValue || !k.gate.open(c)
	}
	return true
}
