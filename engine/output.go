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
func (b *Batch) emit(it *Item, i int, facts *policy.Facts, now int64) (committed *audit.Output, withheld int) {
	sp := &it.Lane.Stream.purposes[i]
	out := it.addOutput()
	out.Purpose, out.Topic = sp.purpose.ID, sp.topic
	ok := true
	if !it.work.tombstone {
		out.Value, withheld, ok = b.splice(it, i)
	}
	if ok {
		out.Key, ok = b.treatKey(it, sp)
	}
	if !ok {
		it.Outputs = it.Outputs[:len(it.Outputs)-1]
		return nil, 0
	}
	if b.dec.Reason != policy.Tombstone {
		// What goes out whatever the consent is the key alone: a header may
		// show what nobody has consented to.
		withheld += b.treatHeaders(it, sp, out)
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
	*o = Output{Headers: o.Headers[:0]}
	return o
}

// splice writes the purpose's value into the arena.
func (b *Batch) splice(it *Item, i int) (value []byte, withheld int, ok bool) {
	v := &it.work.plan.views[i]
	dst := b.arena.open(2*len(it.Value) + 512)
	if it.Lane.Stream.wiring.Format == schemas.Avro {
		dst = schemas.AppendFrame(dst, v.schemaID)
	}
	out, withheld, err := v.projection.Splice(dst, it.work.payload, b.tape(it), b.dec.Gates)
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

// treatKey gives the output's key: treated like the field that it is. A
// constant stands there whether or not the input has a key (promise P6).
func (b *Batch) treatKey(it *Item, sp *streamPurpose) (key []byte, ok bool) {
	if it.Key == nil && sp.key.op != schemas.OpConst {
		return nil, true
	}
	return b.treatText(it.Key, &sp.key.textPlan)
}

// textPlan is what a purpose does with a piece of text outside the value.
type textPlan struct {
	op   schemas.Op
	via  schemas.Transform
	gate uint32 // bit of policy.Decision.Gates; 0: none
}

// treatText applies a textPlan to a key or a header value. A nil result means
// that nothing is left; ok is false where the treatment does not take the text.
func (b *Batch) treatText(text []byte, p *textPlan) (treated []byte, ok bool) {
	if p.gate&^b.dec.Gates != 0 {
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
// counts those that their treatment does not take. Constants come behind them,
// once each, whether or not the input has such headers (promise P6).
func (b *Batch) treatHeaders(it *Item, sp *streamPurpose, out *Output) (withheld int) {
	if len(sp.headers) == 0 {
		return 0
	}
	for _, h := range it.Headers {
		for i := range sp.headers {
			p := &sp.headers[i]
			if p.name != h.Key || h.Value == nil || p.op == schemas.OpConst {
				continue
			}
			if !b.addHeader(out, p, h.Value) {
				withheld++
			}
		}
	}
	for i := range sp.headers {
		if p := &sp.headers[i]; p.op == schemas.OpConst && !b.addHeader(out, p, nil) {
			withheld++
		}
	}
	return withheld
}

// addHeader adds what is left of a header; false where its treatment does not
// take the value.
func (b *Batch) addHeader(out *Output, p *headerPlan, value []byte) bool {
	v, ok := b.treatText(value, &p.textPlan)
	if v != nil {
		out.Headers = append(out.Headers, Header{Key: p.name, Value: v})
	}
	return ok
}

// commitOutput adds the proof header and gives the output's commitment.
func (b *Batch) commitOutput(it *Item, sp *streamPurpose, out *Output) *audit.Output {
	nonce := sp.noncer.Nonce(&it.Lane.Lane, it.Offset, 0)
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
	it.outs = append(it.outs, audit.Output{Topic: out.Topic, Partition: out.Partition, Commitment: c})
	return &it.outs[len(it.outs)-1]
}
