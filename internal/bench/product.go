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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/internal/app"
	"github.com/consentstream/consentstream/internal/bench/load"
	"github.com/consentstream/consentstream/internal/keys"
)

//go:embed config
var shipped embed.FS

// product runs the two roles of `consentstream run` on a loaded configuration,
// with a new key ring: its state is another epoch than that of the run before.
func product(ctx context.Context, s *spec, _ []kgo.Opt) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	ring, err := keys.Generate(rand.Reader, "bench")
	if err != nil {
		return err
	}
	a := app.NewWithKeys(cfg, ring, zerolog.New(os.Stderr).Level(zerolog.WarnLevel), "bench")
	err = a.Run(ctx, app.Roles())
	if os.Getenv("BENCH_PROFILES") != "" {
		printStages(a.Metrics())
	}
	return err
}

// printStages says on standard error where the time of the transactions went.
func printStages(from prometheus.Gatherer) {
	families, err := from.Gather()
	if err != nil {
		return
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h.GetSampleCount() > 0 {
				fmt.Fprintf(os.Stderr, "%s %v: %d times, %.1f in all\n", f.GetName(), m.GetLabel(), h.GetSampleCount(), h.GetSampleSum())
			}
		}
	}
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
		cfg.Kafka.Workers = s.Workers
		cfg.Health.Listen = "" // several of these may run on one machine
		return cfg, nil
	}
	var text strings.Builder
	for _, f := range findings {
		fmt.Fprintln(&text, f)
	}
	return nil, errors.New(text.String())
}
