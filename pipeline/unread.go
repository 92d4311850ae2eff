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
// which they are only the batch could tell. So do those of a transaction that was
// aborted: kgo unpacks a batch before it asks for that.
//
// kgo does not fetch the partition again, and its SetOffsets would move what it
// goes back to after an abort. So the session ends with this transaction, and
// the next one begins at what was committed: behind the batch, or inside it
// where it holds more records than a transaction takes. Then the same error
// leads here again, for the rest.
//
// Kill: as in step 1 of the commit protocol.
func (s *session) takeUnread(p *kgo.FetchPartition, l *lane, b storedBatch, code schemas.Code) error {
	switch {
	case b.next <= l.position:
		return s.park(l, ParkBatchTooLarge) // no way to get past it
	case b.first > l.position && p.LogStartOffset > l.position:
		return s.park(l, ParkOutOfRange)
	}
	s.reopen = true
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
