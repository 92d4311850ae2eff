package pipeline

import (
	"sync/atomic"
	"time"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// guard stands around every call into the engine. A panic is recovered and
// condemns one record (promise P9); a call that takes longer than the watchdog
// allows ends the process, because Go cannot stop it: a stuck worker that stays
// in its group would hold its lanes for ever.
type guard struct {
	limit time.Duration
	exit  func(reason string)
	timer *time.Timer
	// calls is odd while the engine runs. The timer watches it change, so that
	// a call costs two stores and no clock.
	calls atomic.Uint64
	// Of the timer's goroutine: since when calls has had the value seen.
	seen  uint64
	since time.Time
}

func newGuard(limit time.Duration, exit func(string)) *guard {
	g := &guard{limit: limit, exit: exit, since: time.Now()}
	g.timer = time.AfterFunc(limit/4, g.look)
	return g
}

func (g *guard) stop() { g.timer.Stop() }

func (g *guard) look() {
	calls := g.calls.Load()
	if calls != g.seen || calls%2 == 0 {
		g.seen, g.since = calls, time.Now()
	}
	if time.Since(g.since) >= g.limit {
		g.exit("watchdog")
		return
	}
	g.timer.Reset(g.limit / 4)
}

func (g *guard) enter() { g.calls.Store(g.calls.Load() + 1) } // one goroutine writes
func (g *guard) leave() { g.calls.Store(g.calls.Load() + 1) }

// add scans a record. After a panic the item is in the batch all the same, in
// whatever state: the caller fails it.
func (g *guard) add(b *engine.Batch, l *engine.Lane, in engine.Input) (it *engine.Item, panicked bool) {
	g.enter()
	defer g.leave()
	defer func() {
		if recover() != nil {
			items := b.Items()
			it, panicked = items[len(items)-1], true
			b.Fail(it, schemas.CodePanic, "")
		}
	}()
	return b.Add(l, in), false
}

func (g *guard) rescan(b *engine.Batch, it *engine.Item) {
	g.enter()
	defer g.leave()
	defer func() {
		if recover() != nil {
			b.Fail(it, schemas.CodePanic, "")
		}
	}()
	b.Rescan(it)
}

// decide decides the batch. panicked means that it must be called again: the
// item that panicked has been failed. One that panics although it has been failed
// is not the record's fault, and the process ends.
func (g *guard) decide(b *engine.Batch, st engine.States, m engine.Moment, each func(*engine.Item) error) (panicked bool, err error) {
	g.enter()
	defer g.leave()
	defer func() {
		if it := b.Current(); it != nil && !b.Failed(it) && recover() != nil {
			panicked, err = true, nil
			b.Fail(it, schemas.CodePanic, "")
		}
	}()
	return false, b.Decide(st, m, each)
}
