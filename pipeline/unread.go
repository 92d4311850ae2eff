package pipeline

import (
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/schemas"
)

// codeBatchTooLarge is the code of records that nobody read: their record batch
// unpacks to more than Limits.Unpacked.
const codeBatchTooLarge schemas.Code = "batch_too_large"

// stops notes that the client has stopped a partition for such a batch. It reports
// that in a fetch, once; and what it has fetched it drops whenever a transaction is
// aborted or the assignment changes. Without the report nobody would ever know:
// the lane would stand still, without a word, for as long as the session lasts. The
// client's log is the only other place where it says so.
type stops struct{ since atomic.Int64 } // ns of the clock; 0: none

// stopPatience is how long the report may take to be polled.
const stopPatience = time.Second

// lost reports that a partition was stopped and that its report is overdue.
func (s *stops) lost() bool {
	since := s.since.Load()
	return since != 0 && time.Since(time.Unix(0, since)) > stopPatience
}

// Level and Log make s the client's logger.
func (s *stops) Level() kgo.LogLevel { return kgo.LogLevelError }

// Log looks for a partition with an offset among the errors. One that is something
// else costs a new session.
func (s *stops) Log(_ kgo.LogLevel, _ string, keyvals ...any) {
	named := map[any]bool{}
	for i := 0; i < len(keyvals); i += 2 {
		named[keyvals[i]] = true
	}
	if named["topic"] && named["partition"] && named["offset"] {
		s.since.CompareAndSwap(0, time.Now().UnixNano())
	}
}

// halt leaves what the client hands out of l aside until goOn.
func (s *session) halt(l *lane) { l.halted, s.reopen = true, true }

func (s *session) halted(topic string, partition int32) bool {
	if !s.reopen {
		return false
	}
	l := s.lanes.get(topic, partition)
	return l != nil && l.halted
}

// goOn makes the client fetch from what was just committed. All lanes are told: what
// the client has fetched ahead it drops, and with it the report that it has stopped
// another one. It takes no notice of an offset that it believes to be at, so that
// each is told another one first.
func (s *session) goOn() {
	if s.lanes.losses() != s.losses {
		return // a lane may be ours again meanwhile, further on
	}
	aside, at := map[string]map[int32]kgo.EpochOffset{}, map[string]map[int32]kgo.EpochOffset{}
	for _, l := range s.lanes.snapshot() {
		l.halted = false
		if at[l.topic] == nil {
			aside[l.topic], at[l.topic] = map[int32]kgo.EpochOffset{}, map[int32]kgo.EpochOffset{}
		}
		aside[l.topic][l.Partition] = kgo.EpochOffset{Epoch: -1, Offset: l.offset + 1}
		at[l.topic][l.Partition] = kgo.EpochOffset{Epoch: l.epoch, Offset: l.offset}
	}
	s.cl.SetOffsets(aside)
	s.stops.since.Store(0) // whatever it has stopped it fetches again
	s.cl.SetOffsets(at)
	s.reopen = false
}

// takeTooLarge is takeUnread for a batch that kgo does not unpack.
func (s *session) takeTooLarge(p *kgo.FetchPartition, large *kgo.ErrDecompressTooLarge) error {
	l := s.lanes.get(large.Topic, large.Partition)
	if l == nil {
		return errDropped
	}
	return s.takeUnread(p, l, storedBatch{first: large.Offset, next: large.NextOffset, epoch: large.Epoch}, codeBatchTooLarge)
}

// takeUnread sends the records of a batch that cannot be read to quarantine, each
// by itself (promise P9: whoever may write an input must not be able to stop its
// partition). Nothing is known of them but their offsets, so key, value and
// headers count as null. Offsets that compaction emptied before get a leaf too:
// which they are only the batch could tell.
//
// kgo does not fetch the partition again, or has moved on, and its SetOffsets moves
// what it goes back to after an abort. So nothing more of the lane is taken into
// this transaction, and when that is committed the client is told to go on behind
// the batch (goOn), or inside it where it holds more records than a transaction
// takes: then the same error leads here again, for the rest. Where it is not
// committed the session ends, and the next one begins at what was committed.
//
// Kill: as in step 1 of the commit protocol.
func (s *session) takeUnread(p *kgo.FetchPartition, l *lane, b storedBatch, code schemas.Code) error {
	switch {
	case b.next <= l.position:
		return s.park(l, ParkBatchTooLarge) // no way to get past it
	case b.first > l.position && p.LogStartOffset > l.position:
		return s.park(l, ParkOutOfRange)
	}
	s.halt(l)
	first := max(b.first, l.position)
	room := int64(max(0, s.w.room()-len(s.batch.Items())))
	end := min(b.next, first+room)
	for o := first; o < end; o++ {
		s.refused[source{l.topic, l.Partition, o}] = refusal{code: code}
		l.position, l.positionEpoch = o+1, b.epoch
		s.activate(l)
		s.take(l, &kgo.Record{Offset: o, Timestamp: time.UnixMilli(0)})
	}
	return nil
}
