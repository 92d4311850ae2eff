package schemas

import (
	"math"
	"slices"
)

// jsonScratch is the JSON scanner's and splicer's working memory.
type jsonScratch struct {
	frames [maxJSONDepth]jsonFrame
	names  []jsonName // members of the open objects, innermost last
	table  []uint32   // of duplicates
	ends   containerEnds
	folded []byte // one folded name
	text   []byte // text on its way through a treatment
}

// jsonFrame is an open container.
type jsonFrame struct {
	node  NodeID // the position that it is at, or the nearest above it
	entry int32  // its entry on the tape; -1 for none
	names uint32 // where its names begin in jsonScratch.names
	count uint32 // of an array whose elements paths tell apart: those before
	array bool
	inner bool // it is at node, and what lies in it may be at node's children
}

// jsonScan is one Scan call. The depth of the input is on the frames, never on
// the goroutine's stack.
type jsonScan struct {
	layout *jsonLayout
	src    []byte
	pos    int
	tape   *Tape
	depth  int // open containers

	// The value that comes next: where it is, and its name's span with quotes.
	target             NodeID
	nameStart, nameEnd uint32
}

func (l *jsonLayout) Scan(src []byte, tape *Tape) error {
	tape.Reset(len(l.nodes))
	tape.scratch.json.names = tape.scratch.json.names[:0]
	tape.scratch.json.ends.reset()
	s := jsonScan{layout: l, src: src, tape: tape}
	if code := s.document(); code != "" {
		tape.Reset(len(l.nodes)) // fail closed: half a tape is no tape
		return &Fault{Code: code, Path: s.path()}
	}
	return nil
}

func (s *jsonScan) document() Code {
	if code := s.begin(); code != "" {
		return code
	}
	most := s.tape.most
	if most == 0 {
		most = math.MaxInt
	}
	for {
		opened, code := s.value()
		if code != "" {
			return code
		}
		if len(s.tape.Entries) > most {
			return CodeTooManyItems
		}
		more := opened
		if opened {
			more, code = s.first()
		}
		for !more && code == "" && s.depth > 0 {
			more, code = s.next()
		}
		switch {
		case code != "":
			return code
		case !more:
			return s.end()
		}
	}
}

// begin looks at what can be said of a record before it is read.
func (s *jsonScan) begin() Code {
	if len(s.src) == 0 {
		return CodeEmptyValue
	}
	if len(s.src) > math.MaxInt32 {
		return CodeTooLarge // spans on the tape are 32 bits wide
	}
	s.space()
	if s.pos == len(s.src) {
		return CodeTruncated
	}
	switch c := s.src[s.pos]; {
	case s.layout.single && (c == '{' || c == '['):
		return CodeNotScalar
	case s.layout.single || c == '{' || c == '[':
		return ""
	case c == '"' || c == '-' || '0' <= c && c <= '9' || c == 't' || c == 'f' || c == 'n':
		return CodeTopLevelScalar
	}
	return CodeSyntax
}

// end wants nothing but white space after the root.
func (s *jsonScan) end() Code {
	s.space()
	if s.pos < len(s.src) {
		return CodeTrailingBytes
	}
	return ""
}

// value reads a scalar, or the bracket that opens a container.
func (s *jsonScan) value() (opened bool, code Code) {
	s.space()
	if s.pos == len(s.src) {
		return false, CodeTruncated
	}
	start := s.pos
	switch c := s.src[start]; c {
	case '{':
		return true, s.open(Record)
	case '[':
		return true, s.open(Array)
	case '"':
		s.pos, _, code = stringEnd(s.src, start+1)
		s.scalar(String, start)
	case 't':
		s.pos, code = wordEnd(s.src, start, "true")
		s.scalar(Bool, start)
	case 'f':
		s.pos, code = wordEnd(s.src, start, "false")
		s.scalar(Bool, start)
	case 'n':
		s.pos, code = wordEnd(s.src, start, "null")
		s.scalar(Null, start)
	default:
		if c != '-' && (c < '0' || c > '9') {
			return false, CodeSyntax
		}
		s.pos, code = numberEnd(s.src, start)
		s.scalar(Number, start)
	}
	return false, code
}

func (s *jsonScan) scalar(kind Kind, start int) {
	if s.target != noNode && !(s.layout.passages && s.target >= 0 && s.layout.trie[s.target].passage) {
		i := s.note(kind, start)
		s.tape.Entries[i].End = uint32(s.pos)
	}
}

// note puts the value that starts at start on the tape and returns its index. The
// entry is written where it stays, as avroScan.note has it.
func (s *jsonScan) note(kind Kind, start int) int32 {
	t := s.tape
	i := len(t.Entries)
	if s.target >= 0 && t.At[s.target] < 0 {
		t.At[s.target] = int32(i)
	}
	if i == cap(t.Entries) {
		s.grow()
	}
	t.Entries = t.Entries[:i+1]
	e := &t.Entries[i]
	e.Node, e.Kind = s.target, kind
	e.Start, e.End, e.Next = uint32(start), 0, uint32(i+1)
	e.NameStart, e.NameEnd = s.nameStart, s.nameEnd
	return int32(i)
}

// grow doubles the tape, but to no more than the rest of the record can need: a
// value takes two bytes with its comma. Growing by less each time would take five
// times the memory of the tape in all.
func (s *jsonScan) grow() {
	n := len(s.tape.Entries)
	s.tape.Entries = slices.Grow(s.tape.Entries, min(n+32, (len(s.src)-s.pos)/2+1))
}

func (s *jsonScan) open(kind Kind) Code {
	if s.depth == maxJSONDepth {
		return CodeTooDeep
	}
	scratch := &s.tape.scratch.json
	f := &scratch.frames[s.depth]
	*f = jsonFrame{entry: -1, names: uint32(len(scratch.names)), array: kind == Array}
	if s.depth > 0 {
		f.node = s.top().node
	}
	if s.target >= 0 {
		f.node = s.target
		n := &s.layout.trie[f.node]
		f.inner = kind == Record && n.objects || kind == Array && n.arrays
	}
	if s.target != noNode {
		f.entry = s.note(kind, s.pos)
	}
	s.depth++
	s.pos++
	return ""
}

func (s *jsonScan) top() *jsonFrame { return &s.tape.scratch.json.frames[s.depth-1] }

// first comes after an opening bracket: more tells whether a value follows.
func (s *jsonScan) first() (more bool, code Code) {
	s.space()
	if s.pos == len(s.src) {
		return false, CodeTruncated
	}
	if c := s.src[s.pos]; c == '}' || c == ']' {
		return false, s.close(c)
	}
	return true, s.item()
}

// next comes after a value: more tells whether another follows in the
// innermost container, which otherwise is closed.
func (s *jsonScan) next() (more bool, code Code) {
	s.space()
	if s.pos == len(s.src) {
		return false, CodeTruncated
	}
	switch c := s.src[s.pos]; c {
	case ',':
		s.pos++
		return true, s.item()
	case '}', ']':
		return false, s.close(c)
	}
	return false, CodeSyntax
}

// item gets ready for the next element, or for the next member by its name.
func (s *jsonScan) item() Code {
	f := s.top()
	s.target = noNode
	if !f.array {
		return s.name(f)
	}
	s.nameStart, s.nameEnd = 0, 0
	if f.inner {
		s.target = s.layout.element(f.node, f.count, s.src, s.pos, &s.tape.scratch.json.ends)
		f.count++
		if s.target == noNode {
			s.tape.Unlisted++
		}
	}
	return ""
}

// name reads a member's name and the colon, and says where its value is.
func (s *jsonScan) name(f *jsonFrame) Code {
	s.space()
	start := s.pos
	if start == len(s.src) {
		return CodeTruncated
	}
	if s.src[start] != '"' {
		return CodeSyntax
	}
	end, plain, code := stringEnd(s.src, start+1)
	if code != "" {
		return code
	}
	s.nameStart, s.nameEnd = uint32(start), uint32(end)
	text := s.src[start+1 : end-1]
	hash := s.tape.scratch.json.hash(text, plain, s.layout.seed)
	s.tape.scratch.json.names = append(s.tape.scratch.json.names, jsonName{hash, s.nameStart, s.nameEnd})
	if f.inner {
		var near NodeID
		if s.target, near = s.layout.member(f.node, hash, text, plain); s.target == noNode {
			s.tape.Unlisted++
		}
		if near > 0 && s.tape.At[near] < 0 {
			s.tape.At[near] = Almost
		}
	}
	s.pos = spaceEnd(s.src, end)
	switch {
	case s.pos == len(s.src):
		return CodeTruncated
	case s.src[s.pos] != ':':
		return CodeSyntax
	}
	s.pos++
	return ""
}

// equalName compares a validated JSON string with name, folded or as it is.
func equalName(text []byte, name string, fold bool) bool {
	i := 0
	for _, want := range name {
		if i == len(text) {
			return false
		}
		var r rune
		r, i = jsonRune(text, i)
		if r != want && !(fold && foldRune(r) == foldRune(want)) {
			return false
		}
	}
	return i == len(text)
}

func (s *jsonScan) close(bracket byte) Code {
	f := s.top()
	if f.array != (bracket == ']') {
		return CodeSyntax
	}
	if !f.array {
		if a, b, found := s.tape.scratch.json.duplicates(s.src, s.tape.scratch.json.names[f.names:]); found {
			s.blame(f, a, b)
			return CodeDuplicateKey
		}
		s.tape.scratch.json.names = s.tape.scratch.json.names[:f.names]
	}
	s.pos++
	s.depth--
	if f.entry >= 0 {
		e := &s.tape.Entries[f.entry]
		e.End = uint32(s.pos)
		e.Next = uint32(len(s.tape.Entries))
	}
	return ""
}

// blame makes the position of two equal names the one that the fault is at: a
// rule's where one of them is a rule's.
func (s *jsonScan) blame(f *jsonFrame, names ...jsonName) {
	s.target = noNode
	if !f.inner {
		return
	}
	for _, n := range names {
		text := s.src[n.start+1 : n.end-1]
		if at, _ := s.layout.member(f.node, n.hash, text, false); at > 0 {
			s.target = at
		}
	}
}

// path names where the scan stopped, in names of rules only.
func (s *jsonScan) path() string {
	switch {
	case s.depth == 0:
		return ""
	case s.target >= 0:
		return s.layout.nodes[s.target].Path
	}
	at := s.layout.nodes[s.top().node].Path
	if at == "" {
		return "?"
	}
	return at + ".?"
}

func (s *jsonScan) space() { s.pos = spaceEnd(s.src, s.pos) }
