package redisstore

import (
	"context"
	"strconv"
	"strings"
)

// Check verifies what a server must be for its answers to count: a primary that
// never evicts, has not evicted since the first Check, has no hashes whose fields
// expire by themselves in this database, and has memory to write. The
// pipeline calls it at start and every 5 s. The error is a *Hold whose Mend is the
// command that helps; a server that does not tell is a Hold too.
//
// Everything is taken from INFO, because managed servers forbid CONFIG GET.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	text, err := s.rdb.Info(ctx).Result()
	if err != nil {
		return s.named(classify(ctx, err))
	}
	if c := s.judge(parseInfo(text)); c != "" {
		return s.named(hold(c))
	}
	return nil
}

// judge applies the rules to INFO's fields, worst first.
func (s *Store) judge(info map[string]string) Code {
	evicted, err := strconv.ParseInt(info["evicted_keys"], 10, 64)
	switch {
	case info["role"] != "master":
		return Replica
	case info["maxmemory_policy"] != "noeviction":
		return EvictionPolicy
	case err != nil:
		return Malformed
	case s.grew(evicted):
		return Evicted
	case fieldsExpire(info[s.db]):
		return FieldExpiry
	case full(info):
		return OutOfMemory
	}
	return ""
}

// grew reports whether evicted_keys rose since it was first seen. A restarted
// server counts from 0 again, which is not a rise: what it lost, it lost with
// its watermarks.
func (s *Store) grew(evicted int64) bool {
	first := s.evicted.Load()
	if first == 0 || evicted+1 < first {
		s.evicted.Store(evicted + 1)
		return false
	}
	return evicted+1 > first
}

// full reports whether Redis refuses writes by now.
func full(info map[string]string) bool {
	limit, err := strconv.ParseInt(info["maxmemory"], 10, 64)
	if err != nil || limit == 0 {
		return false
	}
	used, err := strconv.ParseInt(info["used_memory"], 10, 64)
	return err == nil && used > limit
}

// parseInfo reads INFO's "name:value" lines.
func parseInfo(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}
