package faults

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestSignal: the real command gets SIGTERM while records flow, again and
// again: it ends its transaction and exits with 0 each time.
func TestSignal(t *testing.T) {
	binary := build(t)
	each(t, func(s *site) {
		s.gather()
		stop := s.under()
		for range 3 {
			c := settings{instance: "0", revision: 1, keys: "keys.json", health: freeAddress(s)}
			log := &safeBuffer{}
			cmd := exec.Command(binary, "run", "-c", s.config(c))
			cmd.Stderr = log
			s.must(cmd.Start())
			d := &daemon{s: s, health: c.health, log: log}
			d.ready()
			time.Sleep(200 * time.Millisecond)
			s.must(cmd.Process.Signal(syscall.SIGTERM))
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, log)
			}
		}
		stop()
		d := s.start()
		s.settled()
		d.ready().stop()
	})
}

// build compiles the command.
func build(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/consentstream"
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, "../../cmd/consentstream")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}
