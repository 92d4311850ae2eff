package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/internal/app"
)

// asDaemon is the variable that makes this test binary a daemon on the named
// configuration.
const asDaemon = "CONSENTSTREAM_FAULTS_DAEMON"

// runAsDaemon does what `consentstream run -c FILE` does, in a process of its own.
func runAsDaemon(file string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, findings := configs.Load(file, os.LookupEnv, os.ReadFile)
	if cfg == nil {
		fmt.Fprintln(os.Stderr, findings)
		return 1
	}
	a, err := app.New(cfg, zerolog.New(os.Stderr), "test")
	if err == nil {
		err = a.Run(ctx, app.Roles())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process runs a daemon as a process of its own and waits until it is ready.
func (s *site) process() (*exec.Cmd, *daemon) {
	s.t.Helper()
	c := settings{instance: "0", revision: 1, keys: "keys.json", health: freeAddress(s)}
	d := &daemon{s: s, health: c.health, instance: c.instance, log: &safeBuffer{}}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asDaemon+"="+s.config(c))
	cmd.Stderr = d.log
	s.must(cmd.Start())
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, d.ready()
}

// TestSignals: SIGTERM and SIGKILL while records flow. The first ends the open
// transaction, or aborts it, and exits with 0; the second does nothing; neither
// loses or repeats a record.
func TestSignals(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		stop := s.under()
		for _, sig := range []os.Signal{syscall.SIGTERM, os.Kill, syscall.SIGTERM, os.Kill} {
			cmd, d := s.process()
			time.Sleep(200 * time.Millisecond)
			s.must(cmd.Process.Signal(sig))
			err := cmd.Wait()
			var exit *exec.ExitError
			if sig == os.Kill && !errors.As(err, &exit) || sig != os.Kill && err != nil {
				t.Errorf("%v: %v\n%s", sig, err, d.log)
			}
		}
		stop()
		d := s.start()
		s.settled()
		d.ready().stop()
	})
}
