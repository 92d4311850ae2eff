package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
)

// table prints results as they come; the ratio stands with the later of a pair.
type table struct {
	w     io.Writer
	seen  map[key]map[string]*result
	order []key
	pairs map[key]*pairs
}

// pairs are the ratios of all pairs, which ran one after the other: a machine
// that others use is at one speed for a pair, and hardly for a table.
type pairs struct {
	speed []float64 // product's records/s by floor's
	more  []float64 // CPU µs a record
	peak  int       // of the product, KiB
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
	return &table{w: w, seen: make(map[key]map[string]*result), pairs: make(map[key]*pairs)}
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
	sum := t.pairs[k]
	if sum == nil {
		sum = &pairs{}
		t.pairs[k], t.order = sum, append(t.order, k)
	}
	sum.speed, sum.more, sum.peak = append(sum.speed, speed), append(sum.more, more), max(sum.peak, p.PeakKB)
}

// summary says what of several pairs is typical.
func (t *table) summary() {
	for _, k := range t.order {
		p := t.pairs[k]
		if n := len(p.speed); n > 1 {
			fmt.Fprintf(t.w, "%-6s %-7s %-7d median of %d pairs: %.2f of the throughput (%.2f to %.2f), %+.1f µs CPU an event, peak %d MiB\n", k.format, k.codec, k.workers,
				n, median(p.speed), slices.Min(p.speed), slices.Max(p.speed), median(p.more), p.peak>>10)
		}
	}
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}
