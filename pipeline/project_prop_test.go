package pipeline

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"net"
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/consent/redisstore"
	"github.com/consentstream/consentstream/internal/devstack"
)

// The property: whatever happens to Redis and to any number of projectors, what
// a reader is told is a straight fold of the log below the cut that it is told,
// and when the faults end the state becomes the fold of the whole log.

const (
	propPartitions = 2
	propBuckets    = 3
	propSubjects   = 6
)

// propLog is a consent log, by partition.
type propLog [][]happening

func drawLog(t *rapid.T, store StateWriter) propLog {
	log := make(propLog, propPartitions)
	for part := range log {
		for o := range rapid.IntRange(0, 12).Draw(t, "events") {
			h := happening{tag: propTag(rapid.IntRange(0, propSubjects-1).Draw(t, "subject"))}
			h.bucket = store.Bucket(&h.tag)
			h.event = drawEvent(t, int32(part), int64(o))
			log[part] = append(log[part], h)
		}
	}
	return log
}

func propTag(subject int) (tag consent.Tag) {
	binary.BigEndian.PutUint32(tag[:4], uint32(subject))
	return tag
}

func drawEvent(t *rapid.T, part int32, offset int64) *consent.Event {
	e := &consent.Event{
		At: consent.Position{Partition: part, Offset: offset}, ID: "e",
		Received: rapid.Int64Range(1, 5).Draw(t, "received") * 1000,
		Action:   rapid.SampledFrom([]consent.Action{consent.Grant, consent.Withdraw, consent.Object, consent.Erase, consent.Request}).Draw(t, "action"),
		Purposes: rapid.SampledFrom([][]string{{"a"}, {"b"}, {"a", "b"}}).Draw(t, "purposes"),
	}
	if rapid.IntRange(0, 9).Draw(t, "malformed") == 0 {
		e.Malformed = consent.FaultType
	}
	return e
}

// rowAt is the straight fold of a subject's events below cut; nil: none.
func (log propLog) rowAt(tag consent.Tag, cut consent.Vector) *consent.Row {
	var row *consent.Row
	for part := range log {
		for i := range log[part] {
			if h := &log[part][i]; h.tag == tag && int64(i) < cut[part] {
				if row == nil {
					row = consent.NewRow()
				}
				row.Fold(h.event)
			}
		}
	}
	return row
}

// events are those in [from, to).
func (log propLog) events(from, to consent.Vector) (out []happening) {
	for part := range log {
		out = append(out, log[part][from[part]:to[part]]...)
	}
	return out
}

func (log propLog) end() consent.Vector {
	end := make(consent.Vector, len(log))
	for part := range log {
		end[part] = int64(len(log[part]))
	}
	return end
}

// faulty is a store whose Apply can fail, can work and lose the answer, and can
// be overtaken by something else.
type faulty struct {
	*redisstore.Store
	before     func() // runs once, before the next Apply
	failBefore bool   // the next Apply does nothing and fails
	failAfter  bool   // the next Apply works and fails
}

func (f *faulty) Apply(ctx context.Context, pages []*redisstore.Page) error {
	before, failBefore, failAfter := f.before, f.failBefore, f.failAfter
	f.before, f.failBefore, f.failAfter = nil, false, false
	if before != nil {
		before()
	}
	lost := &redisstore.Hold{Code: redisstore.Unreachable, Bucket: -1}
	if failBefore {
		return lost
	}
	err := f.Store.Apply(ctx, pages)
	if failAfter {
		return lost
	}
	return err
}

// propWorld is one Redis, two projectors and a log.
type propWorld struct {
	t       *rapid.T
	redis   *miniredis.Miniredis
	store   *redisstore.Store
	log     propLog
	writers [2]*propWriter
	saved   []map[string]map[string]string
}

type propWriter struct {
	busy  bool
	p     *Projector
	store *faulty
	pr    *projection // nil: has to read the store again
}

func propStore(t *rapid.T, m *miniredis.Miniredis) *redisstore.Store {
	store, err := redisstore.Open(redisstore.Config{
		Dial: func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
		Epoch: redisstore.Epoch{ClusterID: "c", TopicID: [16]byte{1}, Partitions: propPartitions,
			TagCheck: []byte{1}, Namespaces: [32]byte{1}, Buckets: propBuckets},
		Keys: map[uint32][32]byte{1: {1}}, ActiveKey: 1, Timeout: requestTimeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// step lets a projector do its next thing: read the store, or write a batch of
// up to n events a partition.
func (w *propWorld) step(i, n int) {
	wr := w.writers[i]
	if wr.busy {
		return // it is what is being overtaken
	}
	wr.busy = true
	defer func() { wr.busy = false }()
	if wr.pr == nil {
		pr := &projection{Projector: wr.p}
		if pr.readMarks(w.t.Context()) == nil && pr.write(w.t.Context(), nil, pr.next) == nil {
			wr.pr = pr
		}
		return
	}
	next := slices.Clone(wr.pr.next)
	for part, end := range w.log.end() {
		next[part] = min(next[part]+int64(n), end)
	}
	write := func() error { return wr.pr.write(w.t.Context(), w.log.events(wr.pr.next, next), next) }
	if slices.Equal(next, wr.pr.next) { // nothing to read: upkeep
		write = func() error { return wr.pr.sameMarks(w.t.Context()) }
	}
	if err := write(); err != nil {
		wr.pr = nil
		return
	}
	wr.pr.next = next
}

func (w *propWorld) dump() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, k := range w.redis.Keys() {
		fields, err := w.redis.HKeys(k)
		if err != nil {
			continue
		}
		all[k] = map[string]string{}
		for _, f := range fields {
			all[k][f] = w.redis.HGet(k, f)
		}
	}
	return all
}

func (w *propWorld) restore(key string, fields map[string]string) {
	w.redis.Del(key)
	for f, v := range fields {
		w.redis.HSet(key, f, v)
	}
}

// harm does one of the things that happen to a Redis.
func (w *propWorld) harm() {
	t, bucket := w.t, rapid.IntRange(0, propBuckets-1).Draw(w.t, "bucket")
	key := w.store.Key(bucket)
	fields, _ := w.redis.HKeys(key)
	slices.Sort(fields)
	switch rapid.SampledFrom([]string{"flush", "del", "hdel", "flip", "save", "restore", "restore one", "type", "junk"}).Draw(t, "harm") {
	case "flush":
		w.redis.FlushAll()
	case "del":
		w.redis.Del(key)
	case "hdel":
		if len(fields) > 0 && w.counted(bucket) {
			w.redis.HDel(key, rapid.SampledFrom(fields).Draw(t, "field"))
		}
	case "flip":
		if len(fields) > 0 {
			f := rapid.SampledFrom(fields).Draw(t, "field")
			v := []byte(w.redis.HGet(key, f))
			if len(v) < 6 { // junk
				return
			}
			v[rapid.IntRange(5, len(v)-1).Draw(t, "byte")] ^= 4 // not the key epoch: that one waits for a newer key file
			w.redis.HSet(key, f, string(v))
		}
	case "save":
		w.saved = append(w.saved, w.dump())
	case "restore", "restore one": // a failover, an old backup, of everything or of a bucket
		if len(w.saved) == 0 {
			return
		}
		old := w.saved[rapid.IntRange(0, len(w.saved)-1).Draw(t, "backup")]
		if fields, ok := old[key]; ok && rapid.Bool().Draw(t, "one") {
			w.restore(key, fields)
			return
		}
		w.redis.FlushAll()
		for _, k := range slices.Sorted(maps.Keys(old)) {
			w.restore(k, old[k])
		}
	case "type":
		w.redis.Del(key)
		_ = w.redis.Set(key, "x")
	case "junk":
		if w.redis.Type(key) != "string" && w.counted(bucket) {
			w.redis.HSet(key, "junk", "x")
		}
	}
}

// counted reports that a bucket has as many fields as its watermark says: whoever
// takes one away and puts another one in its place is not found (redisstore's
// package comment), so no two harms are to do that together.
func (w *propWorld) counted(bucket int) bool {
	page := &redisstore.Page{Bucket: bucket}
	return w.store.Load(w.t.Context(), []*redisstore.Page{page}) == nil && page.Err == nil
}

// check reads the subjects, one by one and all at once: a hold, or the truth at
// the cut. One of them is nobody that is spoken of.
func (w *propWorld) check(mayHold bool) {
	all := make([]consent.Tag, propSubjects+1)
	for subject := range all {
		all[subject] = propTag(subject)
		w.checkRead(all[subject:subject+1], mayHold)
	}
	w.checkRead(all, mayHold)
}

func (w *propWorld) checkRead(tags []consent.Tag, mayHold bool) {
	var snap consent.Snapshot
	if err := w.store.Read(w.t.Context(), tags, &snap); err != nil {
		if !mayHold {
			w.t.Fatalf("%x: %v", tags, err)
		}
		return
	}
	for i, tag := range tags {
		want := w.log.rowAt(tag, snap.Cut[i])
		got, _, err := snap.State(i)
		if err != nil {
			w.t.Fatal(err)
		}
		switch {
		case (got == nil) != (want == nil):
			w.t.Fatalf("%x at %v: row %v, want %v", tag, snap.Cut[i], got, want)
		case got != nil && !bytes.Equal(got.AppendTo(nil), want.AppendTo(nil)):
			w.t.Fatalf("%x at %v: %+v, want %+v", tag, snap.Cut[i], got, want)
		case !mayHold && !slices.Equal(snap.Cut[i], w.log.end()):
			w.t.Fatalf("%x is known up to %v, the log ends at %v", tag, snap.Cut[i], w.log.end())
		}
	}
}

// act is one random happening.
func (w *propWorld) act() {
	t := w.t
	i := rapid.IntRange(0, 1).Draw(t, "writer")
	n := rapid.IntRange(1, 6).Draw(t, "batch")
	wr := w.writers[i]
	switch rapid.SampledFrom([]string{"step", "step", "step", "step", "crash", "fail", "lose answer", "overtaken", "overtaken by harm", "harm"}).Draw(t, "act") {
	case "crash":
		wr.pr = nil
	case "fail":
		wr.store.failBefore = true
		w.step(i, n)
	case "lose answer":
		wr.store.failAfter = true
		w.step(i, n)
	case "overtaken": // frozen between load and apply, while the other works
		wr.store.before = func() {
			for range rapid.IntRange(1, 4).Draw(t, "steps") {
				w.step(1-i, rapid.IntRange(1, 6).Draw(t, "batch"))
			}
		}
		w.step(i, n)
	case "overtaken by harm":
		wr.store.before = func() { w.harm(); w.step(1-i, n) }
		w.step(i, n)
	case "harm":
		w.harm()
	default:
		w.step(i, n)
	}
}

func TestProjectionIsAFoldOfTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := miniredis.NewMiniRedis()
		defer m.Close()
		w := &propWorld{t: t, redis: m, store: propStore(t, m)}
		defer w.store.Close()
		if _, err := m.Dial(); err != nil {
			t.Fatal(err)
		}
		devstack.BePrimary(m)
		w.log = drawLog(t, w.store)
		for i := range w.writers {
			f := &faulty{Store: w.store}
			w.writers[i] = &propWriter{store: f, p: &Projector{cfg: ProjectorConfig{Store: f, Log: zerolog.Nop()}}}
		}
		for range rapid.IntRange(1, 25).Draw(t, "acts") {
			w.act()
			w.check(true)
		}
		// The faults end; both projectors run on, one after the other.
		for _, wr := range w.writers {
			wr.store.before, wr.store.failBefore, wr.store.failAfter = nil, false, false
		}
		for range 12 {
			w.step(0, 6)
			w.step(1, 6)
			w.check(true) // finds damaged rows, which nobody else sees
		}
		w.check(false)
	})
}
