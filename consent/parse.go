package consent

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/consentstream/consentstream/internal/personal"
)

// Bounds of an event.
const (
	MaxEventBytes = 64 << 10
	maxPurposes   = 64
	maxRecipients = 64
	maxOverrides  = 16
	maxName       = 128  // bytes of a purpose, recipient, notice id or version
	maxText       = 1024 // bytes of what only documents
)

// Parse reads one record of the consent topic. A nil key or value is Kafka's
// null. It always returns an event; see Event.Malformed and Event.Subjects.
func Parse(key, value []byte, at Position, received int64, ns Namespaces) Event {
	e := ParseUnkeyed(value, at, received, ns)
	id, ok := keySubject(key, ns)
	if e.Malformed == NoFault && (!ok || id != e.Subject) {
		e = malformed(e, FaultKeyMismatch, value, ns)
	}
	if e.Malformed != NoFault && ok && !slices.Contains(e.Named, id) {
		e.Named = append(e.Named, id)
	}
	return e
}

// ParseUnkeyed is Parse for a source that has no keys, such as a file.
func ParseUnkeyed(value []byte, at Position, received int64, ns Namespaces) Event {
	e := Event{At: at, Received: received}
	if received < 0 || received > maxInstant {
		// Only a broken log says so. The event then denies for good.
		e.Received = maxInstant
		return malformed(e, FaultTime, value, ns)
	}
	if value == nil {
		return malformed(e, FaultNull, nil, ns)
	}
	if len(value) > MaxEventBytes {
		return malformed(e, FaultTooLarge, value, ns)
	}
	p := parser{dec: jsontext.NewDecoder(bytes.NewReader(value)), ns: ns, event: &e}
	p.run()
	if p.fault == NoFault {
		return e
	}
	return malformed(e, p.fault, value, ns)
}

// malformed keeps of an event only what a malformed one may say, and finds whom
// its value names.
func malformed(e Event, f Fault, value []byte, ns Namespaces) Event {
	s := search{ns: ns}
	if s.value(value); s.more {
		f = FaultUnsearched
	}
	return Event{At: e.At, Received: e.Received, Named: s.named, Malformed: f}
}

// keySubject reads the topic key `namespace:value`.
func keySubject(key []byte, ns Namespaces) (Identifier, bool) {
	namespace, raw, ok := strings.Cut(string(key), ":")
	if !ok {
		return Identifier{}, false
	}
	return identify(namespace, raw, ns)
}

func identify(namespace, raw string, ns Namespaces) (Identifier, bool) {
	value, err := ns.Normalize(namespace, raw)
	if err != nil {
		return Identifier{}, false
	}
	return Identifier{Namespace: namespace, Value: value}, true
}

// parser reads the tokens of one event. After the first fault it reads nothing.
type parser struct {
	dec   *jsontext.Decoder
	ns    Namespaces
	event *Event
	fault Fault
}

func (p *parser) fail(f Fault) {
	if p.fault == NoFault {
		p.fault = f
	}
}

func (p *parser) run() {
	if p.dec.PeekKind() != '{' {
		p.fail(FaultSyntax)
	}
	p.object(p.member)
	if p.fault == NoFault {
		// Only white space may follow: the decoder then finds no further token.
		if p.dec.PeekKind() != 0 || len(bytes.TrimLeft(p.dec.UnreadBuffer(), " \t\r\n")) > 0 {
			p.fail(FaultSyntax)
		}
	}
	if p.fault == NoFault {
		p.check()
	}
}

// check holds the members against each other (D11).
func (p *parser) check() {
	e := p.event
	switch {
	case e.ID == "" || e.Subject == (Identifier{}) || e.Action == NoAction:
		p.fail(FaultMissing)
	case e.Action == Link || e.Action == Unlink:
		p.fail(FaultLink)
	case !e.Action.Restrictive() && slices.Contains(e.Purposes, "*"):
		p.fail(FaultBlanket)
	case e.Action.Permissive() && len(e.Purposes) == 0:
		p.fail(FaultNoPurpose)
	case e.stateBytes() > maxEventState:
		p.fail(FaultTooBroad)
	}
}

// member reads the value of one member; null is as good as absent.
func (p *parser) member(name string) {
	read, ok := members[name]
	if !ok {
		p.fail(FaultMember)
		return
	}
	if !p.null() {
		read(p, p.event)
	}
}

// members are the members of an event (DESIGN section 5), by their only spelling.
var members = map[string]func(*parser, *Event){
	"id":              func(p *parser, e *Event) { e.ID = p.text(maxText) },
	"subject":         func(p *parser, e *Event) { p.eventSubject(e) },
	"action":          func(p *parser, e *Event) { e.Action = word(p, ParseAction) },
	"purposes":        func(p *parser, e *Event) { e.Purposes = p.purposes() },
	"consent_type":    func(p *parser, e *Event) { e.ConsentType = word(p, parseConsentType) },
	"recipients":      func(p *parser, e *Event) { e.Recipients = p.set(maxRecipients) },
	"jurisdiction":    func(p *parser, e *Event) { e.Jurisdiction = p.jurisdiction() },
	"asserted_at":     func(p *parser, e *Event) { e.Asserted = p.instant(parseInstant) },
	"effective_at":    func(p *parser, e *Event) { e.Effective = p.instant(parseInstant) },
	"expires_at":      func(p *parser, e *Event) { e.Expires = p.instant(parseInstant) },
	"covers_past":     func(p *parser, e *Event) { e.CoversPast = p.bool() },
	"covers_children": func(p *parser, e *Event) { e.Children = p.bool() },
	"notice":          func(p *parser, e *Event) { e.Notice = p.notice() },
	"evidence":        func(p *parser, e *Event) { e.Evidence = p.evidence() },
	"guardian":        func(p *parser, e *Event) { e.Guardian = p.text(maxText) != "" },
	"link":            func(p *parser, _ *Event) { p.fail(FaultLink) },
	"attributes":      func(p *parser, e *Event) { e.Attributes = p.attributes() },
	"overrides":       func(p *parser, e *Event) { e.Overrides = p.set(maxOverrides) },
	"renews":          func(p *parser, e *Event) { e.Renews = p.optional(maxText) },
}

func (p *parser) eventSubject(e *Event) {
	id, ok := p.subject()
	if !ok {
		p.fail(FaultSubject)
	}
	e.Subject = id
}

func (p *parser) notice() (n Notice) {
	p.object(func(name string) {
		switch name {
		case "id":
			n.ID = p.optional(maxName)
		case "version":
			n.Version = p.optional(maxName)
		case "language":
			n.Language = p.optional(maxName)
		default:
			p.fail(FaultMember)
		}
	})
	if n.ID == "" {
		return Notice{} // a version of nothing
	}
	return n
}

func (p *parser) evidence() (v Evidence) {
	p.object(func(name string) {
		switch name {
		case "method":
			v.Method = p.optional(maxText)
		case "source":
			v.Source = p.optional(maxText)
		case "reference":
			v.Reference = personal.String(p.optional(maxText))
		default:
			p.fail(FaultMember)
		}
	})
	return v
}

func (p *parser) attributes() (a EventAttributes) {
	p.object(func(name string) {
		switch {
		case p.null():
			if name != "birth_date" && name != "last_interaction" && name != "jurisdiction" {
				p.fail(FaultMember)
			}
		case name == "birth_date":
			a.BirthDate = p.instant(parseDate)
		case name == "last_interaction":
			a.LastInteraction = p.instant(parseInstant)
		case name == "jurisdiction":
			a.Jurisdiction = p.jurisdiction()
		default:
			p.fail(FaultMember)
		}
	})
	return a
}

// subject reads {namespace, value}; the value is a string or an integer (D7).
func (p *parser) subject() (Identifier, bool) {
	var namespace, value string
	var members [2]int
	p.object(func(name string) {
		switch name {
		case "namespace":
			members[0]++
			namespace = p.text(maxName)
		case "value":
			members[1]++
			value = p.identifier()
		default:
			p.fail(FaultMember)
		}
	})
	if p.fault != NoFault || members != [2]int{1, 1} {
		return Identifier{}, false
	}
	return identify(namespace, value, p.ns)
}
