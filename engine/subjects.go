package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/filters"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// Whom data is about (DECISION D25). A record, or an element of one, has one or
// more subjects; each is decided by itself. The main subject is the one that the
// key names, else the first declared: without its permit there is no output. Every
// other position of the output is about
//
//   - the subject that the longest path binds it to, which cascades as categories do;
//   - the subject whose identifier stands there, or each of those, unless a rule that
//     names that very position binds it: `**` names nothing, it cascades;
//   - all of them, where it is personal and bound to nobody;
//   - nobody in particular, under `system`: what goes out, goes out with it.
//
// It stays where everybody whom it is about permits and, behind `requires`, where
// all of them have consented explicitly; else it is withheld as behind a closed gate.

// subjectSet has bit i set for subject i of the stream.
type subjectSet uint32

func bit(i int) subjectSet { return 1 << i }

// streamSubject is a compiled SubjectRule.
type streamSubject struct {
	SubjectRule
	paths []string        // as nodes spell theirs; none: it does not stand in the value
	key   bool            // the Kafka key names it
	whose filters.Subject // the part at work, for treatments that ask
}

func (s *CompiledStream) compileSubjects() error {
	w := s.wiring
	if len(w.Subjects) == 0 || len(w.Subjects) > MaxSubjects {
		return fmt.Errorf("%d subjects; a stream has 1 to %d", len(w.Subjects), MaxSubjects)
	}
	for _, rule := range w.Subjects {
		sub := streamSubject{SubjectRule: rule, key: rule.Key || w.Split == "" && w.Key.Subject == rule.Name}
		for _, text := range rule.Paths {
			path, err := schemas.ParsePath(text)
			if err != nil {
				return err
			}
			sub.paths = append(sub.paths, path.String())
		}
		s.subjects = append(s.subjects, sub)
	}
	if s.keyed = s.subject(w.Key.Subject); s.keyed < 0 {
		s.keyed = slices.IndexFunc(s.subjects, func(sub streamSubject) bool { return sub.Key })
	}
	s.main = max(0, s.keyed)
	return nil
}

// subject finds a subject by its name; -1 for none.
func (s *CompiledStream) subject(name string) int {
	for i := range s.subjects {
		if s.subjects[i].Name == name {
			return i
		}
	}
	return -1
}

// standsAt reports whether the subject's identifier stands at a path of the value.
func (sub *streamSubject) standsAt(path string) bool { return slices.Contains(sub.paths, path) }

// sharesPlace reports whether two subjects' identifiers stand at one path or in one
// header: there they are the same text.
func (sub *streamSubject) sharesPlace(o *streamSubject) bool {
	return sub.Header != "" && sub.Header == o.Header || slices.ContainsFunc(sub.paths, o.standsAt)
}

// all are all subjects of the stream.
func (s *CompiledStream) all() subjectSet { return bit(len(s.subjects)) - 1 }

// aboutPath says whom a position of a category is about.
func (s *CompiledStream) aboutPath(path schemas.Path, category string) subjectSet {
	if len(s.subjects) == 1 {
		return bit(0)
	}
	rule, tied := s.rules.binding(path)
	if tied {
		return s.all()
	}
	if rule == nil || !rule.path.Names(path) {
		if of := s.namedBy(func(sub *streamSubject) bool { return sub.standsAt(path.String()) }); of != 0 {
			return of
		}
	}
	if rule != nil {
		return s.bound(rule.subject, category)
	}
	return s.bound("", category)
}

// namedBy are the subjects whose identifier stands at a place.
func (s *CompiledStream) namedBy(stands func(*streamSubject) bool) (of subjectSet) {
	for i := range s.subjects {
		if stands(&s.subjects[i]) {
			of |= bit(i)
		}
	}
	return of
}

// bound says whom text of a category is about that is bound to a subject, or to
// none.
func (s *CompiledStream) bound(subject, category string) subjectSet {
	if i := s.subject(subject); i >= 0 {
		return bit(i)
	}
	if len(s.subjects) == 1 || subject != "" || personal(category) {
		return s.all()
	}
	return 0
}

// personal reports whether data of a category is about people: all but the system's.
func personal(category string) bool {
	return category != "system" && !strings.HasPrefix(category, "system.")
}

// boundName is how a plan says whom a position is about: a subject, "*" for several,
// "" where there is nothing to say.
func (s *CompiledStream) boundName(about subjectSet) string {
	if len(s.subjects) == 1 || about == 0 {
		return ""
	}
	for i := range s.subjects {
		if about == bit(i) {
			return s.subjects[i].Name
		}
	}
	return "*"
}

// consents are the subjects that permit a purpose, those of them whose explicit
// consent it has, and those for whom its ground stands. The zero consents open
// nothing.
type consents struct{ permit, explicit, ground subjectSet }

// add notes what a subject's decision permits.
func (c *consents) add(subject int, d *policy.Decision) {
	if !d.Permit {
		return
	}
	c.permit |= bit(subject)
	if d.Gates&policy.GateExplicit != 0 {
		c.explicit |= bit(subject)
	}
	if d.Gates&policy.GateGround != 0 {
		c.ground |= bit(subject)
	}
}

// gate is what must hold for a position to stay, besides the permit of the main
// subject. The zero gate is always open.
type gate consents

func (g gate) open(c consents) bool {
	return (g.permit&^c.permit)|(g.explicit&^c.explicit)|(g.ground&^c.ground) == 0
}

// gate is that of what is about some subjects, behind a rule's field gate (a bit of
// policy.Decision.Gates, or 0). Whoever opens a field gate permits.
func (s *CompiledStream) gate(about subjectSet, field uint32) gate {
	of := about
	if of == 0 {
		of = bit(s.main)
	}
	switch field {
	case 0:
		return gate{permit: about &^ bit(s.main)}
	case policy.GateExplicit:
		return gate{explicit: of}
	case policy.GateGround:
		return gate{ground: of}
	}
	return gate{permit: ^subjectSet(0)} // never open
}

// who returns the subject that something is about, or the main one where it is
// about several or nobody.
func (s *CompiledStream) who(about subjectSet) int {
	for i := range s.subjects {
		if about == bit(i) {
			return i
		}
	}
	return s.main
}

// gates are the gates of one projection, by number from 1; 0 is always open.
type gates []gate

// number finds or adds a gate.
func (gs *gates) number(g gate) (n uint8, err error) {
	if g == (gate{}) {
		return 0, nil
	}
	for i := range *gs {
		if (*gs)[i] == g {
			return uint8(i + 1), nil
		}
	}
	if len(*gs) == 32 {
		return 0, fmt.Errorf("the subjects and gates of one purpose make more than 32 combinations")
	}
	*gs = append(*gs, g)
	return uint8(len(*gs)), nil
}

// bits has bit n-1 set where gate n is open.
func (gs gates) bits(c consents) (bits uint32) {
	for i, g := range gs {
		if g.open(c) {
			bits |= 1 << i
		}
	}
	return bits
}
