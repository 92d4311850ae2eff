package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/consentstream/consentstream/consent"
)

func TestReplyCode(t *testing.T) {
	for text, want := range map[string]Code{
		"WRONGTYPE Operation against a key": WrongType, "OOM command not allowed when used memory > 'maxmemory'.": OutOfMemory,
		"READONLY You can't write against a read only replica.": ReadOnly, "MISCONF Redis is configured to save": ReadOnly,
		"NOAUTH Authentication required.": Refused, "": Refused, "BUSY Redis is busy running a script": Loading,
		"ERR Error running script (call to f_1): @user_script:3: WRONGTYPE Operation": WrongType,
	} {
		if got := replyCode(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestMendNamesTheServer: the command that helps can be pasted as it is.
func TestMendNamesTheServer(t *testing.T) {
	cases := map[string]struct {
		change func(*Config)
		want   string
	}{
		"address": {func(*Config) {}, "redis-cli -h 127.0.0.1 -p 1 PING"},
		"db":      {func(c *Config) { c.DB = 3 }, "redis-cli -h 127.0.0.1 -p 1 -n 3 PING"},
		"user and tls": {func(c *Config) { c.Username, c.Password, c.TLS = "cs", "secret", &tls.Config{} },
			"redis-cli -h 127.0.0.1 -p 1 --user cs --tls PING"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(nil)
			cfg.Addr, cfg.Dial = "127.0.0.1:1", func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrUnexpectedEOF }
			c.change(&cfg)
			s := open(t, cfg)
			var into consent.Snapshot
			page := s.AllPages()[:1]
			for what, err := range map[string]error{
				"Check": s.Check(t.Context()),
				"Read":  s.Read(t.Context(), []consent.Tag{{}}, &into),
				"Load":  s.Load(t.Context(), page),
				"Reset": s.Reset(t.Context(), page[0]),
			} {
				var h *Hold
				if !errors.As(err, &h) {
					t.Fatalf("%s: %v", what, err)
				}
				if h.Mend() != c.want {
					t.Errorf("%s: %v, %q", what, err, h.Mend())
				}
			}
		})
	}
}

var _ redis.Error = redis.Nil // classify relies on error replies being told apart by type

func ExampleHold() {
	h := &Hold{Code: EvictionPolicy, Bucket: -1}
	fmt.Println(h)
	fmt.Println(h.Mend())
	// Output:
	// redis state: eviction_policy
	// redis-cli CONFIG SET maxmemory-policy noeviction
}
