package engine

import (
	"errors"
	"unicode/utf8"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// ErrInconsistentCut is returned by Batch.Decide where a row was changed by a
// consent event at or above the watermark that it was read under, or where the
// watermark is below the fence: read again, then hold (DECISION D4).
var ErrInconsistentCut = errors.New("consent rows do not form a consistent cut")

// Batch holds the records of one transaction. It belongs to its Engine and its
// memory is reused from Reset to Reset.
type Batch struct {
	engine *Engine
	items  []*Item // items[:n] are in use
	n      int
	tags   []consent.Tag
	// audTags are the same subjects' tags in the audit.
	audTags []consent.Tag
	index   map[consent.Tag]int32
	arena   arena
	long    schemas.Tape // of whichever long item was scanned last (memory.go)
	longOf  *Item        // whose tape that is
	noted   int          // entries on the tapes of this batch
	work    int          // treatments that they take
	text    []byte       // scratch for text that a decision does not keep
	norm    []byte       // scratch for a normalised identifier
	piece   schemas.Tape // of the element at work, where a record is split
	spans   []schemas.Span
	// elements and refs are those of all items, one item's in a row.
	elements []element
	refs     []subjectRef
	rows     [1]*consent.Row
	cut      cut
	agreed   []consents // by purpose: what has been decided of the part at work
	dec      policy.Decision
	result   Result
	current  *Item // that Decide is at
}

// itemWork is what a scan found and every Decide starts from.
type itemWork struct {
	plan      *Plan
	scanned   bool
	failed    bool // by the caller, for good
	tombstone bool
	long      bool   // its tape is made again when it is decided
	payload   []byte // value after the frame
	// elements of Batch.elements from firstElement on, and as many times the
	// stream's subjects of Batch.refs from firstRef on, are its own.
	elements, firstElement, firstRef int32
}

// NewBatch makes an empty batch.
func (e *Engine) NewBatch() *Batch {
	return &Batch{engine: e, index: map[consent.Tag]int32{}}
}

// Reset empties b. Items, outputs and audit records of before are void.
func (b *Batch) Reset() {
	b.release()
	b.engine.turn++
	b.n, b.noted, b.work = 0, 0, 0
	b.tags, b.audTags = b.tags[:0], b.audTags[:0]
	b.elements, b.refs = b.elements[:0], b.refs[:0]
	clear(b.index)
	b.arena.trim()
	b.arena.reset()
}

// Items lists the records in the order in which they were added.
func (b *Batch) Items() []*Item { return b.items[:b.n] }

// Tags lists the tags of all subjects of the batch, each once.
func (b *Batch) Tags() []consent.Tag { return b.tags }

// Add takes a record and scans it. in's slices must stay as they are until
// Reset. The item is in StateScanned, StateNeedsSchema or StateFaulted.
func (b *Batch) Add(lane *Lane, in Input) *Item {
	if b.n == len(b.items) {
		b.items = append(b.items, &Item{})
	}
	it := b.items[b.n]
	b.n++
	it.reset(lane, in)
	b.scan(it)
	return it
}

// Rescan tries an item again whose schema has been installed or refused. It
// leaves alone what Fail has sent to quarantine.
func (b *Batch) Rescan(it *Item) {
	if it.work.failed {
		return
	}
	it.reset(it.Lane, it.Input)
	b.scan(it)
}

// Fail sends an item to quarantine for good, whatever Decide would say. When called
// while Decide hands the item over, it turns its Result into that of a quarantined
// one.
func (b *Batch) Fail(it *Item, code schemas.Code, path string) {
	it.work.failed = true
	it.fault(&schemas.Fault{Code: code, Path: path})
	if it.Result != nil {
		it.quarantine()
	}
}

// Failed reports whether Fail was called for an item.
func (b *Batch) Failed(it *Item) bool { return it.work.failed }

// Current is the item that Decide is at, or was at when it panicked.
func (b *Batch) Current() *Item { return b.current }

func (it *Item) reset(lane *Lane, in Input) {
	it.Lane, it.Input = lane, in
	it.State, it.SchemaID, it.Fault, it.Result = StateNone, 0, nil, nil
	it.work = itemWork{}
}

// begin empties a result for the next item.
func (r *Result) begin(offset int64) {
	a := &r.Audit
	r.Outputs, r.outs = r.Outputs[:0], r.outs[:0]
	subjects, decisions := a.Subjects[:0], a.Decisions[:0]
	*a = audit.Record{}
	a.Offset, a.Subjects, a.Decisions = offset, subjects, decisions
}

func (it *Item) fault(f *schemas.Fault) { it.State, it.Fault = StateFaulted, f }

// quarantine makes the result that of a faulted item.
func (it *Item) quarantine() {
	it.begin(it.Offset)
	it.Audit.Kind = audit.LeafQuarantine
	it.Audit.Reason = string(policy.InputMalformed)
	it.Audit.Detail = string(it.Fault.Code)
	it.Audit.Path = it.Fault.Path
}

// scan frames and walks the record and finds its subject and event time.
func (b *Batch) scan(it *Item) {
	s := it.Lane.Stream
	if s.wiring.RecordBytes > 0 && len(it.Key)+len(it.Value) > s.wiring.RecordBytes {
		it.fault(&schemas.Fault{Code: schemas.CodeTooLarge})
		return
	}
	switch {
	case it.Value == nil:
		it.work.tombstone = true
	case len(it.Value) == 0:
		it.fault(&schemas.Fault{Code: schemas.CodeEmptyValue})
		return
	default:
		if !b.scanValue(it, s) {
			return
		}
	}
	if s.wiring.Key.Category != "" && !utf8.Valid(it.Key) {
		it.fault(&schemas.Fault{Code: schemas.CodeBadUTF8, Path: "key"})
		return
	}
	if plan := it.work.plan; plan != nil && plan.split != nil {
		if !b.split(it) {
			return
		}
	} else {
		work := cost(it, plan, it.work.payload, &it.tape)
		if work > maxItemWork {
			it.fault(&schemas.Fault{Code: schemas.CodeTooManyItems})
			it.forgetTape()
			return
		}
		b.work += work
		b.note(it, plan, schemas.Span{}, valueAt{plan: plan, node: nowhere, payload: it.work.payload, tape: &it.tape})
		b.setAside(it)
	}
	it.work.scanned = true
	it.State = StateScanned
}

// scanValue finds the plan and fills the tape; false where the item is not
// ready for a decision.
func (b *Batch) scanValue(it *Item, s *CompiledStream) bool {
	plan, payload := s.json, it.Value
	if s.wiring.Format.Framed() {
		id, rest, f := schemas.ParseFrame(it.Value)
		if f != nil {
			it.fault(f)
			return false
		}
		known := s.plans.use(id, s.engine.turn)
		if known == nil {
			it.State, it.SchemaID = StateNeedsSchema, id
			return false
		}
		if known.plan == nil {
			it.fault(&schemas.Fault{Code: known.code})
			return false
		}
		it.SchemaID, plan, payload = id, known.plan, rest
	}
	if plan == nil {
		it.fault(&schemas.Fault{Code: schemas.CodeBadSchema})
		return false
	}
	it.work.plan, it.work.payload = plan, payload
	if plan.split != nil {
		return true
	}
	it.tape.Share(&b.long)
	if err := plan.layout.Scan(payload, &it.tape); err != nil {
		it.fault(asFault(err))
		it.forgetTape()
		return false
	}
	return true
}

// asFault keeps only what may be shown of an error.
func asFault(err error) *schemas.Fault {
	var f *schemas.Fault
	if errors.As(err, &f) {
		return f
	}
	return &schemas.Fault{Code: schemas.CodeTreatmentFailed}
}
