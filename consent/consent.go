// Package consent holds what data subjects decided: identifiers, consent events
// and the state that events fold into. It is pure: no I/O, no clock. DECISION.md
// (cited as D1-D27) is the law of what an event means.
//
// # Events
//
// Parse reads one record of the consent topic: JSON of at most MaxEventBytes,
// in the shape of DESIGN section 5. It is strict: an unknown member, a duplicate
// one, another case, a wrong type, ill-formed UTF-8, a time that is not RFC 3339
// with zone, or a topic key that does not equal `namespace:value` makes the
// event Malformed. A malformed event still denies (D14) everybody whom it names: the
// subject of its key, and whoever has a namespace and a value in one object of its
// value, wherever that stands and whatever is wrong around it; where the search has not
// seen all of it (MaxNamed, for one), the event is FaultUnsearched. Two more things are
// malformed for now, because ignoring them could hide a denial: the actions `link` and
// `unlink`, and any event with a `link` that is not null.
//
// Restrictive events (Action.Restrictive) act from the moment they are visible,
// need no evidence, and mean all purposes when they name none. Grant, renew and
// opt_in must name their purposes; blanket consent ("*") is malformed (D11).
//
// # State
//
// A Row is the state of ONE identifier. Row.Fold is a join: it only ever takes
// maxima, minima, unions and conjunctions, so events in any order and any
// repetition give the same row. Rows are never merged; several identifiers of
// one person are decided together (package policy).
//
// A row is bounded by MaxSlots, MaxNotices and, for its encoding, MaxRowBytes.
// Beyond that it denies for good, like a malformed event that nothing clears,
// and keeps only what concerns the whole subject. The bound counts the longest
// lists that each slot has ever had, not those of the grant that won, so that it
// does not depend on the order of events either. Parse refuses an event that alone
// would take half of a row: its purposes times recipients, overrides and notice.
//
// Every instant is a count of milliseconds since 1970-01-01T00:00:00Z.
//
// # Encoding of a row
//
// Row.AppendTo writes, and Row.Decode reads, one canonical form: equal rows have
// equal bytes, and Decode refuses every other spelling. Integers are LEB128 as
// in encoding/binary ("u" unsigned, "z" zigzag), shortest form only; a string is
// its length (u) and its bytes; a delta is z of the wrapped difference.
//
//	row      1 version (2) | 1 flags | [z malformed] | [birth date] | [last interaction]
//	         | [jurisdiction] | [16 salt] | list of slot | list of string notice ids
//	         | list of edge | list of (u partition, u offset) last
//	         flags, from bit 0: malformed, birth date, last interaction,
//	         jurisdiction, salt; lists start with their length (u)
//	instant  (birth date: z T, z days; last interaction: z T, z ms; jurisdiction: z T, string)
//	slot     string key | 1 families (bit f = Family f; bit 7 = terms) | 1 flags
//	         (bit 0 pending, 1 lseen, 2 longer) | denial of each family set, ascending
//	         | [terms] | [z lseen] | [u longer: by how many bytes Slot.Lists exceeds
//	         the lists and notice of the terms]
//	denial   z at | 1 action | u partition | u offset
//	terms    1 flags (bit 0 explicit, 1 children, 2 guardian, 3 proven, 4 expires,
//	         5 covers the past, 6 covers all of its effective time) | z T | delta received
//	         to T | u partition | u offset | delta effective to T | [delta expires to T] | [delta start to
//	         effective] | list of string recipients | overrides | string notice id | version
//	edge     16 tag | 1 kinds | z link no | z link yes | z unlink no | z unlink yes
//
// Slots, notices, recipients, overrides and edges are strictly ascending; last
// lists the partitions that have an offset. Edges and salt are written and read,
// but nothing folds into them yet (D8, AUDIT A10): the format need not change
// for them. Record signals have no memory in a row (D22).
package consent

import (
	"fmt"

	"github.com/consentstream/consentstream/internal/personal"
)

// Identifier names a person in one namespace. Value is normalised by the
// namespace's rule (Namespaces.Normalize) before anything is derived from it.
type Identifier struct {
	Namespace string
	Value     personal.String
}

// Tag stands for an identifier outside this process: 16 bytes of
// HMAC-SHA-256 under a key of the tag use, over length-prefixed (namespace, value).
type Tag [16]byte

// Position is a place in the consent topic.
type Position struct {
	Partition int32
	Offset    int64
}

// Vector holds the next offset of each consent partition: everything below it has
// been taken into account.
type Vector []int64

// Action is what a consent event does. The zero Action is invalid.
type Action uint8

// The actions of a consent event (DESIGN section 5).
const (
	NoAction Action = iota
	Grant
	Renew
	Refuse
	Withdraw
	Object
	OptOut
	OptIn
	Restrict
	LiftRestriction
	LimitSensitive
	Erase
	Link
	Unlink
	Invalidate
	Request
	Attributes
)

// Family is a kind of slot that a restrictive or lifting event fills.
type Family uint8

// The families of DECISION.md (W O I E R S L).
const (
	FamilyWithdraw Family = iota
	FamilyObject
	FamilyInvalidate
	FamilyErase
	FamilyRestrict
	FamilySensitive
	FamilyLift
	Families // their number
)

// Denial is the winning event of one family of one slot. The greater tuple
// (At, Rank, Pos.Partition, Pos.Offset, Action) stays. The zero Set means none.
type Denial struct {
	At     int64 // t_no (t_yes for FamilyLift), ms
	Pos    Position
	Rank   uint8 // among equal instants: opt_out 0, refuse 1, withdraw 2; others 0
	Action Action
	Set    bool
}

// Terms are what the winning grant says (DECISION.md, terms).
type Terms struct {
	Set bool
	T   int64 // t_yes, ms
	// Received is when the grant reached the log, ms; of several grants of one
	// instant T, the newest receipt. Together they are faultless only if each of
	// them is, so the one received last is too (D14).
	Received   int64
	Key        string
	Pos        Position
	Effective  int64
	Expires    int64 // Infinite: none
	Start      int64 // earliest event time covered; -Infinite: covers the past
	Explicit   bool
	Children   bool
	Guardian   bool
	Proven     bool
	Recipients []string // sorted, unique
	Overrides  []string // sorted, unique
	NoticeID   string
	NoticeVer  string
}

// Infinite is INF of DECISION.md; -Infinite is its negation.
const Infinite = int64(1)<<62 - 1

// Slot is the state of one purpose id, or of "*".
type Slot struct {
	Key     string
	No      [Families]Denial
	Y       Terms
	LSeen   int64 // newest receipt of a lift (slot "*"); -Infinite: none
	Pending bool  // a request was seen
	// Lists is what the longest lists and notice of any grant of this slot take
	// in a row's encoding, in bytes: see MaxRowBytes.
	Lists int
}

// Attribute is a per-identifier fact from an event; the newest statement wins.
type Attribute struct {
	Set bool
	T   int64 // instant of the statement (t_yes), ms
	// N is the value of a number: a birth date in days since 1970-01-01, a last
	// interaction in ms.
	N int64
	// Value is the value of a text: a jurisdiction. An empty jurisdiction that
	// is Set means contradictory statements of one instant: unknown, so that
	// all regimes apply (D9).
	Value string
}

// Format implements fmt.Formatter: a birth date is personal, however a row is
// printed (promise P8).
func (a Attribute) Format(s fmt.State, verb rune) { personal.String("").Format(s, verb) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (a Attribute) MarshalText() ([]byte, error) { return personal.String("").MarshalText() }

// Edge is what was said about a link between this row's identifier and another
// (D8). Nothing folds into it yet. Instants that were never stated are -Infinite.
type Edge struct {
	Tag       Tag
	Kinds     uint8 // bits of the kinds stated
	LinkNo    int64 // newest t_no of a link: a denial edge from here on
	LinkYes   int64 // newest t_yes of a proven same_person link: a grant edge
	UnlinkNo  int64 // newest t_no of an unlink: no grant edge up to here
	UnlinkYes int64 // newest t_yes of an unlink: no denial edge below this
}

// Row is the folded state of ONE identifier. Rows are never merged. The zero
// Row is not valid: use NewRow.
type Row struct {
	// Malformed is the newest receipt of a malformed event; -Infinite: none;
	// Infinite: more was said than a row may hold (MaxSlots, MaxNotices,
	// MaxRowBytes), which denies for good.
	Malformed       int64
	Slots           []Slot   // ascending by Key
	Notices         []string // ascending, unique
	BirthDate       Attribute
	LastInteraction Attribute
	Jurisdiction    Attribute
	Salt            [16]byte // reserved (AUDIT A10); zero: none
	Edges           []Edge   // ascending by Tag
	// Last is the highest offset per consent partition that changed this row;
	// -1 where none did. It ends with the last partition that has one.
	Last Vector
}

// NewRow is the row of an identifier of which nothing is known.
func NewRow() *Row { return &Row{Malformed: -Infinite} }

// Slot returns the state of a purpose id or of "*"; nil where nothing was said.
func (r *Row) Slot(key string) *Slot {
	if i, ok := r.find(key); ok {
		return &r.Slots[i]
	}
	return nil
}
