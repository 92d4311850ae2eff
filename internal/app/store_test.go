package app

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/rs/zerolog"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/internal/devstack"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/pipeline"
)

// appOn is an App of the demo's configuration on a Redis.
func appOn(t *testing.T, redis string) *App {
	t.Helper()
	env := map[string]string{"CONSENTSTREAM_KAFKA": "127.0.0.1:1", "CONSENTSTREAM_REDIS": redis}
	cfg, findings := configs.Load("../../configs/demo/consentstream.yaml", func(name string) (string, bool) { v, ok := env[name]; return v, ok }, os.ReadFile)
	if cfg == nil {
		t.Fatal(findings)
	}
	ring, err := keys.Generate(rand.Reader, "test")
	if err != nil {
		t.Fatal(err)
	}
	return NewWithKeys(cfg, ring, zerolog.Nop(), "test")
}

// project writes the watermark of an empty topic into every bucket of its store.
func project(t *testing.T, a *App, topic pipeline.ConsentTopic) {
	t.Helper()
	store, err := a.Store(topic)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	pages := store.AllPages()
	if err := store.Load(t.Context(), pages); err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		p.Next = make(consent.Vector, topic.Partitions)
	}
	if err := store.Apply(t.Context(), pages); err != nil {
		t.Fatal(err)
	}
}

// TestLateStoreOtherTopic: the consent topic was deleted and created again while
// the start held. What the enforcer reads from then on is of the new one, which
// nobody has projected yet; the old one's states would answer for a history that
// is gone. The projector's store stays open meanwhile: it finds out for itself.
func TestLateStoreOtherTopic(t *testing.T) {
	redis := miniredis.RunT(t)
	devstack.BePrimary(redis)
	a := appOn(t, redis.Addr())
	old, created := pipeline.ConsentTopic{Cluster: "c", ID: [16]byte{1}, Partitions: 2}, pipeline.ConsentTopic{Cluster: "c", ID: [16]byte{2}, Partitions: 2}
	project(t, a, old)
	l := &lateStore{app: a}
	defer l.close()
	read := func() error {
		snap := consent.Snapshot{Whole: true}
		return l.Read(t.Context(), []consent.Tag{{7}}, &snap)
	}
	if err := read(); !errors.As(err, new(notYet)) {
		t.Errorf("before the topic is known: %v", err)
	}
	if err := l.Check(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Fatalf("the states of the topic that is there: %v", err)
	}
	projector, err := l.of(old)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Check(t.Context(), created); err != nil {
		t.Fatal(err)
	}
	if err := read(); err == nil {
		t.Error("the states of the topic that was deleted are believed")
	}
	if err := projector.Load(context.Background(), projector.AllPages()); err != nil {
		t.Errorf("the projector's store was closed under it: %v", err)
	}
	project(t, a, created)
	if err := read(); err != nil {
		t.Errorf("the states of the topic that is there now: %v", err)
	}
}
