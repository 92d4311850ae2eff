package faults

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consentstream/consentstream/pipeline"
)

// crowd is one person of each kind: alice granted, wanda withdrew, rita has
// restricted everything, ulf was never heard of.
var crowd = []string{"alice", "wanda", "rita", "ulf"}

// gather makes the crowd.
func (l *ledger) gather() {
	l.s.t.Helper()
	for _, e := range [][2]string{{"alice", "grant"}, {"wanda", "grant"}, {"rita", "grant"}, {"wanda", "withdraw"}, {"rita", "restrict"}} {
		l.says(e[0], e[1])
	}
}

// everybody sends a record of each person to every lane.
func (l *ledger) everybody() {
	l.s.t.Helper()
	for _, stream := range []string{"events", "contacts"} {
		for p := range int32(2) {
			l.send(stream, p, crowd...)
		}
	}
}

// under sends records all the time until the returned function is called.
func (l *ledger) under() (stop func()) {
	ctx, cancel := context.WithCancel(l.s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			l.everybody()
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return func() { cancel(); <-done }
}

// TestNoFault: the harness sees what it should when nothing breaks.
func TestNoFault(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		s.everybody()
		d := s.start().ready()
		s.settled()
		s.says("alice", "withdraw")
		s.everybody()
		leaves := s.settled()
		if len(leaves) != 2*4*len(crowd) {
			t.Errorf("%d leaves", len(leaves))
		}
		d.stop()
	})
}

// TestTheCheckCanFail: each question of the package comment is answered with no
// where the ledger is told something else than what happened.
func TestTheCheckCanFail(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.gather()
	s.everybody()
	s.start()
	s.settled()
	for _, c := range []struct {
		name   string
		change func()
		want   string
	}{
		{"alice never granted", func() { s.history["alice"][1].granted = false }, "LEAK"},
		{"alice is restricted", func() { s.history["alice"][1].restricted = true }, "LEAK"},
		{"wanda did not withdraw", func() { s.history["wanda"][2].granted = true }, "is denied for analytics"},
		{"a record was not produced", func() { s.inputs[0].n = 1 << 20 }, "which was never produced"},
		{"an output is missing", func() { s.inputs[0].n = s.inputs[3].n }, "there are 0 copies"},
	} {
		history, first := map[string][]standing{}, *s.inputs[0]
		for p, h := range s.history {
			history[p] = slices.Clone(h)
		}
		c.change()
		if _, found := s.check(); !strings.Contains(strings.Join(found, "\n"), c.want) {
			t.Errorf("%s: found %q", c.name, found)
		}
		s.history, *s.inputs[0] = history, first
	}
	if _, found := s.check(); len(found) > 0 {
		t.Errorf("found %q", found)
	}
}

// TestRedisRestartedEmpty: nothing is emitted while Redis is away, nothing is
// taken for "never heard of" while it is empty, and it is filled again.
func TestRedisRestartedEmpty(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		d := s.start().ready()
		s.everybody()
		s.audited()
		s.killRedis()
		s.everybody()
		d.holds(pipeline.HoldStates, s.redisCLI()+" PING")
		s.startRedis()
		s.settled()
		s.everybody()
		s.settled()
		d.ready().stop()
	})
}

func (s *site) killRedis() {
	if s.stack == nil {
		s.server("kill-scratch")
		return
	}
	s.stack.Redis.Close()
}

func (s *site) startRedis() {
	s.t.Helper()
	if s.stack == nil {
		s.server("start-scratch")
		return
	}
	s.stack.Redis.FlushAll()
	s.must(s.stack.RestartRedis())
}

// TestRedisFlushed: FLUSHALL again and again while records flow.
func TestRedisFlushed(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		d := s.start().ready()
		stop := s.under()
		for range 5 {
			time.Sleep(150 * time.Millisecond)
			s.must(s.rdb.FlushAll(t.Context()).Err())
		}
		stop()
		s.settled()
		d.ready().stop()
	})
}

// rows gives every field of every bucket.
func (s *site) rows() map[string]map[string]string {
	s.t.Helper()
	ctx := s.t.Context()
	all := map[string]map[string]string{}
	buckets, err := s.rdb.Keys(ctx, "cs:*").Result()
	s.must(err)
	for _, key := range buckets {
		if all[key], err = s.rdb.HGetAll(ctx, key).Result(); err != nil {
			s.t.Fatal(err)
		}
	}
	return all
}

// TestRowDeleted: one field is lost. Without its row rita would count as never
// heard of, and the contract purpose would be permitted.
func TestRowDeleted(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		d := s.start().ready()
		s.everybody()
		s.audited()
		deleted := 0
		for bucket, fields := range s.rows() {
			for field := range fields {
				if field != "w" {
					s.must(s.rdb.HDel(t.Context(), bucket, field).Err())
					deleted++
				}
			}
		}
		if deleted != 3 {
			t.Fatalf("%d rows deleted, want those of alice, wanda and rita", deleted)
		}
		s.everybody()
		s.settled()
		d.ready().stop()
	})
}

// TestRolledBack: Redis comes back with its own past: as a whole, or only
// the watermarks. The people said no in between.
func TestRolledBack(t *testing.T) {
	parts := map[string]func(field string) bool{
		"all":       func(string) bool { return true },
		"watermark": func(f string) bool { return f == "w" },
	}
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *site) {
				s.says("alice", "grant")
				s.says("wanda", "grant")
				s.says("rita", "grant")
				d := s.start().ready()
				s.everybody()
				s.audited()
				past := s.rows()
				s.says("wanda", "withdraw")
				s.says("rita", "restrict")
				s.everybody()
				s.audited()
				s.restore(past, part)
				s.everybody()
				s.settled()
				d.ready().stop()
			})
		})
	}
}

func (s *site) restore(past map[string]map[string]string, part func(string) bool) {
	s.t.Helper()
	for bucket, fields := range past {
		for field, value := range fields {
			if part(field) {
				s.must(s.rdb.HSet(s.t.Context(), bucket, field, value).Err())
			}
		}
	}
}

// outputs counts what readers of purpose topics see.
func (s *site) outputs() (n int) {
	for _, topic := range []string{"events.analytics", "events.service", "contacts.analytics", "contacts.service"} {
		n += len(s.read(s.topic(topic)))
	}
	return n
}

// TestRedisUnfit: Redis is made to evict while the daemon runs. Nothing in its
// answers shows that; it is noticed, nothing is decided, and the command helps.
func TestRedisUnfit(t *testing.T) {
	t.Parallel()
	s := servers(t)
	s.gather()
	d := s.start().ready()
	s.everybody()
	s.audited()
	s.must(s.rdb.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	t.Cleanup(func() { _ = s.rdb.ConfigSet(context.Background(), "maxmemory-policy", "noeviction").Err() })
	s.eventually("held", func() bool {
		s.send("events", 0, crowd...)
		st, _ := d.status()
		return len(st.Holds) > 0 && st.Holds[0].Detail == "eviction_policy"
	})
	d.holds(pipeline.HoldStates, s.redisCLI()+" CONFIG SET maxmemory-policy noeviction")
	before := s.outputs()
	s.everybody()
	time.Sleep(time.Second)
	if n := s.outputs(); n != before {
		t.Errorf("%d outputs", n-before)
	}
	s.must(s.rdb.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	s.settled()
	d.ready().stop()
}

// TestStartWithoutRedis: what is away at the start may come up later; what is
// wrong with it is refused with the command that mends it.
func TestStartWithoutRedis(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		s.everybody()
		s.killRedis()
		d := s.start()
		d.holds(pipeline.HoldStates, s.redisCLI()+" PING")
		s.startRedis()
		s.settled()
		d.ready().stop()
	})
}

// redisCLI is how a remedy begins that can be pasted as it is.
func (s *site) redisCLI() string {
	host, port, err := net.SplitHostPort(s.redis)
	s.must(err)
	return "redis-cli -h " + host + " -p " + port
}
