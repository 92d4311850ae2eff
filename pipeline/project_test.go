package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/consent/redisstore"
	"github.com/consentstream/consentstream/internal/devstack"
)

// TestProjectorReachesTheEnd: over plain events, markers, aborted tails and
// empty partitions the watermark comes to stand at the high watermark exactly.
func TestProjectorReachesTheEnd(t *testing.T) {
	tests := []struct {
		name string
		log  func(w *consentWorld)
		rows []string
		none []string
	}{
		{"empty topic", func(*consentWorld) {}, nil, []string{"1"}},
		{"plain", func(w *consentWorld) {
			w.send(consentRecord(0, "1", "grant"), consentRecord(1, "2", "withdraw"), consentRecord(0, "1", "withdraw"))
		}, []string{"1", "2"}, []string{"3"}},
		{"committed transaction", func(w *consentWorld) {
			w.transaction(kgo.TryCommit, consentRecord(0, "1", "withdraw"))
		}, []string{"1"}, nil},
		{"aborted only", func(w *consentWorld) { w.transaction(kgo.TryAbort, consentRecord(1, "1", "grant")) }, nil, []string{"1"}},
		{"plain and aborted tail", func(w *consentWorld) {
			w.send(consentRecord(1, "1", "withdraw"))
			w.transaction(kgo.TryAbort, consentRecord(1, "2", "grant"), consentRecord(1, "2", "grant"))
		}, []string{"1"}, []string{"2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inConsentWorld(t, func(w *consentWorld) {
				tt.log(w)
				p, stop := w.start()
				defer stop()
				w.settle()
				w.send(consentRecord(1, "later", "withdraw")) // and it goes on from there
				w.settle()
				w.wantRows(append(tt.rows, "later")...)
				for _, s := range tt.none {
					if w.row(s) != nil {
						t.Errorf("subject %s has a row", s)
					}
				}
				if st := p.Status(); !st.Leading || st.Hold != nil || st.Conflicts != 0 {
					t.Errorf("%+v", st)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestProjectorHeals: whatever is done to Redis while no event comes is found
// and mended from the topic.
func TestProjectorHeals(t *testing.T) {
	for name, harm := range map[string]func(w *consentWorld){
		"flushed":  func(w *consentWorld) { w.stack.Redis.FlushAll() },
		"a bucket": func(w *consentWorld) { w.stack.Redis.Del(w.store.Key(2)) },
		"a type":   func(w *consentWorld) { w.stack.Redis.Del(w.store.Key(2)); _ = w.stack.Redis.Set(w.store.Key(2), "x") },
		"every type": func(w *consentWorld) {
			w.stack.Redis.FlushAll()
			for b := range 4 {
				_ = w.stack.Redis.Set(w.store.Key(b), "x")
			}
		},
		"watermark": func(w *consentWorld) { w.stack.Redis.HDel(w.store.Key(1), "w") },
		"all rows": func(w *consentWorld) {
			for b := range 4 {
				fields, _ := w.stack.Redis.HKeys(w.store.Key(b))
				for _, f := range fields {
					if f != "w" {
						w.stack.Redis.HDel(w.store.Key(b), f)
					}
				}
			}
		},
		"errors for a while": func(w *consentWorld) {
			w.stack.Redis.SetError("LOADING")
			time.Sleep(3 * time.Second)
			w.stack.Redis.FlushAll()
			w.stack.Redis.SetError("")
			devstack.BePrimary(w.stack.Redis)
		},
		"restored backup": func(w *consentWorld) {
			key := w.store.Key(3)
			old := map[string]string{}
			fields, _ := w.stack.Redis.HKeys(key)
			for _, f := range fields {
				old[f] = w.stack.Redis.HGet(key, f)
			}
			w.send(consentRecord(0, "9", "withdraw"))
			w.settle()
			w.stack.Redis.Del(key)
			for f, v := range old {
				w.stack.Redis.HSet(key, f, v)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inConsentWorld(t, func(w *consentWorld) {
				var subjects []string
				for i := range 20 {
					s := fmt.Sprint("s", i)
					subjects = append(subjects, s)
					w.send(consentRecord(int32(i%2), s, "withdraw"))
				}
				_, stop := w.start()
				defer stop()
				w.settle()
				harm(w)
				time.Sleep(2 * time.Second)
				w.settle()
				w.wantRows(subjects...)
			})
		})
	}
}

// TestProjectorStops: another history is not projected onto this one's state.
func TestProjectorStops(t *testing.T) {
	admin := func(w *consentWorld) *kadm.Client { return kadm.NewClient(w.cl) }
	recreate := func(w *consentWorld, partitions int32) {
		if _, err := admin(w).DeleteTopic(w.t.Context(), devstack.ConsentTopic); err != nil {
			w.t.Fatal(err)
		}
		if err := w.stack.CreateTopic(devstack.Topic{Name: devstack.ConsentTopic, Partitions: partitions}); err != nil {
			w.t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		do   func(w *consentWorld)
		want string
	}{
		"recreated": {func(w *consentWorld) { recreate(w, worldPartitions) }, "created again"},
		"partition added": {func(w *consentWorld) {
			if _, err := admin(w).CreatePartitions(w.t.Context(), 1, devstack.ConsentTopic); err != nil {
				w.t.Fatal(err)
			}
		}, "has 3 partitions, not 2"},
		"history deleted": {func(w *consentWorld) {
			w.stack.Redis.FlushAll()
			var to kadm.Offsets
			to.Add(kadm.Offset{Topic: devstack.ConsentTopic, Partition: 0, At: 1, LeaderEpoch: -1})
			if _, err := admin(w).DeleteRecords(w.t.Context(), to); err != nil {
				w.t.Fatal(err)
			}
		}, "were deleted"},
		"state ahead of the topic": {func(w *consentWorld) {
			p := &redisstore.Page{Bucket: 1}
			if err := errors.Join(w.store.Load(w.t.Context(), []*redisstore.Page{p}), p.Err); err != nil {
				w.t.Fatal(err)
			}
			p.Next = consent.Vector{99, 99}
			if err := errors.Join(w.store.Apply(w.t.Context(), []*redisstore.Page{p}), p.Err); err != nil {
				w.t.Fatal(err)
			}
		}, "lost acknowledged events"},
	} {
		t.Run(name, func(t *testing.T) {
			inConsentWorld(t, func(w *consentWorld) {
				w.send(consentRecord(0, "1", "withdraw"), consentRecord(0, "2", "withdraw"))
				p, stop := w.start()
				w.settle()
				tt.do(w)
				time.Sleep(5 * time.Second)
				err := stop()
				var s *Stop
				if !errors.As(err, &s) || !strings.Contains(s.Reason, tt.want) {
					t.Errorf("%v, want %q; %+v\n%s", err, tt.want, p.Status().Hold, w.log.String())
				}
			})
		})
	}
}

// TestMalformedConsent: a malformed event denies where its subject is readable,
// is set aside in any case, and stops nothing. Nothing of it gets into the log.
func TestMalformedConsent(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		canary := "canary-7f3a"
		w.send(
			&kgo.Record{Topic: devstack.ConsentTopic, Key: []byte("crm:" + canary), Value: []byte(`{"id":"x","subject":{"namespace":"crm","value":"` + canary + `"},"action":"canary-7f3a"}`)},
			&kgo.Record{Topic: devstack.ConsentTopic, Key: []byte(canary), Value: []byte("{" + canary)},
			&kgo.Record{Topic: devstack.ConsentTopic, Key: []byte("crm:2"), Value: nil},
			consentRecord(0, "3", "withdraw"),
			&kgo.Record{Topic: devstack.ConsentTopic, Key: []byte("crm:4"), Value: consentRecord(0, "5", "withdraw").Value},
			&kgo.Record{Topic: devstack.ConsentTopic, Key: []byte("crm:6"), Value: bytes.Join([][]byte{consentRecord(0, "7", "withdraw").Value, consentRecord(0, "8", "erase").Value}, nil)},
		)
		p, stop := w.start()
		defer stop()
		w.settle()
		w.wantRows("3")
		for _, s := range []string{canary, "2", "4", "5", "6", "7", "8"} {
			if row := w.row(s); row == nil || row.Malformed == -consent.Infinite {
				t.Errorf("%s: the malformed event does not deny: %+v", s, row)
			}
		}
		if st := p.Status(); st.Malformed != 5 || st.Events != 5 || st.Unattributed != 1 || len(w.bad) != 5 {
			t.Errorf("%+v, quarantined %v", st, w.bad)
		}
		if err := stop(); err != nil || strings.Contains(w.log.String(), "canary") {
			t.Error("the log repeats a consent event:", err, w.log.String())
		}
	})
}

// TestOverflownRow: more than a row holds denies for good, and the log says which
// event it was, once.
func TestOverflownRow(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		var names []string
		for i := range 64 {
			names = append(names, fmt.Sprintf(`"%0128d"`, i))
		}
		for i := range 4 {
			w.send(&kgo.Record{Topic: devstack.ConsentTopic, Key: []byte("crm:1"), Value: fmt.Appendf(nil,
				`{"id":"x","subject":{"namespace":"crm","value":"1"},"action":"grant","purposes":["a%d","b%d","c%d"],"recipients":[%s]}`, i, i, i, strings.Join(names, ","))})
		}
		p, stop := w.start()
		defer stop()
		w.settle()
		if row := w.row("1"); row == nil || !row.Overflown() || len(w.bad) != 0 {
			t.Errorf("%d slots, quarantined %v, %+v", len(row.Slots), w.bad, p.Status())
		}
		if err := stop(); err != nil || strings.Count(w.log.String(), "does not fit") != 1 || !strings.Contains(w.log.String(), `"offset":2`) {
			t.Error(err, w.log.String())
		}
	})
}

// TestManyMalformed: everybody waits while malformed events are made durable, so
// those of a batch are written at once; and the log does not have a line for each.
func TestManyMalformed(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		const n = 1000
		records := make([]*kgo.Record, n)
		for i := range records {
			records[i] = consentRecord(0, "1", "grunt")
		}
		w.send(records...)
		p, stop := w.start()
		w.settle()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if len(w.bad) != n || w.asked > n/10 || p.Status().Malformed != n {
			t.Errorf("%d of %d in quarantine, in %d steps; status %+v", len(w.bad), n, w.asked, p.Status())
		}
		if lines := bytes.Count(w.log.Bytes(), []byte("malformed consent event")); lines < 1 || lines > 100 {
			t.Errorf("%d log lines", lines)
		}
	})
}

func TestProjectorConfig(t *testing.T) {
	if _, err := NewProjector(ProjectorConfig{}); err == nil || !strings.Contains(err.Error(), "Store") {
		t.Error(err)
	}
}
