package pipeline

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
)

// TestLaneResetOtherPast: a reset does not carry a lane over into another past. Its
// fence counts offsets of the consent topic that it was decided on: committed as
// one of another topic it would say that withdrawals are effective which nobody has
// seen. The other differences would hide what parked the lane.
func TestLaneResetOtherPast(t *testing.T) {
	cases := map[string]struct {
		harm func(*audit.Head)
		cfg  func(*Config)
		want string
	}{
		"consent topic": {harm: func(h *audit.Head) { h.ConsentTopicID[0] ^= 1; h.Fence = []int64{1000, 1000} }, want: "another consent topic"},
		"policy text": {cfg: func(cfg *Config) {
			p := rigPolicy()
			p.Purposes[0].ProcessingOnly = false
			cfg.Engine.Policy = p
		}, want: "higher revision"},
		"key file": {harm: func(h *audit.Head) { h.KeyCheck[0] ^= 1 }, want: "another key file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.began()
			if c.harm != nil {
				rehead(c.harm)(r)
			}
			if c.cfg != nil {
				c.cfg(&r.cfg)
			}
			before, err := r.adm.FetchOffsetsForTopics(t.Context(), rigGroup, rigInput)
			if err != nil {
				t.Fatal(err)
			}
			if st, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: 1, Reason: "x"}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("reset: %+v, %v", st, err)
			}
			after, err := r.adm.FetchOffsetsForTopics(t.Context(), rigGroup, rigInput)
			if err != nil {
				t.Fatal(err)
			}
			if after[rigInput][0].Metadata != before[rigInput][0].Metadata {
				t.Error("the lane was changed")
			}
		})
	}
}

// TestWrongClockWithoutSubjects: a batch that asks for nobody's consent is not
// decided under a wrong clock either. Decision times never fall, so its lanes would
// wait until the time that it claimed, with a clock that is right.
func TestWrongClockWithoutSubjects(t *testing.T) {
	r := newRig(t)
	r.produce(&kgo.Record{Topic: rigInput, Value: []byte("not JSON")})
	wrong := r.start(func(cfg *Config) { cfg.Now = func() time.Time { return time.Now().Add(time.Hour) } })
	r.eventually("held", wrong.held(HoldClock, "chronyc"))
	if n := len(r.read("consent.audit")); n != 0 {
		t.Errorf("%d records were decided", n)
	}
	wrong.stop()
	run := r.start()
	r.input(rigInput, 0, 1)
	r.exactlyOnce(r.chains(r.audited(2)), rigInput, 0, 2)
	run.stop()
}

// TestLaneResetWrongClock: the same for a reset, from an operator's own machine.
func TestLaneResetWrongClock(t *testing.T) {
	r := newRig(t)
	r.began()
	r.input(rigInput, 0, 2, 3)
	right := r.cfg.Now
	r.cfg.Now = func() time.Time { return time.Now().Add(time.Hour) }
	if st, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: 2, Reason: "x", Force: true}); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("reset: %+v, %v", st, err)
	}
	r.cfg.Now = right
	if _, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: 2, Reason: "x", Force: true}); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.chains(r.audited(3))
}

// TestLaneResetNeverStarted: a lane that an enforcer parks because nobody can tell
// whether the audit knew it has a way out too: the operator says where it begins.
func TestLaneResetNeverStarted(t *testing.T) {
	r := newRig(t)
	for p := range int32(2) {
		r.produce(&kgo.Record{Topic: "consent.audit", Partition: p, Value: []byte("x")}, &kgo.Record{Topic: "consent.audit", Partition: p, Value: []byte("x")})
		if err := r.stack.Kafka.DeleteRecords("consent.audit", p, 1); err != nil {
			t.Fatal(err)
		}
	}
	r.input(rigInput, 0, 1, 2, 3)
	run := r.start()
	r.eventually("parked", func() bool { return len(run.Status().Parked) == 2 && run.Status().Parked[0].Code == ParkAuditTrimmed })
	run.stop()
	st, err := r.tool().LaneShow(t.Context(), rigInput, 0)
	if err != nil || st.Source != "none" || st.Unstarted != ParkAuditTrimmed {
		t.Fatalf("show: %+v, %v", st, err)
	}
	for to, want := range map[int64]string{-1: "outside the log", 4: "outside the log"} {
		if _, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: to, Reason: "x"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("reset to %d: %v", to, err)
		}
	}
	if st, err = r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: 2, Reason: "new group, old audit"}); err != nil {
		t.Fatal(err)
	}
	if st.Committed != 2 || st.Metadata != "valid" || st.NextIndex != 1 || st.NextSource != 2 {
		t.Errorf("after the reset: %+v", st)
	}
	run = r.start()
	r.eventually("the lane goes on", func() bool { return len(r.outputNumbers(rigInput+".service")) == 1 })
	lanes := r.chains(slices.DeleteFunc(r.read("consent.audit"), func(r *kgo.Record) bool { return string(r.Value) == "x" }))
	for _, records := range lanes {
		first := records[0]
		if len(lanes) != 1 || len(records) != 2 || first.Kind != audit.LeafGap || first.From != 0 || first.Offset != 2 || first.Cites != nil || first.Note != "new group, old audit" {
			t.Errorf("%d records, the first %+v", len(records), first)
		}
	}
	if p := run.Status().Parked; len(p) != 1 || p[0].Partition != 1 {
		t.Errorf("parked: %d", len(p))
	}
}
