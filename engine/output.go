package engine

import (
	"unicode/utf8"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// ProofHeader carries the nonce of the output's commitment (AUDIT A8).
const ProofHeader = "cs-proof"

// emit appends the output of purpose i to the item.
func (b *Batch) emit(it *Item, i int, facts *policy.Facts, now int64) (withheld int, f *schemas.Fault) {
	sp := &it.Lane.Stream.purposes[i]
	out := it.addOutput()
	out.Purpose, out.Topic = sp.purpose.ID, sp.topic
	if !it.work.tombstone {
		if out.Value, withheld, f = b.splice(it, i); f != nil {
			return withheld, f
		}
	}
	if out.Key, f = b.treatKey(it, sp); f != nil {
		return withheld, f
	}
	if f = b.treatHeaders(it, sp, out); f != nil {
		return withheld, f
	}
	out.Timestamp = now
	if !it.work.tombstone && it.work.plan.views[i].keepsTime {
		out.Timestamp = facts.EventTime
	}
	n := b.partitions(sp.topic)
	out.Partition = int32(uint64(it.Offset) % uint64(n))
	if out.Key != nil {
		out.Partition = audit.Partition(out.Key, n)
	}
	return withheld, nil
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
func (b *Batch) splice(it *Item, i int) ([]byte, int, *schemas.Fault) {
	v := &it.work.plan.views[i]
	dst := b.arena.open(2*len(it.Value) + 512)
	if it.Lane.Stream.wiring.Format == schemas.Avro {
		dst = schemas.AppendFrame(dst, v.schemaID)
	}
	out, withheld, err := v.projection.Splice(dst, it.work.payload, &it.tape, b.dec.Gates)
	if err != nil {
		return nil, withheld, asFault(err)
	}
	return b.arena.close(out), withheld, nil
}

// partitions is the partition count of an output topic, never below 1.
func (b *Batch) partitions(topic string) int32 {
	if b.engine.cfg.Partitions == nil {
		return 1
	}
	return max(1, b.engine.cfg.Partitions(topic))
}

// treatKey gives the output's key: treated like the field that it is.
func (b *Batch) treatKey(it *Item, sp *streamPurpose) ([]byte, *schemas.Fault) {
	if it.Key == nil || sp.key.op == schemas.OpDrop || sp.key.op == schemas.OpNull {
		return nil, nil
	}
	return b.treatText(it.Key, &sp.key.textPlan, "key")
}

// textPlan is what a purpose does with a piece of text outside the value.
type textPlan struct {
	op    schemas.Op
	via   schemas.Transform
	gated bool
}

// treatText applies a textPlan to a key or a header value; nil means that
// nothing is left.
func (b *Batch) treatText(text []byte, p *textPlan, path string) ([]byte, *schemas.Fault) {
	if p.gated && b.dec.Gates&(1<<(gateExplicit-1)) == 0 {
		return nil, nil
	}
	switch p.op {
	case schemas.OpKeep:
		return text, nil
	case schemas.OpReplace, schemas.OpConst:
		if !utf8.Valid(text) {
			return nil, &schemas.Fault{Code: schemas.CodeBadUTF8, Path: path}
		}
		v, rest, err := p.via.Apply(b.text[:0], schemas.Value{Kind: schemas.String, Text: text})
		if err != nil {
			return nil, &schemas.Fault{Code: schemas.CodeTreatmentFailed, Path: path}
		}
		b.text = rest[:0]
		return b.arena.copy(v.Text), nil
	}
	return nil, nil
}

// headerPlan is what a purpose does with a header.
type headerPlan struct {
	name string
	textPlan
}

// treatHeaders keeps the headers that the purpose may see, in input order.
func (b *Batch) treatHeaders(it *Item, sp *streamPurpose, out *Output) *schemas.Fault {
	if len(sp.headers) == 0 {
		return nil
	}
	for _, h := range it.Headers {
		for i := range sp.headers {
			if sp.headers[i].name != h.Key || h.Value == nil {
				continue
			}
			v, f := b.treatText(h.Value, &sp.headers[i].textPlan, "headers."+sp.headers[i].name)
			if f != nil {
				return f
			}
			if v != nil {
				out.Headers = append(out.Headers, Header{Key: sp.headers[i].name, Value: v})
			}
		}
	}
	return nil
}

// commitOutput adds the proof header and the commitment of the last output.
func (b *Batch) commitOutput(it *Item, sp *streamPurpose) {
	out := &it.Outputs[len(it.Outputs)-1]
	nonce := sp.noncer.Nonce(&it.Lane.Lane, it.Offset, 0)
	c := b.engine.commit
	c.Begin(nonce, out.Topic, out.Partition, out.Key, out.Timestamp)
	for _, h := range out.Headers {
		c.Header(h.Key, h.Value)
	}
	it.Audit.Decisions[len(it.Audit.Decisions)-1].Output = it.addAuditOutput(out, c.End(out.Value))
	out.Headers = append(out.Headers, Header{Key: ProofHeader, Value: b.arena.copy(nonce[:])})
}

// addAuditOutput keeps an audit.Output for as long as the item. Pointers given
// out before stay good when the slice grows: they keep the old array.
func (it *Item) addAuditOutput(out *Output, c audit.Hash) *audit.Output {
	it.work.outs = append(it.work.outs, audit.Output{Topic: out.Topic, Partition: out.Partition, Commitment: c})
	return &it.work.outs[len(it.work.outs)-1]
}
