package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/pipeline"
)

// AuditTag is what audit records call a person.
func (a *App) AuditTag(namespace, value string) (string, error) {
	tag, ok, err := engine.AuditTag(a.cfg.Policy, a.ring, namespace, value)
	if err == nil && !ok {
		err = fmt.Errorf("the identifier has no tag in namespace %q", namespace)
	}
	return tag, err
}

// Lookup reads one identifier's state; a nil row is a person never heard of.
func (a *App) Lookup(ctx context.Context, namespace, value string) (*consent.Row, consent.Vector, error) {
	id, err := engine.Namespaces(a.cfg.Policy).Normalize(namespace, value)
	if err != nil {
		return nil, nil, fmt.Errorf("the identifier cannot be looked up in namespace %q: %w", namespace, err)
	}
	tagger, err := engine.Tagger(a.cfg.Policy, a.ring)
	if err != nil {
		return nil, nil, err
	}
	tag, ok := tagger.TagOf(consent.Identifier{Namespace: namespace, Value: id})
	if !ok {
		return nil, nil, fmt.Errorf("namespace %q is not in the policy", namespace)
	}
	topic, err := pipeline.LookupConsentTopic(ctx, a.cfg.Kafka.SeedBrokers, nil, a.cfg.Topics.Consent)
	if err != nil {
		return nil, nil, err
	}
	store, err := a.Store(topic)
	if err != nil {
		return nil, nil, err
	}
	defer store.Close()
	snap := consent.Snapshot{Whole: true}
	if err := store.Read(ctx, []consent.Tag{tag}, &snap); err != nil {
		var hold interface{ Mend() string }
		if errors.As(err, &hold) && hold.Mend() != "" {
			return nil, nil, fmt.Errorf("the state cannot be trusted now: %w\n    %s", err, hold.Mend())
		}
		return nil, nil, fmt.Errorf("the state cannot be trusted now: %w", err)
	}
	return snap.State(0)
}
