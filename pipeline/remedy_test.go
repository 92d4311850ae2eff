package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (run *running) parked(code ParkCode, mend string) func() bool {
	return func() bool {
		st := run.Status()
		return len(st.Parked) == 1 && st.Parked[0].Code == code && strings.Contains(st.Parked[0].Mend, mend)
	}
}

func (run *running) held(code HoldCode, mend string) func() bool {
	return func() bool {
		st := run.Status()
		return !st.Ready && len(st.Holds) == 1 && st.Holds[0].Code == code && strings.Contains(st.Holds[0].Mend, mend)
	}
}

// TestKeyEpochGone: a lane that was committed under a key epoch which the key file
// no longer holds is parked, and what the remedy says mends it.
func TestKeyEpochGone(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Keys = ringOf(t, 1) })
	r.began()
	r.input(rigInput, 0, 2)
	run := r.start(func(cfg *Config) { cfg.Keys = ringOfEpochs(t, 2) })
	r.eventually("both lanes are parked", func() bool {
		st := run.Status()
		return len(st.Parked) == 2 && st.Parked[0].Code == ParkKeyEpoch && st.Parked[1].Code == ParkKeyEpoch
	})
	if mend := run.Status().Parked[0].Mend; mend != `put the key epoch back into the key file as "verify"` {
		t.Errorf("mend: %s", mend)
	}
	run.stop()
	if n := len(r.read("consent.audit")); n != 1 {
		t.Errorf("%d audit records", n)
	}
	r.cfg.Keys = ringOf(t, 2)
	run = r.start()
	r.exactlyOnce(r.chains(r.audited(2)), rigInput, 0, 2)
	run.stop()
}

// TestAuditUnread: a lane whose commit is gone is not started anew while nobody
// can tell whether the audit knows it; the others run.
func TestAuditUnread(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Limits.Look = 300 * time.Millisecond })
	r.began()
	r.forget(rigInput, 0)
	unread := r.unreadable()
	r.input(rigInput, 0, 2)
	r.input(rigInput, 1, 3)
	run := r.start()
	r.eventually("held", run.scanning(1))
	r.eventually("the other runs", func() bool { return r.outputNumbers(rigInput + ".service")[3] == 1 })
	unread.Remove()
	r.eventually("parked", run.parked(ParkAuditHolds, "consentstream lane show --topic events --partition 0"))
	lanes := r.chains(r.audited(2))
	r.exactlyOnce(lanes, rigInput, 0, 1)
	r.exactlyOnce(lanes, rigInput, 1, 1)
	run.stop()
}

// TestFencePartitions: more consent partitions than fit the offset metadata are
// refused at the start, and hold where they come later.
func TestFencePartitions(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.input(rigInput, 0, 1)
	r.audited(1)
	if _, err := kadm.NewClient(r.client()).CreatePartitions(t.Context(), maxFencePartitions-1, "consent.events"); err != nil {
		t.Fatal(err)
	}
	r.input(rigInput, 0, 2)
	const remedy = "create a consent topic with at most 256 partitions, copy the events of consent.events"
	r.eventually("held", run.held(HoldFencePartitions, remedy))
	run.stop()
	if n := len(r.read("consent.audit")); n != 1 {
		t.Errorf("%d audit records", n)
	}
	err := r.start().wait()
	var refusal *Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "topic consent.events has 257 partitions") || !strings.Contains(err.Error(), remedy) {
		t.Errorf("Run returned %v", err)
	}
}

// TestMetadataTooLarge: brokers that take less offset metadata than a lane's head
// needs hold; health does not flicker while the batch is tried again and again, and
// says so no longer when the brokers take it, also without records.
func TestMetadataTooLarge(t *testing.T) {
	const remedy = "set offset.metadata.max.bytes=4096 in the brokers' configuration"
	for _, records := range []bool{true, false} {
		t.Run(fmt.Sprintf("records=%v", records), func(t *testing.T) {
			r := newRig(t)
			run := r.start()
			r.input(rigInput, 0, 1)
			r.audited(1)
			small := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.OffsetMetadataTooLarge, Count: -1})
			if records {
				r.input(rigInput, 0, 2, 3)
			} else {
				r.consent(1, "withdraw") // idle lanes commit the fence
			}
			held := run.held(HoldMetadataTooLarge, remedy)
			r.eventually("held", held)
			for hits := small.Hits(); small.Hits() < hits+4; time.Sleep(time.Millisecond) {
				if !held() {
					t.Fatalf("health flickers: %+v", run.Status())
				}
			}
			small.Remove()
			r.eventually("ready", func() bool { return run.Status().Ready })
			if records {
				r.exactlyOnce(r.chains(r.audited(3)), rigInput, 0, 3)
			}
			run.stop()
		})
	}
}
