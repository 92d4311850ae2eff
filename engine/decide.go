package engine

import (
	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/policy"
)

// Decide decides every scanned item at one moment, in their order, splices what
// is permitted, and hands each item over with its Result as soon as it is decided
// or, if it was faulted, in its place. One in StateNeedsSchema is passed over. It
// starts over at each call: nothing of an
// earlier one stays, and what an earlier one wrote is void.
//
// An error ends it and says that nothing that it has handed over counts:
// ErrInconsistentCut, ErrBatchTooLarge, an error of st, or one of each.
func (b *Batch) Decide(st States, m Moment, each func(*Item) error) error {
	b.arena.reset()
	b.undecide()
	if st.Len() != len(b.tags) {
		return ErrInconsistentCut
	}
	for _, it := range b.items[:b.n] {
		if err := b.decideNext(it, st, m, each); err != nil {
			b.undecide()
			return err
		}
	}
	return nil
}

// decideNext decides one item and hands it over.
func (b *Batch) decideNext(it *Item, st States, m Moment, each func(*Item) error) error {
	b.current = it
	it.Result = &b.result
	it.begin(it.Offset)
	if it.State == StateScanned {
		if err := b.decideItem(it, st, m); err != nil {
			return err
		}
		if b.tooLarge() {
			return ErrBatchTooLarge
		}
	}
	switch it.State {
	case StateDecided:
	case StateFaulted:
		it.quarantine()
	default:
		it.Result = nil // it waits for its schema
		return nil
	}
	err := each(it)
	it.Result = nil
	return err
}

// undecide puts every item back to where its scan left it.
func (b *Batch) undecide() {
	for _, it := range b.items[:b.n] {
		it.Result = nil
		if it.work.scanned && !it.work.failed {
			it.State, it.Fault = StateScanned, nil
		}
	}
}

// decideItem fills the Result of an item; its state is StateDecided or
// StateFaulted afterwards.
func (b *Batch) decideItem(it *Item, st States, m Moment) error {
	rows, cut, err := b.rowsOf(it, st, m)
	if err != nil {
		return err
	}
	s := it.Lane.Stream
	it.Audit.Kind = audit.LeafRecord
	it.Audit.Cut = cut
	it.Audit.Subjects = append(it.Audit.Subjects, b.subjectOf(it))
	facts := it.facts(m.Now)
	if f := b.retape(it); f != nil {
		it.fault(f)
		return nil
	}
	b.bind(it)
	for i := range s.purposes {
		b.decidePurpose(it, i, rows, &facts, m.Now)
	}
	it.State = StateDecided
	return nil
}

// bind tells the stream's treatments whose record they are given.
func (b *Batch) bind(it *Item) {
	s := &it.Lane.Stream.subject
	if s.Clear(); it.work.resolved {
		s.Set(b.tags[it.work.tag][:])
	}
}

// subjectOf is what the audit says of the subject.
func (b *Batch) subjectOf(it *Item) audit.Subject {
	s := audit.Subject{Name: it.Lane.Stream.wiring.Subject.Name, Resolved: it.work.resolved}
	if s.Resolved {
		s.Tag[0] = audit.TagEpochKey
		copy(s.Tag[1:], b.audTags[it.work.tag][:])
	}
	return s
}

// rowsOf gives the subject's rows, and the cut where it is above the fence.
func (b *Batch) rowsOf(it *Item, st States, m Moment) (rows []*consent.Row, cut []int64, err error) {
	if it.work.tag < 0 {
		return nil, nil, nil
	}
	if len(m.Fence) == 0 {
		return nil, nil, ErrInconsistentCut // nobody took a fence: a row that is missing says nothing
	}
	row, v, err := st.State(int(it.work.tag))
	if err != nil {
		return nil, nil, err
	}
	if !v.Covers(m.Fence) {
		return nil, nil, ErrInconsistentCut
	}
	if row == nil {
		return nil, nil, nil
	}
	if !v.Holds(row) {
		return nil, nil, ErrInconsistentCut
	}
	if !m.Fence.Holds(row) {
		cut = v
	}
	b.rows[0] = row
	return b.rows[:], cut, nil
}

// facts are what the record brings (DECISION D20). Where no event time is wired
// the record's own timestamp is the event time and none is missing; so it is
// for a tombstone, which holds none.
func (it *Item) facts(now int64) policy.Facts {
	f := policy.Facts{Unresolved: !it.work.resolved, EventTime: min(it.Timestamp, now)}
	if it.work.tombstone || it.Lane.Stream.wiring.EventTime.Path == "" {
		f.Suspect = it.Timestamp > now
		return f
	}
	if !it.work.timeSet || it.work.timeMs > f.EventTime {
		f.Suspect = true
		return f
	}
	f.EventTime = it.work.timeMs
	return f
}

// decidePurpose decides purpose i and, on a permit, writes its output. Where a
// treatment cannot take the value that is there, this purpose is denied, not
// the record: whether another purpose's output exists must not depend on what
// this one does with a field (promise P6).
func (b *Batch) decidePurpose(it *Item, i int, rows []*consent.Row, facts *policy.Facts, now int64) {
	sp := &it.Lane.Stream.purposes[i]
	policy.Decide(sp.purpose, rows, facts, now, &b.dec)
	if it.work.tombstone {
		sp.key.tombstone(it, &b.dec)
	} else if it.work.plan.views[i].projection.Empty() && b.dec.Permit {
		refuse(&b.dec, policy.PolicyUndefined)
	}
	var out *audit.Output
	withheld := 0
	if b.dec.Permit {
		if out, withheld = b.emit(it, i, facts, now); out == nil {
			refuse(&b.dec, policy.InputMalformed)
		}
	}
	d := it.addDecision()
	fillDecision(d, sp.purpose, &b.dec)
	d.Withheld, d.Output = int32(withheld), out
	if it.work.plan != nil {
		d.Plan = it.work.plan.views[i].digest
	}
}

// refuse turns a permit into a denial; marks such as EVENT_TIME_SUSPECT stay.
func refuse(d *policy.Decision, r policy.Reason) {
	*d = policy.Decision{Reason: r, Secondary: d.Secondary}
}

// addDecision reuses the memory of an earlier batch's decision.
func (it *Item) addDecision() *audit.Decision {
	ds := it.Audit.Decisions
	if len(ds) < cap(ds) {
		ds = ds[:len(ds)+1]
	} else {
		ds = append(ds, audit.Decision{})
	}
	it.Audit.Decisions = ds
	d := &ds[len(ds)-1]
	*d = audit.Decision{Secondary: d.Secondary[:0]}
	return d
}

func fillDecision(d *audit.Decision, p *policy.Purpose, dec *policy.Decision) {
	d.Purpose, d.Basis = p.ID, p.Basis.String()
	d.Permit, d.Reason = dec.Permit, string(dec.Reason)
	for _, r := range dec.Secondary {
		d.Secondary = append(d.Secondary, string(r))
	}
	d.HasCited, d.CitedPartition, d.CitedOffset = dec.HasCited, dec.Cited.Partition, dec.Cited.Offset
	d.Gates = int32(dec.Gates)
}
