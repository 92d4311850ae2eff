package engine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/filters"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// Check finds what is wrong with a Config as far as it shows without a broker:
// all of it, not the first. It needs no keys.
func Check(cfg Config) []Finding {
	c := &checker{cfg: cfg}
	if cfg.Policy == nil {
		c.add("", "there is no policy")
		return c.found
	}
	if c.engine = c.probe(); c.engine == nil {
		return c.found
	}
	for i := range cfg.Policy.Purposes {
		c.checkPurpose(&cfg.Policy.Purposes[i])
	}
	for i := range cfg.Streams {
		c.checkStream(fmt.Sprintf("streams[%d]", i), &c.cfg.Streams[i])
	}
	return c.found
}

type checker struct {
	cfg    Config
	engine *Engine
	found  []Finding
}

func (c *checker) add(at, format string, args ...any) {
	c.found = append(c.found, Finding{At: at, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) warn(at, format string, args ...any) {
	c.found = append(c.found, Finding{At: at, Message: fmt.Sprintf(format, args...), Warning: true})
}

// probe is an engine under a key that protects nothing: checking compiles
// treatments but never applies them.
func (c *checker) probe() *Engine {
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{1}, 256)), "check")
	if err != nil {
		c.add("", "%v", err)
		return nil
	}
	e := &Engine{cfg: c.cfg, streams: map[string]*CompiledStream{}}
	e.cfg.Keys = ring
	if err := e.openKeys(); err != nil {
		c.add("namespaces", "%v", err)
		return nil
	}
	return e
}

// checkPurpose builds each treatment once, so that a wrong parameter is one
// finding at its rule and not one per field.
func (c *checker) checkPurpose(p *policy.Purpose) {
	for _, r := range p.Treat {
		if _, err := newTreatment(c.engine.cfg.Keys, r.Treatment, filters.Env{Domain: r.Category, Purpose: p.ID, Path: r.Category}); err != nil {
			c.add(ruleAt(p, r.Category), "%v", err)
		}
	}
}

func ruleAt(p *policy.Purpose, category string) string {
	return "purposes[" + p.ID + "].treat[" + category + "]"
}

func (c *checker) checkStream(at string, w *Stream) {
	before := len(c.found)
	c.checkPaths(at, w)
	c.checkNames(at, w)
	if c.failedSince(before) {
		return
	}
	s, err := c.engine.compileStream(w)
	if err != nil {
		c.add(at, "%v", err)
		return
	}
	if w.Format == schemas.Avro && w.Schema != "" {
		c.checkSchema(at, s)
	}
	for _, r := range s.rules {
		if r.nested != nil && w.Format == schemas.Avro {
			c.checkJSON(at+".fields["+r.text+"]."+nestedWord(r.nested.encoding), s, r.nested.rules, r.nested.layout)
		}
	}
	if w.Format != schemas.Avro {
		c.checkJSONStream(at, s)
	}
	c.checkTexts(at, s)
}

// checkJSONStream checks a stream of JSON; with a JSON Schema by that.
func (c *checker) checkJSONStream(at string, s *CompiledStream) {
	plan := s.json
	if plan == nil {
		text := s.wiring.Schema
		if text == "" {
			text = "{}" // of which any type may stand anywhere
		}
		var err error
		if plan, err = s.compileSchema(text); err != nil {
			c.add(at+".schema", "%v", err)
			return
		}
		c.checkDeclared(at, s)
		c.warnWithheld(at, plan.Withheld)
	}
	c.checkJSON(at+".fields", s, s.rules, plan.layout)
	c.checkPlaces(at, s, plan.layout)
	c.checkBindings(at, s, plan.layout)
	c.checkView(at, s, plan)
}

// checkDeclared warns of rules for what a JSON Schema does not declare. Most allow
// members that they do not name, so it is not an error.
func (c *checker) checkDeclared(at string, s *CompiledStream) {
	if s.wiring.Schema == "" {
		return
	}
	for _, r := range s.rules {
		path := s.inRecord(r.text)
		if has, err := schemas.HasPath(s.wiring.Schema, path); err == nil && !has {
			c.warn(at+".fields["+r.text+"]", "the schema does not declare %s", path)
		}
	}
	c.checkWidth(at, s)
}

// checkWidth refuses a schema whose types are lost on the way: were it registered, the
// output's schema would lose them too, and the lane would hold where it had them.
func (c *checker) checkWidth(at string, s *CompiledStream) {
	for _, r := range s.rules {
		path := s.inRecord(r.text)
		if where, wide, err := schemas.TooWide(s.wiring.Schema, path); err == nil && wide {
			if where == "" {
				where = "the record"
			}
			c.add(at+".schema", "has too many alternatives (oneOf, anyOf) at %s to derive the types of the outputs; write those in one that have the same members, or give each kind of record a topic", where)
			return
		}
	}
}

// inRecord is a rule's path from where the record begins, also if that is split.
func (s *CompiledStream) inRecord(path string) string {
	if s.wiring.Split == "" || path == "" {
		return s.wiring.Split + path
	}
	return pathWithin(s.wiring.Split, path)
}

func (c *checker) failedSince(n int) bool {
	for _, f := range c.found[n:] {
		if !f.Warning {
			return true
		}
	}
	return false
}

// checkPaths parses every path of a stream.
func (c *checker) checkPaths(at string, w *Stream) {
	c.checkFields(at+".fields", w.Fields)
	c.checkSingle(at, w)
	for _, sub := range w.Subjects {
		c.checkSubjectPaths(at, sub)
	}
	if w.Split != "" {
		if _, err := schemas.SplitPath(w.Split); err != nil {
			c.add(at+".split.path", "%v", pathProblem(err))
		}
	}
	switch t := w.EventTime; {
	case t.Path != "" && t.Header != "":
		c.add(at+".event_time", "event_time needs exactly one of path and header")
	case t.Header != "" && t.Unit != "":
		c.add(at+".event_time", "a header holds the event time as text (RFC 3339), which has no unit")
	case t.Path != "":
		c.parsePath(at+".event_time", t.Path)
	}
}

// checkSingle finds what cannot be so where records are single values.
func (c *checker) checkSingle(at string, w *Stream) {
	if !slices.ContainsFunc(w.Fields, func(f FieldRule) bool { return f.Path == "" }) {
		return
	}
	if w.Format == schemas.Avro {
		c.add(at+".fields[]", `"" is the record itself, where it is a single value: an Avro record has fields`)
		return
	}
	const inside = `"" among fields says that a record is a single value: no path leads into it`
	for _, sub := range w.Subjects {
		for i := range sub.Paths {
			c.add(pathAt(at, sub, i), inside)
		}
	}
	if w.EventTime.Path != "" {
		c.add(at+".event_time", inside)
	}
}

// checkFields parses every path of the rules at a place, and refuses one that is
// written twice in different words.
func (c *checker) checkFields(at string, fields []FieldRule) {
	seen := map[string]string{}
	for _, f := range fields {
		place := at + "[" + f.Path + "]"
		p, ok := schemas.Path{}, true
		if f.Path != "" {
			p, ok = c.parsePath(place, f.Path)
		} else if len(fields) > 1 {
			c.add(place, `"" says that the record is a single value: no other path can stand beside it`)
		}
		if !ok {
			continue
		}
		if rest, ok := strings.CutPrefix(f.Path, "$."); ok {
			c.found = append(c.found, Finding{At: place, Message: `this names a member called "$": a path starts at the record, without $`, Nearest: rest, Warning: true})
		}
		if other, dup := seen[p.String()]; dup {
			c.add(place, "is the same path as %s", other)
		}
		seen[p.String()] = f.Path
		if f.Nested != nil {
			c.checkNested(place, f)
		}
	}
}

func (c *checker) parsePath(at, text string) (schemas.Path, bool) {
	p, err := schemas.ParsePath(text)
	if err == nil {
		return p, true
	}
	c.add(at, "%s", pathProblem(err))
	return nil, false
}

func pathProblem(err error) string {
	var pe *schemas.PathError
	if errors.As(err, &pe) {
		return fmt.Sprintf("column %d of the path: %s", pe.Column, pe.Message)
	}
	return err.Error()
}

// checkNames resolves what a stream refers to by name.
func (c *checker) checkNames(at string, w *Stream) {
	if w.Format == schemas.NoFormat {
		c.add(at+".format", "a stream needs a format: avro, json or json_schema")
	}
	if len(w.Purposes) == 0 {
		c.add(at+".purposes", "a stream needs a purpose, otherwise nothing is written")
	}
	for _, id := range w.Purposes {
		if c.engine.purpose(id) == nil {
			c.add(at+".purposes["+id+"]", "purpose %q is not in the policy", id)
		}
	}
	c.checkSubjects(at, w)
	seen := map[string]bool{}
	for _, h := range w.Headers {
		if seen[h.Name] {
			c.add(at+".headers["+h.Name+"]", "header %s has two categories", h.Name)
		}
		seen[h.Name] = true
		if strings.EqualFold(h.Name, ProofHeader) {
			c.add(at+".headers["+h.Name+"]", "header %s is written by consentstream itself", ProofHeader)
		}
	}
	c.checkHeaderSlip(at+".event_time", w.EventTime.Header, w.Headers)
	for _, sub := range w.Subjects {
		c.checkHeaderSlip(subjectAt(at, sub)+".header", sub.Header, w.Headers)
	}
}

// checkHeaderSlip finds a header that is spelled almost like one with a category.
// Whether records have it nobody can tell.
func (c *checker) checkHeaderSlip(at, name string, headers []HeaderRule) {
	named := make([]string, len(headers))
	for i, h := range headers {
		named[i] = h.Name
	}
	if slices.Contains(named, name) {
		return
	}
	if near := policy.Nearest(name, named); name != "" && near != "" {
		c.found = append(c.found, Finding{At: at, Message: "header " + name + " is not among headers; nobody can tell whether records have it", Nearest: near, Warning: true})
	}
}

func (c *checker) hasNamespace(name string) bool {
	for _, ns := range c.cfg.Policy.Namespaces {
		if ns.Name == name {
			return true
		}
	}
	return false
}

// checkTexts finds keys without a category, and treatments of keys and headers
// that text does not fit: they withhold it.
func (c *checker) checkTexts(at string, s *CompiledStream) {
	if i := s.key.subject; i >= 0 && s.key.category == "" {
		c.checkKeyCategory(at+".key", s, &s.subjects[i])
	}
	for i := range s.purposes {
		p := s.purposes[i].purpose
		c.checkText(at+".key", s, p, s.key.category, s.key.site)
		for _, h := range s.wiring.Headers {
			c.checkText(at+".headers["+h.Name+"]", s, p, h.Category, s.headerSite(h))
		}
	}
}

func (c *checker) checkText(at string, s *CompiledStream, p *policy.Purpose, category string, where site) {
	rule, ok := p.Rule(category)
	if category == "" || !ok {
		return
	}
	t, err := s.treatment(p, rule.Treatment, where)
	if err != nil {
		return // found at the rule already
	}
	if _, err := textAction(t); err != nil {
		c.add(at, "purpose %s: %v", p.ID, err)
	}
}
