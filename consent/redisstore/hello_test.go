package redisstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
)

// TestServerWithModules: HELLO, which the client begins each connection with, lists
// the server's modules, each with its version, path and arguments. A server that
// has some (Redis Stack, Redis 8, the managed ones) is as good as any other.
func TestServerWithModules(t *testing.T) {
	for _, arguments := range []int{0, 2, 40} {
		t.Run(fmt.Sprint(arguments, " arguments"), func(t *testing.T) {
			f := newFake(t)
			f.Server().SetPreHook(func(p *server.Peer, cmd string, _ ...string) bool {
				switch cmd {
				case "HELLO":
					p.WriteRaw(helloOf(arguments))
				case "INFO":
					p.WriteBulk(f.info)
				default:
					return false
				}
				return true
			})
			if err := open(t, testConfig(f)).Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// helloOf is HELLO's answer (redis.io/commands/hello) in RESP2, of a server with
// four modules.
func helloOf(arguments int) string {
	texts := func(texts ...string) string {
		var b strings.Builder
		for _, text := range texts {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(text), text)
		}
		return b.String()
	}
	module := "*8\r\n" + texts("name", "search", "ver") + ":20805\r\n" + texts("path", "/opt/redis-stack/lib/redisearch.so", "args") +
		fmt.Sprintf("*%d\r\n", arguments) + strings.Repeat(texts("MAXSEARCHRESULTS"), arguments)
	return "*14\r\n" + texts("server", "redis", "version", "7.4.0", "proto") + ":2\r\n" + texts("id") + ":7\r\n" +
		texts("mode", "standalone", "role", "master", "modules") + "*4\r\n" + strings.Repeat(module, 4)
}
