package consent

// Explain says in words what the fault is, for whoever wrote the event. It
// never holds anything of the event.
func (f Fault) Explain() string { return faultTexts[f] }

var faultTexts = map[Fault]string{
	FaultNull:     "the value is null",
	FaultTooLarge: "larger than 64 KiB",
	FaultSyntax:   "not one JSON object in UTF-8 (each event is a record of its own), or a member stands twice",
	FaultMember:   "a member that consent events do not have",
	FaultType:     "a member's value is of another type than it should be",
	FaultMissing:  "id, subject and action are needed",
	FaultTooMany:  "a list or a text is too long",
	FaultTooBroad: "its purposes, each with all recipients, overrides and the notice, take more than 32 KiB of a person's state: " +
		"send several events with fewer purposes each",
	FaultTime:        "a time is not RFC 3339 with a zone, such as 2026-11-01T10:00:00Z",
	FaultWord:        "action, consent_type or another member has a word that it does not know",
	FaultPurpose:     "a purpose is not written as one: lower-case letters, digits and _, in parts joined by dots",
	FaultNoPurpose:   "an event that permits must name its purposes",
	FaultBlanket:     `"*" is for events that restrict: a grant names its purposes`,
	FaultLink:        "links between identifiers are not supported yet",
	FaultSubject:     "the subject is not {namespace, value} with a namespace of the policy and a usable value",
	FaultKeyMismatch: "the record key is not NAMESPACE:VALUE of the subject",
	FaultUnsearched:  "it names more than 1,000 people, or is too large or too deep to be searched: there may be people whom it names and does not deny",
}
