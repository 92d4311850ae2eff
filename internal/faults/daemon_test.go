package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/internal/app"
	"github.com/consentstream/consentstream/pipeline"
)

// daemon is what `consentstream run` runs, in this process.
type daemon struct {
	s        *site
	app      *app.App
	health   string
	instance string
	log      *safeBuffer
	cancel   context.CancelFunc
	done     chan struct{}
	err      error
}

// start runs a daemon; its settings are the site's unless change says else.
func (s *site) start(change ...func(*settings)) *daemon {
	s.t.Helper()
	d := s.build(change...)
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	go func() {
		defer close(d.done)
		d.err = d.app.Run(ctx, app.Roles())
	}()
	s.t.Cleanup(func() {
		if s.t.Failed() {
			st, _ := d.status()
			text, _ := json.Marshal(st)
			s.t.Logf("health of instance %s: %s", d.instance, text)
			select {
			case <-d.done:
				s.t.Logf("instance %s has ended: %v", d.instance, d.err)
			default:
			}
		}
		d.cancel()
		d.await()
		if s.t.Failed() && os.Getenv("CONSENTSTREAM_TEST_LOG") != "" {
			s.t.Log("log of the daemon:\n" + d.log.String())
		}
	})
	return d
}

// build loads a daemon without running it.
func (s *site) build(change ...func(*settings)) *daemon {
	s.t.Helper()
	c := settings{instance: "0", revision: 1, keys: "keys.json", health: freeAddress(s)}
	for _, f := range change {
		f(&c)
	}
	cfg, findings := configs.Load(s.config(c), func(string) (string, bool) { return "", false }, os.ReadFile)
	if cfg == nil {
		s.t.Fatalf("configuration: %v", findings)
	}
	d := &daemon{s: s, health: c.health, instance: c.instance, log: &safeBuffer{}, done: make(chan struct{})}
	a, err := app.New(cfg, zerolog.New(d.log), "test")
	s.must(err)
	d.app = a
	return d
}

func freeAddress(s *site) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	s.must(l.Close())
	return l.Addr().String()
}

// stop ends the daemon as a signal would; it must end well.
func (d *daemon) stop() {
	d.s.t.Helper()
	d.cancel()
	if err := d.end(); err != nil {
		d.s.t.Fatalf("Run returned %v", err)
	}
}

// end waits until the daemon has ended by itself.
func (d *daemon) end() error {
	d.s.t.Helper()
	if !d.await() {
		d.s.t.Fatal("Run does not return")
	}
	return d.err
}

// await waits for the end of Run, but not for ever: a daemon that hangs is a
// finding, and must not take the other tests along.
func (d *daemon) await() bool {
	select {
	case <-d.done:
		return true
	case <-time.After(d.s.patience):
		stacks := make([]byte, 1<<20)
		d.s.t.Errorf("the daemon does not end within %v\n%s", d.s.patience, stacks[:runtime.Stack(stacks, true)])
		return false
	}
}

// status asks /readyz.
func (d *daemon) status() (st pipeline.Status, ready bool) {
	resp, err := http.Get("http://" + d.health + "/readyz")
	if err != nil {
		return st, false
	}
	defer resp.Body.Close()
	if json.NewDecoder(resp.Body).Decode(&st) != nil {
		return st, false
	}
	return st, resp.StatusCode == http.StatusOK && st.Ready
}

// page is the text of one path of the health endpoint.
func (d *daemon) page(path string) string {
	d.s.t.Helper()
	resp, err := http.Get("http://" + d.health + path)
	d.s.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	d.s.must(err)
	return string(text)
}

// ready waits until the daemon is ready and owns lanes.
func (d *daemon) ready() *daemon {
	d.s.t.Helper()
	d.s.eventually("the daemon is ready with lanes", func() bool {
		st, ok := d.status()
		return ok && st.Lanes+len(st.Parked) > 0
	})
	return d
}

// holds waits until health and log name a hold with one of the details ("": any)
// and, where command is not empty, a command that holds that text.
func (d *daemon) holds(code pipeline.HoldCode, command string) {
	d.s.t.Helper()
	var seen []*pipeline.Held
	d.s.eventually("held for "+string(code)+" with a command like "+command, func() bool {
		st, ready := d.status()
		if ready {
			return false
		}
		seen = append(seen, st.Holds...)
		for _, h := range st.Holds {
			if h.Code == code && strings.Contains(h.Mend, command) {
				return true
			}
		}
		return false
	})
	if log := d.log.String(); !strings.Contains(log, `"reason":"`+string(code)+`"`) || !strings.Contains(log, command) {
		d.s.t.Errorf("the log does not name %s with the command %q", code, command)
	}
}

// parks waits until health and log name a parked lane, with the command.
func (d *daemon) parks(topic string, partition int32, code pipeline.ParkCode, command string) {
	d.s.t.Helper()
	d.s.eventually("parked for "+string(code), func() bool {
		st, _ := d.status()
		for _, p := range st.Parked {
			if p.Topic == topic && p.Partition == partition && p.Code == code && strings.Contains(p.Mend, command) {
				return true
			}
		}
		return false
	})
	if log := d.log.String(); !strings.Contains(log, `"reason":"`+string(code)+`"`) || !strings.Contains(log, command) {
		d.s.t.Errorf("the log does not name %s with the command %q", code, command)
	}
}

// eventually polls until ok or the site's patience is over.
func (s *site) eventually(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(s.patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	s.t.Fatalf("never: %s", what)
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
