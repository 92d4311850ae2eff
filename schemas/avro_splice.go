package schemas

import (
	"encoding/binary"
	"math"
	"slices"
)

// Steps only: a run of dropped scalars, one dropped container; a run of kept
// scalars.
const (
	stepSkip planOp = planUnion + 1 + iota
	stepSkipTree
	stepCopy
)

// avroStep is an avroPlan made ready to run. Neighbours that are scalars and
// are all kept, or all dropped, are one step of n entries.
type avroStep struct {
	op     planOp
	always bool
	n      uint32
	branch int16
	null   int16
	gate   uint32
	gates  uint32
	node   NodeID
	stride NodeID // of an array's variants; 0: none
	typ    Type
	via    Transform
	kids   []avroStep // of a record without those left out, else as of the plan
	syms   [][]byte   // of a derived Enum
}

// compileStep makes plan ready to run.
func compileStep(plan *avroPlan) avroStep {
	s := avroStep{op: plan.op, always: plan.always, n: 1, gate: plan.gate, gates: plan.gates,
		node: plan.node, typ: plan.typ, via: plan.via, branch: int16(plan.branch), null: int16(plan.null)}
	for _, sym := range plan.typ.Symbols {
		s.syms = append(s.syms, []byte(sym))
	}
	if v := plan.pos.variants; v != nil {
		s.stride = v.stride
	}
	single := plan.pos.scalar || plan.pos.typ.Kind == Opaque
	switch {
	case plan.op == planDrop && single:
		s.op = stepSkip
	case plan.op == planDrop:
		s.op = stepSkipTree
	case plan.op == planKeep && single:
		s.op = stepCopy
	case plan.op == planRecord:
		s.kids = compileFields(plan.kids)
	case plan.op == planArray || plan.op == planMap || plan.op == planUnion:
		s.kids = make([]avroStep, len(plan.kids))
		for i := range plan.kids {
			s.kids[i] = compileStep(&plan.kids[i])
		}
	}
	return s
}

// compileFields makes the steps of a record.
func compileFields(kids []avroPlan) []avroStep {
	var out []avroStep
	for i := range kids {
		s := compileStep(&kids[i])
		if k := len(out) - 1; k >= 0 && out[k].op == s.op && (s.op == stepSkip || s.op == stepCopy) {
			out[k].n++
			continue
		}
		out = append(out, s)
	}
	return out
}

// avroSplicer writes one record. Kept spans wait in from:to, so that spans that
// touch are copied together.
type avroSplicer struct {
	layout   *avroLayout
	dst, src []byte
	ents     []Entry
	from, to uint32
	gates    uint32
	text     []byte
	keys     *mapKeys
	node     NodeID // where a treatment failed
	most     int    // largest len(dst)
	large    bool   // it was not enough
	withheld int    // within texts that hold JSON
}

// Splice implements Projection.
func (p *avroProjection) Splice(dst, src []byte, tape *Tape, gates uint32) ([]byte, int, error) {
	if p.Empty() {
		return dst, 0, nil
	}
	if len(tape.At) != len(p.layout.nodes) || len(tape.Entries) == 0 {
		return dst, 0, &Fault{Code: CodePanic} // not a tape of this layout
	}
	s := avroSplicer{layout: p.layout, dst: slices.Grow(dst, len(src)), src: src, ents: tape.Entries,
		gates: gates, text: tape.scratch.avro.text, keys: &tape.scratch.avro.keys, most: len(dst) + outputLimit(len(src))}
	s.keys.reset()
	ok := s.position(&p.root, 0)
	tape.scratch.avro.text = s.text[:0]
	if s.large {
		return dst, 0, &Fault{Code: CodeTooLarge, Path: p.layout.nodes[s.node].Path}
	}
	if !ok {
		return dst, 0, &Fault{Code: CodeTreatmentFailed, Path: p.layout.nodes[s.node].Path}
	}
	s.flush()
	return s.dst, s.withheld, nil
}

// keep appends src[from:to] to what is to be copied.
func (s *avroSplicer) keep(from, to uint32) {
	if from == s.to {
		s.to = to
		return
	}
	s.flush()
	s.from, s.to = from, to
}

func (s *avroSplicer) flush() {
	if s.from < s.to {
		s.dst = append(s.dst, s.src[s.from:s.to]...)
		s.from = s.to
	}
}

// record runs steps over the entries that begin at j. The order of the steps is
// that of the schema, so each finds its entry after the one before.
func (s *avroSplicer) record(steps []avroStep, j uint32) bool {
	for k := range steps {
		step := &steps[k]
		switch step.op {
		case stepSkip:
			j += step.n
		case stepCopy:
			s.keep(s.ents[j].Start, s.ents[j+step.n-1].End)
			j += step.n
		default:
			next := s.ents[j].Next
			if !s.position(step, j) {
				return false
			}
			j = next
		}
	}
	return true
}

// position runs one step over entry j. It is false where a treatment failed.
func (s *avroSplicer) position(step *avroStep, j uint32) bool {
	e := &s.ents[j]
	switch step.op {
	case stepSkipTree:
		return true
	case planKeep, stepCopy:
		s.keep(e.Start, e.End)
		return true
	case planWrap, planGated:
		return s.wrap(step, e)
	case planReplace:
		if e.Kind == Null {
			return s.null(step)
		}
		return s.apply(step, e)
	case planConst:
		return s.apply(step, nil)
	case planRecord, planArray, planMap, planUnion:
		if e.Kind == Null || !step.always && step.gates&s.gates == 0 {
			return s.null(step)
		}
		return s.rebuild(step, j)
	}
	return s.null(step)
}

// rebuild writes a container that is there.
func (s *avroSplicer) rebuild(step *avroStep, j uint32) bool {
	s.prefix(step)
	switch step.op {
	case planArray, planMap:
		return s.items(step, j)
	case planUnion:
		return s.position(&step.kids[s.ents[j].NameEnd], j+1)
	}
	return s.record(step.kids, j+1)
}

// wrap writes a value that is kept, unless its gate is closed.
func (s *avroSplicer) wrap(step *avroStep, e *Entry) bool {
	if step.gate != 0 && s.gates&step.gate == 0 {
		return s.null(step)
	}
	if e.Start == e.NameStart { // the input is not nullable
		s.prefix(step)
	}
	s.keep(e.Start, e.End)
	return true
}

// fits reports whether the output has not become too large at step.
func (s *avroSplicer) fits(step *avroStep) bool {
	if len(s.dst) > s.most {
		s.node, s.large = step.node, true
	}
	return !s.large
}

// items writes the array or map at j, as one block if there is anything in it.
func (s *avroSplicer) items(step *avroStep, j uint32) bool {
	if n := s.ents[j].NameEnd; n > 0 {
		s.dst = appendLong(s.dst, int64(n))
		if ok := step.op == planArray && s.array(step, j) || step.op == planMap && s.mapping(step, j); !ok {
			return false
		}
		s.flush()
	}
	s.dst = append(s.dst, 0)
	return true
}

// array writes the elements of the array at j.
func (s *avroSplicer) array(step *avroStep, j uint32) bool {
	end := s.ents[j].Next
	for k := j + 1; k < end; k = s.ents[k].Next {
		variant := NodeID(0)
		if step.stride > 0 {
			variant = (s.ents[k].Node - step.kids[0].node) / step.stride
		}
		if !s.position(&step.kids[variant], k) || !s.fits(step) {
			return false
		}
	}
	return true
}

// mapping writes the entries of the map at j. Keys that a treatment
// makes the same fail it: one entry would hide another.
func (s *avroSplicer) mapping(step *avroStep, j uint32) bool {
	end := s.ents[j].Next
	key, keys := &step.kids[0], s.keys.open()
	for k := j + 1; k < end; k = s.ents[k+1].Next {
		if key.op != planReplace {
			s.keep(s.ents[k].Start, s.ents[k].End)
		} else {
			s.flush()
			at := len(s.dst)
			if !s.apply(key, &s.ents[k]) {
				return false
			}
			s.keys.push(at, len(s.dst))
		}
		if !s.position(&step.kids[1], k+1) || !s.fits(step) {
			return false
		}
	}
	if s.node = key.node; s.keys.twice(s.dst, keys, s.layout.seed) {
		return false
	}
	s.keys.close(keys)
	return true
}

// null writes null; it fails where the derived type has none.
func (s *avroSplicer) null(step *avroStep) bool {
	if step.null >= 0 {
		s.flush()
		s.dst = append(s.dst, byte(step.null<<1))
		return true
	}
	s.node = step.node
	return step.typ.Kind == Null
}

// prefix writes the branch number in front of a value that is not null.
func (s *avroSplicer) prefix(step *avroStep) {
	s.flush()
	if step.branch >= 0 {
		s.dst = appendLong(s.dst, int64(step.branch))
	}
}

// apply writes what the transform makes of e, or of nothing where e is nil.
func (s *avroSplicer) apply(step *avroStep, e *Entry) bool {
	if step.gate != 0 && s.gates&step.gate == 0 {
		return s.null(step)
	}
	s.node = step.node
	var in Value
	if e != nil && !s.layout.decode(&in, s.src, e) {
		return false
	}
	if n, ok := step.via.(*Nested); ok {
		return s.nested(step, n, in)
	}
	out, rest, err := step.via.Apply(s.text[:0], in)
	s.text = rest
	if err != nil {
		return false
	}
	if out.Kind == Null {
		return s.null(step)
	}
	s.prefix(step)
	return s.encode(step, out)
}

// nested writes what is kept within a text, or null where it is no such text.
func (s *avroSplicer) nested(step *avroStep, n *Nested, in Value) bool {
	out, rest, withheld, err := n.apply(s.text[:0], in, s.gates)
	s.text = rest
	s.withheld += withheld
	if err != nil {
		s.withheld++
	}
	if err != nil || out.Kind == Null {
		return s.null(step)
	}
	s.prefix(step)
	return s.encode(step, out)
}

// encode appends v as the derived type; it is false where v is not of it.
func (s *avroSplicer) encode(step *avroStep, v Value) bool {
	t := &step.typ
	if v.Kind != t.Kind {
		return false
	}
	switch v.Kind {
	case Bool:
		s.dst = append(s.dst, byte(v.Int))
		return v.Int == 0 || v.Int == 1
	case Int:
		s.dst = appendLong(s.dst, v.Int)
		return int64(int32(v.Int)) == v.Int
	case Long:
		s.dst = appendLong(s.dst, v.Int)
	case Float:
		s.dst = binary.LittleEndian.AppendUint32(s.dst, math.Float32bits(float32(v.Float)))
	case Double:
		s.dst = binary.LittleEndian.AppendUint64(s.dst, math.Float64bits(v.Float))
	case String, Bytes:
		s.dst = append(appendLong(s.dst, int64(len(v.Text))), v.Text...)
		return v.Kind == Bytes || validText(v.Text)
	case Fixed:
		s.dst = append(s.dst, v.Text...)
		return len(v.Text) == t.Size
	case Enum:
		// A text that is not the index's symbol is a treatment that set one of
		// the two only.
		s.dst = appendLong(s.dst, v.Int)
		return v.Int >= 0 && v.Int < int64(len(step.syms)) &&
			(v.Text == nil || string(v.Text) == string(step.syms[v.Int]))
	default:
		return false
	}
	return true
}
