package pipeline

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestStartLatest: with `start: latest` what was there before the group's first
// start is not processed, and what came while it was down is.
func TestStartLatest(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Start = map[string]StartAt{rigInput: Latest} })
	r.input(rigInput, 0, 1, 2, 3)
	run := r.start()
	r.eventually("genesis", func() bool { return len(r.heads(rigInput)) == 2 })
	r.input(rigInput, 0, 4)
	r.input(rigInput, 1, 5)
	r.audited(2)
	run.stop()
	r.input(rigInput, 1, 6)
	r.start()
	r.chains(r.audited(3))
	if got := r.outputNumbers(rigInput + ".service"); len(got) != 3 || got[4] != 1 || got[5] != 1 || got[6] != 1 {
		t.Errorf("service got %v", got)
	}
	if h := r.heads(rigInput); h[0].NextSource != 4 || h[1].NextSource != 2 {
		t.Errorf("heads %+v", h)
	}
}

// TestStartLatestOnce: "latest" counts once in a group's life, also for a lane
// that had nothing to audit since: what came while it was down is processed.
func TestStartLatestOnce(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Start = map[string]StartAt{rigInput: Latest} })
	run := r.start()
	r.eventually("genesis", func() bool { return len(r.heads(rigInput)) == 2 })
	run.stop()
	r.input(rigInput, 1, 7)
	r.start()
	r.exactlyOnce(r.chains(r.audited(1)), rigInput, 1, 1)
}

// TestStartLatestRecreated: "latest" is for a topic that the group has never seen.
// Kafka deletes the group's offsets with a topic, so one that is created again while
// everything is down looks new; the audit knows better, and what its producers have
// written since is processed, not skipped without a leaf.
func TestStartLatestRecreated(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Start = map[string]StartAt{rigInput: Latest} })
	run := r.start()
	r.eventually("genesis", func() bool { return len(r.heads(rigInput)) == 2 })
	r.input(rigInput, 0, 1)
	r.audited(1)
	run.stop()
	r.recreate(rigInput, 5)
	run = r.start()
	r.eventually("all five", func() bool { return r.outputNumbers(rigInput + ".service")[9] == 5 })
	r.chains(r.audited(6))
	if len(run.Status().Parked) != 0 {
		t.Errorf("parked: %+v", run.Status().Parked[0])
	}
}

// TestStartLatestExpired: the same where the group was down for so long that Kafka
// has forgotten its offsets: what came to a lane that had nothing to audit until
// then is processed, and the lane that the audit knows is parked.
func TestStartLatestExpired(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Start = map[string]StartAt{rigInput: Latest} })
	run := r.start()
	r.eventually("genesis", func() bool { return len(r.heads(rigInput)) == 2 })
	r.input(rigInput, 0, 1)
	r.audited(1)
	run.stop()
	r.forget(rigInput, 0, 1)
	r.input(rigInput, 1, 2, 3)
	run = r.start()
	r.exactlyOnce(r.chains(r.audited(3)), rigInput, 1, 2)
	r.eventually("parked", run.parked(ParkAuditHolds, ""))
}

// TestStartLatestUnread: the same where nobody can tell whether the audit knows the
// topic, since its beginning is gone or it cannot be read: nothing is skipped.
func TestStartLatestUnread(t *testing.T) {
	r := newRig(t, func(cfg *Config) {
		cfg.Start = map[string]StartAt{rigInput: Latest}
		cfg.Limits.Scan, cfg.Limits.Look = 300*time.Millisecond, 300*time.Millisecond
	})
	r.produce(&kgo.Record{Topic: "consent.audit", Value: []byte("x")}, &kgo.Record{Topic: "consent.audit", Partition: 1, Value: []byte("x")})
	r.input(rigInput, 0, 1)
	unread := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "consent.audit", Err: kerr.NotLeaderForPartition, Count: -1})
	run := r.start()
	r.eventually("the lanes wait", run.scanning(2))
	run.stop()
	unread.Remove()
	if err := r.stack.Kafka.DeleteRecords("consent.audit", 1, 1); err != nil {
		t.Fatal(err)
	}
	if h := r.heads(rigInput); len(h) != 0 {
		t.Fatalf("started: %+v", h)
	}
	run = r.start()
	r.eventually("decided on", func() bool { return len(run.Status().Parked)+len(r.heads(rigInput)) == 2 })
	for p, h := range r.heads(rigInput) {
		if h.NextSource != h.NextIndex {
			t.Errorf("partition %d skips: %+v", p, h)
		}
	}
	run.stop()
}
