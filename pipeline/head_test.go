package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
)

// TestNextHead: a lane that was assigned while the transaction ran may stand
// above its fence and time; neither falls.
func TestNextHead(t *testing.T) {
	w := &worker{revision: 3, keyEpoch: 2}
	f := &fence{vector: consent.Vector{5, 9, 2}}
	l := &lane{head: audit.Head{Fence: []int64{7, 1, 2}, DecidedAt: 100, NextIndex: 4, Revision: 2, KeyEpoch: 1}, inBatch: true}
	l.next.Next = 6
	if h := w.nextHead(l, f, 90); !slices.Equal(h.Fence, []int64{7, 9, 2}) || h.DecidedAt != 100 || h.NextIndex != 6 || h.Revision != 3 || h.KeyEpoch != 2 {
		t.Errorf("head %+v", h)
	}
	if f.vector[0] != 5 || l.head.Fence[1] != 1 {
		t.Error("the fence is shared between lanes")
	}
	l.inBatch = false
	if h := w.nextHead(l, f, 200); h.DecidedAt != 100 || h.NextIndex != 4 {
		t.Errorf("an idle lane claims decisions: %+v", h)
	}
}

// TestFillCommit: the commit holds every lane that the worker owns at that
// moment, idle ones too, and is vetoed where it would hold anything else.
func TestFillCommit(t *testing.T) {
	cfg := &Config{Keys: ringOf(t, 1), Now: time.Now, Limits: Limits{}.withDefaults()}
	w := &worker{cfg: cfg, keyEpoch: 1}
	ask := func(partitions ...int32) *kmsg.TxnOffsetCommitRequest {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic = "events"
		for _, p := range partitions {
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset = p, 77
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		return req
	}
	cases := map[string]struct {
		harm func(s *session, f *fence)
		ask  *kmsg.TxnOffsetCommitRequest
		want []int32 // nil: vetoed
	}{
		"all lanes":            {ask: ask(0, 1), want: []int32{0, 1}},
		"also idle ones":       {ask: ask(0), want: []int32{0, 1}},
		"a partition not ours": {ask: ask(0, 2)},
		"lost":                 {ask: ask(1), harm: func(s *session, _ *fence) { s.lanes.remove(map[string][]int32{"events": {0}}) }},
		"lost, and back": {ask: ask(0, 1), harm: func(s *session, _ *fence) {
			s.lanes.add(&lane{topic: "events", Lane: s.active[0].Lane})
		}},
		"an idle one lost": {ask: ask(0), want: []int32{0}, harm: func(s *session, _ *fence) { s.lanes.remove(map[string][]int32{"events": {1}}) }},
		"an old fence":     {ask: ask(0, 1), harm: func(_ *session, f *fence) { f.at = f.at.Add(-cfg.Limits.FenceAge - time.Millisecond) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, f := &session{w: w, batch: &engine.Batch{}}, &fence{vector: consent.Vector{1}, at: time.Now()}
			for p := range int32(2) {
				l := &lane{topic: "events", position: int64(10 * p)}
				l.Partition = p
				s.lanes.add(l)
			}
			s.active = []*lane{s.lanes.get("events", 0)}
			if c.harm != nil {
				c.harm(s, f)
			}
			err := s.fillCommit(c.ask, f, 1)
			if c.want == nil {
				if !errors.Is(err, errVeto) {
					t.Fatalf("not vetoed: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []int32
			for _, p := range c.ask.Topics[0].Partitions {
				got = append(got, p.Partition)
				if p.Offset != int64(10*p.Partition) || p.Metadata == nil || *p.Metadata == "" {
					t.Errorf("partition %d: offset %d, metadata %v", p.Partition, p.Offset, p.Metadata)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("committed %v, want %v", got, c.want)
			}
		})
	}
}

// ringOf is a key file of n epochs, the last one active.
func ringOf(t *testing.T, n int) *keys.Ring {
	t.Helper()
	var epochs []int
	for e := 1; e <= n; e++ {
		epochs = append(epochs, e)
	}
	return ringOfEpochs(t, epochs...)
}

func ringOfEpochs(t *testing.T, numbers ...int) *keys.Ring {
	t.Helper()
	epochs := ""
	for i, e := range numbers {
		state := "verify"
		if i == len(numbers)-1 {
			state = "active"
		}
		epochs += fmt.Sprintf(`{"epoch":%d,"state":%q,"root":"%s"},`, e, state, string(rune('A'+e))+"AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	}
	ring, err := keys.Parse([]byte(`{"version":1,"epochs":[` + epochs[:len(epochs)-1] + `],"sign":{"id":"test","seed":"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="}}`))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// TestRotatedKeys: with a new active epoch idle lanes too are committed under
// it, so that the old one can go once all heads name the new.
func TestRotatedKeys(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Keys = ringOf(t, 1) })
	r.began()
	r.cfg.Keys = ringOf(t, 2)
	run := r.start()
	r.eventually("both lanes are committed under epoch 2", func() bool {
		h := r.heads(rigInput)
		return len(h) == 2 && h[0].KeyEpoch == 2 && h[1].KeyEpoch == 2
	})
	r.input(rigInput, 0, 2)
	r.chains(r.audited(2))
	run.stop()
}

// TestConsentPartitions: a consent topic that grows holds everything and says
// what to do, since subjects move to other partitions (DECISION D5).
func TestConsentPartitions(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.input(rigInput, 0, 1)
	r.audited(1)
	if _, err := kadm.NewClient(r.client()).CreatePartitions(t.Context(), 1, "consent.events"); err != nil {
		t.Fatal(err)
	}
	r.input(rigInput, 0, 2)
	r.eventually("hold", func() bool {
		st := run.Status()
		return len(st.Holds) == 1 && st.Holds[0].Code == HoldConsentTopic && st.Holds[0].Detail == "partition_count" && st.Holds[0].Mend != ""
	})
	if n := len(r.read(rigInput + ".service")); n != 1 {
		t.Errorf("%d outputs", n)
	}
	run.stop()
}
