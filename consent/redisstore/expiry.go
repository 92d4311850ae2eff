package redisstore

import (
	"slices"
	"strings"
)

// A field of a hash can expire by itself (HEXPIRE: Redis 7.4, Valkey 9). HMGET does
// not give what has expired, but HLEN counts it until the server has removed it:
// Valkey does that behind the scenes, Redis when it is asked for it, unless it is
// paused or a replica. In between a row of ours that somebody let expire would look
// like one that never was, count and all. No command tells that of one hash, but INFO
// keyspace tells of the database in how many hashes fields expire, which ours never do.
//
// Writers need not ask. What Apply writes in the place of such a row stops the expiry,
// but counts as a new field, of which HLEN knows nothing: from then on the counts differ.

// expiring are the names of that number: Redis's and Valkey's.
var expiring = [...]string{"subexpiry=", "keys_with_volatile_items="}

// fieldsExpire looks at INFO keyspace's line of a database, the part after its name:
// keys=1,expires=0,avg_ttl=0,subexpiry=0. Older servers do not have the number.
func fieldsExpire(line string) bool {
	for part := range strings.SplitSeq(line, ",") {
		for _, name := range expiring {
			if n, ok := strings.CutPrefix(part, name); ok && n != "0" {
				return true
			}
		}
	}
	return false
}

// lapsing is the code where what was answered in one step with this INFO keyspace may
// lack fields that HLEN counts. There is no line for a database without keys, and a
// server that has none for one with keys does not tell.
func (s *Store) lapsing(keyspace string, of []asked) Code {
	line, told := parseInfo(keyspace)[s.db]
	switch {
	case fieldsExpire(line):
		return FieldExpiry
	case !told && slices.ContainsFunc(of, func(q asked) bool { return q.hlen.Val() > 0 }):
		return Malformed
	}
	return ""
}
