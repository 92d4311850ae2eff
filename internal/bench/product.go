package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"golang.org/x/sync/errgroup"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/consent/redisstore"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/bench/load"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/pipeline"
	"github.com/consentstream/consentstream/schemas"
)

//go:embed config
var shipped embed.FS

// product runs the two roles of `consentstream run` on a loaded configuration,
// with a new key ring: its state is another epoch than that of the run before.
func product(ctx context.Context, s *spec, kafka []kgo.Opt) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	ring, err := keys.Generate(rand.Reader, "bench")
	if err != nil {
		return err
	}
	p := &parts{spec: s, cfg: cfg, ring: ring, kafka: kafka,
		log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel)}
	store, err := p.store(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	quarantine, err := pipeline.NewConsentQuarantine([]string{s.Broker}, nil, s.Group, cfg.Topics.Quarantine, ring)
	if err != nil {
		return err
	}
	defer quarantine.Close()
	projector, err := p.projector(store, quarantine)
	if err != nil {
		return err
	}
	enforcer, err := p.enforcer(store)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return projector.Run(ctx) })
	group.Go(func() error { return enforcer.Run(ctx) })
	return group.Wait()
}

// config loads the shipped configuration with this run's names.
func (s *spec) config() (*configs.Config, error) {
	variables := map[string]string{
		"BENCH_KAFKA": s.Broker, "BENCH_REGISTRY": s.Registry, "BENCH_REDIS": s.Redis, "BENCH_GROUP": s.Group,
		"BENCH_CODEC": s.Codec, "BENCH_INPUT": s.input(), "BENCH_CONSENT": s.Prefix + ".consent",
		"BENCH_AUDIT": s.audit(), "BENCH_QUARANTINE": s.Prefix + ".quarantine", "BENCH_POLICIES": s.Prefix + ".policies",
	}
	env := func(name string) (string, bool) { v, ok := variables[name]; return v, ok }
	read := func(name string) ([]byte, error) {
		if path.Base(name) == "contacts.avsc" {
			return []byte(load.ContactSchema), nil
		}
		return shipped.ReadFile(name)
	}
	cfg, findings := configs.Load("config/"+s.Format+".yaml", env, read)
	if cfg != nil {
		return cfg, nil
	}
	var text strings.Builder
	for _, f := range findings {
		fmt.Fprintln(&text, f)
	}
	return nil, errors.New(text.String())
}

// parts builds the roles as cmd/consentstream does.
type parts struct {
	spec  *spec
	cfg   *configs.Config
	ring  *keys.Ring
	kafka []kgo.Opt
	log   zerolog.Logger
}

func (p *parts) store(ctx context.Context) (*redisstore.Store, error) {
	topic, err := pipeline.LookupConsentTopic(ctx, []string{p.spec.Broker}, nil, p.cfg.Topics.Consent)
	if err != nil {
		return nil, err
	}
	active := p.ring.Active()
	check, err := p.ring.Check(active)
	if err != nil {
		return nil, err
	}
	row, err := p.ring.Derive(keys.UseRow, "", active)
	if err != nil {
		return nil, err
	}
	return redisstore.Open(redisstore.Config{
		Addr: p.cfg.Redis.Addrs[0],
		Epoch: redisstore.Epoch{
			ClusterID: topic.Cluster, TopicID: topic.ID, Partitions: topic.Partitions,
			TagCheck: check[:], Namespaces: engine.Namespaces(p.cfg.Policy).Hash(), Buckets: p.cfg.Redis.Buckets,
		},
		Keys: map[uint32][32]byte{uint32(active): [32]byte(row)}, ActiveKey: uint32(active),
	})
}

func (p *parts) projector(store *redisstore.Store, q *pipeline.ConsentQuarantine) (*pipeline.Projector, error) {
	tagKeys, err := engine.TagKeys(p.cfg.Policy, p.ring)
	if err != nil {
		return nil, err
	}
	return pipeline.NewProjector(pipeline.ProjectorConfig{
		SeedBrokers: []string{p.spec.Broker}, Group: p.spec.Group, Topic: p.cfg.Topics.Consent, Store: store,
		Namespaces: engine.Namespaces(p.cfg.Policy), TagKeys: tagKeys, Quarantine: q, Log: p.log,
	})
}

func (p *parts) enforcer(store *redisstore.Store) (*pipeline.Enforcer, error) {
	client, err := sr.NewClient(sr.URLs(p.spec.Registry))
	if err != nil {
		return nil, err
	}
	registry, err := schemas.NewRegistry(schemas.RegistryConfig{Client: client, Now: time.Now, Sleep: sleep})
	if err != nil {
		return nil, err
	}
	return pipeline.New(pipeline.Config{
		SeedBrokers: []string{p.spec.Broker}, Group: p.spec.Group, Instance: "0",
		Workers: p.spec.Workers, Compression: p.spec.Codec,
		Topics: pipeline.Topics{
			Consent: p.cfg.Topics.Consent, Audit: p.cfg.Topics.Audit,
			Quarantine: p.cfg.Topics.Quarantine, Policies: p.cfg.Topics.Policies,
		},
		Engine: engine.Config{Policy: p.cfg.Policy, Streams: p.cfg.Wiring(), Keys: p.ring},
		States: store, Registry: registry, Keys: p.ring, Log: p.log, Version: "bench",
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
