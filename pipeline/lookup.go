package pipeline

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/consentstream/consentstream/schemas"
)

// Ids of writer schemas stand in records: whoever may write an input can name
// thousands that nobody has registered. Each is a question to the registry, and
// the worker's other lanes must not wait for the answers (promise P9). So what a
// lane has waited for is remembered until its records are committed, however long
// that takes: the registry client forgets sooner, and the lane would ask for ever.

// lookup is what one lane wants to know of the registry.
type lookup struct {
	registry Registry
	format   schemas.Format
	ids      []int        // without an answer
	unknown  map[int]bool // the registry has none of these
}

// askAtOnce bounds the questions of one lane: the registry has other clients.
const askAtOnce = 8

// ask asks for all ids, until the first question that is not answered, and reports
// whether all were answered.
func (q *lookup) ask(ctx context.Context) bool {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(askAtOnce)
	answered, mu := map[int]bool{}, sync.Mutex{}
	for _, id := range q.ids {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			_, err := q.registry.Schema(ctx, id, q.format)
			unknown := errors.Is(err, schemas.ErrUnknownSchema)
			if err != nil && !unknown && !errors.Is(err, schemas.ErrUnsupportedSchema) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			answered[id] = true
			if unknown {
				q.unknown[id] = true
			}
			return nil
		})
	}
	_ = g.Wait()
	var left []int
	for _, id := range q.ids {
		if !answered[id] {
			left = append(left, id)
		}
	}
	q.ids = left
	return len(left) == 0
}

// fewStrangers is how many unknown schemas a lane may name before it no longer asks
// for further ones while the other lanes wait.
const fewStrangers = 8

// learned takes over what was answered while l was set aside.
func (l *lane) learned(q *lookup) {
	if q == nil {
		return
	}
	for id := range q.unknown {
		l.doubt(id)
	}
	l.strangers = len(q.unknown) > fewStrangers
}

// doubt notes that no writer schema has this id, until the records are committed.
func (l *lane) doubt(id int) {
	if l.unknown == nil {
		l.unknown = map[int]bool{}
	}
	l.unknown[id] = true
}
