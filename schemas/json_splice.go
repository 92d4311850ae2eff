package schemas

import "bytes"

// jsonProjection is one purpose's plan. A closed gate makes a node null, which also
// changes what its containers do; so there is one plan per set of open gates, all
// made at the start.
type jsonProjection struct {
	layout *jsonLayout
	gates  []uint8      // those in use, ascending; plan i has gates[k] open where bit k of i is set
	plans  [][]jsonStep // by open gates, then by node
	live   []bool       // by plan: something of the record can come to be written
	empty  bool
	acts   []Action
	fixed  [][][]byte // by plan, in two ways, and by node: what is written whatever the record holds
	schema string     // JSONSchema: the derived one
}

// jsonStep is what a plan does where the record holds a node. Nulls and
// constants are not done there: they are written with their container, in its
// tail, so that nothing tells whether the record held them (promise P6).
type jsonStep struct {
	gone          bool   // nothing ever stands here
	do            jsonDo // what happens to values that are not entered
	object, array bool   // an object, an array here is entered
	parts         bool   // one that is not entered is not copied either: paths name what lies in it
	tells         bool   // what else is written depends on which members are
	name          []byte // `"name":`, nil for what no name leads to
	via           Transform
	takes         jsonTypes // of what is copied or replaced; anyType unless a JSON Schema says
	// names is what happens to the members of an object here that no path names:
	// jsonReplace has nameVia make their names.
	names   jsonDo
	nameVia Transform
	tail    []byte // `"a":null,"b":1`, written after the other members of an object; or a record
	late    []jsonLate
}

// jsonLate is a member that ** may find something in: where it does not, member
// (`"a":null`) is written as the tail is.
type jsonLate struct {
	node   NodeID
	member []byte
}

// maxLate is how many of them fit a word.
const maxLate = 64

// jsonDo is what happens to a value that is there. The zero jsonDo drops it.
type jsonDo uint8

const (
	jsonDrop jsonDo = iota
	jsonCopy
	jsonReplace
	jsonWithhold // drop, and count it: its type is the reason
)

func (p *jsonProjection) Schema() string { return p.schema }

func (p *jsonProjection) Empty() bool { return p.empty }

func (p *jsonProjection) Splice(dst, src []byte, tape *Tape, gates uint32) (out []byte, withheld int, err error) {
	if len(tape.Entries) == 0 || len(tape.At) != len(p.layout.nodes) {
		return dst, 0, &Fault{Code: CodeSyntax} // no scan, or one that failed, or of another layout
	}
	s := jsonSplice{layout: p.layout, dst: dst, src: src, tape: tape, steps: p.plans[p.plan(gates)], gates: gates, most: len(dst) + outputLimit(len(src))}
	tape.scratch.json.names = tape.scratch.json.names[:0]
	s.root()
	switch {
	case s.collides:
		return dst, 0, &Fault{Code: CodeTreatmentFailed, Path: p.layout.nodes[s.node].Path}
	case len(s.dst) > s.most:
		return dst, 0, &Fault{Code: CodeTooLarge}
	}
	return s.dst, s.withheld, nil
}

// plan is the number of the plan for a set of open gates.
func (p *jsonProjection) plan(gates uint32) (open int) {
	for k, g := range p.gates {
		open |= int(gates>>(g-1)&1) << k
	}
	return open
}

// jsonSplice is one Splice call. It descends on the goroutine's stack as deep as
// the layout's paths are long, and where they have a ** as deep as the record,
// which maxJSONDepth bounds.
type jsonSplice struct {
	layout   *jsonLayout
	dst, src []byte
	tape     *Tape
	steps    []jsonStep
	gates    uint32
	withheld int
	most     int    // len(dst) beyond which the rest is left out, and all of it void
	collides bool   // two names became equal: all of it is void
	node     NodeID // where they did
}

// root is written whatever is in it: the record is there because it is
// permitted, not because of what it holds. An array of which nothing is written
// stands as the object that it could have been as well.
func (s *jsonSplice) root() {
	step, e, start := &s.steps[0], &s.tape.Entries[0], len(s.dst)
	switch {
	case s.layout.single:
		s.value(step, e)
		return
	case e.Kind == Record && step.object, e.Kind == Array && step.array:
		if s.container(step, 0) || e.Kind == Record || !step.object {
			return
		}
		s.dst = s.dst[:start]
	case step.do == jsonCopy && !step.parts && step.takes.has(s.src, e):
		s.dst = append(s.dst, s.src[e.Start:e.End]...)
		return
	default:
		s.withheld++
	}
	if step.array && !step.object {
		s.dst = append(s.dst, "[]"...)
		return
	}
	s.dst = append(s.dst, '{')
	s.fixed(step, false, 0)
	s.dst = append(s.dst, '}')
}

// value writes a record that is a single value: a null where nothing is to be seen of
// it, since there is no record without one.
func (s *jsonSplice) value(step *jsonStep, e *Entry) {
	start := len(s.dst)
	switch {
	case len(step.tail) > 0:
		s.dst = append(s.dst, step.tail...)
		return
	case step.do == jsonCopy && step.takes.has(s.src, e):
		s.dst = append(s.dst, s.src[e.Start:e.End]...)
		return
	case step.do == jsonReplace && step.takes.has(s.src, e) && s.replace(step.via, e):
		return
	case step.do == jsonCopy || step.do == jsonReplace:
		s.withheld++
	}
	s.dst = append(s.dst[:start], "null"...)
}

// container writes the container at an entry and reports whether anything of
// the record came to stand in it; if not, the caller takes it back.
func (s *jsonSplice) container(step *jsonStep, entry uint32) (live bool) {
	if s.tape.Entries[entry].Kind == Array {
		s.dst = append(s.dst, '[')
		live, _ = s.items(step, entry)
		s.dst = append(s.dst, ']')
		return live
	}
	s.dst = append(s.dst, '{')
	if step.names == jsonReplace {
		live = s.renamed(step, entry)
	} else {
		var wrote uint64
		live, wrote = s.items(step, entry)
		s.fixed(step, live, wrote)
	}
	s.dst = append(s.dst, '}')
	return live
}

// renamed writes the members of an object where a treatment makes names.
func (s *jsonSplice) renamed(step *jsonStep, entry uint32) (live bool) {
	names := len(s.tape.scratch.json.names)
	live, wrote := s.items(step, entry)
	behind := len(s.dst)
	s.fixed(step, live, wrote)
	if live && !s.distinct(names, behind) {
		s.collides, s.node = true, s.tape.Entries[entry].Node
	}
	s.tape.scratch.json.names = s.tape.scratch.json.names[:names]
	return live
}

// fixed writes the members that stand after the others of an object, of the
// late ones those that are not in wrote.
func (s *jsonSplice) fixed(step *jsonStep, live bool, wrote uint64) {
	if len(step.tail) > 0 {
		if live {
			s.dst = append(s.dst, ',')
		}
		s.dst = append(s.dst, step.tail...)
		live = true
	}
	for k := range step.late {
		if wrote>>k&1 != 0 {
			continue
		}
		if live {
			s.dst = append(s.dst, ',')
		}
		s.dst = append(s.dst, step.late[k].member...)
		live = true
	}
}

// items writes what stays of a container's members or elements, in their order.
// wrote has the bits of its late members that stay.
func (s *jsonSplice) items(step *jsonStep, entry uint32) (live bool, wrote uint64) {
	entries := s.tape.Entries
	for i, end := entry+1, entries[entry].Next; i < end && len(s.dst) <= s.most; i = entries[i].Next {
		e := &entries[i]
		mark := len(s.dst)
		at := mark
		if live {
			s.dst = append(s.dst, ',')
			at++
		}
		if !s.item(step, e, i) {
			s.dst = s.dst[:mark]
			continue
		}
		live = true
		if step.tells {
			wrote |= s.told(step, e, at)
		}
	}
	return live, wrote
}

// told notes a member that was written at i of dst, where something else of its
// object depends on that: its bit among the late ones, its name for distinct.
func (s *jsonSplice) told(in *jsonStep, e *Entry, i int) (late uint64) {
	if in.names == jsonReplace && e.NameEnd > 0 {
		s.noteName(i)
	}
	for k := range in.late {
		if in.late[k].node == e.Node {
			late |= 1 << k
		}
	}
	return late
}

// item writes one member or element of the container of in, or counts it where
// its type is the reason that it does not.
func (s *jsonSplice) item(in *jsonStep, e *Entry, i uint32) (wrote bool) {
	if e.Node == restNode {
		if !s.unnamed(in, e) {
			return false
		}
		s.dst = append(s.dst, s.src[e.Start:e.End]...)
		return true
	}
	step := &s.steps[e.Node]
	if step.gone {
		return false
	}
	if step.name != nil {
		s.dst = append(s.dst, step.name...)
	} else if e.NameEnd > 0 && !s.unnamed(in, e) {
		return false
	}
	if step.parts && (e.Kind == Record || e.Kind == Array) {
		if e.Kind == Record && step.object || e.Kind == Array && step.array {
			return s.container(step, i)
		}
		if step.do == jsonCopy {
			return false
		}
	}
	switch takes := step.takes == anyType || step.takes.has(s.src, e); {
	case step.do == jsonCopy && takes:
		s.dst = append(s.dst, s.src[e.Start:e.End]...)
		return true
	case step.do == jsonReplace && takes && s.replace(step.via, e):
		return true
	case step.do == jsonWithhold && e.Kind == Null, step.do == jsonDrop:
		return false // a null container is as good as none
	}
	s.withheld++
	return false
}

// unnamed writes the name of a member that no path names, and the colon.
func (s *jsonSplice) unnamed(in *jsonStep, e *Entry) bool {
	switch in.names {
	case jsonCopy:
		s.keptName(e)
		s.dst = append(s.dst, ':')
		return true
	case jsonReplace:
		name := Entry{Kind: String, Start: e.NameStart, End: e.NameEnd}
		at := len(s.dst)
		if s.replace(in.nameVia, &name) && s.dst[at] == '"' {
			s.dst = append(s.dst, ':')
			return true
		}
		s.withheld++
	case jsonWithhold:
		s.withheld++
	}
	return false
}

// keptName writes a name as it is, without escapes that it does not need: of two
// elements that a predicate tells apart, a path may name the member in one only,
// and the spelling would tell which.
func (s *jsonSplice) keptName(e *Entry) {
	name := s.src[e.NameStart:e.NameEnd]
	if bytes.IndexByte(name, '\\') < 0 {
		s.dst = append(s.dst, name...)
		return
	}
	scratch := &s.tape.scratch.json.text
	v, rest, _ := jsonValue(s.src, &Entry{Kind: String, Start: e.NameStart, End: e.NameEnd}, (*scratch)[:0])
	s.dst = appendJSONString(s.dst, v.Text)
	*scratch = rest[:0]
}

// distinct reports whether no two names of an object are equal, except for case, where
// treatments have made some of them: those noted from first on, and those of the
// members that stand after them.
func (s *jsonSplice) distinct(first, behind int) bool {
	for i := behind; i >= 0; {
		var name jsonName
		if name, _, i = nextMember(s.dst, i); i >= 0 {
			s.noteName(int(name.start))
		}
	}
	_, _, found := s.tape.scratch.json.duplicates(s.dst, s.tape.scratch.json.names[first:])
	return !found
}

// noteName keeps the name at i of dst for distinct.
func (s *jsonSplice) noteName(i int) {
	scratch := &s.tape.scratch.json
	end, plain, _ := stringEnd(s.dst, i+1)
	hash := scratch.hash(s.dst[i+1:end-1], plain, s.layout.seed)
	scratch.names = append(scratch.names, jsonName{hash, uint32(i), uint32(end)})
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
		if n, ok := via.(*Nested); ok {
			return s.nested(n, rest, &v)
		}
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

// nested is replace for a text that holds JSON.
func (s *jsonSplice) nested(n *Nested, buf []byte, v *Value) (ok bool) {
	out, rest, withheld, err := n.apply(buf, *v, s.gates)
	if err != nil {
		return false
	}
	s.withheld += withheld
	s.dst, ok = appendJSONValue(s.dst, out)
	s.tape.scratch.json.text = rest[:0]
	return ok
}
