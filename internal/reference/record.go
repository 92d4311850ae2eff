package reference

import (
	"errors"
	"fmt"
	"unicode/utf8"
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
	Subjects  []Named
	Decisions []Decision
}

// Named is a subject of the record, or of an element of it.
type Named struct {
	Name string
	Tag  []byte // nil where it names none
}

// Decision is what must become of the record, or an element of it, for one purpose
// and one subject.
type Decision struct {
	Element, Subject int // in Result.Subjects
	Purpose, Basis   string
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

// Process gives the result of a record, which must not be hostile Avro.
func (w *World) Process(in *Input, at Moment) (*Result, error) {
	s := w.Stream(in.Topic)
	parts := []*content{nil}
	if in.Value != nil {
		var fault string
		var err error
		if parts, fault, err = w.read(s, in.Value); err != nil || fault != "" {
			return &Result{Fault: fault}, err
		}
	}
	if s.Key != nil && s.Key.Category != "" && !utf8.Valid(in.Key) {
		return &Result{Fault: "bad_utf8"}, nil
	}
	r := &Result{}
	for i, c := range parts {
		if err := w.processPart(r, s, in, i, c, at); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// processPart decides one element for each purpose and each of its subjects.
func (w *World) processPart(r *Result, s *Stream, in *Input, element int, c *content, at Moment) error {
	first := len(r.Subjects)
	rows, facts, tags := make([][]*Row, len(s.Subjects)), make([]Facts, len(s.Subjects)), map[int][]byte{}
	for i, x := range s.Subjects {
		id, ok, conflict := w.identify(s, i, in, c)
		facts[i] = times(in, c, s, at.Now)
		facts[i].Unresolved, facts[i].Conflict = !ok, conflict
		named := Named{Name: x.Name}
		if ok {
			named.Tag = w.Keys.AuditTag(x.Namespace, id)
			tags[i] = w.Keys.StateTag(x.Namespace, w.Policy.Namespaces[x.Namespace], id)
			if events := at.Events(x.Namespace + ":" + id); len(events) > 0 {
				rows[i] = []*Row{Fold(events)}
			}
		}
		r.Subjects = append(r.Subjects, named)
	}
	for _, purpose := range s.Purposes {
		v := w.view(s, purpose)
		heard, from := voices{map[int]bool{}, map[int]bool{}, map[int]bool{}, tags}, len(r.Decisions)
		for i := range s.Subjects {
			d := Decision{Element: element, Subject: first + i, Purpose: purpose, Basis: v.purpose.Basis, Plan: c != nil}
			d.Verdict = Decide(v.purpose, rows[i], facts[i], at.Now)
			heard.permit[i], heard.explicit[i], heard.ground[i] = d.Permit, d.Permit && d.Explicit, d.Permit && d.Grounded
			r.Decisions = append(r.Decisions, d)
		}
		main := s.main()
		if err := w.conclude(v, in, c, &r.Decisions[from+main], heard, facts, at.Now); err != nil {
			return err
		}
	}
	return nil
}

// conclude makes of the main subject's decision what becomes of the element.
func (w *World) conclude(v *view, in *Input, c *content, d *Decision, heard voices, facts []Facts, now int64) error {
	s := v.stream
	key := s.keyText()
	treat := Treatment{Name: "drop"}
	if key != nil {
		treat = v.purpose.treatment(key.category)
		if treat.Name != "drop" && !heard.open(key.about, s.main(), treat) {
			treat = Treatment{Name: "redact"}
		}
	}
	var incoming *string
	if in.Key != nil {
		text := string(in.Key)
		incoming = &text
	}
	// The key of a batch says nothing of its elements, unless the wiring says so.
	if i := s.keyed(); key != nil && i >= 0 && s.Split != "" && !s.Subjects[i].Key {
		incoming = nil
		if c != nil && len(s.Subjects[i].Paths) > 0 {
			if there := c.subjects[i]; len(there) > 0 {
				incoming = &there[0].text
			}
		} else if c != nil {
			incoming = header(in, s.Subjects[i].Header)
		}
	}
	if c == nil {
		i := s.keyed()
		d.Verdict = tombstone(treat, incoming != nil, i < 0 || !facts[i].Unresolved, d.Verdict)
	}
	if !d.Permit {
		return nil
	}
	out := &Output{Topic: s.Topic + "." + v.purpose.ID, Timestamp: now}
	if c != nil {
		if v.seesTime() {
			out.Timestamp = facts[s.main()].EventTime
		}
		var err error
		out.Value, d.Withheld, err = w.value(v, out.Topic, c, heard)
		if errors.Is(err, errNoResult) {
			d.malformed()
			return nil
		}
		if err != nil {
			return err
		}
	}
	if incoming != nil && treat.Name != "drop" && treat.Name != "redact" {
		text, ok := v.treatText(key, *incoming, treat, heard)
		if !ok {
			d.malformed()
			return nil
		}
		out.Key = []byte(text)
	}
	if d.Reason != "TOMBSTONE" { // what goes out whatever the consent is the key alone
		d.Withheld += v.headers(in, out, heard)
	}
	n := w.Partitions(out.Topic)
	out.Partition = int32(in.Offset % int64(n))
	if out.Key != nil {
		out.Partition = Partition(out.Key, n)
	}
	d.Output = out
	return nil
}

// seesTime: the purpose keeps what the event time stands in, whoever permits.
func (v *view) seesTime() bool {
	s := v.stream
	if s.TimeHeader == "" {
		at := v.at(s.EventTime)
		return s.EventTime != "" && at.Name == "keep" && !v.gated(s.EventTime, at)
	}
	h := s.headerText(s.TimeHeader)
	if h == nil {
		return false
	}
	t := v.purpose.treatment(h.category)
	return t.Name == "keep" && t.gate() == "" && voices{permit: map[int]bool{s.main(): true}}.open(h.about, s.main(), t)
}

// malformed: this purpose cannot treat what is there; the others can (P6).
func (d *Decision) malformed() {
	d.Verdict, d.Withheld = Verdict{Reason: "INPUT_MALFORMED", Secondary: d.Secondary}, 0
}

func header(in *Input, name string) *string {
	for _, h := range in.Headers {
		if h.Key == name && h.Value != nil {
			text := string(h.Value)
			return &text
		}
	}
	return nil
}

// headers writes those that stay, and counts those that a treatment does not take.
func (v *view) headers(in *Input, out *Output, heard voices) (withheld int) {
	for _, h := range in.Headers {
		where := v.stream.headerText(h.Key)
		if where == nil || h.Value == nil {
			continue
		}
		t := v.purpose.treatment(where.category)
		if t.Name == "drop" || t.Name == "redact" || !heard.open(where.about, v.stream.main(), t) {
			continue
		}
		text := string(h.Value)
		if t.Name != "keep" {
			var ok bool
			if text, ok = v.treatText(where, text, t, heard); !ok || !utf8.Valid(h.Value) {
				withheld++
				continue
			}
		}
		out.Headers = append(out.Headers, Header{h.Key, []byte(text)})
	}
	return withheld
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

func (w *World) value(v *view, topic string, c *content, heard voices) ([]byte, int, error) {
	if c.json != nil {
		if w.shapes[v] == nil {
			root, err := v.shapes()
			if err != nil {
				return nil, 0, err
			}
			w.shapes[v] = root
		}
		jw := jsonWriter{view: v, heard: heard}
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
	out, err := a.Encode(c.avro, id, heard)
	return out, 0, err
}
