package pipeline

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/engine"
)

// Tests on a real broker: what the in-process one cannot show (its transactions
// have no prepare step, its coordinator never lags). They skip unless
// CONSENTSTREAM_KAFKA names one, and fail then where a skip would hide that.

// newKafkaRig is newRig on topics of its own on the real broker; input is the
// name of its stream.
func newKafkaRig(t *testing.T, change ...func(*Config)) (r *rig, input string) {
	t.Helper()
	address := os.Getenv("CONSENTSTREAM_KAFKA")
	if address == "" {
		if os.Getenv("CONSENTSTREAM_REQUIRE_SERVERS") != "" {
			t.Fatal("CONSENTSTREAM_KAFKA is not set")
		}
		t.Skip("CONSENTSTREAM_KAFKA is not set: no real broker")
	}
	prefix := fmt.Sprintf("%s-%d.", strings.ReplaceAll(t.Name(), "/", "-"), time.Now().UnixNano())
	input = prefix + rigInput
	return newRig(t, append([]func(*Config){func(cfg *Config) {
		cfg.SeedBrokers, cfg.Group = []string{address}, prefix+rigGroup
		cfg.Topics = Topics{Consent: prefix + "consent.events", Audit: prefix + "consent.audit", Quarantine: prefix + "consent.quarantine", Policies: prefix + "consent.policies"}
		cfg.Engine.Streams = []engine.Stream{rigStream(input)}
		cfg.Limits.End = 20 * time.Second
	}}, change...)...), input
}

// once checks that n records were produced alternately to two partitions and
// each came out of the service purpose exactly once, audited in whole chains.
func (r *rig) once(input string, n int) {
	r.t.Helper()
	lanes := r.chains(r.audited(n))
	r.exactlyOnce(lanes, input, 0, int64(n/2))
	r.exactlyOnce(lanes, input, 1, int64(n/2))
	r.settled(input + ".service")
	got := r.outputNumbers(input + ".service")
	for id := 1; id <= n; id++ {
		if got[id] != 1 {
			r.t.Errorf("record %d came out %d times", id, got[id])
		}
	}
}

// settled waits for the end of what is open in a topic: a broker writes the markers
// of one transaction topic by topic.
func (r *rig) settled(topic string) {
	r.t.Helper()
	r.eventually("no transaction is open in "+topic, func() bool {
		committed, err := r.adm.ListCommittedOffsets(r.t.Context(), topic)
		ends, errEnds := r.adm.ListEndOffsets(r.t.Context(), topic)
		if err != nil || errEnds != nil {
			return false
		}
		open := false
		ends.Each(func(o kadm.ListedOffset) {
			at, _ := committed.Lookup(topic, o.Partition)
			open = open || at.Offset != o.Offset
		})
		return !open
	})
}

// TestKafkaKilled: killed at random moments and replaced by the same instance.
func TestKafkaKilled(t *testing.T) {
	r, input := newKafkaRig(t)
	n := 0
	feed := func(k int) {
		for range k {
			n++
			r.input(input, int32(n%2), n)
		}
	}
	for kill := range 10 {
		w := &wire{}
		before := r.countCommitted(r.cfg.Topics.Audit)
		run := r.start(wired(w))
		feed(20)
		r.eventually("progress", func() bool { return r.countCommitted(r.cfg.Topics.Audit) > before })
		go func() {
			time.Sleep(time.Duration(7*kill) * time.Millisecond)
			w.die()
		}()
		feed(40)
		run.cancel()
	}
	run := r.start()
	r.once(input, n)
	run.stop()
}

// TestKafkaAnswerLost: the answer to a commit is lost for good.
func TestKafkaAnswerLost(t *testing.T) {
	for _, lose := range []int{1, 4} {
		t.Run(fmt.Sprint(lose), func(t *testing.T) {
			r, input := newKafkaRig(t)
			w := &wire{lose: lose}
			r.start(wired(w))
			for n := range 10 {
				r.input(input, int32((n+1)%2), n+1)
				time.Sleep(30 * time.Millisecond)
			}
			r.once(input, 10)
		})
	}
}

// TestKafkaChurn: two instances come and go under load.
func TestKafkaChurn(t *testing.T) {
	r, input := newKafkaRig(t)
	n := 0
	feed := func(rounds int) {
		for range rounds {
			n += 2
			r.input(input, 1, n-1)
			r.input(input, 0, n)
		}
	}
	start := func(name string) *running { return r.start(func(cfg *Config) { cfg.Instance = name }) }
	one := start("a")
	for range 3 {
		feed(30)
		two := start("b")
		feed(30)
		r.eventually("shared", func() bool { return two.Status().Lanes == 1 && one.Status().Lanes == 1 })
		feed(30)
		one.stop()
		one = two
		r.eventually("taken over", func() bool { return one.Status().Lanes == 2 })
		one.stop()
		one = start("a")
	}
	feed(30)
	r.once(input, n)
	one.stop()
}

// TestKafkaZombie: of two processes with one instance one stops and says why, the
// other goes on. That is the second, unless the first is in the middle of a commit:
// then it hears INVALID_TXN_STATE, which says nothing, and comes back as the third.
func TestKafkaZombie(t *testing.T) {
	r, input := newKafkaRig(t)
	zombie := r.start()
	r.input(input, 1, 1)
	r.input(input, 0, 2)
	r.audited(2)
	successor := r.start()
	n := 2
	var ended, other *running
	for ended == nil {
		r.input(input, 1, n+1)
		r.input(input, 0, n+2)
		n += 2
		select {
		case <-zombie.done:
			ended, other = zombie, successor
		case <-successor.done:
			ended, other = successor, zombie
		case <-time.After(50 * time.Millisecond):
		}
	}
	var stop *Stop
	if err := ended.wait(); !errors.As(err, &stop) || !strings.Contains(stop.Reason, "another process uses instance 0") {
		t.Errorf("the run ended with %v", err)
	}
	r.input(input, 1, n+1)
	r.input(input, 0, n+2)
	r.once(input, n+2)
	other.stop()
}

// TestKafkaLaneReset: a lane whose records were deleted goes on behind a gap.
func TestKafkaLaneReset(t *testing.T) {
	r, input := newKafkaRig(t)
	run := r.start()
	r.input(input, 0, 1)
	r.audited(1)
	run.stop()
	r.input(input, 0, 2, 3, 4)
	var cut kadm.Offsets
	cut.Add(kadm.Offset{Topic: input, Partition: 0, At: 3})
	if _, err := r.adm.DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	run = r.start()
	r.eventually("parked", func() bool {
		st := run.Status()
		return len(st.Parked) == 1 && st.Parked[0].Code == ParkOutOfRange
	})
	run.stop()
	if _, err := r.tool().LaneReset(t.Context(), input, 0, Reset{To: 3, Reason: "retention was too short"}); err != nil {
		t.Fatal(err)
	}
	run = r.start()
	r.input(input, 0, 5)
	kinds := map[audit.LeafKind]int{}
	for lane, records := range r.chains(r.audited(4)) {
		for _, a := range records {
			if lane.Partition == 0 {
				kinds[a.Kind]++
			}
		}
	}
	if kinds[audit.LeafRecord] != 3 || kinds[audit.LeafGap] != 1 {
		t.Errorf("leaves %v", kinds)
	}
	run.stop()
}

// TestKafkaIdleFence: the fence of idle lanes moves on a real broker too.
func TestKafkaIdleFence(t *testing.T) {
	r, input := newKafkaRig(t)
	run := r.start()
	r.eventually("genesis", func() bool { return len(r.heads(input)) == 2 })
	r.consent(1, "withdraw")
	asked := time.Now()
	r.eventually("effective", func() bool {
		h := r.heads(input)
		return len(h) == 2 && h[0].Fence[1] >= 1 && h[1].Fence[1] >= 1
	})
	t.Logf("an idle instance committed the fence after %v", time.Since(asked).Round(time.Millisecond))
	run.stop()
}

// TestKafkaAuditScan: new lanes beside an audit that is not read at once begin by
// themselves, and those that it knows do not.
func TestKafkaAuditScan(t *testing.T) {
	added := ""
	r, input := newKafkaRig(t, func(cfg *Config) {
		added = cfg.Engine.Streams[0].Topic + ".added"
		cfg.Engine.Streams = append(cfg.Engine.Streams, rigStream(added))
		cfg.Limits.Look = time.Millisecond
	})
	run := r.start(func(cfg *Config) { cfg.Engine.Streams = cfg.Engine.Streams[:1] })
	for n := range 100 {
		r.input(input, int32(n%2), n+1)
	}
	r.audited(100)
	run.stop()
	r.input(added, 0, 101, 102)
	run = r.start()
	r.exactlyOnce(r.chains(r.audited(102)), added, 0, 2)
	r.eventually("all lanes run", func() bool { st := run.Status(); return st.Ready && st.Lanes == 4 && len(st.Holds) == 0 })
	run.stop()
	r.forget(added, 0)
	run = r.start()
	r.eventually("parked", run.parked(ParkAuditHolds, ""))
	run.stop()
}
