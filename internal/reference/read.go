package reference

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// content is a record's value or, where records are split, an element of it.
type content struct {
	json     *tree
	avro     map[string]any
	schema   uint32
	subjects [][]found // what stands at the paths of each, where something does
	time     *int64
}

// read gives what is decided at once: the record, or each element of it.
func (w *World) read(s *Stream, value []byte) ([]*content, string, error) {
	if s.Format == "json" {
		if f := jsonFault(value, s.single() && s.Split == ""); f != "" {
			return nil, f, nil
		}
		t, err := parse(value)
		if err != nil {
			return nil, "", err
		}
		return readJSON(s, t)
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
	return readAvro(s, native, id)
}

func readAvro(s *Stream, native map[string]any, schema uint32) (parts []*content, fault string, err error) {
	items := []any{native}
	if s.Split != "" {
		var ok bool
		if items, ok = reach(native, strings.TrimSuffix(s.Split, "[*]")).([]any); !ok {
			return nil, "not_an_array", nil
		}
	}
	if fault := tooMany(s, len(items)); fault != "" {
		return nil, fault, nil
	}
	for _, item := range items {
		record, ok := bare(item).(map[string]any)
		if !ok {
			return nil, "top_level_scalar", nil
		}
		c := &content{avro: record, schema: schema}
		for _, x := range s.Subjects {
			var there []found
			for _, path := range x.Paths {
				switch v := reach(record, path).(type) {
				case nil:
				case string:
					there = append(there, found{v, true})
				case int32, int64:
					there = append(there, found{fmt.Sprint(v), true})
				default:
					there = append(there, found{})
				}
			}
			c.subjects = append(c.subjects, there)
		}
		if ms, ok := reach(record, s.EventTime).(int64); ok && ms >= 0 && ms <= maxInstant {
			c.time = &ms
		}
		parts = append(parts, c)
	}
	return parts, "", nil
}

// reach follows a path of members through records and unions with null.
func reach(native any, path string) any {
	if path == "" {
		return nil
	}
	for _, name := range strings.Split(path, ".") {
		record, ok := bare(native).(map[string]any)
		if !ok {
			return nil
		}
		native = record[name]
	}
	return bare(native)
}

// bare is a value without goavro's union around it, which is a map of one type
// name: those are none of the names of fields of the tests.
func bare(native any) any {
	if m, ok := native.(map[string]any); ok && len(m) == 1 {
		for name, v := range m {
			if strings.Contains(name, ".") || contains([]string{"string", "int", "long", "array", "boolean", "double", "float", "bytes"}, name) {
				return v
			}
		}
	}
	return native
}

func tooMany(s *Stream, n int) string {
	most := s.SplitElements
	if most == 0 {
		most = 1000
	}
	if s.Split != "" && n > most {
		return "too_many_elements"
	}
	return ""
}

func readJSON(s *Stream, t *tree) (parts []*content, fault string, err error) {
	items := []*tree{t}
	if s.Split != "" {
		if array := t.reach(strings.TrimSuffix(s.Split, "[*]")); array != nil && array.kind == '[' {
			items = array.items
		} else {
			return nil, "not_an_array", nil
		}
	}
	if fault := tooMany(s, len(items)); fault != "" {
		return nil, fault, nil
	}
	for _, item := range items {
		switch container := item.kind == '{' || item.kind == '['; {
		case s.single() && container:
			return nil, "not_a_scalar", nil
		case !s.single() && !container:
			return nil, "top_level_scalar", nil
		case item.kind == '[' && s.Split != "":
			return nil, "not_an_object", nil // no path that the reference knows leads into it
		}
		parts = append(parts, readObject(s, item))
	}
	return parts, "", nil
}

func readObject(s *Stream, t *tree) *content {
	c := &content{json: t}
	for _, x := range s.Subjects {
		var there []found
		for _, path := range x.Paths {
			switch v := t.reach(path); {
			case v == nil || v.raw == "null":
			case v.kind == '"':
				there = append(there, found{v.text, true})
			case v.kind == '0' && integer.MatchString(v.raw) && v.raw != "-0":
				there = append(there, found{v.raw, true})
			default:
				there = append(there, found{})
			}
		}
		c.subjects = append(c.subjects, there)
	}
	if v := t.reach(s.EventTime); v != nil && v.kind == '"' {
		c.time = instant(v.text)
	}
	return c
}

// single says that records are single values.
func (s *Stream) single() bool {
	return len(s.Fields) == 1 && s.Fields[0].Path == ""
}

// reach follows a path of members; "" is t.
func (t *tree) reach(path string) *tree {
	if path == "" {
		return t
	}
	for _, name := range strings.Split(path, ".") {
		if t == nil || t.kind != '{' {
			return nil
		}
		t = t.get(name)
	}
	return t
}

// times: D20. A tombstone has the record's timestamp for an event time, and so has
// a record of a stream that names none.
func times(in *Input, c *content, s *Stream, now int64) Facts {
	f := Facts{EventTime: min(in.Timestamp, now), Suspect: in.Timestamp > now}
	var at *int64
	switch {
	case s.TimeHeader != "":
		at = headerTime(in, s.TimeHeader)
	case c == nil || s.EventTime == "":
		return f
	default:
		at = c.time
	}
	if f.Suspect = at == nil || *at > f.EventTime; !f.Suspect {
		f.EventTime = *at
	}
	return f
}

// headerTime is the time in a header, nil where there is none or two say it
// differently.
func headerTime(in *Input, name string) *int64 {
	texts := map[string]bool{}
	var at *int64
	for _, h := range in.Headers {
		if h.Key == name && h.Value != nil {
			texts[string(h.Value)] = true
			at = instant(string(h.Value))
		}
	}
	if len(texts) > 1 {
		return nil
	}
	return at
}

// instant reads RFC 3339 text; nil where it is none, or out of range.
func instant(text string) *int64 {
	at, err := time.Parse(time.RFC3339Nano, text)
	if ms := at.UnixMilli(); err == nil && len(text) <= 40 && ms >= 0 && ms <= maxInstant {
		return &ms
	}
	return nil
}
