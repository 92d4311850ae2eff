package consent

import (
	"fmt"

	"pgregory.net/rapid"
)

// Small domains on purpose: ties and collisions are where a fold goes wrong.
var (
	genPurpose = rapid.SampledFrom([]string{"*", "a", "a.b", "a.b.c", "a.bc", "b"})
	genName    = rapid.SampledFrom([]string{"m", "n", "o", ""})
	genTime    = rapid.SampledFrom([]int64{0, 1, 1000, Skew, Skew + 1, 1000 + Skew, 1001 + Skew, maxInstant})
)

func genInstant(t *rapid.T, name string) Instant {
	return Instant{Set: rapid.Bool().Draw(t, name+" set"), Ms: genTime.Draw(t, name)}
}

// widen makes most events grants with lists of which four fill a row, so that
// whether a row overflows hangs on which of them it has seen.
func widen(t *rapid.T, e *Event) {
	if e.Malformed != NoFault || rapid.IntRange(0, 3).Draw(t, "as it is") == 0 {
		return
	}
	e.Action, e.Recipients = Grant, nil
	for i := range rapid.SampledFrom([]int{64, 60, 10, 0}).Draw(t, "recipients") {
		e.Recipients = append(e.Recipients, fmt.Sprintf("%0250d", i))
	}
	e.Purposes = rapid.SampledFrom([][]string{{"a"}, {"a.b", "b"}, {"a.b.c"}, {"a.bc", "a"}}).Draw(t, "of")
}

func genSet(t *rapid.T, name string) []string {
	var list []string
	for _, s := range rapid.SliceOfN(genName, 0, 3).Draw(t, name) {
		if s != "" {
			list = insert(list, s)
		}
	}
	return list
}

// genEvent draws any event, faultless or not, at a position of its own.
func genEvent(t *rapid.T, offset int64) Event {
	e := Event{
		At:       Position{Partition: rapid.Int32Range(0, 3).Draw(t, "partition"), Offset: offset},
		Received: genTime.Draw(t, "received"),
		Action:   Action(rapid.IntRange(int(Grant), int(Attributes)).Draw(t, "action")),
		Asserted: genInstant(t, "asserted"), Effective: genInstant(t, "effective"), Expires: genInstant(t, "expires"),
		ConsentType: ConsentType(rapid.IntRange(0, 3).Draw(t, "type")),
		Recipients:  genSet(t, "recipients"), Overrides: genSet(t, "overrides"),
		CoversPast: rapid.Bool().Draw(t, "past"), Children: rapid.Bool().Draw(t, "children"),
		Guardian:     rapid.Bool().Draw(t, "guardian"),
		Jurisdiction: rapid.SampledFrom([]string{"", "DE", "US-CA"}).Draw(t, "jurisdiction"),
	}
	if rapid.IntRange(0, 9).Draw(t, "malformed") == 0 {
		return Event{At: e.At, Received: e.Received, Malformed: FaultSyntax}
	}
	e.Notice = Notice{ID: genName.Draw(t, "notice"), Version: rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "version")}
	e.Evidence = Evidence{Method: genName.Draw(t, "method"), Source: genName.Draw(t, "source")}
	e.Attributes = EventAttributes{BirthDate: Instant{Set: rapid.Bool().Draw(t, "birth"), Ms: rapid.Int64Range(-3, 3).Draw(t, "day") * dayMs},
		LastInteraction: genInstant(t, "interaction")}
	for _, k := range rapid.SliceOfN(genPurpose, 0, 3).Draw(t, "purposes") {
		if k != "*" || e.Action.Restrictive() {
			e.Purposes = append(e.Purposes, k)
		}
	}
	return e
}

func genEvents(t *rapid.T, least, most int) []Event {
	events := make([]Event, rapid.IntRange(least, most).Draw(t, "events"))
	for i := range events {
		events[i] = genEvent(t, int64(i))
	}
	return events
}

func folded(events []Event) *Row {
	r := NewRow()
	for i := range events {
		r.Fold(&events[i])
	}
	return r
}

// text renders a row in full, so that a difference can be read.
func text(r *Row) string { return fmt.Sprintf("%+v %x", *r, r.AppendTo(nil)) }
