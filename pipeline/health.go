package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves health, read-only:
//
//	/healthz  200 while the process can go on by itself (holding and parked too:
//	          restarting it would mend nothing)
//	/readyz   200 or 503, with Status as JSON: held workers and parked lanes with
//	          reason and the command that helps
//	/metrics  Prometheus text, where Config.Gatherer is set
func (e *Enforcer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		st := e.Status()
		w.Header().Set("Content-Type", "application/json")
		if !st.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(st)
	})
	if e.cfg.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(e.cfg.Gatherer, promhttp.HandlerOpts{}))
	}
	return mux
}

// Status is what the health page shows.
func (e *Enforcer) Status() Status { return e.board.status(e.cfg.Workers) }

// serveHealth runs until ctx ends.
func (e *Enforcer) serveHealth(ctx context.Context) error {
	if e.cfg.Health == "" {
		return nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", e.cfg.Health)
	if err != nil {
		return fmt.Errorf("the health endpoint (health.listen of the wiring): %w", err)
	}
	srv := &http.Server{Handler: e.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
