package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/consent/redisstore"
	"github.com/consentstream/consentstream/internal/devstack"
)

type fixedStatus struct {
	enforce Status
	project ProjectorStatus
}

type (
	fixedEnforcer  struct{ *fixedStatus }
	fixedProjector struct{ *fixedStatus }
)

func (f fixedEnforcer) Status() Status           { return f.enforce }
func (f fixedProjector) Status() ProjectorStatus { return f.project }

// TestHealth: each role answers for itself, the process is ready where all of them
// are, and what somebody has to do stands in the text as a command.
func TestHealth(t *testing.T) {
	since := time.Now().Add(-90 * time.Second)
	busy := &fixedStatus{
		enforce: Status{Lanes: 3, Holds: []*Held{
			{Worker: -1, Code: HoldKafka, Since: since},
			{Worker: 0, Code: HoldStates, Detail: "unreachable", Mend: "redis-cli -h r -p 1 PING", Since: since},
			{Worker: 1, Lane: "events/2", Code: HoldRegistry, Detail: "schema", Since: since}},
			Parked: []*Parked{new(Config).newParked("events", 3, [16]byte{}, ParkCorrupt, 17)}},
		project: ProjectorStatus{Leading: true, Next: []int64{7, 5}, Ends: []int64{7, 9}, Rebuilding: true, Malformed: 2, Unattributed: 1,
			Hold: &Hold{Code: HoldStates, Detail: "slow", Mend: "redis-cli -h r -p 1 PING"}},
	}
	calm := &fixedStatus{enforce: Status{Ready: true, Lanes: 3}, project: ProjectorStatus{Leading: true, Next: []int64{7}, Ends: []int64{7}}}
	outdated := &fixedStatus{enforce: Status{Outdated: "policy_revision"}}
	cases := map[string]struct {
		health Health
		ready  bool
		text   []string
		not    []string
	}{
		"both, held": {Health{Enforcer: fixedEnforcer{busy}, Projector: fixedProjector{busy}}, false, []string{
			"NOT READY\n", "enforce: 3 lanes\n", "waiting: the start, for 1m30s: kafka_unreachable\n",
			"waiting: worker 0, for 1m30s: states (unreachable)\n    redis-cli -h r -p 1 PING\n", "waiting: events/2, for 1m30s: registry (schema)\n",
			"parked: events/3 at offset 17: batch_corrupt\n    consentstream lane show --topic events --partition 3",
			"project: rebuilding consent state from the consent topic: 4 events to go; nothing is decided meanwhile\n",
			"waiting: states (slow)\n    redis-cli -h r -p 1 PING\n", "partition 1: at 5 of 9\n", "2 malformed consent events", "1 of them may be"}, []string{"partition 0:"}},
		"both, calm":    {Health{Enforcer: fixedEnforcer{calm}, Projector: fixedProjector{calm}}, true, []string{"ready\n", "project: projecting: up to date\n"}, []string{"waiting", "NOT"}},
		"one of two":    {Health{Enforcer: fixedEnforcer{calm}, Projector: fixedProjector{busy}}, false, []string{"NOT READY\n"}, nil},
		"the other":     {Health{Enforcer: fixedEnforcer{busy}, Projector: fixedProjector{calm}}, false, []string{"NOT READY\n"}, nil},
		"project alone": {Health{Projector: fixedProjector{calm}}, true, []string{"ready\n", "project: "}, []string{"enforce"}},
		"up to date, held": {Health{Projector: fixedProjector{&fixedStatus{project: ProjectorStatus{Leading: true, Hold: &Hold{Code: HoldStates}}}}}, false,
			[]string{"project: projecting: up to date at the last look\n  waiting: states\n"}, nil},
		"standing by":     {Health{Projector: fixedProjector{&fixedStatus{}}}, true, []string{"standing by"}, nil},
		"enforce alone":   {Health{Enforcer: fixedEnforcer{calm}}, true, []string{"enforce: 3 lanes"}, []string{"project"}},
		"an outdated one": {Health{Enforcer: fixedEnforcer{outdated}}, false, []string{"outdated", "newer policy_revision"}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			handler := c.health.Handler()
			get := func(path string) *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
				return w
			}
			w := get("/readyz")
			var r Report
			if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || r.Ready != c.ready || (w.Code == http.StatusOK) != c.ready {
				t.Errorf("%d %s %v", w.Code, w.Body, err)
			}
			if got := get("/healthz").Code; got != http.StatusOK {
				t.Errorf("liveness %d", got)
			}
			if got := get("/metrics").Code; got != http.StatusNotFound {
				t.Errorf("metrics %d", got)
			}
			text := get("/status").Body.String()
			for _, want := range c.text {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			for _, not := range c.not {
				if strings.Contains(text, not) {
					t.Errorf("%q in\n%s", not, text)
				}
			}
		})
	}
}

// gated is a store whose writes wait or fail.
type gated struct {
	StateWriter
	mu   sync.Mutex
	fail error
}

func (g *gated) set(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = err
}

func (g *gated) Apply(ctx context.Context, pages []*redisstore.Page) error {
	g.mu.Lock()
	err := g.fail
	g.mu.Unlock()
	if err != nil {
		return err
	}
	return g.StateWriter.Apply(ctx, pages)
}

// TestProjectorStatus: health knows how far the projector is behind, that it makes
// the state anew, and why it waits, also while it cannot write.
func TestProjectorStatus(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		for i := range 10 {
			w.send(consentRecord(int32(i%2), "1", "withdraw"))
		}
		store := &gated{StateWriter: w.store, fail: &redisstore.Hold{Code: redisstore.OutOfMemory, Bucket: -1}}
		p, err := NewProjector(ProjectorConfig{
			SeedBrokers: []string{w.stack.KafkaAddr()}, KafkaOpts: []kgo.Opt{kgo.Dialer(w.stack.DialKafka)},
			Group: "g", Topic: devstack.ConsentTopic, Store: store, Namespaces: w.ns, TagKeys: w.keys, Log: zerolog.New(zerolog.SyncWriter(&w.log)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(w.t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		said := func(want string) {
			t.Helper()
			var text bytes.Buffer
			for range 300 {
				text.Reset()
				(&Health{Projector: p}).writeTo(&text, time.Now())
				if strings.Contains(text.String(), want) {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.Errorf("never %q, but\n%s", want, text.String())
		}
		said("rebuilding consent state from the consent topic: 10 events to go")
		said("waiting: states (out_of_memory)\n    redis-cli")
		store.set(nil)
		said("ready\n\nproject: projecting: up to date")
		if st := p.Status(); st.Rebuilding || st.Hold != nil || st.Behind() != 0 {
			t.Errorf("%+v", st)
		}
		store.set(&redisstore.Hold{Code: redisstore.OutOfMemory, Bucket: -1})
		w.send(consentRecord(1, "2", "withdraw"), consentRecord(1, "3", "withdraw"))
		said("projecting: 2 events behind\n  waiting: states (out_of_memory)")
		said("partition 1: at 5 of 7")
		store.set(nil)
		said("project: projecting: up to date")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := regexp.MustCompile(`"level":"info","reason":"states","held_ms":\d+,"message":"hold ended"`).FindAllString(w.log.String(), -1); len(n) != 2 {
			t.Errorf("two holds ended; the log:\n%s", w.log.String())
		}
	})
}

// TestGroupHoldEnds: a trouble of the projectors' group that is over is not shown
// for ever by an instance that stands by.
func TestGroupHoldEnds(t *testing.T) {
	inConsentWorld(t, func(w *consentWorld) {
		p, stop := w.start()
		w.settle()
		other, stopOther := w.start()
		time.Sleep(5 * time.Second)
		if p.Status().Leading { // a leader's hold ends with its next write
			p = other
		}
		p.status.hold(&Hold{Code: HoldGroup})
		time.Sleep(25 * time.Second)
		if st := p.Status(); st.Hold != nil {
			t.Errorf("still held: %+v", st.Hold)
		}
		for _, stop := range []func() error{stop, stopOther} {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestGroupHoldLasts: a group that cannot be joined is one hold, however often that
// is tried: its time tells for how long, and the log says that it has ended once.
func TestGroupHoldLasts(t *testing.T) {
	r := newRig(t)
	denied := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.GroupAuthorizationFailed, Count: -1})
	run := r.start()
	r.eventually("held", run.held(HoldUnauthorized, "kafka-acls"))
	since, hits := run.Status().Holds[0].Since, denied.Hits()
	r.eventually("tried again", func() bool { return denied.Hits() >= hits+2 })
	r.eventually("still held", run.held(HoldUnauthorized, "kafka-acls"))
	if st := run.Status(); !st.Holds[0].Since.Equal(since) {
		t.Errorf("held since %v, before since %v", st.Holds[0].Since, since)
	}
	denied.Remove()
	r.eventually("ready", func() bool { return run.Status().Ready })
	if n := strings.Count(r.log.String(), `"reason":"`+string(HoldUnauthorized)+`","held_ms"`); n != 1 {
		t.Errorf("it ended %d times:\n%s", n, r.log.String())
	}
	run.stop()
}

// TestWorkerWithoutLanes: with more workers than partitions, or with all of its
// lanes parked, a worker has none: it is in the group and ready, and what it held
// for before is over when it is over.
func TestWorkerWithoutLanes(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Workers = 3 })
	denied := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.TransactionalIDAuthorizationFailed, Count: 9})
	run := r.start()
	r.eventually("ready", func() bool {
		st := run.Status()
		return st.Ready && st.Lanes == 2
	})
	if denied.Hits() != 9 {
		t.Errorf("%d refusals", denied.Hits())
	}
	run.stop()
}
