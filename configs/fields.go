package configs

import (
	"cmp"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// subjects reads the subjects of a stream, in the file's order. It returns none
// where one of them has an error, so that what refers to it is not reported too.
func (l *loader) subjects(o object, pol policyFile) []engine.SubjectRule {
	var out []engine.SubjectRule
	before := l.errors()
	for _, e := range o.freeEntries("subjects") {
		if !namespaceName.MatchString(e.key.Value) {
			l.report(e.keyPlace(), "", "%s is not a subject name: lower-case letters, digits and _, a letter first", e.name)
		}
		rule := engine.SubjectRule{Name: e.key.Value}
		if s, ok := l.object(e, subjectSection); ok {
			rule.Namespace = l.namespaceOf(s, pol)
			rule.Paths, rule.Header, rule.Key = s.paths("path"), s.text("header"), s.boolean("key")
		}
		out = append(out, rule)
	}
	if l.errors() > before {
		return nil
	}
	return out
}

// namespaceOf reads the name of a namespace of the policy.
func (l *loader) namespaceOf(o object, pol policyFile) string {
	it, s, ok := o.textAt("namespace")
	if !ok {
		return ""
	}
	if len(pol.namespaces) > 0 && !slices.Contains(pol.namespaces, s.text) {
		l.report(it.place(), s.nearest(pol.namespaces), "namespace %s is not in the policy, which has %s", s.shown(), strings.Join(pol.namespaces, ", "))
	}
	return s.text
}

// split reads the path of the array whose elements are records of their own.
func (l *loader) split(o object) string {
	it, ok := o.items["split"]
	if !ok {
		return ""
	}
	s, ok := l.object(it, splitSection)
	if !ok {
		return ""
	}
	return s.path("path")
}

const keyShapes = "key must be none, {subject: NAME} or {category: CATEGORY}"

// key reads what the record key is: none, a subject, a category, or both.
func (l *loader) key(o object, pol policyFile) engine.KeyRule {
	it, ok := o.items["key"]
	if !ok {
		return engine.KeyRule{}
	}
	if shapeOf(it.node) != "a map" {
		s, ok := l.scalar(it)
		if ok && s.text != "none" {
			l.report(it.place(), "", "%s, not %s", keyShapes, s.shown())
		}
		return engine.KeyRule{}
	}
	k, ok := l.object(it, keySection)
	if !ok {
		return engine.KeyRule{}
	}
	rule := engine.KeyRule{Subject: k.text("subject"), Namespace: l.namespaceOf(k, pol)}
	c, categorised := k.items["category"]
	if categorised {
		rule.Category = l.category(c)
	}
	switch s, bound := k.items["subject"]; {
	case bound && rule.Namespace != "":
		l.report(s.keyPlace(), "", "the key of a subject has the subject's namespace: remove one of the two")
	case !bound && !categorised:
		l.report(it.keyPlace(), "", keyShapes)
	}
	return rule
}

// headers reads the headers that have a category, sorted by name.
func (l *loader) headers(o object, pol policyFile) []engine.HeaderRule {
	var out []engine.HeaderRule
	for _, e := range o.freeEntries("headers") {
		f := l.field(e, pol)
		if f.Nested != nil {
			l.report(e.keyPlace(), "", "json and base64 are for fields, not for headers: give %s a category", e.name)
		}
		out = append(out, engine.HeaderRule{Name: f.Path, Category: f.Category, Subject: f.Subject, Namespace: f.Namespace})
	}
	slices.SortFunc(out, func(a, b engine.HeaderRule) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// fields reads path -> category or field.
func (l *loader) fields(o object, word string, pol policyFile) []engine.FieldRule {
	var out []engine.FieldRule
	for _, e := range o.freeEntries(word) {
		rule := l.field(e, pol)
		if e.key.Value == "" || l.checkPath(e.key, e.key.Value, e) { // "": the record itself
			out = append(out, rule)
		}
	}
	return out
}

// field reads a category, or a mapping with a category and further properties.
func (l *loader) field(e item, pol policyFile) engine.FieldRule {
	rule := engine.FieldRule{Path: e.key.Value}
	if shapeOf(e.node) != "a map" {
		rule.Category = l.category(e)
		return rule
	}
	f, ok := l.object(e, fieldSection)
	if !ok {
		return rule
	}
	if c, ok := f.items["category"]; ok {
		rule.Category = l.category(c)
	}
	rule.Subject, rule.Namespace = f.text("subject"), l.namespaceOf(f, pol)
	rule.Nested = l.nested(f, pol)
	said := 0
	for _, word := range []string{"category", "json", "base64", "base64url"} {
		if _, ok := f.items[word]; ok {
			said++
		}
	}
	if said != 1 {
		l.report(e.keyPlace(), "", "a field needs one of category, json, base64 and base64url")
	}
	if ns, ok := f.items["namespace"]; ok && rule.Nested != nil {
		l.report(ns.keyPlace(), "", "a text of JSON is not an identifier: give a namespace to the fields in it")
	}
	return rule
}

// nested reads what stands in the text of a field, nil for none.
func (l *loader) nested(f object, pol policyFile) *engine.NestedRule {
	if _, ok := f.items["json"]; ok {
		return nestedRule(schemas.PlainText, l.fields(f, "json", pol))
	}
	encoding := schemas.Base64
	it, ok := f.items["base64"]
	if !ok {
		encoding = schemas.Base64URL
		if it, ok = f.items["base64url"]; !ok {
			return nil
		}
	}
	in, ok := l.object(it, base64Section)
	if !ok {
		return nil
	}
	return nestedRule(encoding, l.fields(in, "json", pol))
}

// nestedRule is nil where no field is sound: why is reported.
func nestedRule(e schemas.Encoding, fields []engine.FieldRule) *engine.NestedRule {
	if len(fields) == 0 {
		return nil
	}
	return &engine.NestedRule{Encoding: e, Fields: fields}
}
