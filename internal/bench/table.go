package main

import (
	"fmt"
	"io"
	"runtime"
)

// table prints results as they come; the ratio stands with the later of a pair.
type table struct {
	w    io.Writer
	seen map[key]map[string]*result
}

type key struct {
	format, codec string
	workers       int
}

func newTable(w io.Writer, embedded bool) *table {
	where := "real broker: CPU, allocations and memory are the client's"
	if embedded {
		where = "in-process broker: CPU, allocations and memory INCLUDE the broker; compare, do not quote"
	}
	fmt.Fprintf(w, "%s, %d CPUs, %s\n", runtime.Version(), runtime.NumCPU(), where)
	fmt.Fprintf(w, "%-6s %-7s %-7s %-8s %10s %9s %11s %9s %10s %10s\n",
		"format", "codec", "workers", "job", "events/s", "CPU µs/ev", "allocs/ev", "peak MiB", "out B/ev", "log B/ev")
	return &table{w: w, seen: make(map[key]map[string]*result)}
}

func (t *table) add(s *spec, r *result) {
	n := float64(r.Records)
	fmt.Fprintf(t.w, "%-6s %-7s %-7d %-8s %10.0f %9.2f %11.3f %9d %10.0f %10.0f\n", s.Format, s.Codec, s.Workers, s.Job,
		n/r.Seconds, r.CPU/n*1e6, float64(r.Mallocs)/n, r.PeakKB>>10, r.Shape.bytes(), float64(r.Stored)/n)
	k := key{s.Format, s.Codec, s.Workers}
	if t.seen[k] == nil {
		t.seen[k] = make(map[string]*result)
	}
	t.seen[k][s.Job] = r
	t.ratio(k)
}

func (t *table) ratio(k key) {
	p, f := t.seen[k]["product"], t.seen[k]["floor"]
	if p == nil || f == nil {
		return
	}
	speed := float64(p.Records) / p.Seconds / (float64(f.Records) / f.Seconds)
	more := (p.CPU/float64(p.Records) - f.CPU/float64(f.Records)) * 1e6
	fmt.Fprintf(t.w, "%-6s %-7s %-7d product/floor: %.2f of the throughput, %+.1f µs CPU an event\n", k.format, k.codec, k.workers, speed, more)
	delete(t.seen, k)
}
