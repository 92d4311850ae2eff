package engine

import (
	"bytes"
	"strconv"
	"time"

	"github.com/consentstream/consentstream/schemas"
)

// timeRule says how the event time's value becomes milliseconds. The zero
// timeRule reads nothing: the event time is missing then (DECISION D20).
type timeRule struct {
	// mul and div turn an integer into milliseconds: v * mul / div.
	mul, div int64
	// text allows RFC 3339 text with a zone.
	text bool
}

// The largest and smallest event times: years 1970 to 9999 (DECISION D2).
const (
	minTime = 0
	maxTime = 253402300799999
)

var units = map[string]timeRule{
	"s":  {mul: 1000, div: 1, text: true},
	"ms": {mul: 1, div: 1, text: true},
	"us": {mul: 1, div: 1000, text: true},
}

// newTimeRule settles how to read the event time of a layout. A typed Avro
// time needs no unit; a local timestamp has no zone and counts as missing.
func newTimeRule(w TimeRule, layout schemas.Layout, id schemas.NodeID) timeRule {
	if id < 0 {
		return timeRule{}
	}
	t := layout.Nodes()[id].Type
	switch t.Logical {
	case schemas.TimestampMillis:
		return timeRule{mul: 1, div: 1}
	case schemas.TimestampMicros:
		return timeRule{mul: 1, div: 1000}
	case schemas.TimestampNanos:
		return timeRule{mul: 1, div: 1000000}
	case schemas.NoLogical:
	default:
		return timeRule{}
	}
	if r, ok := units[w.Unit]; ok {
		return r
	}
	return timeRule{text: true}
}

// eventTime reads the record's event time; ok is false where it is missing,
// without a zone or out of range.
func (b *Batch) eventTime(at valueAt) (ms int64, ok bool) {
	v, ok := b.value(at)
	if !ok {
		return 0, false
	}
	p := at.plan
	switch v.Kind {
	case schemas.Int, schemas.Long:
		return p.timeRule.fromInt(v.Int)
	case schemas.Number:
		n, ok := parseInt(v.Text)
		if !ok {
			return 0, false
		}
		return p.timeRule.fromInt(n)
	case schemas.String:
		return p.timeRule.fromText(v.Text)
	}
	return 0, false
}

// headerTime reads the event time in a header; ok is false where it is missing, or
// said twice in different words, without a zone or out of range.
func (it *Item) headerTime(name string) (ms int64, ok bool) {
	var text []byte
	for i := range it.Headers {
		h := &it.Headers[i]
		if h.Key != name || h.Value == nil {
			continue
		}
		if text != nil && !bytes.Equal(text, h.Value) {
			return 0, false
		}
		text = h.Value
	}
	return timeRule{text: true}.fromText(text)
}

// expected reports whether a record should say when it happened: a tombstone has
// headers, and no value.
func (w *TimeRule) expected(tombstone bool) bool {
	return w.Header != "" || w.Path != "" && !tombstone
}

func (r timeRule) fromInt(v int64) (int64, bool) {
	if r.div == 0 || v < 0 || v > maxTime && r.mul > 1 {
		return 0, false
	}
	return inRange(v * r.mul / r.div)
}

func (r timeRule) fromText(text []byte) (int64, bool) {
	if !r.text || len(text) > 40 {
		return 0, false
	}
	var t time.Time
	if t.UnmarshalText(text) != nil {
		return 0, false
	}
	return inRange(t.UnixMilli())
}

func inRange(ms int64) (int64, bool) { return ms, ms >= minTime && ms <= maxTime }

// parseInt reads a JSON number; a fraction is cut off, an exponent refused.
func parseInt(text []byte) (int64, bool) {
	if bytes.ContainsAny(text, "eE") {
		return 0, false
	}
	text, _, _ = bytes.Cut(text, []byte("."))
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, err == nil
}
