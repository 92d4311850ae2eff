package policy

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/consentstream/consentstream/consent"
)

// restrictive are the letters that D24 means: what was said, or may have been.
func (l *letter) restrictive() bool { return l.Malformed != consent.NoFault || l.Action.Restrictive() }

func (l *letter) grants() bool { return l.Malformed == consent.NoFault && l.Action.Permissive() }

func (l *letter) lifts() bool {
	return l.Malformed == consent.NoFault && l.Action == consent.LiftRestriction
}

// moot changes nothing for the purposes of the small world: it is about another one
// (D15), a lift that is void (D12), or a question.
func (l *letter) moot() bool {
	return l.Malformed == consent.NoFault && (l.Action == consent.Request ||
		l.lifts() && (!l.Asserted.Set || len(l.Purposes) > 0) ||
		l.Action != consent.Restrict && len(l.Purposes) > 0 && l.Purposes[0] == elsewhere)
}

// faulty is what says itself that it permits nothing, and a grant that is not good enough
// for any purpose of the small world.
func (l *letter) faulty() bool {
	return l.Void() != "" || l.grants() && (len(l.Recipients) == 0 || l.Notice.Version < "3")
}

// nothingSaid is R1: whoever said nothing is denied what needs consent, and no gate
// is open that needs their word.
func (w *world) nothingSaid(t *testing.T) {
	missing, empty := w.decide(nil), w.verdicts[set{}]
	for i := range w.situations {
		s := &w.situations[i]
		outlived := s.retained > 0 && s.now-s.event >= s.retained
		if want := s.basis != Consent && !outlived; empty.permit.has(i) != want {
			t.Errorf("permitted %t\n%s", !want, w.at(i))
		}
	}
	if *missing != *empty || empty.explicit != (bits{}) {
		t.Errorf("no row gives %v, an empty one %v", missing, empty)
	}
}

// narrowing is D24: a restrictive or malformed event never turns a deny into a
// permit and opens no gate, whatever its time; nor does a grant that proves nothing
// (R5), or taking all grants away. What is moot changes nothing.
func (w *world) narrowing(t *testing.T) {
	n := 0
	for _, s := range w.sets {
		after := w.verdicts[s]
		for _, l := range w.of(s) {
			before := w.verdicts[s.without(func(o *letter) bool { return o == l }, w)]
			if at := after.beyond(before); at >= 0 && (l.restrictive() || l.faulty()) {
				t.Fatalf("%s: %q permits\n%s", w.tell(s), l.name, w.at(at))
			}
			if l.moot() && *after != *before {
				t.Fatalf("%s: %q changes something", w.tell(s), l.name)
			}
			n++
		}
		without := w.verdicts[s.without((*letter).grants, w)]
		if at := without.beyond(after); at >= 0 || without.explicit != (bits{}) {
			t.Fatalf("%s: more is permitted without its grants\n%s", w.tell(s), w.at(at))
		}
	}
	t.Logf("%d events added", n)
}

// clocks is D2: what a clock that is ahead says counts as said when it is received, so
// that a grant does not win by it; a withdrawal by one that lags no more than the skew does
// too, so that it does not lose by it; and one that is older than that was said when it says.
func (w *world) clocks(t *testing.T) {
	n := 0
	for _, pair := range [...][2]string{
		{"grant by a fast clock", "grant, first"},
		{"withdraw by a fast clock", "withdraw, first"},
		{"withdraw by a slow clock", "withdraw"},
		{"withdraw, stated long before", "withdraw, first"},
	} {
		one, other := w.named(t, pair[0]), w.named(t, pair[1])
		for _, s := range w.sets {
			as := setOf(append(s.without(func(l *letter) bool { return l == &w.letters[one] }, w).list(), uint8(other+1)))
			if !s.has(one) || s.has(other) || w.verdicts[as] == nil {
				continue
			}
			if n++; *w.verdicts[s] != *w.verdicts[as] {
				t.Fatalf("%s and %s differ", w.tell(s), w.tell(as))
			}
		}
	}
	t.Logf("%d sets", n)
}

func (w *world) named(t *testing.T, name string) int {
	i := slices.IndexFunc(w.letters, func(l letter) bool { return l.name == name })
	if i < 0 {
		t.Fatalf("no letter %q", name)
	}
	return i
}

// latestDenies is the table of D11, with D12 to D14: what was said last, or at the
// instant of the last grant or lift, denies the bases that it is about.
func (w *world) latestDenies(t *testing.T) {
	n := 0
	for _, s := range w.sets {
		v := w.verdicts[s]
		for _, l := range w.of(s) {
			if !l.restrictive() || !w.last(l, s) {
				continue
			}
			for i := range w.situations {
				if !w.situations[i].forbids(l) {
					continue
				}
				n++
				if v.permit.has(i) {
					t.Fatalf("%s: permitted, though %q was last\n%s", w.tell(s), l.name, w.at(i))
				}
			}
		}
	}
	t.Logf("%d denials", n)
}

// last reports whether no grant or lift of the set is later than l: was received
// after it, if nobody could read it.
func (w *world) last(l *letter, s set) bool {
	for _, o := range w.of(s) {
		later := o.yes > l.no
		if l.Malformed != consent.NoFault {
			later = o.Received > l.Received
		}
		if later && (o.grants() || o.lifts()) {
			return false
		}
	}
	return true
}

func (s *situation) forbids(l *letter) bool {
	h := hearing{situation: s}
	switch {
	case l.Malformed != consent.NoFault:
		return s.basis != LegalObligation || s.marketing
	case l.Action == consent.Restrict:
		return !s.survives
	}
	for _, key := range l.keys {
		if h.concerns(key) && (l.Action == consent.Erase && s.basis != LegalObligation || s.heeds(l.Action, key)) {
			return true
		}
	}
	return false
}

// stricter says that, by the words, a permits no more than b, from which it differs
// in one respect. Consent is denied by whatever denies legitimate interests, these by
// whatever denies a contract, that by whatever denies a legal obligation (D11). Direct
// marketing, a limit of time and `time: both` only deny (D11, D18 to D20), surviving a
// restriction only permits (D12), and an earlier record is permitted nothing that a
// later one is not (D19, D20).
func stricter(a, b situation) bool {
	rank := [...]int{Consent: 0, PublicTask: 1, LegitimateInterests: 1, Contract: 2, VitalInterests: 2, LegalObligation: 3}
	a.p, b.p = nil, nil
	for _, c := range []struct {
		holds bool
		equal func()
	}{
		{a.basis != b.basis && rank[b.basis]-rank[a.basis] <= 1 && rank[b.basis] >= rank[a.basis], func() { a.basis = b.basis }},
		{a.marketing && !b.marketing, func() { a.marketing = false }},
		{!a.processing && b.processing, func() { a.processing = true }},
		{!a.survives && b.survives, func() { a.survives = true }},
		{a.maxAge > 0 && b.maxAge == 0, func() { a.maxAge = 0 }},
		{a.maxInactivity > 0 && b.maxInactivity == 0, func() { a.maxInactivity = 0 }},
		{a.retained > 0 && b.retained == 0, func() { a.retained = 0 }},
		{a.event < b.event, func() { a.event = b.event }},
	} {
		if c.holds {
			c.equal()
			return a == b
		}
	}
	return false
}

func (w *world) stricterPermitsLess(t *testing.T) {
	pairs := w.pairs(stricter)
	for _, s := range w.sets {
		v := w.verdicts[s]
		for _, p := range pairs {
			if v.permit.has(p[0]) && !v.permit.has(p[1]) {
				t.Fatalf("%s: permitted\n%s\nand denied\n%s", w.tell(s), w.at(p[0]), w.at(p[1]))
			}
		}
	}
	t.Logf("%d pairs of situations", len(pairs))
}

func (w *world) pairs(related func(a, b situation) bool) (list [][2]int) {
	for a := range w.situations {
		for b := range w.situations {
			if related(w.situations[a], w.situations[b]) {
				list = append(list, [2]int{a, b})
			}
		}
	}
	return list
}

// timeOnlyEnds: what is denied stays denied as time goes by, unless a grant was to
// hold from later on (D1, D18).
func (w *world) timeOnlyEnds(t *testing.T) {
	pairs := w.pairs(func(a, b situation) bool {
		earlier := a.now < b.now
		a.now = b.now
		return earlier && a == b
	})
	n := 0
	for _, s := range w.sets {
		v := w.verdicts[s]
		for _, p := range pairs {
			if !w.begun(s, w.situations[p[0]].now) {
				continue
			}
			if n++; v.permit.has(p[1]) && !v.permit.has(p[0]) {
				t.Fatalf("%s: denied, and later permitted\n%s", w.tell(s), w.at(p[1]))
			}
		}
	}
	t.Logf("%d pairs of times", n)
}

func (w *world) begun(s set, now int64) bool {
	for _, l := range w.of(s) {
		if l.Received > now || l.Effective.Set && l.Effective.Ms > now {
			return false
		}
	}
	return true
}

// sentAgain: an event that its source sends again, later and at another place, permits
// nothing that was denied, and a grant or a lift changes nothing at all. But where something
// came in between that nobody could read, a grant or a lift ends that (D14).
//
// What a clock that is ahead has said is left out: it counts as said when it is
// received (D2), and so when it is received again.
func (w *world) sentAgain(t *testing.T) {
	n := 0
	for _, s := range w.sets {
		before := w.verdicts[s]
		unread := slices.ContainsFunc(w.of(s), func(l *letter) bool { return l.Malformed != consent.NoFault })
		for _, l := range w.of(s) {
			if s.size() > 2 || l.ahead() || unread && (l.grants() || l.lifts()) {
				continue
			}
			row, again := w.row(t, s), l.Event
			again.At, again.Received = consent.Position{Partition: 1, Offset: 1000}, hour(4)-1
			row.Fold(&again)
			after := w.decide(row)
			if at := after.beyond(before); at >= 0 {
				t.Fatalf("%s: %q sent again permits\n%s", w.tell(s), l.name, w.at(at))
			}
			if l.Asserted.Set && (l.grants() || l.lifts()) && *after != *before {
				t.Fatalf("%s: %q sent again changes something", w.tell(s), l.name)
			}
			n++
		}
	}
	t.Logf("%d sent again", n)
}

func (l *letter) ahead() bool {
	return l.Asserted.Set && l.Asserted.Ms > l.Received || l.Attributes.LastInteraction.Ms > l.Received
}

func (w *world) row(t *testing.T, s set) *consent.Row { return w.decoded(t, w.rows[s]) }

func (w *world) decoded(t *testing.T, encoded []byte) *consent.Row {
	row := consent.NewRow()
	if err := row.Decode(encoded, nil); err != nil {
		t.Fatal(err)
	}
	return row
}

// tooMuch is D14 of a row that holds no more: it permits nothing that it did
// not before, and what was said first does not matter.
func (w *world) tooMuch(t *testing.T) {
	flood := flood()
	full := foldOn(consent.NewRow(), flood).AppendTo(nil)
	for _, s := range w.sets {
		if s.size() > 2 {
			continue
		}
		row := foldOn(w.decoded(t, full), w.events(s))
		after := w.decide(row)
		if at := after.beyond(w.verdicts[s]); at >= 0 {
			t.Fatalf("%s: permitted when there was too much\n%s", w.tell(s), w.at(at))
		}
		for i := range w.situations {
			if k := &w.situations[i].kind; after.permit.has(i) && (k.basis != LegalObligation || k.marketing) {
				t.Fatalf("%s: permitted when there was too much\n%s", w.tell(s), w.at(i))
			}
		}
		if s.size() < 2 && !bytes.Equal(foldOn(w.row(t, s), flood).AppendTo(nil), row.AppendTo(nil)) {
			t.Fatalf("%s: another row before what was too much", w.tell(s))
		}
	}
}

func foldOn(row *consent.Row, events []consent.Event) *consent.Row {
	for i := range events {
		row.Fold(&events[i])
	}
	return row
}

// flood is more withdrawals than a row holds, of purposes that the world has not.
func flood() []consent.Event {
	events := make([]consent.Event, 0, consent.MaxSlots/64+1)
	for i := range consent.MaxSlots/64 + 1 {
		e := noAt(consent.Withdraw, 1)
		e.At = consent.Position{Offset: int64(2000 + i)}
		for j := range 64 {
			e.Purposes = append(e.Purposes, fmt.Sprintf("%s.p%d", elsewhere, 64*i+j))
		}
		events = append(events, e)
	}
	return events
}

// secondRow: what is said of another identifier of the same person restricts as well.
func (w *world) secondRow(t *testing.T) {
	for _, s := range w.sets {
		for i := range w.letters {
			if l := &w.letters[i]; s.size() <= 1 && l.restrictive() {
				after := w.decide(w.row(t, s), w.row(t, set{}.with(i)))
				if at := after.beyond(w.verdicts[s]); at >= 0 {
					t.Fatalf("%s: %q of another row permits\n%s", w.tell(s), l.name, w.at(at))
				}
			}
		}
	}
}

// asTheReference compares engine and reference, reasons and all.
func (w *world) asTheReference(t *testing.T) {
	var d Decision
	for _, s := range w.sets {
		if s.size() > 2 || s[1] > core {
			continue
		}
		row, events := w.row(t, s), w.events(s)
		for i := range w.situations {
			x := &w.situations[i]
			f := Facts{EventTime: x.event}
			Decide(x.p, []*consent.Row{row}, &f, x.now, &d)
			if got, want := text(&d), verdictText(oracle(x.p, [][]consent.Event{events}, f, x.now)); got != want {
				t.Fatalf("%s: %s, the reference %s\n%s", w.tell(s), got, want, w.at(i))
			}
		}
	}
}
