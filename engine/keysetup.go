package engine

import (
	"crypto/sha256"
	"fmt"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
)

// auditTagName is the name under which audit tags are derived. No namespace
// can have it, so a Redis tag and an audit tag never agree (AUDIT A10).
const auditTagName = "!audit"

// TagKeys derives the keys of the state-store tags, by namespace, under the
// active key epoch. A namespace that is normalised otherwise has another key.
func TagKeys(p *policy.Policy, ring *keys.Ring) (map[string][32]byte, error) {
	ks, rules := map[string][32]byte{}, Namespaces(p)
	for _, ns := range p.Namespaces {
		k, err := derive(ring, keys.UseTag, rules.KeyName(ns.Name))
		if err != nil {
			return nil, err
		}
		ks[ns.Name] = k
	}
	return ks, nil
}

// Tagger tags identifiers as the state store does. The projector and the
// enforcer must use the same keys.
func Tagger(p *policy.Policy, ring *keys.Ring) (*consent.Tagger, error) {
	ks, err := TagKeys(p, ring)
	if err != nil {
		return nil, err
	}
	return consent.NewTagger(ks), nil
}

func auditTagger(p *policy.Policy, ring *keys.Ring) (*consent.Tagger, error) {
	k, err := derive(ring, keys.UseTag, auditTagName)
	if err != nil {
		return nil, err
	}
	ks := map[string][32]byte{}
	for _, ns := range p.Namespaces {
		ks[ns.Name] = k
	}
	return consent.NewTagger(ks), nil
}

// AuditTag is the tag by which audit records of the active key epoch name a person
// (AUDIT A10), in hex; value is normalised. False where nobody can have that identifier.
func AuditTag(p *policy.Policy, ring *keys.Ring, namespace, value string) (string, bool, error) {
	id, err := Namespaces(p).Normalize(namespace, value)
	if err != nil {
		return "", false, nil
	}
	tagger, err := auditTagger(p, ring)
	if err != nil {
		return "", false, err
	}
	tag, ok := tagger.TagOf(consent.Identifier{Namespace: namespace, Value: id})
	const epochKey = 0 // the kind of tag
	return fmt.Sprintf("%02x%x", epochKey, tag[:]), ok, nil
}

// derive derives a key of the active epoch.
func derive(ring *keys.Ring, use keys.Use, name string) (k [sha256.Size]byte, err error) {
	b, err := ring.Derive(use, name, ring.Active())
	if err != nil {
		return k, fmt.Errorf("deriving a %s key: %w", use, err)
	}
	copy(k[:], b)
	return k, nil
}

// Namespaces gives the normalisation rules of a policy. A word that is no
// normalisation gives a rule that refuses every identifier.
func Namespaces(p *policy.Policy) consent.Namespaces {
	rules := make([]consent.NamespaceRule, len(p.Namespaces))
	for i, ns := range p.Namespaces {
		n, _ := consent.ParseNormalization(ns.Normalize)
		rules[i] = consent.NamespaceRule{Name: ns.Name, Normalize: n}
	}
	return consent.NewNamespaces(rules)
}

func (e *Engine) openKeys() (err error) {
	if e.tagger, err = Tagger(e.cfg.Policy, e.cfg.Keys); err != nil {
		return err
	}
	if e.audTags, err = auditTagger(e.cfg.Policy, e.cfg.Keys); err != nil {
		return err
	}
	e.norm = Namespaces(e.cfg.Policy)
	e.commit = audit.NewCommitter()
	return nil
}

func (e *Engine) noncer(purpose string) (*audit.Noncer, error) {
	k, err := derive(e.cfg.Keys, keys.UseNonce, purpose)
	if err != nil {
		return nil, err
	}
	return audit.NewNoncer(k[:]), nil
}

func (e *Engine) purpose(id string) *policy.Purpose {
	for i := range e.cfg.Policy.Purposes {
		if e.cfg.Policy.Purposes[i].ID == id {
			return &e.cfg.Policy.Purposes[i]
		}
	}
	return nil
}
