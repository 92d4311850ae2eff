package policy

import (
	"cmp"

	"github.com/consentstream/consentstream/consent"
)

// grant is what all grants that count for a purpose amount to: consent.Newest of
// their terms, but with the recipients already compared with the purpose's, so that
// no list has to be intersected (the intersection of two grants' recipients covers a
// purpose's recipients exactly if both grants do).
type grant struct {
	set       bool
	key       string
	t         int64
	received  int64
	pos       consent.Position
	effective int64
	expires   int64
	start     int64
	explicit  bool
	proven    bool
	covered   bool // every recipient of the purpose
	noticeID  string
	noticeVer string
}

// add takes another grant into account: the later one wins whole, of one
// instant what both allow (D16).
func (g *grant) add(y *consent.Terms, p *Purpose) {
	if g.set && g.t > y.T {
		return
	}
	if !g.set || g.t < y.T {
		g.take(y, p)
		return
	}
	before := *g
	g.take(y, p)
	g.meet(&before)
}

// take makes g the grant y by itself.
func (g *grant) take(y *consent.Terms, p *Purpose) {
	*g = grant{}
	g.set, g.key, g.t, g.received, g.pos = true, y.Key, y.T, y.Received, y.Pos
	g.effective, g.expires, g.start = y.Effective, y.Expires, y.Start
	g.explicit, g.proven, g.covered = y.Explicit, y.Proven, subset(p.Recipients, y.Recipients)
	g.noticeID, g.noticeVer = y.NoticeID, y.NoticeVer
}

func (g *grant) meet(o *grant) {
	if len(o.key) < len(g.key) {
		g.key = o.key
	}
	if o.pos.Before(g.pos) {
		g.pos = o.pos
	}
	g.received = max(g.received, o.received) // each of them is faultless if the meet is
	g.effective, g.expires, g.start = max(g.effective, o.effective), min(g.expires, o.expires), max(g.start, o.start)
	g.explicit, g.covered = g.explicit && o.explicit, g.covered && o.covered
	g.proven = g.proven && o.proven && g.noticeID == o.noticeID && g.noticeVer == o.noticeVer
	if cmp.Or(cmp.Compare(o.noticeID, g.noticeID), cmp.Compare(o.noticeVer, g.noticeVer)) < 0 {
		g.noticeID, g.noticeVer = o.noticeID, o.noticeVer
	}
}

// beats reports whether the grant overtakes a denial of key: strictly later, and
// naming key or something below it. Both concern one purpose, hence lie on one
// path, where the longer name is the lower.
func (g *grant) beats(n *consent.Denial, key string) bool {
	return g.set && g.t > n.At && (key == "*" || len(g.key) >= len(key))
}

// grantFaults are the reasons of rows 28-33, by bit of grant.faults.
var grantFaults = [...]Reason{
	ConsentExpired, NoticeOutdated, ConsentUnproven, ConsentNotYetEffective, ConsentAfterEvent, RecipientNotCovered,
}

// faults is what is wrong with the grant, as bits of grantFaults; 0: faultless.
func (g *grant) faults(s *state) (bits uint8) {
	p := s.p
	early := !p.ProcessingOnly && (g.start > s.eventTime || s.lastNo >= s.eventTime)
	for i, wrong := range [len(grantFaults)]bool{
		s.now >= g.until(s), !p.noticed(g.noticeID, g.noticeVer), !g.proven, g.effective > s.now, early, !g.covered,
	} {
		if wrong {
			bits |= 1 << i
		}
	}
	return bits
}

// until is the first instant at which the grant has expired (D18).
func (g *grant) until(s *state) int64 {
	end := g.expires
	if s.p.MaxAge > 0 {
		end = min(end, after(g.t, s.p.MaxAge))
	}
	if s.p.MaxInactivity > 0 {
		end = min(end, after(max(g.t, s.lastInteraction), s.p.MaxInactivity))
	}
	return end
}

// noticed reports whether a grant's notice will do: the same notice, at least at
// the version that the purpose asks for. Versions compare by number when both
// are 1 to 18 digits, else only equality counts (D16).
func (p *Purpose) noticed(id, version string) bool {
	if p.NoticeID == "" && p.NoticeMinVersion == "" {
		return true
	}
	if id != p.NoticeID {
		return false
	}
	if p.NoticeMinVersion == "" || version == p.NoticeMinVersion {
		return true
	}
	have, ok := versionNumber(version)
	least, numeric := versionNumber(p.NoticeMinVersion)
	return ok && numeric && have >= least
}

func versionNumber(s string) (n int64, ok bool) {
	if len(s) < 1 || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// subset reports whether every element of a is in b. Both are few: a purpose has
// a handful of recipients.
func subset(a, b []string) bool {
	for _, x := range a {
		found := false
		for _, y := range b {
			found = found || x == y
		}
		if !found {
			return false
		}
	}
	return true
}
