package app

import (
	"context"

	"github.com/consentstream/consentstream/pipeline"
)

// Lanes is an enforcer that is not run, for looking at lanes and resetting them.
// The caller calls done in the end.
func (a *App) Lanes(ctx context.Context) (e *pipeline.Enforcer, done func(), err error) {
	k := a.cfg.Kafka
	topic, err := pipeline.LookupConsentTopic(ctx, k.SeedBrokers, nil, a.cfg.Topics.Consent)
	if err != nil {
		return nil, nil, err
	}
	store, err := a.Store(topic)
	if err != nil {
		return nil, nil, err
	}
	if e, err = a.enforcer(store); err != nil {
		store.Close()
		return nil, nil, err
	}
	return e, func() { store.Close() }, nil
}
