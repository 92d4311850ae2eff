package e2e

import (
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// collect reads all committed records of a topic, by partition in their order.
func (w *world) collect(name string) []*kgo.Record { return w.collectAs(name, kgo.ReadCommitted()) }

// collectAll reads those of aborted transactions too.
func (w *world) collectAll(name string) []*kgo.Record {
	return w.collectAs(name, kgo.ReadUncommitted())
}

func (w *world) collectAs(name string, level kgo.IsolationLevel) []*kgo.Record {
	topic := w.topic(name)
	ctx, cancel := w.ctx(60 * time.Second)
	defer cancel()
	ends, err := w.adm.ListEndOffsets(ctx, topic)
	if err != nil || ends.Error() != nil {
		w.t.Fatalf("%s: %v %v", topic, err, ends.Error())
	}
	from, left := map[int32]kgo.Offset{}, map[int32]int64{}
	for p, end := range ends[topic] {
		if from[p] = kgo.NewOffset().At(0); end.Offset > 0 {
			left[p] = end.Offset
		}
	}
	// Control records carry the position to the end of the log (KAFKA.md 3).
	cl := w.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.FetchIsolationLevel(level), kgo.KeepControlRecords())
	defer cl.Close()
	var all []*kgo.Record
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			w.t.Fatalf("%s: %v; not at the end: %v", topic, err, left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				all = append(all, r)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return all
}

// watch counts the audit records while processes come and go.
type watch struct{ n atomic.Int64 }

func (w *world) watch(level kgo.IsolationLevel) *watch {
	cl := w.client(kgo.ConsumeTopics(w.topic(auditTopic)), kgo.FetchIsolationLevel(level), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := &watch{}
	ctx := w.t.Context()
	go func() {
		for ctx.Err() == nil {
			seen.n.Add(int64(cl.PollFetches(ctx).NumRecords()))
		}
	}()
	return seen
}

// await waits until n audit records are committed.
func (w *world) await(seen *watch, n int, within time.Duration, running ...*process) {
	w.t.Helper()
	for deadline := time.Now().Add(within); seen.n.Load() < int64(n); time.Sleep(20 * time.Millisecond) {
		for _, p := range running {
			p.check()
		}
		if time.Now().After(deadline) {
			if len(running) > 0 {
				running[0].fail(running[0].pages())
			}
			w.t.Fatalf("%d of %d records are audited after %v", seen.n.Load(), n, within)
		}
	}
}

// change waits until the count changes.
func (seen *watch) change(within time.Duration) {
	for before, deadline := seen.n.Load(), time.Now().Add(within); seen.n.Load() == before && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond / 2)
	}
}
