// Package policy says what each purpose may do: its legal basis, its treatment
// of each category of data, and Decide, the verdict on one purpose for one
// record. It is pure: no clock, no I/O, no state; the same arguments give the
// same Decision. It knows neither what a treatment does (package filters) nor
// where records come from.
//
// # The decision
//
// Decide is DECISION.md's fold and decide (rules D1-D27, cited where kept), for
// one group of identifiers and without regimes, minors, links and signals. It
// denies by default: a nil purpose, a purpose without a basis, an unresolved
// subject and a zero Decision all deny. Every reason to deny that holds is
// collected. The one in the lowest-numbered row of SEMANTICS.md section 7 is the
// Reason; the others are Secondary, in row order, with EVENT_TIME_SUSPECT last:
//
//	row   reason                      holds when
//	2     POLICY_UNDEFINED            there is no purpose, or it has no basis
//	3     SUBJECT_UNRESOLVED          the record names no usable subject
//	3-4   RETENTION_EXCEEDED          event time + retention <= now (D20)
//	5     SUBJECT_ERASED              erased; not for legal_obligation (D13)
//	6     PROCESSING_RESTRICTED       restricted at or after the last lift; not with survives_restriction (D12)
//	6     STATE_MALFORMED             a malformed event, not superseded; not for legal_obligation without direct marketing (D14)
//	7     OBJECTION_MARKETING         direct marketing and an objection, or (basis not consent) a withdrawal
//	8     OBJECTION                   consent, legitimate interests, public task and an objection; a withdrawal that names the purpose
//	23    CONSENT_UNKNOWN             nothing was said            (23-33: basis consent only)
//	24    CONSENT_PENDING             only a request was seen
//	25    CONSENT_REFUSED             the newest no, not overtaken by a later grant that names as much
//	26    CONSENT_WITHDRAWN
//	27    CONSENT_INVALIDATED
//	28    CONSENT_EXPIRED             at the first of expires_at, max_age, max_inactivity; half-open (D18)
//	29    NOTICE_OUTDATED             another notice, or an older version (D16)
//	30    CONSENT_UNPROVEN            D17
//	31    CONSENT_NOT_YET_EFFECTIVE   effective_at after now
//	32    CONSENT_AFTER_EVENT         given, or last denied, after the event; not with processing_only (D19)
//	33    RECIPIENT_NOT_COVERED       a recipient of the purpose is not in the grant
//
// Permits are CONSENT_GIVEN, or BASIS_ and the basis. Instants are ms since
// 1970, intervals are half-open: valid from <= now < until (D1).
//
// What was said of "a.b", "a" and "*" concerns the purpose "a.b". A grant of "a"
// counts for "a.b" only with covers_children, and a grant clears a denial only when
// it is strictly later and names the denied purpose or one below it (D15).
//
// # Categories
//
// The keys are fideslang's (fideslang.json names source and version); `x.` is
// for extensions. Purpose.Rule gives the most specific rule by dotted prefix.
// GDPR special (article 9) and criminal (article 10) categories never inherit
// from a broader key, and show a value only behind `requires:`, or on a `ground:`
// (D23).
package policy

import "github.com/consentstream/consentstream/consent"

// Basis is the one legal basis of a purpose. The zero Basis permits nothing.
type Basis uint8

// The legal bases of GDPR article 6(1).
const (
	NoBasis Basis = iota
	Consent
	Contract
	LegalObligation
	VitalInterests
	PublicTask
	LegitimateInterests
)

// Policy is the privacy team's file, checked.
type Policy struct {
	Revision   int64
	Namespaces []Namespace // sorted by name
	Purposes   []Purpose   // in the file's order
}

// Namespace is a kind of identifier and how it is normalised.
type Namespace struct {
	Name      string
	Normalize string // consent.Normalizations
}

// Purpose is why data is processed.
type Purpose struct {
	ID                  string
	DataUse             string
	Basis               Basis
	Retention           int64 // ms; 0: none stated
	Treat               []Rule
	DirectMarketing     bool
	Recipients          []string // sorted
	NoticeID            string
	NoticeMinVersion    string
	SurvivesRestriction bool
	MaxAge              int64 // ms; 0: no limit
	MaxInactivity       int64 // ms; 0: no limit
	ProcessingOnly      bool  // time: processing_only
}

// Rule is one line of a purpose's treat map.
type Rule struct {
	Category  string
	Treatment Treatment
	// RequiresExplicit is the field gate `requires: explicit_consent`.
	RequiresExplicit bool
	// Ground is the exception of GDPR article 9(2), or article 10, that the
	// purpose relies on: a word of Grounds; "" for none.
	Ground string
}

// Gate is the rule's field gate as a bit of Decision.Gates; 0 for none. Where
// explicit consent is required too, it decides: its gate is never open where
// that of the ground is closed.
func (r *Rule) Gate() uint32 {
	switch {
	case r.RequiresExplicit:
		return GateExplicit
	case r.Ground != "":
		return GateGround
	}
	return 0
}

// Treatment is an opaque specification: a name and its parameters as the
// policy file gave them. Package filters gives it a meaning. The zero
// Treatment is "drop".
type Treatment struct {
	Name   string
	Params []Param // sorted by name
}

// Param is one parameter. Value is a string, int64, float64, bool or nil.
type Param struct {
	Name  string
	Value any
}

// Facts are what a record brings to its decision besides the subject's rows.
type Facts struct {
	EventTime int64 // ms, after DECISION D20
	// Suspect says that the event time was missing, without zone or clamped.
	Suspect bool
	// Unresolved says that the record names no usable subject; Conflict with it
	// that it is because two places of the record name different ones.
	Unresolved, Conflict bool
}

// Decision is the verdict on one (record element, purpose, subject). The zero
// Decision denies.
type Decision struct {
	Permit bool
	Reason Reason
	// Secondary lists all other reasons that hold, in row order, and marks
	// such as EVENT_TIME_SUSPECT.
	Secondary []Reason
	// Cited is the consent event that decided; HasCited says there is one.
	Cited    consent.Position
	HasCited bool
	// Gates has GateExplicit and GateGround set where those gates are open.
	Gates uint32
}

// GateExplicit is the bit of `requires: explicit_consent`. The gate is open
// under any basis where the person gave a faultless explicit grant of this
// purpose, or of an ancestor that covers it, and nothing that they said since
// (withdrawal, objection, invalidation, limit_sensitive) stands against it (D23).
const GateExplicit uint32 = 1 << 0

// GateGround is the bit of `ground:`, of purposes that have such a rule. The
// gate is open where the purpose is permitted, unless the person has limited the
// use of sensitive data and given no faultless explicit grant since (D23), is
// erased, or may have said something that nobody could read.
const GateGround uint32 = 1 << 1
