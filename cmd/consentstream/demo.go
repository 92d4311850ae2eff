package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/internal/app"
	"github.com/consentstream/consentstream/internal/demo"
)

func newDemo(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "See it work: events flow, a consent is withdrawn, the next record shows it",
		Long: `Run everything in one process, with no Docker and no network: an embedded Kafka,
schema registry and Redis, the configuration of configs/demo, and the same
pipeline that run runs. It ends by itself; with --keep it runs until Ctrl-C.
The embedded servers keep nothing: all data is lost at the end.`,
		Example: "  consentstream demo\n  consentstream demo --keep",
		Args:    noArgs,
	}
	keep := c.Flags().Bool("keep", false, "print the addresses and keep running until Ctrl-C")
	verbose := c.Flags().BoolP("verbose", "v", false, "show the pipeline's log too")
	c.RunE = func(c *cobra.Command, _ []string) error {
		log := zerolog.Nop()
		if *verbose {
			var err error
			if log, err = newLogger(std.err, "info"); err != nil {
				return err
			}
		}
		files, err := fs.Sub(configs.Demo, "demo")
		if err != nil {
			return err
		}
		// A reader who has seen enough (| head) is an error of the next write, which
		// ends the demo, and not the end of the process, which would leave its files.
		closed := make(chan os.Signal, 1)
		signal.Notify(closed, syscall.SIGPIPE)
		defer signal.Stop(closed)
		err = demo.Run(c.Context(), demo.Config{
			Out: std.out, Colour: isTerminal(std.out) && os.Getenv("NO_COLOR") == "", Width: width(std.out), Keep: *keep, Files: files,
			Run: func(ctx context.Context, file string) error {
				cfg, err := load(std, file)
				if err != nil {
					return err
				}
				return runDaemon(ctx, cfg, app.Roles(), log)
			},
		})
		if errors.Is(err, syscall.EPIPE) {
			return nil
		}
		return err
	}
	return c
}

// width is that of a terminal, in characters; COLUMNS says so where it is set.
// 0: there is none.
func width(stream any) int {
	n, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if f, ok := stream.(*os.File); ok && err != nil {
		n, _, _ = term.GetSize(int(f.Fd()))
	}
	return max(n, 0)
}

// isTerminal reports whether a stream of this process is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
