package pipeline

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/devstack"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// TestMain runs more tests at once than there are processors: most of a rig's time is
// waiting.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", strconv.Itoa(max(8, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// rig is a broker, a state store and a registry in this process, and what a
// test does with them.
type rig struct {
	t     testing.TB
	stack *devstack.Stack
	cfg   Config
	cl    *kgo.Client // the test's own: produces inputs and consents
	adm   *kadm.Client
	*memoryStates
	*memoryRegistry
	log  *safeBuffer
	runs []*running
	net  []kgo.Opt // how clients connect; nil: by sockets
}

const (
	rigGroup = "enforcers"
	rigInput = "events"
)

// newRig starts the stack with one JSON stream of two purposes: analytics needs
// consent, service is a contract.
func newRig(t testing.TB, change ...func(*Config)) *rig {
	t.Helper()
	if t, ok := t.(*testing.T); ok {
		t.Parallel()
	}
	return buildRig(t, devstack.Start, change...)
}

// newVirtualRig is newRig in a testing/synctest bubble: without sockets, and time
// passes only while everybody waits.
func newVirtualRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	return buildRig(t, func(_ context.Context, cfg devstack.Config) (*devstack.Stack, error) {
		return devstack.StartVirtual(cfg)
	}, change...)
}

func buildRig(t testing.TB, start func(context.Context, devstack.Config) (*devstack.Stack, error), change ...func(*Config)) *rig {
	t.Helper()
	ring, err := keys.Generate(rand.Reader, "test")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, log: &safeBuffer{}, memoryRegistry: &memoryRegistry{byText: map[string]int{}, kind: map[int]schemas.Format{}}}
	r.cfg = Config{
		Group: rigGroup, Instance: "0", Workers: 1, Compression: "none", Version: "test",
		Topics:   Topics{Consent: "consent.events", Audit: "consent.audit", Quarantine: "consent.quarantine", Policies: "consent.policies"},
		Engine:   engine.Config{Policy: rigPolicy(), Streams: []engine.Stream{rigStream(rigInput)}},
		Registry: r.memoryRegistry, Keys: ring,
		Log: zerolog.New(r.log),
		// The in-process broker does not always end a waiting fetch when records come.
		KafkaOpts: []kgo.Opt{kgo.FetchMaxWait(50 * time.Millisecond)},
		Limits:    Limits{Wait: 20 * time.Millisecond, End: 3 * time.Second},
		Exit:      func(reason string) { panic("exit: " + reason) },
	}
	for _, c := range change {
		c(&r.cfg)
	}
	r.connect(start)
	r.cl = r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	r.adm = kadm.NewClient(r.cl)
	tagger, err := engine.Tagger(r.cfg.Engine.Policy, ring)
	if err != nil {
		t.Fatal(err)
	}
	r.memoryStates = &memoryStates{memory: consent.NewMemory(tagger), ns: engine.Namespaces(r.cfg.Engine.Policy), partitions: 2}
	r.cfg.States = r.memoryStates
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("CONSENTSTREAM_TEST_LOG") != "" {
			t.Log("log of the enforcer:\n" + r.log.String())
		}
	})
	return r
}

// connect starts a broker in this process, or takes the real one that a change
// of the configuration named.
func (r *rig) connect(start func(context.Context, devstack.Config) (*devstack.Stack, error)) {
	r.t.Helper()
	topics := devstack.Infrastructure(2)
	topics[0].Name, topics[1].Name, topics[2].Name, topics[3].Name = r.cfg.Topics.Consent, r.cfg.Topics.Audit, r.cfg.Topics.Quarantine, r.cfg.Topics.Policies
	topics = topics[:4]
	for _, s := range r.cfg.Engine.Streams {
		topics = append(topics, devstack.Topic{Name: s.Topic, Partitions: 2})
		for _, p := range s.Purposes {
			topics = append(topics, devstack.Topic{Name: s.Topic + "." + p, Partitions: 3})
		}
	}
	if len(r.cfg.SeedBrokers) > 0 {
		r.createTopics(topics)
		return
	}
	var err error
	if r.stack, err = start(context.Background(), devstack.Config{Topics: topics}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(r.stack.Close)
	r.cfg.SeedBrokers = []string{r.stack.KafkaAddr()}
	r.net = []kgo.Opt{kgo.Dialer(r.stack.DialKafka)}
	r.cfg.KafkaOpts = append(slices.Clip(r.net), r.cfg.KafkaOpts...) // a test may have wires of its own
}

func (r *rig) createTopics(topics []devstack.Topic) {
	r.t.Helper()
	adm := kadm.NewClient(r.client())
	var names []string
	defer func() { // a broker answers a creation before it shows the topic to everybody
		r.eventually("the topics are there", func() bool {
			top, err := askTopology(r.t.Context(), r.client(), names)
			for _, name := range names {
				if err == nil {
					_, err = top.topic(name)
				}
			}
			return err == nil
		})
	}()
	for _, t := range topics {
		names = append(names, t.Name)
		configs := map[string]*string{}
		for k, v := range t.Configs {
			configs[k] = kadm.StringPtr(v)
		}
		if _, err := adm.CreateTopic(r.t.Context(), t.Partitions, 1, configs, t.Name); err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() {
			cl, err := kgo.NewClient(kgo.SeedBrokers(r.cfg.SeedBrokers...))
			if err == nil {
				_, _ = kadm.NewClient(cl).DeleteTopics(context.Background(), t.Name)
				cl.Close()
			}
		})
	}
}

func (r *rig) client(opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	cl, err := kgo.NewClient(append(append([]kgo.Opt{kgo.SeedBrokers(r.cfg.SeedBrokers...)}, r.net...), opts...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cl.Close)
	return cl
}

func rigPolicy() *policy.Policy {
	keep := func(category string) policy.Rule {
		return policy.Rule{Category: category, Treatment: policy.Treatment{Name: "keep"}}
	}
	return &policy.Policy{
		Revision:   1,
		Namespaces: []policy.Namespace{{Name: "crm", Normalize: "trim"}},
		Purposes: []policy.Purpose{
			{ID: "analytics", DataUse: "analytics.reporting", Basis: policy.Consent, ProcessingOnly: true, Treat: []policy.Rule{
				{Category: "user.unique_id", Treatment: policy.Treatment{Name: "pseudonymize"}}, keep("user.behavior"), keep("system.operations")}},
			{ID: "service", DataUse: "essential.service", Basis: policy.Contract, Treat: []policy.Rule{keep("user"), keep("system.operations")}},
		},
	}
}

func rigStream(topic string) engine.Stream {
	return engine.Stream{
		Topic: topic, Format: schemas.JSON, Purposes: []string{"analytics", "service"},
		Subjects: []engine.SubjectRule{{Name: "customer", Namespace: "crm", Paths: []string{"id"}}},
		Key:      engine.KeyRule{Subject: "customer"},
		Fields: []engine.FieldRule{{Path: "id", Category: "user.unique_id"}, {Path: "action", Category: "user.behavior"},
			{Path: "email", Category: "user.contact.email"}, {Path: "n", Category: "system.operations"}},
		RecordBytes: 1_000_000,
	}
}

// running is an enforcer that runs in the background of a test.
type running struct {
	*Enforcer
	t      testing.TB
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func (r *rig) start(change ...func(*Config)) *running {
	r.t.Helper()
	cfg := r.cfg
	for _, c := range change {
		c(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{Enforcer: e, t: r.t, cancel: cancel, done: make(chan struct{})}
	r.runs = append(r.runs, run)
	go func() {
		defer close(run.done)
		run.err = e.Run(ctx)
	}()
	r.t.Cleanup(func() {
		run.cancel()
		select {
		case <-run.done:
		case <-time.After(time.Minute): // a Run that hangs must not take the other tests along
			stacks := make([]byte, 1<<20)
			r.t.Errorf("Run does not return\n%s", stacks[:runtime.Stack(stacks, true)])
		}
	})
	return run
}

// began runs an enforcer until it has decided on a record of partition 0.
func (r *rig) began() {
	r.t.Helper()
	run := r.start()
	r.input(rigInput, 0, 1)
	r.audited(1)
	run.stop()
}

// forget deletes the group's offsets, as Kafka does when a group was down for long.
func (r *rig) forget(topic string, partitions ...int32) {
	r.t.Helper()
	var set kadm.TopicsSet
	set.Add(topic, partitions...)
	r.eventually("the group is empty", func() bool {
		deleted, err := r.adm.DeleteOffsets(r.t.Context(), r.cfg.Group, set)
		return err == nil && deleted.Error() == nil
	})
}

// session is a worker's session that has joined the group and owns both lanes, for
// a test to call its steps.
func (r *rig) session() *session {
	r.t.Helper()
	e, err := New(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ground, err := e.prepare(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	w, err := e.newWorker(0, ground)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(w.guard.stop)
	s, _, err := w.open(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(s.close)
	r.eventually("both lanes are assigned", func() bool { return len(s.lanes.snapshot()) == 2 })
	return s
}

// stop ends the enforcer as a signal would.
func (run *running) stop() {
	run.t.Helper()
	run.cancel()
	run.wait()
	if run.err != nil {
		run.t.Fatalf("Run returned %v", run.err)
	}
}

// wait waits until Run has returned by itself.
func (run *running) wait() error {
	run.t.Helper()
	select {
	case <-run.done:
	case <-time.After(20 * time.Second):
		run.t.Fatal("Run does not return")
	}
	return run.err
}

// input produces one event per subject number to a partition.
func (r *rig) input(topic string, partition int32, ids ...int) {
	r.t.Helper()
	var rs []*kgo.Record
	for _, id := range ids {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: partition, Key: fmt.Appendf(nil, "%d", id),
			Value: fmt.Appendf(nil, `{"id":"%d","action":"click","email":"c%d@example.org","n":%d}`, id, id, id)})
	}
	r.produce(rs...)
}

func (r *rig) produce(rs ...*kgo.Record) {
	r.t.Helper()
	if err := r.cl.ProduceSync(r.t.Context(), rs...).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

// consent records that subject id granted or withdrew analytics.
func (r *rig) consent(id int, action string) {
	r.t.Helper()
	at := time.Now().Add(-time.Second).UTC().Format(time.RFC3339)
	value := fmt.Sprintf(`{"id":"e%d","subject":{"namespace":"crm","value":"%d"},"action":%q,"purposes":["analytics"],"consent_type":"explicit","asserted_at":%q,"notice":{"id":"n","version":"1"},"evidence":{"method":"web_form","source":"shop"}}`, id, id, action, at)
	rec := &kgo.Record{Topic: r.cfg.Topics.Consent, Partition: int32(id % 2), Key: fmt.Appendf(nil, "crm:%d", id), Value: []byte(value)}
	r.produce(rec)
	r.fold(rec)
}

// control injects a fault into the broker.
func (r *rig) fault(f kfake.Fault) *kfake.FaultHandle { return r.stack.Kafka.Fault(f) }

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var errBroken = errors.New("broken by the test")

// forge appends an unsigned audit record that continues partition 0's chain, as
// somebody with the right to write the audit topic could. It gives its value.
func (r *rig) forge(records []*kgo.Record) []byte {
	r.t.Helper()
	var values [][]byte
	var to int32
	for _, rec := range records {
		_, payload, _ := schemas.ParseFrame(rec.Value)
		if a, err := audit.DecodeRecord(payload); err == nil && a.Lane.Partition == 0 {
			values, to = append(values, payload), rec.Partition
		}
	}
	chain, err := audit.VerifyChain(values)
	if err != nil {
		r.t.Fatal(err)
	}
	value, err := chain.Append(schemas.AppendFrame(nil, 1), &audit.Record{Kind: audit.LeafGap, Offset: chain.NextSource + 1, Reason: "FORGED"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.produce(&kgo.Record{Topic: r.cfg.Topics.Audit, Partition: to, Value: value})
	return value
}
