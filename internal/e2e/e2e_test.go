package e2e

import (
	"strconv"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// TestWholeJob is the job without accidents, in one process and in two.
func TestWholeJob(t *testing.T) {
	for _, instances := range []int{1, 2} {
		t.Run(itoa(instances)+" instances", func(t *testing.T) { wholeJob(t, instances) })
	}
}

func wholeJob(t *testing.T, instances int) {
	began := time.Now()
	w := newWorld(t)
	f := w.feed()
	seen := w.watch()
	p := f.producer()
	var running []*process
	for i := range instances {
		running = append(running, w.start(i))
	}
	said := f.consents(2 * time.Millisecond)
	if err := f.records(p, records-chunk, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	f.last(p, said)
	written := time.Since(began)
	w.await(seen, f.count(), 60*time.Second, running...)
	t.Logf("all input written after %.1f s, decided %.1f s later", written.Seconds(), (time.Since(began) - written).Seconds())
	pages := ""
	for _, p := range running {
		pages += p.pages()
		p.stop()
	}
	w.checkSchemas(p.shipped, p.wider)
	w.check(f, pages).report(0, began)
}

// kills is how often TestKilled kills.
const kills = 10

// TestKilled is the job with the process killed, as by a power cut, again and
// again while it works, and started again as the same instance.
func TestKilled(t *testing.T) {
	began := time.Now()
	w := newWorld(t)
	f := w.feed()
	seen := w.watch()
	p := f.producer()
	r := newDraw(w.seed, 4)
	running := w.start(0)
	said := f.consents(15 * time.Millisecond)
	fed := make(chan error, 1)
	stop := make(chan struct{})
	go func() { fed <- f.trickle(p, stop) }()
	for n := 1; n <= kills; n++ {
		// Work flows while the process dies. Mostly it has come up and decided
		// something before; else it may be at any point of its start.
		before := seen.n.Load()
		if !r.one(5) {
			w.await(seen, int(before)+1, 60*time.Second, running)
		}
		time.Sleep(time.Duration(r.IntN(900)) * time.Millisecond)
		running.kill()
		t.Logf("kill %d after %.1f s: %d records committed, %d audited", n, time.Since(began).Seconds(), f.count(), seen.n.Load())
		running = w.start(0)
	}
	close(stop)
	if err := <-fed; err != nil {
		t.Fatal(err)
	}
	f.last(p, said)
	w.await(seen, f.count(), 60*time.Second, running)
	pages := running.pages()
	running.stop()
	w.checkSchemas(p.shipped, p.wider)
	w.check(f, pages).report(kills, began)
}
