package reference

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// planField is a line of a plan document: what a purpose does with a position.
type planField struct {
	Path      string `json:"path"`
	Category  string `json:"category"`
	Treatment string `json:"treatment"`
	Gate      string `json:"gate"`
	Subject   string `json:"subject"`
}

// CheckPlan compares a plan document of consent.policies with what the purpose
// does with each position that has a category, in the order of the schema, or
// of the wiring for JSON. schema is 0 for JSON.
func (w *World) CheckPlan(doc []byte, s *Stream, purpose string, schema uint32) error {
	var got struct {
		Kind, Topic, Purpose, Output string
		Version                      int
		Fields                       []planField
	}
	if err := json.Unmarshal(doc, &got); err != nil {
		return err
	}
	if got.Kind != "plan" || got.Version != 1 || got.Topic != s.Topic || got.Purpose != purpose || got.Output != s.Topic+"."+purpose {
		return fmt.Errorf("a plan of another stream or purpose")
	}
	want, err := w.plan(s, purpose, schema)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(got.Fields, want) {
		return fmt.Errorf("the fields differ:\n%v\nwant\n%v", got.Fields, want)
	}
	return nil
}

func (w *World) plan(s *Stream, purpose string, schema uint32) (fields []planField, err error) {
	v := w.view(s, purpose)
	var paths []string
	var kinds []kind // of Avro
	if s.Format == "json" {
		root, err := v.shapes()
		if err != nil {
			return nil, err
		}
		if paths = root.walk(nil); s.single() {
			paths = []string{""}
		}
	} else {
		a, err := w.Avro(s, purpose, schema)
		if err != nil {
			return nil, err
		}
		paths, kinds = a.root.leaves(nil, nil)
	}
	for i, path := range paths {
		category, t := s.category(path), v.at(path)
		if category == "" {
			continue
		}
		if i < len(kinds) && !t.has(kinds[i]) {
			t = Treatment{Name: "drop"}
		}
		f := planField{Path: cmp.Or(path, "**"), Category: category, Treatment: describe(t)}
		if t.Name != "drop" && t.Name != "redact" {
			f.Gate = t.gate()
		}
		if about := s.about(path); len(s.Subjects) > 1 && len(about) > 0 {
			if f.Subject = "*"; len(about) == 1 {
				f.Subject = s.Subjects[about[0]].Name
			}
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func (s *avroShape) leaves(paths []string, kinds []kind) ([]string, []kind) {
	if s.items != nil {
		return s.items.leaves(paths, kinds)
	}
	if s.fields == nil {
		return append(paths, s.path), append(kinds, s.scalar)
	}
	for _, f := range s.fields {
		paths, kinds = f.shape.leaves(paths, kinds)
	}
	return paths, kinds
}

// has says that a treatment has a result for a type.
func (t Treatment) has(k kind) bool {
	_, ok := t.result(k)
	return ok || t.Name == "redact" || t.holds(k)
}

// describe is the treatment as a plan document spells it: the parameters by name,
// lists with commas.
func describe(t Treatment) string {
	if len(t.Params) == 0 {
		return t.Name
	}
	var parts []string
	for name, v := range t.Params {
		switch name {
		case "bucket", "ip_prefix":
			v = list(v, ",")
		case "query":
			v = list(v, "&")
		case "url":
			name, v = "url_query", list(v.(map[string]any)["query"], "&")
			if v == "drop" {
				v = ""
			}
		case "value":
			if t.Name == "truncate" {
				name = "n"
			}
		}
		if s, text := v.(string); text {
			v = quote(s)
		}
		parts = append(parts, fmt.Sprintf("%s=%v", name, v))
	}
	slices.Sort(parts)
	return t.Name + "(" + strings.Join(parts, ", ") + ")"
}

func list(v any, sep string) string {
	items, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	texts := make([]string, len(items))
	for i := range items {
		texts[i] = fmt.Sprint(items[i])
	}
	return strings.Join(texts, sep)
}
