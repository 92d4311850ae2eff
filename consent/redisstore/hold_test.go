package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
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
		"ERR Error running script (call to f_1): @user_script:8: -MISCONF Redis is":   ReadOnly,
		"ERR Error running script (call to f_1): @user_script:8: -NOREPLICAS Not":     ReadOnly,
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

// TestMendOfAnUnknownKey: a key epoch that no key file has is damage, which nothing
// tells from a newer key file's rows. So people are given the command that helps then.
func TestMendOfAnUnknownKey(t *testing.T) {
	f := newFake(t)
	s := open(t, testConfig(f))
	tag := tagIn(1, 0, 4)
	field := string(tag[:])
	for _, damaged := range []string{"w", field} {
		write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tag)
		b := []byte(f.HGet(s.Key(1), damaged))
		b[1] ^= 0x80
		f.HSet(s.Key(1), damaged, string(b))
		var into consent.Snapshot
		err := s.Read(t.Context(), []consent.Tag{tag}, &into)
		page := &Page{Bucket: 1, Tags: []consent.Tag{tag}}
		if err := s.Load(t.Context(), []*Page{page}); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{err, page.Err} {
			var h *Hold
			if !errors.As(err, &h) || h.Code != KeyUnknown || !strings.Contains(h.Mend(), "redis-cli DEL '"+s.Key(1)+"'") {
				t.Fatalf("%v: %+v", err, h)
			}
		}
		f.Del(s.Key(1))
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
