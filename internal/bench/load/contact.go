package load

import (
	"encoding/binary"
	"math"
)

// Contact appends the i-th CRM contact to dst: the frame and the Avro binary of
// ContactSchema. key is the Kafka key, the subject's identifier.
func (g *Generator) Contact(dst []byte, i int) (key, value []byte) {
	s := g.event(1, i)
	p, r := g.person(s), &g.rng
	start := len(dst)
	dst = AppendSubject(dst, s)
	split := len(dst)

	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, g.cfg.SchemaID)
	e := avro{dst}
	e.string(string(r.appendUUID(make([]byte, 0, 36)))) // event_id
	e.long(int64(r.below(3)))                           // event_type
	e.long(g.cfg.Now - int64(r.below(3_600_000)))       // occurred_at
	e.string(string(dst[start:split]))                  // contact_id
	e.some()                                            // email
	e.string(string(p.appendEmail(make([]byte, 0, 64), s)))
	e.some()
	e.string(phone(r)) // phone
	e.some()
	e.string(p.first)
	e.some()
	e.string(p.last)
	e.some()
	e.long(int64(r.below(18_000))) // birth_date
	e.string(p.language)
	e.optional(r.below(3) > 0, companies[r.below(len(companies))])
	e.optional(r.below(3) > 0, jobs[r.below(len(jobs))])
	e.some() // address
	e.string(p.street)
	e.string(p.city)
	e.string(p.postal)
	e.string(p.country)
	e.tags(r)
	e.some() // marketing_score
	e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(float64(r.below(10_000))/100))
	e.long(int64(r.below(3))) // newsletter_frequency
	e.some()                  // lifetime_value: decimal, two places
	e.decimal(int32(r.below(1_000_000)))
	e.optional(r.below(20) == 0, "step-free access, hearing loop")
	e.some()
	e.string(string(r.appendIP(make([]byte, 0, 15))))
	e.some()
	e.string(notes[r.below(len(notes))] + " " + notes[r.below(len(notes))] + " " + notes[r.below(len(notes))])
	return e.b[start:split:split], e.b[split:]
}

func phone(r *splitmix) string {
	b := []byte("+49 30 0000000")
	for i := 7; i < len(b); i++ {
		b[i] = byte('0' + r.below(10))
	}
	return string(b)
}

// avro appends Avro binary (Avro 1.12 specification, "Binary Encoding").
type avro struct{ b []byte }

func (e *avro) long(v int64)    { e.b = binary.AppendVarint(e.b, v) }
func (e *avro) string(s string) { e.long(int64(len(s))); e.b = append(e.b, s...) }

// some and none are the branches of ["null", T].
func (e *avro) some() { e.long(1) }
func (e *avro) none() { e.long(0) }

func (e *avro) optional(present bool, s string) {
	if !present {
		e.none()
		return
	}
	e.some()
	e.string(s)
}

func (e *avro) tags(r *splitmix) {
	n := r.below(4)
	if n > 0 {
		e.long(int64(n))
		for range n {
			e.string(tags[r.below(len(tags))])
		}
	}
	e.long(0)
}

func (e *avro) decimal(v int32) {
	e.long(4)
	e.b = binary.BigEndian.AppendUint32(e.b, uint32(v))
}
