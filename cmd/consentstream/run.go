package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/internal/app"
	"github.com/consentstream/consentstream/pipeline"
)

func newRun(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "run -c FILE",
		Short: "Run the daemon: enforce consent on the configured streams",
		Long: `Run the pipeline until SIGTERM or SIGINT, which finish or abort the open
transaction. Logs go to standard error, as JSON when that is not a terminal; the
last line says why it ended. Before the log begins, what is wrong with flags and
configuration is said in text, as lint does.

Nothing is created in Kafka: missing topics and settings that would make the
promises untrue are printed with the commands that fix them, and the exit code is 1.
While Kafka, Redis or the registry are away the pipeline holds and goes on by
itself; the health endpoint names what it waits for: /status for people, /readyz
as JSON, /healthz for liveness, /metrics for Prometheus.`,
		Example: `  consentstream run -c consentstream.yaml
  CONSENTSTREAM_INSTANCE=1 consentstream run -c consentstream.yaml --roles enforce
  curl -s localhost:9464/status`,
		Args: noArgs,
	}
	path := addConfig(c)
	roles := c.Flags().StringSlice("roles", app.Roles(), "`ROLES` of this process: enforce, project")
	level := c.Flags().String("log-level", "info", "`LEVEL`: debug, info, warn or error")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if len(*roles) == 0 {
			return usage(c, fmt.Errorf("--roles names none of %s: the process would do nothing", strings.Join(app.Roles(), ", ")))
		}
		for _, r := range *roles {
			if !slices.Contains(app.Roles(), r) {
				return usage(c, fmt.Errorf("--roles: %q is none of %s", r, strings.Join(app.Roles(), ", ")))
			}
		}
		log, err := newLogger(std.err, *level)
		if err != nil {
			return usage(c, err)
		}
		cfg, err := load(std, *path)
		if err != nil {
			return err
		}
		err = runDaemon(c.Context(), cfg, *roles, log)
		if err == nil || isTerminal(std.err) {
			return err
		}
		logEnd(log, err)
		return errFindings
	}
	return c
}

const refusing = "refusing to start: "

// logEnd says in a log that programs read why the daemon ends, as main says it to
// people. What a start was refused for has a line for each, with its command.
func logEnd(to zerolog.Logger, err error) {
	var refusal *pipeline.Refusal
	if !errors.As(err, &refusal) {
		to.Error().Err(err).Msg("consentstream ends")
		return
	}
	for _, c := range refusal.Complaints {
		line := to.Error()
		if c.Command != "" {
			line = line.Str("command", c.Command)
		}
		line.Msg(c.What)
	}
	to.Error().Str("error", refusing+refusal.Summary()).Msg("consentstream ends")
}

// newLogger logs for people on a terminal, else as JSON.
func newLogger(w io.Writer, level string) (zerolog.Logger, error) {
	levels := []string{"debug", "info", "warn", "error"}
	l, err := zerolog.ParseLevel(level)
	if err != nil || !slices.Contains(levels, level) {
		return zerolog.Nop(), fmt.Errorf("--log-level: %q is none of %s", level, strings.Join(levels, ", "))
	}
	if isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger(), nil
}

// runDaemon runs the roles until ctx ends or one of them must stop.
func runDaemon(ctx context.Context, cfg *configs.Config, roles []string, log zerolog.Logger) error {
	a, err := app.New(cfg, log, version)
	if err != nil {
		return err
	}
	err = a.Run(ctx, roles)
	var refusal *pipeline.Refusal
	if errors.As(err, &refusal) {
		return fmt.Errorf(refusing+"%w", err)
	}
	return err
}
