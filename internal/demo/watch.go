package demo

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/internal/devstack"
	"github.com/consentstream/consentstream/schemas"
)

// patience is how long a scene waits for the pipeline.
const patience = 15 * time.Second

// watcher collects what the pipeline writes.
type watcher struct {
	stack   *devstack.Stack
	client  *devstack.Client
	audits  []audit.Record
	records []devstack.Record
	codecs  map[int]*goavro.Codec
}

func newWatcher(stack *devstack.Stack) (*watcher, error) {
	topics := []string{devstack.AuditTopic, devstack.QuarantineTopic}
	for _, in := range []string{contactsTopic, eventsTopic} {
		for _, p := range purposes {
			topics = append(topics, in+"."+p)
		}
	}
	client, err := stack.NewClient(topics...)
	if err != nil {
		return nil, err
	}
	return &watcher{stack: stack, client: client, codecs: map[int]*goavro.Codec{}}, nil
}

// seen is everything that came of one input record.
type seen struct {
	audit   audit.Record
	outputs map[string][]field // by purpose
}

// await waits for the audit record of an input record and for the outputs that
// it speaks of. They become visible together: they are one transaction. What was
// collected until then is forgotten, so that the demo can be kept for days.
func (w *watcher) await(ctx context.Context, topic string, partition int32, offset int64) (*seen, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer func() { w.audits, w.records = nil, nil }()
	for {
		if a := w.find(topic, partition, offset); a != nil {
			return w.collect(ctx, a)
		}
		if err := w.poll(ctx); err != nil {
			return nil, fmt.Errorf("waiting for the audit record of %s-%d offset %d: %w", topic, partition, offset, err)
		}
	}
}

func (w *watcher) find(topic string, partition int32, offset int64) *audit.Record {
	for i := range w.audits {
		if a := &w.audits[i]; a.Lane.Topic == topic && a.Lane.Partition == partition && a.Offset == offset {
			return a
		}
	}
	return nil
}

func (w *watcher) poll(ctx context.Context) error {
	records, err := w.client.Poll(ctx)
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Topic != devstack.AuditTopic {
			w.records = append(w.records, r)
			continue
		}
		_, payload, f := schemas.ParseFrame(r.Value)
		if f != nil {
			return f
		}
		a, err := audit.DecodeRecord(payload)
		if err != nil {
			return err
		}
		w.audits = append(w.audits, a)
	}
	return nil
}

// collect finds the outputs by their commitments, as an auditor would.
func (w *watcher) collect(ctx context.Context, a *audit.Record) (*seen, error) {
	s := &seen{audit: *a, outputs: map[string][]field{}}
	for i := range a.Decisions {
		d := &a.Decisions[i]
		if d.Output == nil {
			continue
		}
		r, err := w.output(ctx, d.Output)
		if err != nil {
			return nil, fmt.Errorf("waiting for the output on %s: %w", d.Output.Topic, err)
		}
		text, err := w.text(ctx, r.Value)
		if err != nil {
			return nil, err
		}
		if s.outputs[d.Purpose], err = flatten(text); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (w *watcher) output(ctx context.Context, want *audit.Output) (devstack.Record, error) {
	c := audit.NewCommitter()
	for {
		i := slices.IndexFunc(w.records, func(r devstack.Record) bool {
			return r.Topic == want.Topic && r.Partition == want.Partition && commitment(c, r) == want.Commitment
		})
		if i >= 0 {
			return w.records[i], nil
		}
		if err := w.poll(ctx); err != nil {
			return devstack.Record{}, err
		}
	}
}

// commitment is AUDIT A8, from the output alone.
func commitment(c *audit.Committer, r devstack.Record) audit.Hash {
	var nonce audit.Nonce
	for _, h := range r.Headers {
		if h.Key == "cs-proof" {
			copy(nonce[:], h.Value)
		}
	}
	c.Begin(nonce, r.Topic, r.Partition, r.Key, r.Timestamp.UnixMilli())
	for _, h := range r.Headers {
		if h.Key != "cs-proof" {
			c.Header(h.Key, h.Value)
		}
	}
	return c.End(r.Value)
}

// text renders a value: JSON as it is, Avro under its registered schema.
func (w *watcher) text(ctx context.Context, value []byte) ([]byte, error) {
	if bytes.HasPrefix(value, []byte("{")) {
		return value, nil
	}
	id, payload, f := schemas.ParseFrame(value)
	if f != nil {
		return nil, f
	}
	if w.codecs[id] == nil {
		text, err := w.stack.Schema(ctx, id)
		if err != nil {
			return nil, err
		}
		if w.codecs[id], err = goavro.NewCodec(text); err != nil {
			return nil, err
		}
	}
	return render(w.codecs[id], payload)
}

// render gives Avro's JSON encoding with the members in schema order.
func render(codec *goavro.Codec, payload []byte) ([]byte, error) {
	native, _, err := codec.NativeFromBinary(payload)
	if err != nil {
		return nil, err
	}
	return codec.TextualFromNative(nil, native)
}
