package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/schemas"
)

// variant registers a writer schema that differs from contactSchema in a name
// only, so that the same bytes are a record of it.
func (r *rig) variant(n int) (id int) {
	r.t.Helper()
	id, err := r.Register(r.t.Context(), "events-value", strings.Replace(contactSchema, `"contact"`, fmt.Sprintf(`"contact%d"`, n), 1), schemas.Avro)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// contacts produces framed records to a partition, one for each schema id.
func (r *rig) contacts(partition int32, schemaIDs ...int) {
	r.t.Helper()
	var rs []*kgo.Record
	for _, id := range schemaIDs {
		rec := contact(id)
		rec.Partition = partition
		rs = append(rs, rec)
	}
	r.produce(rs...)
}

func (r *rig) down(yes bool) {
	r.outage(func(m *memoryRegistry) {
		m.down = nil
		if yes {
			m.down = errBroken
		}
	})
}

// TestAside: a record whose schema cannot be looked up keeps its own lane waiting
// and no other one of the worker; the lane comes back by itself, and every one of
// its records is decided once, in order.
func TestAside(t *testing.T) {
	r, id := avroRig(t)
	run := r.start()
	r.contacts(0, id)
	r.contacts(1, id)
	r.audited(2)
	grown := r.variant(1)
	r.down(true)
	r.contacts(0, id, id, grown, id) // two good records before it must wait with it, or go before it
	r.contacts(1, id)
	aside := func() bool {
		st := run.Status()
		return len(st.Holds) == 1 && st.Holds[0].Code == HoldRegistry && st.Holds[0].Lane == "events/0" && !st.Ready
	}
	r.eventually("lane 0 is set aside", aside)
	for range 5 {
		r.contacts(1, id, id)
	}
	r.contacts(0, id)
	r.eventually("lane 1 goes on", func() bool { return len(r.byLane(1)) == 12 })
	if !aside() {
		t.Errorf("status %+v", run.Status())
	}
	if n := len(r.byLane(0)); n > 3 {
		t.Errorf("%d records of lane 0 were decided, one of them without its schema", n)
	}
	r.consent(9, "withdraw") // `consent wait` must not wait for the registry
	r.eventually("the held lane commits fences", func() bool { return r.heads(rigInput)[0].Fence[1] >= 1 })
	r.down(false)
	lanes := r.chains(r.audited(18))
	r.exactlyOnce(lanes, rigInput, 0, 6)
	r.exactlyOnce(lanes, rigInput, 1, 12)
	r.eventually("ready", func() bool { return run.Status().Ready })
	run.stop()
}

// byLane gives the audited offsets of a partition, in the order of the audit.
func (r *rig) byLane(partition int32) (offsets []int64) {
	for lane, records := range r.chains(r.read(r.cfg.Topics.Audit)) {
		if lane.Partition == partition {
			for _, a := range records {
				offsets = append(offsets, a.Offset)
			}
		}
	}
	return offsets
}

// slowRegistry does not answer about one schema id.
type slowRegistry struct {
	Registry
	id    int
	until chan struct{}
}

func (s *slowRegistry) Schema(ctx context.Context, id int, format schemas.Format) (string, error) {
	if id == s.id {
		select {
		case <-s.until:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return s.Registry.Schema(ctx, id, format)
}

// TestAsideSlow: a registry that hangs is away as well, and one id that it does
// not answer for holds no other lane's ids.
func TestAsideSlow(t *testing.T) {
	r, id := avroRig(t)
	first, second := r.variant(1), r.variant(2)
	slow := &slowRegistry{Registry: r.memoryRegistry, id: first, until: make(chan struct{})}
	run := r.start(func(cfg *Config) { cfg.Registry = slow })
	r.contacts(0, first)
	r.eventually("lane 0 is set aside", func() bool { return len(run.Status().Holds) == 1 })
	r.contacts(1, id, second)
	r.eventually("lane 1 learns and goes on", func() bool { return len(r.byLane(1)) == 2 })
	close(slow.until)
	lanes := r.chains(r.audited(3))
	r.exactlyOnce(lanes, rigInput, 0, 1)
	run.stop()
}

// TestAsideAssigned: a lane that is set aside can go to another instance and
// come back, and is polled again each time.
func TestAsideAssigned(t *testing.T) {
	r, id := avroRig(t)
	run := r.start()
	grown := r.variant(1)
	r.contacts(0, id)
	r.contacts(1, id)
	r.audited(2)
	r.down(true)
	r.contacts(0, id, grown)
	r.contacts(1, id, grown)
	r.eventually("both are set aside", func() bool { return len(run.Status().Holds) == 2 })
	r.down(false) // the second one needs the registry to start
	r.outage(func(m *memoryRegistry) { m.refuse = schemas.ErrIncompatible })
	other := r.start(func(cfg *Config) { cfg.Instance = "1" })
	r.eventually("each has one lane, set aside", func() bool {
		a, b := run.Status(), other.Status()
		return a.Lanes == 1 && b.Lanes == 1 && len(a.Holds) == 1 && len(b.Holds) == 1 && a.Holds[0].Lane != b.Holds[0].Lane
	})
	other.stop()
	r.eventually("both are back", func() bool {
		st := run.Status()
		return st.Lanes == 2 && len(st.Holds) == 2 && st.Holds[0].Code == HoldIncompatible && st.Holds[1].Code == HoldIncompatible
	})
	r.outage(func(m *memoryRegistry) { m.refuse = nil })
	lanes := r.chains(r.audited(6))
	r.exactlyOnce(lanes, rigInput, 0, 3)
	r.exactlyOnce(lanes, rigInput, 1, 3)
	run.stop()
}

// TestAsideChurn: whatever the registry does while records of known and unknown
// schemas come, every record is decided once and in order: chains holds the order.
func TestAsideChurn(t *testing.T) {
	r, id := avroRig(t)
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	ids := []int{id}
	for n := range 6 {
		ids = append(ids, r.variant(n))
	}
	run := r.start(func(cfg *Config) { cfg.Limits.Records = 7 })
	r.eventually("ready", func() bool { return run.Status().Ready })
	sent := [2]int64{}
	for range 40 {
		r.down(random.IntN(2) == 0)
		p := random.IntN(2)
		for n := 1 + random.IntN(4); n > 0; n-- {
			r.contacts(int32(p), ids[random.IntN(len(ids))])
			sent[p]++
		}
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
	}
	r.down(false)
	lanes := r.chains(r.audited(int(sent[0] + sent[1])))
	r.exactlyOnce(lanes, rigInput, 0, sent[0])
	r.exactlyOnce(lanes, rigInput, 1, sent[1])
	run.stop()
}
