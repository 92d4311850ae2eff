package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/consent/redisstore"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/pipeline"
	"github.com/consentstream/consentstream/schemas"
)

// wiring is a loaded configuration with the parts that commands build from it.
type wiring struct {
	cfg  *configs.Config
	ring *keys.Ring
	log  zerolog.Logger
}

func newWiring(cfg *configs.Config, log zerolog.Logger) (*wiring, error) {
	ring, err := keys.Load(cfg.KeysFile)
	if err != nil {
		return nil, err
	}
	return &wiring{cfg: cfg, ring: ring, log: log}, nil
}

// store opens the state of the consent topic as it is now.
func (w *wiring) store(topic pipeline.ConsentTopic) (*redisstore.Store, error) {
	active := w.ring.Active()
	check, err := w.ring.Check(active)
	if err != nil {
		return nil, err
	}
	cfg := redisstore.Config{
		Addr: w.cfg.Redis.Addrs[0], Username: w.cfg.Redis.Username, Password: w.cfg.Redis.Password.Reveal(), DB: w.cfg.Redis.DB,
		Epoch: redisstore.Epoch{
			ClusterID: topic.Cluster, TopicID: topic.ID, Partitions: topic.Partitions,
			TagCheck: check[:], Namespaces: engine.Namespaces(w.cfg.Policy).Hash(), Buckets: w.cfg.Redis.Buckets,
		},
		Keys: map[uint32][32]byte{}, ActiveKey: uint32(active),
	}
	for _, epoch := range w.ring.Epochs() {
		k, err := w.ring.Derive(keys.UseRow, "", epoch)
		if err != nil {
			return nil, err
		}
		cfg.Keys[uint32(epoch)] = [32]byte(k)
	}
	return redisstore.Open(cfg)
}

// registry makes the schema registry client; without a URL one that knows no
// schema, for deployments with JSON only.
func (w *wiring) registry() (*schemas.Registry, error) {
	r := w.cfg.SchemaRegistry
	opts := []sr.ClientOpt{sr.URLs(r.URL), sr.HTTPClient(&http.Client{Timeout: 10 * time.Second})}
	if r.Username != "" {
		opts = append(opts, sr.BasicAuth(r.Username, r.Password.Reveal()))
	}
	cl, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	return schemas.NewRegistry(schemas.RegistryConfig{Client: cl, Now: time.Now, Sleep: sleep})
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

// engine is the core's configuration.
func (w *wiring) engine() engine.Config {
	return engine.Config{Policy: w.cfg.Policy, Streams: w.cfg.Wiring(), Keys: w.ring}
}

// enforcer builds the enforcing role.
func (w *wiring) enforcer(store *redisstore.Store) (*pipeline.Enforcer, error) {
	reg, err := w.registry()
	if err != nil {
		return nil, err
	}
	metrics := prometheus.NewRegistry()
	start := map[string]pipeline.StartAt{}
	for _, s := range w.cfg.Streams {
		if s.Start == configs.Latest {
			start[s.Wiring.Topic] = pipeline.Latest
		}
	}
	k := w.cfg.Kafka
	return pipeline.New(pipeline.Config{
		SeedBrokers: k.SeedBrokers, Group: k.ConsumerGroup, Instance: w.cfg.Instance, Workers: k.Workers, Compression: k.Compression,
		Topics:   pipeline.Topics{Consent: w.cfg.Topics.Consent, Audit: w.cfg.Topics.Audit, Quarantine: w.cfg.Topics.Quarantine, Policies: w.cfg.Topics.Policies},
		Engine:   w.engine(),
		Start:    start,
		States:   store,
		Registry: reg,
		Keys:     w.ring,
		Log:      w.log.With().Str("role", "enforce").Logger(),
		Metrics:  metrics, Gatherer: metrics,
		Health:  w.cfg.Health.Listen,
		Version: version,
	})
}

// projector builds the projecting role. The caller closes the quarantine.
func (w *wiring) projector(store *redisstore.Store) (*pipeline.Projector, *pipeline.ConsentQuarantine, error) {
	k := w.cfg.Kafka
	q, err := pipeline.NewConsentQuarantine(k.SeedBrokers, nil, k.ConsumerGroup, w.cfg.Topics.Quarantine, w.ring)
	if err != nil {
		return nil, nil, err
	}
	tagKeys, err := engine.TagKeys(w.cfg.Policy, w.ring)
	if err != nil {
		return nil, nil, err
	}
	p, err := pipeline.NewProjector(pipeline.ProjectorConfig{
		SeedBrokers: k.SeedBrokers, Group: k.ConsumerGroup, Topic: w.cfg.Topics.Consent, Store: store,
		Namespaces: engine.Namespaces(w.cfg.Policy), TagKeys: tagKeys, Quarantine: q,
		Log: w.log.With().Str("role", "project").Logger(),
	})
	return p, q, err
}

// consentTopic asks for the consent topic until a broker answers: Kafka may
// come up after us.
func (w *wiring) consentTopic(ctx context.Context) (pipeline.ConsentTopic, error) {
	for {
		topic, err := pipeline.LookupConsentTopic(ctx, w.cfg.Kafka.SeedBrokers, nil, w.cfg.Topics.Consent)
		var refusal *pipeline.Refusal
		if err == nil || errors.As(err, &refusal) || ctx.Err() != nil {
			return topic, err
		}
		w.log.Warn().Strs("seed_brokers", w.cfg.Kafka.SeedBrokers).Msg("waiting for Kafka: no broker answers; nothing is decided meanwhile")
		if err := sleep(ctx, time.Second); err != nil {
			return topic, err
		}
	}
}
