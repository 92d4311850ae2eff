package consent

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestFoldIsAJoin: any order and any repetition of events gives the same row.
func TestFoldIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkJoin(t, genEvents(t, 0, 8)) })
}

// TestOverflowIsAJoin: so it is where events are about as much as a row holds;
// and no row is longer than it may be.
func TestOverflowIsAJoin(t *testing.T) {
	overflown, rows := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		events := genEvents(t, 3, 12)
		for i := range events {
			widen(t, &events[i])
		}
		row := checkJoin(t, events)
		if n := len(row.AppendTo(nil)); n > MaxRowBytes || !row.Overflown() && n > row.size() {
			t.Fatalf("a row of %d bytes, counted as %d", n, row.size())
		}
		if rows++; row.Overflown() {
			overflown++
		}
	})
	if overflown < rows/20 || overflown > rows*19/20 {
		t.Errorf("%d of %d rows were too long", overflown, rows)
	}
}

func checkJoin(t *rapid.T, events []Event) *Row {
	row := folded(events)
	again := slices.Clone(events)
	for range rapid.IntRange(0, 4).Draw(t, "repeats") {
		if len(events) > 0 {
			again = append(again, rapid.SampledFrom(events).Draw(t, "repeat"))
		}
	}
	again = rapid.Permutation(again).Draw(t, "order")
	if got, want := text(folded(again)), text(row); got != want {
		t.Fatalf("order matters:\n%s\n%s", want, got)
	}
	return row
}

// TestFoldOverDecodedMemory: rows that were written, read into used memory and
// folded on are as if folded at once. It finds lists shared between slots.
func TestFoldOverDecodedMemory(t *testing.T) {
	in := NewInterner(100)
	used := NewRow()
	rapid.Check(t, func(t *rapid.T) {
		events := genEvents(t, 0, 8)
		r := NewRow()
		for i := range events {
			r.Fold(&events[i])
			if err := used.Decode(r.AppendTo(nil), in.String); err != nil {
				t.Fatal(err)
			}
			r, used = used, r
		}
		if got, want := text(r), text(folded(events)); got != want {
			t.Fatalf("decoded and folded on:\n%s\n%s", want, got)
		}
	})
}

// TestAllOrdersOfFive is SEMANTICS 8.1: all permutations of five events, among
// them grants and withdrawals of one instant and late old ones (8.2, 8.10).
func TestAllOrdersOfFive(t *testing.T) {
	at := func(ms int64) Instant { return Instant{Set: true, Ms: ms} }
	events := []Event{
		{At: Position{0, 0}, Received: 1000, Asserted: at(900), Action: Grant, Purposes: []string{"a", "a.b"}, Recipients: []string{"m", "n"}},
		{At: Position{0, 1}, Received: 1000, Asserted: at(900), Action: Grant, Purposes: []string{"a"}, Recipients: []string{"n"}},
		{At: Position{1, 0}, Received: 900, Action: Withdraw},
		{At: Position{1, 1}, Received: 900 + 2*Skew, Asserted: at(900), Action: Refuse, Purposes: []string{"a"}},
		{At: Position{2, 7}, Received: 2000, Malformed: FaultSyntax},
	}
	want := text(folded(events))
	n := 0
	permute(events, func(order []Event) {
		if n++; text(folded(order)) != want {
			t.Errorf("order %d gives another row", n)
		}
	})
	if n != 120 {
		t.Fatalf("%d orders", n)
	}
}

func permute(events []Event, visit func([]Event)) {
	var walk func(int)
	walk = func(i int) {
		if i == len(events) {
			visit(events)
			return
		}
		for j := i; j < len(events); j++ {
			events[i], events[j] = events[j], events[i]
			walk(i + 1)
			events[i], events[j] = events[j], events[i]
		}
	}
	walk(0)
}

func TestInstants(t *testing.T) {
	at := func(ms int64) Instant { return Instant{Set: true, Ms: ms} }
	for _, c := range []struct {
		name    string
		e       Event
		no, yes int64
	}{
		{"not asserted", Event{Received: 500}, 500, 500},
		{"slow clock within the skew", Event{Received: Skew, Asserted: at(0)}, Skew, 0},
		{"stated well before", Event{Received: Skew + 1, Asserted: at(0)}, 0, 0},
		{"fast clock", Event{Received: 500, Asserted: at(900)}, 500, 500},
		{"ten years ahead", Event{Received: 500, Asserted: at(maxInstant)}, 500, 500},
	} {
		if no, yes := c.e.timeNo(), c.e.timeYes(); no != c.no || yes != c.yes {
			t.Errorf("%s: t_no %d, t_yes %d, want %d, %d", c.name, no, yes, c.no, c.yes)
		}
	}
}

func TestFoldCases(t *testing.T) {
	at := func(ms int64) Instant { return Instant{Set: true, Ms: ms} }
	for _, c := range []struct {
		name   string
		events []Event
		holds  func(*Row) bool
	}{
		{"D11 no purposes means all", []Event{{Action: Withdraw}},
			func(r *Row) bool { return r.Slot("*").No[FamilyWithdraw].Action == Withdraw && len(r.Slots) == 1 }},
		{"D12 restrict ignores purposes", []Event{{Action: Restrict, Purposes: []string{"a"}}},
			func(r *Row) bool { return r.Slot("a") == nil && r.Slot("*").No[FamilyRestrict].Set }},
		{"D12 a lift without a stated time is void", []Event{{Action: LiftRestriction}},
			func(r *Row) bool { return r.Slot("*") == nil }},
		{"D12 a lift that names purposes is void", []Event{{Action: LiftRestriction, Asserted: at(1), Purposes: []string{"a"}}},
			func(r *Row) bool { return len(r.Slots) == 0 }},
		{"D12 lift", []Event{{Action: LiftRestriction, Asserted: at(1), Received: 9}},
			func(r *Row) bool { return r.Slot("*").No[FamilyLift].At == 1 && r.Slot("*").LSeen == 9 }},
		{"D13 erase forgets, before and after", []Event{
			{Action: Attributes, Attributes: EventAttributes{BirthDate: at(0), Jurisdiction: "DE"}}, {Action: Erase},
			{Action: Attributes, Attributes: EventAttributes{LastInteraction: at(0)}}},
			func(r *Row) bool { return !r.BirthDate.Set && !r.LastInteraction.Set && !r.Jurisdiction.Set }},
		{"D13 a named erase is scoped", []Event{
			{Action: Attributes, Attributes: EventAttributes{BirthDate: at(0)}}, {Action: Erase, Purposes: []string{"a"}}},
			func(r *Row) bool { return r.BirthDate.Set && r.Slot("a").No[FamilyErase].Set && r.Slot("*") == nil }},
		{"D14 malformed", []Event{{Received: 7, Malformed: FaultSyntax, Action: Grant, Purposes: []string{"a"}}},
			func(r *Row) bool { return r.Malformed == 7 && len(r.Slots) == 0 }},
		{"D14 the receipt of a grant is its own", []Event{
			{Action: Grant, Received: 9, Asserted: at(9), Purposes: []string{"a"}}, {Action: Grant, Received: 20, Asserted: at(5), Purposes: []string{"a"}}},
			func(r *Row) bool { return r.Slot("a").Y.T == 9 && r.Slot("a").Y.Received == 9 }},
		{"D14 of one instant the last receipt", []Event{
			{Action: Grant, Received: 9, Asserted: at(9), Purposes: []string{"a"}}, {Action: Grant, Received: 20, Asserted: at(9), Purposes: []string{"a"}}},
			func(r *Row) bool { return r.Slot("a").Y.T == 9 && r.Slot("a").Y.Received == 20 }},
		{"D16 equal instants meet", []Event{
			{Action: Grant, Purposes: []string{"a"}, Recipients: []string{"m", "n"}, Expires: at(9)},
			{Action: Grant, Purposes: []string{"a"}, Recipients: []string{"n", "o"}, Children: true}},
			func(r *Row) bool {
				y := r.Slot("a").Y
				return slices.Equal(y.Recipients, []string{"n"}) && y.Expires == 9 && !y.Children
			}},
		{"D16 the newest wins whole", []Event{
			{Action: Grant, Received: 2, Purposes: []string{"a"}, Recipients: []string{"o"}},
			{Action: Grant, Received: 1, Purposes: []string{"a"}, Recipients: []string{"m", "n"}}},
			func(r *Row) bool { return slices.Equal(r.Slot("a").Y.Recipients, []string{"o"}) }},
		{"D18 only attributes prolong", []Event{{Action: Grant, Purposes: []string{"a"}, Attributes: EventAttributes{LastInteraction: at(1)}}},
			func(r *Row) bool { return !r.LastInteraction.Set }},
		{"D18 no interaction after its receipt", []Event{{Action: Attributes, Received: 5, Attributes: EventAttributes{LastInteraction: at(9)}}},
			func(r *Row) bool { return r.LastInteraction.N == 5 }},
		{"D19 a grant does not reach back", []Event{{Action: Grant, Received: 9, Purposes: []string{"a"}, Effective: at(1)}},
			func(r *Row) bool { return r.Slot("a").Y.Start == 9 && r.Slot("a").Y.Effective == 1 }},
		{"D19 renew does", []Event{{Action: Renew, Received: 9, Purposes: []string{"a"}, Effective: at(1)}},
			func(r *Row) bool { return r.Slot("a").Y.Start == 1 }},
		{"D19 covers the past", []Event{{Action: Renew, Purposes: []string{"a"}, CoversPast: true}},
			func(r *Row) bool { return r.Slot("a").Y.Start == -Infinite }},
		{"D21 equal instants: the later birth date", []Event{
			{Action: Attributes, Attributes: EventAttributes{BirthDate: at(3 * dayMs)}},
			{Action: Attributes, Attributes: EventAttributes{BirthDate: at(-2 * dayMs)}}},
			func(r *Row) bool { return r.BirthDate.N == 3 }},
		{"D9 contradictory jurisdictions are unknown", []Event{{Action: Grant, Jurisdiction: "DE"}, {Action: Grant, Jurisdiction: "FR"}},
			func(r *Row) bool { return r.Jurisdiction.Set && r.Jurisdiction.Value == "" }},
		{"request", []Event{{Action: Request, Purposes: []string{"a"}}},
			func(r *Row) bool { return r.Slot("a").Pending && !r.Slot("a").Y.Set }},
		{"opt_in grants", []Event{{Action: OptIn, Purposes: []string{"a"}, Received: 3}},
			func(r *Row) bool { return r.Slot("a").Y.Set && r.Slot("a").Y.Received == 3 }},
		{"withdraw beats refuse beats opt_out at one instant", []Event{{Action: Withdraw}, {Action: Refuse}, {Action: OptOut, At: Position{9, 9}}},
			func(r *Row) bool { return r.Slot("*").No[FamilyWithdraw].Action == Withdraw }},
		{"positions", []Event{{Action: Grant, At: Position{2, 5}}, {Action: Grant, At: Position{2, 3}}, {Action: Grant, At: Position{0, 1}}},
			func(r *Row) bool { return slices.Equal(r.Last, Vector{1, -1, 5}) }},
	} {
		permute(c.events, func(order []Event) {
			if r := folded(order); !c.holds(r) {
				t.Errorf("%s: %+v", c.name, r)
			}
		})
	}
}

// TestVoid: an event that its author may take for a permission says what it
// lacks, and the fold agrees.
func TestVoid(t *testing.T) {
	const proof = `,"asserted_at":"2026-11-01T10:00:00Z","consent_type":"expressed","notice":{"id":"n","version":"1"},"evidence":{"method":"m","source":"s"}`
	for _, c := range []struct{ members, want string }{
		{`"action":"grant","purposes":["a"]` + proof, ""},
		{`"action":"opt_in","purposes":["a"]`, "CONSENT_UNPROVEN"},
		{`"action":"renew","purposes":["a"]` + strings.Replace(proof, "expressed", "implied", 1), "CONSENT_UNPROVEN"},
		{`"action":"withdraw"`, ""},
		{`"action":"restrict","purposes":["a"]`, ""},
		{`"action":"lift_restriction","asserted_at":"2026-11-01T10:00:00Z"`, ""},
		{`"action":"lift_restriction"`, "asserted_at"},
		{`"action":"lift_restriction","asserted_at":"2026-11-01T10:00:00Z","purposes":["a"]`, "names purposes"},
		{`"action":"grant"`, ""}, // malformed, and says so elsewhere
	} {
		e := ParseUnkeyed([]byte(`{"id":"1","subject":{"namespace":"crm","value":"canary"},`+c.members+`}`), Position{}, 1_800_000_000_000, testNamespaces)
		void := e.Void()
		if (void == "") != (c.want == "") || !strings.Contains(void, c.want) || strings.Contains(void, "canary") {
			t.Errorf("%s: %q", c.members, void)
		}
		if e.Malformed != NoFault || e.Action != LiftRestriction {
			continue
		}
		row := NewRow()
		row.Fold(&e)
		if lifts := len(row.Slots) > 0; lifts != (void == "") {
			t.Errorf("%s: folded to %+v", c.members, row.Slots)
		}
	}
}
