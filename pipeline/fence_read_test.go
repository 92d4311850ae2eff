package pipeline

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentstream/consentstream/consent"
)

// lateStates has one tag whose state comes after some reads.
type lateStates struct {
	late  consent.Tag
	after int   // reads of it
	asked []int // how many tags each read was for
	never bool
}

func (l *lateStates) Check(context.Context, ConsentTopic) error { return nil }

func (l *lateStates) Read(_ context.Context, tags []consent.Tag, into *consent.Snapshot) error {
	l.asked = append(l.asked, len(tags))
	into.Reset(len(tags))
	for i, tag := range tags {
		into.Cut[i] = consent.Vector{7}
		if tag == l.late {
			if l.after--; l.after >= 0 || l.never {
				into.Cut[i] = consent.Vector{6}
			}
		}
	}
	return nil
}

// While the projector is behind, one state is asked for again and again, not
// those of the whole batch.
func TestReadStatesWaitsForOne(t *testing.T) {
	tags := []consent.Tag{{1}, {2}, {3}}
	f := &fence{vector: consent.Vector{7}}
	states := &lateStates{late: tags[1], after: 4}
	s := &session{w: &worker{cfg: &Config{States: states, Now: time.Now}, states: new(atomic.Pointer[Hold])}}
	if err := s.readStates(t.Context(), f, tags); err != nil {
		t.Fatal(err)
	}
	if want := []int{3, 1, 1, 1, 1, 3}; !slices.Equal(states.asked, want) || s.snap.Len() != 3 || uncovered(&s.snap, f) >= 0 {
		t.Errorf("reads of %v tags, want %v; %v", states.asked, want, s.snap.Cut)
	}
	states = &lateStates{late: tags[2], never: true}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	s.w.cfg.States = states
	if err := s.readStates(ctx, f, tags); !errors.Is(err, errDropped) {
		t.Errorf("shutting down while waiting: %v", err)
	}
}
