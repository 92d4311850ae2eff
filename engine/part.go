package engine

import (
	"strings"

	"github.com/consentstream/consentstream/schemas"
)

// element is what a scan found of one unit of decision: the record or, where records
// are split, one element of it.
type element struct {
	span    schemas.Span // of the payload, where records are split
	timeSet bool
	timeMs  int64
}

// part is an element at work.
type part struct {
	element
	item    *Item
	index   int32        // its number in the record
	refs    []subjectRef // by CompiledStream.subjects
	payload []byte
	tape    *schemas.Tape
}

// note adds to an item the time and subjects of an element that was just scanned.
func (b *Batch) note(it *Item, plan *Plan, span schemas.Span, at valueAt) {
	if it.work.elements == 0 {
		it.work.firstElement, it.work.firstRef = int32(len(b.elements)), int32(len(b.refs))
	}
	it.work.elements++
	e := element{span: span}
	if header := it.Lane.Stream.wiring.EventTime.Header; header != "" {
		e.timeMs, e.timeSet = it.headerTime(header)
	} else if plan != nil {
		at.node = plan.time
		e.timeMs, e.timeSet = b.eventTime(at)
	}
	b.elements = append(b.elements, e)
	b.findSubjects(it, at)
}

// part gives element i of an item, without its tape.
func (b *Batch) part(it *Item, i int32) part {
	n := len(it.Lane.Stream.subjects)
	from := int(it.work.firstRef) + int(i)*n
	return part{element: b.elements[it.work.firstElement+i], item: it, index: i, refs: b.refs[from : from+n]}
}

// split scans the elements of a record one after the other; false where it cannot
// be split, or one of them cannot be read.
func (b *Batch) split(it *Item) bool {
	plan, s := it.work.plan, it.Lane.Stream
	var err error
	if b.spans, err = plan.split.Elements(b.spans[:0], it.work.payload, &b.piece); err != nil {
		it.fault(asFault(err))
		return false
	}
	if len(b.spans) > s.splitElements() {
		it.fault(&schemas.Fault{Code: schemas.CodeTooManyElements, Path: plan.split.Path()})
		return false
	}
	work := 0
	for _, span := range b.spans {
		payload, f := b.scanElement(plan, it.work.payload, span)
		if f != nil {
			it.fault(f)
			return false
		}
		if work += decisionWork*len(s.purposes)*len(s.subjects) + cost(it, plan, payload, &b.piece); work > maxItemWork {
			it.fault(&schemas.Fault{Code: schemas.CodeTooManyItems, Path: plan.split.Path()})
			return false
		}
		b.note(it, plan, span, valueAt{plan: plan, payload: payload, tape: &b.piece})
	}
	b.work += work
	return true
}

// scanElement puts an element on Batch.piece. A fault says where in the record.
func (b *Batch) scanElement(plan *Plan, record []byte, span schemas.Span) ([]byte, *schemas.Fault) {
	payload := record[span.Start:span.End:span.End]
	err := plan.layout.Scan(payload, &b.piece)
	if err == nil {
		return payload, nil
	}
	f := asFault(err)
	path := plan.split.Path()
	if f.Path != "" && !strings.HasPrefix(f.Path, "[") {
		path += "."
	}
	return nil, &schemas.Fault{Code: f.Code, Path: path + f.Path}
}

func (s *CompiledStream) splitElements() int {
	if s.wiring.SplitElements > 0 {
		return s.wiring.SplitElements
	}
	return DefaultSplitElements
}

// open makes a part ready for its outputs: tape and payload. What has been scanned
// once is in order, so a fault means that its bytes have changed since.
func (b *Batch) open(pt *part) (f *schemas.Fault) {
	it := pt.item
	pt.payload = it.work.payload
	if it.work.plan == nil {
		return nil
	}
	if it.work.plan.split != nil {
		pt.tape = &b.piece
		pt.payload, f = b.scanElement(it.work.plan, it.work.payload, pt.span)
		return f
	}
	pt.tape = b.tape(it)
	return b.retape(it)
}
