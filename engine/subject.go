package engine

import (
	"strconv"

	"github.com/consentstream/consentstream/schemas"
)

// findSubject reads, normalises and tags the record's subject. A subject that
// cannot be read, or that the key contradicts, stays unresolved: every purpose
// then denies with SUBJECT_UNRESOLVED (DECISION D7).
func (b *Batch) findSubject(it *Item, s *CompiledStream) {
	ns := s.wiring.Subject.Namespace
	var raw []byte
	if it.work.tombstone {
		if s.wiring.Key.Subject == "" {
			return
		}
		raw = it.Key
	} else {
		var ok bool
		if raw, ok = b.subjectText(it); !ok {
			return
		}
	}
	id, err := b.engine.norm.AppendNormalized(b.norm[:0], ns, raw)
	if err != nil {
		return
	}
	b.norm = id
	if s.wiring.Key.Subject != "" && it.Key != nil && !b.keyAgrees(it, ns, id) {
		return
	}
	b.resolve(it, ns, id)
}

// resolve notes the subject's tags. That of the audit is computed once for each
// subject of the batch.
func (b *Batch) resolve(it *Item, ns string, id []byte) {
	tag, ok := b.engine.tagger.Tag(ns, id)
	if !ok {
		return
	}
	i, seen := b.index[tag]
	if !seen {
		audTag, ok := b.engine.audTags.Tag(ns, id)
		if !ok {
			return
		}
		i = int32(len(b.tags))
		b.tags, b.audTags = append(b.tags, tag), append(b.audTags, audTag)
		b.index[tag] = i
	}
	it.work.tag, it.work.resolved = i, true
}

// keyAgrees reports that the Kafka key names the same subject as the value.
func (b *Batch) keyAgrees(it *Item, ns string, id []byte) bool {
	n := len(id)
	both, err := b.engine.norm.AppendNormalized(id, ns, it.Key)
	if err != nil {
		return false
	}
	b.norm = both[:n]
	return string(both[:n]) == string(both[n:])
}

// subjectText is the text of the subject's value: a string, or an integer in
// decimal. Anything else does not name a subject.
func (b *Batch) subjectText(it *Item) ([]byte, bool) {
	plan := it.work.plan
	if plan.subject < 0 {
		return nil, false
	}
	e, ok := it.tape.Find(plan.subject)
	if !ok {
		return nil, false
	}
	v, rest, ok := plan.layout.Value(it.work.payload, e, b.text[:0])
	b.text = rest
	if !ok {
		return nil, false
	}
	switch v.Kind {
	case schemas.String:
		return v.Text, true
	case schemas.Int, schemas.Long:
		if v.Logical != schemas.NoLogical {
			return nil, false
		}
		b.text = strconv.AppendInt(b.text[:0], v.Int, 10)
		return b.text, true
	case schemas.Number:
		return v.Text, schemas.IsInteger(v.Text)
	}
	return nil, false
}
