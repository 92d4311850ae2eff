package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health is the read-only endpoint of a process, whatever its roles are:
//
//	/healthz  200 while the process can go on by itself (holding and parked too:
//	          restarting it would not help)
//	/readyz   200 or 503, with Report as JSON: held workers and parked lanes with
//	          reason and the command that helps
//	/status   the same as text for people
//	/metrics  Prometheus text, where Gatherer is set
type Health struct {
	Listen    string              // address; "": none
	Gatherer  prometheus.Gatherer // nil: no /metrics
	Enforcer  interface{ Status() Status }
	Projector interface{ Status() ProjectorStatus }
	// Either is nil where the process does not have the role.
}

// Report is what /readyz answers: the enforcer's Status, which is empty without
// that role, and the projector's.
type Report struct {
	Status                     // Ready is that of all roles
	Projector *ProjectorStatus `json:"projector,omitempty"`
}

// Report asks the roles. The process is ready where all of its roles are.
func (h *Health) Report() Report {
	r := Report{Status: Status{Ready: true, Holds: []*Held{}, Parked: []*Parked{}}}
	if h.Enforcer != nil {
		r.Status = h.Enforcer.Status()
	}
	if h.Projector != nil {
		st := h.Projector.Status()
		r.Projector = &st
		r.Ready = r.Ready && st.Hold == nil
	}
	return r
}

// Handler serves the paths.
func (h *Health) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := h.Report()
		w.Header().Set("Content-Type", "application/json")
		if !r.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(r)
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		h.writeTo(w, time.Now())
	})
	if h.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(h.Gatherer, promhttp.HandlerOpts{}))
	}
	return mux
}

// Run serves until ctx ends, and then returns nil.
func (h *Health) Run(ctx context.Context) error {
	if h.Listen == "" {
		return nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", h.Listen)
	if err != nil {
		return fmt.Errorf("the health endpoint (health.listen of the wiring): %w", err)
	}
	srv := &http.Server{Handler: h.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// writeTo writes the report for people.
func (h *Health) writeTo(w io.Writer, now time.Time) {
	r := h.Report()
	word := "ready"
	if !r.Ready {
		word = "NOT READY"
	}
	fmt.Fprintln(w, word)
	if h.Enforcer != nil {
		r.Status.writeTo(w, now)
	}
	if r.Projector != nil {
		r.Projector.writeTo(w)
	}
}

func (st *Status) writeTo(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "\nenforce: %d lanes\n", st.Lanes)
	if st.Outdated != "" {
		fmt.Fprintf(w, "  outdated: another instance has committed under a newer %s; replace this one\n", st.Outdated)
	}
	for _, h := range st.Holds {
		what := h.Lane
		switch {
		case h.Worker < 0:
			what = "the start"
		case what == "":
			what = fmt.Sprintf("worker %d", h.Worker)
		}
		far := ""
		if h.Of > 0 {
			far = fmt.Sprintf(", %d of %d records of the audit were looked at", h.Done, h.Of)
		}
		fmt.Fprintf(w, "  waiting: %s, for %s: %s%s\n", what, now.Sub(h.Since).Round(time.Second), (&Hold{Code: h.Code, Detail: h.Detail}).words(), far)
		printCommand(w, h.Mend)
	}
	for _, p := range st.Parked {
		fmt.Fprintf(w, "  parked: %s/%d at offset %d: %s\n", p.Topic, p.Partition, p.Offset, p.Code)
		printCommand(w, p.Mend)
	}
}

// writeTo says what the projector does; what it is behind is from its last look.
func (st *ProjectorStatus) writeTo(w io.Writer) {
	doing := "standing by: another instance projects, or will"
	behind := st.Behind()
	switch {
	case st.Leading && st.Rebuilding:
		doing = fmt.Sprintf("rebuilding consent state from the consent topic: %d events to go; nothing is decided meanwhile", behind)
	case st.Leading && behind > 0:
		doing = fmt.Sprintf("projecting: %d events behind", behind)
	case st.Leading && st.Hold != nil:
		doing = "projecting: up to date at the last look"
	case st.Leading:
		doing = "projecting: up to date"
	}
	fmt.Fprintf(w, "\nproject: %s\n", doing)
	if st.Hold != nil {
		fmt.Fprintf(w, "  waiting: %s\n", st.Hold.words())
		printCommand(w, st.Hold.Mend)
	}
	for p, next := range st.Next {
		if p < len(st.Ends) && st.Ends[p] > next {
			fmt.Fprintf(w, "  partition %d: at %d of %d\n", p, next, st.Ends[p])
		}
	}
	if st.Malformed > 0 {
		fmt.Fprintf(w, "  %d malformed consent events, which deny\n", st.Malformed)
	}
	if st.Unattributed > 0 {
		fmt.Fprintf(w, "  %d of them may be about people who are not denied: the log has their offsets\n", st.Unattributed)
	}
}

// words are the codes of h, the general one first.
func (h *Hold) words() string {
	if h.Detail == "" {
		return string(h.Code)
	}
	return string(h.Code) + " (" + h.Detail + ")"
}

func printCommand(w io.Writer, mend string) {
	if mend != "" {
		fmt.Fprintln(w, "    "+mend)
	}
}
