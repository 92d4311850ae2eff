// Package app builds the parts of the daemon from a configuration and runs them:
// what `run` does between the command line and the pipeline. Commands, the demo
// and tests of the whole share it.
package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/consent/redisstore"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/pipeline"
	"github.com/consentstream/consentstream/schemas"
)

// App is a loaded configuration with its keys. It holds no connection.
type App struct {
	cfg     *configs.Config
	ring    *keys.Ring
	log     zerolog.Logger
	version string
	metrics *prometheus.Registry
}

// New opens the key file of a configuration.
func New(cfg *configs.Config, log zerolog.Logger, version string) (*App, error) {
	ring, err := keys.Load(cfg.KeysFile)
	if err != nil {
		return nil, err
	}
	return NewWithKeys(cfg, ring, log, version), nil
}

// NewWithKeys is New for keys that are in no file.
func NewWithKeys(cfg *configs.Config, ring *keys.Ring, log zerolog.Logger, version string) *App {
	return &App{cfg: cfg, ring: ring, log: log, version: version, metrics: prometheus.NewRegistry()}
}

// Metrics gathers what the health endpoint serves under /metrics.
func (a *App) Metrics() prometheus.Gatherer { return a.metrics }

// Store opens the state of the consent topic as it is now.
func (a *App) Store(topic pipeline.ConsentTopic) (*redisstore.Store, error) {
	active := a.ring.Active()
	check, err := a.ring.Check(active)
	if err != nil {
		return nil, err
	}
	cfg := redisstore.Config{
		Addr: a.cfg.Redis.Addrs[0], Username: a.cfg.Redis.Username, Password: a.cfg.Redis.Password.Reveal(), DB: a.cfg.Redis.DB,
		Epoch: redisstore.Epoch{
			ClusterID: topic.Cluster, TopicID: topic.ID, Partitions: topic.Partitions,
			TagCheck: check[:], Namespaces: engine.Namespaces(a.cfg.Policy).Hash(), Buckets: a.cfg.Redis.Buckets,
		},
		Keys: map[uint32][32]byte{}, ActiveKey: uint32(active),
	}
	for _, epoch := range a.ring.Epochs() {
		k, err := a.ring.Derive(keys.UseRow, "", epoch)
		if err != nil {
			return nil, err
		}
		cfg.Keys[uint32(epoch)] = [32]byte(k)
	}
	return redisstore.Open(cfg)
}

// registry makes the schema registry client; without a URL one that knows no
// schema, for deployments with JSON only.
func (a *App) registry() (*schemas.Registry, error) {
	cl, err := registryClient(a.cfg.SchemaRegistry)
	if err != nil {
		return nil, err
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

// Engine is the core's configuration.
func (a *App) Engine() engine.Config {
	return engine.Config{Policy: a.cfg.Policy, Streams: a.cfg.Wiring(), Keys: a.ring}
}

// enforcer builds the enforcing role.
func (a *App) enforcer(store pipeline.States) (*pipeline.Enforcer, error) {
	reg, err := a.registry()
	if err != nil {
		return nil, err
	}
	start := map[string]pipeline.StartAt{}
	for _, s := range a.cfg.Streams {
		if s.Start == configs.Latest {
			start[s.Wiring.Topic] = pipeline.Latest
		}
	}
	k := a.cfg.Kafka
	return pipeline.New(pipeline.Config{
		SeedBrokers: k.SeedBrokers, Group: k.ConsumerGroup, Instance: a.cfg.Instance, Workers: k.Workers, Compression: k.Compression,
		Topics:      pipeline.Topics{Consent: a.cfg.Topics.Consent, Audit: a.cfg.Topics.Audit, Quarantine: a.cfg.Topics.Quarantine, Policies: a.cfg.Topics.Policies},
		Engine:      a.Engine(),
		Start:       start,
		States:      store,
		Registry:    reg,
		Keys:        a.ring,
		ConfigFile:  a.configFile(),
		RegistryURL: a.cfg.SchemaRegistry.URL,
		Log:         a.log.With().Str("role", "enforce").Logger(),
		Metrics:     a.metrics,
		Version:     a.version,
	})
}

// configFile is the file to name in commands; "" where they find it by themselves.
func (a *App) configFile() string {
	if a.cfg.File == configs.DefaultFile {
		return ""
	}
	return a.cfg.File
}

// projector builds the projecting role. The caller closes the quarantine.
func (a *App) projector(store *redisstore.Store) (*pipeline.Projector, *pipeline.ConsentQuarantine, error) {
	k := a.cfg.Kafka
	q, err := pipeline.NewConsentQuarantine(k.SeedBrokers, nil, k.ConsumerGroup, a.cfg.Topics.Quarantine, a.ring)
	if err != nil {
		return nil, nil, err
	}
	tagKeys, err := engine.TagKeys(a.cfg.Policy, a.ring)
	if err != nil {
		return nil, nil, err
	}
	p, err := pipeline.NewProjector(pipeline.ProjectorConfig{
		SeedBrokers: k.SeedBrokers, Group: k.ConsumerGroup, Instance: a.cfg.Instance, Topic: a.cfg.Topics.Consent, Store: store,
		Namespaces: engine.Namespaces(a.cfg.Policy), TagKeys: tagKeys, Quarantine: q,
		Log: a.log.With().Str("role", "project").Logger(),
	})
	return p, q, err
}

// waitLog is how often a wait for Kafka is said again.
const waitLog = 10 * time.Second

// ConsentTopic asks for the consent topic until a broker answers: Kafka may
// come up after us.
func (a *App) ConsentTopic(ctx context.Context) (pipeline.ConsentTopic, error) {
	var said time.Time
	for {
		topic, err := pipeline.LookupConsentTopic(ctx, a.cfg.Kafka.SeedBrokers, nil, a.cfg.Topics.Consent)
		var refusal *pipeline.Refusal
		if err == nil || errors.As(err, &refusal) || ctx.Err() != nil {
			return topic, err
		}
		if time.Since(said) >= waitLog {
			said = time.Now()
			a.log.Warn().Err(err).Strs("seed_brokers", a.cfg.Kafka.SeedBrokers).Msg("waiting for Kafka: no broker answers; nothing is decided meanwhile")
		}
		if err := sleep(ctx, time.Second); err != nil {
			return topic, err
		}
	}
}

// The roles of a process.
const (
	Enforce = "enforce"
	Project = "project"
)

// Roles lists all roles that exist so far.
func Roles() []string { return []string{Enforce, Project} }

// Run runs roles until ctx ends, and then returns nil, or until one of them must
// stop; its error says what to do, and is the caller's to log.
func (a *App) Run(ctx context.Context, roles []string) error {
	a.log.Info().Str("version", a.version).Str("group", a.cfg.Kafka.ConsumerGroup).Str("instance", a.cfg.Instance).
		Int64("policy_revision", a.cfg.Policy.Revision).Strs("roles", roles).Msg("consentstream starts")
	store := &lateStore{app: a}
	defer store.close()
	err := a.runRoles(ctx, store, roles)
	if err == nil {
		a.log.Info().Msg("consentstream ends")
	}
	return err
}

func (a *App) runRoles(ctx context.Context, store *lateStore, roles []string) error {
	g, ctx := errgroup.WithContext(ctx)
	health := &pipeline.Health{Listen: a.cfg.Health.Listen, Gatherer: a.metrics}
	if slices.Contains(roles, Project) {
		late := &lateProjector{}
		health.Projector = late
		g.Go(func() error { return a.projectBeside(ctx, store, late, slices.Contains(roles, Enforce)) })
	}
	if slices.Contains(roles, Enforce) {
		e, err := a.enforcer(store)
		if err != nil {
			return err
		}
		health.Enforcer = e
		g.Go(func() error { return e.Run(ctx) })
	}
	g.Go(func() error { return health.Run(ctx) })
	return g.Wait()
}

// projectBeside leaves it to the enforcer, where there is one, to refuse a start
// without the consent topic: it names everything else that is wrong too.
func (a *App) projectBeside(ctx context.Context, store *lateStore, status *lateProjector, enforces bool) error {
	for {
		err := a.project(ctx, store, status)
		var refusal *pipeline.Refusal
		if !enforces || !errors.As(err, &refusal) {
			return err
		}
		if sleep(ctx, time.Second) != nil {
			return nil
		}
	}
}

// project waits for the consent topic and projects it.
func (a *App) project(ctx context.Context, late *lateStore, status *lateProjector) error {
	topic, err := a.ConsentTopic(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	store, err := late.of(topic)
	if err != nil {
		return err
	}
	p, quarantine, err := a.projector(store)
	if err != nil {
		return err
	}
	defer quarantine.Close()
	status.set(p)
	return p.Run(ctx)
}
