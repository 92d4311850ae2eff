package pipeline

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestProduceUnanswered: a topic that has too few replicas is tried again by the
// client until the transaction is over, and nobody gets an answer. Health says so
// for as long as it lasts, through all the sessions that it costs, and not longer.
func TestProduceUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newVirtualRig(t)
		run := r.start()
		r.input(rigInput, 0, 1)
		r.audited(1)
		few := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "consent.audit", Err: kerr.NotEnoughReplicas, Count: -1})
		r.input(rigInput, 0, 2)
		held := run.held(HoldProduce, "")
		deadline := time.Now().Add(time.Minute)
		for !held() && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		for i := range 600 {
			if !held() {
				t.Fatalf("after %d00 ms of a hold: %+v", i, run.Status())
			}
			time.Sleep(100 * time.Millisecond)
		}
		few.Remove()
		r.exactlyOnce(r.chains(r.audited(2)), rigInput, 0, 2)
		r.eventually("ready", func() bool { return run.Status().Ready })
		run.stop()
	})
}

// TestNoVerdict: a partition whose commit nobody looked at is neither consumed nor
// dropped without a word.
func TestNoVerdict(t *testing.T) {
	r := newRig(t)
	s := r.session()
	unseen := map[string]map[int32]kgo.Offset{rigInput: {7: kgo.NewOffset().At(0)}}
	if got, err := s.adjust(t.Context(), unseen); !errors.Is(err, errNoVerdict) || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// A broker may not know yet of a partition that was just added and that the group has
// already assigned: where its log starts is asked for again.
func TestPartitionNotKnownYet(t *testing.T) {
	r := newRig(t)
	s := r.session()
	top, err := askTopology(t.Context(), s.cl, s.w.allTopics)
	if err != nil {
		t.Fatal(err)
	}
	added := kmsg.OffsetFetchResponseGroupTopic{Topic: rigInput, Partitions: []kmsg.OffsetFetchResponseGroupTopicPartition{{Partition: 2, Offset: -1}}}
	s.verdicts = map[string]map[int32]verdict{}
	if _, err := s.judgeTopic(top, rigInput, &added); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("judged with %v", err)
	}
	if v := s.verdicts[rigInput][2]; v.lane != nil || v.park != nil {
		t.Errorf("verdict %+v", v)
	}
}
