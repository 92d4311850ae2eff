package policy

import (
	"fmt"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/internal/reference"
)

// The oracle is DECISION.md's program as package reference has it, which folds
// for itself. What is here only puts events and purposes in its words.

func referenceEvents(events []consent.Event) []reference.Event {
	out := make([]reference.Event, len(events))
	for i := range events {
		e := &events[i]
		out[i] = reference.Event{
			Partition: e.At.Partition, Offset: e.At.Offset, Received: e.Received, Malformed: e.Malformed != consent.NoFault,
			Action: e.Action.String(), Purposes: e.Purposes, Asserted: ms(e.Asserted), Effective: ms(e.Effective), Expires: ms(e.Expires),
			Type: [...]string{"none", "implied", "expressed", "explicit"}[e.ConsentType], Recipients: e.Recipients,
			CoversPast: e.CoversPast, Children: e.Children, Guardian: e.Guardian, NoticeID: e.Notice.ID, NoticeVersion: e.Notice.Version,
			Method: e.Evidence.Method, Source: e.Evidence.Source, LastInteraction: ms(e.Attributes.LastInteraction),
		}
	}
	return out
}

func ms(i consent.Instant) *int64 {
	if !i.Set {
		return nil
	}
	return &i.Ms
}

func referencePurpose(p *Purpose) *reference.Purpose {
	return &reference.Purpose{
		ID: p.ID, Basis: p.Basis.String(), DirectMarketing: p.DirectMarketing, SurvivesRestriction: p.SurvivesRestriction,
		ProcessingOnly: p.ProcessingOnly, Recipients: p.Recipients, NoticeID: p.NoticeID, NoticeLeast: p.NoticeMinVersion,
		MaxAge: p.MaxAge, MaxInactivity: p.MaxInactivity, Retention: p.Retention,
	}
}

// oracle decides on the events of each identifier.
func oracle(p *Purpose, group [][]consent.Event, f Facts, now int64) reference.Verdict {
	rows := make([]*reference.Row, len(group))
	for i, events := range group {
		rows[i] = reference.Fold(referenceEvents(events))
	}
	return reference.Decide(referencePurpose(p), rows, reference.Facts(f), now)
}

// verdictText writes a verdict of the oracle as text does a Decision.
func verdictText(v reference.Verdict) string {
	cited := "none"
	if v.Cited != nil {
		cited = fmt.Sprint(*v.Cited)
	}
	return write(v.Permit, append([]string{v.Reason}, v.Secondary...), v.Explicit, cited)
}

func text(d *Decision) string {
	codes, cited := []string{string(d.Reason)}, "none"
	for _, r := range d.Secondary {
		codes = append(codes, string(r))
	}
	if d.HasCited {
		cited = fmt.Sprint(d.Cited)
	}
	return write(d.Permit, codes, d.Gates&GateExplicit != 0, cited)
}

func write(permit bool, codes []string, gate bool, cited string) string {
	verb := map[bool]string{true: "permit", false: "deny"}[permit]
	return fmt.Sprint(verb, codes, " explicit ", gate, " cites ", cited)
}
