package pipeline

import (
	"context"
)

// A lane whose next records need a writer schema that cannot be learned now is
// set aside: it waits, and the worker's other lanes go on.
//
// The batch that met the schema is dropped: its transaction is aborted, which
// takes kgo and all lanes back to what was committed, and gathered again without
// the lane. So no record of the lane is decided before its turn, and none twice.
//
// What kgo does with a paused partition decides the order of steps. It asks for
// nothing more of it and strips from polls what was buffered or in flight, and
// leaves the position as it is; but that is after the records of the dropped batch,
// and what is stripped may be an error that kgo reports only once. So the lane is
// paused BEFORE the abort, which discards every buffered fetch and takes the
// position back: from then on nothing of the lane can be on its way, and the
// first record polled after resuming is the one at the committed offset. A
// partition also stays paused when the group takes it away and gives it back.
//
// A lane waits for every schema that its records in the batch need. Once it has
// named many that do not exist, it no longer makes the other lanes wait while it
// asks (lookup.go).
//
// A lane that is set aside stays in the assignment. It commits fences like an
// idle lane, since every later decision of its uses a later fence.

// aside is one lane that waits for the registry.
type aside struct {
	lane     *lane
	ids      *lookup       // nil: it waits for something else; ours when answered is closed
	answered chan struct{} // closed when it is worth polling the lane again
	cancel   context.CancelFunc
}

// setAside pauses l and asks for what it needs until there is an answer. The
// caller aborts the transaction. ctx is the session's.
func (s *session) setAside(ctx context.Context, l *lane, u *unlearned) {
	s.cl.PauseFetchPartitions(map[string][]int32{l.topic: {l.Partition}})
	ctx, cancel := context.WithCancel(ctx)
	a := &aside{lane: l, ids: u.ids, answered: make(chan struct{}), cancel: cancel}
	s.asking.Go(func() {
		defer close(a.answered)
		for pace := (pacer{}); !u.ask(ctx) && pace.wait(ctx); {
		}
	})
	s.aside[l.key()] = a
	s.w.board.holdLane(s.w.number, l.key(), u.hold)
}

// asideInBatch reports whether the batch has records of lanes that are set aside.
func (s *session) asideInBatch() bool {
	for _, l := range s.active {
		if s.aside[l.key()] != nil {
			return true
		}
	}
	return false
}

// recall resumes lanes whose schemas may be available now. For lanes that went away
// meanwhile it only ends kgo's pause: the group may give them back, as new lanes.
func (s *session) recall() {
	for key, a := range s.aside {
		select {
		case <-a.answered:
			a.lane.learned(a.ids)
		default:
			if s.lanes.get(key.topic, key.partition) == a.lane {
				continue
			}
		}
		a.cancel()
		delete(s.aside, key)
		s.cl.ResumeFetchPartitions(map[string][]int32{key.topic: {key.partition}})
		s.w.board.releaseLane(s.w.number, key)
	}
}
