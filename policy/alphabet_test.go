package policy

import "github.com/consentstream/consentstream/consent"

// The small world: few events, few situations, and everything that can be made of
// them. Its instants are whole hours after t0, far enough apart that a late
// event is believed to be an old one (consent.Skew).
func hour(n int64) int64 { return t0 + n*60*60*1000 }

// letter is one event of the alphabet: what was said, at a place of its own.
type letter struct {
	name string
	consent.Event
	no, yes int64    // D2: its instant where it restricts, and where it permits
	keys    []string // what it names; all where it names nothing
}

// The purposes are mail and what is above it; elsewhere only looks like that.
const parent, elsewhere = "marketing", "market"

// core is how many of the letters, the first ones, are also made words of four.
const core = 17

func alphabet() []letter {
	letters := []letter{
		{name: "grant", Event: grantAt(2, 2, mail)},
		{name: "grant, late", Event: grantAt(1, 3, mail)},
		{name: "grant, first", Event: grantAt(1, 1, mail)},
		{name: "grant of the parent and its children", Event: with(grantAt(3, 3, parent), func(e *consent.Event) { e.Children = true })},
		{name: "grant from now on", Event: with(grantAt(2, 2, mail), func(e *consent.Event) { e.Effective = at(hour(3)) })},
		{name: "grant until now", Event: with(grantAt(2, 2, mail), func(e *consent.Event) { e.Expires = at(hour(3)) })},
		{name: "withdraw", Event: noAt(consent.Withdraw, 2, mail)},
		{name: "withdraw all", Event: noAt(consent.Withdraw, 3)},
		{name: "withdraw, stated long before", Event: with(noAt(consent.Withdraw, 3, mail), assertedAt(1))},
		{name: "refuse the parent", Event: noAt(consent.Refuse, 1, parent)},
		{name: "object", Event: noAt(consent.Object, 1, mail)},
		{name: "invalidate", Event: noAt(consent.Invalidate, 2, mail)},
		{name: "restrict", Event: noAt(consent.Restrict, 1)},
		{name: "lift", Event: with(noAt(consent.LiftRestriction, 2), assertedAt(2))},
		{name: "erase", Event: noAt(consent.Erase, 2)},
		{name: "malformed", Event: consent.Event{Received: hour(2), Malformed: consent.FaultSyntax}},
		{name: "limit_sensitive", Event: noAt(consent.LimitSensitive, 1)},

		{name: "grant, last", Event: grantAt(3, 3, mail)},
		{name: "grant by a fast clock", Event: grantAt(3, 1, mail)},
		{name: "grant of the past", Event: with(grantAt(2, 2, mail), func(e *consent.Event) { e.CoversPast = true })},
		{name: "renew from the beginning", Event: with(grantAt(2, 2, mail), func(e *consent.Event) { e.Action, e.Effective = consent.Renew, at(hour(1)) })},
		{name: "grant, expressed", Event: with(grantAt(2, 2, mail), func(e *consent.Event) { e.ConsentType = consent.ConsentExpressed })},
		{name: "grant without evidence", Event: with(grantAt(2, 2, mail), func(e *consent.Event) { e.Evidence.Source = "" })},
		{name: "grant of no stated time", Event: with(grantAt(2, 3, mail), func(e *consent.Event) { e.Asserted.Set = false })},
		{name: "grant to nobody", Event: with(grantAt(3, 3, mail), func(e *consent.Event) { e.Recipients = nil })},
		{name: "grant under an old notice", Event: with(grantAt(3, 3, mail), func(e *consent.Event) { e.Notice.Version = "2" })},
		{name: "grant under a newer notice", Event: with(grantAt(2, 2, mail), func(e *consent.Event) { e.Notice.Version = "4" })},
		{name: "grant of the parent alone", Event: grantAt(2, 2, parent)},
		{name: "grant of the parent and its children, first", Event: with(grantAt(1, 1, parent), func(e *consent.Event) { e.Children = true })},
		{name: "grant of the parent and its children, under a newer notice", Event: with(grantAt(2, 2, parent), func(e *consent.Event) { e.Children, e.Notice.Version = true, "4" })},
		{name: "grant of both", Event: with(grantAt(2, 3, parent, mail), func(e *consent.Event) { e.Children = true })},
		{name: "grant of something else", Event: grantAt(3, 3, elsewhere)},

		{name: "withdraw, first", Event: noAt(consent.Withdraw, 1, mail)},
		{name: "withdraw by a slow clock", Event: with(noAt(consent.Withdraw, 2, mail), func(e *consent.Event) { e.Asserted = at(e.Received - consent.Skew) })},
		{name: "withdraw by a slower clock", Event: with(noAt(consent.Withdraw, 2, mail), func(e *consent.Event) { e.Asserted = at(e.Received - consent.Skew - 1) })},
		{name: "withdraw by a fast clock", Event: with(noAt(consent.Withdraw, 1, mail), assertedAt(3))},
		{name: "withdraw something else", Event: noAt(consent.Withdraw, 3, elsewhere, elsewhere+".web")},
		{name: "opt out of all, and of this", Event: noAt(consent.OptOut, 2, "*", mail)},
		{name: "object to all", Event: noAt(consent.Object, 2)},
		{name: "invalidate all", Event: noAt(consent.Invalidate, 3)},
		{name: "restrict again, in vain limited", Event: noAt(consent.Restrict, 2, elsewhere)},
		{name: "lift, sent late", Event: with(noAt(consent.LiftRestriction, 3), assertedAt(1))},
		{name: "lift, stated just before", Event: with(noAt(consent.LiftRestriction, 2), func(e *consent.Event) { e.Asserted, e.Received = at(e.Received-1), e.Received+1 })},
		{name: "lift of no stated time", Event: noAt(consent.LiftRestriction, 3)},
		{name: "lift for one purpose", Event: with(noAt(consent.LiftRestriction, 3, mail), assertedAt(3))},
		{name: "erase the parent", Event: noAt(consent.Erase, 1, parent)},
		{name: "malformed, first", Event: consent.Event{Received: hour(1), Malformed: consent.FaultSyntax}},
		{name: "malformed, last", Event: consent.Event{Received: hour(3), Malformed: consent.FaultNull}},
		{name: "request", Event: noAt(consent.Request, 1, mail)},
		{name: "seen", Event: with(noAt(consent.Attributes, 3), func(e *consent.Event) { e.Attributes.LastInteraction = at(hour(2) + 1) })},
		{name: "seen, stated earlier", Event: with(noAt(consent.Attributes, 2), func(e *consent.Event) { e.Attributes.LastInteraction = at(hour(5)) })},
	}
	for i := range letters {
		letters[i].place(i)
	}
	return letters
}

func grantAt(asserted, received int64, purposes ...string) consent.Event {
	return with(grantOf(hour(asserted), purposes...), func(e *consent.Event) { e.Received = hour(received) })
}

func noAt(a consent.Action, received int64, purposes ...string) consent.Event {
	return consent.Event{Action: a, Received: hour(received), Purposes: purposes}
}

func assertedAt(n int64) func(*consent.Event) {
	return func(e *consent.Event) { e.Asserted = at(hour(n)) }
}

// place puts the letter on the topic and reads its instants: an event restricts
// from its receipt on, unless it was stated more than the skew before, and permits
// from when it was stated on, but never before it was received.
func (l *letter) place(i int) {
	l.At = consent.Position{Partition: int32(i % 3), Offset: int64(i)}
	l.no, l.yes, l.keys = l.Received, l.Received, l.Purposes
	if l.Asserted.Set && l.Asserted.Ms < l.Received-consent.Skew {
		l.no = l.Asserted.Ms
	}
	if l.Asserted.Set && l.Asserted.Ms < l.Received {
		l.yes = l.Asserted.Ms
	}
	if l.Action.Restrictive() && len(l.Purposes) == 0 || l.Action == consent.Restrict {
		l.keys = []string{"*"}
	}
}

// kind is a purpose and moment a record's time and that of its decision.
type kind struct {
	basis                           Basis
	id                              string
	marketing, processing, survives bool
	maxAge, maxInactivity, retained int64
}

type moment struct{ event, now int64 }

// situation is what a letter is heard in.
type situation struct {
	kind
	moment
	p *Purpose
}

func situations() (list []situation) {
	var kinds []kind
	for b := Consent; b <= LegitimateInterests; b++ {
		kinds = append(kinds, kind{basis: b, id: mail}, kind{basis: b, id: mail, processing: true}, kind{basis: b, id: mail, marketing: true})
	}
	kinds = append(kinds,
		kind{basis: Consent, id: mail, survives: true},
		kind{basis: LegalObligation, id: mail, survives: true},
		kind{basis: Consent, id: mail, maxAge: hour(2) - hour(0)},
		kind{basis: Consent, id: mail, maxInactivity: hour(1) - hour(0)},
		kind{basis: PublicTask, id: mail, retained: hour(2) - hour(0)},
		kind{basis: Consent, id: parent},
		kind{basis: LegitimateInterests, id: parent},
	)
	moments := []moment{
		{hour(1), hour(3) - 1}, {hour(1), hour(3)}, {hour(1) + 1, hour(3)}, {hour(2), hour(3)},
		{hour(2), hour(4)}, {hour(3), hour(4)}, {hour(6), hour(4)},
	}
	for _, k := range kinds {
		p := k.purpose()
		for _, m := range moments {
			list = append(list, situation{k, m, p})
		}
	}
	return list
}

func (k *kind) purpose() *Purpose {
	return &Purpose{
		ID: k.id, Basis: k.basis, DirectMarketing: k.marketing, ProcessingOnly: k.processing, SurvivesRestriction: k.survives,
		MaxAge: k.maxAge, MaxInactivity: k.maxInactivity, Retention: k.retained,
		Recipients: []string{"mailer"}, NoticeID: "signup", NoticeMinVersion: "3",
		Treat: []Rule{{Category: "user.health_and_medical", Treatment: Treatment{Name: "keep"}, Ground: "art9_2_h"}},
	}
}
