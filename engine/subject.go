package engine

import (
	"bytes"
	"strconv"

	"github.com/consentstream/consentstream/schemas"
)

// subjectRef says who a subject of a record, or of an element of it, is.
type subjectRef struct {
	tag      int32 // index in Batch.tags; -1: it cannot be told, and every purpose denies
	conflict bool  // it cannot, since two places name different ones
}

// findSubjects appends one subjectRef for each subject of the stream; at.plan is
// nil for a tombstone.
func (b *Batch) findSubjects(it *Item, at valueAt) {
	for i := range it.Lane.Stream.subjects {
		b.refs = append(b.refs, b.findSubject(it, i, at))
	}
}

// findSubject reads, normalises and tags subject i of the stream. All places that
// the wiring names and the record has must name the same one (DECISION D7); of those
// in the value one must be there, if it has any, but in a tombstone.
func (b *Batch) findSubject(it *Item, i int, at valueAt) subjectRef {
	sub := &it.Lane.Stream.subjects[i]
	c := candidate{batch: b, namespace: sub.Namespace, fine: true}
	if at.plan != nil && len(sub.paths) > 0 {
		c.addPlaces(at, at.plan.subjects[i])
	}
	if sub.key && it.Key != nil {
		c.add(it.Key, true)
	}
	if sub.Header != "" {
		for i := range it.Headers {
			if h := &it.Headers[i]; h.Key == sub.Header && h.Value != nil {
				c.add(h.Value, true)
			}
		}
	}
	if !c.fine || !c.named || c.conflict {
		return subjectRef{tag: -1, conflict: c.conflict && c.fine}
	}
	return subjectRef{tag: b.tag(sub.Namespace, b.norm[:c.n])}
}

// candidate is an identifier whose places are being read. Batch.norm[:n] is its
// normal form at the first of them.
type candidate struct {
	batch     *Batch
	namespace string
	first     []byte // as it came; nil: it is not at hand
	n         int
	named     bool // by one place at least
	fine      bool // no place holds what names nobody
	conflict  bool
}

// addPlaces adds what stands at the nodes of a subject's paths.
func (c *candidate) addPlaces(at valueAt, nodes []schemas.NodeID) {
	for i, id := range nodes {
		if at.node = id; !at.missing() {
			if i > 0 {
				c.first = nil // it may lie in Batch.text, which is written now
			}
			text, ok := c.batch.subjectText(at)
			c.add(text, ok)
		}
	}
	c.fine = c.fine && c.named
}

func (c *candidate) add(text []byte, ok bool) {
	b := c.batch
	if !ok {
		c.fine = false
		return
	}
	if c.first != nil && bytes.Equal(text, c.first) {
		return // mostly the key is what the value says, letter by letter
	}
	id, err := b.engine.norm.AppendNormalized(b.norm[:c.n], c.namespace, text)
	if err != nil {
		c.fine = false
		return
	}
	b.norm = id
	if !c.named {
		c.named, c.first, c.n = true, text, len(id)
		return
	}
	c.conflict = c.conflict || !bytes.Equal(id[:c.n], id[c.n:])
}

// tag gives the index of a subject's tag. That of the audit is computed once for
// each subject of the batch. Neither is remembered beyond it: a table of the tags of
// more people than a processor's cache holds takes as long to read as they take.
func (b *Batch) tag(namespace string, id []byte) int32 {
	tag, ok := b.engine.tagger.Tag(namespace, id)
	if !ok {
		return -1
	}
	i, seen := b.index[tag]
	if !seen {
		audTag, ok := b.engine.audTags.Tag(namespace, id)
		if !ok {
			return -1
		}
		i = int32(len(b.tags))
		b.tags, b.audTags = append(b.tags, tag), append(b.audTags, audTag)
		b.index[tag] = i
	}
	return i
}

// valueAt is a position of what was scanned.
type valueAt struct {
	plan    *Plan
	node    schemas.NodeID // below 0: there is no such
	payload []byte
	tape    *schemas.Tape
}

// missing reports whether nothing stands there, or null. Where it cannot be told what
// does, something does.
func (at *valueAt) missing() bool {
	if at.node < 0 {
		return at.node != unclear
	}
	if e, ok := at.tape.Find(at.node); ok {
		return e.Kind == schemas.Null
	}
	nodes := at.plan.layout.Nodes()
	for id := at.node; id >= 0; id = nodes[id].Parent {
		if at.tape.At[id] == schemas.Almost {
			return false // one reader takes what is there for it
		}
	}
	return true
}

// value decodes the scalar that stands there; ok is false where none does. Its
// text may lie in Batch.text.
func (b *Batch) value(at valueAt) (v schemas.Value, ok bool) {
	if at.node < 0 {
		return v, false
	}
	e, ok := at.tape.Find(at.node)
	if !ok {
		return v, false
	}
	v, b.text, ok = at.plan.layout.Value(at.payload, e, b.text[:0])
	return v, ok
}

// subjectText is the text of a subject's value: a string, or an integer in
// decimal. Anything else does not name a subject.
func (b *Batch) subjectText(at valueAt) ([]byte, bool) {
	v, ok := b.value(at)
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
