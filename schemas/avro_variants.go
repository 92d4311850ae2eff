package schemas

import (
	"math/bits"
	"slices"
)

// avroPaths are the wiring's paths on their way down a schema: those that may
// name something below.
type avroPaths struct {
	live []livePath
}

// livePath is a path of which path[i:] may be left for each bit i of at.
type livePath struct {
	path Path
	at   uint64
}

func (n *avroPaths) add(p Path) {
	state := livePath{path: p}
	state.set(0)
	n.live = append(n.live, state)
}

// set adds that path[i:] is left. It reports whether this may name what is here.
func (s *livePath) set(i int) (ends bool) {
	if i == len(s.path) {
		return true
	}
	s.at |= 1 << i
	return s.path[i].Kind == StepDeep && s.set(i+1) // ** chooses none
}

// steps yields the steps by which paths go on from here.
func (n *avroPaths) steps(yield func(Step) bool) {
	for _, s := range n.live {
		for at := s.at; at != 0; at &= at - 1 {
			if !yield(s.path[bits.TrailingZeros64(at)]) {
				return
			}
		}
	}
}

// next goes down one step. Every way of choosing elements goes down [*], so that
// all variants of an element have positions of the same shape.
func (n *avroPaths) next(at Step) avroPaths {
	var down avroPaths
	for _, s := range n.live {
		state := livePath{path: s.path}
		for left := s.at; left != 0; left &= left - 1 {
			i := bits.TrailingZeros64(left)
			step := s.path[i]
			switch {
			case step.Kind == StepDeep:
				state.set(i)
			case step.names(at), at.Kind == StepElements && (step.Kind == StepIndex || step.Kind == StepPredicate):
				state.set(i + 1)
			}
		}
		if state.at != 0 {
			down.live = append(down.live, state)
		}
	}
	return down
}

// avroVariants are the ways in which the wiring chooses single elements of an
// array. Variant 0 is every other element, variant i+1 is steps[i]; the nodes of
// variant i are those of the element, moved by i times stride.
type avroVariants struct {
	steps  []Step
	fields [][]int // by step: where a predicate's member is, by branch of the element; -1: nowhere
	stride NodeID
	// contested is the variant of elements that several steps choose; 0 where no
	// element can be that.
	contested int
}

// newVariants collects the variants of an array whose element is elem; nil where
// there are none. A predicate that no element can satisfy is none.
func newVariants(named avroPaths, elem *avroPos) *avroVariants {
	v := &avroVariants{}
	for s := range named.steps {
		if s.Kind != StepIndex && s.Kind != StepPredicate || slices.Contains(v.steps, s) {
			continue
		}
		fields, ok := predicateFields(s, elem)
		if !ok {
			continue
		}
		for _, o := range v.steps {
			if s.Meets(o) {
				v.contested = 1
			}
		}
		v.steps, v.fields = append(v.steps, s), append(v.fields, fields)
	}
	if len(v.steps) == 0 {
		return nil
	}
	if v.contested > 0 {
		v.contested = len(v.steps) + 1
	}
	return v
}

// predicateFields finds the member that a predicate compares: in the element, or
// in each branch of it.
func predicateFields(s Step, elem *avroPos) (fields []int, ok bool) {
	if s.Kind == StepIndex {
		return nil, true
	}
	records := elem.branches
	if elem.typ.Kind != Union {
		records = []avroPos{*elem}
	}
	for i := range records {
		at := slices.IndexFunc(records[i].fields, func(f avroPos) bool {
			return f.name == s.Name && (f.typ.Kind == String || f.typ.Kind == Enum)
		})
		fields, ok = append(fields, at), ok || at >= 0
	}
	return fields, ok
}

// choose finds the variant of element n of an array, whose entries begin at
// ents[at].
func (v *avroVariants) choose(l *avroLayout, src []byte, ents []Entry, at, n int) int {
	chosen := 0
	for i := range v.steps {
		if s := &v.steps[i]; s.Kind == StepIndex && s.Index != n || s.Kind == StepPredicate && !v.holds(i, l, src, ents, at) {
			continue
		}
		if chosen > 0 {
			return v.contested
		}
		chosen = i + 1
	}
	return chosen
}

// holds reports whether predicate i is true of an element.
func (v *avroVariants) holds(i int, l *avroLayout, src []byte, ents []Entry, at int) bool {
	field := v.fields[i][0]
	if ents[at].Kind == Union {
		field = v.fields[i][ents[at].NameEnd]
		at++
	}
	if field < 0 || ents[at].Kind != Record {
		return false
	}
	at++
	for ; field > 0; field-- {
		at = int(ents[at].Next)
	}
	e := &ents[at]
	if e.Kind == Null {
		return false
	}
	got, _, _ := l.Value(src, *e, nil)
	return string(got.Text) == v.steps[i].Value
}
