package engine

import (
	"fmt"
	"math/bits"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/filters"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// action settles what a purpose does with a node of a category. ok is false
// where the treatment has no result for the node's type: it is dropped then.
func (s *CompiledStream) action(p *policy.Purpose, n schemas.Node, category string) (a schemas.Action, f audit.Field, ok bool) {
	f = audit.Field{Path: n.Path, Category: category, Treatment: "drop"}
	rule, ruled := p.Rule(category)
	if !ruled {
		return a, f, true
	}
	t, err := s.treatment(p, rule.Treatment, s.domain(n.Path, category), n.Path)
	if err != nil {
		return a, f, false
	}
	a, err = nodeAction(t, n)
	if err != nil {
		return schemas.Action{}, f, false
	}
	f.Treatment = describe(rule.Treatment)
	if rule.Gate() != 0 && a.Op != schemas.OpDrop && a.Op != schemas.OpNull {
		a.Gate, f.Gate = uint8(bits.Len32(rule.Gate())), gateWord(rule)
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

// treatment builds a treatment with the key of a purpose, for a domain and a
// path. Equal ones are one, so that the pseudonym of a subject that stands in
// the value and in the key is computed once; only encrypt differs by path.
func (s *CompiledStream) treatment(p *policy.Purpose, spec policy.Treatment, d domain, path string) (filters.Treatment, error) {
	id := treatmentID{purpose: p.ID, spec: describe(spec), domain: d}
	if filters.KeyUse(spec.Name) == keys.UseEncrypt {
		id.path = path
	}
	if t, ok := s.treatments[id]; ok {
		return t, nil
	}
	env := filters.Env{Domain: d.name, Normalize: s.normaliser(d), Purpose: p.ID, Path: path, Subject: &s.subject}
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

// domain is what a pseudonym is unique in: the subject's namespace, else the
// category, so that the same value of another kind gets another pseudonym.
type domain struct {
	name      string
	namespace bool
}

func (s *CompiledStream) domain(path, category string) domain {
	if path != "" && path == s.subjectPath {
		return domain{name: s.wiring.Subject.Namespace, namespace: true}
	}
	return domain{name: category}
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
	domain   domain
}

// outputKey is what a purpose does with the Kafka key.
type outputKey struct {
	textPlan
	pseudonym bool
	subject   bool // it names the record's subject
}

func (s *CompiledStream) compileKey() (keyPlan, error) {
	k := s.wiring.Key
	if k.Subject != "" {
		category, _, err := s.rules.category(s.wiring.Subject.Path)
		return keyPlan{category: category, domain: domain{name: s.wiring.Subject.Namespace, namespace: true}}, err
	}
	return keyPlan{category: k.Category, domain: domain{name: k.Category}}, nil
}

func (s *CompiledStream) compileOutputKey(p *policy.Purpose) (outputKey, error) {
	plan, name, err := s.compileText(p, s.key.category, s.key.domain, filters.KeyPath)
	return outputKey{textPlan: plan, pseudonym: name == "pseudonymize", subject: s.wiring.Key.Subject != ""}, err
}

func (s *CompiledStream) compileHeaders(p *policy.Purpose) ([]headerPlan, error) {
	var plans []headerPlan
	for _, h := range s.wiring.Headers {
		plan, _, err := s.compileText(p, h.Category, domain{name: h.Category}, filters.HeaderPath(h.Name))
		if err != nil {
			return nil, err
		}
		if plan.op != schemas.OpDrop && plan.op != schemas.OpNull {
			plans = append(plans, headerPlan{name: h.Name, textPlan: plan})
		}
	}
	return plans, nil
}

// compileText settles what a purpose does with text of a category; it drops
// what has no category or no rule, and what a treatment cannot do to text.
func (s *CompiledStream) compileText(p *policy.Purpose, category string, d domain, path string) (textPlan, string, error) {
	rule, ok := p.Rule(category)
	if category == "" || !ok {
		return textPlan{}, "drop", nil
	}
	t, err := s.treatment(p, rule.Treatment, d, path)
	if err != nil {
		return textPlan{}, "", err
	}
	a, err := textAction(t)
	if err != nil {
		return textPlan{}, "drop", nil
	}
	return textPlan{op: a.Op, via: a.Via, gate: rule.Gate()}, t.Name(), nil
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
func (k *outputKey) tombstone(it *Item, d *policy.Decision) {
	switch {
	case k.none(it, d.Gates):
		*d = policy.Decision{Reason: policy.Tombstone, Secondary: d.Secondary[:0]}
	case k.pseudonym && (it.work.resolved || !k.subject):
		*d = policy.Decision{Permit: true, Reason: policy.Tombstone, Secondary: d.Secondary[:0]}
	}
}

// none reports that a tombstone would have no key to remove by: a constant one
// is everybody's.
func (k *outputKey) none(it *Item, gates uint32) bool {
	switch k.op {
	case schemas.OpKeep, schemas.OpReplace:
		return it.Key == nil || k.gate&^gates != 0
	}
	return true
}
