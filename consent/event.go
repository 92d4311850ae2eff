package consent

import "github.com/consentstream/consentstream/internal/personal"

// Instant is a point in time in ms, or none.
type Instant struct {
	Set bool
	Ms  int64
}

// Event is one record of the consent topic, read. Where Malformed is set, only
// Named, At and Received say anything.
type Event struct {
	At       Position
	Received int64 // ms; the log append time (D2)
	// Malformed says what is wrong; NoFault: nothing.
	Malformed Fault
	// Named is whom a malformed event names, each once: nobody can tell whose event
	// it is, so it denies them all (D14).
	Named []Identifier

	Subject      Identifier // normalised
	ID           string
	Action       Action
	Purposes     []string // as written; "*" alone or among others
	Asserted     Instant
	Effective    Instant
	Expires      Instant
	ConsentType  ConsentType
	Recipients   []string // ascending, unique
	Overrides    []string // ascending, unique
	CoversPast   bool
	Children     bool // covers_children
	Guardian     bool // a guardian spoke
	Notice       Notice
	Evidence     Evidence
	Jurisdiction string // "": none stated
	Attributes   EventAttributes
	Renews       string
}

// Subjects yields whose rows the event is folded into: its subject's or, where it
// is malformed, those of everybody whom it names.
func (e *Event) Subjects(yield func(Identifier) bool) {
	if e.Malformed == NoFault {
		yield(e.Subject)
		return
	}
	for _, id := range e.Named {
		if !yield(id) {
			return
		}
	}
}

// Notice is what the person was shown. The zero Notice is none.
type Notice struct{ ID, Version, Language string }

// Evidence is how the statement can be proven. The reference is personal: some
// sources put an address or a signature there.
type Evidence struct {
	Method, Source string
	Reference      personal.String
}

// EventAttributes are the facts that an event states about its subject.
type EventAttributes struct {
	BirthDate       Instant // midnight UTC of the date
	LastInteraction Instant
	Jurisdiction    string
}

// ConsentType is how a grant was given. The zero ConsentType proves nothing.
type ConsentType uint8

// The consent types of DESIGN section 5.
const (
	ConsentNone ConsentType = iota
	ConsentImplied
	ConsentExpressed
	ConsentExplicit
)

// Fault is what makes an event malformed. Its text is a code: it never holds
// anything of the event.
type Fault string

// The faults of an event.
const (
	NoFault          Fault = ""
	FaultNull        Fault = "null_value"
	FaultTooLarge    Fault = "too_large"
	FaultSyntax      Fault = "syntax"       // not one JSON object in well-formed UTF-8, or a duplicate member
	FaultMember      Fault = "member"       // a member that is not defined
	FaultType        Fault = "type"         // a value of another type than the member's
	FaultMissing     Fault = "missing"      // no id, subject or action
	FaultTooMany     Fault = "too_many"     // a list or text beyond its bound
	FaultTooBroad    Fault = "too_broad"    // its purposes times its lists take more than half of a row
	FaultTime        Fault = "time"         // not RFC 3339 with zone, second 60, or outside 1970-9999
	FaultWord        Fault = "word"         // a value outside a closed set
	FaultPurpose     Fault = "purpose"      // not a purpose id
	FaultNoPurpose   Fault = "no_purpose"   // a permissive event that names no purpose
	FaultBlanket     Fault = "blanket"      // "*" in an event that is not restrictive
	FaultLink        Fault = "link"         // links are not supported yet
	FaultSubject     Fault = "subject"      // the value's subject cannot be used
	FaultKeyMismatch Fault = "key_mismatch" // the topic key is not namespace:value of the subject
	FaultUnsearched  Fault = "unsearched"   // whatever else: it may name people who are not denied
)

var actionNames = [...]string{
	Grant: "grant", Renew: "renew", Refuse: "refuse", Withdraw: "withdraw", Object: "object", OptOut: "opt_out",
	OptIn: "opt_in", Restrict: "restrict", LiftRestriction: "lift_restriction", LimitSensitive: "limit_sensitive",
	Erase: "erase", Link: "link", Unlink: "unlink", Invalidate: "invalidate", Request: "request", Attributes: "attributes",
}

// String is the action's word, "invalid" for none.
func (a Action) String() string {
	if a == NoAction || int(a) >= len(actionNames) {
		return "invalid"
	}
	return actionNames[a]
}

// ParseAction reads an action's word.
func ParseAction(word string) (Action, bool) {
	for a := Grant; int(a) < len(actionNames); a++ {
		if actionNames[a] == word {
			return a, true
		}
	}
	return NoAction, false
}

// Family is the slot family that the action fills; false for actions that only
// permit, link or inform.
func (a Action) Family() (Family, bool) {
	switch a {
	case Withdraw, Refuse, OptOut:
		return FamilyWithdraw, true
	case Object:
		return FamilyObject, true
	case Invalidate:
		return FamilyInvalidate, true
	case Erase:
		return FamilyErase, true
	case Restrict:
		return FamilyRestrict, true
	case LimitSensitive:
		return FamilySensitive, true
	case LiftRestriction:
		return FamilyLift, true
	}
	return Families, false
}

// Restrictive reports whether the action can only deny.
func (a Action) Restrictive() bool {
	f, ok := a.Family()
	return ok && f != FamilyLift
}

// Permissive reports whether the action grants.
func (a Action) Permissive() bool { return a == Grant || a == Renew || a == OptIn }

// rank orders the actions of one family at one instant: the clearer no wins.
func (a Action) rank() uint8 {
	switch a {
	case Refuse:
		return 1
	case Withdraw:
		return 2
	}
	return 0
}
