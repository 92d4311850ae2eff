package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/engine"
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

// TestLaneAssignedAgain: a lane that went and came back while its batch was decided
// is another one. The batch is dropped; nothing of it is chained to what the new
// one has committed.
func TestLaneAssignedAgain(t *testing.T) {
	r := newRig(t)
	s := r.session()
	r.input(rigInput, 0, 1)
	r.eventually("gathered", func() bool { return s.gather(t.Context()) == nil && len(s.batch.Items()) == 1 })
	old := s.active[0]
	s.lanes.remove(map[string][]int32{rigInput: {0}})
	again := &lane{topic: rigInput, head: old.head}
	again.Lane = old.Lane
	s.lanes.add(again)
	f, err := s.takeFence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.readStates(t.Context(), f, s.batch.Tags()); err != nil {
		t.Fatal(err)
	}
	if err := s.stage(engine.Moment{Now: time.Now().UnixMilli(), Fence: f.vector}, f); !errors.Is(err, errDropped) {
		t.Errorf("%v", err)
	}
}
