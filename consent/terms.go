package consent

import (
	"cmp"
	"slices"
)

// terms are what the grant e says for purpose k.
func (e *Event) terms(k string) Terms {
	t := Terms{
		Set: true, T: e.timeYes(), Received: e.Received, Key: k, Pos: e.At,
		Effective: e.timeYes(), Expires: Infinite,
		Explicit: e.ConsentType == ConsentExplicit, Children: e.Children, Guardian: e.Guardian,
		Proven: e.proven(),
		// Cloned: each slot owns its lists, so that Decode may reuse their memory.
		Recipients: slices.Clone(e.Recipients), Overrides: slices.Clone(e.Overrides),
		NoticeID: e.Notice.ID, NoticeVer: e.Notice.Version,
	}
	if e.Effective.Set {
		t.Effective = e.Effective.Ms
	}
	if e.Expires.Set {
		t.Expires = e.Expires.Ms
	}
	t.Start = e.start(t.Effective)
	return t
}

// start is the earliest event time that the grant covers: a renewal continues
// from where it says that it does, a grant never reaches back before it was
// stated, unless it covers the past (D19).
func (e *Event) start(effective int64) int64 {
	switch {
	case e.CoversPast:
		return -Infinite
	case e.Action == Renew:
		return effective
	}
	return max(effective, e.timeYes())
}

// proven is D17: the controller can show who asked what, where, and how it was
// answered.
func (e *Event) proven() bool {
	return e.Asserted.Set && e.Evidence.Method != "" && e.Evidence.Source != "" &&
		e.Notice.ID != "" && e.Notice.Version != "" && e.ConsentType >= ConsentExpressed
}

// Newest is the terms that hold when both a and b were stated: the later
// statement wins whole; of one instant, what both allow (D16). It is
// commutative, associative and idempotent.
func Newest(a, b Terms) Terms {
	switch {
	case !a.Set:
		return b
	case !b.Set || a.T > b.T:
		return a
	case a.T < b.T:
		return b
	}
	return meet(a, b)
}

func meet(a, b Terms) Terms {
	m := Terms{
		Set: true, T: a.T, Received: max(a.Received, b.Received), Key: a.Key, Pos: a.Pos,
		Effective: max(a.Effective, b.Effective), Expires: min(a.Expires, b.Expires), Start: max(a.Start, b.Start),
		Explicit: a.Explicit && b.Explicit, Children: a.Children && b.Children, Guardian: a.Guardian && b.Guardian,
		Proven:     a.Proven && b.Proven && a.NoticeID == b.NoticeID && a.NoticeVer == b.NoticeVer,
		Recipients: both(a.Recipients, b.Recipients), Overrides: both(a.Overrides, b.Overrides),
		NoticeID: a.NoticeID, NoticeVer: a.NoticeVer,
	}
	if len(b.Key) < len(a.Key) {
		m.Key = b.Key
	}
	if b.Pos.Before(a.Pos) {
		m.Pos = b.Pos
	}
	if cmp.Or(cmp.Compare(b.NoticeID, a.NoticeID), cmp.Compare(b.NoticeVer, a.NoticeVer)) < 0 {
		m.NoticeID, m.NoticeVer = b.NoticeID, b.NoticeVer
	}
	return m
}

// both is the intersection of two ascending lists.
func both(a, b []string) []string {
	var out []string
	for len(a) > 0 && len(b) > 0 {
		switch c := cmp.Compare(a[0], b[0]); {
		case c < 0:
			a = a[1:]
		case c > 0:
			b = b[1:]
		default:
			out = append(out, a[0])
			a, b = a[1:], b[1:]
		}
	}
	return out
}
