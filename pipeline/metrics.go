package pipeline

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/consentstream/consentstream/engine"
)

// metrics are the enforcer's collectors. Labels are topics, purposes and codes
// of closed sets; nothing of a record becomes one (promise P8). They are added
// to per transaction, not per record.
type metrics struct {
	records     *prometheus.CounterVec // topic
	outputs     *prometheus.CounterVec // topic (of the purpose)
	quarantined *prometheus.CounterVec // topic, detail
	denied      *prometheus.CounterVec // purpose, reason
	withheld    *prometheus.CounterVec // topic: fields, when a schema becomes known
	commits     prometheus.Counter
	aborted     prometheus.Counter
	rebuilds    prometheus.Counter
	batch       prometheus.Histogram
	stages      *prometheus.HistogramVec // stage: how long each step of a transaction took
	holding     *prometheus.GaugeVec     // code: workers that hold now
	held        *prometheus.CounterVec   // code: seconds
	parked      *prometheus.GaugeVec     // topic, code
	lanes       prometheus.Gauge
	outdated    prometheus.Gauge
	lastCommit  prometheus.Gauge // unix seconds
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "consentstream", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "consentstream", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "consentstream", Name: name, Help: help, Buckets: buckets})
	}
	return &metrics{
		records:     counter("records_total", "Input records in committed transactions.", "topic"),
		outputs:     counter("outputs_total", "Compliant records in committed transactions.", "topic"),
		quarantined: counter("quarantined_total", "Quarantined records in committed transactions.", "topic", "detail"),
		denied:      counter("denied_total", "Decisions that denied, in committed transactions.", "purpose", "reason"),
		withheld:    counter("withheld_fields_total", "Fields that a worker found without a category, or without a treatment for their type, when it first read a writer schema.", "topic"),
		commits:     counter("commits_total", "Committed transactions.").WithLabelValues(),
		aborted:     counter("aborts_total", "Transactions that were aborted, empty ones too.").WithLabelValues(),
		rebuilds:    counter("session_rebuilds_total", "Kafka sessions that were discarded and built anew.").WithLabelValues(),
		batch:       histogram("batch_records", "Input records of a committed transaction.", prometheus.ExponentialBuckets(1, 4, 8)),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "consentstream", Name: "stage_seconds",
			Help: "Duration of each step of a transaction.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, []string{"stage"}),
		holding:    gauge("holding", "Workers that hold their batch now.", "reason"),
		held:       counter("held_seconds_total", "Time that workers held their batch.", "reason"),
		parked:     gauge("parked_lanes", "Lanes that are set aside until somebody decides.", "topic", "reason"),
		lanes:      gauge("lanes", "Lanes that this process owns.").WithLabelValues(),
		outdated:   gauge("outdated", "1 where a newer policy revision or key epoch was met.").WithLabelValues(),
		lastCommit: gauge("last_commit_timestamp_seconds", "When a transaction was last committed.").WithLabelValues(),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.records, m.outputs, m.quarantined, m.denied, m.withheld, m.commits, m.aborted, m.rebuilds,
		m.batch, m.stages, m.holding, m.held, m.parked, m.lanes, m.outdated, m.lastCommit} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// committed counts what a committed transaction held.
func (m *metrics) committed(s *session) {
	m.commits.Inc()
	m.lastCommit.Set(float64(s.w.cfg.Now().Unix()))
	if n := len(s.batch.Items()); n > 0 {
		m.batch.Observe(float64(n))
		s.tally.flush(m)
	}
}

// The steps of a transaction, as the label of stage_seconds.
const (
	stageGather  = "gather"
	stageSchemas = "schemas"
	stageFence   = "fence"
	stageStates  = "states"
	stageDecide  = "decide" // and stage
	stageProduce = "produce"
	stageEnd     = "end"
)

// lap is a stopwatch over the steps of one transaction.
type lap struct{ at time.Time }

func (l *lap) start() { l.at = time.Now() }

// done ends a step and begins the next one.
func (l *lap) done(m *metrics, stage string) {
	now := time.Now()
	m.stages.WithLabelValues(stage).Observe(now.Sub(l.at).Seconds())
	l.at = now
}

// tally gathers what a transaction held before it is added to the collectors:
// per record it compares strings that are mostly the same memory, instead of
// hashing labels.
type tally struct {
	records, outputs    counts
	quarantined, denied pairs
}

// counts are numbers by name, for the few names that there are.
type counts []struct {
	name string
	n    int
}

func (c *counts) add(name string, n int) {
	for i := range *c {
		if (*c)[i].name == name {
			(*c)[i].n += n
			return
		}
	}
	*c = append(*c, struct {
		name string
		n    int
	}{name, n})
}

func (c counts) reset() {
	for i := range c {
		c[i].n = 0
	}
}

func (c counts) flush(to *prometheus.CounterVec) {
	for i := range c {
		to.WithLabelValues(c[i].name).Add(float64(c[i].n))
		c[i].n = 0
	}
}

// reset forgets what was counted for a transaction that was not committed.
func (t *tally) reset() {
	t.records.reset()
	t.outputs.reset()
	t.quarantined, t.denied = t.quarantined[:0], t.denied[:0]
}

// count takes in what is staged of an item.
func (t *tally) count(it *engine.Item) {
	t.records.add(it.Lane.Topic, 1)
	for i := range it.Outputs {
		t.outputs.add(it.Outputs[i].Topic, 1)
	}
	if it.State == engine.StateFaulted {
		t.quarantined.add(it.Lane.Topic, it.Audit.Detail)
	}
	for i := range it.Audit.Decisions {
		if d := &it.Audit.Decisions[i]; !d.Permit {
			t.denied.add(d.Purpose, d.Reason)
		}
	}
}

func (t *tally) flush(m *metrics) {
	t.records.flush(m.records)
	t.outputs.flush(m.outputs)
	t.quarantined.flush(m.quarantined)
	t.denied.flush(m.denied)
}

// pairs counts by two labels. There are few pairs, mostly one after the other
// again, so a list is faster than a map: this is counted for every decision.
type pairs []pair

type pair struct {
	a, b string
	n    int
}

func (c *pairs) add(a, b string) {
	for i := range *c {
		if p := &(*c)[i]; p.a == a && p.b == b {
			p.n++
			return
		}
	}
	*c = append(*c, pair{a, b, 1})
}

func (c *pairs) flush(to *prometheus.CounterVec) {
	for _, p := range *c {
		to.WithLabelValues(p.a, p.b).Add(float64(p.n))
	}
	*c = (*c)[:0]
}
