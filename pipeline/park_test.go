package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
)

// heads reads the committed offsets and heads of an input topic.
func (r *rig) heads(topic string) map[int32]audit.Head {
	r.t.Helper()
	os, err := r.adm.FetchOffsetsForTopics(r.t.Context(), r.cfg.Group, topic)
	heads := map[int32]audit.Head{}
	if err != nil {
		return heads // the group does not exist yet
	}
	os.Each(func(o kadm.OffsetResponse) {
		w := &worker{cfg: &r.cfg}
		h, err := audit.DecodeHead(o.Metadata, r.cfg.Group, o.Partition, o.At, w.offsetKey)
		if err == nil {
			heads[o.Partition] = h
		}
	})
	return heads
}

// TestIdleFence: lanes without records commit a fence that moved, so that
// `consent wait` ends; a fence that did not move commits nothing.
func TestIdleFence(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.eventually("genesis", func() bool { return len(r.heads(rigInput)) == 2 })
	r.consent(1, "withdraw")
	r.eventually("the fence covers the withdrawal", func() bool {
		h := r.heads(rigInput)
		return h[0].Fence[1] >= 1 && h[1].Fence[1] >= 1
	})
	if h := r.heads(rigInput); h[0].NextIndex != 0 || h[0].DecidedAt != 0 {
		t.Errorf("an idle lane claims decisions: %+v", h[0])
	}
	before := r.stack.Kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, TopLevel: true, Count: -1, Observe: true})
	time.Sleep(300 * time.Millisecond)
	if n := before.Hits(); n > 1 {
		t.Errorf("%d idle transactions although nothing moved", n)
	}
	run.stop()
}

// TestOutdated: a lane that was committed under a higher revision makes the
// instance leave the group and stay alive; the newer one goes on.
func TestOutdated(t *testing.T) {
	r := newRig(t)
	newer := rigPolicy()
	newer.Revision = 2
	now := r.start(func(cfg *Config) { cfg.Engine.Policy = newer })
	r.input(rigInput, 0, 1)
	r.audited(1)
	r.eventually("committed", func() bool { return r.heads(rigInput)[0].Revision == 2 && r.heads(rigInput)[1].Revision == 2 })
	old := r.start(func(cfg *Config) { cfg.Instance = "1" })
	r.eventually("outdated", func() bool { return old.Status().Outdated == "policy_revision" })
	r.eventually("left the group", func() bool { return now.Status().Lanes == 2 && now.Status().Ready })
	select {
	case <-old.done:
		t.Fatal("the outdated instance ended")
	case <-time.After(300 * time.Millisecond):
	}
	r.input(rigInput, 0, 2, 3)
	r.input(rigInput, 1, 4)
	r.chains(r.audited(4))
	old.stop()
}

// TestParked: lanes whose metadata does not fit are set aside while the others
// run on.
func TestParked(t *testing.T) {
	commit := func(r *rig, metadata func(string) string) {
		os, err := r.adm.FetchOffsetsForTopics(r.t.Context(), rigGroup, rigInput)
		if err != nil {
			r.t.Fatal(err)
		}
		o := os[rigInput][0]
		var set kadm.Offsets
		set.Add(kadm.Offset{Topic: rigInput, Partition: 0, At: o.At, LeaderEpoch: -1, Metadata: metadata(o.Metadata)})
		if err := r.adm.CommitAllOffsets(r.t.Context(), rigGroup, set); err != nil {
			r.t.Fatal(err)
		}
	}
	cases := []struct {
		code ParkCode
		harm func(*rig)
		cfg  func(*Config)
	}{
		{code: ParkNoMetadata, harm: func(r *rig) { commit(r, func(string) string { return "" }) }},
		{code: ParkBadMetadata, harm: func(r *rig) { commit(r, func(m string) string { return m[:len(m)-4] + "AAAA" }) }},
		{code: ParkBadMetadata, harm: func(r *rig) { // a genuine head, moved to a later offset: a silent skip (AUDIT A4)
			os, _ := r.adm.FetchOffsetsForTopics(r.t.Context(), rigGroup, rigInput)
			var set kadm.Offsets
			set.Add(kadm.Offset{Topic: rigInput, Partition: 0, At: os[rigInput][0].At + 1, LeaderEpoch: -1, Metadata: os[rigInput][0].Metadata})
			if err := r.adm.CommitAllOffsets(r.t.Context(), rigGroup, set); err != nil {
				r.t.Fatal(err)
			}
		}},
		{code: ParkAuditHolds, harm: func(r *rig) {
			r.forget(rigInput, 0)
		}},
		{code: ParkTopicRecreated, harm: rehead(func(h *audit.Head) { h.TopicID[0] ^= 1 })},
		{code: ParkAuditTopic, harm: rehead(func(h *audit.Head) { h.AuditTopicID[0] ^= 1 })},
		{code: ParkAuditTopic, harm: rehead(func(h *audit.Head) { h.AuditPartition = 2 })},
		{code: ParkConsentTopic, harm: rehead(func(h *audit.Head) { h.ConsentTopicID[0] ^= 1 })},
		{code: ParkBehindAudit, harm: rehead(func(h *audit.Head) { h.NextSource++ })},
		{code: ParkClosed, harm: rehead(func(h *audit.Head) { h.Closed = true })},
		{code: ParkPolicyText, harm: func(*rig) {}, cfg: func(cfg *Config) {
			p := rigPolicy()
			p.Purposes[0].ProcessingOnly = false
			cfg.Engine.Policy = p
		}},
	}
	for _, c := range cases {
		t.Run(string(c.code), func(t *testing.T) {
			r := newRig(t)
			r.began()
			r.eventually("the group is empty", func() bool {
				g, err := r.adm.DescribeGroups(t.Context(), rigGroup)
				return err == nil && g[rigGroup].State == "Empty"
			})
			c.harm(r)
			r.input(rigInput, 0, 2)
			change := func(*Config) {}
			if c.cfg != nil {
				change = c.cfg
			}
			run := r.start(change)
			if c.cfg == nil {
				r.input(rigInput, 1, 3)
				r.audited(2)
			}
			r.eventually("parked", func() bool { return len(run.Status().Parked) > 0 })
			if p := run.Status().Parked[0]; p.Code != c.code || p.Partition != 0 || p.Mend == "" {
				t.Errorf("parked %+v", p)
			}
			lanes := r.chains(r.read("consent.audit"))
			r.exactlyOnce(lanes, rigInput, 0, 1)
			for lane, records := range lanes {
				if lane.Partition == 0 && len(records) != 1 {
					t.Errorf("the parked lane went on: %d records", len(records))
				}
			}
		})
	}
}

// rehead commits another head for partition 0, genuine as far as its MAC tells.
func rehead(change func(*audit.Head)) func(*rig) {
	return func(r *rig) {
		r.t.Helper()
		h := r.heads(rigInput)[0]
		key, _, err := (&worker{cfg: &r.cfg}).offsetKey(h.KeyEpoch)
		if err != nil {
			r.t.Fatal(err)
		}
		change(&h)
		metadata, err := h.Encode(key, 0, 1)
		if err != nil {
			r.t.Fatal(err)
		}
		var set kadm.Offsets
		set.Add(kadm.Offset{Topic: rigInput, Partition: 0, At: 1, LeaderEpoch: -1, Metadata: metadata})
		if err := r.adm.CommitAllOffsets(r.t.Context(), rigGroup, set); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestNewerKeys: a lane that was committed under a key epoch which this process
// does not have yet makes it outdated: the others have the newer key file.
func TestNewerKeys(t *testing.T) {
	r := newRig(t)
	r.began()
	rehead(func(h *audit.Head) { h.KeyEpoch = 2 })(r)
	run := r.start()
	r.eventually("outdated", func() bool { return run.Status().Outdated == "key_epoch" })
	r.input(rigInput, 0, 2)
	r.eventually("left the group", func() bool {
		g, err := r.adm.DescribeGroups(t.Context(), rigGroup)
		return err == nil && g[rigGroup].State == "Empty"
	})
	r.exactlyOnce(r.chains(r.read("consent.audit")), rigInput, 0, 1)
	if len(r.read("consent.audit")) != 1 {
		t.Error("the outdated instance went on")
	}
	run.stop()
}

// TestRecreatedBehind: an input topic was recreated while the group's offsets
// stayed, which Kafka allows (KAFKA.md 1): the lane is parked, since going on
// would skip the new topic's first records in silence. Other topics run on.
func TestRecreatedBehind(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Engine.Streams = append(cfg.Engine.Streams, rigStream("other")) })
	run := r.start()
	r.input(rigInput, 0, 1, 2, 3)
	r.audited(3)
	run.stop()
	old, err := r.adm.FetchOffsetsForTopics(t.Context(), rigGroup, rigInput)
	if err != nil {
		t.Fatal(err)
	}
	r.recreate(rigInput, 5)
	adm := kadm.NewClient(r.client()) // r.adm still knows the old topic id
	r.eventually("old offsets are back", func() bool { return adm.CommitAllOffsets(t.Context(), rigGroup, old.Offsets()) == nil })
	r.input("other", 0, 5, 6)
	run = r.start()
	r.audited(5)
	r.eventually("parked", func() bool { return len(run.Status().Parked) == 2 })
	for _, p := range run.Status().Parked {
		if p.Topic != rigInput || p.Code != ParkTopicRecreated {
			t.Errorf("parked %+v", p)
		}
	}
	if got := r.outputNumbers(rigInput + ".service"); got[9] != 0 {
		t.Error("records of the recreated topic were emitted")
	}
}

// recreate deletes and creates a topic and produces n records numbered 9.
func (r *rig) recreate(topic string, n int) {
	r.t.Helper()
	if err := r.stack.Kafka.DeleteTopic(topic); err != nil {
		r.t.Fatal(err)
	}
	if err := r.stack.Kafka.CreateTopic(topic, 2, nil); err != nil {
		r.t.Fatal(err)
	}
	fresh := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	var rs []*kgo.Record
	for range n {
		rs = append(rs, &kgo.Record{Topic: topic, Value: []byte(`{"id":"9","n":9}`)})
	}
	if err := fresh.ProduceSync(r.t.Context(), rs...).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

// TestRecreated: an input topic is deleted and recreated under the running
// enforcer. The group's offsets go with the topic, so its lanes start afresh
// under the new topic id, from the first record; no other topic notices.
func TestRecreated(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Engine.Streams = append(cfg.Engine.Streams, rigStream("other")) })
	run := r.start()
	r.input(rigInput, 0, 1, 2, 3)
	r.input("other", 0, 4)
	r.audited(4)
	r.recreate(rigInput, 5)
	r.input("other", 0, 5, 6)
	lanes := r.chains(r.audited(11))
	r.exactlyOnce(lanes, "other", 0, 3)
	sizes := map[int]int{}
	for lane, records := range lanes {
		if lane.Topic == rigInput {
			sizes[len(records)]++
		}
	}
	if len(lanes) != 3 || sizes[3] != 1 || sizes[5] != 1 {
		t.Errorf("lanes of the old and the new topic have sizes %v", sizes)
	}
	if got := r.outputNumbers(rigInput + ".service"); got[9] != 5 {
		t.Errorf("%d records of the recreated topic, want all 5", got[9])
	}
	if len(run.Status().Parked) != 0 {
		t.Errorf("parked: %+v", run.Status().Parked[0])
	}
}

// TestCheckLanes: a broker that names another topic id than a lane's parks that
// lane before anything is committed, whatever the client's cache says.
func TestCheckLanes(t *testing.T) {
	r := newRig(t)
	e := r.tool()
	w, cl, err := e.laneTool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	top, err := askTopology(t.Context(), cl, w.allTopics)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{w: w}
	info, _ := top.topic(rigInput)
	s.lanes.add(s.newLane(top, rigInput, info, 0))
	if err := s.checkLanes(&fence{top: top}); err != nil {
		t.Fatalf("the same topic: %v", err)
	}
	info.id[0]++
	s.lanes.add(s.newLane(top, rigInput, info, 1))
	if err := s.checkLanes(&fence{top: top}); !errors.Is(err, errRebuild) {
		t.Errorf("another topic: %v", err)
	}
	if p := e.Status().Parked; len(p) != 1 || p[0].Code != ParkTopicRecreated || p[0].Partition != 1 {
		t.Errorf("parked %+v", p)
	}
}

// TestOutOfRange: records were deleted ahead of the consumer: the lane is
// parked with the command, nobody skips in silence, the others run on.
func TestOutOfRange(t *testing.T) {
	r := newRig(t)
	r.began()
	r.input(rigInput, 0, 2, 3, 4)
	if err := r.stack.Kafka.DeleteRecords(rigInput, 0, 3); err != nil {
		t.Fatal(err)
	}
	r.input(rigInput, 1, 5)
	run := r.start()
	r.eventually("parked", func() bool { return len(run.Status().Parked) == 1 })
	if p := run.Status().Parked[0]; p.Code != ParkOutOfRange || !strings.Contains(p.Mend, "lane reset --topic events --partition 0") {
		t.Errorf("parked %+v", p)
	}
	r.audited(2)
}

// TestShutdownWhileHolding: a signal ends a hold at once and cleanly.
func TestShutdownWhileHolding(t *testing.T) {
	r := newRig(t)
	r.set(func(m *memoryStates) { m.fail = errBroken })
	r.consent(1, "grant")
	r.input(rigInput, 0, 1)
	run := r.start()
	r.eventually("hold", func() bool { return len(run.Status().Holds) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	run.cancel()
	select {
	case <-run.done:
	case <-ctx.Done():
		t.Fatal("Run does not return")
	}
	if run.err != nil {
		t.Fatal(run.err)
	}
}
