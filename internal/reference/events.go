package reference

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Event is one record of the consent topic as DESIGN section 5 and DECISION D2,
// D7, D11 and D14 read it. Of a malformed one only Named, place and Received
// count. Times are ms since 1970.
type Event struct {
	Partition          int32
	Offset, Received   int64
	Malformed          bool
	Subject            string   // namespace:value, normalised; "" of a malformed one
	Named              []string // by a malformed one, likewise
	Action             string
	Purposes           []string
	Asserted           *int64
	Effective, Expires *int64
	Type               string
	Recipients         []string
	CoversPast         bool
	Children, Guardian bool
	NoticeID           string
	NoticeVersion      string
	Method, Source     string
	LastInteraction    *int64
}

const maxEventBytes = 64 << 10

var actions = map[string]bool{
	"grant": true, "renew": true, "refuse": true, "withdraw": true, "object": true, "opt_out": true, "opt_in": true,
	"restrict": true, "lift_restriction": true, "limit_sensitive": true, "erase": true, "invalidate": true, "request": true, "attributes": true,
	// link and unlink are malformed: a link that is ignored could hide a denial.
}

func permissive(action string) bool {
	return action == "grant" || action == "renew" || action == "opt_in"
}

var families = map[string]string{
	"withdraw": "W", "refuse": "W", "opt_out": "W", "object": "O", "invalidate": "I", "erase": "E", "restrict": "R", "limit_sensitive": "S",
}

// ReadEvent reads a record of the consent topic; nil is Kafka's null.
func (p *Policy) ReadEvent(key, value []byte, partition int32, offset, received int64) Event {
	e := Event{Partition: partition, Offset: offset, Received: received}
	keyed := p.keySubject(string(key))
	if e.faultless(p, value) && e.Subject == keyed {
		return e
	}
	e = Event{Partition: partition, Offset: offset, Received: received, Malformed: true, Named: p.named(value)}
	if keyed != "" && !slices.Contains(e.Named, keyed) {
		e.Named = append(e.Named, keyed)
	}
	return e
}

// faultless reads the value, whosever it is.
func (e *Event) faultless(p *Policy, value []byte) bool {
	if value == nil || len(value) > maxEventBytes || !utf8.Valid(value) {
		return false
	}
	t, err := parse(value)
	return err == nil && t.kind == '{' && !t.doubled() && t.fault() != "lone_surrogate" && e.read(p, t)
}

// doubled reports two members of one name in one object.
func (t *tree) doubled() bool {
	seen := map[string]bool{}
	for _, m := range t.members {
		if seen[m.name] || m.value.doubled() {
			return true
		}
		seen[m.name] = true
	}
	for _, item := range t.items {
		if item.doubled() {
			return true
		}
	}
	return false
}

func (p *Policy) keySubject(key string) string {
	namespace, value, ok := strings.Cut(key, ":")
	if !ok {
		return ""
	}
	return p.identify(namespace, value)
}

func (p *Policy) subject(t *tree) string {
	if t.kind != '{' || len(t.members) != 2 {
		return ""
	}
	namespace, value := t.get("namespace"), t.get("value")
	if namespace == nil || value == nil || namespace.kind != '"' {
		return ""
	}
	switch {
	case value.kind == '"':
		return p.identify(namespace.text, value.text)
	case value.kind == '0' && !strings.ContainsAny(value.raw, ".eE") && value.raw != "-0":
		return p.identify(namespace.text, value.raw)
	}
	return ""
}

// identify gives namespace:value as it is compared, "" where the value names
// nobody.
func (p *Policy) identify(namespace, value string) string {
	if v, ok := p.normalize(namespace, value); ok {
		return namespace + ":" + v
	}
	return ""
}

// read fills e from the members; false where one of them is wrong.
func (e *Event) read(p *Policy, t *tree) bool {
	r := eventReader{ok: true}
	id := ""
	e.Subject = ""
	for _, m := range t.members {
		if m.value.kind == 'n' {
			r.known(m.name)
			continue
		}
		v := m.value
		switch m.name {
		case "id":
			id = r.text(v, 1024)
		case "subject":
			e.Subject = p.subject(v)
		case "action":
			e.Action = r.text(v, 128)
		case "purposes":
			e.Purposes = r.list(v, 64)
		case "consent_type":
			e.Type = r.text(v, 128)
			r.need(e.Type == "none" || e.Type == "implied" || e.Type == "expressed" || e.Type == "explicit")
		case "recipients":
			e.Recipients = r.list(v, 64)
		case "overrides":
			r.list(v, 16)
		case "jurisdiction":
			r.need(jurisdictions.MatchString(r.text(v, 128)))
		case "asserted_at":
			e.Asserted = r.instant(v)
		case "effective_at":
			e.Effective = r.instant(v)
		case "expires_at":
			e.Expires = r.instant(v)
		case "covers_past":
			e.CoversPast = r.bool(v)
		case "covers_children":
			e.Children = r.bool(v)
		case "guardian":
			e.Guardian = r.text(v, 1024) != ""
		case "notice":
			n := r.texts(v, 128, "id", "version", "language")
			if n["id"] != "" {
				e.NoticeID, e.NoticeVersion = n["id"], n["version"]
			}
		case "evidence":
			n := r.texts(v, 1024, "method", "source", "reference")
			e.Method, e.Source = n["method"], n["source"]
		case "attributes":
			e.LastInteraction = r.attributes(v)
		case "renews":
			r.need(v.kind == '"' && len(v.text) <= 1024)
		default: // link, and what is not defined
			r.ok = false
		}
	}
	all := false
	for _, k := range e.Purposes {
		all = all || k == "*"
		r.need(k == "*" || purposeID.MatchString(k))
	}
	_, restrictive := families[e.Action]
	r.need(id != "" && e.Subject != "" && actions[e.Action])
	r.need(restrictive || !all)
	r.need(!permissive(e.Action) || len(e.Purposes) > 0)
	return r.ok
}

var (
	jurisdictions = regexp.MustCompile(`^[A-Z]{2}(-[A-Z0-9]{1,3})?$`)
	purposeID     = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)
	// second 60 is malformed (D2).
	rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	isoDate = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
)

type eventReader struct{ ok bool }

func (r *eventReader) need(holds bool) { r.ok = r.ok && holds }

// known says that a null is as good as an absent member, if the member exists.
func (r *eventReader) known(name string) {
	const all = " id subject action purposes consent_type recipients overrides jurisdiction asserted_at effective_at expires_at " +
		"covers_past covers_children guardian notice evidence attributes renews link "
	r.need(strings.Contains(all, " "+name+" "))
}

func (r *eventReader) text(t *tree, most int) string {
	r.need(t.kind == '"' && len(t.text) > 0 && len(t.text) <= most)
	return t.text
}

func (r *eventReader) list(t *tree, most int) (list []string) {
	r.need(t.kind == '[' && len(t.items) <= most)
	for _, item := range t.items {
		list = append(list, r.text(item, 128))
	}
	return list
}

func (r *eventReader) bool(t *tree) bool {
	r.need(t.kind == 't' || t.kind == 'f')
	return t.kind == 't'
}

// texts reads an object of optional texts.
func (r *eventReader) texts(t *tree, most int, names ...string) map[string]string {
	r.need(t.kind == '{')
	all := map[string]string{}
	for _, m := range t.members {
		known := false
		for _, n := range names {
			known = known || n == m.name
		}
		r.need(known && (m.value.kind == 'n' || m.value.kind == '"' && len(m.value.text) <= most))
		all[m.name] = m.value.text
	}
	return all
}

func (r *eventReader) instant(t *tree) *int64 {
	s := strings.ToUpper(r.text(t, 128))
	at, err := time.Parse(time.RFC3339Nano, s)
	ms := at.UnixMilli()
	r.need(rfc3339.MatchString(s) && err == nil && ms >= 0 && ms <= maxInstant)
	return &ms
}

const maxInstant = 253402300799999 // the end of 9999

func (r *eventReader) attributes(t *tree) (last *int64) {
	r.need(t.kind == '{')
	for _, m := range t.members {
		switch null := m.value.kind == 'n'; {
		case m.name == "birth_date" && !null:
			_, err := time.Parse(time.DateOnly, m.value.text)
			r.need(m.value.kind == '"' && isoDate.MatchString(m.value.text) && err == nil)
		case m.name == "last_interaction" && !null:
			last = r.instant(m.value)
		case m.name == "jurisdiction" && !null:
			r.need(jurisdictions.MatchString(r.text(m.value, 128)))
		default:
			r.need(null && (m.name == "birth_date" || m.name == "last_interaction" || m.name == "jurisdiction"))
		}
	}
	return last
}
