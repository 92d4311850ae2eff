package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

func subjectAt(at string, sub SubjectRule) string { return at + ".subjects[" + sub.Name + "]" }

// checkSubjects resolves what names a subject or a namespace.
func (c *checker) checkSubjects(at string, w *Stream) {
	if n := len(w.Subjects); n == 0 || n > MaxSubjects {
		c.add(at+".subjects", "%d subjects; a stream has 1 to %d", n, MaxSubjects)
	}
	names, keyed := []string{}, ""
	for _, sub := range w.Subjects {
		place := subjectAt(at, sub)
		if slices.Contains(names, sub.Name) || sub.Name == "" {
			c.add(place, "subject %q is here twice", sub.Name)
		}
		names = append(names, sub.Name)
		c.checkNamespace(place+".namespace", sub.Namespace)
		isKey := sub.Key || w.Key.Subject == sub.Name
		if len(sub.Paths) == 0 && sub.Header == "" && !isKey {
			c.add(place, "subject %s is found nowhere: it needs a path, a header or the key", sub.Name)
		}
		if isKey && keyed != "" {
			c.add(place, "the key is the identifier of %s already", keyed)
		} else if isKey {
			keyed = sub.Name
		}
	}
	c.checkSubject(at+".key.subject", w.Key.Subject, names)
	c.checkOptionalNamespace(at+".key.namespace", w.Key.Namespace)
	c.checkFieldSubjects(at+".fields", w.Fields, names)
	for _, h := range w.Headers {
		c.checkSubject(at+".headers["+h.Name+"].subject", h.Subject, names)
		c.checkOptionalNamespace(at+".headers["+h.Name+"].namespace", h.Namespace)
	}
}

// checkFieldSubjects does so for the rules at a place and in the texts there.
func (c *checker) checkFieldSubjects(at string, fields []FieldRule, names []string) {
	for _, f := range fields {
		place := at + "[" + f.Path + "]"
		c.checkSubject(place+".subject", f.Subject, names)
		c.checkOptionalNamespace(place+".namespace", f.Namespace)
		if f.Nested != nil {
			c.checkFieldSubjects(place+"."+nestedWord(f.Nested.Encoding), f.Nested.Fields, names)
		}
	}
}

// pathAt is the place in the wiring of a path of a subject.
func pathAt(at string, sub SubjectRule, i int) string {
	place := subjectAt(at, sub) + ".path"
	if len(sub.Paths) > 1 {
		place += fmt.Sprintf("[%d]", i)
	}
	return place
}

// checkSubjectPaths parses the paths of a subject.
func (c *checker) checkSubjectPaths(at string, sub SubjectRule) {
	if len(sub.Paths) > MaxSubjectPaths {
		c.add(subjectAt(at, sub)+".path", "%d paths; the identifier of a subject stands at %d at most", len(sub.Paths), MaxSubjectPaths)
	}
	seen := map[string]string{}
	for i, text := range sub.Paths {
		p, ok := c.parsePath(pathAt(at, sub, i), text)
		if !ok {
			continue
		}
		if other, dup := seen[p.String()]; dup {
			c.add(pathAt(at, sub, i), "is the same path as %s", other)
		}
		seen[p.String()] = text
	}
}

// checkKeyCategory says why a key that is the identifier of a subject has no
// category.
func (c *checker) checkKeyCategory(at string, s *CompiledStream, sub *streamSubject) {
	for _, path := range sub.paths {
		if category, _, err := s.rules.category(path); err == nil && category != "" {
			c.add(at, "the paths of subject %s do not all have the same category: say which the key has, {subject: %s, category: CATEGORY}", sub.Name, sub.Name)
			return
		}
	}
	c.warn(at, "%s has no category, so the key of every output is null", sub.where())
}

// where says for people where a subject's identifier stands.
func (sub *streamSubject) where() string {
	if len(sub.Paths) == 0 {
		return "subject " + sub.Name
	}
	return "the subject's path " + strings.Join(sub.Paths, ", ")
}

// checkSubject finds a name that is no subject's; "" names none.
func (c *checker) checkSubject(at, name string, names []string) {
	if name == "" || slices.Contains(names, name) {
		return
	}
	c.add(at, "subject %q is not among the stream's subjects", name)
	c.found[len(c.found)-1].Nearest = policy.Nearest(name, names)
}

func (c *checker) checkOptionalNamespace(at, name string) {
	if name != "" {
		c.checkNamespace(at, name)
	}
}

func (c *checker) checkNamespace(at, name string) {
	if !c.hasNamespace(name) {
		c.add(at, "namespace %q is not in the policy", name)
	}
}

// checkBindings finds positions that two rules bind to different subjects, and
// those that only stay where everybody permits: nobody is told otherwise.
func (c *checker) checkBindings(at string, s *CompiledStream, layout schemas.Layout) {
	if len(s.subjects) == 1 {
		return
	}
	var unbound []string
	for _, n := range layout.Nodes() {
		path, err := schemas.ParsePath(n.Path)
		if err != nil || !n.Leaf {
			continue
		}
		rule, tied := s.rules.binding(path)
		if tied {
			c.add(at+".fields["+rule.text+"]", "two rules that match %s equally well bind it to different subjects", n.Path)
			continue
		}
		if category, _, err := s.rules.category(n.Path); err == nil && category != "" && s.aboutPath(path, category) == s.all() {
			unbound = append(unbound, n.Path)
		}
	}
	if len(unbound) > 0 {
		c.warn(at+".fields", "%s: bound to no subject, so they stay only where all %d permit", listed(unbound), len(s.subjects))
	}
}
