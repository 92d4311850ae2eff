package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// pollStep is how many records are asked for at once, at most. What was fetched may
// be far larger than a batch should be (Limits.Unpacked), and one poll hands out
// all that fit the number.
const pollStep = 32

// gather polls until the batch is full or Limits.Wait has passed. Nothing is
// polled after it until the transaction has ended: a record that was polled
// after the fence would be decided on a state older than itself. The batch may
// be empty. It goes beyond Limits.Bytes by less than pollStep records, and by no
// more than one where they are of a size.
func (s *session) gather(ctx context.Context) error {
	s.recall()
	s.losses = s.lanes.losses()
	deadline := time.Now().Add(s.w.cfg.Limits.Wait)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for bytes, step := 0, 1; ; step = min(2*step, pollStep) {
		records, left := len(s.batch.Items()), s.w.cfg.Limits.Bytes-bytes
		if records >= s.w.room() || left <= 0 || s.reopen || ctx.Err() != nil {
			return nil
		}
		if bytes > 0 {
			step = min(step, 1+left*records/bytes)
		}
		n, err := s.poll(ctx, min(step, s.w.room()-records))
		if err != nil {
			return err
		}
		bytes += n
	}
}

// poll takes at most n records into the batch, and gives their size.
func (s *session) poll(ctx context.Context, n int) (bytes int, err error) {
	fetches := s.txn.PollRecords(ctx, n)
	switch {
	case fencedBy(fetches):
		return 0, s.fenced()
	case s.lanes.losses() != s.losses:
		return 0, errDropped
	}
	for i := range fetches {
		for j := range fetches[i].Topics {
			n, err := s.takeTopic(&fetches[i].Topics[j])
			bytes += n
			if err != nil {
				return bytes, err
			}
		}
	}
	return bytes, nil
}

// fencedBy reports that a poll says that another process is this member. kgo says
// it once, in the poll that comes with the loss of all lanes: whoever drops that
// poll for the loss is never told again, and goes on as a member of nothing.
func fencedBy(fetches kgo.Fetches) bool {
	for _, e := range fetches.Errors() {
		if errors.Is(e.Err, kerr.FencedInstanceID) {
			return true
		}
	}
	return false
}

// room is how many records the next batch may have.
func (w *worker) room() int {
	if w.most > 0 {
		return w.most
	}
	return w.cfg.Limits.Records
}

// shrink makes the next batches smaller: the one at hand, of n records, costs
// more than a transaction may, or its fence was too old when it was ready. The
// same records would be the same batch again, and their lanes would stand still
// for ever (promise P9). One record alone never costs too much, so where even that
// takes longer than a fence lasts, it is Kafka that is slow.
func (w *worker) shrink(n int) {
	if n == 1 && w.most == 1 {
		w.board.hold(w.number, &Hold{Code: HoldProduce, Detail: "slow", untilCommit: true, Mend: w.cfg.command("kafka-topics", "--describe --under-min-isr-partitions")})
	}
	if n > 0 {
		w.most = max(1, n/4)
	}
}

// grow undoes shrink, commit by commit.
func (w *worker) grow() {
	if w.most *= 2; w.most >= w.cfg.Limits.Records {
		w.most = 0
	}
}

func (s *session) takeTopic(t *kgo.FetchTopic) (bytes int, err error) {
	for i := range t.Partitions {
		p := &t.Partitions[i]
		if err := s.takeError(t.Topic, p); err != nil {
			return bytes, err
		}
		if len(p.Records) == 0 {
			continue
		}
		n, err := s.takeRecords(t, p)
		bytes += n
		if err != nil {
			return bytes, err
		}
	}
	return bytes, nil
}

// takeError deals with what a poll reports for a partition; nil means that its
// records can be taken.
func (s *session) takeError(topic string, p *kgo.FetchPartition) error {
	var large *kgo.ErrDecompressTooLarge
	switch {
	case p.Err == nil, errors.Is(p.Err, errFetchFull):
		return nil
	case errors.As(p.Err, &large):
		return s.takeTooLarge(p, large)
	}
	err := s.pollError(topic, p.Partition, p.Err)
	var h *Hold
	if l := s.lanes.get(topic, p.Partition); l != nil && errors.As(err, &h) && !isAnswer(p.Err) {
		return s.takeDoubtful(p, l, h)
	}
	return err
}

// takeRecords checks that the records follow on the lane's position and scans
// them into the batch. A gap is legal (control records, compaction, aborted
// transactions) unless the log now starts above the position: then records are
// gone that were never read.
func (s *session) takeRecords(t *kgo.FetchTopic, p *kgo.FetchPartition) (bytes int, err error) {
	l := s.lanes.get(t.Topic, p.Partition)
	if l == nil {
		return 0, errDropped // revoked a moment ago
	}
	first := p.Records[0].Offset
	switch {
	case t.TopicID != [16]byte{} && t.TopicID != l.TopicID:
		return 0, s.park(l, ParkTopicRecreated)
	case first < l.position:
		return 0, s.park(l, ParkRewound)
	case first > l.position && p.LogStartOffset > l.position:
		return 0, s.park(l, ParkOutOfRange)
	}
	for _, r := range p.Records {
		l.position, l.positionEpoch = r.Offset+1, r.LeaderEpoch
		if r.Attrs.IsControl() {
			continue
		}
		s.activate(l)
		bytes += s.take(l, r)
	}
	return bytes, nil
}

// activate notes that the batch has records of l.
func (s *session) activate(l *lane) {
	if !l.inBatch {
		l.inBatch = true
		s.active = append(s.active, l)
	}
}

// take scans one record into the batch; a panic in the scan condemns the
// record, not the process.
func (s *session) take(l *lane, r *kgo.Record) int {
	at := source{l.topic, l.Partition, r.Offset}
	in := engine.Input{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: s.inputHeaders(r.Headers)}
	it, panicked := s.w.guard.add(s.batch, &l.Lane, in)
	if panicked {
		s.refused[at] = refusal{code: schemas.CodePanic}
	}
	if why, ok := s.refused[at]; ok {
		s.batch.Fail(it, why.code, "")
	}
	size := len(r.Key) + len(r.Value) + headerBytes*len(r.Headers)
	for i := range r.Headers {
		size += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return size
}

// maxHeaders is how many headers a session keeps room for.
const maxHeaders = 1 << 17

// inputHeaders borrows a slab: headers live until the batch is reset.
func (s *session) inputHeaders(hs []kgo.RecordHeader) []engine.Header {
	if len(hs) == 0 {
		return nil
	}
	from := len(s.inHeaders)
	for i := range hs {
		s.inHeaders = append(s.inHeaders, engine.Header{Key: hs[i].Key, Value: hs[i].Value})
	}
	return s.inHeaders[from:len(s.inHeaders):len(s.inHeaders)]
}

// pollError sorts what a poll reports for a partition, or for the whole client
// with an empty topic. nil means: nothing to do but to poll again.
func (s *session) pollError(topic string, partition int32, err error) error {
	var loss *kgo.ErrDataLoss
	var group *kgo.ErrGroupSession
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil // the gathering time is over
	case errors.Is(err, kgo.ErrClientClosed):
		return errRebuild
	case errors.As(err, &loss):
		// kgo has moved the position already, even under NoResetOffset, and
		// records of the new position may be in this very poll (KAFKA.md).
		return s.parkAt(topic, partition, ParkDataLoss)
	case errors.Is(err, kerr.OffsetOutOfRange):
		return s.parkAt(topic, partition, ParkOutOfRange)
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID):
		return s.parkAt(topic, partition, ParkTopicRecreated)
	case errors.Is(err, kerr.FencedInstanceID):
		return s.fenced()
	case errors.As(err, &group):
		return kafkaHold(HoldGroup, group.Err)
	default:
		return kafkaHold(HoldKafka, err)
	}
}

// park sets an owned lane aside and rebuilds the session: kgo's own position of
// the partition is worth nothing any more, and a new session never assigns it.
func (s *session) park(l *lane, code ParkCode) error {
	s.w.board.park(s.parkedLane(l, code, l.offset))
	return errRebuild
}

func (s *session) parkAt(topic string, partition int32, code ParkCode) error {
	if l := s.lanes.get(topic, partition); l != nil {
		return s.park(l, code)
	}
	return errDropped
}
