package pipeline

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/internal/devstack"
)

// TestProjectorsTakeOver: one projects; when it leaves, the other does.
func TestProjectorsTakeOver(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		first, stopFirst := w.start()
		w.settle()
		second, stopSecond := w.start()
		defer stopSecond()
		time.Sleep(5 * time.Second)
		if first.Status().Leading == second.Status().Leading {
			t.Fatalf("leading: %v and %v", first.Status().Leading, second.Status().Leading)
		}
		w.send(consentRecord(0, "1", "withdraw"))
		w.settle()
		if err := stopFirst(); err != nil {
			t.Error(err)
		}
		w.send(consentRecord(0, "2", "withdraw"))
		w.settle()
		w.wantRows("1", "2")
		if !second.Status().Leading {
			t.Error("nobody leads")
		}
	})
}

// TestProjectorsOfTwoEpochs: while one instance has the new key file and the other has
// not, each finds the state that it reads kept up. With one leader for both the new
// one would hold for as long as the old one leads, and who waits for it to be ready
// before replacing the old one would wait for ever.
func TestProjectorsOfTwoEpochs(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		old, stopOld := w.start()
		w.settle()
		before := w.store
		w.keys, w.store = map[string][32]byte{"crm": {9}}, w.openStore(2)
		defer w.store.Close()
		rotated, stopRotated := w.start()
		w.send(consentRecord(0, "1", "withdraw"))
		w.settle()
		w.wantRows("1")
		w.store = before
		w.settle()
		if !old.Status().Leading || !rotated.Status().Leading {
			t.Errorf("leading: %v and %v", old.Status().Leading, rotated.Status().Leading)
		}
		for _, stop := range []func() error{stopOld, stopRotated} {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestTwoLeaders: if the group ever lets two project at once, they only cost
// each other time.
func TestTwoLeaders(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		ctx, cancel := context.WithCancel(w.t.Context())
		var wg sync.WaitGroup
		for range 2 {
			p, err := NewProjector(ProjectorConfig{
				SeedBrokers: []string{w.stack.KafkaAddr()}, KafkaOpts: []kgo.Opt{kgo.Dialer(w.stack.DialKafka)}, Group: "g", Topic: devstack.ConsentTopic,
				Store: w.store, Namespaces: w.ns, TagKeys: w.keys, Log: zerolog.Nop(), BatchRecords: 3,
			})
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if err := p.lead(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		var subjects []string
		for i := range 60 {
			subjects = append(subjects, fmt.Sprint("u", i))
			w.send(consentRecord(int32(i%2), subjects[i], "withdraw"))
			time.Sleep(7 * time.Millisecond)
		}
		w.settle()
		w.wantRows(subjects...)
		cancel()
		wg.Wait()
	})
}
