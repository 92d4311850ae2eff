package pipeline

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

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
		if int(s.staged) != len(s.batch.Items()) {
			return &Stop{Reason: "internal: a record of the batch was not decided"}
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

// topicTooSmall is for a topic that does not even take what is written about a
// refused record: then the topic is at fault and not the record. What was refused
// because of it is tried again unchanged, under a new limit once the topic has one.
func (s *session) topicTooSmall(topic string) error {
	if s.limitsChanged() {
		return errRebuild
	}
	clear(s.refused)
	s.suspects = nil
	return &Hold{Code: HoldProduce, Detail: "topic_too_small", untilCommit: true,
		Mend: s.w.cfg.alter(topic, maxMessageBytes+"=1048588")}
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
