package policy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/consentstream/consentstream/consent"
)

// hearing is DECISION.md's words about one situation and a set of events, without
// rows, maxima or an order: every rule asks all events, and none sees another's
// answer. It is a third opinion beside the engine's and the reference's, which
// both fold as the page's program does.
type hearing struct {
	*situation
	said   []*letter
	grants [2][]claim // the newest that name it, of mail and of its parent
	// latest are the grants that count, of the newest instant (D16); faultless
	// says that there is one and nothing is wrong with any.
	latest    []claim
	faultless bool
}

// claim is one purpose that an event names: those of one grant combine like two
// grants.
type claim struct {
	*letter
	key string
}

// ruling is what is permitted.
type ruling struct{ permit, explicit, ground bool }

func (h *hearing) rule() (r ruling) {
	h.countGrants()
	erased, restricted, unread := h.anyone(consent.Erase), h.restricted(), h.unread()
	r.permit = !h.outlived() &&
		!(erased && h.basis != LegalObligation) &&
		!(restricted && !h.survives) &&
		!(unread && (h.basis != LegalObligation || h.marketing)) &&
		!h.stands(h.faultless, h.heeds) &&
		(h.basis != Consent || h.faultless)
	explicit := h.faultless
	for _, g := range h.latest {
		explicit = explicit && g.ConsentType == consent.ConsentExplicit
	}
	r.explicit = r.permit && explicit && !erased && !restricted && !unread && !h.stands(h.faultless, speaks)
	r.ground = r.permit && !erased && !unread && !h.stands(explicit, limits)
	return r
}

// denies are the actions that a grant has to be newer than, whatever the basis (D19);
// speaks are those that close the gate of explicit consent, limits that of grounds (D23).
func denies(a consent.Action) bool {
	return a.Restrictive() && a != consent.Erase && a != consent.Restrict && a != consent.LimitSensitive
}

func speaks(a consent.Action, _ string) bool { return denies(a) || limits(a, "") }

func limits(a consent.Action, _ string) bool { return a == consent.LimitSensitive }

// heeds is the table of D11: what denies which basis, unless it is overtaken.
func (k *kind) heeds(a consent.Action, key string) bool {
	soft := k.basis == LegitimateInterests || k.basis == PublicTask
	switch a {
	case consent.Withdraw, consent.Refuse, consent.OptOut:
		return k.basis == Consent || k.marketing || soft && key != "*"
	case consent.Object:
		return k.basis == Consent || k.marketing || soft
	case consent.Invalidate:
		return k.basis == Consent
	}
	return false
}

// concerns is D15: what is said of a purpose concerns those below it.
func (h *hearing) concerns(key string) bool { return key == "*" || key == h.id || key+".email" == h.id }

func (h *hearing) anyone(a consent.Action) bool {
	for _, l := range h.said {
		for _, key := range l.keys {
			if l.Malformed == "" && l.Action == a && h.concerns(key) {
				return true
			}
		}
	}
	return false
}

// restricted is D12: there is a restriction that no lift is later than.
func (h *hearing) restricted() bool {
	for _, l := range h.said {
		if l.Malformed == "" && l.Action == consent.Restrict && !h.lifted(func(lift *letter) bool { return lift.yes > l.no }) {
			return true
		}
	}
	return false
}

func (h *hearing) lifted(since func(*letter) bool) bool {
	for _, l := range h.said {
		if l.Malformed == "" && l.Action == consent.LiftRestriction && l.Asserted.Set && len(l.Purposes) == 0 && since(l) {
			return true
		}
	}
	return false
}

// unread is D14: there is a malformed event, and neither a lift that was received
// later nor, faultless, the grant that counts.
func (h *hearing) unread() bool {
	for _, l := range h.said {
		later := func(x *letter) bool { return x.Received > l.Received }
		if l.Malformed != "" && !h.lifted(later) && !h.regranted(later) {
			return true
		}
	}
	return false
}

func (h *hearing) regranted(since func(*letter) bool) bool {
	for _, g := range h.latest {
		if h.faultless && since(g.letter) {
			return true
		}
	}
	return false
}

// stands reports whether something was said that counts and that the grant, if it will
// do, has not overtaken: strictly later, and naming what was denied or something below it
// (D15).
func (h *hearing) stands(will bool, counts func(consent.Action, string) bool) bool {
	for _, l := range h.said {
		for _, key := range l.keys {
			if l.Malformed != "" || !h.concerns(key) || !counts(l.Action, key) {
				continue
			}
			overtaken := will
			for _, g := range h.latest {
				overtaken = overtaken && g.yes > l.no && (key == "*" || key == parent || key == g.key)
			}
			if !overtaken {
				return true
			}
		}
	}
	return false
}

// hear takes in what was said: of each purpose the newest grant, or all of that
// instant.
func (h *hearing) hear(said []*letter) {
	h.said = said
	for i, key := range [...]string{mail, parent} {
		h.grants[i] = h.newestOf(key, h.grants[i][:0])
	}
}

// countGrants takes the newest of the grants that count: those of the purpose, and
// those above it that all cover what is below.
func (h *hearing) countGrants() {
	h.latest = h.latest[:0]
	for _, newest := range h.grants {
		if len(newest) == 0 || newest[0].key != h.id && (!h.concerns(newest[0].key) || slices.ContainsFunc(newest, childless)) {
			continue
		}
		if len(h.latest) > 0 && newest[0].yes > h.latest[0].yes {
			h.latest = h.latest[:0]
		}
		if len(h.latest) == 0 || newest[0].yes == h.latest[0].yes {
			h.latest = append(h.latest, newest...)
		}
	}
	h.faultless = len(h.latest) > 0
	for _, g := range h.latest {
		h.faultless = h.faultless && h.valid(g.letter) && g.Notice == h.latest[0].Notice
	}
}

func childless(g claim) bool { return !g.Children }

func (h *hearing) newestOf(key string, newest []claim) []claim {
	for _, l := range h.said {
		if l.Malformed != "" || !l.Action.Permissive() || !slices.Contains(l.keys, key) {
			continue
		}
		if len(newest) > 0 && l.yes > newest[0].yes {
			newest = newest[:0]
		}
		if len(newest) == 0 || l.yes == newest[0].yes {
			newest = append(newest, claim{l, key})
		}
	}
	return newest
}

// valid is D16 to D19 of one grant.
func (h *hearing) valid(g *letter) bool {
	noticed := g.Notice.ID == "signup" && (g.Notice.Version == "3" || g.Notice.Version == "4")
	proven := g.Asserted.Set && g.Evidence.Method != "" && g.Evidence.Source != "" && g.ConsentType >= consent.ConsentExpressed
	begun := g.yes <= h.now // D1
	if g.Effective.Set {
		begun = g.Effective.Ms <= h.now
	}
	return noticed && proven && len(g.Recipients) == 1 && begun && !h.expired(g) && (h.processing || h.covered(g))
}

// expired is D18. When somebody was last seen is what was stated last, the earlier where
// two were stated at once; an erasure forgets it (D13).
func (h *hearing) expired(g *letter) bool {
	var seen, stated int64
	for _, l := range h.said {
		if l.Malformed != "" || l.Action != consent.Attributes || h.erasedWhole() || l.yes < stated {
			continue
		}
		last := min(l.Attributes.LastInteraction.Ms, l.Received)
		if l.yes == stated {
			last = min(last, seen)
		}
		seen, stated = last, l.yes
	}
	return g.Expires.Set && h.now >= g.Expires.Ms ||
		h.maxAge > 0 && h.now >= g.yes+h.maxAge ||
		h.maxInactivity > 0 && h.now >= max(g.yes, seen)+h.maxInactivity
}

func (h *hearing) erasedWhole() bool {
	for _, l := range h.said {
		if l.Malformed == "" && l.Action == consent.Erase && l.keys[0] == "*" {
			return true
		}
	}
	return false
}

// covered is D19: the record is not from before the grant, or from where it says
// that it starts; and whatever it says, not from before the last denial either.
func (h *hearing) covered(g *letter) bool {
	event := min(h.event, h.now)
	for _, l := range h.said {
		for _, key := range l.keys {
			if l.Malformed == "" && denies(l.Action) && h.concerns(key) && l.no >= event {
				return false
			}
		}
	}
	switch {
	case g.CoversPast:
		return true
	case g.Action == consent.Renew && g.Effective.Set:
		return g.Effective.Ms <= event
	}
	return g.yes <= event && (!g.Effective.Set || g.Effective.Ms <= event)
}

func (h *hearing) outlived() bool { return h.retained > 0 && h.now-min(h.event, h.now) >= h.retained }

// asTheWordsSay compares the engine with the words.
func (w *world) asTheWordsSay(t *testing.T) {
	permits := 0
	var h hearing
	for _, s := range w.sets {
		v := w.verdicts[s]
		h.hear(w.of(s))
		for i := range w.situations {
			h.situation = &w.situations[i]
			want, got := h.rule(), ruling{v.permit.has(i), v.explicit.has(i), v.ground.has(i)}
			if got != want {
				t.Fatalf("%s: %+v, the words say %+v\n%s", w.tell(s), got, want, w.at(i))
			}
			if got.permit {
				permits++
			}
		}
	}
	t.Logf("%d permits", permits)
}

// TestWords compares them on longer histories, whose instants stand about each other's and
// a skew apart.
func TestWords(t *testing.T) {
	all, in := alphabet(), situations()
	var h hearing
	cases(t, 3000, func(r draw) error {
		said, row := make([]*letter, 1+r.IntN(9)), consent.NewRow()
		for i := range said {
			said[i] = r.letter(all, i)
			row.Fold(&said[i].Event)
		}
		h.hear(said)
		for range 20 {
			s := in[r.IntN(len(in))]
			s.event, s.now = s.event+r.about(), s.now+r.about()
			h.situation = &s
			var d Decision
			Decide(s.p, []*consent.Row{row}, &Facts{EventTime: s.event}, s.now, &d)
			if got, want := (ruling{d.Permit, d.Gates&GateExplicit != 0, d.Gates&GateGround != 0}), h.rule(); got != want {
				return fmt.Errorf("%+v, the words say %+v\n%+v event %d now %d\n%+v", got, want, s.kind, s.event-t0, s.now-t0, said)
			}
		}
		return nil
	})
}

// letter draws one of the alphabet, and moves most of its instants a little.
func (r draw) letter(all []letter, offset int) *letter {
	i := r.IntN(len(all))
	l := all[i]
	l.Received += r.about()
	for _, at := range [...]*consent.Instant{&l.Asserted, &l.Effective, &l.Expires} {
		at.Ms += r.about()
	}
	l.place(i)
	l.At.Offset = int64(offset)
	return &l
}

func (r draw) about() int64 {
	return pick(r, int64(0), 0, 0, 1, -1, consent.Skew, consent.Skew+1, -consent.Skew, hour(1)-hour(0), hour(0)-hour(1))
}
