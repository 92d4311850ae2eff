package engine

import (
	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/policy"
)

// Decide decides every scanned item at one moment, in their order, splices what
// is permitted, and passes each item with its Result to each as soon as it is
// decided; a faulted item is passed in its turn. An item in StateNeedsSchema is
// skipped. Each call starts over: what an earlier one decided and wrote is void.
//
// An error ends it and means that nothing passed to each counts. It is
// ErrInconsistentCut, ErrBatchTooLarge, an error of st, or one that each returned.
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
	it.Audit.Kind = audit.LeafRecord
	b.cut.begin(m.Fence)
	for i := range it.work.elements {
		pt := b.part(it, i)
		if f := b.open(&pt); f != nil {
			it.fault(f)
			return nil
		}
		if err := b.decidePart(&pt, st, m.Now); err != nil {
			return err
		}
	}
	var err error
	if it.Audit.Cut, err = b.cut.end(); err != nil {
		return err
	}
	it.State = StateDecided
	return nil
}

// decidePart decides each purpose for each subject of a part (DECISION D25). The
// main subject comes last: its permit writes the output, and by then it must be
// known what the others permit.
func (b *Batch) decidePart(pt *part, st States, now int64) error {
	it, s := pt.item, pt.item.Lane.Stream
	first := int32(len(it.Audit.Subjects))
	for i := range s.subjects {
		sub, ref := &s.subjects[i], pt.refs[i]
		it.Audit.Subjects = append(it.Audit.Subjects, b.subjectOf(sub.Name, ref))
		if sub.whose.Clear(); ref.tag >= 0 {
			sub.whose.Set(b.tags[ref.tag][:])
		}
	}
	base := len(it.Audit.Decisions)
	for range len(s.purposes) * len(s.subjects) {
		it.addDecision()
	}
	b.agreed = append(b.agreed[:0], make([]consents, len(s.purposes))...)
	for i := range s.subjects {
		if i == s.main {
			continue
		}
		if err := b.decideSubject(pt, st, now, i, base, first); err != nil {
			return err
		}
	}
	return b.decideSubject(pt, st, now, s.main, base, first)
}

// decideSubject decides each purpose for one subject of a part. Its decisions are
// those from base on, purpose by purpose, and in a purpose subject by subject.
func (b *Batch) decideSubject(pt *part, st States, now int64, subject, base int, first int32) error {
	rows, err := b.rowsOf(pt.refs[subject], st)
	if err != nil {
		return err
	}
	it, s := pt.item, pt.item.Lane.Stream
	facts := pt.facts(subject, now)
	for i := range s.purposes {
		sp := &s.purposes[i]
		policy.Decide(sp.purpose, rows, &facts, now, &b.dec)
		d := &it.Audit.Decisions[base+i*len(s.subjects)+subject]
		d.Element, d.Subject = pt.index, first+int32(subject)
		b.agreed[i].add(subject, &b.dec)
		if subject == s.main {
			b.conclude(pt, i, d, &facts, now)
		}
		fillDecision(d, sp.purpose, &b.dec)
		if it.work.plan != nil {
			d.Plan = it.work.plan.views[i].digest
		}
	}
	return nil
}

// subjectOf is what the audit says of a subject.
func (b *Batch) subjectOf(name string, ref subjectRef) audit.Subject {
	s := audit.Subject{Name: name, Resolved: ref.tag >= 0}
	if s.Resolved {
		s.Tag[0] = audit.TagEpochKey
		copy(s.Tag[1:], b.audTags[ref.tag][:])
	}
	return s
}

// rowsOf gives a subject's rows; they live until the next call.
func (b *Batch) rowsOf(ref subjectRef, st States) ([]*consent.Row, error) {
	if ref.tag < 0 {
		return nil, nil
	}
	if len(b.cut.fence) == 0 {
		return nil, ErrInconsistentCut // nobody took a fence: a row that is missing says nothing
	}
	row, v, err := st.State(int(ref.tag))
	if err != nil {
		return nil, err
	}
	if !b.cut.add(row, v) {
		return nil, ErrInconsistentCut
	}
	if row == nil {
		return nil, nil
	}
	b.rows[0] = row
	return b.rows[:], nil
}

// facts are what the part brings for a subject (DECISION D20). Where no event time
// is wired the record's own timestamp is the event time and none is missing; so it
// is for a tombstone, whose value holds none.
func (pt *part) facts(subject int, now int64) policy.Facts {
	it, ref := pt.item, pt.refs[subject]
	f := policy.Facts{Unresolved: ref.tag < 0, Conflict: ref.conflict, EventTime: min(it.Timestamp, now)}
	if !it.Lane.Stream.wiring.EventTime.expected(it.work.tombstone) {
		f.Suspect = it.Timestamp > now
		return f
	}
	if !pt.timeSet || pt.timeMs > f.EventTime {
		f.Suspect = true
		return f
	}
	f.EventTime = pt.timeMs
	return f
}

// conclude makes the main subject's verdict on purpose i that of the part and, on a
// permit, writes the output. Where a treatment does not take the value that is
// there, this purpose is denied and not the record: whether another purpose's output
// exists must not depend on what this one does with a field (promise P6).
func (b *Batch) conclude(pt *part, i int, d *audit.Decision, facts *policy.Facts, now int64) {
	it := pt.item
	sp := &it.Lane.Stream.purposes[i]
	if it.work.tombstone {
		sp.key.tombstone(pt, &b.dec, b.agreed[i])
	} else if it.work.plan.views[i].projection.Empty() && b.dec.Permit {
		refuse(&b.dec, policy.PolicyUndefined)
	}
	if !b.dec.Permit {
		return
	}
	out, withheld := b.emit(pt, i, facts, now)
	if out == nil {
		refuse(&b.dec, policy.InputMalformed)
	}
	d.Withheld, d.Output = int32(withheld), out
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
	secondary := d.Secondary[:0]
	*d = audit.Decision{}
	d.Secondary = secondary
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
