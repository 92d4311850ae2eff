package audit

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends r as one JSON object for people (DESIGN section 7). topic
// is the audit topic. Hashes, tags and ids are lower-case hex. Members that
// are empty or null in the record are left out, except those of a decision
// that DESIGN lists.
func AppendJSON(dst []byte, topic string, r *Record) []byte {
	j := jsonWriter{append(dst, '{')}
	j.text("kind", "audit")
	j.text("topic", topic)
	j.text("leaf", r.Kind.String())
	j.name("source")
	j.open('{')
	j.text("topic", r.Lane.Topic)
	j.number("partition", int64(r.Lane.Partition))
	j.number("from", r.From)
	j.number("offset", r.Offset)
	j.close('}')
	j.lane(&r.Lane)
	j.number("index", r.Index)
	j.hex("prev", r.Prev[:])
	j.context(r.Context)
	j.numbers("cut", r.Cut)
	j.textIf("reason", r.Reason)
	j.textIf("detail", r.Detail)
	j.textIf("path", r.Path)
	if r.Cites != nil {
		j.hex("cites", r.Cites[:])
	}
	j.textIf("note", r.Note)
	j.subjects(r.Subjects)
	j.name("decisions")
	j.open('[')
	for i := range r.Decisions {
		j.decision(&r.Decisions[i], r.Subjects)
	}
	j.close(']')
	j.close('}')
	return j.b
}

// String is the kind's symbol in the schema.
func (k LeafKind) String() string {
	switch k {
	case LeafRecord:
		return "record"
	case LeafQuarantine:
		return "quarantine"
	case LeafGap:
		return "gap"
	case LeafClosed:
		return "closed"
	}
	return "invalid"
}

// jsonWriter writes JSON without reflection; commas come from what was written
// last.
type jsonWriter struct{ b []byte }

func (j *jsonWriter) comma() {
	switch j.b[len(j.b)-1] {
	case '{', '[':
	default:
		j.b = append(j.b, ',')
	}
}

func (j *jsonWriter) open(c byte) {
	if j.b[len(j.b)-1] == '}' { // the next object of an array
		j.b = append(j.b, ',')
	}
	j.b = append(j.b, c)
}

func (j *jsonWriter) close(c byte) { j.b = append(j.b, c) }

func (j *jsonWriter) name(s string) {
	j.comma()
	j.quote(s)
	j.b = append(j.b, ':')
}

// quote ignores the error of AppendQuote, which says that what is not UTF-8
// was replaced: this text is for people.
func (j *jsonWriter) quote(s string) { j.b, _ = jsontext.AppendQuote(j.b, s) }

func (j *jsonWriter) text(name, s string) {
	j.name(name)
	j.quote(s)
}

func (j *jsonWriter) textIf(name, s string) {
	if s != "" {
		j.text(name, s)
	}
}

func (j *jsonWriter) texts(name string, s []string) {
	if len(s) == 0 {
		return
	}
	j.name(name)
	j.b = append(j.b, '[')
	for _, x := range s {
		j.comma()
		j.quote(x)
	}
	j.b = append(j.b, ']')
}

func (j *jsonWriter) number(name string, n int64) {
	j.name(name)
	j.b = strconv.AppendInt(j.b, n, 10)
}

func (j *jsonWriter) numbers(name string, v []int64) {
	if len(v) == 0 {
		return
	}
	j.name(name)
	j.b = append(j.b, '[')
	for _, n := range v {
		j.comma()
		j.b = strconv.AppendInt(j.b, n, 10)
	}
	j.b = append(j.b, ']')
}

func (j *jsonWriter) hex(name string, b []byte) {
	j.name(name)
	j.b = append(j.b, '"')
	j.b = hex.AppendEncode(j.b, b)
	j.b = append(j.b, '"')
}

func (j *jsonWriter) lane(l *Lane) {
	j.name("lane")
	j.open('{')
	j.text("cluster", l.Cluster)
	j.text("group", l.Group)
	j.hex("topic_id", l.TopicID[:])
	j.number("partition", int64(l.Partition))
	j.close('}')
}

func (j *jsonWriter) context(c *Context) {
	if c == nil {
		return
	}
	j.name("context")
	j.open('{')
	j.hex("policy", c.Policy[:])
	if c.Regimes != (Hash{}) {
		j.hex("regimes", c.Regimes[:])
	}
	j.number("revision", c.Revision)
	j.name("decided_at")
	j.b = time.UnixMilli(c.DecidedAt).UTC().AppendFormat(j.b, `"2006-01-02T15:04:05.000Z07:00"`)
	j.hex("consent_topic_id", c.ConsentTopicID[:])
	j.numbers("fence", c.Fence)
	j.number("key_epoch", int64(c.KeyEpoch))
	j.hex("key_check", c.KeyCheck[:])
	j.text("sign_key", c.SignKey)
	j.text("version", c.Version)
	j.close('}')
}

func (j *jsonWriter) subjects(subjects []Subject) {
	j.name("subjects")
	j.open('[')
	for i := range subjects {
		j.open('{')
		j.text("name", subjects[i].Name)
		if subjects[i].Resolved {
			j.hex("tag", subjects[i].Tag[:])
		}
		j.close('}')
	}
	j.close(']')
}

func (j *jsonWriter) decision(d *Decision, subjects []Subject) {
	j.open('{')
	j.number("element", int64(d.Element))
	j.text("purpose", d.Purpose)
	subject := "?"
	if d.Subject >= 0 && int(d.Subject) < len(subjects) {
		subject = subjects[d.Subject].Name
	}
	j.text("subject", subject)
	verdict := "deny"
	if d.Permit {
		verdict = "permit"
	}
	j.text("decision", verdict)
	j.text("reason", d.Reason)
	j.texts("secondary", d.Secondary)
	j.text("basis", d.Basis)
	j.textIf("consent_event", d.CitedID)
	if d.HasCited {
		j.name("consent_position")
		j.open('{')
		j.number("partition", int64(d.CitedPartition))
		j.number("offset", d.CitedOffset)
		j.close('}')
	}
	j.hex("plan", d.Plan[:])
	if d.Gates != 0 {
		j.number("gates", int64(d.Gates))
	}
	if d.Withheld != 0 {
		j.number("withheld", int64(d.Withheld))
	}
	j.fields(d.Fields)
	if d.Output != nil {
		j.text("output_topic", d.Output.Topic)
		j.number("output_partition", int64(d.Output.Partition))
		j.hex("output_hash", d.Output.Commitment[:])
	}
	j.close('}')
}

func (j *jsonWriter) fields(fields []Field) {
	if len(fields) == 0 {
		return
	}
	j.name("fields")
	j.open('[')
	for _, f := range fields {
		j.open('{')
		j.text("path", f.Path)
		j.text("category", f.Category)
		j.text("treatment", f.Treatment)
		j.textIf("gate", f.Gate)
		j.textIf("subject", f.Subject)
		j.close('}')
	}
	j.close(']')
}
