package redisstore

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestBusyConnectionsEnd: after a failover behind one address the old primary may live
// on, as a replica or on its own, and close nothing. Connections to it end though they
// are busy all the time.
func TestBusyConnectionsEnd(t *testing.T) {
	before, after := newFake(t), newFake(t)
	var now atomic.Pointer[fake]
	now.Store(before)
	cfg := testConfig(nil)
	opt := options(&cfg)
	opt.Dialer = func(context.Context, string, string) (net.Conn, error) { return now.Load().Dial() }
	opt.ConnMaxLifetime, opt.ConnMaxLifetimeJitter = opt.ConnMaxLifetime/1000, opt.ConnMaxLifetimeJitter/1000
	cfg.Dial = opt.Dialer
	s := open(t, cfg)
	s.rdb.Close()
	s.rdb = redis.NewClient(opt)
	before.info = strings.Replace(goodInfo, "master", "slave", 1)
	if code := codeOf(s.Check(t.Context())); code != Replica {
		t.Fatal(code)
	}
	now.Store(after)
	for until := time.Now().Add(20 * time.Second); codeOf(s.Check(t.Context())) != ""; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("still asks the old primary")
		}
	}
}
