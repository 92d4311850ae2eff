// Package policy: purposes, categories, the decision. (Specification to be
// written by its owner.)
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
	Normalize string // "none", "trim", "lower", "email"
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

// Reason is a closed set of reason codes (SEMANTICS.md section 7).
type Reason string

// Facts are what a record brings to its decision besides the subject's rows.
type Facts struct {
	EventTime int64 // ms, after DECISION D20
	// Suspect says that the event time was missing, without zone or clamped.
	Suspect bool
	// Unresolved says that the record names no usable subject.
	Unresolved bool
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
	// Gates has bit 0 set where the explicit-consent gate is open for this
	// purpose (a faultless explicit grant of exactly this purpose or an
	// ancestor that covers it, and no limit_sensitive after it).
	Gates uint32
}
