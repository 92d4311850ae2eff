package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/pipeline"
)

// TestKafkaRestarted: the broker is killed, and restarted, while records flow.
func TestKafkaRestarted(t *testing.T) {
	t.Parallel()
	s := servers(t)
	s.gather()
	d := s.start().ready()
	stop := s.under()
	for _, action := range []string{"kill-kafka", "restart-kafka"} {
		time.Sleep(time.Second)
		s.server(action)
		if action == "kill-kafka" {
			s.eventually("the loss of Kafka is shown", func() bool { st, ready := d.status(); return !ready && len(st.Holds) > 0 })
			s.server("start-kafka")
		}
	}
	time.Sleep(time.Second)
	stop()
	s.settled()
	d.ready().stop()
}

// TestTopicRecreated: an input topic is deleted and created again, and the
// group's offsets are still, or again, those of the old one: brokers keep them
// for a while, a commit can race the deletion (it goes by name),
// and backups bring them back. They would skip the new topic's first records:
// its lanes are parked instead, the others run on, and the command that health
// names mends it.
func TestTopicRecreated(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		d := s.start().ready()
		s.everybody()
		s.audited()
		d.stop()
		old, err := s.adm.FetchOffsets(t.Context(), s.name)
		s.must(err)
		s.recreate("events")
		s.everybody()
		s.must(s.adm.CommitAllOffsets(t.Context(), s.name, old.Offsets()))
		d = s.start()
		for p := range int32(2) {
			d.parks(s.topic("events"), p, pipeline.ParkTopicRecreated, "consentstream lane reset")
		}
		s.everybody()
		s.auditedBut(func(in *input) bool { return in.topic == s.topic("events") })
		d.stop()
		for p := range int32(2) {
			s.reset("events", p, 0)
		}
		d = s.start()
		s.settled()
		d.ready().stop()
	})
}

// TestTopicRecreatedUnderLoad: the same under a running daemon. What becomes of
// the offsets is a race in the broker: where they are gone in time the new
// topic's lanes begin by themselves, else they are parked, and reset here.
func TestTopicRecreatedUnderLoad(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		d := s.start().ready()
		s.everybody()
		s.audited()
		s.recreate("events")
		s.everybody()
		contacts := func(in *input) bool { return in.topic == s.topic("events") }
		s.auditedBut(contacts)
		var parked []*pipeline.Parked
		s.eventually("the new topic's lanes run or are parked", func() bool {
			st, _ := d.status()
			parked = st.Parked
			return len(parked) > 0 || st.Ready && len(s.read(s.topic("consent.audit"))) >= 2*4*len(crowd)
		})
		if len(parked) > 0 {
			d.parks(s.topic("events"), 0, pipeline.ParkTopicRecreated, "consentstream lane reset")
			d.parks(s.topic("events"), 1, pipeline.ParkTopicRecreated, "consentstream lane reset")
			d.stop()
			s.reset("events", 0, 0)
			s.reset("events", 1, 0)
			d = s.start()
		}
		s.settled()
		d.ready().stop()
	})
}

func (s *site) recreate(stream string) {
	s.t.Helper()
	_, err := s.adm.DeleteTopics(s.t.Context(), s.topic(stream))
	s.must(err)
	for _, t := range s.topics() {
		if t.Name != s.topic(stream) {
			continue
		}
		s.eventually("the topic can be created again", func() bool {
			created, err := s.adm.CreateTopic(s.t.Context(), t.Partitions, 1, nil, t.Name)
			s.ids[t.Name] = created.ID
			return err == nil
		})
		s.cl.PurgeTopicsFromClient(t.Name)
	}
}

// reset is `consentstream lane reset`.
func (s *site) reset(stream string, partition int32, to int64) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	e, err := s.build().app.Lanes()
	s.must(err)
	if _, err := e.LaneReset(ctx, s.topic(stream), partition, pipeline.Reset{To: to, Reason: "test"}); err != nil {
		s.t.Fatalf("lane reset of %s/%d: %v", stream, partition, err)
	}
}

// nextSource says where `lane show` has the lane stand.
func (s *site) nextSource(stream string, partition int32) int64 {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	e, err := s.build().app.Lanes()
	s.must(err)
	st, err := e.LaneShow(ctx, s.topic(stream), partition)
	s.must(err)
	return st.NextSource
}

// TestOffsetsDeleted: somebody deleted the group's offset of one lane, or the
// whole group. Starting over would decide every record twice: the lanes are
// parked, and `lane reset` goes on where their audit ends.
func TestOffsetsDeleted(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprintf("whole group %v", whole), func(t *testing.T) {
			each(t, func(s *site) {
				s.gather()
				d := s.start().ready()
				s.everybody()
				s.audited()
				d.stop()
				s.deleteOffsets(whole)
				s.everybody()
				d = s.start()
				d.parks(s.topic("events"), 1, pipeline.ParkAuditHolds, "consentstream lane reset")
				if whole {
					d.parks(s.topic("contacts"), 0, pipeline.ParkAuditHolds, "consentstream lane reset")
				}
				s.auditedBut(func(in *input) bool { return whole || in.topic == s.topic("events") && in.partition == 1 })
				d.stop()
				s.resetAll(whole)
				d = s.start()
				s.settled()
				d.ready().stop()
			})
		})
	}
}

func (s *site) deleteOffsets(whole bool) {
	s.t.Helper()
	if whole {
		_, err := s.adm.DeleteGroup(s.t.Context(), s.name)
		s.must(err)
		return
	}
	var set kadm.TopicsSet
	set.Add(s.topic("events"), 1)
	resp, err := s.adm.DeleteOffsets(s.t.Context(), s.name, set)
	s.must(err)
	s.must(resp.Error())
}

func (s *site) resetAll(whole bool) {
	s.t.Helper()
	for _, stream := range []string{"events", "contacts"} {
		for p := range int32(2) {
			if whole || stream == "events" && p == 1 {
				s.reset(stream, p, s.nextSource(stream, p))
			}
		}
	}
}

// TestForeignTransaction: somebody else's open transaction on the consent topic
// hides an acknowledged withdrawal behind it. Nothing is decided until it ends,
// and the reason says that it is not the projector's fault.
func TestForeignTransaction(t *testing.T) {
	for _, commit := range []bool{true, false} {
		t.Run(fmt.Sprintf("commit %v", commit), func(t *testing.T) {
			each(t, func(s *site) {
				s.gather()
				s.says("bob", "grant")
				d := s.start().ready()
				s.everybody()
				s.audited()
				foreign := s.client(kgo.TransactionalID(s.name+".foreign"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(time.Minute))
				s.must(foreign.BeginTransaction())
				r := &kgo.Record{Topic: s.topic("consent.events"), Partition: partitionOf("bob"), Key: []byte("crm:bob"), Value: s.event("bob", "restrict")}
				s.must(foreign.ProduceSync(t.Context(), r).FirstErr())
				s.saysTo(partitionOf("bob"), "alice", "withdraw")
				s.everybody()
				s.send("events", 0, "bob")
				before := s.outputs()
				d.holds(pipeline.HoldConsentTxn, "kafka-transactions --bootstrap-server "+s.kafka+" find-hanging --topic "+s.topic("consent.events"))
				time.Sleep(300 * time.Millisecond)
				if n := s.outputs(); n != before {
					t.Errorf("%d outputs while the transaction was open", n-before)
				}
				if commit {
					s.said("bob", "restrict")
				}
				s.must(foreign.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)))
				s.settled()
				d.ready().stop()
			})
		})
	}
}
