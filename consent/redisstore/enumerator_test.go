package redisstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// This file searches every reachable state of small models of the ways in which
// a consent cache can be fed, read and acknowledged. It is the reason for the
// design of this package and of the commit protocol: each weaker design leaks,
// and the test prints how.
//
// The model: the consent log holds a subject's grant at offset 0. A withdrawal W
// may be appended at offset 1 and another subject's event at offset 2. One batch
// with a record of the subject begins, reads the cache, and commits or is
// aborted and begun again. The cache may be replicated late, fail over once to
// the replica, be evicted or flushed once.
//
//	P1 freshness: a batch that began after W was durable does not commit on the
//	   state before W.
//	P2 effective acknowledgement: once W was acknowledged as effective, no batch
//	   commits on the state before W.

type acknowledge uint8

const (
	ackDurable acknowledge = iota // W is in Kafka
	ackPrimary                    // W is applied on the Redis primary
	ackReplica                    // and on a replica (WAIT 1)
	ackBarrier                    // a fence above W was committed, or the lane is idle
)

type compare uint8

const (
	compareNone      compare = iota // writers just write
	compareMonotonic                // a writer may only raise the watermark
	compareWhole                    // a writer must find what it loaded
)

type remember uint8

const (
	rememberNothing remember = iota
	rememberStamp            // a row that was read answers while its bucket's stamp, the watermark that last came with rows, is the same
	rememberCounter          // or while the number of batches that came with rows is
	rememberRows             // or while the number of rows is
)

type design struct {
	name    string
	ack     acknowledge
	fence   bool // read only at a watermark at or above the log end taken at begin
	recheck bool // look at the log end again before the commit
	late    bool // poll the records after the fence was taken

	split       bool // the watermark lives on another shard, which does not fail over
	early       bool // the watermark is written before the row
	evictRow    bool // one row can be evicted (a key per subject)
	evictBucket bool // or lost with everything that is in the hash
	loseRow     bool // one row is lost by a fault
	count       bool // the watermark knows the number of rows
	flush       bool
	absentAllow bool // no row under a valid watermark permits (contract: "unknown")
	writers     int  // projectors that load and apply in two steps; 0: one step
	compare     compare
	remember    remember

	p1, p2 bool // what must be found to hold
}

var designs = []design{
	{name: "D1 async cache, ack when durable", ack: ackDurable},
	{name: "D2 ack when applied to primary", ack: ackPrimary},
	{name: "D3 D2 + WAIT 1", ack: ackReplica},
	{name: "D4 lag fence", fence: true, p1: true},
	{name: "D4b fence, watermark on another shard", fence: true, split: true},
	{name: "D4c fence, watermark before row", fence: true, early: true},
	{name: "D4d fence, eviction, absent denies", fence: true, evictRow: true, p1: true},
	{name: "D4e fence, eviction, absent allows", fence: true, evictRow: true, absentAllow: true},
	{name: "D5 D4 + recheck before commit", fence: true, recheck: true, p1: true},
	{name: "D6 fence + barrier ack", fence: true, ack: ackBarrier, p1: true, p2: true},
	{name: "D6b D6, polls after the fence", fence: true, ack: ackBarrier, late: true, p1: true},
	{name: "D7 D6 + recheck + eviction, absent denies", fence: true, ack: ackBarrier, recheck: true, evictRow: true, p1: true, p2: true},
	{name: "D8 barrier ack without fence", ack: ackBarrier},
	ours("O1 ours, writers do not compare", func(d *design) { d.compare = compareNone; d.p1, d.p2 = false, false }),
	ours("O2 ours, writers only raise the watermark", func(d *design) { d.compare = compareMonotonic; d.p1, d.p2 = false, false }),
	ours("O3 ours, rows are not counted", func(d *design) { d.count = false; d.p1, d.p2 = false, false }),
	ours("O4 ours, ack when durable", func(d *design) { d.ack = ackDurable; d.p2 = false }),
	ours("O5 ours, remembered rows answer by the number of batches", func(d *design) { d.remember = rememberCounter; d.p1 = false }),
	ours("O6 ours, remembered rows answer by the number of rows", func(d *design) { d.remember = rememberRows; d.p1 = false }),
	ours("O7 ours, nothing is remembered", func(d *design) { d.remember = rememberNothing }),
	ours("OURS fence + barrier + one hash + count + whole compare + stamp", func(*design) {}),
}

func ours(name string, change func(*design)) design {
	d := design{name: name, fence: true, ack: ackBarrier, evictBucket: true, flush: true, loseRow: true, count: true,
		absentAllow: true, writers: 2, compare: compareWhole, remember: rememberStamp, p1: true, p2: true}
	change(&d)
	return d
}

// The subject's row.
const (
	absent = iota
	granted
	withdrawn
)

// The batch.
const (
	waiting = iota // no record yet: the lane is idle
	fenced         // a fence without records (late)
	begun
	decided
	rechecked
	committed
	aborted // its records are there and not committed
)

// cache is one copy of the bucket.
type cache struct {
	exists   bool
	row, end uint8 // end: the watermark
	counted  bool  // the watermark counts the row
	stamp    uint8 // what remembered rows are compared by
}

// memory is the subject's row as the reader has kept it.
type memory struct {
	set        bool
	row, stamp uint8
}

// writer is one projector between load and apply.
type writer struct {
	busy   bool
	loaded cache
	target uint8
}

type world struct {
	log            uint8 // log end: 1, 2 (W), 3
	primary, other cache
	shard          uint8 // the watermark, where it lives on another shard
	failed, lost   bool  // the one failover, the one loss
	writers        [2]writer
	half           bool // watermark written, row not yet

	kept   memory
	batch  uint8
	after  bool // began after W was durable
	fence  uint8
	permit bool
	acked  bool

	leak1, leak2 bool
}

type step struct {
	name string
	to   world
}

func (d *design) start() world {
	c := cache{exists: true, row: granted, end: 1, counted: true, stamp: 1}
	return world{log: 1, primary: c, other: c, shard: 1}
}

// next lists every step out of w.
func (d *design) next(w world) []step {
	var out []step
	try := func(name string, possible bool, do func(*world)) {
		if possible {
			n := w
			do(&n)
			out = append(out, step{name, n})
		}
	}
	d.logSteps(&w, try)
	d.cacheSteps(&w, try)
	d.writerSteps(&w, try)
	d.batchSteps(&w, try)
	return out
}

type tryFunc func(name string, possible bool, do func(*world))

func (d *design) logSteps(w *world, try tryFunc) {
	try([]string{"", "append W", "append other"}[min(w.log, 2)], w.log < 3, func(n *world) { n.log++ })
	try("acknowledge W", w.log >= 2 && !w.acked && d.mayAck(w), func(n *world) { n.acked = true })
}

func (d *design) mayAck(w *world) bool {
	switch d.ack {
	case ackDurable:
		return true
	case ackPrimary:
		return w.primary.row == withdrawn
	case ackReplica:
		return w.primary.row == withdrawn && w.other.row == withdrawn
	default: // idle, or its records are committed
		return w.batch == waiting || w.batch == fenced || w.batch == committed
	}
}

func (d *design) cacheSteps(w *world, try tryFunc) {
	try("replicate", w.other != w.primary, func(n *world) { n.other = n.primary })
	try("fail over", !w.failed, func(n *world) { n.primary, n.failed = n.other, true })
	try("evict row", d.evictRow && !w.lost, func(n *world) { n.primary.row, n.lost = absent, true })
	try("lose row", d.loseRow && !w.lost && w.primary.row != absent, func(n *world) { n.primary.row, n.lost = absent, true })
	try("evict bucket", d.evictBucket && !w.lost, func(n *world) { n.primary, n.lost = cache{}, true })
	try("flush both", d.flush && !w.lost, func(n *world) { n.primary, n.other, n.lost = cache{}, cache{}, true })
}

// fold is the row after the events [from, to): grant, W, other.
func fold(row, from, to uint8) uint8 {
	if from == 0 && to >= 1 {
		row = max(row, granted)
	}
	if from <= 1 && to >= 2 {
		row = withdrawn
	}
	return row
}

func (d *design) writerSteps(w *world, try tryFunc) {
	end := d.watermark(w)
	if d.writers == 0 {
		try("apply", !d.early && end < w.log, func(n *world) { d.applyOne(n, end) })
		try("apply watermark", d.early && !w.half && end < w.log, func(n *world) { n.primary.end, n.half = end+1, true })
		try("apply row", w.half, func(n *world) { n.primary.row, n.half = fold(n.primary.row, n.primary.end-1, n.primary.end), false })
		return
	}
	for i := range d.writers {
		p := w.writers[i]
		name := string(rune('A' + i))
		bad := d.count && w.primary.exists && (w.primary.row != absent) != w.primary.counted
		try(name+" resets the bucket", bad && !p.busy, func(n *world) { n.primary = cache{} })
		try(name+" loads", !p.busy && !bad && (!w.primary.exists || w.primary.end < w.log), func(n *world) {
			n.writers[i] = writer{busy: true, loaded: n.primary, target: n.log}
		})
		try(name+" applies", p.busy, func(n *world) { d.apply(n, i) })
	}
}

func (d *design) watermark(w *world) uint8 {
	if d.split {
		return w.shard
	}
	return w.primary.end
}

func (d *design) applyOne(n *world, end uint8) {
	n.primary.row = fold(n.primary.row, end, end+1)
	n.primary.end, n.shard = end+1, end+1
}

// apply is a writer's second step: it writes the row only if the batch has an
// event of the subject.
func (d *design) apply(n *world, i int) {
	p := n.writers[i]
	n.writers[i] = writer{}
	bad := d.count && n.primary.exists && (n.primary.row != absent) != n.primary.counted
	refuse := d.compare == compareMonotonic && p.target <= n.primary.end ||
		d.compare == compareWhole && (n.primary.exists != p.loaded.exists || n.primary.end != p.loaded.end || n.primary.counted != p.loaded.counted || bad)
	if refuse {
		return
	}
	folded := fold(p.loaded.row, p.loaded.end, p.target)
	if p.loaded.end < 2 && folded != p.loaded.row {
		n.primary.row = folded
	}
	if n.primary.stamp = p.loaded.stamp; folded != p.loaded.row {
		n.primary.stamp = d.stamp(p)
	}
	n.primary.exists, n.primary.end = true, p.target
	n.primary.counted = p.loaded.counted || folded != absent
	if d.compare != compareWhole {
		// Without a compare the count is no better than what the writer believes;
		// give the weaker design a right one, so that it is the compare that is seen.
		n.primary.counted = n.primary.row != absent
	}
}

// stamp is that of a bucket after a batch that came with rows.
func (d *design) stamp(p writer) uint8 {
	switch d.remember {
	case rememberStamp:
		return p.target
	case rememberCounter:
		return p.loaded.stamp + 1
	case rememberRows:
		return 1
	}
	return 0
}

// read gives the subject's row, from the reader's memory where that answers.
func (d *design) read(n *world) uint8 {
	if d.remember == rememberNothing {
		return n.primary.row
	}
	if !n.kept.set || n.kept.stamp != n.primary.stamp {
		n.kept = memory{true, n.primary.row, n.primary.stamp}
	}
	return n.kept.row
}

func (d *design) batchSteps(w *world, try tryFunc) {
	idle := w.batch == waiting || w.batch == aborted
	begin := func(n *world) { n.after, n.fence = n.log >= 2, n.log }
	try("begin", idle && !d.late, func(n *world) { begin(n); n.batch = begun })
	try("fence", idle && d.late, func(n *world) { begin(n); n.batch = fenced })
	try("poll", w.batch == fenced, func(n *world) { n.batch = begun })
	try("read", w.batch == begun && d.readable(w), func(n *world) {
		row := d.read(n)
		n.permit = row == granted || row == absent && d.absentAllow
		n.batch = decided
	})
	try("recheck", d.recheck && w.batch == decided, func(n *world) {
		n.batch = rechecked
		if n.log != n.fence {
			n.batch = aborted
		}
	})
	try("commit", w.batch == rechecked || !d.recheck && w.batch == decided, func(n *world) {
		n.batch = committed
		n.leak1, n.leak2 = n.permit && n.after, n.permit && n.acked
	})
	try("broker aborts", w.batch == begun || w.batch == decided || w.batch == rechecked, func(n *world) { n.batch = aborted })
}

func (d *design) readable(w *world) bool {
	if !d.fence {
		return true
	}
	bad := d.count && (w.primary.row != absent) != w.primary.counted
	return (w.primary.exists || d.split) && d.watermark(w) >= w.fence && !bad
}

type verdict struct {
	states         int
	leak1, leak2   []string // shortest traces; nil: the property holds
	acked, permits bool     // the model is not vacuous
}

// search is a breadth-first walk over all reachable states.
func (d *design) search() verdict {
	type origin struct {
		from world
		by   string
	}
	first := d.start()
	seen := map[world]origin{first: {}}
	trace := func(w world) (names []string) {
		for w != first {
			names = append(names, seen[w].by)
			w = seen[w].from
		}
		slices.Reverse(names)
		return names
	}
	var v verdict
	for queue := []world{first}; len(queue) > 0; queue = queue[1:] {
		w := queue[0]
		if w.leak1 && v.leak1 == nil {
			v.leak1 = trace(w)
		}
		if w.leak2 && v.leak2 == nil {
			v.leak2 = trace(w)
		}
		v.acked = v.acked || w.acked
		v.permits = v.permits || w.batch == committed && w.permit
		for _, s := range d.next(w) {
			if _, ok := seen[s.to]; !ok {
				seen[s.to] = origin{w, s.name}
				queue = append(queue, s.to)
			}
		}
	}
	v.states = len(seen)
	return v
}

func TestDesigns(t *testing.T) {
	var table strings.Builder
	word := func(leak []string) string {
		if leak == nil {
			return "holds"
		}
		return "BROKEN"
	}
	for _, d := range designs {
		v := d.search()
		shortest := v.leak1
		if shortest == nil || v.leak2 != nil && len(v.leak2) < len(shortest) {
			shortest = v.leak2
		}
		fmt.Fprintf(&table, "\n%-58s %6d  P1 %-6s  P2 %-6s  %s", d.name, v.states, word(v.leak1), word(v.leak2), strings.Join(shortest, "; "))
		if (v.leak1 == nil) != d.p1 || (v.leak2 == nil) != d.p2 {
			t.Errorf("%s: P1 %s by [%s], P2 %s by [%s]; want holds: %v, %v", d.name,
				word(v.leak1), strings.Join(v.leak1, "; "), word(v.leak2), strings.Join(v.leak2, "; "), d.p1, d.p2)
		}
		if !v.acked || !v.permits {
			t.Errorf("%s: the model never acknowledges or never permits; it proves nothing", d.name)
		}
	}
	t.Log(table.String())
}
