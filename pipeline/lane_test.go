package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
)

// tool is an enforcer that does not run, for lane commands.
func (r *rig) tool() *Enforcer {
	r.t.Helper()
	e, err := New(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// TestLaneResetOutOfRange: the way out of deleted records leaves a signed gap
// that cites the last leaf, and the lane goes on behind it.
func TestLaneResetOutOfRange(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.input(rigInput, 0, 1)
	r.audited(1)
	if _, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: 3, Reason: "x"}); err == nil || !strings.Contains(err.Error(), "stop all enforcers") {
		t.Errorf("reset while an enforcer runs: %v", err)
	}
	run.stop()
	r.input(rigInput, 0, 2, 3, 4)
	if err := r.stack.Kafka.DeleteRecords(rigInput, 0, 3); err != nil {
		t.Fatal(err)
	}
	refused := map[int64]string{0: "audited already", 2: "outside the log", 5: "outside the log"}
	for to, why := range refused {
		if _, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: to, Reason: "lost"}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("reset to %d: %v", to, err)
		}
	}
	before, err := r.tool().LaneShow(t.Context(), rigInput, 0)
	if err != nil {
		t.Fatal(err)
	}
	if before.NextSource != 1 || before.NextIndex != 1 || before.Source != "metadata" || before.LogStart != 3 || before.LogEnd != 4 || before.Sound {
		t.Errorf("show: %+v", before)
	}
	st, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: 3, Reason: "retention was too short"})
	if err != nil {
		t.Fatal(err)
	}
	if st.NextSource != 3 || st.NextIndex != 2 || st.Committed != 3 || st.Metadata != "valid" {
		t.Errorf("after the reset: %+v", st)
	}
	run = r.start()
	r.input(rigInput, 0, 5)
	lanes := r.chains(r.audited(4))
	for lane, records := range lanes {
		if lane.Partition != 0 {
			continue
		}
		gap := records[1]
		if len(records) != 4 || gap.Kind != audit.LeafGap || gap.From != 1 || gap.Offset != 3 || gap.Note != "retention was too short" || gap.Cites == nil || *gap.Cites != gap.Prev {
			t.Errorf("%d records, gap %+v", len(records), gap)
		}
	}
	if len(run.Status().Parked) != 0 {
		t.Errorf("still parked: %+v", run.Status().Parked[0])
	}
}

// TestLaneResetWithoutMetadata: offsets were deleted, so the chain's head comes
// from the audit topic; records behind the last signature are not believed.
func TestLaneResetWithoutMetadata(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.input(rigInput, 0, 1, 2)
	records := r.audited(2)
	run.stop()
	r.forget(rigInput, 0)
	forged := r.forge(records)
	st, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: 2, Reason: "offsets were deleted"})
	if err != nil {
		t.Fatal(err)
	}
	if st.NextIndex != 3 || st.NextSource != 2 {
		t.Errorf("after the reset: %+v", st)
	}
	r.start()
	r.input(rigInput, 0, 3)
	r.eventually("the lane goes on", func() bool { return len(r.outputNumbers(rigInput+".service")) == 3 })
	var genuine = r.read("consent.audit")[:0]
	for _, rec := range r.read("consent.audit") {
		if string(rec.Value) != string(forged) {
			genuine = append(genuine, rec)
		}
	}
	lanes := r.chains(genuine)
	for lane, records := range lanes {
		if lane.Partition == 0 && (len(records) != 4 || records[2].Kind != audit.LeafGap) {
			t.Errorf("%d records", len(records))
		}
	}
}

// TestLaneResetRecreated: the old lane is closed, the new topic id's lane begins
// with a leaf that cites the closing.
func TestLaneResetRecreated(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.input(rigInput, 0, 1, 2)
	r.audited(2)
	run.stop()
	old, err := r.adm.FetchOffsetsForTopics(t.Context(), rigGroup, rigInput)
	if err != nil {
		t.Fatal(err)
	}
	r.recreate(rigInput, 5)
	adm := kadm.NewClient(r.client())
	r.eventually("old offsets are back", func() bool { return adm.CommitAllOffsets(t.Context(), rigGroup, old.Offsets()) == nil })
	for p := range int32(2) {
		if _, err := r.tool().LaneReset(t.Context(), rigInput, p, Reset{To: 0, Reason: "recreated on purpose"}); err != nil {
			t.Fatal(err)
		}
	}
	run = r.start()
	r.eventually("all five", func() bool { return r.outputNumbers(rigInput + ".service")[9] == 5 })
	lanes := r.chains(r.read("consent.audit"))
	closed, begun := 0, 0
	for _, records := range lanes {
		last := records[len(records)-1]
		if last.Kind == audit.LeafClosed && last.Note == "recreated on purpose" {
			closed++
		}
		if records[0].Kind == audit.LeafGap && records[0].Cites != nil {
			begun++
		}
	}
	if len(lanes) != 4 || closed != 2 || begun != 2 {
		t.Errorf("%d lanes, %d closed, %d begun", len(lanes), closed, begun)
	}
	if len(run.Status().Parked) != 0 {
		t.Errorf("parked: %+v", run.Status().Parked[0])
	}
}

// TestLaneResetRefuses what was never decided.
func TestLaneResetRefuses(t *testing.T) {
	r := newRig(t)
	if _, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: 0, Reason: "x"}); err == nil || !strings.Contains(err.Error(), "nothing was ever decided") {
		t.Error(err)
	}
	if _, err := r.tool().LaneShow(t.Context(), rigInput, 9); err == nil {
		t.Error("a partition that is not there")
	}
	if _, err := r.tool().LaneShow(t.Context(), "other", 0); err == nil {
		t.Error("a topic that is no stream")
	}
}

// TestLaneResetSound: a lane that goes on by itself is not reset by mistake, which
// would give up records that can be read; only what parked it may not show.
func TestLaneResetSound(t *testing.T) {
	r := newRig(t)
	r.began()
	r.input(rigInput, 0, 2, 3)
	for _, to := range []int64{1, 3} { // to where it stands, and on
		st, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: to, Reason: "x"})
		if err == nil || !strings.Contains(err.Error(), "an enforcer goes on at offset 1 by itself") || !strings.Contains(err.Error(), "--force") {
			t.Errorf("reset to %d: %+v, %v", to, st, err)
		}
	}
	st, err := r.tool().LaneShow(t.Context(), rigInput, 0)
	if err != nil || !st.Sound || st.NextIndex != 1 {
		t.Errorf("show: %+v, %v", st, err)
	}
	if st, err = r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: 3, Reason: "x", Force: true}); err != nil || st.NextSource != 3 || !st.Sound {
		t.Errorf("forced: %+v, %v", st, err)
	}
	r.chains(r.audited(2))
}

// TestLaneSound: what parks a lane is not sound, as far as it shows.
func TestLaneSound(t *testing.T) {
	r := newRig(t)
	r.began()
	for name, harm := range map[string]func(*audit.Head){
		"topic":           func(h *audit.Head) { h.TopicID[0] ^= 1 },
		"audit topic":     func(h *audit.Head) { h.AuditTopicID[0] ^= 1 },
		"audit partition": func(h *audit.Head) { h.AuditPartition = 99 },
		"consent topic":   func(h *audit.Head) { h.ConsentTopicID[0] ^= 1 },
		"policy":          func(h *audit.Head) { h.Policy[0] ^= 1 },
		"newer policy":    func(h *audit.Head) { h.Revision++ },
		"keys":            func(h *audit.Head) { h.KeyCheck[0] ^= 1 },
		"closed":          func(h *audit.Head) { h.Closed = true },
		"behind":          func(h *audit.Head) { h.NextSource++ },
		"":                func(*audit.Head) {},
	} {
		t.Run(name, func(t *testing.T) {
			w, cl, err := r.tool().laneTool(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			st, err := w.laneState(t.Context(), cl, rigInput, 0)
			if err != nil {
				t.Fatal(err)
			}
			harm(&st.head)
			if got := w.sound(st); got != (name == "") {
				t.Errorf("sound: %v", got)
			}
		})
	}
}

// TestLaneResetKilled: a reset that dies on the way to its commit leaves neither
// leaf nor offset; one whose answer is lost leaves both, and so is refused when
// it is tried again. Either way the chain has no second leaf.
func TestLaneResetKilled(t *testing.T) {
	for name, tc := range map[string]struct {
		cut  kmsg.Key
		late bool // the broker does it, and only the answer is lost
		done bool
	}{
		"produced":         {cut: kmsg.Produce, late: true},
		"offsets":          {cut: kmsg.TxnOffsetCommit},
		"offsets answered": {cut: kmsg.TxnOffsetCommit, late: true},
		"ending":           {cut: kmsg.EndTxn},
		"ended":            {cut: kmsg.EndTxn, late: true, done: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.began()
			r.input(rigInput, 0, 2, 3)
			killed := r.cfg
			killed.Limits.Txn = time.Second
			w := &wire{killAt: &tc.cut, late: tc.late}
			wired(w)(&killed)
			e, err := New(killed)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.LaneReset(t.Context(), rigInput, 0, Reset{To: 3, Reason: "killed", Force: true}); err == nil || !strings.Contains(err.Error(), "try again") {
				t.Fatalf("the reset that was killed says %v", err)
			}
			if !w.dead {
				t.Fatal("it was never killed")
			}
			r.expelAll()
			st, err := r.tool().LaneReset(t.Context(), rigInput, 0, Reset{To: 2, Reason: "again", Force: true})
			if refused := err != nil && strings.Contains(err.Error(), "audited already"); refused != tc.done || err != nil && !refused {
				t.Fatalf("the next reset: %+v, %v", st, err)
			}
			want := int64(2)
			if tc.done {
				want = 3
			}
			if st, err = r.tool().LaneShow(t.Context(), rigInput, 0); err != nil || st.Metadata != "valid" || st.NextSource != want || st.NextIndex != 2 || st.Committed != want {
				t.Errorf("after it: %+v, %v", st, err)
			}
			r.chains(r.audited(2))
		})
	}
}

// expelAll throws the members out of the group, as the session timeout would.
func (r *rig) expelAll() {
	r.t.Helper()
	r.eventually("the group is empty", func() bool {
		groups, err := r.adm.DescribeGroups(r.t.Context(), rigGroup)
		for _, m := range groups[rigGroup].Members {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Group, req.MemberID = rigGroup, m.MemberID
			member := kmsg.NewLeaveGroupRequestMember()
			member.MemberID = m.MemberID
			req.Members = append(req.Members, member)
			_, _ = req.RequestWith(r.t.Context(), r.cl)
		}
		return err == nil && groups[rigGroup].State == "Empty"
	})
}
