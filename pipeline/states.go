package pipeline

import (
	"context"
	"errors"
	"time"
)

// The store's settings and role can change under a running pipeline, and nothing
// in an answer shows it: a replica, or a server that evicts, answers like any
// other. So it is looked at again and again, more often while something is wrong.
const (
	statesEvery = 5 * time.Second
	statesAgain = 500 * time.Millisecond
)

// watchStates makes all workers hold while the store is not what it must be. It
// runs until ctx ends.
func (e *Enforcer) watchStates(ctx context.Context, topic ConsentTopic) error {
	for every := statesEvery; sleep(ctx, every); {
		err := e.cfg.States.Check(ctx, topic)
		switch {
		case ctx.Err() != nil, away(err):
			// Nothing was learnt; every read finds for itself that it is away.
		case err != nil:
			e.states.Store(statesHold(err))
			every = statesAgain
		default:
			e.states.Store(nil)
			every = statesEvery
		}
	}
	return nil
}

// away reports whether the store did not answer, which may pass by itself. Everything
// else that Check says has to be fixed by somebody.
func away(err error) bool {
	var a interface{ Away() bool }
	return errors.As(err, &a) && a.Away()
}
