package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/consent/redisstore"
	"github.com/consentstream/consentstream/internal/devstack"
	"github.com/consentstream/consentstream/internal/personal"
)

// consentWorld is an embedded Kafka with a consent topic of two partitions, an
// embedded Redis, and what a projector needs; on fake time and without sockets.
type consentWorld struct {
	t     *testing.T
	stack *devstack.Stack
	cl    *kgo.Client
	store *redisstore.Store
	ns    consent.Namespaces
	keys  map[string][32]byte
	log   bytes.Buffer
	mu    sync.Mutex
	bad   []consent.Fault // quarantined
	asked int             // how often
}

const worldPartitions = 2

func inConsentWorld(t *testing.T, run func(w *consentWorld)) {
	synctest.Test(t, func(t *testing.T) {
		stack, err := devstack.StartVirtual(devstack.Config{Topics: devstack.Infrastructure(worldPartitions)})
		if err != nil {
			t.Fatal(err)
		}
		defer stack.Close()
		w := &consentWorld{t: t, stack: stack, keys: map[string][32]byte{"crm": {1}},
			ns: consent.NewNamespaces([]consent.NamespaceRule{{Name: "crm", Normalize: consent.NormalizeTrim}})}
		w.cl = w.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
		defer w.cl.Close()
		w.store = w.openStore(1)
		defer w.store.Close()
		run(w)
	})
}

func (w *consentWorld) client(opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(w.stack.KafkaAddr()), kgo.Dialer(w.stack.DialKafka))...)
	if err != nil {
		w.t.Fatal(err)
	}
	return cl
}

// openStore opens the state under a key file, which check names.
func (w *consentWorld) openStore(check byte) *redisstore.Store {
	top, err := askTopology(w.t.Context(), w.cl, []string{devstack.ConsentTopic})
	if err != nil {
		w.t.Fatal(err)
	}
	store, err := redisstore.Open(redisstore.Config{
		Addr: "redis", Dial: w.stack.DialRedis, Keys: map[uint32][32]byte{1: {2}}, ActiveKey: 1, Timeout: time.Second,
		Epoch: redisstore.Epoch{ClusterID: top.cluster, TopicID: top.topics[devstack.ConsentTopic].id,
			Partitions: worldPartitions, TagCheck: []byte{check}, Namespaces: w.ns.Hash(), Buckets: 4},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return store
}

// QuarantineConsent makes the world the projector's quarantine.
func (w *consentWorld) QuarantineConsent(_ context.Context, malformed []MalformedConsent) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	for _, m := range malformed {
		w.bad = append(w.bad, m.Reason)
	}
	return nil
}

// start runs a projector; stop ends it and gives what Run returned.
func (w *consentWorld) start() (p *Projector, stop func() error) {
	p, err := NewProjector(ProjectorConfig{
		SeedBrokers: []string{w.stack.KafkaAddr()}, KafkaOpts: []kgo.Opt{kgo.Dialer(w.stack.DialKafka)},
		Group: "g", Topic: devstack.ConsentTopic, Store: w.store, Namespaces: w.ns, TagKeys: w.keys,
		Quarantine: w, Log: zerolog.New(zerolog.SyncWriter(&w.log)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return p, sync.OnceValue(func() error { cancel(); return <-done })
}

func consentRecord(part int32, subject, action string) *kgo.Record {
	return &kgo.Record{Topic: devstack.ConsentTopic, Partition: part, Key: []byte("crm:" + subject), Value: fmt.Appendf(nil,
		`{"id":"x","subject":{"namespace":"crm","value":%q},"action":%q,"purposes":["analytics"]}`, subject, action)}
}

func (w *consentWorld) send(records ...*kgo.Record) {
	w.t.Helper()
	if err := w.cl.ProduceSync(w.t.Context(), records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// transaction writes records and commits or aborts them.
func (w *consentWorld) transaction(end kgo.TransactionEndTry, records ...*kgo.Record) {
	w.t.Helper()
	cl := w.client(kgo.TransactionalID("foreign"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		w.t.Fatal(err)
	}
	if err := cl.ProduceSync(w.t.Context(), records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
	if err := cl.EndTransaction(w.t.Context(), end); err != nil {
		w.t.Fatal(err)
	}
}

func (w *consentWorld) ends() consent.Vector {
	w.t.Helper()
	listed, err := kadm.NewClient(w.cl).ListEndOffsets(w.t.Context(), devstack.ConsentTopic)
	if err != nil {
		w.t.Fatal(err)
	}
	ends := make(consent.Vector, worldPartitions)
	listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	return ends
}

// settle waits until every bucket's watermark is exactly the end of the log.
func (w *consentWorld) settle() {
	w.t.Helper()
	ends := w.ends()
	var marks []redisstore.Mark
	var err error
	for range 600 {
		marks, err = w.store.Marks(w.t.Context())
		if err == nil && !slices.ContainsFunc(marks, func(m redisstore.Mark) bool { return !slices.Equal(m.Next, ends) }) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatalf("watermarks %v (%v) do not reach %v; log:\n%s", marks, err, ends, w.log.String())
}

// row is what a reader is told about a subject.
func (w *consentWorld) row(subject string) *consent.Row {
	w.t.Helper()
	tag, _ := consent.NewTagger(w.keys).TagOf(consent.Identifier{Namespace: "crm", Value: personal.String(subject)})
	var snap consent.Snapshot
	if err := w.store.Read(w.t.Context(), []consent.Tag{tag}, &snap); err != nil {
		w.t.Fatal(err)
	}
	row, _, err := snap.State(0)
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

func (w *consentWorld) wantRows(subjects ...string) {
	w.t.Helper()
	for _, s := range subjects {
		row := w.row(s)
		if row == nil {
			w.t.Errorf("subject %s has no row", s)
			continue
		}
		if slot := row.Slot("analytics"); slot == nil || !slot.No[consent.FamilyWithdraw].Set {
			w.t.Errorf("the withdrawal of %s is not in its row", s)
		}
	}
}
