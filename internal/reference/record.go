package reference

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Input is an input record.
type Input struct {
	Topic      string
	Partition  int32
	Offset     int64
	Timestamp  int64 // ms
	Key, Value []byte
	Headers    []Header
}

// Header is a Kafka header.
type Header struct {
	Key   string
	Value []byte
}

// Output is a record on a purpose's topic, without the header cs-proof.
type Output struct {
	Topic      string
	Partition  int32
	Timestamp  int64
	Key, Value []byte
	Headers    []Header
}

// Result is what the pipeline must make of an input record.
type Result struct {
	// Fault is the code under which the record goes to quarantine; "": it is
	// decided.
	Fault     string
	Tag       []byte // of the subject; nil where the record names none
	Decisions []Decision
}

// Decision is what must become of the record for one purpose.
type Decision struct {
	Purpose, Basis string
	Verdict
	Withheld int
	Plan     bool // a plan is cited: the record has a value
	Output   *Output
}

// World is what a record's result depends on besides the record.
type World struct {
	Policy     *Policy
	Streams    []*Stream
	Keys       *Keys
	Partitions func(topic string) int32
	// Schema gives a writer schema, OutputID the id under which the derived
	// schema of an output topic is registered.
	Schema   func(id uint32) (string, bool)
	OutputID func(topic string) (uint32, error)

	views  map[string]*view
	shapes map[*view]*shape
	avros  map[avroKey]*Avro
}

type avroKey struct {
	view *view
	id   uint32
}

// Moment is when a record is decided: the time, and the consent events of a
// subject that count.
type Moment struct {
	Now    int64
	Events func(subject string) []Event
}

// Stream is the wiring of a topic, nil for none.
func (w *World) Stream(topic string) *Stream {
	for _, s := range w.Streams {
		if s.Topic == topic {
			return s
		}
	}
	return nil
}

func (w *World) view(s *Stream, purpose string) *view {
	if w.views == nil {
		w.views, w.shapes, w.avros = map[string]*view{}, map[*view]*shape{}, map[avroKey]*Avro{}
	}
	name := s.Topic + "." + purpose
	if w.views[name] == nil {
		w.views[name] = &view{keys: w.Keys, stream: s, purpose: w.Policy.Purposes[purpose], policy: w.Policy}
	}
	return w.views[name]
}

// Avro is a writer schema as a purpose of a stream sees it.
func (w *World) Avro(s *Stream, purpose string, id uint32) (*Avro, error) {
	v := w.view(s, purpose)
	if a := w.avros[avroKey{v, id}]; a != nil {
		return a, nil
	}
	text, ok := w.Schema(id)
	if !ok {
		return nil, fmt.Errorf("schema %d is not known", id)
	}
	a, err := v.newAvro(text)
	if err == nil {
		w.avros[avroKey{v, id}] = a
	}
	return a, err
}

// content is a record's value, read.
type content struct {
	json    *tree
	avro    map[string]any
	schema  uint32
	subject string // as it stands; ok: it is a text or an integer
	ok      bool
	time    *int64
}

// Process gives the result of a record, which must not be hostile Avro.
func (w *World) Process(in *Input, at Moment) (*Result, error) {
	s := w.Stream(in.Topic)
	var c *content
	if in.Value != nil {
		var fault string
		var err error
		if c, fault, err = w.read(s, in.Value); err != nil || fault != "" {
			return &Result{Fault: fault}, err
		}
	}
	// D20. A tombstone has the record's timestamp for an event time.
	facts := Facts{EventTime: min(in.Timestamp, at.Now), Suspect: in.Timestamp > at.Now}
	id, resolved := w.subject(s, in, c)
	facts.Unresolved = !resolved
	if c != nil {
		if facts.Suspect = c.time == nil || *c.time > facts.EventTime; !facts.Suspect {
			facts.EventTime = *c.time
		}
	}
	r := &Result{}
	var rows []*Row
	if resolved {
		r.Tag = w.Keys.AuditTag(s.Namespace, id)
		if events := at.Events(s.Namespace + ":" + id); len(events) > 0 {
			rows = []*Row{Fold(events)}
		}
	}
	for _, purpose := range s.Purposes {
		d, err := w.decide(s, purpose, in, c, rows, facts, at.Now)
		if err != nil {
			return nil, err
		}
		r.Decisions = append(r.Decisions, d)
	}
	return r, nil
}

func (w *World) read(s *Stream, value []byte) (*content, string, error) {
	if s.Format == "json" {
		if f := jsonFault(value); f != "" {
			return nil, f, nil
		}
		t, err := parse(value)
		if err != nil {
			return nil, "", err
		}
		return readJSON(s, t), "", nil
	}
	switch {
	case len(value) == 0:
		return nil, "empty_value", nil
	case value[0] != 0:
		return nil, "bad_magic", nil
	case len(value) < 5:
		return nil, "truncated", nil
	}
	id := binary.BigEndian.Uint32(value[1:5])
	if _, ok := w.Schema(id); !ok {
		return nil, "unknown_schema", nil
	}
	a, err := w.Avro(s, s.Purposes[0], id)
	if err != nil {
		return nil, "", err
	}
	native, err := a.Decode(value[5:])
	if err != nil {
		return nil, "", err
	}
	c := &content{avro: native, schema: id}
	c.subject, c.ok = native[s.Path].(string)
	if ms, ok := native[s.EventTime].(int64); ok && ms >= 0 && ms <= maxInstant {
		c.time = &ms
	}
	return c, "", nil
}

// readJSON knows subjects and times at the top level.
func readJSON(s *Stream, t *tree) *content {
	c := &content{json: t}
	if v := t.get(s.Path); v != nil {
		switch {
		case v.kind == '"':
			c.subject, c.ok = v.text, true
		case v.kind == '0' && integer.MatchString(v.raw) && v.raw != "-0":
			c.subject, c.ok = v.raw, true
		}
	}
	if v := t.get(s.EventTime); v != nil && v.kind == '"' && len(v.text) <= 40 {
		if at, err := time.Parse(time.RFC3339Nano, v.text); err == nil && at.UnixMilli() >= 0 && at.UnixMilli() <= maxInstant {
			ms := at.UnixMilli()
			c.time = &ms
		}
	}
	return c
}

// subject is the record's subject, normalised. The key must name the same one.
func (w *World) subject(s *Stream, in *Input, c *content) (string, bool) {
	if c == nil {
		return w.Policy.normalize(s.Namespace, string(in.Key))
	}
	id, ok := w.Policy.normalize(s.Namespace, c.subject)
	if !ok || !c.ok {
		return "", false
	}
	if in.Key != nil {
		key, ok := w.Policy.normalize(s.Namespace, string(in.Key))
		if !ok || key != id {
			return "", false
		}
	}
	return id, true
}

func (w *World) decide(s *Stream, purpose string, in *Input, c *content, rows []*Row, facts Facts, now int64) (Decision, error) {
	v := w.view(s, purpose)
	d := Decision{Purpose: purpose, Basis: v.purpose.Basis, Plan: c != nil}
	d.Verdict = Decide(v.purpose, rows, facts, now)
	key := v.at(s.Path) // the key is the subject, and treated like it
	if c == nil {
		d.Verdict = tombstone(key, in.Key != nil, !facts.Unresolved, d.Verdict)
	}
	if !d.Permit {
		return d, nil
	}
	out := &Output{Topic: s.Topic + "." + purpose, Timestamp: now}
	if c != nil {
		if v.at(s.EventTime).Name == "keep" {
			out.Timestamp = facts.EventTime
		}
		var err error
		if out.Value, d.Withheld, err = w.value(v, out.Topic, c, d.Explicit); err != nil {
			return d, err
		}
	}
	if in.Key != nil && key.Name != "drop" && key.Name != "redact" {
		text, ok := v.text(s.Path, string(in.Key), key)
		if !ok {
			// This purpose cannot treat what is there; the others can (P6).
			d.Verdict, d.Withheld = Verdict{Reason: "INPUT_MALFORMED", Secondary: d.Secondary}, 0
			return d, nil
		}
		out.Key = []byte(text)
	}
	for _, h := range in.Headers {
		if d.Reason == "TOMBSTONE" {
			break // what goes out whatever the consent is the key alone
		}
		if category, ok := s.Headers[h.Key]; ok && h.Value != nil && v.purpose.treatment(category).Name == "keep" {
			out.Headers = append(out.Headers, h)
		}
	}
	n := w.Partitions(out.Topic)
	out.Partition = int32(in.Offset % int64(n))
	if out.Key != nil {
		out.Partition = Partition(out.Key, n)
	}
	d.Output = out
	return d, nil
}

// tombstone: it only removes (DESIGN section 5), and under a key that names
// nobody there is nothing to remove.
func tombstone(key Treatment, keyed, resolved bool, v Verdict) Verdict {
	switch {
	case !keyed || key.Name == "drop" || key.Name == "redact" || key.Name == "constant":
		return Verdict{Reason: "TOMBSTONE"}
	case key.Name == "pseudonymize" && resolved:
		return Verdict{Permit: true, Reason: "TOMBSTONE"}
	}
	return v
}

func (w *World) value(v *view, topic string, c *content, explicit bool) ([]byte, int, error) {
	if c.json != nil {
		if w.shapes[v] == nil {
			root, err := v.shapes()
			if err != nil {
				return nil, 0, err
			}
			w.shapes[v] = root
		}
		jw := jsonWriter{view: v, open: explicit}
		out := jw.record(w.shapes[v], c.json)
		return []byte(out), jw.withheld, nil
	}
	a, err := w.Avro(v.stream, v.purpose.ID, c.schema)
	if err != nil {
		return nil, 0, err
	}
	id, err := w.OutputID(topic)
	if err != nil {
		return nil, 0, err
	}
	out, err := a.Encode(c.avro, id, explicit)
	return out, 0, err
}
