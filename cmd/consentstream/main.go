// Command consentstream enforces consent on event streams: it reads events from
// Kafka, looks up what each data subject consented to, and writes one compliant
// topic per purpose plus an audit stream. Run it without arguments for help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/consentstream/consentstream/consent/redisstore"
)

// version is set by the release build (-ldflags -X main.version=…).
var version = "dev"

// The exit codes are stable: scripts may rely on them.
const (
	exitOK      = 0 // fine
	exitFailure = 1 // findings, or the work failed
	exitUsage   = 2 // the command line is wrong
)

// stdio is what a command reads and writes.
type stdio struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

func main() {
	redisstore.Quiet()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run is the whole command: main with everything it touches handed in.
func run(ctx context.Context, args []string, std stdio) int {
	root := newRoot(std)
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFindings):
		return exitFailure // already printed
	}
	fmt.Fprintln(std.err, "consentstream: "+err.Error())
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(std.err, usage.hint)
		return exitUsage
	}
	return exitFailure
}

// errFindings is returned by commands that have printed what they found.
var errFindings = errors.New("findings")

// usageError is a wrong command line; hint says where to read on.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
