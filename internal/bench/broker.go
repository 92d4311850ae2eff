package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/consentstream/consentstream/internal/bench/load"
	"github.com/consentstream/consentstream/internal/devstack"
)

// broker are the real servers of all runs, or with an empty address none: then
// each child has its own.
type broker struct {
	address, registry, redis, prefix string

	load   load.Config
	admin  *kadm.Client
	shapes map[string]shape  // by format, as the product wrote
	audits map[string]string // by format, the audit topic of the product's last run
}

// openBroker fills the real broker once for all runs.
func openBroker(ctx context.Context, o options) (*broker, error) {
	b := &broker{
		address:  os.Getenv("CONSENTSTREAM_KAFKA"),
		registry: os.Getenv("CONSENTSTREAM_REGISTRY"),
		redis:    os.Getenv("CONSENTSTREAM_REDIS"),
		prefix:   fmt.Sprintf("bench-%d", time.Now().Unix()),
		load:     load.Config{Now: time.Now().UnixMilli()},
		shapes:   make(map[string]shape),
		audits:   make(map[string]string),
	}
	for format, s := range shapes {
		b.shapes[format] = s
	}
	if b.address == "" {
		return b, nil
	}
	if b.registry == "" || b.redis == "" {
		return nil, errors.New("with CONSENTSTREAM_KAFKA also set CONSENTSTREAM_REGISTRY and CONSENTSTREAM_REDIS (internal/servers/servers.sh start prints all three)")
	}
	var err error
	if b.load.SchemaID, err = registerContact(ctx, b.registry); err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		return nil, err
	}
	b.admin = kadm.NewClient(cl)
	for _, format := range o.formats {
		s := &spec{Format: format, Broker: b.address, Prefix: b.prefix, Records: o.records, Partitions: o.partitions, Load: b.load}
		if err := prepare(ctx, s); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

// close removes the topics: a scratch broker stays usable for the next run.
func (b *broker) close() {
	if b.admin == nil {
		return
	}
	defer b.admin.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	topics, err := b.admin.ListTopics(ctx)
	if err == nil {
		topics.FilterInternal()
		var ours []string
		for _, name := range topics.Names() {
			if strings.HasPrefix(name, b.prefix+".") {
				ours = append(ours, name)
			}
		}
		_, err = b.admin.DeleteTopics(ctx, ours...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: topics stay:", err)
	}
}

// learn makes the floor write what the product was seen to write.
func (b *broker) learn(s *spec, r *result) {
	if s.Job == "product" {
		b.shapes[s.Format] = r.Shape
		if b.address != "" { // else each child has its own broker
			b.audits[s.Format] = s.audit()
		}
	}
}

func registerContact(ctx context.Context, url string) (uint32, error) {
	cl, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		return 0, err
	}
	registered, err := cl.CreateSchema(ctx, "bench-contacts", sr.Schema{Schema: load.ContactSchema})
	return uint32(registered.ID), err
}

// prepare creates the topics of a spec, except its audit topic, and fills input
// and consents.
func prepare(ctx context.Context, s *spec) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Broker), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(20*time.Millisecond), kgo.MaxBufferedRecords(1<<16))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	purposeTopics := s.outputs()[:len(purposes)]
	for _, t := range append(purposeTopics, s.input()) {
		// 90 days is what the policy lets analytics keep.
		if _, err := create(ctx, adm, devstack.Topic{Name: t, Partitions: int32(s.Partitions), Configs: map[string]string{"retention.ms": "7776000000"}}); err != nil {
			return err
		}
	}
	fresh := true
	for _, t := range devstack.Infrastructure(int32(s.Partitions)) {
		if suffix, ok := systemTopics[t.Name]; ok {
			t.Name = s.Prefix + suffix
			if fresh, err = create(ctx, adm, t); err != nil {
				return err
			}
		}
	}
	if fresh { // the formats share them
		if err := fillConsents(ctx, cl, s); err != nil {
			return err
		}
	}
	return fill(ctx, cl, s)
}

// systemTopics maps the usual names to suffixes of a bench's own.
var systemTopics = map[string]string{
	devstack.ConsentTopic: ".consent", devstack.QuarantineTopic: ".quarantine", devstack.PoliciesTopic: ".policies",
}

func createAudit(ctx context.Context, adm *kadm.Client, s *spec) error {
	for _, t := range devstack.Infrastructure(int32(s.Partitions)) {
		if t.Name == devstack.AuditTopic {
			t.Name = s.audit()
			_, err := create(ctx, adm, t)
			return err
		}
	}
	return errors.New("no audit topic in the embedded stack's list")
}

// create reports whether the topic is new.
func create(ctx context.Context, adm *kadm.Client, t devstack.Topic) (bool, error) {
	settings := make(map[string]*string, len(t.Configs))
	for name, value := range t.Configs {
		settings[name] = &value
	}
	_, err := adm.CreateTopic(ctx, t.Partitions, 1, settings, t.Name)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("create %s: %w", t.Name, err)
	}
	return true, nil
}

// fill writes the input: records of one subject are in one partition.
func fill(ctx context.Context, cl *kgo.Client, s *spec) error {
	g := load.New(s.Load)
	event := g.Contact
	if s.Format == "json" {
		event = g.Marketing
	}
	return produce(ctx, cl, s, s.input(), s.Records, func(i int) (key, value []byte) {
		return event(make([]byte, 0, 1024), i)
	})
}

func fillConsents(ctx context.Context, cl *kgo.Client, s *spec) error {
	g := load.New(s.Load)
	return produce(ctx, cl, s, s.Prefix+".consent", g.Subjects(), func(i int) (key, value []byte) {
		return g.Grant(make([]byte, 0, 512), i, purposes, "acme-mailer")
	})
}

// produce writes n events; one without a value is left out.
func produce(ctx context.Context, cl *kgo.Client, s *spec, topic string, n int, event func(i int) (key, value []byte)) error {
	errs := make(chan error, 1)
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			select {
			case errs <- err:
			default:
			}
		}
	}
	for i := range n {
		if key, value := event(i); value != nil {
			cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: partition(key, s.Partitions), Key: key, Value: value}, promise)
		}
	}
	err := cl.Flush(ctx)
	select {
	case e := <-errs:
		return errors.Join(err, e)
	default:
		return err
	}
}

func partition(key []byte, n int) int32 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return int32(mix(h) % uint64(n))
}
