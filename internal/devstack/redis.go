package devstack

import (
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// primaryInfo is what a real primary without eviction says of itself, as far as
// anybody here asks.
const primaryInfo = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n" +
	"# Memory\r\nused_memory:1048576\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n\r\n" +
	"# Stats\r\nevicted_keys:0\r\n\r\n" +
	"# Persistence\r\nloading:0\r\n\r\n" +
	"# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_repl_offset:0\r\n\r\n" +
	"# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n"

// BePrimary makes a miniredis that is up answer as a primary. What replaces its
// hook, Restart and SetError, makes it forget that.
func BePrimary(m *miniredis.Miniredis) {
	s := m.Server()
	s.SetPreHook(func(c *server.Peer, cmd string, args ...string) bool {
		return answerAsPrimary(s, c, cmd, args...)
	})
}

// answerAsPrimary answers, on behalf of s, the commands that miniredis has not, or
// not in full, and that a state store asks before it trusts a Redis. Only INFO may
// be asked within a transaction: it is answered by ECHO, which MULTI can queue.
func answerAsPrimary(s *server.Server, c *server.Peer, cmd string, args ...string) bool {
	switch strings.ToUpper(cmd) {
	case "ROLE":
		c.WriteLen(3)
		c.WriteBulk("master")
		c.WriteInt(0)
		c.WriteLen(0)
	case "INFO":
		s.Dispatch(c, []string{"ECHO", primaryInfo})
	case "CONFIG":
		if len(args) != 2 || !strings.EqualFold(args[0], "GET") || !strings.EqualFold(args[1], "maxmemory-policy") {
			return false
		}
		c.WriteMapLen(1)
		c.WriteBulk("maxmemory-policy")
		c.WriteBulk("noeviction")
	default:
		return false
	}
	return true
}
