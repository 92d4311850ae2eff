package pipeline

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/internal/devstack"
)

// startInstance runs a projector as a member of its own.
func (w *consentWorld) startInstance(instance string) (p *Projector, stop func() error, done chan error) {
	p, err := NewProjector(ProjectorConfig{
		SeedBrokers: []string{w.stack.KafkaAddr()}, KafkaOpts: []kgo.Opt{kgo.Dialer(w.stack.DialKafka)},
		Group: "g", Instance: instance, Topic: devstack.ConsentTopic, Store: w.store, Namespaces: w.ns, TagKeys: w.keys,
		Quarantine: w, Log: zerolog.Nop(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done = make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return p, func() error { cancel(); return <-done }, done
}

// leads waits until p leads, and gives how long that took.
func leads(t *testing.T, p *Projector, within time.Duration) {
	t.Helper()
	for began := time.Now(); !p.Status().Leading; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > within {
			t.Fatalf("it does not lead after %v", within)
		}
	}
}

// A leader that was killed is a member that has not left. It must lead again
// when it is back, and not only when its session has run out: until then no
// consent event is projected and every record is held.
func TestKilledLeaderIsBack(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		t := w.t
		group := (&ProjectorConfig{Group: "g", Store: w.store}).group()
		assigned := make(chan struct{}, 1)
		killed := w.client(kgo.ConsumerGroup(group), kgo.InstanceID(group+".0"), kgo.ConsumeTopics(devstack.ConsentTopic), kgo.SessionTimeout(10*time.Second),
			kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { assigned <- struct{}{} }))
		<-assigned
		killed.Close() // a static member does not leave by this

		p, stop, _ := w.startInstance("0")
		leads(t, p, 5*time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// One that ends in good order hands over at once.
func TestLeaderLeaves(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		t := w.t
		first, stop, _ := w.startInstance("0")
		leads(t, first, 5*time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		second, stop, _ := w.startInstance("1")
		leads(t, second, 5*time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// Two processes with one instance: the older one ends and says why.
func TestProjectorFenced(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		t := w.t
		first, _, done := w.startInstance("0")
		leads(t, first, 5*time.Second)
		second, stop, _ := w.startInstance("0")
		var stopped *Stop
		select {
		case err := <-done:
			if !errors.As(err, &stopped) {
				t.Fatalf("the older process ends with %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("the older process does not end")
		}
		leads(t, second, 15*time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}
