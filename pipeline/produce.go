package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
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

func (sh *sheet) reset() {
	sh.records, sh.origin = sh.records[:0], sh.origin[:0]
	sh.headers, sh.bytes, sh.failures = sh.headers[:0], sh.bytes[:0], sh.failures[:0]
}

// sheetMark is how much there is on the sheet.
type sheetMark struct{ records, headers, bytes int }

func (sh *sheet) mark() sheetMark { return sheetMark{len(sh.records), len(sh.headers), len(sh.bytes)} }

// rewind takes back what was added since m.
func (sh *sheet) rewind(m sheetMark) {
	sh.records, sh.origin = sh.records[:m.records], sh.origin[:m.records]
	sh.headers, sh.bytes = sh.headers[:m.headers], sh.bytes[:m.bytes]
}

// add gives the next record of the slab to fill in.
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

// stage decides the batch and writes the transaction's records onto the sheet:
// outputs, quarantine and audit of each lane in order, the lane's signature on
// its last audit record, and documents that were not published yet. A record is
// staged as soon as it is decided, while it is in the processor's cache.
func (s *session) stage(m engine.Moment, f *fence) error {
	for {
		s.beginStage(m, f)
		panicked, err := s.w.guard.decide(s.batch, &s.snap, m, s.stageItem)
		switch {
		case panicked:
			continue
		case errors.Is(err, engine.ErrInconsistentCut):
			return hold(HoldCut, "")
		case errors.Is(err, engine.ErrBatchTooLarge):
			s.w.shrink(len(s.batch.Items()))
			return errRetry
		case errors.Is(err, consent.ErrRow):
			// A genuine row that does not decode: the next read looks at every
			// row, and says which bucket it is.
			s.snap.Whole = true
			return hold(HoldStates, "row_malformed")
		case err != nil:
			return err
		}
		s.snap.Whole = false
		for _, l := range s.active {
			s.sign(l)
		}
		return s.stageDocuments(f)
	}
}

func (s *session) beginStage(m engine.Moment, f *fence) {
	s.sheet.reset()
	s.tally.reset()
	s.context = s.w.auditContext(m, f)
	s.smallest = s.w.limits.smallest(s.w.written)
	s.staging, s.staged = nil, 0
	for _, l := range s.active {
		l.next, l.stagedLast = l.chain(), -1
	}
}

// stageItem puts one record's outputs, quarantine and audit on the sheet. One
// that is too large for its topic by itself is found here, before anything is
// produced: it goes to quarantine instead.
func (s *session) stageItem(it *engine.Item) error {
	l := s.staging
	if l == nil || it.Lane != &l.Lane {
		if l = s.lanes.get(it.Lane.Topic, it.Lane.Partition); l == nil || it.Lane != &l.Lane {
			return errDropped // lost, or lost and assigned again
		}
		s.staging = l
	}
	i := s.staged
	s.staged++
	s.refuseTooLarge(it)
	mark, chain := s.sheet.mark(), l.next
	fits, err := s.stageResult(i, it, l)
	if err == nil && !fits {
		if s.refusedAlready(it) {
			return s.topicTooSmall(s.w.cfg.Topics.Audit)
		}
		s.refuse(it, refusal{codeAuditTooLarge, reasonAuditTooLarge})
		s.sheet.rewind(mark)
		l.next = chain
		if fits, err = s.stageResult(i, it, l); err == nil && !fits {
			return s.topicTooSmall(s.w.cfg.Topics.Audit)
		}
	}
	s.tally.count(it)
	return err
}

// stageResult puts what an item has become on the sheet. fits is false where its
// audit record does not fit its topic: then nothing of it counts.
func (s *session) stageResult(i int32, it *engine.Item, l *lane) (fits bool, err error) {
	for j := range it.Outputs {
		s.stageOutput(i, &it.Outputs[j])
	}
	if it.State == engine.StateFaulted {
		if err := s.stageQuarantine(i, it, l); err != nil {
			return false, err
		}
	}
	return s.stageAudit(i, it, l)
}

func (s *session) stageOutput(i int32, o *engine.Output) {
	from := len(s.sheet.headers)
	for _, h := range o.Headers {
		s.sheet.headers = append(s.sheet.headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	r := s.sheet.add(i, o.Topic, o.Partition)
	r.Key, r.Value, r.Timestamp = o.Key, o.Value, time.UnixMilli(o.Timestamp)
	r.Headers = s.sheet.headers[from:len(s.sheet.headers):len(s.sheet.headers)]
}

// stageAudit appends the item's leaf to the lane's chain. The first leaf of the
// lane in this transaction carries the context, the others inherit it (A11).
func (s *session) stageAudit(i int32, it *engine.Item, l *lane) (fits bool, err error) {
	rec := &it.Audit
	rec.Context = nil
	if l.stagedLast < 0 {
		rec.Context = &s.context
	}
	if why, ok := s.refused[source{l.topic, l.Partition, it.Offset}]; ok && why.reason != "" {
		rec.Reason = string(why.reason)
	}
	from := len(s.sheet.bytes)
	s.sheet.bytes = schemas.AppendFrame(s.sheet.bytes, s.w.auditSchema)
	if s.sheet.bytes, err = l.next.Append(s.sheet.bytes, rec); err != nil {
		// The engine made a leaf that cannot be: without its audit the record
		// must not be emitted, and skipping it would be a gap.
		return false, &Stop{Reason: "internal: an audit leaf does not follow its chain"}
	}
	value := s.sheet.bytes[from:len(s.sheet.bytes):len(s.sheet.bytes)]
	if size := len(value) + auditOverhead; size > s.smallest && size > s.w.limits.of(s.w.cfg.Topics.Audit) {
		return false, nil
	}
	l.stagedLast = len(s.sheet.records)
	s.sheet.add(i, s.w.cfg.Topics.Audit, l.head.AuditPartition).Value = value
	return true, nil
}

// Overheads of a record batch with one record: the batch header (61 bytes), the
// record's own varints, and for audit the `sig` header.
const (
	recordOverhead = 61 + 6*10
	auditOverhead  = recordOverhead + 16 + 64
)

// refuseTooLarge refuses an item with an output that does not fit its topic.
func (s *session) refuseTooLarge(it *engine.Item) {
	for i := range it.Outputs {
		o := &it.Outputs[i]
		size := recordOverhead + len(o.Key) + len(o.Value)
		for _, h := range o.Headers {
			size += len(h.Key) + len(h.Value) + 10
		}
		if size > s.smallest && size > s.w.limits.of(o.Topic) {
			s.refuse(it, refusal{codeOutputTooLarge, reasonOutputTooLarge})
			return
		}
	}
}

// refuse sends an item to quarantine, now and whenever it is delivered again.
func (s *session) refuse(it *engine.Item, why refusal) {
	s.refused[source{it.Lane.Topic, it.Lane.Partition, it.Offset}] = why
	s.batch.Fail(it, why.code, "")
}

func (s *session) refusedAlready(it *engine.Item) bool {
	_, yes := s.refused[source{it.Lane.Topic, it.Lane.Partition, it.Offset}]
	return yes
}

// topicTooSmall is for a topic that does not even take what is written of a
// refused record: then the topic is at fault and no record is. What was refused
// for it is tried again as it is, with another limit as soon as the topic has one.
func (s *session) topicTooSmall(topic string) error {
	if s.limitsChanged() {
		return errRebuild
	}
	clear(s.refused)
	s.suspects = nil
	return &Hold{Code: HoldProduce, Detail: "topic_too_small", untilCommit: true,
		Mend: topicSettings{name: topic}.alter(maxMessageBytes + "=1048588")}
}

// headerSig is the only Kafka header of audit records (AUDIT A2).
const headerSig = "sig"

func (s *session) sign(l *lane) {
	if l.stagedLast < 0 {
		return
	}
	msg := audit.SigMessage(&l.Lane.Lane, l.next.Next-1, l.next.Head)
	sig := s.w.cfg.Keys.Sign(msg)
	from := len(s.sheet.headers)
	s.sheet.headers = append(s.sheet.headers, kgo.RecordHeader{Key: headerSig, Value: sig[:]})
	s.sheet.records[l.stagedLast].Headers = s.sheet.headers[from:len(s.sheet.headers):len(s.sheet.headers)]
}

// stageDocuments publishes policies and plans in the transaction that first
// uses them, so that no audit record cites a digest that nobody can look up.
func (s *session) stageDocuments(f *fence) error {
	info, err := f.top.topic(s.w.cfg.Topics.Policies)
	if err != nil {
		return kafkaHold(HoldProduce, err)
	}
	for _, d := range s.w.engine.Documents() {
		if s.w.published[d.Key] {
			continue
		}
		key := []byte(d.Key)
		r := s.sheet.add(-1, s.w.cfg.Topics.Policies, audit.Partition(key, info.partitions()))
		r.Key, r.Value = key, d.Value
	}
	return nil
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
	for i := range s.sheet.records {
		r := &s.sheet.records[i]
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
		// The broker is away. The transaction will time out there, and what is
		// still buffered must not join another one.
		return errRebuild
	}
	return s.sortFailures()
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
			return s.produceError(f.err)
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
func (s *session) produceError(err error) error {
	switch {
	case errors.Is(err, kerr.ProducerFenced):
		return s.fenced()
	case errors.Is(err, kerr.InvalidProducerEpoch):
		return errEpoch // ours timed out, or somebody fenced us: End tells which
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.UnknownTopicOrPartition):
		return errRebuild // an output topic was recreated: its old id stays in the client's cache
	default:
		h := kafkaHold(HoldProduce, err)
		h.untilCommit = true
		return h
	}
}

// errEpoch is errRebuild after which End is asked whether we were fenced.
var errEpoch = errors.New("the producer epoch is not valid any more")
