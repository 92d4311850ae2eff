package pipeline

import (
	"maps"
	"slices"
	"sync"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/engine"
)

// lane is one input partition as a worker owns it. The fields belong to the
// worker's goroutine from the moment that the lane is in laneSet; the group's
// callbacks only make and remove lanes.
type lane struct {
	engine.Lane
	topic string
	// head, offset and epoch are what was last committed: the metadata, the
	// committed offset and the leader epoch of the record before it.
	head   audit.Head
	offset int64
	epoch  int32
	// position and positionEpoch are where the next polled record will be; they
	// fall back to offset and epoch when a transaction aborts.
	position      int64
	positionEpoch int32
	// next is the chain of the open transaction: a copy, adopted after commit.
	next audit.Chain
	// pending is the head that the open transaction commits.
	pending audit.Head
	inBatch bool
	// unknown are ids of writer schemas that the registry did not have when the
	// records at hand came; strangers: there were many the last time.
	unknown   map[int]bool
	strangers bool
	// stagedLast is the sheet's index of the lane's last audit record; -1: none.
	stagedLast int
}

func (l *lane) key() laneKey { return laneKey{l.topic, l.Partition} }

// rewind forgets what the open transaction did to l.
func (l *lane) rewind() {
	l.position, l.positionEpoch = l.offset, l.epoch
	l.inBatch = false
}

// chain is where the lane stood after its last committed transaction.
func (l *lane) chain() audit.Chain {
	return audit.Chain{Lane: l.Lane.Lane, Next: l.head.NextIndex, Head: l.head.Hash, NextSource: l.head.NextSource, Closed: l.head.Closed}
}

// laneSet is the live assignment of a session: what the group says, not what a
// batch saw. The group's callbacks run on kgo's goroutine.
type laneSet struct {
	mu   sync.Mutex
	own  map[string]map[int32]*lane
	lost uint64 // rises with every lane that goes away
}

func (s *laneSet) add(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil {
		s.own = map[string]map[int32]*lane{}
	}
	if s.own[l.topic] == nil {
		s.own[l.topic] = map[int32]*lane{}
	}
	s.own[l.topic][l.Partition] = l
}

func (s *laneSet) remove(gone map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, partitions := range gone {
		for _, p := range partitions {
			if _, ok := s.own[topic][p]; ok {
				delete(s.own[topic], p)
				s.lost++
			}
		}
	}
}

// get gives an owned lane; nil where it is parked or not ours.
func (s *laneSet) get(topic string, partition int32) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own[topic][partition]
}

// losses counts the lanes that went away so far: a batch that was gathered
// under another count is dropped.
func (s *laneSet) losses() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// snapshot lists the lanes in a stable order.
func (s *laneSet) snapshot() []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*lane
	for _, topic := range slices.Sorted(maps.Keys(s.own)) {
		for _, p := range slices.Sorted(maps.Keys(s.own[topic])) {
			all = append(all, s.own[topic][p])
		}
	}
	return all
}
