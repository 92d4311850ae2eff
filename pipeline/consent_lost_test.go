package pipeline

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// stops waits until the enforcer has ended with a Stop that says why, and checks
// that record 2 was not decided on the way.
func (r *rig) stops(run *running, why string) {
	r.t.Helper()
	var stop *Stop
	if err := run.wait(); !errors.As(err, &stop) || !strings.Contains(stop.Reason, why) {
		r.t.Fatalf("Run returned %v", err)
	}
	r.exactlyOnce(r.chains(r.read(r.cfg.Topics.Audit)), rigInput, 0, 1)
	if got := r.outputNumbers(rigInput + ".service"); len(got) != 1 || got[1] != 1 {
		r.t.Errorf("service got %v", got)
	}
}

// TestFenceFalls: the consent log ends below the fence of a committed decision,
// so acknowledged events are gone; whoever withdrew by one of them would be
// permitted again (P3).
func TestFenceFalls(t *testing.T) {
	r := newRig(t)
	r.consent(1, "withdraw")
	r.began()
	r.stack.Kafka.ControlKey(kmsg.ListOffsets.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.stack.Kafka.KeepControl()
		asked := req.(*kmsg.ListOffsetsRequest).Topics[0]
		if asked.Topic != r.cfg.Topics.Consent {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = asked.Topic
		for _, p := range asked.Partitions {
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Partition, rp.Offset = p.Partition, 0
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	r.input(rigInput, 0, 2)
	r.stops(r.start(), "its end is below the fence of committed decisions")
}

// TestStatesAhead: states that know events which the consent topic does not have
// belong to another log, or to a log that lost them (P5).
func TestStatesAhead(t *testing.T) {
	r := newRig(t)
	r.consent(1, "grant")
	run := r.start()
	r.input(rigInput, 0, 1)
	r.audited(1)
	r.memoryStates.set(func(m *memoryStates) { m.behind = -1 })
	r.input(rigInput, 0, 2)
	r.stops(run, "ahead of the consent topic")
}
