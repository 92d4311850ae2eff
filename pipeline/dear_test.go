package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
)

// dearRig pseudonymizes every element of a list, for both purposes.
func dearRig(t *testing.T) *rig {
	return newRig(t, func(cfg *Config) {
		for i := range cfg.Engine.Policy.Purposes {
			p := &cfg.Engine.Policy.Purposes[i]
			p.Treat = append(p.Treat, policy.Rule{Category: "user.contact", Treatment: policy.Treatment{Name: "pseudonymize"}})
		}
		s := &cfg.Engine.Streams[0]
		s.Fields = append(s.Fields, engine.FieldRule{Path: "l[*]", Category: "user.contact"})
		cfg.Limits.Wait = 300 * time.Millisecond // so that one batch has them all
	})
}

func dear(id, elements int) *kgo.Record {
	list := strings.TrimSuffix(strings.Repeat("1,", elements), ",")
	return &kgo.Record{Topic: rigInput, Key: fmt.Appendf(nil, "%d", id), Value: fmt.Appendf(nil, `{"id":"%d","n":%d,"l":[%s]}`, id, id, list)}
}

// TestDearRecords (P9): records that together cost more than one transaction
// may are decided in smaller ones; one that costs too much by itself goes to
// quarantine. The partition goes on.
func TestDearRecords(t *testing.T) {
	r := dearRig(t)
	r.consent(1, "grant")
	for range 5 {
		r.produce(dear(1, 250_000)) // outputs of 7 MB each: refused
	}
	r.produce(dear(1, 300))
	run := r.start()
	seen := r.exactlyOnce(r.chains(r.audited(6)), rigInput, 0, 6)
	for offset, a := range seen {
		for _, d := range a.Decisions {
			if d.Permit != (offset == 5) {
				t.Errorf("offset %d, %s: permit %v, %s", offset, d.Purpose, d.Permit, d.Reason)
			}
		}
	}
	if got := r.outputNumbers(rigInput + ".analytics"); got[1] != 1 {
		t.Errorf("analytics got %v", got)
	}
	run.stop()
}

// Batches that a transaction cannot take shrink down to one record, and grow
// again with every commit.
func TestShrinkAndGrow(t *testing.T) {
	w := &worker{cfg: &Config{Limits: Limits{Records: 1000}}, board: newBoard(zerolog.Nop(), newMetrics(), time.Now)}
	w.shrink(0)
	if w.room() != 1000 {
		t.Errorf("nothing was tried: %d", w.room())
	}
	for _, want := range []int{250, 62, 15, 3, 1} {
		if w.shrink(w.room()); w.room() != want || len(w.board.status(1).Holds) != 0 {
			t.Errorf("%d records, want %d", w.room(), want)
		}
	}
	if w.shrink(1); w.room() != 1 {
		t.Errorf("%d records", w.room())
	}
	if h := w.board.status(1).Holds; len(h) != 1 || h[0].Code != HoldProduce || h[0].Detail != "slow" {
		t.Errorf("one record is too much, and nobody is told: %v", h)
	}
	for range 10 {
		w.grow()
	}
	if w.room() != 1000 || w.most != 0 {
		t.Errorf("%d records after ten commits", w.room())
	}
	if w.grow(); w.room() != 1000 {
		t.Errorf("%d records", w.room())
	}
}
