package eval

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// The topics that lines name where Config does not.
const (
	quarantineTopic = "consent.quarantine"
	auditTopic      = "consent.audit"
)

// source is where a line's record came from.
type source struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Element   int32  `json:"element"`
}

type outputLine struct {
	Kind      string            `json:"kind"`
	Purpose   string            `json:"purpose"`
	Topic     string            `json:"topic"`
	Source    source            `json:"source"`
	Key       *string           `json:"key"`
	KeyBase64 string            `json:"key_base64,omitempty"`
	Headers   map[string]string `json:"headers"`
	Timestamp string            `json:"timestamp"`
}

type quarantineLine struct {
	Kind   string `json:"kind"`
	Topic  string `json:"topic"`
	Source source `json:"source"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
	Path   string `json:"path"`
}

func (r *runner) source(it *engine.Item) source {
	return source{Topic: r.cfg.Topic, Offset: it.Offset}
}

// write writes all lines of one item.
func (r *runner) write(it *engine.Item) error {
	for i := range it.Outputs {
		if err := r.writeOutput(it, &it.Outputs[i]); err != nil {
			return err
		}
	}
	if it.State == engine.StateFaulted {
		r.sum.Quarantined++
		r.sum.Faults[Fault{it.Audit.Reason, it.Audit.Detail}]++
		q := quarantineLine{Kind: "quarantine", Topic: r.cfg.Quarantine, Source: r.source(it), Reason: it.Audit.Reason, Detail: it.Audit.Detail, Path: it.Audit.Path}
		if err := r.writeLine(q, "", nil); err != nil {
			return err
		}
	}
	for i := range it.Audit.Decisions {
		if d := &it.Audit.Decisions[i]; !d.Permit {
			r.sum.Denied[Denial{d.Purpose, d.Reason}]++
		}
	}
	return r.writeAudit(it)
}

func (r *runner) writeOutput(it *engine.Item, out *engine.Output) error {
	r.sum.Outputs++
	line := outputLine{
		Kind: "output", Purpose: out.Purpose, Topic: out.Topic, Source: r.source(it),
		Headers: map[string]string{}, Timestamp: rfc3339(out.Timestamp),
	}
	line.Source.Element = out.Element
	if out.Key != nil {
		line.Key, line.KeyBase64 = showBytes(out.Key)
	}
	for _, h := range out.Headers {
		line.Headers[h.Key] = showHeader(h)
	}
	value := json.RawMessage("null")
	if out.Value != nil {
		value = out.Value
		if r.framed != nil {
			var err error
			if value, err = r.framed.text(out.Value); err != nil {
				return err
			}
		}
	}
	return r.writeLine(line, "value", value)
}

// showBytes shows a key as text, or in base64 where it is none.
func showBytes(b []byte) (text *string, b64 string) {
	if utf8.Valid(b) {
		s := string(b)
		return &s, ""
	}
	return nil, base64.StdEncoding.EncodeToString(b)
}

func showHeader(h engine.Header) string {
	if h.Key == engine.ProofHeader || !utf8.Valid(h.Value) {
		return hex.EncodeToString(h.Value)
	}
	return string(h.Value)
}

// writeLine writes head with one more member whose JSON is kept as it is, but
// for white space between tokens, which would break the line.
func (r *runner) writeLine(head any, member string, raw json.RawMessage) error {
	b, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if member != "" {
		r.text.Reset()
		if err := json.Compact(&r.text, raw); err != nil {
			return &schemas.Fault{Code: schemas.CodeSyntax}
		}
		b = append(b[:len(b)-1], ',')
		b = strconv.AppendQuote(b, member)
		b = append(b, ':')
		b = append(b, r.text.Bytes()...)
		b = append(b, '}')
	}
	_, err = r.out.Write(append(b, '\n'))
	return err
}

// writeAudit chains the item's audit record and writes it as JSON.
func (r *runner) writeAudit(it *engine.Item) error {
	rec := &it.Audit
	if r.chain.Next == 0 {
		rec.Context = r.context()
	}
	var err error
	if r.record, err = r.chain.Append(r.record[:0], rec); err != nil {
		return err
	}
	for i := range rec.Decisions {
		d := &rec.Decisions[i]
		d.Fields = r.stream.Fields(it.SchemaID, d.Purpose)
		if d.HasCited {
			d.CitedID = r.ids[d.CitedOffset]
		}
	}
	_, err = r.out.Write(append(audit.AppendJSON(nil, r.cfg.Audit, rec), '\n'))
	return err
}

// context is what all decisions share: there is one transaction.
func (r *runner) context() *audit.Context {
	ring := r.cfg.Engine.Keys
	c := &audit.Context{
		Policy: r.cfg.Engine.Policy.Digest(), Revision: r.cfg.Engine.Policy.Revision, DecidedAt: r.cfg.At,
		Fence: r.states.Next(), KeyEpoch: int32(ring.Active()), SignKey: ring.SignID(), Version: "eval",
	}
	c.KeyCheck, _ = ring.Check(ring.Active()) // the active epoch is always there
	return c
}

func rfc3339(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}
