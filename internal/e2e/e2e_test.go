package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
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
	seen := w.watch(kgo.ReadCommitted())
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
	w.finish(f, p, seen, 0, began, running)
}

// kills is how often TestKilled kills.
const kills = 10

// TestKilled is the job with processes killed, as by a power cut, again and
// again while they work, and started again as the same instance; with two, the
// other one goes on.
func TestKilled(t *testing.T) {
	for _, instances := range []int{1, 2} {
		t.Run(itoa(instances)+" instances", func(t *testing.T) { killed(t, instances) })
	}
}

func killed(t *testing.T, instances int) {
	began := time.Now()
	w := newWorld(t)
	f := w.feed()
	seen, written := w.watch(kgo.ReadCommitted()), w.watch(kgo.ReadUncommitted())
	p := f.producer()
	r := newDraw(w.seed, 4)
	var running []*process
	for i := range instances {
		running = append(running, w.start(i))
	}
	said := f.consents(15 * time.Millisecond)
	fed := make(chan error, 1)
	stop := make(chan struct{})
	go func() { fed <- f.trickle(p, stop) }()
	for n := 1; n <= kills; n++ {
		// Work flows while the process dies. Mostly it has come up and decided
		// something before; else it may be at any point of its start.
		before := seen.n.Load()
		if !r.one(5) {
			w.await(seen, int(before)+1, 60*time.Second, running...)
		}
		if patience := time.Duration(r.IntN(800)) * time.Millisecond; n%2 == 0 {
			time.Sleep(patience)
		} else { // in a transaction: some of it is written, and its end may be on its way
			written.change(5 * time.Second)
			time.Sleep(patience / 64)
		}
		victim := r.IntN(instances)
		running[victim].kill()
		t.Logf("kill %d after %.1f s: %d records committed, %d audited", n, time.Since(began).Seconds(), f.count(), seen.n.Load())
		running[victim] = w.start(victim)
	}
	close(stop)
	if err := <-fed; err != nil {
		t.Fatal(err)
	}
	f.last(p, said)
	w.finish(f, p, seen, kills, began, running)
}

// finish waits until all is decided, stops the processes in good order, and
// checks everything.
func (w *world) finish(f *feed, p *producer, seen *watch, kills int, began time.Time, running []*process) {
	w.await(seen, f.count(), 60*time.Second, running...)
	pages := ""
	for _, p := range running {
		page := p.pages()
		if kills == 0 && !strings.Contains(page, "consentstream_records_total{") {
			w.t.Errorf("a process has decided nothing: this proves less than it says")
		}
		pages += page
		p.stop()
	}
	w.checkSchemas(p.shipped, p.wider)
	w.check(f, pages).report(kills, began)
}
