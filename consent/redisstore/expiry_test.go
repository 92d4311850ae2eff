package redisstore

import (
	"strings"
	"testing"
	"time"

	"github.com/consentstream/consentstream/consent"
)

// TestFieldsThatExpire: a field that has expired is gone, but is counted until the
// server removes it. So while any may be in that state no answer counts, and no miss
// is kept for later.
func TestFieldsThatExpire(t *testing.T) {
	tag, kept := tagIn(1, 0, 4), tagIn(1, 1, 4)
	for name, line := range map[string]struct {
		keyspace string
		want     Code
	}{
		"Redis 7.4":               {"db0:keys=4,expires=0,avg_ttl=0,subexpiry=1", FieldExpiry},
		"Valkey 9":                {"db0:keys=4,expires=0,avg_ttl=0,keys_with_volatile_items=2", FieldExpiry},
		"nothing of our database": {"db10:keys=4,expires=0,avg_ttl=0,subexpiry=0", Malformed},
		"nothing at all":          {"", Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			s := open(t, testConfig(f))
			write(t, s, 1, consent.Vector{9, 9}, consent.Object, tag, kept)
			if code := readOne(t, s, kept); code != "" {
				t.Fatal(code)
			}
			row := f.HGet(s.Key(1), string(tag[:]))
			f.HDel(s.Key(1), string(tag[:]))
			f.HSet(s.Key(1), "counted", "though it is gone")
			f.info = line.keyspace
			for _, tag := range []consent.Tag{tag, kept} { // the second from the cache
				if code := readOne(t, s, tag); code != line.want {
					t.Errorf("%q, want %q", code, line.want)
				}
			}
			f.HDel(s.Key(1), "counted")
			f.HSet(s.Key(1), string(tag[:]), row)
			f.info = goodInfo
			var snap consent.Snapshot
			if err := s.Read(t.Context(), []consent.Tag{tag}, &snap); err != nil || at(t, &snap, 0) == nil {
				t.Error("a miss was kept that did not count", err)
			}
		})
	}
}

// TestEmptyDatabase: INFO has no line for a database without keys, and what that
// holds for is named.
func TestEmptyDatabase(t *testing.T) {
	f := newFake(t)
	f.info = strings.Replace(goodInfo, "db0:", "db1:", 1)
	if code := readOne(t, open(t, testConfig(f)), tagIn(1, 0, 4)); code != NoEpoch {
		t.Error(code)
	}
}

// TestRealFieldExpiry: the row of somebody who objected expires by itself. Whether
// the server has removed it, or only hides it (Valkey; Redis while it is paused), it
// is never taken for that of somebody who said nothing.
func TestRealFieldExpiry(t *testing.T) {
	realServersWanted(t)
	for _, paused := range []string{"", "paused"} {
		t.Run(paused, func(t *testing.T) {
			s, r := openExpiring(t)
			tag := tagIn(1, 0, 4)
			write(t, s, 1, consent.Vector{5, 5}, consent.Object, tag, tagIn(1, 1, 4))
			r.do(t, "hpexpire", s.Key(1), 20, "fields", 1, string(tag[:]))
			if paused != "" {
				r.do(t, "client", "pause", 600_000, "write")
				defer r.do(t, "client", "unpause")
			}
			var snap consent.Snapshot
			for until := time.Now().Add(200 * time.Millisecond); time.Now().Before(until); {
				switch err := s.Read(t.Context(), []consent.Tag{tag}, &snap); {
				case err == nil && at(t, &snap, 0) == nil:
					t.Fatal("counts as somebody who said nothing")
				case err != nil && codeOf(err) != FieldExpiry && codeOf(err) != CountMismatch:
					t.Fatal(err)
				}
			}
		})
	}
}

// TestRealFieldExpiryWritten: an event of the same person comes when the row has
// expired, and is folded into none. That takes the expiry away, which INFO then does
// not tell of any more; but the objection is not forgotten with it.
func TestRealFieldExpiryWritten(t *testing.T) {
	realServersWanted(t)
	s, r := openExpiring(t)
	tag := tagIn(1, 0, 4)
	write(t, s, 1, consent.Vector{5, 5}, consent.Object, tag, tagIn(1, 1, 4))
	r.do(t, "hpexpire", s.Key(1), 5, "fields", 1, string(tag[:]))
	p := &Page{Bucket: 1, Tags: []consent.Tag{tag}}
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := s.Load(t.Context(), []*Page{p}); err != nil || time.Now().After(until) {
			t.Fatal("does not expire", err)
		}
		if p.Err != nil || p.Rows[0] == nil {
			break
		}
	}
	if p.Err == nil {
		foldInto(p, consent.Grant, consent.Vector{6, 5})
		if err := s.Apply(t.Context(), []*Page{p}); err != nil {
			t.Fatal(err)
		}
	}
	if code := readOne(t, s, tag); code != CountMismatch && code != FieldExpiry {
		t.Errorf("what was written counts: %q", code)
	}
}

// openExpiring is a store in a server whose fields can expire, and keeps no rows.
func openExpiring(t *testing.T) (*Store, *realRedis) {
	r := startRedis(t)
	if r.rdb.Do(t.Context(), "command", "info", "hpexpire").Val().([]any)[0] == nil {
		t.Skip("fields do not expire in this server (Redis has it since 7.4, Valkey since 9)")
	}
	cfg := testConfig(nil)
	cfg.Dial, cfg.Addr, cfg.CacheBytes = nil, r.addr, -1
	return open(t, cfg), r
}
