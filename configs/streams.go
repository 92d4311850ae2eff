package configs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// defaultLimits are the largest record that is processed, key and value, and the
// most elements that one is split into.
var defaultLimits = limits{recordBytes: 1_000_000, splitElements: engine.DefaultSplitElements}

// streamEntry is one stream of the file, sound or not.
type streamEntry struct {
	Stream
	it       item
	purposes []scalar // those named, in the file's order
	sound    bool
}

// streams reads the streams.
func (l *loader) streams(o object, pol policyFile) []streamEntry {
	limit := l.limits(o, defaultLimits)
	it, ok := o.items["streams"]
	if !ok {
		return nil
	}
	elements, ok := l.list(it)
	if ok && len(elements) == 0 {
		l.report(it.place(), "", "%s is empty", it.name)
	}
	var out []streamEntry
	for i, e := range elements {
		e.name = fmt.Sprintf("stream %d", i+1)
		before := l.errors()
		s, ok := l.stream(e, pol, limit)
		if !ok {
			continue
		}
		s.sound = l.errors() == before
		out = append(out, s)
	}
	return out
}

func (l *loader) stream(e item, pol policyFile, limit limits) (streamEntry, bool) {
	o, ok := l.object(e, streamSection)
	if !ok {
		return streamEntry{}, false
	}
	s := streamEntry{it: e}
	w := &s.Wiring
	w.Topic = o.topic("topic", "")
	w.Format = l.format(o)
	w.Schema, s.SchemaFile = l.schema(o, w.Format)
	s.purposes = l.purposesOf(o, pol)
	w.Purposes = inPolicyOrder(s.purposes, pol)
	w.Split = l.split(o)
	w.Subjects = l.subjects(o, pol)
	w.EventTime = l.eventTime(o)
	w.Key = l.key(o, pol)
	w.Headers = l.headers(o, pol)
	w.Fields = l.fields(o, "fields", pol)
	w.Tags = l.tags(o, w.Format)
	limit = l.limits(o, limit)
	w.RecordBytes, w.SplitElements = int(limit.recordBytes), int(limit.splitElements)
	if o.choice("start", "earliest", []string{"earliest", "latest"}, nil) == "latest" {
		s.Start = Latest
	}
	return s, true
}

func (l *loader) format(o object) schemas.Format {
	switch o.choice("format", "", []string{"avro", "json", "json_schema"}, []string{"protobuf"}) {
	case "avro":
		return schemas.Avro
	case "json":
		return schemas.JSON
	case "json_schema":
		return schemas.JSONSchema
	}
	return schemas.NoFormat
}

// schema reads the schema file that lint checks against.
func (l *loader) schema(o object, format schemas.Format) (schema, file string) {
	it, s, ok := o.textAt("schema")
	if !ok {
		return "", ""
	}
	if format == schemas.JSON {
		l.report(it.keyPlace(), "", "schema belongs to format: avro or json_schema; plain json has none")
		return "", ""
	}
	file = inDir(it.dir, s.text)
	text, err := l.read(file)
	switch {
	case err != nil:
		l.report(it.place(), "", "the schema file cannot be read: %s", readProblem(err))
	case len(text) > maxFile:
		l.report(it.place(), "", "the schema file is larger than 1 MiB")
	case len(text) == 0:
		l.report(it.place(), "", "the schema file is empty")
	}
	if err != nil || len(text) > maxFile {
		return "", ""
	}
	return string(text), file
}

// purposesOf reads the purposes of a stream; unknown ones are reported.
func (l *loader) purposesOf(o object, pol policyFile) []scalar {
	named := o.texts("purposes")
	for _, s := range named {
		l.places[o.it.at+".purposes["+s.text+"]"] = s.place()
		if len(pol.purposes) > 0 && !slices.Contains(pol.ids(), s.text) {
			l.report(s.place(), s.nearest(pol.ids()), "purpose %s is not in the policy", s.shown())
		}
	}
	return named
}

// inPolicyOrder lists the purposes that are named and valid, in the policy's order.
func inPolicyOrder(named []scalar, pol policyFile) []string {
	var out []string
	for _, p := range pol.purposes {
		if p.sound && slices.ContainsFunc(named, func(s scalar) bool { return s.text == p.id }) {
			out = append(out, p.id)
		}
	}
	return out
}

// eventTime reads a path, or where the time stands with what else is said of it.
func (l *loader) eventTime(o object) engine.TimeRule {
	it, ok := o.items["event_time"]
	if !ok {
		return engine.TimeRule{}
	}
	if shapeOf(it.node) != "a map" {
		return engine.TimeRule{Path: o.path("event_time")}
	}
	t, ok := l.object(it, eventTimeSection)
	if !ok {
		return engine.TimeRule{}
	}
	rule := engine.TimeRule{Path: t.path("path"), Header: t.text("header"), Unit: t.choice("unit", "", []string{"s", "ms", "us"}, []string{"ns"})}
	_, path := t.items["path"]
	if _, header := t.items["header"]; !path && !header {
		l.report(it.keyPlace(), "", "event_time needs a path or a header")
	}
	return rule
}

// category reads a value that is a category.
func (l *loader) category(it item) string {
	s, ok := l.text(it)
	if !ok {
		return ""
	}
	if !policy.ValidCategory(s.text) {
		near := s.nearestKey(policy.Categories())
		l.report(it.place(), near, "%s %s", s.shown(), notACategory(near))
	}
	return s.text
}

// tags reads the categories of a schema's tags, sorted by tag.
func (l *loader) tags(o object, format schemas.Format) []engine.TagRule {
	entries := o.freeEntries("tags")
	if len(entries) > 0 && (format == schemas.JSON || format == schemas.JSONSchema) {
		l.report(o.items["tags"].keyPlace(), "", "tags belong to format: avro: what json has is named by fields")
	}
	var out []engine.TagRule
	for _, e := range entries {
		out = append(out, engine.TagRule{Tag: e.key.Value, Category: l.category(e)})
	}
	slices.SortFunc(out, func(a, b engine.TagRule) int { return cmp.Compare(a.Tag, b.Tag) })
	return out
}

// paths reads a word that is a record path, or a list of them.
func (o object) paths(name string) []string {
	if it, ok := o.items[name]; !ok || it.node.Kind != yaml.SequenceNode {
		if path := o.path(name); path != "" {
			return []string{path}
		}
		return nil
	}
	var out []string
	for _, s := range o.texts(name) {
		if o.l.checkPath(s.node, s.text, s.item) {
			out = append(out, s.text)
		}
	}
	return out
}

// path reads a word that is a record path.
func (o object) path(name string) string {
	it, ok := o.items[name]
	if !ok {
		return ""
	}
	s, ok := o.l.text(it)
	if !ok || !o.l.checkPath(it.node, s.text, it) {
		return ""
	}
	return s.text
}

// checkPath adds an error for a text that is not a record path, at the character
// where it stops being one; it returns true for a valid path.
func (l *loader) checkPath(n *yaml.Node, text string, it item) bool {
	_, err := schemas.ParsePath(text)
	var e *schemas.PathError
	if !errors.As(err, &e) {
		return true
	}
	p := place{it.src, n.Line, n.Column}
	if start := it.src.textAt(n, text); start > 0 {
		p.col = start + e.Column - 1
	}
	said := ""
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && strings.Contains(e.Message, "double quotes") {
		said = ", within those of YAML"
	}
	l.report(p, e.Suggestion, "not a record path: %s%s", e.Message, said)
	return false
}
