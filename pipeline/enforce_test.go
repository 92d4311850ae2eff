package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
)

// TestHappyPath: two lanes; outputs, audit chains and signatures are exact, and
// nothing of what a purpose may not see is on its topic.
func TestHappyPath(t *testing.T) {
	r := newRig(t)
	r.consent(1, "grant")
	r.consent(2, "grant")
	r.consent(2, "withdraw")
	r.input(rigInput, 0, 1, 2, 3)
	r.input(rigInput, 1, 1, 1)
	run := r.start()
	records := r.audited(5)
	lanes := r.chains(records)
	if len(lanes) != 2 {
		t.Fatalf("%d lanes audited", len(lanes))
	}
	first := r.exactlyOnce(lanes, rigInput, 0, 3)
	r.exactlyOnce(lanes, rigInput, 1, 2)
	for offset, want := range []bool{true, false, false} {
		a := first[int64(offset)]
		if len(a.Decisions) != 2 || a.Decisions[0].Permit != want || !a.Decisions[1].Permit {
			t.Errorf("offset %d: decisions %+v", offset, a.Decisions)
		}
	}
	if got := r.outputNumbers(rigInput + ".analytics"); got[1] != 3 || len(got) != 1 {
		t.Errorf("analytics got %v", got)
	}
	if got := r.outputNumbers(rigInput + ".service"); got[1] != 3 || got[2] != 1 || got[3] != 1 {
		t.Errorf("service got %v", got)
	}
	for _, rec := range r.read(rigInput + ".analytics") {
		if s := string(rec.Value); strings.Contains(s, "@example.org") || !strings.Contains(s, `"id":"k1.`) {
			t.Errorf("analytics sees %s", s)
		}
	}
	if docs := r.read("consent.policies"); len(docs) != 3 {
		t.Errorf("%d documents published, want policy and two plans", len(docs))
	}
	if st := run.Status(); !st.Ready || st.Lanes != 2 {
		t.Errorf("status %+v", st)
	}
	run.stop()
	if strings.Contains(r.log.String(), "example.org") {
		t.Error("the log holds personal data")
	}
}

// TestAuditRefused (G2, RELIABILITY 8.1): while the audit topic refuses, no
// output becomes visible, whatever the code; afterwards all is there once.
func TestAuditRefused(t *testing.T) {
	for _, code := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.InvalidRequiredAcks, kerr.PolicyViolation} {
		t.Run(code.Message, func(t *testing.T) {
			r := newRig(t)
			h := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "consent.audit", Err: code, Count: -1})
			r.input(rigInput, 0, 1, 2, 3)
			run := r.start()
			r.eventually("a hold is shown", func() bool { return len(run.Status().Holds) > 0 })
			if err := h.Wait(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
			if n := len(r.read(rigInput + ".service")); n != 0 {
				t.Fatalf("%d outputs are visible without audit", n)
			}
			h.Remove()
			r.exactlyOnce(r.chains(r.audited(3)), rigInput, 0, 3)
			if n := len(r.read(rigInput + ".service")); n != 3 {
				t.Fatalf("%d outputs", n)
			}
		})
	}
}

// TestBrokerRefusesRecord: a broker that refuses a batch because of one record
// (INVALID_RECORD) costs that record only; the partition goes on.
func TestBrokerRefusesRecord(t *testing.T) {
	r := newRig(t)
	r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: rigInput + ".service", Err: kerr.InvalidRecord, Count: -1,
		When: func(req kmsg.Request) bool {
			for _, topic := range req.(*kmsg.ProduceRequest).Topics {
				for _, p := range topic.Partitions {
					if strings.Contains(string(p.Records), `"n":2,`) || strings.Contains(string(p.Records), `"n":2}`) {
						return true
					}
				}
			}
			return false
		}})
	r.input(rigInput, 0, 1, 2, 3, 4, 5)
	r.start()
	seen := r.exactlyOnce(r.chains(r.audited(5)), rigInput, 0, 5)
	for offset, a := range seen {
		if bad := offset == 1; bad != (a.Kind == audit.LeafQuarantine) {
			t.Errorf("offset %d: kind %v reason %s", offset, a.Kind, a.Reason)
		}
	}
	if a := seen[1]; a.Reason != string(reasonOutputRefused) {
		t.Errorf("reason %s", a.Reason)
	}
	if got := r.outputNumbers(rigInput + ".service"); len(got) != 4 || got[2] != 0 {
		t.Errorf("service got %v", got)
	}
}

// TestTooLarge: an output that does not fit its topic, and an audit record that
// does not fit the audit topic, go to quarantine without blocking the lane.
func TestTooLarge(t *testing.T) {
	r := newRig(t)
	big := &kgo.Record{Topic: rigInput, Value: []byte(`{"id":"7","n":7,"action":"` + strings.Repeat("x", 5000) + `"}`)}
	if _, err := r.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: kadm.StringPtr("2000")}}, rigInput+".service"); err != nil {
		t.Fatal(err)
	}
	r.input(rigInput, 0, 1)
	r.produce(big)
	r.input(rigInput, 0, 3)
	r.start()
	seen := r.exactlyOnce(r.chains(r.audited(3)), rigInput, 0, 3)
	if a := seen[1]; a.Kind != audit.LeafQuarantine || a.Reason != string(reasonOutputTooLarge) || a.Detail != string(codeOutputTooLarge) {
		t.Errorf("offset 1: %v %s %s", a.Kind, a.Reason, a.Detail)
	}
	if got := r.outputNumbers(rigInput + ".service"); len(got) != 2 {
		t.Errorf("service got %v", got)
	}
	q := r.read("consent.quarantine")
	if len(q) != 1 {
		t.Fatalf("%d quarantine records", len(q))
	}
	var v quarantined
	if err := json.Unmarshal(q[0].Value, &v); err != nil {
		t.Fatal(err)
	}
	if v.Offset != 1 || v.Topic != rigInput || v.Reason != string(reasonOutputTooLarge) || v.ValueBytes != len(big.Value) || v.KeyBytes != -1 || len(v.PayloadHMAC) != 64 {
		t.Errorf("quarantine %+v", v)
	}
	if strings.Contains(string(q[0].Value), "xxxx") {
		t.Error("the quarantine record holds payload")
	}
}

// TestTooLargeAtRunTime: the topic's limit was lowered after the start, so that
// whole batches are refused; only the truly large record is lost to quarantine.
func TestTooLargeAtRunTime(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.eventually("ready", func() bool { return run.Status().Ready })
	if _, err := r.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: kadm.StringPtr("400")}}, rigInput+".service"); err != nil {
		t.Fatal(err)
	}
	ids := []int{1, 2, 3, 4, 5, 6, 7, 8}
	r.input(rigInput, 0, ids...)
	r.produce(&kgo.Record{Topic: rigInput, Value: []byte(`{"id":"9","n":9,"action":"` + strings.Repeat("x", 600) + `"}`)})
	seen := r.exactlyOnce(r.chains(r.audited(9)), rigInput, 0, 9)
	for offset, a := range seen {
		if bad := offset == 8; bad != (a.Kind == audit.LeafQuarantine) {
			t.Errorf("offset %d: %v %s", offset, a.Kind, a.Reason)
		}
	}
}

// TestAnswerLost: the broker commits and the answer is lost, once (kgo asks
// again) and for good (the worker rebuilds). Never twice, never missing.
func TestAnswerLost(t *testing.T) {
	for _, lose := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(lose), func(t *testing.T) { answerLost(t, lose) })
	}
}

func answerLost(t *testing.T, lose int) {
	r := newRig(t)
	w := &wire{lose: lose}
	r.start(wired(w))
	r.input(rigInput, 0, 1, 2, 3)
	r.audited(3)
	r.input(rigInput, 0, 4, 5)
	r.exactlyOnce(r.chains(r.audited(5)), rigInput, 0, 5)
	if got := r.outputNumbers(rigInput + ".service"); len(got) != 5 || got[1] != 1 || got[3] != 1 {
		t.Errorf("service got %v", got)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost != lose {
		t.Errorf("%d answers lost, want %d", w.lost, lose)
	}
}

// TestRestart: a restarted process resumes its chains without a duplicate.
func TestRestart(t *testing.T) {
	r := newRig(t)
	for n := range 3 {
		run := r.start()
		r.input(rigInput, 0, 10*n+1, 10*n+2)
		r.input(rigInput, 1, 10*n+3)
		r.audited(3 * (n + 1))
		run.stop()
	}
	lanes := r.chains(r.audited(9))
	r.exactlyOnce(lanes, rigInput, 0, 6)
	r.exactlyOnce(lanes, rigInput, 1, 3)
	if len(lanes) != 2 {
		t.Fatalf("%d lanes: a restart began a new chain", len(lanes))
	}
	if got := r.outputNumbers(rigInput + ".service"); len(got) != 9 {
		t.Errorf("service got %v", got)
	}
}

// TestKilled: the process dies in the middle of transactions, again and again;
// the successor with the same instance takes over at once.
func TestKilled(t *testing.T) {
	r := newRig(t)
	n := 0
	for kill := range 8 {
		w := &wire{}
		before := r.countCommitted("consent.audit")
		run := r.start(wired(w))
		feed := func(k int) {
			for range k {
				n++
				r.input(rigInput, int32(n%2), n)
			}
		}
		feed(20)
		r.eventually("progress", func() bool { return r.countCommitted("consent.audit") > before })
		go func() {
			time.Sleep(time.Duration(3*kill) * time.Millisecond)
			w.die()
		}()
		feed(40)
		run.cancel()
	}
	run := r.start()
	lanes := r.chains(r.audited(n))
	r.exactlyOnce(lanes, rigInput, 0, int64(n/2))
	r.exactlyOnce(lanes, rigInput, 1, int64(n/2))
	if got := r.outputNumbers(rigInput + ".service"); len(got) != n {
		t.Errorf("%d outputs, want %d", len(got), n)
	} else {
		for id, times := range got {
			if times != 1 {
				t.Errorf("output %d is there %d times", id, times)
			}
		}
	}
	run.stop()
}

// TestZombie: a second process with the same instance fences the first, which
// stops and says why, and does not fence back.
func TestZombie(t *testing.T) {
	r := newRig(t)
	var anonymous atomic.Bool // a member that leaves by its instance id alone
	r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.LeaveGroup}, Group: rigGroup, Count: -1, Observe: true, When: func(req kmsg.Request) bool {
		for _, m := range req.(*kmsg.LeaveGroupRequest).Members {
			if m.MemberID == "" {
				anonymous.Store(true)
			}
		}
		return true
	}})
	zombie := r.start()
	r.input(rigInput, 0, 1)
	r.audited(1)
	successor := r.start()
	var stop *Stop
	done := make(chan error, 1)
	go func() { done <- zombie.wait() }()
	for i := 2; ; i++ {
		r.input(rigInput, 0, i)
		select {
		case err := <-done:
			if !errors.As(err, &stop) || !strings.Contains(stop.Reason, "another process uses instance 0") {
				t.Fatalf("the zombie ended with %v", err)
			}
		case <-time.After(50 * time.Millisecond):
			continue
		}
		r.exactlyOnce(r.chains(r.audited(i)), rigInput, 0, int64(i))
		break
	}
	select {
	case <-successor.done:
		t.Fatalf("the successor ended with %v", successor.err)
	default:
	}
	successor.stop()
	if anonymous.Load() {
		t.Error("a process left the group by instance id: that throws out the one that replaced it")
	}
}

// TestTwoInstances: lanes move between instances under load without a fork, a
// gap or a duplicate.
func TestTwoInstances(t *testing.T) {
	r := newRig(t)
	instance := func(name string) func(*Config) { return func(cfg *Config) { cfg.Instance = name } }
	one := r.start(instance("a"))
	n := 0
	feed := func(rounds int) {
		for range rounds {
			n += 2
			r.input(rigInput, 0, n-1)
			r.input(rigInput, 1, n)
			time.Sleep(5 * time.Millisecond)
		}
	}
	feed(20)
	two := r.start(instance("b"))
	feed(100)
	r.eventually("the lanes are shared", func() bool { return one.Status().Lanes == 1 && two.Status().Lanes == 1 })
	feed(20)
	one.stop()
	feed(20)
	r.eventually("the survivor has both", func() bool { return two.Status().Lanes == 2 })
	lanes := r.chains(r.audited(n))
	r.exactlyOnce(lanes, rigInput, 0, int64(n/2))
	r.exactlyOnce(lanes, rigInput, 1, int64(n/2))
	two.stop()
}

// TestHolds: each missing dependency holds under its code, emits nothing, and
// the pipeline resumes by itself.
func TestHolds(t *testing.T) {
	cases := []struct {
		code HoldCode
		set  func(*memoryStates)
	}{
		{HoldStates, func(m *memoryStates) { m.fail = errBroken }},
		{HoldWatermark, func(m *memoryStates) { m.behind = 1 }},
		{HoldClock, func(m *memoryStates) { m.skew = 2500 }},
		{HoldClock, func(m *memoryStates) { m.skew = -2500 }},
	}
	r := newRig(t)
	r.consent(1, "grant")
	r.consent(2, "grant")
	run := r.start()
	n := 0
	for _, c := range cases {
		r.set(c.set)
		n++
		r.input(rigInput, 0, 1)
		r.eventually(string(c.code), func() bool {
			st := run.Status()
			return len(st.Holds) == 1 && st.Holds[0].Code == c.code && !st.Ready
		})
		if got := len(r.read(rigInput + ".service")); got != n-1 {
			t.Fatalf("%s: %d outputs while holding", c.code, got)
		}
		r.set(func(m *memoryStates) { m.fail, m.behind, m.skew = nil, 0, 0 })
		r.exactlyOnce(r.chains(r.audited(n)), rigInput, 0, int64(n))
		r.eventually("ready again", func() bool { return run.Status().Ready })
	}
}

// TestWithdrawalDuringHold: the decision is taken on the state after the hold,
// not on the one before it.
func TestWithdrawalDuringHold(t *testing.T) {
	r := newRig(t)
	r.consent(1, "grant")
	r.set(func(m *memoryStates) { m.fail = errBroken })
	r.input(rigInput, 0, 1)
	run := r.start()
	r.eventually("hold", func() bool { return len(run.Status().Holds) == 1 })
	r.consent(1, "withdraw")
	r.set(func(m *memoryStates) { m.fail = nil })
	r.audited(1)
	if n := len(r.read(rigInput + ".analytics")); n != 0 {
		t.Errorf("%d outputs after the withdrawal", n)
	}
}

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
			if _, err := r.adm.DeleteOffsets(r.t.Context(), rigGroup, kadm.TopicsSet{rigInput: {0: {}}}); err != nil {
				r.t.Fatal(err)
			}
		}},
		{code: ParkPolicyText, harm: func(*rig) {}, cfg: func(cfg *Config) {
			p := rigPolicy()
			p.Purposes[0].ProcessingOnly = false
			cfg.Engine.Policy = p
		}},
	}
	for _, c := range cases {
		t.Run(string(c.code), func(t *testing.T) {
			r := newRig(t)
			run := r.start()
			r.input(rigInput, 0, 1)
			r.audited(1)
			run.stop()
			r.eventually("the group is empty", func() bool {
				g, err := r.adm.DescribeGroups(t.Context(), rigGroup)
				return err == nil && g[rigGroup].State == "Empty"
			})
			c.harm(r)
			r.input(rigInput, 0, 2)
			if c.cfg == nil {
				r.input(rigInput, 1, 3)
				run = r.start()
				r.audited(2)
			} else {
				run = r.start(c.cfg)
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
	run := r.start()
	r.input(rigInput, 0, 1)
	r.audited(1)
	run.stop()
	r.input(rigInput, 0, 2, 3, 4)
	if err := r.stack.Kafka.DeleteRecords(rigInput, 0, 3); err != nil {
		t.Fatal(err)
	}
	r.input(rigInput, 1, 5)
	run = r.start()
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
