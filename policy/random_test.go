package policy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/consentstream/consentstream/consent"
)

// draw makes cases in which boundaries and ties are the rule: few instants,
// one apart or a skew apart, few purposes on one path, and grants that are
// faultless more often than chance would have it.
type draw struct{ *rand.Rand }

func pick[T any](r draw, of ...T) T { return of[r.IntN(len(of))] }

func (r draw) one(in int) bool { return r.IntN(in) == 0 }

func (r draw) time() int64 {
	return pick(r, int64(1000), 1001, 1002, 1003, 1002+consent.Skew, 1003+consent.Skew, 1004+consent.Skew)
}

func (r draw) instant(in int) consent.Instant {
	if !r.one(in) {
		return consent.Instant{}
	}
	return at(r.time())
}

func (r draw) subset(of ...string) (list []string) {
	for _, s := range of {
		if r.one(2) {
			list = append(list, s)
		}
	}
	return list
}

// event draws any event; good leans to faultless grants.
func (r draw) event(offset int64) consent.Event {
	e := consent.Event{At: consent.Position{Partition: r.Int32N(2), Offset: offset}, Received: r.time()}
	if r.one(12) {
		e.Malformed = consent.FaultSyntax
		return e
	}
	if r.one(2) {
		e.Action = pick(r, consent.Grant, consent.Grant, consent.Renew, consent.OptIn)
	} else {
		e.Action = consent.Action(1 + r.IntN(int(consent.Attributes)))
	}
	e.Asserted = r.instant(2)
	e.Effective, e.Expires = r.instant(4), r.instant(5)
	e.CoversPast, e.Children = r.one(2), r.one(2)
	e.ConsentType = pick(r, consent.ConsentExplicit, consent.ConsentExplicit, consent.ConsentExpressed, consent.ConsentImplied)
	e.Recipients = []string{"m", "n"}
	if r.one(4) {
		e.Recipients = r.subset("m", "n", "o")
	}
	e.Notice = pick(r, consent.Notice{ID: "n", Version: "2"}, consent.Notice{ID: "n", Version: "2"},
		consent.Notice{ID: "n", Version: "10"}, consent.Notice{ID: "n", Version: "v2"}, consent.Notice{ID: "o", Version: "2"}, consent.Notice{})
	if !r.one(8) {
		e.Evidence = consent.Evidence{Method: "web", Source: "shop"}
	}
	if e.Action.Permissive() && !r.one(5) {
		e.Asserted = at(r.time())
	}
	e.Attributes.LastInteraction = r.instant(2)
	e.Purposes = r.subset("a.b", "a", "a.bc", "a.b.c", "b")
	switch {
	case e.Action.Permissive() && len(e.Purposes) == 0:
		e.Purposes = []string{"a.b"}
	case e.Action.Restrictive() && r.one(3):
		e.Purposes = append(e.Purposes, "*")
	case e.Action == consent.LiftRestriction && !r.one(4):
		e.Purposes = nil
	}
	return e
}

func (r draw) purpose() *Purpose {
	p := &Purpose{ID: pick(r, "a.b", "a.b", "a", "a.b.c"), Basis: Consent, DirectMarketing: r.one(4), SurvivesRestriction: r.one(6), ProcessingOnly: r.one(3)}
	if r.one(2) {
		p.Basis = Basis(1 + r.IntN(len(bases)-1))
	}
	if r.one(2) {
		p.Recipients = r.subset("m", "n")
	}
	if r.one(2) {
		p.Treat = []Rule{{Category: "user.health_and_medical", Treatment: Treatment{Name: "keep"}, Ground: "art9_2_h"}}
	}
	if r.one(2) {
		p.NoticeID, p.NoticeMinVersion = "n", pick(r, "2", "2", "3", "v2", "")
	}
	span := func() int64 { return pick(r, int64(0), 0, 0, 1, 2, consent.Skew, consent.Skew+1) }
	p.MaxAge, p.MaxInactivity, p.Retention = span(), span(), span()
	return p
}

func (r draw) facts() Facts {
	f := Facts{EventTime: r.time() + int64(r.IntN(3)) - 1, Suspect: r.one(20), Unresolved: r.one(40)}
	f.Conflict = f.Unresolved && r.one(2)
	return f
}

// group draws the events of one or two identifiers.
func (r draw) group() [][]consent.Event {
	group := make([][]consent.Event, 1+r.IntN(2))
	offset := int64(0)
	for i := range group {
		for range r.IntN(5) {
			group[i] = append(group[i], r.event(offset))
			offset++
		}
	}
	return group
}

func fold(group [][]consent.Event) []*consent.Row {
	rows := make([]*consent.Row, len(group))
	for i, events := range group {
		if len(events) == 0 {
			continue // a true miss is a nil row
		}
		rows[i] = consent.NewRow()
		for j := range events {
			rows[i].Fold(&events[j])
		}
	}
	return rows
}

// cases runs check for n random cases, CONSENTSTREAM_CASES if set, and names
// the seed of one that fails.
func cases(t *testing.T, n uint64, check func(r draw) error) {
	t.Helper()
	if s := os.Getenv("CONSENTSTREAM_CASES"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	run := uint64(time.Now().UnixNano())
	if s := os.Getenv("CONSENTSTREAM_SEED"); s != "" {
		run, _ = strconv.ParseUint(s, 10, 64)
	}
	for i := range n {
		if err := check(draw{rand.New(rand.NewPCG(run, i))}); err != nil {
			t.Fatalf("CONSENTSTREAM_SEED=%d, case %d: %v", run, i, err)
		}
	}
}

// TestOracle compares engine and oracle, fold and decision, and that every
// reason was met often enough to have been tested.
func TestOracle(t *testing.T) {
	met := map[Reason]int{}
	var d Decision
	gates := 0
	cases(t, 60_000, func(r draw) error {
		p, f, now, group := r.purpose(), r.facts(), r.time()+int64(r.IntN(3))-1, r.group()
		Decide(p, fold(group), &f, now, &d)
		if got, want := text(&d), verdictText(oracle(p, group, f, now)); got != want {
			return fmt.Errorf("engine %s\noracle %s\npurpose %+v\nfacts %+v now %d\nevents %+v", got, want, *p, f, now, group)
		}
		met[d.Reason]++
		for _, s := range d.Secondary {
			met[s]++
		}
		gates += int(d.Gates & GateExplicit)
		return nil
	})
	for _, r := range []Reason{
		SubjectUnresolved, RetentionExceeded, SubjectErased, ProcessingRestricted, StateMalformed, ObjectionMarketing, Objection,
		ConsentUnknown, ConsentPending, ConsentRefused, ConsentWithdrawn, ConsentInvalidated, ConsentExpired, NoticeOutdated,
		ConsentUnproven, ConsentNotYetEffective, ConsentAfterEvent, RecipientNotCovered, ConsentGiven, BasisContract,
		BasisLegalObligation, BasisVitalInterests, BasisPublicTask, BasisLegitimateInterests, EventTimeSuspect, SubjectConflict,
	} {
		if met[r] < 20 {
			t.Errorf("%s: met %d times", r, met[r])
		}
	}
	if gates < 20 {
		t.Errorf("the gate was open %d times", gates)
	}
	t.Logf("permits by consent %d, gates open %d", met[ConsentGiven], gates)
}

// TestNarrowing is R21 as D24 states it: a restrictive or malformed event never
// turns a deny into a permit and never opens a gate; without any grant nothing
// opens either.
func TestNarrowing(t *testing.T) {
	var before, after Decision
	cases(t, 60_000, func(r draw) error {
		p, f, now, group := r.purpose(), r.facts(), r.time()+int64(r.IntN(3))-1, r.group()
		Decide(p, fold(group), &f, now, &before)
		e := r.event(999)
		for e.Malformed == "" && !e.Action.Restrictive() {
			e = r.event(999)
		}
		i := r.IntN(len(group))
		group[i] = append(group[i], e)
		Decide(p, fold(group), &f, now, &after)
		if after.Permit && !before.Permit || after.Gates&^before.Gates != 0 {
			return fmt.Errorf("%s became %s by %v\npurpose %+v facts %+v now %d\n%+v", text(&before), text(&after), e.Action, *p, f, now, group)
		}
		Decide(p, fold(withoutGrants(group)), &f, now, &after)
		if after.Permit && !before.Permit || after.Gates&GateExplicit != 0 || after.Gates&^before.Gates != 0 {
			return fmt.Errorf("%s became %s without grants\npurpose %+v\n%+v", text(&before), text(&after), *p, group)
		}
		return nil
	})
}

// TestMalformedNeedsAGrantOfItsOwn is D14: where a malformed event that no lift
// followed is cleared, one grant clears it alone, with every other forgotten. So
// it is never one grant's receipt and another's faultlessness together.
func TestMalformedNeedsAGrantOfItsOwn(t *testing.T) {
	var d Decision
	cleared := 0
	cases(t, 60_000, func(r draw) error {
		p, f, now, group := r.purpose(), r.facts(), r.time()+int64(r.IntN(3))-1, r.group()
		i := r.IntN(len(group))
		group[i] = append(group[i], consent.Event{At: consent.Position{Offset: 999}, Received: r.time(), Malformed: consent.FaultSyntax})
		standing := func(group [][]consent.Event) bool {
			Decide(p, fold(group), &f, now, &d)
			return d.Reason == StateMalformed || slices.Contains(d.Secondary, StateMalformed)
		}
		if f.Unresolved || p.Basis == LegalObligation || lifted(group) || standing(group) {
			return nil
		}
		cleared++
		for i, events := range group {
			for _, e := range events {
				if !e.Action.Permissive() {
					continue
				}
				alone := withoutGrants(group)
				alone[i] = append(alone[i], e)
				if !standing(alone) {
					return nil
				}
			}
		}
		return fmt.Errorf("no grant clears alone\npurpose %+v facts %+v now %d\n%+v", *p, f, now, group)
	})
	if cleared < 100 {
		t.Errorf("cleared %d times", cleared)
	}
}

// lifted reports a lift, of whatever time.
func lifted(group [][]consent.Event) bool {
	for _, events := range group {
		for _, e := range events {
			if e.Malformed == consent.NoFault && e.Action == consent.LiftRestriction {
				return true
			}
		}
	}
	return false
}

func withoutGrants(group [][]consent.Event) [][]consent.Event {
	out := make([][]consent.Event, len(group))
	for i, events := range group {
		for _, e := range events {
			if !e.Action.Permissive() {
				out[i] = append(out[i], e)
			}
		}
	}
	return out
}

// TestOrderDoesNotMatter: neither the order and repetition of events, nor that
// of rows, nor a row's way through its encoding changes a decision.
func TestOrderDoesNotMatter(t *testing.T) {
	var want, got Decision
	cases(t, 20_000, func(r draw) error {
		p, f, now, group := r.purpose(), r.facts(), r.time(), r.group()
		Decide(p, fold(group), &f, now, &want)
		for _, events := range group {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			if len(events) > 0 {
				events = append(events, events[0])
			}
		}
		r.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
		rows := fold(group)
		for _, row := range rows {
			if row == nil {
				continue
			}
			if err := row.Decode(row.AppendTo(nil), nil); err != nil {
				return err
			}
		}
		Decide(p, rows, &f, now, &got)
		if text(&got) != text(&want) || got.Cited != want.Cited || got.HasCited != want.HasCited {
			return fmt.Errorf("%+v became %+v\n%+v", want, got, group)
		}
		return nil
	})
}
