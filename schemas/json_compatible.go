package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// CompatibleJSON is Compatible for derived JSON Schemas: the error is an
// *IncompatibleError where a member, or a type of one, would newly be seen, or
// where a reader of derived might meet another type on the topic than it knows.
// Members may go away. It reads what DeriveJSONSchema writes; of any other schema
// it says that it cannot be read.
func CompatibleJSON(registered, derived string) error {
	var old, now jsonShape
	if !old.read(registered) {
		return errors.New("the registered schema cannot be read")
	}
	if !now.read(derived) {
		return errors.New("the derived schema cannot be read")
	}
	var c comparison
	c.shapes("", &old, &now)
	if len(c.changes) > 0 {
		return &IncompatibleError{Changes: c.changes}
	}
	return nil
}

// jsonShape is a derived JSON Schema, read.
type jsonShape struct {
	Draft      string                `json:"$schema"`
	Type       jsonTypeList          `json:"type"`
	Properties map[string]*jsonShape `json:"properties"`
	Additional *jsonShapeOrNot       `json:"additionalProperties"`
	Items      *jsonShapeOrNot       `json:"items"`
	AnyOf      []*jsonShape          `json:"anyOf"`
}

func (s *jsonShape) read(text string) bool {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	return len(text) <= maxJSONSchema && d.Decode(s) == nil
}

type jsonTypeList []string

// UnmarshalJSON reads a type, or a list of types.
func (l *jsonTypeList) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = jsonTypeList{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// jsonShapeOrNot is a schema, or true or false.
type jsonShapeOrNot struct {
	jsonShape
	any, none bool
}

// UnmarshalJSON reads either.
func (s *jsonShapeOrNot) UnmarshalJSON(text []byte) error {
	s.any, s.none = string(text) == "true", string(text) == "false"
	if s.any || s.none {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(&s.jsonShape)
}

func (l jsonTypeList) String() string {
	if len(l) == 0 {
		return "any type"
	}
	return strings.Join(l, " or ")
}

// closed reports whether a shape says what may stand in a container: else all that
// does is kept.
func (s *jsonShape) closed() bool { return s.Additional != nil || s.Items != nil || len(s.AnyOf) > 0 }

// shapes compares what stands at path.
func (c *comparison) shapes(path string, old, now *jsonShape) {
	if !slices.Equal(old.Type, now.Type) || len(old.AnyOf) != len(now.AnyOf) {
		c.add("would get %s as %s, so far %s", orRecord(path), now.Type, old.Type)
		return
	}
	if old.closed() && !now.closed() {
		c.add("would newly see all of %s", orRecord(path))
		return
	}
	for i := range now.AnyOf {
		c.shapes(path, old.AnyOf[i], now.AnyOf[i])
	}
	for _, name := range sortedNames(now.Properties) {
		at := join(path, quoteName(name))
		switch was := old.Properties[name]; {
		case was != nil:
			c.shapes(at, was, now.Properties[name])
		case old.Additional == nil || old.Additional.any: // everything is seen already
		case old.Additional.none:
			c.add("would newly see %s (%s)", at, now.Properties[name].Type)
		default:
			c.shapes(at, &old.Additional.jsonShape, now.Properties[name])
		}
	}
	c.rest(join(path, "*"), old.Additional, now.Additional)
	c.rest(path+"[*]", old.Items, now.Items)
}

// rest compares what else may stand in a container.
func (c *comparison) rest(path string, old, now *jsonShapeOrNot) {
	switch {
	case now == nil || now.none:
	case old == nil || old.any: // everything is seen already
	case old.none:
		c.add("would newly see %s (%s)", path, now.Type)
	case now.any:
		c.add("would get %s as any type, so far %s", path, old.Type)
	default:
		c.shapes(path, &old.jsonShape, &now.jsonShape)
	}
}

func sortedNames(m map[string]*jsonShape) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func orRecord(path string) string {
	if path == "" {
		return "the record"
	}
	return path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
