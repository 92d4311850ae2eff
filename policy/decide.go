package policy

import (
	"math"

	"github.com/consentstream/consentstream/consent"
)

// Decide writes to d the verdict on purpose p for a record with facts f, whose
// subject's states are rows (a nil row, or no rows, means an unknown subject), at
// now (ms). It is total: every combination of arguments gives a Decision with a
// Reason. d is overwritten; where its Secondary has room, nothing is allocated.
// Nothing of rows is kept.
func Decide(p *Purpose, rows []*consent.Row, f *Facts, now int64, d *Decision) {
	*d = Decision{Secondary: d.Secondary[:0]}
	if f == nil {
		f = &Facts{Unresolved: true}
	}
	switch {
	case p == nil || p.ID == "" || p.Basis.String() == "":
		d.deny(PolicyUndefined)
	case f.Unresolved:
		d.deny(SubjectUnresolved)
		d.denyIf(p.retained(f, now), RetentionExceeded)
		if f.Conflict {
			d.Secondary = append(d.Secondary, SubjectConflict)
		}
	default:
		d.denyIf(p.retained(f, now), RetentionExceeded)
		var s state
		s.gather(p, rows, f, now)
		s.judge(d)
	}
	if d.Reason == "" {
		d.Permit, d.Reason = true, bases[p.Basis].permit
	}
	if f.Suspect || f.EventTime > now {
		d.Secondary = append(d.Secondary, EventTimeSuspect)
	}
}

// retained reports whether the record has outlived the purpose's retention.
func (p *Purpose) retained(f *Facts, now int64) bool {
	return p.Retention > 0 && now >= after(min(f.EventTime, now), p.Retention)
}

// deny adds a reason. Reasons come in row order, so the first is the primary.
func (d *Decision) deny(r Reason) {
	if d.Reason == "" {
		d.Reason = r
		return
	}
	d.Secondary = append(d.Secondary, r)
}

func (d *Decision) denyIf(holds bool, r Reason) {
	if holds {
		d.deny(r)
	}
}

// denyBy is denyIf for a reason that a consent event gives.
func (d *Decision) denyBy(n *consent.Denial, r Reason) {
	if n == nil {
		return
	}
	if d.Reason == "" {
		d.cite(n.Pos)
	}
	d.deny(r)
}

func (d *Decision) cite(at consent.Position) { d.Cited, d.HasCited = at, true }

// after is t + duration without overflow.
func after(t, duration int64) int64 {
	if sum := t + duration; duration < 0 || sum >= t {
		return sum
	}
	return math.MaxInt64
}

// state is what the rows say about one purpose.
type state struct {
	p         *Purpose
	rows      []*consent.Row
	now       int64
	eventTime int64

	g         grant
	faults    uint8                  // of the grant, by bit of grantFaults
	faultless bool                   // there is a grant, and nothing is wrong with it
	said      [consent.Families]bool // whether any denial of the family concerns the purpose
	lastNo    int64                  // the newest withdrawal, objection or invalidation
	pending   bool

	lastInteraction int64
	malformed       int64
	lseen           int64 // newest receipt of a lift
	lift            int64
	erased          *consent.Denial
	restricted      *consent.Denial
}

// gather makes the zero state that of a purpose: it looks at every slot that
// concerns it, its own, its ancestors' and "*".
func (s *state) gather(p *Purpose, rows []*consent.Row, f *Facts, now int64) {
	s.p, s.rows, s.now, s.eventTime = p, rows, now, min(f.EventTime, now)
	s.lastNo, s.lastInteraction, s.malformed = -consent.Infinite, -consent.Infinite, -consent.Infinite
	s.lseen, s.lift = -consent.Infinite, -consent.Infinite
	for _, r := range rows {
		if r == nil {
			continue
		}
		s.malformed = max(s.malformed, r.Malformed)
		if r.LastInteraction.Set {
			s.lastInteraction = max(s.lastInteraction, r.LastInteraction.N)
		}
		for i := range r.Slots {
			if concerns(r.Slots[i].Key, p.ID) {
				s.add(&r.Slots[i])
			}
		}
	}
	if s.g.set {
		s.faults = s.g.faults(s)
		s.faultless = s.faults == 0
	}
}

// concerns reports whether what was said of key holds for purpose id: the same, an
// ancestor by dots, or all.
func concerns(key, id string) bool {
	if key == "*" || key == id {
		return true
	}
	return len(key) < len(id) && id[len(key)] == '.' && id[:len(key)] == key
}

func (s *state) add(slot *consent.Slot) {
	if y := &slot.Y; y.Set && (slot.Key == s.p.ID || y.Children) {
		s.g.add(y, s.p)
	}
	no := &slot.No
	for f := range no {
		if no[f].Set {
			s.addDenial(consent.Family(f), &no[f])
		}
	}
	s.pending = s.pending || slot.Pending
	s.lseen = max(s.lseen, slot.LSeen)
}

func (s *state) addDenial(f consent.Family, n *consent.Denial) {
	s.said[f] = true
	switch f {
	case consent.FamilyWithdraw, consent.FamilyObject, consent.FamilyInvalidate:
		s.lastNo = max(s.lastNo, n.At)
	case consent.FamilyLift:
		s.lift = max(s.lift, n.At)
	case consent.FamilyErase:
		s.erased = greater(s.erased, n)
	case consent.FamilyRestrict:
		s.restricted = greater(s.restricted, n)
	}
}

// greater is the greater of two denials, nil for none.
func greater(a, b *consent.Denial) *consent.Denial {
	if !b.Set || a != nil && !a.Less(*b) {
		return a
	}
	return b
}

// judge collects the denials in row order and, where there is none, opens the gates.
func (s *state) judge(d *Decision) {
	p, legal := s.p, s.p.Basis == LegalObligation
	if !legal {
		d.denyBy(s.erased, SubjectErased)
	}
	if s.restricted != nil && s.restricted.At < s.lift {
		s.restricted = nil
	}
	if !p.SurvivesRestriction {
		d.denyBy(s.restricted, ProcessingRestricted)
	}
	// What nobody could read may be an objection, and that counts under every basis.
	d.denyIf((!legal || p.DirectMarketing) && s.stateMalformed(), StateMalformed)
	if p.DirectMarketing {
		d.denyBy(s.marketingObjection(), ObjectionMarketing)
	}
	d.denyBy(s.objection(), Objection)
	if p.Basis == Consent {
		s.judgeConsent(d)
	}
	if d.Reason != "" {
		return
	}
	if s.explicit() {
		d.Gates |= GateExplicit
	}
	if s.p.grounded() && !s.limited() {
		d.Gates |= GateGround
	}
}

// grounded reports whether a rule of p relies on a ground.
func (p *Purpose) grounded() bool {
	for i := range p.Treat {
		if p.Treat[i].Ground != "" {
			return true
		}
	}
	return false
}

// limited reports whether the gate of grounds is closed (GateGround).
func (s *state) limited() bool {
	return s.erased != nil || s.stateMalformed() ||
		s.greatest(consent.FamilySensitive, func(n *consent.Denial, key string) bool {
			return !(s.faultless && s.g.explicit && s.g.beats(n, key))
		}) != nil
}

// stateMalformed reports whether there is a malformed event that has not been
// superseded (D14): by a later lift, or by the grant that counts if that is faultless
// and was itself received later.
func (s *state) stateMalformed() bool {
	return s.malformed > -consent.Infinite && s.lseen <= s.malformed && !(s.faultless && s.g.received > s.malformed)
}

// marketingObjection: GDPR article 21(2) is absolute, so under a basis other than
// consent a plain withdrawal counts as an objection too.
func (s *state) marketingObjection() *consent.Denial {
	n := s.standing(consent.FamilyObject, false)
	if s.p.Basis != Consent {
		if w := s.standing(consent.FamilyWithdraw, false); w != nil {
			n = greater(n, w)
		}
	}
	return n
}

// objection: GDPR article 21(1). A withdrawal of all consent is not an objection to
// processing on other bases; one that names the purpose is.
func (s *state) objection() *consent.Denial {
	switch s.p.Basis {
	case Consent:
		return s.standing(consent.FamilyObject, false)
	case LegitimateInterests, PublicTask:
		n := s.standing(consent.FamilyObject, false)
		if w := s.standing(consent.FamilyWithdraw, true); w != nil {
			n = greater(n, w)
		}
		return n
	}
	return nil
}

// standing is the greatest denial of a family that no faultless grant has
// cleared; named leaves out what was said of "*".
func (s *state) standing(f consent.Family, named bool) *consent.Denial {
	return s.greatest(f, func(n *consent.Denial, key string) bool {
		return !(named && key == "*") && !(s.faultless && s.g.beats(n, key))
	})
}

// newer is the greatest denial of a family that the grant, whatever its faults,
// has not overtaken.
func (s *state) newer(f consent.Family) *consent.Denial {
	return s.greatest(f, func(n *consent.Denial, key string) bool { return !s.g.beats(n, key) })
}

func (s *state) greatest(f consent.Family, counts func(*consent.Denial, string) bool) (n *consent.Denial) {
	if !s.said[f] {
		return nil
	}
	for _, r := range s.rows {
		if r == nil {
			continue
		}
		for i := range r.Slots {
			slot := &r.Slots[i]
			if d := &slot.No[f]; d.Set && concerns(slot.Key, s.p.ID) && counts(d, slot.Key) {
				n = greater(n, d)
			}
		}
	}
	return n
}

// judgeConsent is rows 23-33.
func (s *state) judgeConsent(d *Decision) {
	w, i := s.newer(consent.FamilyWithdraw), s.newer(consent.FamilyInvalidate)
	switch {
	case w != nil && (i == nil || i.Less(*w)):
		d.denyBy(w, withdrawal(w))
	case i != nil:
		d.denyBy(i, ConsentInvalidated)
	case s.g.set:
		if d.Reason == "" {
			d.cite(s.g.pos)
		}
		for i, r := range grantFaults {
			d.denyIf(s.faults&(1<<i) != 0, r)
		}
	case s.pending:
		d.deny(ConsentPending)
	default:
		d.deny(ConsentUnknown)
	}
}

func withdrawal(n *consent.Denial) Reason {
	if n.Action == consent.Refuse {
		return ConsentRefused
	}
	return ConsentWithdrawn
}

// explicit reports whether the explicit-consent gate is open (GateExplicit).
func (s *state) explicit() bool {
	if !s.faultless || !s.g.explicit || s.erased != nil || s.restricted != nil || s.stateMalformed() {
		return false
	}
	for _, f := range [...]consent.Family{
		consent.FamilyWithdraw, consent.FamilyObject, consent.FamilyInvalidate, consent.FamilySensitive,
	} {
		if s.newer(f) != nil {
			return false
		}
	}
	return true
}
