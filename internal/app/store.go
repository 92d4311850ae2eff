package app

import (
	"context"
	"sync"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/consent/redisstore"
	"github.com/consentstream/consentstream/pipeline"
)

// lateStore is the state store of a daemon that may start before Kafka: the
// store's epoch names the consent topic's id, which only a broker can tell. Until
// then every question is answered as "away", so that the enforcer holds and its
// health endpoint says why.
type lateStore struct {
	app   *App
	mu    sync.Mutex
	store *redisstore.Store // nil: not opened yet
}

// notYet is the answer of a store that is not open.
type notYet struct{}

func (notYet) Error() string    { return "the consent topic is not known yet" }
func (notYet) Away() bool       { return true }
func (notYet) HoldCode() string { return "consent_topic_unknown" }

// open opens the store, or gives the one that is open.
func (l *lateStore) open(ctx context.Context) (*redisstore.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store != nil {
		return l.store, nil
	}
	topic, err := pipeline.LookupConsentTopic(ctx, l.app.cfg.Kafka.SeedBrokers, nil, l.app.cfg.Topics.Consent)
	if err != nil {
		return nil, notYet{}
	}
	l.store, err = l.app.Store(topic)
	return l.store, err
}

// Read implements pipeline.States.
func (l *lateStore) Read(ctx context.Context, tags []consent.Tag, into *consent.Snapshot) error {
	store, err := l.open(ctx)
	if err != nil {
		into.Reset(0)
		return err
	}
	return store.Read(ctx, tags, into)
}

// Check implements pipeline.States.
func (l *lateStore) Check(ctx context.Context) error {
	store, err := l.open(ctx)
	if err != nil {
		return err
	}
	return store.Check(ctx)
}

func (l *lateStore) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store != nil {
		l.store.Close()
	}
}

// lateProjector is the status of a projector that is made when Kafka has answered.
type lateProjector struct {
	mu        sync.Mutex
	projector *pipeline.Projector // nil: not made yet
}

func (l *lateProjector) set(p *pipeline.Projector) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.projector = p
}

// Status is what health shows.
func (l *lateProjector) Status() pipeline.ProjectorStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.projector == nil {
		return pipeline.ProjectorStatus{Hold: &pipeline.Hold{Code: pipeline.HoldKafka, Detail: notYet{}.HoldCode()}}
	}
	return l.projector.Status()
}
