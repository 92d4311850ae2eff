package pipeline

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/devstack"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// rig is a broker, a state store and a registry in this process, and what a
// test does with them.
type rig struct {
	t     *testing.T
	stack *devstack.Stack
	cfg   Config
	cl    *kgo.Client // the test's own: produces inputs and consents
	adm   *kadm.Client
	*memoryStates
	*memoryRegistry
	log  *safeBuffer
	runs []*running
}

const (
	rigGroup = "enforcers"
	rigInput = "events"
)

// newRig starts the stack with one JSON stream of two purposes: analytics needs
// consent, service is a contract.
func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	t.Parallel() // most of a rig's time is waiting
	ring, err := keys.Generate(rand.Reader, "test")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, log: &safeBuffer{}, memoryRegistry: &memoryRegistry{byText: map[string]int{}}}
	r.cfg = Config{
		Group: rigGroup, Instance: "0", Workers: 1, Compression: "none", Version: "test",
		Topics:   Topics{Consent: "consent.events", Audit: "consent.audit", Quarantine: "consent.quarantine", Policies: "consent.policies"},
		Engine:   engine.Config{Policy: rigPolicy(), Streams: []engine.Stream{rigStream(rigInput)}},
		Registry: r.memoryRegistry, Keys: ring,
		Log:    zerolog.New(r.log),
		Limits: Limits{Wait: 20 * time.Millisecond, End: 3 * time.Second},
		Exit:   func(reason string) { panic("exit: " + reason) },
	}
	for _, c := range change {
		c(&r.cfg)
	}
	r.connect()
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
func (r *rig) connect() {
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
	if r.stack, err = devstack.Start(context.Background(), devstack.Config{Topics: topics}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(r.stack.Close)
	r.cfg.SeedBrokers = []string{r.stack.KafkaAddr()}
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
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(r.cfg.SeedBrokers...)}, opts...)...)
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
		Subject: engine.SubjectRule{Name: "customer", Namespace: "crm", Path: "id"},
		Key:     engine.KeyRule{Subject: "customer"},
		Fields: []engine.FieldRule{{Path: "id", Category: "user.unique_id"}, {Path: "action", Category: "user.behavior"},
			{Path: "email", Category: "user.contact.email"}, {Path: "n", Category: "system.operations"}},
		RecordBytes: 1_000_000,
	}
}

// running is an enforcer that runs in the background of a test.
type running struct {
	*Enforcer
	t      *testing.T
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
	r.t.Cleanup(func() { run.cancel(); <-run.done })
	return run
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

// memoryStates is a States that always is where the consent topic is, unless a
// test breaks it.
type memoryStates struct {
	mu         sync.Mutex
	memory     *consent.Memory
	ns         consent.Namespaces
	partitions int
	next       []int64 // by partition, for control records that fold nothing
	fail       error
	behind     int64 // how far the watermark stays behind
	skew       int64 // of the store's clock, ms
	reads      int
}

func (m *memoryStates) fold(rec *kgo.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := consent.Parse(rec.Key, rec.Value, consent.Position{Partition: rec.Partition, Offset: rec.Offset}, time.Now().UnixMilli(), m.ns)
	m.memory.Fold(&e)
}

func (m *memoryStates) set(change func(*memoryStates)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *memoryStates) Read(_ context.Context, tags []consent.Tag, into *consent.Snapshot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.fail != nil {
		return m.fail
	}
	m.memory.Read(tags, into)
	cut := make(consent.Vector, m.partitions)
	copy(cut, m.memory.Next())
	for i := range cut {
		cut[i] -= m.behind
	}
	for i := range into.Cut {
		into.Cut[i] = cut
	}
	into.ServerTime = time.Now().UnixMilli() + m.skew
	return nil
}

func (m *memoryStates) Check(context.Context) error { return nil }

// memoryRegistry hands out ids.
type memoryRegistry struct {
	mu     sync.Mutex
	byText map[string]int
	texts  []string
	down   error
	refuse error // of Register for outputs
}

func (m *memoryRegistry) Schema(_ context.Context, id int) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return "", m.down
	}
	if id < 1 || id > len(m.texts) {
		return "", schemas.ErrUnknownSchema
	}
	return m.texts[id-1], nil
}

func (m *memoryRegistry) Register(_ context.Context, subject, text string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.down != nil:
		return 0, m.down
	case m.refuse != nil && !strings.HasSuffix(subject, "consent.audit-value"):
		return 0, m.refuse
	case m.byText[text] == 0:
		m.texts = append(m.texts, text)
		m.byText[text] = len(m.texts)
	}
	return m.byText[text], nil
}

// read gives all committed records of a topic, by partition and offset.
func (r *rig) read(topic string) []*kgo.Record {
	r.t.Helper()
	ends, err := r.adm.ListCommittedOffsets(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	want := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			want[o.Partition] = o.Offset
		}
	})
	from := map[int32]kgo.Offset{}
	for p := range want {
		from[p] = kgo.NewOffset().At(0)
	}
	if len(want) == 0 {
		return nil
	}
	cl := r.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	var all []*kgo.Record
	for len(want) > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			r.t.Fatalf("reading %s: timeout, missing %v", topic, want)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			if !rec.Attrs.IsControl() {
				all = append(all, rec)
			}
			if rec.Offset+1 >= want[rec.Partition] {
				delete(want, rec.Partition)
			}
		})
	}
	return all
}

// eventually polls until ok or the time is over.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	for _, run := range r.runs {
		select {
		case <-run.done:
			r.t.Logf("an enforcer has ended: %v", run.err)
		default:
		}
	}
	r.t.Fatalf("never: %s", what)
}

// audited waits until n audit records are committed and gives them all.
func (r *rig) audited(n int) []*kgo.Record {
	r.t.Helper()
	var got []*kgo.Record
	r.eventually(fmt.Sprintf("%d audit records", n), func() bool {
		if r.countCommitted(r.cfg.Topics.Audit) < n {
			return false
		}
		got = r.read(r.cfg.Topics.Audit)
		return len(got) >= n
	})
	return got
}

// countCommitted bounds the committed records of a topic from above, cheaply:
// control records count too.
func (r *rig) countCommitted(topic string) int {
	ends, err := r.adm.ListCommittedOffsets(r.t.Context(), topic)
	if err != nil {
		return 0
	}
	total := 0
	ends.Each(func(o kadm.ListedOffset) { total += int(o.Offset) })
	return total
}

// lanes decodes audit records, verifies every lane's chain from its genesis and
// the signature at each transaction's end, and gives the records by lane.
func (r *rig) chains(records []*kgo.Record) map[audit.Lane][]audit.Record {
	r.t.Helper()
	values := map[audit.Lane][][]byte{}
	lanes := map[audit.Lane][]audit.Record{}
	last := map[audit.Lane]*kgo.Record{}
	for _, rec := range records {
		id, payload, f := schemas.ParseFrame(rec.Value)
		if f != nil || id != r.byText[schemas.AuditRecord] {
			r.t.Fatalf("audit record is not framed with the registered schema: %v", f)
		}
		a, err := audit.DecodeRecord(payload)
		if err != nil {
			r.t.Fatal(err)
		}
		if n := len(lanes[a.Lane]); a.Context != nil && n > 0 && len(last[a.Lane].Headers) == 0 {
			r.t.Fatalf("index %d begins a transaction, the record before it is not signed", a.Index)
		}
		if len(rec.Headers) > 0 {
			if !audit.VerifySig(r.cfg.Keys.Public(), &a.Lane, a.Index, audit.LeafHash(payload), rec.Headers[0].Value) {
				r.t.Fatalf("wrong signature at index %d", a.Index)
			}
		}
		last[a.Lane] = rec
		values[a.Lane] = append(values[a.Lane], payload)
		lanes[a.Lane] = append(lanes[a.Lane], a)
	}
	for lane, vs := range values {
		if _, err := audit.VerifyChain(vs); err != nil {
			r.t.Fatalf("chain of partition %d: %v", lane.Partition, err)
		}
		if len(last[lane].Headers) == 0 {
			r.t.Fatalf("the last record of partition %d is not signed", lane.Partition)
		}
	}
	return lanes
}

// exactlyOnce checks that every input offset of a partition was audited once,
// and gives the leaf kinds by offset.
func (r *rig) exactlyOnce(lanes map[audit.Lane][]audit.Record, topic string, partition int32, n int64) map[int64]audit.Record {
	r.t.Helper()
	seen := map[int64]audit.Record{}
	for lane, records := range lanes {
		if lane.Topic != topic || lane.Partition != partition {
			continue
		}
		for _, a := range records {
			if _, twice := seen[a.Offset]; twice {
				r.t.Fatalf("%s/%d offset %d was audited twice", topic, partition, a.Offset)
			}
			seen[a.Offset] = a
		}
	}
	for o := range n {
		if _, ok := seen[o]; !ok {
			r.t.Fatalf("%s/%d offset %d was not audited", topic, partition, o)
		}
	}
	return seen
}

// outputs counts records per output topic by the member n of their values.
func (r *rig) outputNumbers(topic string) map[int]int {
	r.t.Helper()
	out := map[int]int{}
	for _, rec := range r.read(topic) {
		var v struct {
			N int `json:"n"`
		}
		if err := json.Unmarshal(rec.Value, &v); err != nil {
			r.t.Fatal(err)
		}
		out[v.N]++
	}
	return out
}

// wire is a dialer that can lose answers and die.
type wire struct {
	mu    sync.Mutex
	conns []net.Conn
	dead  bool
	lose  int // how many answers to EndTxn to lose, after the broker acted
	lost  int
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return nil, errBroken
	}
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.conns = append(w.conns, c)
	return &wiredConn{Conn: c, wire: w}, nil
}

// die cuts everything for good: the broker sees a process that was killed.
func (w *wire) die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = true
	for _, c := range w.conns {
		_ = c.Close()
	}
}

type wiredConn struct {
	net.Conn
	wire *wire
}

// Write looks for EndTxn requests: 4 bytes size, then the API key.
func (c *wiredConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err == nil && len(b) > 6 && kmsg.Key(binary.BigEndian.Uint16(b[4:])) == kmsg.EndTxn {
		c.wire.mu.Lock()
		defer c.wire.mu.Unlock()
		if c.wire.lose > 0 {
			c.wire.lose--
			c.wire.lost++
			time.Sleep(30 * time.Millisecond) // the broker acts meanwhile
			_ = c.Conn.Close()
		}
	}
	return n, err
}

// wired gives the enforcer a wire of its own.
func wired(w *wire) func(*Config) {
	return func(cfg *Config) { cfg.KafkaOpts = append(cfg.KafkaOpts, kgo.Dialer(w.dial)) }
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
