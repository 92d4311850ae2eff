package schemas

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// IncompatibleError says what is different about a derived schema. Its text holds
// names of schemas and nothing else.
type IncompatibleError struct {
	// Changes are phrases about a purpose, in the order of the schema: "would
	// newly see address.city (string)", "would get email as string, so far
	// nullable string".
	Changes []string
}

// maxChanges is how many changes the text of an IncompatibleError names.
const maxChanges = 5

func (e *IncompatibleError) Error() string {
	text := strings.Join(e.Changes[:min(maxChanges, len(e.Changes))], "; ")
	if more := len(e.Changes) - maxChanges; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// Compatible reports whether records of the derived schema derived may go on a
// topic whose readers know registered. The error is an *IncompatibleError where
// they may not:
//
//   - nothing may be seen that was not: no field, no branch of a union;
//   - a reader that knows derived must be able to read what is on the topic (the
//     registry's BACKWARD; Avro 1.12, "Schema Resolution"), and take it for what
//     it is: a logical type is part of the type.
//
// So fields, and fields' values, may go away (null may be added), numbers may be
// promoted, and an enum may have more symbols.
func Compatible(registered, derived string) error {
	old, err := parseAvro(registered)
	if err != nil {
		return errors.New("the registered schema cannot be read")
	}
	now, err := parseAvro(derived)
	if err != nil {
		return errors.New("the derived schema cannot be read")
	}
	var c comparison
	c.compare("", old, now)
	if len(c.changes) > 0 {
		return &IncompatibleError{Changes: c.changes}
	}
	return nil
}

type comparison struct{ changes []string }

func (c *comparison) add(format string, args ...any) {
	c.changes = append(c.changes, fmt.Sprintf(format, args...))
}

// compare compares what stands at path.
func (c *comparison) compare(path string, old, now *avroSchema) {
	before, after := alternatives(old), alternatives(now)
	if len(after) != len(before) || canBeNull(old) && !canBeNull(now) {
		c.changed(path, old, now)
		return
	}
	read := make([]bool, len(after))
	for _, b := range before {
		i := slices.IndexFunc(after, func(a *avroSchema) bool { return a.typ.Kind == b.typ.Kind && readable(b.typ, a.typ) })
		if i < 0 {
			i = slices.IndexFunc(after, func(a *avroSchema) bool { return readable(b.typ, a.typ) })
		}
		if i < 0 || read[i] {
			c.changed(path, old, now)
			return
		}
		read[i] = true
		c.below(path, b, after[i])
	}
}

func canBeNull(s *avroSchema) bool { return s.typ.Nullable || s.typ.Kind == Null }

// alternatives are the types of a position other than null.
func alternatives(s *avroSchema) []*avroSchema {
	switch s.typ.Kind {
	case Null:
		return nil
	case Union:
		return slices.DeleteFunc(slices.Clone(s.branches), func(b *avroSchema) bool { return b.typ.Kind == Null })
	}
	return []*avroSchema{s}
}

// below compares what lies in two containers of one type.
func (c *comparison) below(path string, old, now *avroSchema) {
	switch now.typ.Kind {
	case Array:
		c.compare(path+"[*]", old.elem, now.elem)
	case Map:
		c.compare(joinPath(path, "*"), old.elem, now.elem)
	case Enum:
		for _, s := range old.typ.Symbols {
			if !slices.Contains(now.typ.Symbols, s) {
				c.add("would get %s without the symbol %s", path, s)
			}
		}
	case Record:
		for _, f := range now.fields {
			at := joinPath(path, f.name)
			i := slices.IndexFunc(old.fields, func(o avroField) bool { return o.name == f.name })
			if i < 0 {
				c.add("would newly see %s (%s)", at, f.schema.describe())
				continue
			}
			c.compare(at, old.fields[i].schema, f.schema)
		}
	}
}

func (c *comparison) changed(path string, old, now *avroSchema) {
	c.add("would get %s as %s, so far %s", path, now.describe(), old.describe())
}

// promotions are what a reader takes for a written type besides that type.
var promotions = map[Kind][]Kind{
	Int: {Long, Float, Double}, Long: {Float, Double}, Float: {Double}, String: {Bytes}, Bytes: {String},
}

// readable reports whether a reader of type now can read what old has written.
func readable(old, now Type) bool {
	if old.Logical != now.Logical || old.Logical == Decimal && (old.Precision != now.Precision || old.Scale != now.Scale) {
		return false
	}
	if old.Kind != now.Kind {
		return old.Logical == NoLogical && slices.Contains(promotions[old.Kind], now.Kind)
	}
	return old.Size == now.Size && shortName(old.Name) == shortName(now.Name) && old.Kind != Opaque
}

// describe names a type for people.
func (s *avroSchema) describe() string {
	text := s.typ.String()
	switch s.typ.Kind {
	case Record, Enum, Fixed:
		text += " " + shortName(s.typ.Name)
	case Union:
		var branches []string
		for _, b := range s.branches {
			branches = append(branches, b.describe())
		}
		return "one of " + strings.Join(branches, ", ")
	case Array, Map:
		text += " of " + s.elem.describe()
	}
	return text
}
