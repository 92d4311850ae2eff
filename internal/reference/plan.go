package reference

import (
	"encoding/json"
	"fmt"
	"reflect"
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
	if s.Format == "json" {
		root, err := v.shapes()
		if err != nil {
			return nil, err
		}
		for _, pos := range *root.order {
			paths = append(paths, pos.path)
		}
	} else {
		a, err := w.Avro(s, purpose, schema)
		if err != nil {
			return nil, err
		}
		paths = a.root.leaves(nil)
	}
	for _, path := range paths {
		category, t := s.category(path), v.at(path)
		if category == "" {
			continue
		}
		f := planField{Path: path, Category: category, Treatment: describe(t)}
		if t.Explicit && t.Name != "drop" && t.Name != "redact" {
			f.Gate = "explicit_consent"
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

func (s *avroShape) leaves(paths []string) []string {
	if s.items != nil {
		return s.items.leaves(paths)
	}
	if s.fields == nil {
		return append(paths, s.path)
	}
	for _, f := range s.fields {
		paths = f.shape.leaves(paths)
	}
	return paths
}

// describe is the treatment as a plan document spells it.
func describe(t Treatment) string {
	switch {
	case len(t.Params) == 0:
		return t.Name
	case t.Name == "truncate":
		return fmt.Sprintf("truncate(n=%v)", t.Params["value"])
	}
	var parts []string
	for _, k := range []string{"char", "keep_first", "keep_last", "value"} {
		if x, ok := t.Params[k]; ok {
			if s, text := x.(string); text {
				x = quote(s)
			}
			parts = append(parts, fmt.Sprintf("%s=%v", k, x))
		}
	}
	return t.Name + "(" + strings.Join(parts, ", ") + ")"
}
