package redisstore

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consentstream/consentstream/consent"
)

// These tests do to a real redis-server what must not be done to a shared one,
// so each starts its own. They run where CONSENTSTREAM_REDIS says that real
// servers are wanted and redis-server is installed.

type realRedis struct {
	addr string
	args []string
	cmd  *exec.Cmd
	rdb  *redis.Client
}

func startRedis(t testing.TB, args ...string) *realRedis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed (apt-get install redis-server)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	r := &realRedis{addr: addr, rdb: redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1}),
		args: append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, args...)}
	t.Cleanup(func() { r.rdb.Close(); r.kill() })
	r.start(t)
	return r
}

func realServersWanted(t *testing.T) {
	t.Helper()
	if os.Getenv("CONSENTSTREAM_REDIS") == "" {
		t.Skip("CONSENTSTREAM_REDIS is not set")
	}
}

func (r *realRedis) start(t testing.TB) {
	t.Helper()
	r.cmd = exec.Command("redis-server", r.args...)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(5 * time.Second); r.rdb.Ping(context.Background()).Err() != nil; {
		if time.Now().After(until) {
			t.Fatal("redis-server does not come up")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (r *realRedis) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

func (r *realRedis) do(t *testing.T, args ...any) {
	t.Helper()
	if err := r.rdb.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(args[0], args[1], err)
	}
}

func (r *realRedis) open(t *testing.T) *Store {
	cfg := testConfig(nil)
	cfg.Dial, cfg.Addr = nil, r.addr
	return open(t, cfg)
}

func readOne(t *testing.T, s *Store, tag consent.Tag) Code {
	t.Helper()
	var snap consent.Snapshot
	return codeOf(s.Read(t.Context(), []consent.Tag{tag}, &snap))
}

func TestRealLosses(t *testing.T) {
	realServersWanted(t)
	tag := tagIn(1, 0, 4)
	for name, lose := range map[string]struct {
		do   func(t *testing.T, r *realRedis, key string)
		want Code
	}{
		"restarted empty": {func(t *testing.T, r *realRedis, _ string) { r.kill(); r.start(t) }, NoEpoch},
		"killed":          {func(_ *testing.T, r *realRedis, _ string) { r.kill() }, Unreachable},
		"FLUSHALL":        {func(t *testing.T, r *realRedis, _ string) { r.do(t, "flushall", "sync") }, NoEpoch},
		"SWAPDB":          {func(t *testing.T, r *realRedis, _ string) { r.do(t, "swapdb", 0, 1) }, NoEpoch},
		"RENAME":          {func(t *testing.T, r *realRedis, key string) { r.do(t, "rename", key, key+"x") }, NoEpoch},
		"RENAME onto": {func(t *testing.T, r *realRedis, key string) {
			r.do(t, "rename", strings.Replace(key, "{1}", "{2}", 1), key)
		}, ForeignEpoch},
		"EXPIRE": {func(t *testing.T, r *realRedis, key string) {
			r.do(t, "pexpire", key, 1)
			time.Sleep(20 * time.Millisecond)
		}, NoEpoch},
		"HDEL": {func(t *testing.T, r *realRedis, key string) { r.do(t, "hdel", key, string(tag[:])) }, CountMismatch},
		"SET":  {func(t *testing.T, r *realRedis, key string) { r.do(t, "set", key, "x") }, WrongType},
		"ACL": {func(t *testing.T, r *realRedis, key string) {
			r.do(t, "acl", "setuser", "default", "-hmget")
		}, Refused},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRedis(t)
			s := r.open(t)
			write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tag)
			write(t, s, 2, consent.Vector{5, 5}, consent.Grant, tagIn(2, 0, 4))
			lose.do(t, r, s.Key(1))
			// The first call may still meet a connection that is gone.
			_ = readOne(t, s, tag)
			if got := readOne(t, s, tag); got != lose.want {
				t.Errorf("%q, want %q", got, lose.want)
			}
		})
	}
}

// TestRealOutOfMemory: a full Redis refuses a batch whole, and holds reads.
func TestRealOutOfMemory(t *testing.T) {
	realServersWanted(t)
	r := startRedis(t)
	s := r.open(t)
	tag, other := tagIn(1, 0, 4), tagIn(1, 1, 4)
	write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tag)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := load(t, s, 1, tag, other)
	r.do(t, "config", "set", "maxmemory", "1mb")
	foldInto(p, consent.Withdraw, consent.Vector{6, 5})
	if err := s.Apply(t.Context(), []*Page{p}); err != nil || codeOf(p.Err) != OutOfMemory {
		t.Fatal(err, p.Err)
	}
	if codeOf(s.Check(t.Context())) != OutOfMemory {
		t.Error("Check does not see it")
	}
	// Redis 7.0 lets nothing into a MULTI now, so reads hold as well. Later ones answer.
	if code := readOne(t, s, tag); code != OutOfMemory && code != "" {
		t.Errorf("read: %q", code)
	}
	r.do(t, "config", "set", "maxmemory", "0")
	if p := load(t, s, 1, tag, other); p.Err != nil || p.Mark.Next[0] != 5 || p.Rows[1] != nil {
		t.Error("a refused batch left something behind")
	}
	write(t, s, 1, consent.Vector{6, 5}, consent.Withdraw, tag, other)
}

// TestRealEviction: with an eviction policy Check holds; and when a bucket is
// evicted, it goes with its watermark.
func TestRealEviction(t *testing.T) {
	realServersWanted(t)
	r := startRedis(t)
	s := r.open(t)
	tag := tagIn(1, 0, 4)
	write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tag)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.do(t, "config", "set", "maxmemory-policy", "allkeys-random")
	if codeOf(s.Check(t.Context())) != EvictionPolicy {
		t.Error("the policy is not seen")
	}
	r.do(t, "config", "set", "maxmemory", "1mb")
	_ = r.rdb.Set(t.Context(), "x", "y", 0).Err() // makes room first
	r.do(t, "config", "set", "maxmemory", "0")
	if code := readOne(t, s, tag); code != NoEpoch {
		t.Errorf("evicted bucket reads as %q", code)
	}
	r.do(t, "config", "set", "maxmemory-policy", "noeviction")
	if codeOf(s.Check(t.Context())) != Evicted {
		t.Error("the eviction is not remembered")
	}
}

// TestRealReplica: a demoted primary is named, refuses writes, and what it
// answers meanwhile has its own, older watermark.
func TestRealReplica(t *testing.T) {
	realServersWanted(t)
	r, primary := startRedis(t), startRedis(t)
	s := r.open(t)
	tag := tagIn(1, 0, 4)
	write(t, primary.open(t), 1, consent.Vector{5, 5}, consent.Grant, tag)
	host, port, _ := net.SplitHostPort(primary.addr)
	r.do(t, "replicaof", host, port)
	for until := time.Now().Add(10 * time.Second); readOne(t, s, tag) != ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the replica does not follow")
		}
	}
	if codeOf(s.Check(t.Context())) != Replica {
		t.Error("not seen to be a replica")
	}
	p := load(t, s, 1, tag)
	foldInto(p, consent.Withdraw, consent.Vector{6, 5})
	if err := s.Apply(t.Context(), []*Page{p}); err != nil || codeOf(p.Err) != ReadOnly {
		t.Error(err, p.Err)
	}
}

// TestRealLargeBatch: more rows than Lua unpacks at once.
func TestRealLargeBatch(t *testing.T) {
	realServersWanted(t)
	s := startRedis(t).open(t)
	tags := make([]consent.Tag, 20_000)
	for i := range tags {
		tags[i] = tagIn(1, i, 4)
	}
	began := time.Now()
	write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tags...)
	t.Log(fmt.Sprint(len(tags), " rows loaded, folded and written in ", time.Since(began)))
	var snap consent.Snapshot
	if err := s.Read(t.Context(), tags, &snap); err != nil || at(t, &snap, 19_999) == nil {
		t.Fatal(err)
	}
}
