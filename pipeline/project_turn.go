package pipeline

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
)

// turns tells whether it is our turn to project, from the group's assignments.
type turns struct {
	topic   string
	mu      sync.Mutex
	mine    bool
	cancel  context.CancelFunc // ends the turn that runs
	changed chan struct{}      // capacity 1: something to look at
}

func newTurns() *turns { return &turns{changed: make(chan struct{}, 1)} }

// options make a client a member of the projectors' group: a static one where the
// process has an instance, so that a leader that was killed leads again as soon as it
// is back. One that ends in good order leaves explicitly.
func (t *turns) options(cfg ProjectorConfig) []kgo.Opt {
	t.topic = cfg.Topic
	opts := []kgo.Opt{
		kgo.ConsumerGroup(cfg.group()),
		kgo.ConsumeTopics(cfg.Topic),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(cfg.Session),
		kgo.HeartbeatInterval(min(3*time.Second, cfg.Session/3)),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { t.assign(m, true) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { t.assign(m, false) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { t.assign(m, false) }),
	}
	if cfg.Instance != "" {
		opts = append(opts, kgo.InstanceID(cfg.memberID()))
	}
	return opts
}

func (t *turns) assign(m map[string][]int32, mine bool) {
	if !slices.Contains(m[t.topic], 0) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mine = mine
	if !mine && t.cancel != nil {
		t.cancel()
	}
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// lose ends the turn for good.
func (t *turns) lose() { t.assign(map[string][]int32{t.topic: {0}}, false) }

// wait waits until it is our turn; the context ends with the turn. It is false
// where ctx ended first.
func (t *turns) wait(ctx context.Context) (context.Context, bool) {
	for {
		t.mu.Lock()
		if t.mine {
			turn, cancel := context.WithCancel(ctx)
			t.cancel = cancel
			t.mu.Unlock()
			return turn, ctx.Err() == nil
		}
		t.mu.Unlock()
		select {
		case <-t.changed:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// ProjectorStatus is what health and metrics show of a Projector.
type ProjectorStatus struct {
	Leading bool    `json:"leading"`        // else it stands by
	Hold    *Hold   `json:"hold,omitempty"` // nil: none
	Next    []int64 `json:"next,omitempty"` // by consent partition: what the whole store covers
	Ends    []int64 `json:"ends,omitempty"` // and where the topic ended at the last look
	// Rebuilding: buckets that are not there, or were damaged, are made from the
	// beginning of the topic. Nothing is decided until that is done.
	Rebuilding bool  `json:"rebuilding"`
	Events     int64 `json:"events"` // folded, repetitions included
	Malformed  int64 `json:"malformed"`
	// Unattributed events are malformed ones of which not everybody is denied whom
	// they may be about: their subject cannot be read, or they name too many.
	Unattributed int64 `json:"unattributed"`
	Conflicts    int64 `json:"conflicts"` // times that the store had to be read again
	Rebuilds     int64 `json:"rebuilds"`  // buckets that were damaged and begun again
}

// Behind is the number of consent events that are still to be projected, control
// records included, at the last look.
func (st *ProjectorStatus) Behind() (n int64) {
	for p, end := range st.Ends {
		if p < len(st.Next) {
			n += max(0, end-st.Next[p])
		}
	}
	return n
}

type projectorState struct {
	log   zerolog.Logger
	mu    sync.Mutex
	s     ProjectorStatus
	since time.Time // of the hold
	until []int64   // where the rebuild is done
}

// Status is a copy of the projector's state.
func (p *Projector) Status() ProjectorStatus {
	p.status.mu.Lock()
	defer p.status.mu.Unlock()
	s := p.status.s
	s.Next, s.Ends = slices.Clone(s.Next), slices.Clone(s.Ends)
	return s
}

func (s *projectorState) change(do func(*ProjectorStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(&s.s)
}

func (s *projectorState) leading(yes bool) {
	s.change(func(st *ProjectorStatus) { st.Leading, st.Hold = yes, nil })
}

func (s *projectorState) conflict() { s.change(func(st *ProjectorStatus) { st.Conflicts++ }) }
func (s *projectorState) rebuild()  { s.change(func(st *ProjectorStatus) { st.Rebuilds++ }) }

// hold reports whether h is news.
func (s *projectorState) hold(h *Hold) (news bool) {
	s.change(func(st *ProjectorStatus) {
		if st.Hold == nil {
			s.since = time.Now()
		}
		news = st.Hold == nil || st.Hold.Code != h.Code || st.Hold.Detail != h.Detail || st.Hold.Mend != h.Mend
		st.Hold = h
	})
	return news
}

// opened notes what a projection begins with, and whether it has to begin buckets
// anew.
func (s *projectorState) opened(next, ends []int64, rebuild bool) {
	s.change(func(st *ProjectorStatus) {
		st.Next, st.Ends = slices.Clone(next), ends
		if rebuild {
			st.Rebuilding, s.until = true, ends
		}
	})
}

// ended notes where the topic ends now.
func (s *projectorState) ended(ends []int64) {
	s.change(func(st *ProjectorStatus) { st.Ends = ends })
}

// unhold ends a hold, of which the log had a line when it began; mu is held.
func (s *projectorState) unhold() {
	if s.s.Hold != nil {
		s.log.Info().Str("reason", string(s.s.Hold.Code)).Int64("held_ms", time.Since(s.since).Milliseconds()).Msg("hold ended")
		s.s.Hold = nil
	}
}

// quiet ends a hold for the group's errors: there were none for a while.
func (s *projectorState) quiet() {
	s.change(func(st *ProjectorStatus) {
		if st.Hold != nil && st.Hold.Code == HoldGroup {
			s.unhold()
		}
	})
}

// projected counts the events of a write.
type projected struct{ events, malformed, unattributed int64 }

// written notes a write that reached the store.
func (s *projectorState) written(next []int64, n projected) {
	s.change(func(st *ProjectorStatus) {
		s.unhold()
		st.Next = append(st.Next[:0], next...)
		st.Rebuilding = st.Rebuilding && !consent.Vector(next).Covers(s.until)
		st.Events += n.events
		st.Malformed += n.malformed
		st.Unattributed += n.unattributed
	})
}
