package policy

import (
	"math"
	"slices"
	"testing"

	"github.com/consentstream/consentstream/consent"
)

// TestExplicitGate is D23: who may see what needs explicit consent.
func TestExplicitGate(t *testing.T) {
	implied := with(grantOf(t0, mail), func(e *consent.Event) { e.ConsentType = consent.ConsentExpressed })
	for _, c := range []struct {
		name   string
		basis  Basis
		events []consent.Event
		open   bool
	}{
		{"explicit grant", Consent, []consent.Event{grantOf(t0, mail)}, true},
		{"expressed grant", Consent, []consent.Event{implied}, false},
		{"nothing said", Contract, nil, false},
		{"under any basis", Contract, []consent.Event{grantOf(t0, mail)}, true},
		{"another purpose", Contract, []consent.Event{grantOf(t0, "analytics")}, false},
		{"an ancestor that covers it", Contract, []consent.Event{with(grantOf(t0, "marketing"), func(e *consent.Event) { e.Children = true })}, true},
		{"an ancestor that does not", Contract, []consent.Event{grantOf(t0, "marketing")}, false},
		{"limited since", Consent, []consent.Event{grantOf(t0, mail), said(consent.LimitSensitive, t2)}, false},
		{"limited for another purpose", Consent, []consent.Event{grantOf(t0, mail), said(consent.LimitSensitive, t2, "analytics")}, true},
		{"limited before", Consent, []consent.Event{said(consent.LimitSensitive, t0-1), grantOf(t0, mail)}, true},
		{"limited at the same instant", Consent, []consent.Event{said(consent.LimitSensitive, t0), grantOf(t0, mail)}, false},
		{"limited, then a grant that is not explicit", Consent, []consent.Event{said(consent.LimitSensitive, t0-1), implied}, false},
		{"withdrawn under a contract", Contract, []consent.Event{grantOf(t0, mail), said(consent.Withdraw, t0+1)}, false},
		{"objected under a contract", Contract, []consent.Event{grantOf(t0, mail), said(consent.Object, t0+1, mail)}, false},
		{"invalidated under a contract", Contract, []consent.Event{grantOf(t0, mail), said(consent.Invalidate, t0+1, mail)}, false},
		{"expired under a contract", Contract, []consent.Event{with(grantOf(t0, mail), func(e *consent.Event) { e.Expires = at(t3) })}, false},
		{"given after the event", Contract, []consent.Event{grantOf(t1+1, mail)}, false},
		{"erased under a legal obligation", LegalObligation, []consent.Event{grantOf(t0, mail), said(consent.Erase, t0)}, false},
		{"malformed under a legal obligation", LegalObligation, []consent.Event{grantOf(t0, mail), {Received: t2, Malformed: consent.FaultSyntax}}, false},
		{"a denied purpose has no gates", Consent, []consent.Event{grantOf(t0, mail), said(consent.Restrict, t2)}, false},
	} {
		var d Decision
		Decide(purposeOf(c.basis), []*consent.Row{nil, rowOf(c.events...)}, &Facts{EventTime: t1}, t3, &d)
		if open := d.Gates == GateExplicit; open != c.open || d.Gates&^GateExplicit != 0 {
			t.Errorf("%s: gates %b, %v", c.name, d.Gates, d.Reason)
		}
	}
}

// TestGroundGate is D23: what a purpose shows of a special category on a ground
// of its own.
func TestGroundGate(t *testing.T) {
	expressed := with(grantOf(t2+1, mail), func(e *consent.Event) { e.ConsentType = consent.ConsentExpressed })
	for _, c := range []struct {
		name   string
		basis  Basis
		events []consent.Event
		open   bool
	}{
		{"nothing said", Contract, nil, true},
		{"a denied purpose has no gates", Consent, nil, false},
		{"limited", Contract, []consent.Event{said(consent.LimitSensitive, t0)}, false},
		{"limited for this purpose", Contract, []consent.Event{said(consent.LimitSensitive, t0, mail)}, false},
		{"limited for another purpose", Contract, []consent.Event{said(consent.LimitSensitive, t0, "analytics")}, true},
		{"limited, then an explicit grant", Contract, []consent.Event{said(consent.LimitSensitive, t0-1), grantOf(t0, mail)}, true},
		{"limited at the same instant", Contract, []consent.Event{said(consent.LimitSensitive, t0), grantOf(t0, mail)}, false},
		{"limited, then a grant that is not explicit", Contract, []consent.Event{said(consent.LimitSensitive, t2), expressed}, false},
		{"limited, then a grant of another purpose", Contract, []consent.Event{said(consent.LimitSensitive, t0-1), grantOf(t0, "analytics")}, false},
		{"withdrawn under a contract", Contract, []consent.Event{said(consent.Withdraw, t0)}, true},
		{"erased under a legal obligation", LegalObligation, []consent.Event{said(consent.Erase, t0)}, false},
		{"malformed under a legal obligation", LegalObligation, []consent.Event{{Received: t2, Malformed: consent.FaultSyntax}}, false},
	} {
		p := purposeOf(c.basis)
		p.Treat = []Rule{{Category: "user.health_and_medical", Treatment: Treatment{Name: "keep"}, Ground: "art9_2_h"}}
		var d Decision
		Decide(p, []*consent.Row{nil, rowOf(c.events...)}, &Facts{EventTime: t1}, t3, &d)
		if open := d.Gates&GateGround != 0; open != c.open {
			t.Errorf("%s: gates %b, %v", c.name, d.Gates, d.Reason)
		}
		p.Treat[0].Ground = ""
		if Decide(p, []*consent.Row{nil, rowOf(c.events...)}, &Facts{EventTime: t1}, t3, &d); d.Gates&^GateExplicit != 0 {
			t.Errorf("%s: a purpose without grounds has gates %b", c.name, d.Gates)
		}
	}
}

func TestRuleGate(t *testing.T) {
	for _, c := range []struct {
		r    Rule
		want uint32
	}{{Rule{}, 0}, {Rule{RequiresExplicit: true}, GateExplicit}, {Rule{Ground: "art10"}, GateGround}, {Rule{RequiresExplicit: true, Ground: "art9_2_h"}, GateExplicit}} {
		if got := c.r.Gate(); got != c.want {
			t.Errorf("%+v: gate %b, want %b", c.r, got, c.want)
		}
	}
}

// TestEventTime is D20 and SEMANTICS 8.5.
func TestEventTime(t *testing.T) {
	granted := []*consent.Row{rowOf(grantOf(t1, mail))}
	for _, c := range []struct {
		name    string
		facts   Facts
		reasons []Reason
	}{
		{"known", Facts{EventTime: t1}, []Reason{ConsentGiven}},
		{"suspect", Facts{EventTime: t1, Suspect: true}, []Reason{ConsentGiven, EventTimeSuspect}},
		{"ahead of the decision", Facts{EventTime: t3 + 1}, []Reason{ConsentGiven, EventTimeSuspect}},
		{"far ahead", Facts{EventTime: math.MaxInt64}, []Reason{ConsentGiven, EventTimeSuspect}},
		{"before the grant", Facts{EventTime: t1 - 1}, []Reason{RetentionExceeded, ConsentAfterEvent}},
		{"negative", Facts{EventTime: -1}, []Reason{RetentionExceeded, ConsentAfterEvent}},
		{"far behind", Facts{EventTime: math.MinInt64}, []Reason{RetentionExceeded, ConsentAfterEvent}},
		{"denied and suspect", Facts{EventTime: t1 - 1, Suspect: true}, []Reason{RetentionExceeded, ConsentAfterEvent, EventTimeSuspect}},
		{"unresolved", Facts{EventTime: t1, Unresolved: true}, []Reason{SubjectUnresolved}},
		{"in conflict", Facts{EventTime: t1, Unresolved: true, Conflict: true, Suspect: true}, []Reason{SubjectUnresolved, SubjectConflict, EventTimeSuspect}},
		{"unresolved and old", Facts{EventTime: t0, Unresolved: true}, []Reason{SubjectUnresolved, RetentionExceeded}},
	} {
		p := purposeOf(Consent)
		p.Retention = t3 - t1 + 1
		var d Decision
		Decide(p, granted, &c.facts, t3, &d)
		if got := append([]Reason{d.Reason}, d.Secondary...); !slices.Equal(got, c.reasons) {
			t.Errorf("%s: %v, want %v", c.name, got, c.reasons)
		}
	}
}

// TestDenyByDefault is P1: every zero value denies, with a reason.
func TestDenyByDefault(t *testing.T) {
	if (Decision{}).Permit {
		t.Error("the zero Decision permits")
	}
	known := &Facts{EventTime: t1}
	for _, c := range []struct {
		name   string
		p      *Purpose
		f      *Facts
		reason Reason
	}{
		{"no purpose", nil, known, PolicyUndefined},
		{"the zero purpose", &Purpose{}, known, PolicyUndefined},
		{"no basis", &Purpose{ID: mail}, known, PolicyUndefined},
		{"no such basis", &Purpose{ID: mail, Basis: 99}, known, PolicyUndefined},
		{"no name", &Purpose{Basis: Contract}, known, PolicyUndefined},
		{"no facts", purposeOf(Contract), nil, SubjectUnresolved},
	} {
		d := Decision{Permit: true, Reason: ConsentGiven, Secondary: []Reason{ConsentGiven}, HasCited: true, Gates: 1}
		Decide(c.p, []*consent.Row{rowOf(grantOf(t0, mail))}, c.f, t3, &d)
		if d.Permit || d.Reason != c.reason || len(d.Secondary) > 0 || d.HasCited || d.Gates != 0 {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

// TestReplay is P12 and SEMANTICS 8.9: the same arguments decide the same.
func TestReplay(t *testing.T) {
	rows := []*consent.Row{rowOf(grantOf(t0, mail), said(consent.Withdraw, t2, mail))}
	var first, again Decision
	Decide(purposeOf(Consent), rows, &Facts{EventTime: t1}, t3, &first)
	before := rows[0].AppendTo(nil)
	Decide(purposeOf(Consent), rows, &Facts{EventTime: t1}, t3, &again)
	if text(&first) != text(&again) || !slices.Equal(before, rows[0].AppendTo(nil)) {
		t.Errorf("%+v, then %+v", first, again)
	}
}

func TestBases(t *testing.T) {
	for b := Consent; b <= LegitimateInterests; b++ {
		if got, ok := ParseBasis(b.String()); !ok || got != b {
			t.Errorf("%d is %q, which reads as %d", b, b, got)
		}
	}
	for _, word := range []string{"", "Consent", "legitimate_interest", "vital"} {
		if b, ok := ParseBasis(word); ok || b != NoBasis {
			t.Errorf("%q reads as %d", word, b)
		}
	}
}
