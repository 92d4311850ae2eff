package consent

import (
	"cmp"
	"slices"
)

// Skew is how far a source's clock may lag behind the log's before its word on
// when a restriction was stated is believed over the log's (D2), in ms.
const Skew = 5 * 60 * 1000

// timeNo is the instant at which an event restricts: its receipt, unless it was
// stated well before that (a late, older event must not overtake a newer grant). A
// slow clock never makes a withdrawal lose.
func (e *Event) timeNo() int64 {
	if !e.Asserted.Set || e.Received-e.Asserted.Ms <= Skew {
		return e.Received
	}
	return e.Asserted.Ms
}

// timeYes is the instant at which an event permits: never after its receipt, so a
// fast clock never makes a grant win.
func (e *Event) timeYes() int64 {
	if !e.Asserted.Set {
		return e.Received
	}
	return min(e.Asserted.Ms, e.Received)
}

// Fold takes the event into account. It is a join: folding any events in any
// order and any repetition gives the same row. The caller has matched the
// event's subject with the row's.
func (r *Row) Fold(e *Event) {
	r.touch(e.At)
	if e.Malformed != NoFault {
		r.Malformed = max(r.Malformed, e.Received)
		return
	}
	if e.Notice.ID != "" && r.Malformed != Infinite {
		r.Notices = insert(r.Notices, e.Notice.ID)
	}
	r.foldAttributes(e)
	switch {
	case e.Action.Restrictive():
		r.restrict(e)
	case e.Action.Permissive():
		r.permit(e)
	case e.Action == LiftRestriction:
		r.lift(e)
	case e.Action == Request:
		for _, k := range e.Purposes {
			r.slot(k).Pending = true
		}
	}
	r.bound()
}

// touch notes the event's position whether or not it changes anything, because
// whether it does depends on the order of events.
func (r *Row) touch(at Position) {
	for int(at.Partition) >= len(r.Last) {
		r.Last = append(r.Last, -1)
	}
	r.Last[at.Partition] = max(r.Last[at.Partition], at.Offset)
}

func (r *Row) restrict(e *Event) {
	f, _ := e.Action.Family()
	d := Denial{Set: true, At: e.timeNo(), Rank: e.Action.rank(), Pos: e.At, Action: e.Action}
	// A restriction concerns the whole subject, whatever it names (D12).
	if f == FamilyRestrict || len(e.Purposes) == 0 {
		r.slot("*").keep(f, d)
	} else {
		for _, k := range e.Purposes {
			r.slot(k).keep(f, d)
		}
	}
	if f == FamilyErase {
		r.forget()
	}
}

func (r *Row) permit(e *Event) {
	for _, k := range e.Purposes {
		s, y := r.slot(k), e.terms(k)
		s.Lists = max(s.Lists, y.lists())
		s.Y = Newest(s.Y, y)
	}
}

// Void says in words why a sound event permits or lifts nothing, whatever the
// policy: what it lacks or has too much. "" for all others. It never holds anything
// of the event.
func (e *Event) Void() string {
	switch {
	case e.Malformed != NoFault:
	case e.Action.Permissive() && !e.proven():
		return "without its proof it permits nothing (CONSENT_UNPROVEN): asserted_at, consent_type explicit or expressed, " +
			"a notice with id and version, evidence with method and source"
	case e.Action == LiftRestriction && !e.Asserted.Set:
		return "without asserted_at it lifts nothing"
	case e.Action == LiftRestriction && len(e.Purposes) > 0:
		return "it lifts nothing, since it names purposes: a restriction is lifted for all of them"
	}
	return ""
}

// lift needs a stated time, and is void when it names purposes (D12).
func (r *Row) lift(e *Event) {
	if !e.Asserted.Set || len(e.Purposes) > 0 {
		return
	}
	s := r.slot("*")
	s.keep(FamilyLift, Denial{Set: true, At: e.timeYes(), Pos: e.At, Action: e.Action})
	s.LSeen = max(s.LSeen, e.Received)
}

// foldAttributes takes in the facts that the event states. A last interaction
// prolongs consent, so it counts only from an attributes event (D18) and never
// beyond the receipt. Equal instants: the later birth date, the earlier
// interaction, and for jurisdictions that contradict each other none (D21, D9).
func (r *Row) foldAttributes(e *Event) {
	if r.erased() {
		return
	}
	t, a := e.timeYes(), e.Attributes
	if a.BirthDate.Set {
		r.BirthDate.join(Attribute{Set: true, T: t, N: a.BirthDate.Ms / dayMs}, later)
	}
	if a.LastInteraction.Set && e.Action == Attributes {
		r.LastInteraction.join(Attribute{Set: true, T: t, N: min(a.LastInteraction.Ms, e.Received)}, earlier)
	}
	for _, code := range [...]string{e.Jurisdiction, a.Jurisdiction} {
		if code != "" {
			r.Jurisdiction.join(Attribute{Set: true, T: t, Value: code}, agreed)
		}
	}
}

const dayMs = 24 * 60 * 60 * 1000

func later(a, b Attribute) Attribute {
	a.N = max(a.N, b.N)
	return a
}

func earlier(a, b Attribute) Attribute {
	a.N = min(a.N, b.N)
	return a
}

func agreed(a, b Attribute) Attribute {
	if a.Value != b.Value {
		a.Value = ""
	}
	return a
}

// join keeps the newer statement; equal gives what both of one instant amount to.
func (a *Attribute) join(b Attribute, equal func(a, b Attribute) Attribute) {
	switch {
	case !a.Set || a.T < b.T:
		*a = b
	case a.T == b.T:
		*a = equal(*a, b)
	}
}

// erased reports whether the person was erased as a whole. That is final: after it
// only what denies is remembered (D13).
func (r *Row) erased() bool {
	s := r.Slot("*")
	return s != nil && s.No[FamilyErase].Set
}

func (r *Row) forget() {
	if r.erased() {
		r.BirthDate, r.LastInteraction, r.Jurisdiction, r.Salt = Attribute{}, Attribute{}, Attribute{}, [16]byte{}
	}
}

func (r *Row) find(key string) (int, bool) {
	return slices.BinarySearchFunc(r.Slots, key, func(s Slot, k string) int { return cmp.Compare(s.Key, k) })
}

// slot finds or makes the slot of a key. It is valid until the next call.
func (r *Row) slot(key string) *Slot {
	i, ok := r.find(key)
	if !ok {
		r.Slots = slices.Insert(r.Slots, i, Slot{Key: key, LSeen: -Infinite})
	}
	return &r.Slots[i]
}

// keep lets the greater denial of a family stay.
func (s *Slot) keep(f Family, d Denial) {
	if old := &s.No[f]; old.Less(d) {
		*old = d
	}
}

// Less orders denials by the tuple (At, Rank, partition, offset, Action); one
// that is not Set is less than any other.
func (d Denial) Less(o Denial) bool {
	if !d.Set || !o.Set {
		return o.Set && !d.Set
	}
	return cmp.Or(cmp.Compare(d.At, o.At), cmp.Compare(d.Rank, o.Rank),
		d.Pos.compare(o.Pos), cmp.Compare(d.Action, o.Action)) < 0
}

func (p Position) compare(o Position) int {
	return cmp.Or(cmp.Compare(p.Partition, o.Partition), cmp.Compare(p.Offset, o.Offset))
}

// Before orders positions by partition, then offset.
func (p Position) Before(o Position) bool { return p.compare(o) < 0 }

// insert adds a string to an ascending list once.
func insert(list []string, s string) []string {
	i, ok := slices.BinarySearch(list, s)
	if ok {
		return list
	}
	return slices.Insert(list, i, s)
}
