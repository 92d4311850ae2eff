package pipeline

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// No transaction begins before the last one is over in all partitions that it had,
// whichever way it ended. What the broker gave up of it ends in that way, too.
func TestHangingInSession(t *testing.T) {
	for _, commit := range []bool{true, false} {
		t.Run(fmt.Sprintf("commit %v", commit), func(t *testing.T) {
			r := newRig(t)
			r.began()
			b := r.hangs("")
			b.leaves(false)
			s := r.session()
			b.ended(s, commit)
			if err := s.lastOver(t.Context()); err != nil {
				t.Fatalf("all is over, and it says %v", err)
			}
			b.ended(s, commit)
			b.leaves(true)
			if err := s.transact(t.Context()); !errors.Is(err, errRebuild) {
				t.Fatalf("it goes on: %v", err)
			}
			b.tells("Empty") // as after a settle that was cut short
			err := s.w.settle(t.Context())
			b.mu.Lock()
			defer b.mu.Unlock()
			if err != nil || len(b.ends) != 1 || b.ends[0] != commit || s.w.last != outcomeUnknown {
				t.Errorf("%v, ended as %v, want %v; outcome %d", err, b.ends, commit, s.w.last)
			}
		})
	}
}

// Markers that come late are awaited, not more.
func TestHangingLate(t *testing.T) {
	r := newRig(t)
	r.began()
	b := r.hangs("")
	b.leaves(false)
	s := r.session()
	b.ended(s, true)
	b.leaves(true)
	asked := 0
	b.instead(kmsg.DescribeTransactions, func(kmsg.Request) kmsg.Response {
		b.state = "PrepareCommit"
		if asked++; asked == 3 {
			b.open, b.state = false, "CompleteCommit"
		}
		return nil
	})
	if err := s.lastOver(t.Context()); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

// The group's offsets are looked for where Kafka has them (numbers from Java).
func TestOffsetsPartition(t *testing.T) {
	for group, want := range map[string]int32{"": 0, "enforcers": 31, "consentstream": 24, "polygenelubricants": 0, "Größe": 35} {
		if got := offsetsPartition(group, 50); got != want {
			t.Errorf("%q is in %d, want %d", group, got, want)
		}
	}
}

// ended runs a transaction of the session with one record in audit partition 1.
func (b *hangingBroker) ended(s *session, commit bool) {
	b.t.Helper()
	f, err := s.takeFence(b.t.Context())
	if err == nil {
		err = s.begin()
	}
	s.ended = false
	s.sheet.add(-1, b.cfg.Topics.Audit, 1).Value = []byte("{}")
	if err == nil {
		err = s.produce()
	}
	if err == nil && commit {
		err = s.commit(f, 0)
	} else if err == nil {
		err = s.abort(errRetry)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	s.clear()
}

// Of the group's offsets only the partition that has them matters: others may be without a
// leader, and are other groups'.
func TestHangingOffsets(t *testing.T) {
	r := newRig(t)
	r.began()
	if _, err := r.adm.CreateTopic(t.Context(), 4, 1, nil, offsetsTopic); err != nil {
		t.Fatal(err)
	}
	ours := offsetsPartition(rigGroup, 4)
	b := r.hangs("CompleteCommit")
	b.leaves(false)
	pending := true
	b.instead(kmsg.DescribeProducers, func(req kmsg.Request) kmsg.Response {
		resp := b.producers(req).(*kmsg.DescribeProducersResponse)
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				switch p := &resp.Topics[i].Partitions[j]; {
				case resp.Topics[i].Topic != offsetsTopic:
				case p.Partition != ours:
					p.ErrorCode = kerr.LeaderNotAvailable.Code
				case pending:
					p.ActiveProducers[0].CurrentTxnStartOffset = 7
				}
			}
		}
		return resp
	})
	var ends []bool
	b.instead(kmsg.EndTxn, func(req kmsg.Request) kmsg.Response {
		ends, pending, b.state = append(ends, req.(*kmsg.EndTxnRequest).Commit), false, ""
		return nil
	})
	s := r.session()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(ends) != 1 || !ends[0] || s.w.offsetsAt != ours {
		t.Errorf("ended as %v (commit: true), the offsets are in %d, want %d", ends, s.w.offsetsAt, ours)
	}
}
