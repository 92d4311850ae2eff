package redisstore

import (
	"strconv"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	tests := []struct {
		old, new string
		want     Code
	}{
		{"", "", ""},
		{"role:master", "role:slave", Replica},
		{"role:master\r\n", "", Replica},
		{"noeviction", "allkeys-lru", EvictionPolicy},
		{"maxmemory_policy:noeviction\r\n", "", EvictionPolicy},
		{"evicted_keys:0\r\n", "", Malformed},
		{"maxmemory:0", "maxmemory:999", OutOfMemory},
		{"maxmemory:0", "maxmemory:1001", ""},
		{"subexpiry=0", "subexpiry=1", FieldExpiry},
		{",subexpiry=0", ",keys_with_volatile_items=12", FieldExpiry},
		{",subexpiry=0", "", ""},
		{"db0:keys=4,expires=0,avg_ttl=0,subexpiry=0", "db0:keys=4,expires=0\r\ndb1:keys=9,expires=0,avg_ttl=0,subexpiry=1", ""},
		{"db0:", "db1:", ""}, // nothing there yet
	}
	for _, tt := range tests {
		f := newFake(t)
		f.info = strings.Replace(goodInfo, tt.old, tt.new, 1)
		if err := open(t, testConfig(f)).Check(t.Context()); codeOf(err) != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%q: %v, want %q", tt.new, err, tt.want)
		} else if err != nil && tt.want != Malformed && codeOf(err).Mend() == "" {
			t.Errorf("%q: no command that mends it", tt.new)
		}
	}
}

func TestCheckSeesEviction(t *testing.T) {
	f := newFake(t)
	s := open(t, testConfig(f))
	for _, step := range []struct {
		evicted int
		want    Code
	}{{5, ""}, {5, ""}, {6, Evicted}, {6, Evicted}, {0, ""} /* restarted */, {0, ""}, {1, Evicted}} {
		f.info = strings.Replace(goodInfo, "evicted_keys:0", "evicted_keys:"+strconv.Itoa(step.evicted), 1)
		if err := s.Check(t.Context()); codeOf(err) != step.want {
			t.Errorf("evicted_keys %d: %v, want %q", step.evicted, err, step.want)
		}
	}
}
