package pipeline

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/internal/devstack"
)

// stallJoins answers no join from now on, as a broker does whose group has a
// member that is gone: until the rebalance timeout. joined is closed when somebody
// waits for such an answer. over ends that, and returns when the broker has woken up:
// one that is closed while it does never ends.
func stallJoins(stack *devstack.Stack) (joined chan struct{}, over func()) {
	joined = make(chan struct{})
	end := make(chan struct{})
	var stalled sync.WaitGroup
	first := true
	stack.Kafka.ControlKey(kmsg.JoinGroup.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		stalled.Add(1)
		defer stalled.Done()
		stack.Kafka.KeepControl()
		if first {
			first = false
			close(joined)
		}
		stack.Kafka.SleepControl(func() { <-end })
		return nil, nil, false
	})
	return joined, func() {
		close(end)
		stalled.Wait()
	}
}

// endPatience is what somebody has who stops a process, less than Kubernetes'
// 30 seconds.
const endPatience = 15 * time.Second

// A process that is told to stop ends soon, although its group is rebalancing and
// the broker does not answer its join.
func TestStopWhileJoining(t *testing.T) {
	r := newRig(t)
	joined, over := stallJoins(r.stack)
	defer over()
	run := r.start()
	<-joined
	run.cancel()
	select {
	case <-run.done:
	case <-time.After(endPatience):
		t.Fatal("Run does not return")
	}
}

// The same of the projector's group; the minute is virtual time.
func TestStopProjectorWhileJoining(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		joined, over := stallJoins(w.stack)
		defer over()
		_, stop := w.start()
		<-joined
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > endPatience {
			t.Errorf("Run returns after %v", took)
		}
	})
}

// A process hears that another one is this member also in a poll that would be
// dropped, because its lanes are gone: kgo says it once.
func TestFencedWithLanesLost(t *testing.T) {
	r := newRig(t)
	s := r.session()
	s.losses = s.lanes.losses()
	r.stack.Kafka.ControlKey(kmsg.Heartbeat.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.stack.Kafka.KeepControl()
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.FencedInstanceID.Code
		return resp, nil, true
	})
	r.eventually("the lanes are lost", func() bool { return s.lanes.losses() != s.losses })
	var stop *Stop
	r.eventually("it is said why", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := s.poll(ctx, 1)
		return errors.As(err, &stop)
	})
}

// A process hears that another one is this member from the heartbeat that is part of a
// commit, which ends without a word of that. It stops all the same, and does not
// throw the newer one out by beginning again.
func TestFencedInCommit(t *testing.T) {
	r := newRig(t)
	var fenced atomic.Bool
	r.stack.Kafka.ControlKey(kmsg.TxnOffsetCommit.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.stack.Kafka.KeepControl()
		fenced.Store(true)
		return nil, nil, false
	})
	r.stack.Kafka.ControlKey(kmsg.Heartbeat.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.stack.Kafka.KeepControl()
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.FencedInstanceID.Code
		return resp, nil, fenced.Load()
	})
	r.stack.Kafka.ControlKey(kmsg.DescribeGroups.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.stack.Kafka.KeepControl()
		newer := kmsg.NewDescribeGroupsResponseGroupMember()
		newer.MemberID, newer.InstanceID = "newer", kmsg.StringPtr(rigGroup+".0.0")
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.Group, g.State, g.Members = rigGroup, "Stable", append(g.Members, newer)
		resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
		resp.Groups = append(resp.Groups, g)
		return resp, nil, fenced.Load()
	})
	var joins atomic.Int64
	r.stack.Kafka.ControlKey(kmsg.JoinGroup.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.stack.Kafka.KeepControl()
		if fenced.Load() {
			joins.Add(1)
		}
		return nil, nil, false
	})
	r.input(rigInput, 0, 1)
	run := r.start()
	var stop *Stop
	if err := run.wait(); !errors.As(err, &stop) || !strings.Contains(stop.Reason, "another process uses instance 0") || joins.Load() > 0 {
		t.Errorf("ended with %v after %d joins", err, joins.Load())
	}
}

// refuseCommits answers every commit of offsets with an error.
func (r *rig) refuseCommits(why *kerr.Error) (over func()) {
	var ended atomic.Bool
	r.stack.Kafka.ControlKey(kmsg.TxnOffsetCommit.Int16(), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		if ended.Load() {
			return nil, nil, false
		}
		r.stack.Kafka.KeepControl()
		req := kreq.(*kmsg.TxnOffsetCommitRequest)
		resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		for _, t := range req.Topics {
			of := kmsg.TxnOffsetCommitResponseTopic{Topic: t.Topic, TopicID: t.TopicID}
			for _, p := range t.Partitions {
				of.Partitions = append(of.Partitions, kmsg.TxnOffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: why.Code})
			}
			resp.Topics = append(resp.Topics, of)
		}
		return resp, nil, true
	})
	return func() { ended.Store(true) }
}

// A process hears from the group, when it commits, that another one is this member.
// Taken for a commit of which nothing is known, that made it join again and throw
// out the one that had replaced it.
func TestFencedByCommit(t *testing.T) {
	r := newRig(t)
	r.refuseCommits(kerr.FencedInstanceID)
	r.input(rigInput, 0, 1)
	run := r.start()
	var stop *Stop
	if err := run.wait(); !errors.As(err, &stop) || !strings.Contains(stop.Reason, "another process uses instance") {
		t.Errorf("the run ended with %v", err)
	}
}

// endOnce answers the first commit with an error, after a while.
func (r *rig) endOnce(why *kerr.Error, after time.Duration) {
	r.stack.Kafka.ControlKey(kmsg.EndTxn.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		time.Sleep(after)
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = why.Code
		return resp, nil, true
	})
}

// A successor ends the transaction of the one before it in the middle of its commit.
// The broker names the state or the epoch then and not the successor, and who began
// again would throw the successor out. In time, no other can have ended it.
func TestTransactionEndedByOther(t *testing.T) {
	for _, why := range []*kerr.Error{kerr.InvalidTxnState, kerr.InvalidProducerEpoch} {
		t.Run(why.Message, func(t *testing.T) {
			r := newRig(t)
			r.endOnce(why, 0)
			r.input(rigInput, 0, 1)
			var stop *Stop
			if err := r.start().wait(); !errors.As(err, &stop) || !strings.Contains(stop.Reason, "another process uses instance") {
				t.Errorf("the run ended with %v", err)
			}
		})
	}
}

// What was held before it is no part of that time: the broker knows of a transaction
// from its first record on.
func TestTransactionBegins(t *testing.T) {
	r := newRig(t)
	s := r.session()
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	s.begun = s.begun.Add(-time.Hour) // held
	s.sheet.add(-1, r.cfg.Topics.Policies, 0).Value = []byte("{}")
	if err := s.produce(); err != nil {
		t.Fatal(err)
	}
	if age := time.Since(s.begun); age > time.Minute {
		t.Errorf("the transaction counts as %v old", age)
	}
}

// A transaction older than its timeout was ended by the broker, which fences its
// producer with the same words as another process does, unless the group has another
// member in our place: that one must not be thrown out.
func TestSuperseded(t *testing.T) {
	r := newRig(t)
	s := r.session()
	s.begun = time.Now().Add(-time.Hour)
	if err := s.superseded(t.Context()); !errors.Is(err, errRebuild) {
		t.Errorf("by nobody: %v", err)
	}
	r.client(kgo.ConsumerGroup(rigGroup), kgo.InstanceID(s.w.id), kgo.ConsumeTopics(rigInput))
	r.eventually("the other one is seen", func() bool {
		var stop *Stop
		return errors.As(s.superseded(t.Context()), &stop)
	})
}

// The same answer to a transaction older than its timeout means that the broker has
// ended it: the process goes on.
func TestTransactionTimedOut(t *testing.T) {
	r := newRig(t)
	r.cfg.Limits.Txn = time.Second
	r.endOnce(kerr.InvalidTxnState, time.Second)
	r.input(rigInput, 0, 1)
	run := r.start()
	r.exactlyOnce(r.chains(r.audited(1)), rigInput, 0, 1)
	run.stop()
}

// A commit that never has a result is begun again for ever: health says so, with a
// command where there is one, until a commit succeeds.
func TestCommitUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		why  *kerr.Error
		code HoldCode
		mend string
	}{
		"not allowed": {kerr.GroupAuthorizationFailed, HoldUnauthorized, "kafka-acls"},
		"other":       {kerr.InvalidCommitOffsetSize, HoldCommit, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			over := r.refuseCommits(c.why)
			r.input(rigInput, 0, 1)
			run := r.start()
			held := run.held(c.code, c.mend)
			r.eventually("held", held)
			for range 200 {
				if time.Sleep(5 * time.Millisecond); !held() {
					t.Fatalf("held no more, though nothing was committed: %+v", run.Status())
				}
			}
			over()
			r.exactlyOnce(r.chains(r.audited(1)), rigInput, 0, 1)
			r.eventually("ready", func() bool { return run.Status().Ready })
			run.stop()
		})
	}
}

// committedUnsaid lets the broker commit the first transaction and answer that it
// does not know what happened.
func (r *rig) committedUnsaid() {
	var began atomic.Bool
	r.stack.Kafka.ControlKey(kmsg.EndTxn.Int16(), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		if began.Swap(true) {
			return nil, nil, false // our own, below
		}
		resp := kreq.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		r.stack.Kafka.SleepControl(func() {
			if _, err := kreq.(*kmsg.EndTxnRequest).RequestWith(context.Background(), r.cl); err != nil {
				r.t.Error(err)
			}
		})
		return resp, nil, true
	})
}

// A commit that the broker made without knowing it is not made again: kgo takes such
// an answer for an abort, and would read the same records once more.
func TestCommittedUnsaid(t *testing.T) {
	r := newRig(t)
	r.committedUnsaid()
	r.input(rigInput, 0, 1, 2, 3)
	run := r.start()
	r.audited(3)
	r.input(rigInput, 0, 4)
	r.exactlyOnce(r.chains(r.audited(4)), rigInput, 0, 4)
	run.stop()
}

// Where that is the answer again and again, health says so.
func TestCommitsUnsaid(t *testing.T) {
	r := newRig(t)
	unsaid := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, TopLevel: true, Err: kerr.UnknownServerError, Count: -1})
	r.input(rigInput, 0, 1)
	run := r.start()
	r.eventually("held", run.held(HoldCommit, ""))
	unsaid.Remove()
	r.exactlyOnce(r.chains(r.audited(1)), rigInput, 0, 1)
	r.eventually("ready", func() bool { return run.Status().Ready })
	run.stop()
}
