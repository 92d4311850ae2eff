package e2e

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	records     = 10_000 // that are committed, at least
	chunk       = 160    // records of one input transaction
	laterEvents = 1_000
)

// place is where a record stands.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// feed writes input records and consent events.
type feed struct {
	w     *world
	mu    sync.Mutex
	sent  map[place]sent // the committed records
	acked []int64        // consent events that Kafka has acknowledged, as next offsets
	abort int
}

// sent is what is known of a record when it was written.
type sent struct {
	bad string
	// acked is feed.acked before the record was written: its decision must take
	// all of that into account.
	acked []int64
}

// feed writes what most people have agreed to before the first record.
func (w *world) feed() *feed {
	f := &feed{w: w, sent: map[place]sent{}, acked: make([]int64, w.parts[w.topic(consents)])}
	f.grants()
	return f
}

func (f *feed) grants() {
	r := newDraw(f.w.seed, 1)
	cl := f.w.client(kgo.RequiredAcks(kgo.AllISRAcks()))
	var all []*kgo.Record
	for n := range people {
		if n%7 != 6 {
			c := r.grant(n, n)
			all = append(all, &kgo.Record{Topic: f.w.topic(consents), Key: c.key, Value: c.value})
		}
	}
	results := cl.ProduceSync(f.w.t.Context(), all...)
	if err := results.FirstErr(); err != nil {
		f.w.t.Fatal(err)
	}
	for _, r := range results {
		f.ack(r.Record)
	}
}

func (f *feed) ack(r *kgo.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acked[r.Partition] = max(f.acked[r.Partition], r.Offset+1)
}

// consents writes later consent events one by one beside the records.
func (f *feed) consents(pause time.Duration) *sync.WaitGroup {
	var done sync.WaitGroup
	done.Go(func() {
		s := speaker{feed: f, r: newDraw(f.w.seed, 2)}
		s.plain = f.w.client(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0))
		s.txn = f.w.client(kgo.TransactionalID(f.w.prefix + "consents"))
		for i := range laterEvents {
			if err := s.say(i); err != nil {
				f.w.t.Errorf("consents: %v", err)
				return
			}
			time.Sleep(pause)
		}
		if err := s.end(); err != nil {
			f.w.t.Errorf("consents: %v", err)
		}
	})
	return &done
}

// last waits for the last consent event, and then writes one more transaction of
// records: the fence that they are decided under covers all.
func (f *feed) last(p *producer, said *sync.WaitGroup) {
	said.Wait()
	if err := p.transaction(f, true); err != nil {
		f.w.t.Fatal(err)
	}
}

// speaker writes consent events.
type speaker struct {
	feed       *feed
	r          draw
	plain, txn *kgo.Client
	open       int // for how many events more a transaction stays open
}

// say writes one event. One in forty is in a transaction that stays open while
// the next ones are acknowledged behind it: they count from then on, which the
// pipeline cannot know before the transaction has ended. Most of those are
// aborted, and were never said.
func (s *speaker) say(i int) error {
	ctx := s.feed.w.t.Context()
	c := s.r.consent(1000 + i)
	record := &kgo.Record{Topic: s.feed.w.topic(consents), Key: c.key, Value: c.value}
	switch {
	case s.open > 1:
		s.open--
	case s.open == 1:
		if err := s.end(); err != nil {
			return err
		}
	case s.r.one(40):
		if err := s.txn.BeginTransaction(); err != nil {
			return err
		}
		// A long one outlasts the gathering of a batch.
		s.open = pick(s.r, 1, 4, 8, 100)
		return s.txn.ProduceSync(ctx, record).FirstErr()
	}
	if err := s.plain.ProduceSync(ctx, record).FirstErr(); err != nil {
		return err
	}
	s.feed.ack(record)
	return nil
}

// end ends the transaction that is open, if any.
func (s *speaker) end() error {
	if s.open == 0 {
		return nil
	}
	s.open = 0
	return s.txn.EndTransaction(s.feed.w.t.Context(), kgo.TransactionEndTry(s.r.one(3)))
}

// records writes input records until n of them are committed, in transactions of
// which one in nine is aborted, so that offsets have holes.
func (f *feed) records(p *producer, n int, pause time.Duration) error {
	for f.count() < n {
		if err := p.transaction(f, !p.r.one(9)); err != nil {
			return err
		}
		time.Sleep(pause)
	}
	return nil
}

// trickle writes records slowly until it is told to stop, and then the rest.
func (f *feed) trickle(p *producer, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return f.records(p, records-chunk, 0)
		case <-time.After(200 * time.Millisecond):
		}
		if err := p.transaction(f, !p.r.one(9)); err != nil {
			return err
		}
	}
}

// producer is the transactional producer of input records.
type producer struct {
	cl             *kgo.Client
	r              draw
	shipped, wider uint32
	next           int // record
}

func (f *feed) producer() *producer {
	p := &producer{r: newDraw(f.w.seed, 3)}
	p.shipped, p.wider = f.w.writers()
	p.cl = f.w.client(kgo.TransactionalID(f.w.prefix+"input"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(5*time.Millisecond),
		kgo.ProducerBatchMaxBytes(1<<20+10_000), kgo.ProducerBatchCompression(kgo.SnappyCompression()))
	return p
}

func (p *producer) transaction(f *feed, commit bool) error {
	f.mu.Lock()
	acked := slices.Clone(f.acked)
	f.mu.Unlock()
	if err := p.cl.BeginTransaction(); err != nil {
		return err
	}
	var mu sync.Mutex
	var first error
	stood := map[place]sent{}
	for range chunk {
		p.next++
		in := p.r.record(f.w, p.next, p.shipped, p.wider)
		p.cl.Produce(f.w.t.Context(), &in.Record, func(r *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
			stood[place{r.Topic, r.Partition, r.Offset}] = sent{in.bad, acked}
		})
	}
	if err := p.cl.Flush(f.w.t.Context()); err != nil {
		return err
	}
	if first != nil {
		return first
	}
	if err := p.cl.EndTransaction(context.WithoutCancel(f.w.t.Context()), kgo.TransactionEndTry(commit)); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !commit {
		f.abort += len(stood)
		return nil
	}
	for at, was := range stood {
		f.sent[at] = was
	}
	return nil
}

// count is how many input records are committed.
func (f *feed) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sent)
}
