package schemas

// NodeID numbers the positions of a Layout; the root is 0.
type NodeID int32

// Node is one position that a purpose can act on. In Avro these are all fields,
// elements, map keys, map values and union branches of the writer schema (the
// branches have the union's path). In JSON they are the paths that the wiring names,
// and all that lies below a named path belongs to it unless a longer path names it (a
// category cascades).
type Node struct {
	Path   string // "address.city", "tags[*]"; the root is ""
	Parent NodeID // -1 for the root
	Type   Type
	Leaf   bool // no other node below it
	// Repeated: below an array or a map, so a record can hold it any number of
	// times. One that only [n] adds is not.
	Repeated bool
	// Contested: of an element that more than one [n] or [key=="v"] of the wiring
	// chooses. It has no category, whatever covers its path (Avro only).
	Contested bool
	// Tags are the schema's `confluent:tags` of this position (Avro only).
	Tags []string
	// Declared are the types besides null that a JSON Schema declares here, a set;
	// 0 where it says nothing of the position, and in other formats.
	Declared uint8
}

// Layout is a compiled input shape: an Avro writer schema, or the path tree of
// a plain JSON stream. It is immutable and safe for concurrent use.
type Layout interface {
	Format() Format
	// Nodes lists all positions; Nodes()[id] is the node of id. Do not modify.
	Nodes() []Node
	// Scan walks src once, strictly (package comment), and notes in tape where
	// the nodes lie. The error is a *Fault and nothing of tape may be used then.
	Scan(src []byte, tape *Tape) error
	// Value decodes the scalar of a tape entry. scratch is used for text that
	// must be unescaped and is returned grown. ok is false for containers.
	Value(src []byte, e Entry, scratch []byte) (v Value, rest []byte, ok bool)
	// Project compiles what one purpose does with each node: acts[id] is the
	// action of node id (len(acts) == len(Nodes())). Actions of leaves decide;
	// a container stays where something below it stays. In JSON the action of a
	// container node is for the members that no longer path names: OpKeep
	// copies them (the category cascades over new members), any other drops
	// them. name is the namespace of the derived Avro schema. Errors are for
	// people who write configs.
	Project(acts []Action, name string) (Projection, error)
}

// Projection is one purpose's compiled view of a Layout: it is immutable and
// safe for concurrent use as far as its Transforms are.
type Projection interface {
	// Splice appends the purpose's record to dst: it copies the spans that are
	// kept and writes those that change. gates has bit g-1 set where gate g is
	// open. withheld counts JSON values removed because their type was not one
	// that the treatment takes; in Avro those within a text that holds JSON. On
	// error nothing of dst beyond its old length may be used; the error is a
	// *Fault.
	Splice(dst, src []byte, tape *Tape, gates uint32) (out []byte, withheld int, err error)
	// Schema is the derived schema, of Avro or JSON Schema; "" for plain JSON.
	Schema() string
	// Empty reports whether nothing of the record is left.
	Empty() bool
}

// outputLimit bounds what Splice makes of a record of n bytes. A null, a constant
// or a token may be longer than the element that it is written for, so that a
// megabyte of small elements would become hundreds. No topic takes that much,
// and a record must cost bounded memory (promise P9).
func outputLimit(n int) int { return 4*n + 1<<20 }

// Op is what an Action does. The zero Op drops.
type Op uint8

// The operations of an Action.
const (
	OpDrop    Op = iota // the position is gone, from the schema too
	OpKeep              // the input's bytes
	OpNull              // null; the position becomes nullable
	OpReplace           // what Via makes of it; null stays null
	OpConst             // what Via makes of the zero Value, whatever the input holds
)

// Action is what one purpose does with one node. The zero Action drops it.
type Action struct {
	Op  Op
	Via Transform // OpReplace and OpConst only
	// Result is the type that Via yields for the node's type, for OpReplace and OpConst.
	// Of a JSON value, Any is text or a number, whichever came.
	Result Type
	// Gate, when not 0, lets Op happen only where that gate is open; where it
	// is closed the value is null, and the derived type is nullable.
	Gate uint8
}

// Transform is a treatment at work. Apply returns the treated value, whose Text
// may lie in buf grown (returned as rest). A transform that errs yields nothing.
// Null inputs are never given to it: null stays null.
type Transform interface {
	Apply(buf []byte, v Value) (out Value, rest []byte, err error)
}

// Entry is one span of a scanned record. For a container, the entries of what
// lies in it follow, up to index Next; for a scalar Next is its own index + 1.
// Start:End is the value's encoding. Avro: of a nullable position it includes
// the branch number, of an array the block headers; JSON: Name is the span of
// the member's name with its quotes (empty in an array), and Node is -1 for a
// member that no path names in a container that one does (its "rest").
type Entry struct {
	Node      NodeID
	Kind      Kind // kind of the value that is there; Null for a null branch
	Start     uint32
	End       uint32
	NameStart uint32 // Avro: start of the value after the branch number
	NameEnd   uint32 // Avro: of a Union, the branch number; of an array or map, the number of items
	Next      uint32
}

// Tape is what one scan noted; reuse it for the next record of any layout.
type Tape struct {
	Entries []Entry
	// At[id] is the index in Entries of node id, -1 where the record does not
	// hold it; of a repeated node, of its first one. Almost where it holds only a
	// JSON member that is called as the node is except for case.
	At []int32
	// Unlisted counts JSON members that no path of the wiring covers (withheld).
	Unlisted int
	most     int // entries of a JSON record, beyond which the scan gives up; 0: all that come
	// scratch of the scanners lives here, so that a scan allocates nothing.
	scratch *scanScratch
}

// Almost stands in Tape.At for a member that is withheld, since one reader takes it
// for the node's and another does not.
const Almost = -2

// Share makes t work in the memory of with: for the many tapes of one
// goroutine, which scans and splices one record at a time.
func (t *Tape) Share(with *Tape) {
	if with.scratch == nil {
		with.scratch = new(scanScratch)
	}
	t.scratch = with.scratch
}

// Reset empties t for a layout of n nodes.
func (t *Tape) Reset(n int) {
	if t.scratch == nil {
		t.scratch = new(scanScratch)
	}
	t.Entries = t.Entries[:0]
	if cap(t.At) < n {
		t.At = make([]int32, n)
	}
	t.At = t.At[:n]
	for i := range t.At {
		t.At[i] = -1
	}
	t.Unlisted = 0
}

// Find returns the entry of node id.
func (t *Tape) Find(id NodeID) (Entry, bool) {
	if int(id) >= len(t.At) || t.At[id] < 0 {
		return Entry{}, false
	}
	return t.Entries[t.At[id]], true
}

// scanScratch is the scanners' working memory; the scanners' owner extends it.
type scanScratch struct {
	avro avroScratch
	json jsonScratch
}

// Format is a stream's declared encoding; it is never guessed.
type Format uint8

// The formats of an input stream. The zero Format is invalid.
const (
	NoFormat   Format = iota
	Avro              // Confluent-framed Avro binary
	JSON              // plain JSON, no frame
	JSONSchema        // JSON behind the same frame as Avro, with a JSON Schema
)

// Framed reports whether a value names its schema in a frame (frame.go).
func (f Format) Framed() bool { return f == Avro || f == JSONSchema }
