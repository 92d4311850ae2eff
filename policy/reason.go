package policy

// Reason is a closed set of reason codes (SEMANTICS.md section 7).
type Reason string

// Reasons that deny.
const (
	InputMalformed         Reason = "INPUT_MALFORMED"
	PolicyUndefined        Reason = "POLICY_UNDEFINED"
	SubjectUnresolved      Reason = "SUBJECT_UNRESOLVED"
	RetentionExceeded      Reason = "RETENTION_EXCEEDED"
	SubjectErased          Reason = "SUBJECT_ERASED"
	ProcessingRestricted   Reason = "PROCESSING_RESTRICTED"
	StateMalformed         Reason = "STATE_MALFORMED"
	ObjectionMarketing     Reason = "OBJECTION_MARKETING"
	Objection              Reason = "OBJECTION"
	ConsentUnknown         Reason = "CONSENT_UNKNOWN"
	ConsentPending         Reason = "CONSENT_PENDING"
	ConsentRefused         Reason = "CONSENT_REFUSED"
	ConsentWithdrawn       Reason = "CONSENT_WITHDRAWN"
	ConsentInvalidated     Reason = "CONSENT_INVALIDATED"
	ConsentExpired         Reason = "CONSENT_EXPIRED"
	NoticeOutdated         Reason = "NOTICE_OUTDATED"
	ConsentUnproven        Reason = "CONSENT_UNPROVEN"
	ConsentNotYetEffective Reason = "CONSENT_NOT_YET_EFFECTIVE"
	ConsentAfterEvent      Reason = "CONSENT_AFTER_EVENT"
	RecipientNotCovered    Reason = "RECIPIENT_NOT_COVERED"
)

// Reasons that permit.
const (
	ConsentGiven             Reason = "CONSENT_GIVEN"
	BasisContract            Reason = "BASIS_CONTRACT"
	BasisLegalObligation     Reason = "BASIS_LEGAL_OBLIGATION"
	BasisVitalInterests      Reason = "BASIS_VITAL_INTERESTS"
	BasisPublicTask          Reason = "BASIS_PUBLIC_TASK"
	BasisLegitimateInterests Reason = "BASIS_LEGITIMATE_INTERESTS"
)

// EventTimeSuspect marks a decision whose event time was missing, without zone
// or clamped (D20).
const EventTimeSuspect Reason = "EVENT_TIME_SUSPECT"

// SubjectConflict stands beside SUBJECT_UNRESOLVED where two places of a record
// name different subjects.
const SubjectConflict Reason = "SUBJECT_CONFLICT"

// Tombstone is the engine's reason for a record that only removes (DESIGN
// section 5).
const Tombstone Reason = "TOMBSTONE"

// bases are each basis' word in a policy and the reason of its permit.
var bases = [...]struct {
	word   string
	permit Reason
}{
	Consent:             {"consent", ConsentGiven},
	Contract:            {"contract", BasisContract},
	LegalObligation:     {"legal_obligation", BasisLegalObligation},
	VitalInterests:      {"vital_interests", BasisVitalInterests},
	PublicTask:          {"public_task", BasisPublicTask},
	LegitimateInterests: {"legitimate_interests", BasisLegitimateInterests},
}

// String is the basis' word in a policy; "" for none.
func (b Basis) String() string {
	if int(b) >= len(bases) {
		return ""
	}
	return bases[b].word
}

// ParseBasis reads a basis' word.
func ParseBasis(word string) (Basis, bool) {
	for b := Consent; int(b) < len(bases); b++ {
		if bases[b].word == word {
			return b, true
		}
	}
	return NoBasis, false
}
