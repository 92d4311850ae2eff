package pipeline

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
)

const (
	auditTopic = "consent.audit"
	newInput   = "other"
	nobodys    = 4 // records in the audit of newScanRig
)

// newScanRig has a second stream, and no patience for a scan of the audit, which has two
// records in each partition that are nobody's, and that no fetch gives together.
func newScanRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, func(cfg *Config) {
		cfg.Engine.Streams = append(cfg.Engine.Streams, rigStream(newInput))
		cfg.Limits.Look = time.Millisecond
		// The in-process broker's faults see what a request names: without sessions, all.
		cfg.KafkaOpts = append(cfg.KafkaOpts, kgo.FetchMaxPartitionBytes(1), kgo.DisableFetchSessions())
	})
	for n := range int32(nobodys) {
		r.produce(&kgo.Record{Topic: auditTopic, Partition: n % 2, Value: []byte("x")})
	}
	return r
}

// before runs the enforcer without the second stream until its lanes have begun and n
// records are audited.
func (r *rig) before(n int) {
	r.t.Helper()
	run := r.start(func(cfg *Config) { cfg.Engine.Streams = cfg.Engine.Streams[:1] })
	r.eventually("genesis", func() bool { return len(r.heads(rigInput)) == 2 })
	r.audited(nobodys + n)
	run.stop()
}

// unreadable keeps everybody from reading partitions of the audit; nil: all.
func (r *rig) unreadable(partitions ...int32) *kfake.FaultHandle {
	return r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: auditTopic, Partitions: partitions, Count: -1})
}

// scanned gives the audit's records without those that are nobody's.
func (r *rig) scanned(n int) map[audit.Lane][]audit.Record {
	r.t.Helper()
	return r.chains(slices.DeleteFunc(r.audited(nobodys+n), func(r *kgo.Record) bool { return string(r.Value) == "x" }))
}

// scanning reports that so many lanes, and no others, wait for the scan of the audit.
func (run *running) scanning(lanes int) func() bool {
	return func() bool {
		holds := run.Status().Holds
		return len(holds) == lanes && !slices.ContainsFunc(holds, func(h *Held) bool { return h.Code != HoldAuditScan })
	}
}

// TestAuditScanGoesOn: a new stream beside an audit that takes long to read. Its lanes
// wait and begin by themselves, the others run meanwhile, and what was read once is not
// read again.
func TestAuditScanGoesOn(t *testing.T) {
	r := newScanRig(t)
	r.input(rigInput, 0, 1)
	r.before(1)
	slow := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: auditTopic, Partitions: []int32{0}, Count: -1, When: fetches(0, func(offset int64) bool { return offset > 0 })})
	r.input(rigInput, 0, 2)
	r.input(newInput, 0, 3, 4)
	run := r.start()
	r.eventually("the new lanes wait", run.scanning(2))
	r.eventually("progress", func() bool {
		holds := run.Status().Holds
		return len(holds) == 2 && holds[0].Done > 0 && holds[0].Detail != ""
	})
	again := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: auditTopic, Count: -1, Observe: true, When: fetches(0, func(offset int64) bool { return offset == 0 })})
	r.eventually("the others run", func() bool { return r.outputNumbers(rigInput + ".service")[2] == 1 })
	st := run.Status()
	if !st.Ready || st.Lanes != 2 || len(st.Parked) != 0 {
		t.Errorf("status %+v", st)
	}
	for i, h := range st.Holds {
		if want := []string{"other/0", "other/1"}[i]; h.Lane != want || h.Done >= h.Of || h.Detail != "UNKNOWN_SERVER_ERROR" {
			t.Errorf("hold %+v of %s", h, want)
		}
	}
	if n := len(r.heads(newInput)); n != 0 {
		t.Errorf("%d lanes have begun", n)
	}
	slow.Remove()
	r.eventually("the new lanes run", func() bool { return run.Status().Lanes == 4 && len(run.Status().Holds) == 0 })
	if again.Hits() != 0 {
		t.Error("what was read once was read again")
	}
	lanes := r.scanned(4)
	r.exactlyOnce(lanes, newInput, 0, 2)
	r.exactlyOnce(lanes, rigInput, 0, 2)
	run.stop()
}

// fetches matches those of a partition by their offset.
func fetches(partition int32, match func(offset int64) bool) func(kmsg.Request) bool {
	return func(req kmsg.Request) bool {
		for _, topic := range req.(*kmsg.FetchRequest).Topics {
			for _, p := range topic.Partitions {
				if p.Partition == partition && match(p.FetchOffset) {
					return true
				}
			}
		}
		return false
	}
}

// TestAuditScanMeanwhile: a lane of which the audit gets a record while its owner waits
// was begun by somebody else: it is parked, whatever became of the commit.
func TestAuditScanMeanwhile(t *testing.T) {
	r := newScanRig(t)
	r.input(rigInput, 0, 1)
	r.before(1)
	slow := r.unreadable()
	run := r.start()
	r.eventually("the new lanes wait", run.scanning(2))
	top, err := askTopology(t.Context(), r.client(), []string{newInput})
	if err != nil {
		t.Fatal(err)
	}
	lane := audit.Lane{Cluster: top.cluster, Group: rigGroup, TopicID: top.topics[newInput].id, Topic: newInput, Partition: 1}
	other := &leaves{t: t, ring: r.cfg.Keys, chain: audit.NewChain(lane, 0)}
	for _, rec := range other.transaction(1, 2) {
		rec.Topic, rec.Timestamp = auditTopic, time.Time{}
		r.produce(rec)
	}
	slow.Remove()
	r.eventually("one begins", func() bool { return run.Status().Lanes == 3 })
	r.eventually("one is parked", run.parked(ParkAuditHolds, "lane show --topic other --partition 1"))
	if h := r.heads(newInput); len(h) != 1 {
		t.Errorf("heads %+v", h)
	}
	run.stop()
}

// TestAuditScanShared: lanes that go to another process while they wait are held there,
// and no longer here; each begins once.
func TestAuditScanShared(t *testing.T) {
	r := newScanRig(t)
	r.input(rigInput, 0, 1)
	r.before(1)
	slow := r.unreadable()
	one := r.start(func(cfg *Config) { cfg.Instance = "a" })
	r.eventually("all wait in one", one.scanning(2))
	two := r.start(func(cfg *Config) { cfg.Instance = "b" })
	lanes := func(run *running) int { return run.Status().Lanes + len(run.Status().Holds) }
	r.eventually("shared", func() bool {
		return lanes(one) == 2 && lanes(two) == 2 && len(one.Status().Holds)+len(two.Status().Holds) == 2
	})
	for p := range int32(2) {
		r.input(newInput, p, 5, 6)
	}
	slow.Remove()
	r.eventually("all run", func() bool {
		return one.Status().Lanes+two.Status().Lanes == 4 && one.Status().Ready && two.Status().Ready
	})
	audited := r.scanned(5)
	r.exactlyOnce(audited, newInput, 0, 2)
	r.exactlyOnce(audited, newInput, 1, 2)
	one.stop()
	two.stop()
}

// TestAuditScanRecreated: the audit topic is deleted and created again while lanes wait.
func TestAuditScanRecreated(t *testing.T) {
	r := newScanRig(t)
	slow := r.unreadable()
	run := r.start()
	r.eventually("all wait", run.scanning(4))
	r.recreate(auditTopic, 1)
	slow.Remove()
	r.eventually("all run", func() bool { return run.Status().Lanes == 4 && len(run.Status().Holds) == 0 })
	top, err := askTopology(t.Context(), r.client(), []string{auditTopic})
	if err != nil {
		t.Fatal(err)
	}
	for p, h := range r.heads(newInput) {
		if h.AuditTopicID != top.topics[auditTopic].id {
			t.Errorf("partition %d begins in the deleted audit", p)
		}
	}
	run.stop()
}

// TestAuditScanTrimmed: what the scan has not come to is deleted meanwhile.
func TestAuditScanTrimmed(t *testing.T) {
	r := newScanRig(t)
	slow := r.unreadable(0)
	run := r.start()
	r.eventually("all wait", run.scanning(4))
	if err := r.stack.Kafka.DeleteRecords(auditTopic, 0, 1); err != nil {
		t.Fatal(err)
	}
	slow.Remove()
	r.eventually("parked", func() bool { return len(run.Status().Parked) == 4 && len(run.Status().Holds) == 0 })
	for _, p := range run.Status().Parked {
		if p.Code != ParkAuditTrimmed {
			t.Errorf("parked %+v", p)
		}
	}
	run.stop()
}

// TestAuditScanStops: the process ends whatever the scan waits for.
func TestAuditScanStops(t *testing.T) {
	r := newScanRig(t)
	r.unreadable()
	run := r.start()
	r.eventually("all wait", run.scanning(4))
	run.stop()
}

// TestLaneShowUnread: a command reads the audit for as long as records come, and no
// longer.
func TestLaneShowUnread(t *testing.T) {
	for name, err := range map[string]*kerr.Error{errAuditSilent.Error(): kerr.NotLeaderForPartition, "UNKNOWN_SERVER_ERROR": kerr.UnknownServerError} {
		t.Run(err.Message, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) { cfg.Limits.Scan = 300 * time.Millisecond })
			r.produce(&kgo.Record{Topic: auditTopic, Value: []byte("x")})
			r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: auditTopic, Err: err, Count: -1})
			if st, err := r.tool().LaneShow(t.Context(), rigInput, 0); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
}

// TestAuditScanRecreatedEmpty: the same where nothing tells the reader, since nobody
// writes into the new topic before the lanes begin.
func TestAuditScanRecreatedEmpty(t *testing.T) {
	r := newScanRig(t)
	slow := r.unreadable()
	run := r.start()
	r.eventually("all wait", run.scanning(4))
	r.recreate(auditTopic, 0)
	slow.Remove()
	r.eventually("all run", func() bool { return run.Status().Lanes == 4 && len(run.Status().Holds) == 0 })
	run.stop()
}
