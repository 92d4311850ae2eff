package schemas

// jsonProjection is one purpose's plan. A closed gate turns what a node does
// into a null, and with it what its containers do; so there is one plan per set
// of open gates, all made at the start.
type jsonProjection struct {
	layout *jsonLayout
	gates  []uint8      // those in use, ascending; plan i has gates[k] open where bit k of i is set
	plans  [][]jsonStep // by open gates, then by node
	empty  bool
}

// jsonStep is what a plan does where the record holds a node. Nulls and
// constants are not done there: they are written with their container, in its
// tail, so that nothing tells whether the record held them (promise P6).
type jsonStep struct {
	do   jsonDo
	rest jsonDo // Record nodes: what happens to members that no longer path names; never jsonEnter
	via  Transform
	name []byte // `"name":`, nil for elements
	tail []byte // Record nodes: `"a":null,"b":1`, written behind the other members
	kind Kind   // jsonEnter: what the container must be
}

// jsonDo is what happens to a value that is there. The zero jsonDo drops it.
type jsonDo uint8

const (
	jsonDrop jsonDo = iota
	jsonCopy
	jsonReplace // as rest: withheld and counted
	jsonEnter
)

func (p *jsonProjection) Schema() string { return "" }

func (p *jsonProjection) Empty() bool { return p.empty }

func (p *jsonProjection) Splice(dst, src []byte, tape *Tape, gates uint32) (out []byte, withheld int, err error) {
	if len(tape.Entries) == 0 || len(tape.At) != len(p.layout.nodes) {
		return dst, 0, &Fault{Code: CodeSyntax} // no scan, or one that failed, or of another layout
	}
	open := 0
	for k, g := range p.gates {
		open |= int(gates>>(g-1)&1) << k
	}
	s := jsonSplice{dst: dst, src: src, tape: tape, steps: p.plans[open], most: len(dst) + outputLimit(len(src))}
	s.root()
	if len(s.dst) > s.most {
		return dst, 0, &Fault{Code: CodeTooLarge}
	}
	return s.dst, s.withheld, nil
}

// jsonSplice is one Splice call. It descends on the goroutine's stack, but only
// as deep as the layout's paths are long.
type jsonSplice struct {
	dst, src []byte
	tape     *Tape
	steps    []jsonStep
	withheld int
	most     int // len(dst) beyond which the rest is left out, and all of it void
}

// root is written whatever is in it: the record is there because it is
// permitted, not because of what it holds.
func (s *jsonSplice) root() {
	step := &s.steps[0]
	if s.tape.Entries[0].Kind == step.kind {
		s.container(step, 0)
		return
	}
	s.withheld++
	if step.kind == Array {
		s.dst = append(s.dst, "[]"...)
		return
	}
	s.dst = append(s.dst, '{')
	s.dst = append(s.dst, step.tail...)
	s.dst = append(s.dst, '}')
}

// container writes the container at an entry and reports whether anything of
// the record came to stand in it; if not, the caller takes it back.
func (s *jsonSplice) container(step *jsonStep, entry uint32) (live bool) {
	if step.kind == Array {
		s.dst = append(s.dst, '[')
		live = s.items(step, entry)
		s.dst = append(s.dst, ']')
		return live
	}
	s.dst = append(s.dst, '{')
	live = s.items(step, entry)
	if len(step.tail) > 0 {
		if live {
			s.dst = append(s.dst, ',')
		}
		s.dst = append(s.dst, step.tail...)
	}
	s.dst = append(s.dst, '}')
	return live
}

// items writes what stays of a container's members or elements, in their order.
func (s *jsonSplice) items(step *jsonStep, entry uint32) (live bool) {
	entries := s.tape.Entries
	for i, end := entry+1, entries[entry].Next; i < end && len(s.dst) <= s.most; i = entries[i].Next {
		e := &entries[i]
		mark := len(s.dst)
		if live {
			s.dst = append(s.dst, ',')
		}
		var wrote bool
		if e.Node == restNode {
			wrote = s.uncovered(step.rest, e)
		} else {
			wrote = s.item(&s.steps[e.Node], e, i)
		}
		if !wrote {
			s.dst = s.dst[:mark]
			continue
		}
		live = true
	}
	return live
}

// item writes the value of one node, or counts it where its type is the reason
// that it does not.
func (s *jsonSplice) item(step *jsonStep, e *Entry, i uint32) (wrote bool) {
	switch step.do {
	case jsonCopy:
		s.dst = append(s.dst, step.name...)
		s.dst = append(s.dst, s.src[e.Start:e.End]...)
		return true
	case jsonReplace:
		s.dst = append(s.dst, step.name...)
		wrote = s.replace(step.via, e)
	case jsonEnter:
		switch e.Kind {
		case step.kind:
			s.dst = append(s.dst, step.name...)
			return s.container(step, i)
		case Null:
			return false // a null container is as good as none
		}
	default:
		return false
	}
	if !wrote {
		s.withheld++
	}
	return wrote
}

// uncovered writes a member that no path names, below a path that is named.
func (s *jsonSplice) uncovered(do jsonDo, e *Entry) (wrote bool) {
	switch do {
	case jsonCopy:
		s.dst = append(s.dst, s.src[e.NameStart:e.NameEnd]...)
		s.dst = append(s.dst, ':')
		s.dst = append(s.dst, s.src[e.Start:e.End]...)
		return true
	case jsonReplace:
		s.withheld++ // no treatment of scalars takes the rest of an object
	}
	return false
}

// replace writes what the treatment makes of a scalar. It reports false for
// what the treatment does not take; the caller takes back what is written.
func (s *jsonSplice) replace(via Transform, e *Entry) bool {
	scratch := &s.tape.scratch.json.text
	v, rest, ok := jsonValue(s.src, e, (*scratch)[:0])
	if !ok {
		return false
	}
	if v.Kind != Null {
		var err error
		v, rest, err = via.Apply(rest, v)
		if err != nil {
			return false
		}
	}
	s.dst, ok = appendJSONValue(s.dst, v)
	*scratch = rest[:0]
	return ok
}
