package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// board is what the health page shows and what the workers of one process share:
// parked lanes, holds, and whether the instance is outdated. It is only written when
// something changes, never per record.
type board struct {
	log     zerolog.Logger
	bad     zerolog.Logger // of records in quarantine: a few lines a minute
	metrics *metrics
	now     func() time.Time
	access  access // for what to do about a missing right

	mu       sync.Mutex
	parks    map[laneKey]*Parked
	holds    map[holder]*Held
	lanes    map[int]int // by worker; absent: not in the group
	outdated string
}

type laneKey struct {
	topic     string
	partition int32
}

// holder is who holds: a worker with all its lanes, or, with a lane, that alone.
type holder struct {
	worker int
	lane   laneKey
}

// setup stands for the worker where it is the start that waits.
const setup = -1

// in names who in a line of the log.
func (who holder) in(line *zerolog.Event) *zerolog.Event {
	if who.worker != setup {
		line = line.Int("worker", who.worker)
	}
	if who.lane != (laneKey{}) {
		line = line.Str("topic", who.lane.topic).Int32("partition", who.lane.partition)
	}
	return line
}

// waits says in a line of the log what is waited for, and what would help.
func (h *Hold) waits(line *zerolog.Event) *zerolog.Event {
	line = line.Str("reason", string(h.Code))
	if h.Detail != "" {
		line = line.Str("detail", h.Detail)
	}
	if h.Mend != "" {
		line = line.Str("command", h.Mend)
	}
	return line
}

// Held is a worker that holds, or one lane that its worker has set aside.
type Held struct {
	Worker int       `json:"worker"`
	Lane   string    `json:"lane,omitempty"` // topic/partition; "": all of the worker's
	Code   HoldCode  `json:"reason"`
	Detail string    `json:"detail,omitempty"`
	Mend   string    `json:"command,omitempty"`
	Since  time.Time `json:"since"`
	// Done of Of records of the audit were looked at (HoldAuditScan); 0: it is not about that.
	Done int64 `json:"done,omitempty"`
	Of   int64 `json:"of,omitempty"`

	untilCommit bool
	batch       []laneKey
	progress    func() (done, of int64, detail string)
}

// quarantineLines is how many lines a minute the log has about records in quarantine,
// of which whoever may write an input can make any number.
const quarantineLines = 10

func newBoard(to zerolog.Logger, m *metrics, now func() time.Time) *board {
	return &board{log: to, bad: to.Sample(&zerolog.BurstSampler{Burst: quarantineLines, Period: time.Minute}), metrics: m, now: now, parks: map[laneKey]*Parked{}, holds: map[holder]*Held{}, lanes: map[int]int{}}
}

// park shows a parked lane until it is revoked or the process ends.
func (b *board) park(p *Parked) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := laneKey{p.Topic, p.Partition}
	if old := b.parks[key]; old != nil && *old == *p {
		return
	}
	b.drop(key)
	b.parks[key] = p
	b.metrics.parked.WithLabelValues(p.Topic, string(p.Code)).Inc()
	b.log.Error().Str("topic", p.Topic).Int32("partition", p.Partition).Str("reason", string(p.Code)).Int64("offset", p.Offset).Str("command", p.Mend).Msg("lane parked")
}

// quarantined says how many records of a transaction were bad, by topic and detail.
// The metric and the quarantine itself have them all.
func (b *board) quarantined(bad pairs) {
	for _, p := range bad {
		b.bad.Warn().Str("topic", p.a).Str("detail", p.b).Int("records", p.n).Msg("records are in quarantine; the others go on")
	}
}

// runtime reports whether c is the code of a fault that is seen while the lane runs:
// the offset metadata does not show it, so the process has to remember it.
func (c ParkCode) runtime() bool {
	switch c {
	case ParkDataLoss, ParkOutOfRange, ParkRewound, ParkBatchTooLarge, ParkCorrupt:
		return true
	}
	return false
}

// parked gives why a lane was parked while it ran, nil where it was not.
func (b *board) parked(topic string, partition int32, id [16]byte) *Parked {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.parks[laneKey{topic, partition}]; p != nil && p.Code.runtime() && p.TopicID == id {
		return p
	}
	return nil
}

// unassign forgets lanes that the group took from a worker; their next owner finds
// out for itself.
func (b *board) unassign(worker int, gone map[string][]int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for topic, partitions := range gone {
		for _, p := range partitions {
			b.drop(laneKey{topic, p})
			b.unhold(holder{worker, laneKey{topic, p}})
		}
	}
}

// unpark forgets what a restored lane was parked for.
func (b *board) unpark(topic string, partition int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(laneKey{topic, partition})
}

func (b *board) drop(key laneKey) {
	if p := b.parks[key]; p != nil {
		b.metrics.parked.WithLabelValues(p.Topic, string(p.Code)).Dec()
		delete(b.parks, key)
	}
}

// hold shows that a worker holds; the log has a line when it begins or changes.
func (b *board) hold(worker int, h *Hold) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begin(holder{worker: worker}, "", h)
}

// holdLane shows that one lane is set aside while its worker goes on.
func (b *board) holdLane(worker int, lane laneKey, h *Hold) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begin(holder{worker, lane}, fmt.Sprintf("%s/%d", lane.topic, lane.partition), h)
}

func (b *board) begin(who holder, lane string, h *Hold) {
	old := b.holds[who]
	if old != nil && old.Code == h.Code && old.Detail == h.Detail {
		return
	}
	b.unhold(who)
	mend := b.access.mend(h)
	b.holds[who] = &Held{Worker: who.worker, Lane: lane, Code: h.Code, Detail: h.Detail, Mend: mend, Since: b.now(), untilCommit: h.untilCommit, batch: h.batch, progress: h.progress}
	b.metrics.holding.WithLabelValues(string(h.Code)).Inc()
	what := "holding: nothing is emitted, nothing is lost"
	if lane != "" {
		what = "lane set aside, the others go on: nothing of it is emitted, nothing is lost"
	}
	(&Hold{Code: h.Code, Detail: h.Detail, Mend: mend}).waits(who.in(b.log.Warn())).Msg(what)
}

// release ends a worker's hold, except one that only a commit ends: such a batch
// is decided again and again, and health must not flicker meanwhile.
func (b *board) release(worker int) { b.end(holder{worker: worker}, false) }

// committed ends a worker's hold, of whatever kind.
func (b *board) committed(worker int) { b.end(holder{worker: worker}, true) }

// committedIdle ends a hold that any commit ends, though no record is decided yet.
func (b *board) committedIdle(worker int) {
	b.mu.Lock()
	old := b.holds[holder{worker: worker}]
	b.mu.Unlock()
	if old != nil && old.Code == HoldMetadataTooLarge {
		b.committed(worker)
	}
}

// releaseLane ends the hold of a lane that its worker had set aside.
func (b *board) releaseLane(worker int, lane laneKey) { b.end(holder{worker, lane}, true) }

func (b *board) end(who holder, committed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.holds[who]
	if old == nil || old.untilCommit && !committed {
		return
	}
	who.in(b.log.Info()).Str("reason", string(old.Code)).Int64("held_ms", b.now().Sub(old.Since).Milliseconds()).Msg("hold ended")
	b.unhold(who)
}

func (b *board) unhold(who holder) {
	if old := b.holds[who]; old != nil {
		b.metrics.holding.WithLabelValues(string(old.Code)).Dec()
		b.metrics.held.WithLabelValues(string(old.Code)).Add(b.now().Sub(old.Since).Seconds())
		delete(b.holds, who)
	}
}

func (b *board) assigned(worker int, lanes []*lane) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lanes[worker] = len(lanes)
	who := holder{worker: worker}
	if old := b.holds[who]; old != nil && old.batch != nil && !slices.ContainsFunc(lanes, func(l *lane) bool { return slices.Contains(old.batch, l.key()) }) {
		b.unhold(who) // others have what it was about
	}
	total := 0
	for _, n := range b.lanes {
		total += n
	}
	b.metrics.lanes.Set(float64(total))
}

// forget is for a worker whose session ended: the next owner of its batch, and of
// the lanes that it had set aside, finds out for itself.
func (b *board) forget(worker int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.lanes, worker)
	for who, old := range b.holds {
		if who.worker == worker && (old.untilCommit && old.batch == nil || old.Lane != "") {
			b.unhold(who)
		}
	}
}

func (b *board) outdate(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outdated == "" {
		b.outdated = why
		b.metrics.outdated.Set(1)
		b.log.Error().Str("reason", why).Msg("outdated: a lane was committed under a newer policy or key epoch; leaving the group until this instance is replaced")
	}
}

// Status is what the enforcing role shows of itself.
type Status struct {
	Ready    bool      `json:"ready"`
	Outdated string    `json:"outdated,omitempty"` // policy_revision or key_epoch
	Lanes    int       `json:"lanes"`
	Holds    []*Held   `json:"holds"`
	Parked   []*Parked `json:"parked"`
}

// status is ready where all workers are in the group, neither they nor any lane hold,
// and the instance is not outdated. Parked lanes do not make it unready, nor do new ones
// while the audit is looked through: the others run, and taking the instance away would
// stop those too.
func (b *board) status(workers int) Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := Status{Outdated: b.outdated, Holds: []*Held{}, Parked: []*Parked{}}
	for _, n := range b.lanes {
		st.Lanes += n
	}
	for _, h := range b.holds {
		held := *h
		if h.progress != nil {
			held.Done, held.Of, held.Detail = h.progress()
		}
		st.Holds = append(st.Holds, &held)
	}
	slices.SortFunc(st.Holds, func(x, y *Held) int {
		return cmp.Or(cmp.Compare(x.Worker, y.Worker), cmp.Compare(x.Lane, y.Lane))
	})
	for _, p := range b.parks {
		parked := *p
		st.Parked = append(st.Parked, &parked)
	}
	slices.SortFunc(st.Parked, func(x, y *Parked) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	holds := slices.ContainsFunc(st.Holds, func(h *Held) bool { return h.Code != HoldAuditScan })
	st.Ready = len(b.lanes) == workers && !holds && b.outdated == ""
	return st
}
