package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// source names an input record within the life of a session.
type source struct {
	topic     string
	partition int32
	offset    int64
}

// refusal says why a record that the engine could process goes to quarantine
// all the same. It is remembered by source, not by item: an abort makes Kafka
// deliver the record again, in another batch.
type refusal struct {
	code   schemas.Code
	reason policy.Reason // "": INPUT_MALFORMED, what Batch.Fail says
}

// The codes of records that cannot be written.
const (
	codeOutputTooLarge schemas.Code = "output_too_large"
	codeAuditTooLarge  schemas.Code = "audit_too_large"
	codeOutputRefused  schemas.Code = "output_refused"
)

// Reasons of the quarantine that only the pipeline gives.
const (
	reasonAuditTooLarge  policy.Reason = "AUDIT_TOO_LARGE"
	reasonOutputTooLarge policy.Reason = "OUTPUT_TOO_LARGE"
	reasonOutputRefused  policy.Reason = "OUTPUT_REFUSED"
)

// sheet is what one transaction produces. Its slabs are reused: nothing is
// allocated per record in steady state. That is safe because every promise is
// awaited before the slabs are touched again.
type sheet struct {
	records []kgo.Record
	origin  []int32 // by record: index of the item, -1 for a document
	headers []kgo.RecordHeader
	bytes   []byte // audit and quarantine values; grows, old slices stay valid

	pending  atomic.Int64
	done     chan struct{}
	mu       sync.Mutex
	failures []failure
	promise  func(*kgo.Record, error)
}

type failure struct {
	record *kgo.Record
	err    error
}

func newSheet() *sheet {
	sh := &sheet{done: make(chan struct{}, 1)}
	sh.promise = sh.fulfil // one func value for all records
	return sh
}

// reset empties the sheet.
func (sh *sheet) reset() {
	sh.rewind(sheetMark{})
	clear(sh.failures)
	sh.failures = sh.failures[:0]
}

// sheetMark is how much there is on the sheet.
type sheetMark struct{ records, headers, bytes int }

func (sh *sheet) mark() sheetMark { return sheetMark{len(sh.records), len(sh.headers), len(sh.bytes)} }

// rewind takes back what was added since m. It lets go of the input's keys and
// headers, of which each would hold all that was fetched with it.
func (sh *sheet) rewind(m sheetMark) {
	clear(sh.records[m.records:])
	clear(sh.headers[m.headers:])
	sh.records, sh.origin = sh.records[:m.records], sh.origin[:m.records]
	sh.headers, sh.bytes = sh.headers[:m.headers], sh.bytes[:m.bytes]
}

// add returns the next record of the slab, to be filled in.
func (sh *sheet) add(origin int32, topic string, partition int32) *kgo.Record {
	sh.origin = append(sh.origin, origin)
	if n := len(sh.records); n < cap(sh.records) {
		sh.records = sh.records[:n+1]
	} else {
		sh.records = append(sh.records, kgo.Record{})
	}
	r := &sh.records[len(sh.records)-1]
	*r = kgo.Record{Topic: topic, Partition: partition}
	return r
}

// fulfil is the promise of every record. Whatever fails is kept, since a
// failed produce does not stop kgo from committing (KAFKA.md 9).
func (sh *sheet) fulfil(r *kgo.Record, err error) {
	if err != nil {
		sh.mu.Lock()
		sh.failures = append(sh.failures, failure{r, err})
		sh.mu.Unlock()
	}
	if sh.pending.Add(-1) == 0 {
		sh.done <- struct{}{}
	}
}

// produce sends the sheet and awaits every promise. The promises decide, not
// the flush: a failed produce leaves no trace in the flush.
func (s *session) produce() error {
	if len(s.sheet.records) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.w.cfg.Limits.Txn+requestTimeout)
	defer cancel()
	s.sheet.pending.Store(int64(len(s.sheet.records)))
	s.begun, s.touched = time.Now(), true
	if id, _, err := s.cl.ProducerID(ctx); err == nil {
		s.producer = id // Kafka gives another one when the epochs of this are used up
	}
	for i := range s.sheet.records {
		r := &s.sheet.records[i]
		s.touch(r.Topic, r.Partition)
		alone := len(s.suspects) > 0 && s.suspect(i)
		if alone {
			_ = s.cl.Flush(ctx) // alone in its batch, so that its promise speaks of it alone
		}
		s.txn.Produce(ctx, r, s.sheet.promise)
		if alone {
			_ = s.cl.Flush(ctx)
		}
	}
	_ = s.cl.Flush(ctx)
	select {
	case <-s.sheet.done:
	case <-ctx.Done():
		// The broker is away, or the client tries again and again, as where a topic
		// has too few replicas. The transaction will time out there, and what is
		// still buffered must not join another one.
		s.w.board.hold(s.w.number, s.unanswered())
		return errRebuild
	}
	return s.sortFailures()
}

func (s *session) unanswered() *Hold {
	h := &Hold{Code: HoldProduce, Detail: "no_answer", untilCommit: true, Mend: s.w.cfg.command("kafka-topics", "--describe --under-min-isr-partitions")}
	for _, l := range s.active {
		h.batch = append(h.batch, l.key())
	}
	return h
}

func (s *session) suspect(i int) bool {
	if s.sheet.origin[i] < 0 {
		return false
	}
	it := s.batch.Items()[s.sheet.origin[i]]
	return s.suspects[source{it.Lane.Topic, it.Lane.Partition, it.Offset}]
}

// recordCodes are the broker's answers that speak of a record and not of the
// broker; only these quarantine (DESIGN section 6, step 3).
var recordCodes = []error{kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp}

// sortFailures decides what failed promises mean. The broker refuses whole
// batches: a record that shared its batch is only a suspect, and is produced
// alone next time; one that was alone is refused.
func (s *session) sortFailures() error {
	if len(s.sheet.failures) == 0 {
		s.suspects = nil
		return nil
	}
	index := make(map[*kgo.Record]int, len(s.sheet.records))
	for i := range s.sheet.records {
		index[&s.sheet.records[i]] = i
	}
	var first error
	bad := map[source]bool{}
	for _, f := range s.sheet.failures {
		i, ok := index[f.record]
		if ok && s.sheet.origin[i] < 0 && tooLargeCode(f.err) {
			return s.topicTooSmall(f.record.Topic) // a document that fitted once
		}
		if !ok || !isRecordCode(f.err) || s.sheet.origin[i] < 0 {
			return s.produceError(f.record.Topic, f.err)
		}
		first = f.err
		it := s.batch.Items()[s.sheet.origin[i]]
		at := source{it.Lane.Topic, it.Lane.Partition, it.Offset}
		if s.suspects[at] && s.refusedAlready(it) {
			return s.topicTooSmall(f.record.Topic)
		}
		if s.suspects[at] {
			s.condemn(it, f.record.Topic, f.err)
		} else {
			bad[at] = true
		}
	}
	if tooLargeCode(first) && s.limitsChanged() {
		return errRebuild // our batches were too large, no record was
	}
	s.suspects = bad
	s.w.log.Warn().Str("code", errorCode(first)).Int("records", len(s.sheet.failures)).Msg("records refused by the broker")
	return errRetry
}

func isRecordCode(err error) bool {
	for _, code := range recordCodes {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

func tooLargeCode(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge)
}

func (s *session) condemn(it *engine.Item, topic string, err error) {
	why := refusal{codeOutputRefused, reasonOutputRefused}
	large := tooLargeCode(err)
	switch {
	case topic == s.w.cfg.Topics.Audit && large:
		why = refusal{codeAuditTooLarge, reasonAuditTooLarge}
	case large:
		why = refusal{codeOutputTooLarge, reasonOutputTooLarge}
	}
	s.refuse(it, why)
}

// produceError is about the session or the broker, not about a record.
func (s *session) produceError(topic string, err error) error {
	switch {
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch):
		return errEpoch // ours timed out, or somebody fenced us
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.UnknownTopicOrPartition):
		return errRebuild // an output topic was recreated: its old id stays in the client's cache
	default:
		h := kafkaHold(HoldProduce, err)
		h.untilCommit = true
		if errors.Is(err, kerr.TopicAuthorizationFailed) {
			h.Mend = grant(s.w.cfg.SeedBrokers, "Write --topic "+topic)
		}
		return h
	}
}

// errEpoch: the producer is fenced; session.superseded tells by whom.
var errEpoch = errors.New("the producer epoch is not valid any more")
