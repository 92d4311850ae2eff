package policy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/consentstream/consentstream/consent"
)

// Instants of the cases: a grant at t0, the record at t1, withdrawals at t2, the
// decision at t3. Receipts equal assertions unless a case is about that.
const (
	t0 = int64(1_793_527_200_000)
	t1 = t0 + 10*day
	t2 = t0 + 20*day
	t3 = t0 + 30*day
)

// grantOf is a faultless explicit grant at t.
func grantOf(t int64, purposes ...string) consent.Event {
	return consent.Event{
		Received: t, Asserted: at(t), Action: consent.Grant, Purposes: purposes, ConsentType: consent.ConsentExplicit,
		Recipients: []string{"mailer"}, Notice: consent.Notice{ID: "signup", Version: "3"}, Evidence: consent.Evidence{Method: "web", Source: "shop"},
	}
}

func with(e consent.Event, change func(*consent.Event)) consent.Event {
	change(&e)
	return e
}

// said is an event of an action at t.
func said(a consent.Action, t int64, purposes ...string) consent.Event {
	return consent.Event{Received: t, Asserted: at(t), Action: a, Purposes: purposes}
}

func rowOf(events ...consent.Event) *consent.Row {
	r := consent.NewRow()
	for i := range events {
		events[i].At = consent.Position{Partition: 1, Offset: int64(i)}
		r.Fold(&events[i])
	}
	return r
}

func purposeOf(b Basis) *Purpose { return &Purpose{ID: "marketing.email", Basis: b} }

const mail = "marketing.email"

// TestDecideCases: D1-D27 and SEMANTICS 8.1-8.10 by name. A case says what the
// purpose is beyond its basis, what was said, and all reasons in order. cited is
// the offset of the event that decided, -1 for none.
func TestDecideCases(t *testing.T) {
	type purpose = func(*Purpose)
	plain := func(*Purpose) {}
	malformed := consent.Event{Received: t2, Malformed: consent.FaultSyntax}
	for _, c := range []struct {
		name    string
		basis   Basis
		set     purpose
		events  []consent.Event
		cited   int64
		reasons []Reason
	}{
		{"R1 nothing was said", Consent, plain, nil, -1, []Reason{ConsentUnknown}},
		{"a grant", Consent, plain, []consent.Event{grantOf(t0, mail)}, 0, []Reason{ConsentGiven}},
		{"a grant of another purpose", Consent, plain, []consent.Event{grantOf(t0, "marketing.emails", "market", "analytics")}, -1, []Reason{ConsentUnknown}},
		{"row 24 only asked", Consent, plain, []consent.Event{said(consent.Request, t0, mail)}, -1, []Reason{ConsentPending}},
		{"asked and granted", Consent, plain, []consent.Event{said(consent.Request, t2, mail), grantOf(t0, mail)}, 1, []Reason{ConsentGiven}},

		{"D11 refused", Consent, plain, []consent.Event{said(consent.Refuse, t0, mail)}, 0, []Reason{ConsentRefused}},
		{"D11 withdrawn by name", Consent, plain, []consent.Event{grantOf(t0, mail), said(consent.Withdraw, t2, mail)}, 1, []Reason{ConsentWithdrawn}},
		{"D11 withdrawn in all", Consent, plain, []consent.Event{grantOf(t0, mail), said(consent.Withdraw, t2)}, 1, []Reason{ConsentWithdrawn}},
		{"D11 opted out", Consent, plain, []consent.Event{grantOf(t0, mail), said(consent.OptOut, t2, mail)}, 1, []Reason{ConsentWithdrawn}},
		{"D11 invalidated", Consent, plain, []consent.Event{grantOf(t0, mail), said(consent.Invalidate, t2, mail)}, 1, []Reason{ConsentInvalidated}},
		{"D11 objected", Consent, plain, []consent.Event{grantOf(t0, mail), said(consent.Object, t0+1, mail)}, 1, []Reason{Objection}},
		{"D11 another purpose withdrawn", Consent, plain, []consent.Event{grantOf(t0, mail), said(consent.Withdraw, t2, "marketing.sms")}, 0, []Reason{ConsentGiven}},
		{"D11 restrictive events ignore effective_at", Consent, plain, []consent.Event{grantOf(t0, mail),
			with(said(consent.Withdraw, t2, mail), func(e *consent.Event) { e.Effective, e.Expires = at(t3+1), at(t2) })}, 1, []Reason{ConsentWithdrawn}},
		{"8.10 granted again, but after the event", Consent, plain, []consent.Event{said(consent.Withdraw, t0), grantOf(t2, mail)}, 1, []Reason{ConsentAfterEvent}},
		{"8.1 granted again before the event, in reverse order", Consent, plain, []consent.Event{grantOf(t0+2, mail), said(consent.Withdraw, t0+1), grantOf(t0, mail)}, 0, []Reason{ConsentGiven}},
		{"8.2 grant and withdrawal of one instant", Consent, plain, []consent.Event{grantOf(t0, mail), said(consent.Withdraw, t0, mail)}, 1, []Reason{ConsentWithdrawn}},
		{"8.4 a grant asserted ten years ahead counts at its receipt", Consent, plain, []consent.Event{
			with(grantOf(t0, mail), func(e *consent.Event) { e.Asserted = at(t0 + 3650*day) }), said(consent.Withdraw, t0+1, mail)}, 1, []Reason{ConsentWithdrawn}},
		{"8.4 a withdrawal from a clock 5 min slow still wins", Consent, plain, []consent.Event{grantOf(t0, mail),
			with(said(consent.Withdraw, t0+consent.Skew, mail), func(e *consent.Event) { e.Asserted = at(t0) })}, 1, []Reason{ConsentWithdrawn}},
		{"8.10 a late older withdrawal does not overtake", Consent, plain, []consent.Event{grantOf(t0, mail),
			with(said(consent.Withdraw, t2, mail), func(e *consent.Event) { e.Asserted = at(t0 - 1) })}, 0, []Reason{ConsentGiven}},
		{"8.1 a withdrawal without assertion acts at receipt", Consent, plain, []consent.Event{grantOf(t0, mail), {Received: t2, Action: consent.Withdraw}}, 1, []Reason{ConsentWithdrawn}},

		{"D15 the parent's grant covers children", Consent, plain, []consent.Event{
			with(grantOf(t0, "marketing"), func(e *consent.Event) { e.Children = true })}, 0, []Reason{ConsentGiven}},
		{"D15 only when it says so", Consent, plain, []consent.Event{grantOf(t0, "marketing")}, -1, []Reason{ConsentUnknown}},
		{"D15 the child's grant does not cover the parent", Consent, func(p *Purpose) { p.ID = "marketing" }, []consent.Event{
			with(grantOf(t0, mail), func(e *consent.Event) { e.Children = true })}, -1, []Reason{ConsentUnknown}},
		{"D15 the parent's withdrawal denies children", Consent, plain, []consent.Event{grantOf(t0, mail), said(consent.Withdraw, t2, "marketing")}, 1, []Reason{ConsentWithdrawn}},
		{"D15 a parent's grant does not clear the child's denial", Consent, plain, []consent.Event{said(consent.Withdraw, t0-1, mail),
			with(grantOf(t0, "marketing"), func(e *consent.Event) { e.Children = true })}, 0, []Reason{ConsentWithdrawn}},
		{"D15 the child's grant clears the parent's denial", Consent, plain, []consent.Event{said(consent.Withdraw, t0-1, "marketing"), grantOf(t0, mail)}, 1, []Reason{ConsentGiven}},

		{"D12 restricted", Contract, plain, []consent.Event{said(consent.Restrict, t2)}, 0, []Reason{ProcessingRestricted}},
		{"D12 legal obligation too", LegalObligation, plain, []consent.Event{said(consent.Restrict, t2)}, 0, []Reason{ProcessingRestricted}},
		{"D12 survives", LegalObligation, func(p *Purpose) { p.SurvivesRestriction = true }, []consent.Event{said(consent.Restrict, t2)}, -1, []Reason{BasisLegalObligation}},
		{"D12 lifted", Contract, plain, []consent.Event{said(consent.Restrict, t1), said(consent.LiftRestriction, t2)}, -1, []Reason{BasisContract}},
		{"D12 equal instants stay restricted", Contract, plain, []consent.Event{said(consent.Restrict, t2), said(consent.LiftRestriction, t2)}, 0, []Reason{ProcessingRestricted}},
		{"D12 a grant does not lift", Consent, plain, []consent.Event{said(consent.Restrict, t0-1), grantOf(t0, mail)}, 0, []Reason{ProcessingRestricted}},

		{"D13 erased", Contract, plain, []consent.Event{said(consent.Erase, t2)}, 0, []Reason{SubjectErased}},
		{"D13 erased for good", Consent, plain, []consent.Event{said(consent.Erase, t0-1), grantOf(t0, mail)}, 0, []Reason{SubjectErased}},
		{"D13 not legal obligation", LegalObligation, plain, []consent.Event{said(consent.Erase, t2)}, -1, []Reason{BasisLegalObligation}},
		{"D13 scoped by name", Contract, plain, []consent.Event{said(consent.Erase, t2, "analytics")}, -1, []Reason{BasisContract}},

		{"D14 malformed", Contract, plain, []consent.Event{malformed}, -1, []Reason{StateMalformed}},
		{"D14 not legal obligation", LegalObligation, plain, []consent.Event{malformed}, -1, []Reason{BasisLegalObligation}},
		{"D14 an earlier grant does not supersede", Consent, plain, []consent.Event{grantOf(t0, mail), malformed}, -1, []Reason{StateMalformed}},
		{"D14 a later-received one does", Consent, plain, []consent.Event{malformed,
			with(grantOf(t0, mail), func(e *consent.Event) { e.Received = t2 + 1 })}, 1, []Reason{ConsentGiven}},
		{"D14 received at once does not", Consent, plain, []consent.Event{malformed,
			with(grantOf(t0, mail), func(e *consent.Event) { e.Received = t2 })}, -1, []Reason{StateMalformed}},
		{"D14 a faulty one does not", Consent, plain, []consent.Event{malformed,
			with(grantOf(t0, mail), func(e *consent.Event) { e.Received, e.Evidence.Method = t2+1, "" })}, -1, []Reason{StateMalformed, ConsentUnproven}},
		{"D14 nor does an older faulty one beside a faultless one", Consent, plain, []consent.Event{grantOf(t0, mail), malformed,
			with(grantOf(t0-1, mail), func(e *consent.Event) { e.Received, e.Evidence.Method = t2+1, "" })}, -1, []Reason{StateMalformed}},
		{"D14 nor a grant of a parent that does not cover the purpose", Consent, plain, []consent.Event{grantOf(t0, mail), malformed,
			with(grantOf(t0-1, "marketing"), func(e *consent.Event) { e.Received = t2 + 1 })}, -1, []Reason{StateMalformed}},
		{"D14 nor a faultless one that does not count", Consent, plain, []consent.Event{grantOf(t0, mail), malformed,
			with(grantOf(t0-1, mail), func(e *consent.Event) { e.Received = t2 + 1 })}, -1, []Reason{StateMalformed}},
		{"D14 the same one sent again does", Consent, plain, []consent.Event{grantOf(t0, mail), malformed,
			with(grantOf(t0, mail), func(e *consent.Event) { e.Received = t2 + 1 })}, 0, []Reason{ConsentGiven}},
		{"D14 sent again with a fault does not", Consent, plain, []consent.Event{grantOf(t0, mail), malformed,
			with(grantOf(t0, mail), func(e *consent.Event) { e.Received, e.Evidence.Method = t2+1, "" })}, -1, []Reason{StateMalformed, ConsentUnproven}},
		{"D14 under a contract too", Contract, plain, []consent.Event{grantOf(t0, mail), malformed,
			with(grantOf(t0-1, mail), func(e *consent.Event) { e.Received, e.Evidence.Method = t2+1, "" })}, -1, []Reason{StateMalformed}},
		{"D14 a lift does", Contract, plain, []consent.Event{malformed,
			with(said(consent.LiftRestriction, t0), func(e *consent.Event) { e.Received = t2 + 1 })}, -1, []Reason{BasisContract}},

		{"D11 contract knows no withdrawal", Contract, plain, []consent.Event{said(consent.Withdraw, t2, mail), said(consent.Object, t2), said(consent.Invalidate, t2)}, -1, []Reason{BasisContract}},
		{"D11 vital interests neither", VitalInterests, plain, []consent.Event{said(consent.Withdraw, t2, mail), said(consent.Object, t2)}, -1, []Reason{BasisVitalInterests}},
		{"D11 legitimate interests: named withdrawal objects", LegitimateInterests, plain, []consent.Event{said(consent.Withdraw, t2, mail)}, 0, []Reason{Objection}},
		{"D11 legitimate interests: a parent's name too", LegitimateInterests, plain, []consent.Event{said(consent.OptOut, t2, "marketing")}, 0, []Reason{Objection}},
		{"D11 legitimate interests: withdrawal of all consent does not", LegitimateInterests, plain, []consent.Event{said(consent.Withdraw, t2)}, -1, []Reason{BasisLegitimateInterests}},
		{"D11 public task: objection to all", PublicTask, plain, []consent.Event{said(consent.Object, t2)}, 0, []Reason{Objection}},
		{"D11 public task", PublicTask, plain, nil, -1, []Reason{BasisPublicTask}},
		{"R3 a later faultless grant clears an objection", LegitimateInterests, plain, []consent.Event{said(consent.Object, t0-1), grantOf(t0, mail)}, -1, []Reason{BasisLegitimateInterests}},
		{"R3 a faulty one does not", LegitimateInterests, plain, []consent.Event{said(consent.Object, t0-1),
			with(grantOf(t0, mail), func(e *consent.Event) { e.Notice.Version = "" })}, 0, []Reason{Objection}},
		{"8.21 objection to marketing under a contract", Contract, func(p *Purpose) { p.DirectMarketing = true }, []consent.Event{said(consent.Object, t2)}, 0, []Reason{ObjectionMarketing}},
		{"8.21 unsubscribed from all", Contract, func(p *Purpose) { p.DirectMarketing = true }, []consent.Event{said(consent.OptOut, t2)}, 0, []Reason{ObjectionMarketing}},
		{"row 7 before row 8", LegitimateInterests, func(p *Purpose) { p.DirectMarketing = true }, []consent.Event{said(consent.Object, t2)}, 0, []Reason{ObjectionMarketing, Objection}},

		{"D18 expires at the decision", Consent, plain, []consent.Event{with(grantOf(t0, mail), func(e *consent.Event) { e.Expires = at(t3) })}, 0, []Reason{ConsentExpired}},
		{"D18 expires right after", Consent, plain, []consent.Event{with(grantOf(t0, mail), func(e *consent.Event) { e.Expires = at(t3 + 1) })}, 0, []Reason{ConsentGiven}},
		{"D18 max_age", Consent, func(p *Purpose) { p.MaxAge = 30 * day }, []consent.Event{grantOf(t0, mail)}, 0, []Reason{ConsentExpired}},
		{"D18 max_age not yet", Consent, func(p *Purpose) { p.MaxAge = 30*day + 1 }, []consent.Event{grantOf(t0, mail)}, 0, []Reason{ConsentGiven}},
		{"D18 inactive", Consent, func(p *Purpose) { p.MaxInactivity = 20 * day }, []consent.Event{grantOf(t0, mail)}, 0, []Reason{ConsentExpired}},
		{"D18 active", Consent, func(p *Purpose) { p.MaxInactivity = 20 * day }, []consent.Event{grantOf(t0, mail),
			{Received: t2, Action: consent.Attributes, Attributes: consent.EventAttributes{LastInteraction: at(t0 + 10*day + 1)}}}, 0, []Reason{ConsentGiven}},

		{"D16 another notice", Consent, func(p *Purpose) { p.NoticeID = "cookies" }, []consent.Event{grantOf(t0, mail)}, 0, []Reason{NoticeOutdated}},
		{"D16 by number, not by text", Consent, func(p *Purpose) { p.NoticeID, p.NoticeMinVersion = "signup", "9" }, []consent.Event{
			with(grantOf(t0, mail), func(e *consent.Event) { e.Notice.Version = "10" })}, 0, []Reason{ConsentGiven}},
		{"D16 older", Consent, func(p *Purpose) { p.NoticeID, p.NoticeMinVersion = "signup", "4" }, []consent.Event{grantOf(t0, mail)}, 0, []Reason{NoticeOutdated}},
		{"D16 words only equal", Consent, func(p *Purpose) { p.NoticeID, p.NoticeMinVersion = "signup", "2026-10" }, []consent.Event{
			with(grantOf(t0, mail), func(e *consent.Event) { e.Notice.Version = "2026-11" })}, 0, []Reason{NoticeOutdated}},
		{"D16 recipients", Consent, func(p *Purpose) { p.Recipients = []string{"mailer", "printer"} }, []consent.Event{grantOf(t0, mail)}, 0, []Reason{RecipientNotCovered}},
		{"D16 two grants of one instant cover what both cover", Consent, func(p *Purpose) { p.Recipients = []string{"mailer"} }, []consent.Event{grantOf(t0, mail),
			with(grantOf(t0, mail), func(e *consent.Event) { e.Recipients = []string{"printer"} })}, 0, []Reason{RecipientNotCovered}},
		{"D16 of parent and child too", Consent, func(p *Purpose) { p.Recipients = []string{"mailer"} }, []consent.Event{grantOf(t0, mail),
			with(grantOf(t0, "marketing"), func(e *consent.Event) { e.Recipients, e.Children = nil, true })}, 0, []Reason{RecipientNotCovered}},
		{"D17 not asserted", Consent, plain, []consent.Event{with(grantOf(t0, mail), func(e *consent.Event) { e.Asserted.Set = false })}, 0, []Reason{ConsentUnproven}},
		{"D17 implied", Consent, plain, []consent.Event{with(grantOf(t0, mail), func(e *consent.Event) { e.ConsentType = consent.ConsentImplied })}, 0, []Reason{ConsentUnproven}},
		{"D17 expressed", Consent, plain, []consent.Event{with(grantOf(t0, mail), func(e *consent.Event) { e.ConsentType = consent.ConsentExpressed })}, 0, []Reason{ConsentGiven}},
		{"row 31 not yet", Consent, plain, []consent.Event{with(grantOf(t0, mail), func(e *consent.Event) { e.Effective = at(t3 + 1) })}, 0, []Reason{ConsentNotYetEffective, ConsentAfterEvent}},
		{"D1 effective at the decision", Consent, func(p *Purpose) { p.ProcessingOnly = true }, []consent.Event{
			with(grantOf(t0, mail), func(e *consent.Event) { e.Effective = at(t3) })}, 0, []Reason{ConsentGiven}},

		{"D19 given after the event", Consent, plain, []consent.Event{grantOf(t1+1, mail)}, 0, []Reason{ConsentAfterEvent}},
		{"D19 given at the event", Consent, plain, []consent.Event{grantOf(t1, mail)}, 0, []Reason{ConsentGiven}},
		{"D19 processing only", Consent, func(p *Purpose) { p.ProcessingOnly = true }, []consent.Event{grantOf(t1+1, mail)}, 0, []Reason{ConsentGiven}},
		{"D19 covers the past", Consent, plain, []consent.Event{with(grantOf(t2, mail), func(e *consent.Event) { e.CoversPast = true })}, 0, []Reason{ConsentGiven}},
		{"D19 not across a denial", Consent, plain, []consent.Event{said(consent.Withdraw, t1, mail),
			with(grantOf(t2, mail), func(e *consent.Event) { e.CoversPast = true })}, 1, []Reason{ConsentAfterEvent}},
		{"D19 renewed from before", Consent, plain, []consent.Event{
			with(grantOf(t2, mail), func(e *consent.Event) { e.Action, e.Effective = consent.Renew, at(t0) })}, 0, []Reason{ConsentGiven}},

		{"D20 retention", Contract, func(p *Purpose) { p.Retention = 20 * day }, nil, -1, []Reason{RetentionExceeded}},
		{"D20 retention not yet", Contract, func(p *Purpose) { p.Retention = 20*day + 1 }, nil, -1, []Reason{BasisContract}},
		{"D20 retention before row 5", Contract, func(p *Purpose) { p.Retention = day }, []consent.Event{said(consent.Erase, t0)}, -1, []Reason{RetentionExceeded, SubjectErased}},
		{"all faults, in order", Consent, func(p *Purpose) { p.NoticeID, p.NoticeMinVersion, p.Recipients = "signup", "4", []string{"printer"} }, []consent.Event{
			with(grantOf(t2, mail), func(e *consent.Event) { e.Expires, e.ConsentType = at(t3), consent.ConsentNone })}, 0,
			[]Reason{ConsentExpired, NoticeOutdated, ConsentUnproven, ConsentAfterEvent, RecipientNotCovered}},
	} {
		p := purposeOf(c.basis)
		c.set(p)
		var rows []*consent.Row
		if c.events != nil {
			rows = append(rows, rowOf(c.events...))
		}
		var d Decision
		Decide(p, rows, &Facts{EventTime: t1}, t3, &d)
		if got := append([]Reason{d.Reason}, d.Secondary...); !slices.Equal(got, c.reasons) {
			t.Errorf("%s: %v, want %v", c.name, got, c.reasons)
		}
		if permit := c.reasons[0] == ConsentGiven || c.reasons[0][:5] == "BASIS"; d.Permit != permit {
			t.Errorf("%s: permit %t", c.name, d.Permit)
		}
		if d.HasCited != (c.cited >= 0) || d.HasCited && d.Cited != (consent.Position{Partition: 1, Offset: c.cited}) {
			t.Errorf("%s: cites %t %v, want %d", c.name, d.HasCited, d.Cited, c.cited)
		}
	}
}

// TestObjectionInOverflownRow: a row that has overflown forgets what was said of single
// purposes. An objection to direct marketing must not go with it, not under the one
// basis that a malformed state does not concern otherwise.
func TestObjectionInOverflownRow(t *testing.T) {
	p := purposeOf(LegalObligation)
	p.DirectMarketing = true
	events := []consent.Event{said(consent.Object, t1, mail)}
	for i := range consent.MaxSlots + 1 {
		events = append(events, said(consent.Withdraw, t1, fmt.Sprintf("p%d", i)))
	}
	for _, n := range []int{1, len(events)} {
		var d Decision
		Decide(p, []*consent.Row{rowOf(events[:n]...)}, &Facts{EventTime: t2}, t3, &d)
		if d.Permit {
			t.Errorf("%d events: %s", n, d.Reason)
		}
	}
}
