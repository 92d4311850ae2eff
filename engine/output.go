package engine

import (
	"unicode/utf8"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// ProofHeader carries the nonce of the output's commitment (AUDIT A8).
const ProofHeader = "cs-proof"

// emit writes the output of purpose i and gives what the audit says of it; nil
// where there is none, because a treatment could not take a value.
func (b *Batch) emit(pt *part, i int, facts *policy.Facts, now int64) (committed *audit.Output, withheld int) {
	it := pt.item
	sp := &it.Lane.Stream.purposes[i]
	out := it.addOutput()
	out.Purpose, out.Topic, out.Element = sp.purpose.ID, sp.topic, pt.index
	ok := true
	if !it.work.tombstone {
		out.Value, withheld, ok = b.splice(pt, i)
	}
	if ok {
		out.Key, ok = b.treatKey(pt, sp, b.agreed[i])
	}
	if !ok {
		it.Outputs = it.Outputs[:len(it.Outputs)-1]
		return nil, 0
	}
	if b.dec.Reason != policy.Tombstone {
		// What goes out whatever the consent is the key alone: a header may
		// show what nobody has consented to.
		withheld += b.treatHeaders(it, sp, out, b.agreed[i])
	}
	out.Timestamp = now
	if !it.work.tombstone && it.work.plan.views[i].keepsTime && facts.EventTime >= 0 {
		out.Timestamp = facts.EventTime // below 0 the broker knew none
	}
	out.Partition = partition(out.Key, it.Offset, b.partitions(sp.topic))
	return b.commitOutput(it, sp, out), withheld
}

// partition follows the key as written, never the source partition, which was
// chosen by the key as it came.
func partition(key []byte, offset int64, n int32) int32 {
	if key != nil {
		return audit.Partition(key, n)
	}
	return int32(uint64(offset) % uint64(n))
}

func (it *Item) addOutput() *Output {
	outs := it.Outputs
	if len(outs) < cap(outs) {
		outs = outs[:len(outs)+1]
	} else {
		outs = append(outs, Output{})
	}
	it.Outputs = outs
	o := &outs[len(outs)-1]
	headers := o.Headers[:0]
	*o = Output{}
	o.Headers = headers
	return o
}

// splice writes the purpose's value into the arena.
func (b *Batch) splice(pt *part, i int) (value []byte, withheld int, ok bool) {
	it := pt.item
	v := &it.work.plan.views[i]
	dst := b.arena.open(2*len(pt.payload) + 512)
	if it.Lane.Stream.wiring.Format.Framed() {
		dst = schemas.AppendFrame(dst, v.schemaID)
	}
	out, withheld, err := v.projection.Splice(dst, pt.payload, pt.tape, v.gates.bits(b.agreed[i]))
	if err != nil {
		return nil, 0, false
	}
	return b.arena.close(out), withheld, true
}

// partitions is the partition count of an output topic, never below 1.
func (b *Batch) partitions(topic string) int32 {
	if b.engine.cfg.Partitions == nil {
		return 1
	}
	return max(1, b.engine.cfg.Partitions(topic))
}

// treatKey returns the output's key, treated like the field that it is. A constant
// is written whether or not the input has a key (promise P6).
func (b *Batch) treatKey(pt *part, sp *streamPurpose, c consents) (key []byte, ok bool) {
	key = pt.item.Key
	if sp.key.inValue {
		if key, ok = b.subjectKey(pt, sp); !ok {
			return nil, false
		}
	}
	if key == nil && sp.key.op != schemas.OpConst {
		return nil, true
	}
	return b.treatText(key, &sp.key.textPlan, c)
}

// subjectKey is the identifier of the key's subject as the element, or else a
// header, holds it: its text is good until the batch is empty.
func (b *Batch) subjectKey(pt *part, sp *streamPurpose) ([]byte, bool) {
	sub := &pt.item.Lane.Stream.subjects[sp.key.subject]
	if plan := pt.item.work.plan; len(sub.paths) > 0 && plan != nil {
		at := valueAt{plan, nowhere, pt.payload, pt.tape}
		for _, at.node = range plan.subjects[sp.key.subject] {
			if !at.missing() {
				break // all that are there agree: the subject permits
			}
		}
		text, ok := b.subjectText(at)
		return b.arena.copy(text), ok
	}
	for i := range pt.item.Headers {
		if h := &pt.item.Headers[i]; h.Key == sub.Header && h.Value != nil {
			return h.Value, true
		}
	}
	return nil, true
}

// textPlan is what a purpose does with a piece of text outside the value.
type textPlan struct {
	op   schemas.Op
	via  schemas.Transform
	gate gate
}

// treatText applies a textPlan to a key or a header value. A nil result means
// that nothing is left; ok is false where the treatment does not take the text.
func (b *Batch) treatText(text []byte, p *textPlan, c consents) (treated []byte, ok bool) {
	if !p.gate.open(c) {
		return nil, true
	}
	switch p.op {
	case schemas.OpKeep:
		return text, true
	case schemas.OpConst:
		text = nil
	case schemas.OpReplace:
		if !utf8.Valid(text) {
			return nil, false
		}
	default:
		return nil, true
	}
	v, rest, err := p.via.Apply(b.text[:0], schemas.Value{Kind: schemas.String, Text: text})
	if err != nil || v.Kind != schemas.String {
		return nil, false
	}
	b.text = rest[:0]
	return b.arena.copy(v.Text), true
}

// headerPlan is what a purpose does with a header.
type headerPlan struct {
	name string
	textPlan
}

// treatHeaders keeps the headers that the purpose may see, in input order, and
// counts those that their treatment does not take. Constants come after them,
// once each, whether or not the input has such headers (promise P6).
func (b *Batch) treatHeaders(it *Item, sp *streamPurpose, out *Output, c consents) (withheld int) {
	if len(sp.headers) == 0 {
		return 0
	}
	for _, h := range it.Headers {
		for i := range sp.headers {
			p := &sp.headers[i]
			if p.name != h.Key || h.Value == nil || p.op == schemas.OpConst {
				continue
			}
			if !b.addHeader(out, p, h.Value, c) {
				withheld++
			}
		}
	}
	for i := range sp.headers {
		if p := &sp.headers[i]; p.op == schemas.OpConst && !b.addHeader(out, p, nil, c) {
			withheld++
		}
	}
	return withheld
}

// addHeader adds what is left of a header; false where its treatment does not
// take the value.
func (b *Batch) addHeader(out *Output, p *headerPlan, value []byte, c consents) bool {
	v, ok := b.treatText(value, &p.textPlan, c)
	if v != nil {
		out.Headers = append(out.Headers, Header{Key: p.name, Value: v})
	}
	return ok
}

// commitOutput adds the proof header and gives the output's commitment.
func (b *Batch) commitOutput(it *Item, sp *streamPurpose, out *Output) *audit.Output {
	nonce := sp.noncer.Nonce(&it.Lane.Lane, it.Offset, out.Element)
	c := b.engine.commit
	c.Begin(nonce, out.Topic, out.Partition, out.Key, out.Timestamp)
	for _, h := range out.Headers {
		c.Header(h.Key, h.Value)
	}
	committed := it.addAuditOutput(out, c.End(out.Value))
	out.Headers = append(out.Headers, Header{Key: ProofHeader, Value: b.arena.copy(nonce[:])})
	return committed
}

// addAuditOutput keeps an audit.Output for as long as the item. Pointers given
// out before stay good when the slice grows: they keep the old array.
func (it *Item) addAuditOutput(out *Output, c audit.Hash) *audit.Output {
	it.outs = append(it.outs, audit.Output{})
	o := &it.outs[len(it.outs)-1]
	o.Topic, o.Partition, o.Commitment = out.Topic, out.Partition, c
	return o
}
