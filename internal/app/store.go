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
// Check has named the topic every question is answered as "away".
//
// While the start holds, the topic can be deleted and created again. Each has a
// store of its own, which lives until the daemon ends: the roles of a process
// learn of the new topic one after the other.
type lateStore struct {
	app *App

	mu     sync.Mutex
	stores map[pipeline.ConsentTopic]*redisstore.Store
	reads  *redisstore.Store // of the topic that was checked last; nil: none
}

// notYet is the answer of a store that is not open.
type notYet struct{}

func (notYet) Error() string    { return "the consent topic is not known yet" }
func (notYet) Away() bool       { return true }
func (notYet) HoldCode() string { return "consent_topic_unknown" }

// of opens the store of a topic, or gives the one that is open.
func (l *lateStore) of(topic pipeline.ConsentTopic) (*redisstore.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if store := l.stores[topic]; store != nil {
		return store, nil
	}
	store, err := l.app.Store(topic)
	if err != nil {
		return nil, err
	}
	if l.stores == nil {
		l.stores = map[pipeline.ConsentTopic]*redisstore.Store{}
	}
	l.stores[topic] = store
	return store, nil
}

// Read implements pipeline.States.
func (l *lateStore) Read(ctx context.Context, tags []consent.Tag, into *consent.Snapshot) error {
	l.mu.Lock()
	store := l.reads
	l.mu.Unlock()
	if store == nil {
		into.Reset(0)
		return notYet{}
	}
	return store.Read(ctx, tags, into)
}

// Check implements pipeline.States.
func (l *lateStore) Check(ctx context.Context, topic pipeline.ConsentTopic) error {
	store, err := l.of(topic)
	l.mu.Lock()
	l.reads = store
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return store.Check(ctx)
}

func (l *lateStore) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, store := range l.stores {
		store.Close()
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
