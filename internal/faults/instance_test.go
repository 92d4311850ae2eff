package faults

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/consentstream/consentstream/pipeline"
)

func instance(name string) func(*settings) { return func(c *settings) { c.instance = name } }
func revision(n int) func(*settings)       { return func(c *settings) { c.revision = n } }
func keyFile(name string) func(*settings)  { return func(c *settings) { c.keys = name } }

// TestOlderPolicy: an instance with an older revision than the lanes were
// committed under is outdated. It stays out of the group, so that the newer one
// keeps every lane, and says so.
func TestOlderPolicy(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		newer := s.start(revision(2)).ready()
		s.everybody()
		s.audited()
		older := s.start(instance("1"))
		stop := s.under()
		s.eventually("the older instance is outdated", func() bool { st, ready := older.status(); return !ready && st.Outdated == "policy_revision" })
		s.eventually("the newer instance has all lanes", func() bool { st, _ := newer.status(); return st.Lanes == 4 })
		for range 20 { // no ping-pong
			time.Sleep(50 * time.Millisecond)
			if st, ready := newer.status(); !ready || st.Lanes != 4 {
				t.Fatalf("the newer instance lost lanes again: %+v", st)
			}
		}
		stop()
		for _, a := range s.settled() {
			if a.Context != nil && a.Context.Revision != 2 {
				t.Errorf("%s/%d offset %d was decided under revision %d", a.Lane.Topic, a.Lane.Partition, a.Offset, a.Context.Revision)
			}
		}
		if log := older.log.String(); !strings.Contains(log, "until this instance is replaced") {
			t.Errorf("the log does not say what to do:\n%s", log)
		}
		older.stop()
		newer.stop()
	})
}

// TestNewerPolicy: a newer instance joins a running older one, as in a rolling
// deploy; afterwards the older is taken away.
func TestNewerPolicy(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		older := s.start().ready()
		stop := s.under()
		newer := s.start(instance("1"), revision(2)).ready()
		time.Sleep(500 * time.Millisecond)
		older.stop()
		s.eventually("the newer instance has all lanes", func() bool { st, ready := newer.status(); return ready && st.Lanes == 4 })
		stop()
		s.settled()
		newer.stop()
	})
}

// TestNewerKeys: an instance with a rotated key file works beside an older one, each on
// its own state, and then alone: whoever rolls a deploy out replaces nobody before the
// newest is ready.
func TestNewerKeys(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		s.rotatedKeys("rotated.json")
		older := s.start().ready()
		newer := s.start(instance("1"), keyFile("rotated.json")).ready()
		s.eventually("both have lanes", func() bool {
			o, _ := older.status()
			n, _ := newer.status()
			return o.Lanes > 0 && n.Lanes > 0
		})
		s.everybody()
		s.audited()
		older.stop()
		s.eventually("the newer instance has all lanes", func() bool { st, ready := newer.status(); return ready && st.Lanes == 4 })
		s.everybody()
		s.settled()
		newer.stop()
	})
}

// TestOtherKeyFile: a second instance with the same key epoch but other keys
// must not decide anything: its pseudonyms would be other ones and its tags
// would find nobody. It stops and says why; the first goes on.
func TestOtherKeyFile(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		s.newKeys("other.json")
		first := s.start().ready()
		s.everybody()
		s.audited()
		stop := s.under()
		err := s.start(instance("1"), keyFile("other.json")).end()
		var why *pipeline.Stop
		if !errors.As(err, &why) || !strings.Contains(why.Reason, "another key file") {
			t.Errorf("ended with %v", err)
		}
		s.eventually("the first instance has all lanes", func() bool { st, ready := first.status(); return ready && st.Lanes == 4 })
		stop()
		s.settled()
		first.stop()
	})
}

// TestSameInstance: two processes with one instance number. The newer fences the
// older, which stops, names the mistake, and does not fence back.
func TestSameInstance(t *testing.T) {
	each(t, func(s *site) {
		s.gather()
		zombie := s.start().ready()
		stop := s.under()
		time.Sleep(100 * time.Millisecond)
		successor := s.start()
		err := zombie.end()
		var why *pipeline.Stop
		if !errors.As(err, &why) || !strings.Contains(why.Reason, "another process uses instance 0") {
			t.Errorf("the zombie ended with %v", err)
		}
		s.eventually("the successor has all lanes", func() bool { st, ready := successor.status(); return ready && st.Lanes == 4 })
		stop()
		s.settled()
		successor.stop()
	})
}

// TestClock: Redis's clock is 5 s away from ours, in either direction. One of
// the two is wrong, and with it when grants end: nothing is decided.
func TestClock(t *testing.T) {
	for _, away := range []time.Duration{5 * time.Second, -5 * time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			t.Parallel()
			s := embedded(t)
			s.gather()
			d := s.start().ready()
			s.everybody()
			s.audited()
			before := s.outputs()
			s.stack.Redis.SetTime(time.Now().Add(away))
			s.everybody()
			d.holds(pipeline.HoldClock, "chronyc")
			if n := s.outputs(); n != before {
				t.Errorf("%d outputs", n-before)
			}
			s.stack.Redis.SetTime(time.Time{}) // the machine's clock again
			s.settled()
			d.ready().stop()
		})
	}
}
