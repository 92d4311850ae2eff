package pipeline

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
)

// Enforcer runs the commit protocol. Make it with New.
type Enforcer struct {
	cfg     Config
	board   *board
	metrics *metrics
	limits  *topicLimits
	scan    *auditScan

	// states is why the store may not be asked, as of the last look; nil: it may.
	states atomic.Pointer[Hold]

	introduced bool // the brokers' versions were logged; of Run's goroutine
}

// New checks cfg, compiles the engine once to find what is wrong with it, and
// registers metrics. It connects to nothing and starts nothing.
func New(cfg Config) (*Enforcer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if _, err := engine.New(cfg.Engine); err != nil {
		return nil, err
	}
	e := &Enforcer{cfg: cfg, metrics: newMetrics(), limits: &topicLimits{}}
	e.board = newBoard(cfg.Log, e.metrics, cfg.Now)
	e.board.access = cfg.access()
	e.scan = newAuditScan(&e.cfg)
	return e, e.metrics.register(cfg.Metrics)
}

// Run enforces until ctx ends, and then returns nil: the open transaction is
// ended, and the group left. It returns an error where the process must stop:
// a *Refusal for what is wrong at the start, with the commands that mend it, a
// *Stop for what must not go on. An outdated instance stays until ctx ends.
func (e *Enforcer) Run(ctx context.Context) error {
	ground, err := e.prepareHolding(ctx)
	if err != nil || ground == nil {
		return err
	}
	return e.runWorkers(ctx, ground)
}

// Status is what the health page shows.
func (e *Enforcer) Status() Status { return e.board.status(e.cfg.Workers) }

// runWorkers runs all workers. One that ends with an error ends all: they have
// one configuration, so what is wrong with it is wrong for all.
func (e *Enforcer) runWorkers(ctx context.Context, ground *ground) error {
	g, wctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.watchStates(wctx, ground.consent) })
	g.Go(func() error { return e.watchLimits(wctx) })
	g.Go(func() error { return e.scan.run(wctx) })
	for n := range e.cfg.Workers {
		w, err := e.newWorker(n, ground)
		if err != nil {
			return err
		}
		g.Go(func() error { return w.run(wctx) })
	}
	err := g.Wait()
	if errors.Is(err, errOutdated) {
		<-ctx.Done() // alive for whoever looks at health, out of the group
		return nil
	}
	return err
}

// newWorker makes worker n with an engine of its own.
func (e *Enforcer) newWorker(n int, ground *ground) (*worker, error) {
	w := &worker{
		cfg: &e.cfg, number: n, id: e.cfg.memberID(n), log: e.cfg.Log.With().Int("worker", n).Logger(),
		board: e.board, metrics: e.metrics, limits: e.limits, scan: e.scan, states: &e.states,
		counts: map[string]int32{}, published: map[string]bool{},
		written:      e.cfg.written(),
		policyDigest: e.cfg.Engine.Policy.Digest(), revision: e.cfg.Engine.Policy.Revision,
		keyEpoch: int32(e.cfg.Keys.Active()), auditSchema: ground.auditSchema,
		consentID: ground.consent.ID, consentPartitions: int32(ground.consent.Partitions),
	}
	w.schemaLog = w.log.Sample(&zerolog.BurstSampler{Burst: 100, Period: time.Minute})
	w.allTopics = append(append(e.cfg.inputs(), e.cfg.Topics.Consent), w.written...)
	var err error
	if w.keyCheck, err = e.cfg.Keys.Check(e.cfg.Keys.Active()); err != nil {
		return nil, err
	}
	key, err := e.cfg.Keys.Derive(keys.UseQuarantine, "", e.cfg.Keys.Active())
	if err != nil {
		return nil, err
	}
	w.quarantine = keys.NewMAC(key)
	cfg := e.cfg.Engine
	cfg.Partitions = w.partitions
	if w.engine, err = engine.New(cfg); err != nil {
		return nil, err
	}
	w.guard = newGuard(e.cfg.Limits.Watchdog, func(reason string) {
		w.log.Error().Str("reason", reason).Dur("limit", e.cfg.Limits.Watchdog).Msg("a record keeps the worker busy beyond the watchdog; the process ends")
		e.cfg.Exit(reason)
	})
	return w, nil
}

// prepareHolding runs prepare until it has an answer: what is wrong stays wrong and
// is returned, what does not answer may come back.
func (e *Enforcer) prepareHolding(ctx context.Context) (*ground, error) {
	var pace pacer
	for ctx.Err() == nil {
		ground, err := e.prepare(ctx)
		var h *Hold
		switch {
		case err == nil:
			e.board.release(setup)
			return ground, nil
		case ctx.Err() != nil:
			return nil, nil
		case !errors.As(err, &h):
			return nil, err
		}
		e.board.hold(setup, h)
		if !pace.wait(ctx) || !sleep(ctx, time.Second) {
			break
		}
	}
	return nil, nil
}
