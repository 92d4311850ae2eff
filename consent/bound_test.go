package consent

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestBoundedRow: a row that somebody makes grow denies for good, in any order,
// however it grows.
func TestBoundedRow(t *testing.T) {
	name := func(i int) string { return fmt.Sprintf("%0128d", i) }
	purpose := func(i int) []string { return []string{fmt.Sprintf("p%d", i)} }
	wide := make([]string, maxRecipients)
	for i := range wide {
		wide[i] = name(i)
	}
	for what, event := range map[string]func(i int) Event{
		"purposes":   func(i int) Event { return Event{Action: Grant, Purposes: purpose(i)} },
		"notices":    func(i int) Event { return Event{Action: Attributes, Notice: Notice{ID: fmt.Sprint(i)}} },
		"recipients": func(i int) Event { return Event{Action: Grant, Purposes: purpose(i % 9), Recipients: wide} },
		"overrides":  func(i int) Event { return Event{Action: Grant, Purposes: purpose(i % 9), Overrides: wide} },
		"recipients once, none later": func(i int) Event {
			return Event{Action: Grant, Received: int64(i), Purposes: purpose(i % 9), Recipients: wide[:max(0, 64-i/9*64)]}
		},
		"long names": func(i int) Event {
			return Event{Action: Withdraw, Purposes: []string{"p" + name(i%250)}, Notice: Notice{ID: name(i % 250)}}
		},
	} {
		var events []Event
		for i := range MaxSlots + 5 {
			events = append(events, event(i))
			events[i].At.Offset = int64(i)
		}
		events = append(events, Event{At: Position{0, 999}, Action: Restrict, Received: 4})
		forward := folded(events)
		slices.Reverse(events)
		if a, b := text(forward), text(folded(events)); a != b {
			t.Errorf("%s: order matters:\n%.999s\n%.999s", what, a, b)
		}
		if !forward.Overflown() || len(forward.Slots) != 1 || forward.Slot("*") == nil {
			t.Errorf("%s: the row keeps %d slots, malformed %d", what, len(forward.Slots), forward.Malformed)
		}
		if err := NewRow().Decode(forward.AppendTo(nil), nil); err != nil {
			t.Error(err)
		}
	}
}

// TestRowSizeIsAnUpperBound: no row is longer than what is counted for it, also
// where every number takes its longest form.
func TestRowSizeIsAnUpperBound(t *testing.T) {
	const far, lists = math.MaxInt64, 30_000
	pos := Position{MaxPartitions - 1, far}
	r := &Row{Malformed: far, Salt: [16]byte{1}, Notices: []string{strings.Repeat("n", maxName)}}
	r.BirthDate, r.LastInteraction = Attribute{Set: true, T: far, N: far}, Attribute{Set: true, T: far, N: far}
	r.Jurisdiction = Attribute{Set: true, T: far, Value: "US-CAL"}
	for range MaxPartitions {
		r.Last = append(r.Last, far)
	}
	for i := range MaxSlots {
		s := r.slot(fmt.Sprintf("%0128d", i))
		for f := range s.No {
			s.No[f] = Denial{Set: true, At: far, Pos: pos, Action: Withdraw}
		}
		s.Y = Terms{Set: true, T: math.MinInt64, Received: -1, Pos: pos, Effective: -2, Expires: -3, Start: far}
		s.LSeen, s.Lists = far, lists
	}
	// Of the lists that each slot has seen, only their length is written.
	if n, counted := len(r.AppendTo(nil)), r.size()-MaxSlots*(lists-r.Slots[0].Y.lists()); n > counted || n < counted*3/4 {
		t.Errorf("%d bytes, counted as %d", n, counted)
	}
}

// broad is a grant of so many purposes for so many recipients of so long names.
func broad(purposes, recipients, length int) string {
	list := func(n, length int) string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf(`"p%0*d"`, length-1, i))
		}
		return "[" + strings.Join(names, ",") + "]"
	}
	return strings.Replace(minimal, `"withdraw"`, `"grant"`, 1) + `,"purposes":` + list(purposes, 20) + `,"recipients":` + list(recipients, length) + `}`
}

// TestBroadest: what people may need to say in one event is accepted, and what
// one event may say twice over fits into a row.
func TestBroadest(t *testing.T) {
	for _, c := range []struct {
		purposes, recipients, length int
		fault                        Fault
	}{
		{11, 64, 24, NoFault}, // TCF's purposes, as many vendors as an event may name
		{64, 10, 24, NoFault},
		{1, 64, 128, NoFault},
		{64, 0, 1, NoFault},
		{64, 64, 24, FaultTooBroad},
		{11, 64, 64, FaultTooBroad},
	} {
		e := ParseUnkeyed([]byte(broad(c.purposes, c.recipients, c.length)), Position{}, 5, testNamespaces)
		if e.Malformed != c.fault {
			t.Errorf("%d purposes × %d recipients of %d bytes: %q", c.purposes, c.recipients, c.length, e.Malformed)
		}
		if e.Malformed == NoFault && e.stateBytes() > maxEventState {
			t.Errorf("%d bytes of state", e.stateBytes())
		}
		again := e
		again.Purposes = nil
		for _, k := range e.Purposes {
			again.Purposes = append(again.Purposes, "q"+k[1:])
		}
		if e.Malformed == NoFault && folded([]Event{e, again}).Overflown() {
			t.Error("two events do not fit into a row")
		}
	}
}
