// Package consent: subjects, events and state. (Specification to be written by
// its owner: fold is a join; see DECISION.md.)
package consent

import "github.com/consentstream/consentstream/internal/personal"

// Identifier names a person in one namespace. Value is normalised by the
// namespace's rule (NamespaceRule.Normalize) before anything is derived from it.
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

// Vector holds the next offset of each consent partition: everything below is
// taken into account.
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
	Set    bool
	At     int64 // t_no (t_yes for FamilyLift), ms
	Rank   uint8
	Pos    Position
	Action Action
}

// Terms are what the winning grant says (DECISION.md, terms).
type Terms struct {
	Set        bool
	T          int64 // t_yes, ms
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
	Seen    int64 // newest receipt of a grant; -Infinite: none
	LSeen   int64 // newest receipt of a lift (slot "*"); -Infinite: none
	Pending bool  // a request was seen
}

// Attribute is a per-identifier fact from an attributes event; newest wins.
type Attribute struct {
	Set   bool
	T     int64
	Value string
}

// Row is the folded state of ONE identifier. Rows are never merged. The zero
// Row is not valid: use NewRow.
type Row struct {
	Malformed       int64 // newest receipt of a malformed event; -Infinite: none
	Slots           []Slot
	Notices         []string // sorted, unique
	BirthDate       Attribute
	LastInteraction Attribute
	Jurisdiction    Attribute
	Salt            [16]byte // reserved (AUDIT A10)
	// Last is the highest offset per consent partition that changed this row;
	// -1 where none did.
	Last Vector
}
