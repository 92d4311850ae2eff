package proof

import (
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// person is somebody whom records are about, and what they have said.
type person struct {
	id        string
	said      []string // by purpose: "", "expressed" or "explicit"
	elsewhere []string // the same, of who is called so in the namespace erp
	limited   bool     // they have limited the use of sensitive data, since
}

// nobody is who stands where no person is named.
const nobody = -1

// standing is what has been heard, for a purpose, of whom something is about. The
// zero standing is that of nobody.
type standing struct{ permit, explicit, ground bool }

func (w *world) standing(purpose, subject, who int) standing {
	if who == nobody {
		return standing{}
	}
	p := &w.people[who]
	given, limited := p.said[purpose], p.limited
	if w.stream.Subjects[subject].Namespace == "erp" {
		given, limited = p.elsewhere[purpose], false
	}
	permit := given != "" || w.policy.Purposes[purpose].Basis != policy.Consent
	return standing{permit, given == "explicit" && !limited, permit && !limited}
}

// drawPeople draws four. The first two have said the same, and mostly consent.
func (w *world) drawPeople(d *drawer) {
	w.people = nil
	for i := range 4 {
		p := person{id: fmt.Sprint(42 + i), limited: d.rarely(3)}
		for range w.policy.Purposes {
			p.said = append(p.said, pick(d.T, [][]string{{"expressed", "explicit", "explicit"}, {"", "expressed", "explicit"}}[i/2]))
			p.elsewhere = append(p.elsewhere, pick(d.T, []string{"", "expressed", "explicit"}))
		}
		if i == 1 {
			p.said, p.elsewhere, p.limited = w.people[0].said, w.people[0].elsewhere, w.people[0].limited
		}
		w.people = append(w.people, p)
	}
}

// say folds what they have said.
func (w *world) say() error {
	for _, p := range w.people {
		for i, given := range append(p.said[:len(p.said):len(p.said)], p.elsewhere...) {
			if given == "" {
				continue
			}
			namespace := []string{"crm", "erp"}[i/len(p.said)]
			i %= len(p.said)
			grant := fmt.Sprintf(`,"purposes":[%q],"consent_type":%q,"asserted_at":"2026-01-01T10:00:00Z","notice":{"id":"n","version":"1"},"evidence":{"method":"web_form","source":"shop"}`, w.policy.Purposes[i].ID, given)
			if err := w.eventIn(namespace, p.id, "grant", grant); err != nil {
				return err
			}
		}
		if p.limited {
			if err := w.event(p.id, "limit_sensitive", ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// subjectHeader is a header that can name a subject.
const subjectHeader = "s"

// drawSubjects draws whom records are about, and where these say so. Of a record
// that is split, the key can name the one whom all elements are about.
func (w *world) drawSubjects(d *drawer) {
	first := engine.SubjectRule{Name: "customer", Namespace: "crm", Paths: []string{"id"}}
	if w.stream.Split != "" && d.rarely(5) {
		first.Paths, first.Key = nil, true
	}
	if len(first.Paths) > 0 && d.rarely(4) {
		first.Paths = append(first.Paths, "id2")
	}
	w.stream.Subjects = []engine.SubjectRule{first}
	for i := range pick(d.T, []int{0, 0, 1, 1, 2}) {
		s := engine.SubjectRule{Name: []string{"sender", "payer"}[i], Namespace: "crm", Paths: []string{[]string{"by", "to"}[i]}}
		switch before := w.stream.Subjects[i]; {
		case i == 0 && d.rarely(4):
			s.Paths, s.Header = nil, subjectHeader
		case (before.Header != "" || len(before.Paths) > 0 && i == 0) && d.rarely(3):
			s.Namespace, s.Paths, s.Header = "erp", before.Paths, before.Header // another name of the same
		case d.rarely(4):
			s.Paths = append(s.Paths, s.Paths[0]+"2")
		}
		w.stream.Subjects = append(w.stream.Subjects, s)
	}
	if w.binds = "all"; d.rarely(3) {
		w.binds = pick(d.T, w.stream.Subjects).Name // all that is anybody's is theirs
	}
}

// bind draws whom a rule says that its position is about.
func (w *world) bind(d *drawer, category string) string {
	switch {
	case len(w.stream.Subjects) == 1 || w.binds == "all" && !d.rarely(3):
		return ""
	case w.binds == "all":
		return pick(d.T, w.stream.Subjects).Name
	case personal(category):
		return w.binds
	}
	return ""
}

func personal(category string) bool { return strings.SplitN(category, ".", 2)[0] != "system" }

// about is a set of subjects, by their numbers.
type about []int

func (w *world) everybody() (all about) {
	for i := range w.stream.Subjects {
		all = append(all, i)
	}
	return all
}

func (w *world) subject(name string) int {
	return slices.IndexFunc(w.stream.Subjects, func(s engine.SubjectRule) bool { return s.Name == name })
}

// bound says whom a value of a category is about that is bound to a subject, or to
// none.
func (w *world) bound(subject, category string) about {
	switch i := w.subject(subject); {
	case i >= 0:
		return about{i}
	case personal(category):
		return w.everybody()
	}
	return nil
}

// keyed is whose identifier the key is by the wiring; nobody.
func (w *world) keyed() int {
	if i := w.subject(w.stream.Key.Subject); i >= 0 {
		return i
	}
	return slices.IndexFunc(w.stream.Subjects, func(s engine.SubjectRule) bool { return s.Key })
}

// main is the subject that decides whether there is an output.
func (w *world) main() int { return max(0, w.keyed()) }

// byKey reports whether the key that came names a subject, byPath that the value does.
func (w *world) byKey(subject int) bool {
	s := &w.stream.Subjects[subject]
	return s.Key || w.stream.Split == "" && w.stream.Key.Subject == s.Name
}

func (w *world) byPath(subject int) bool { return w.idPath(subject) != "" }

// called are the subjects whose identifier stands where that of one does, in another
// namespace.
func (w *world) called(subject int) (group about) {
	s := &w.stream.Subjects[subject]
	for i := range w.stream.Subjects {
		if o := &w.stream.Subjects[i]; i == subject || s.Header != "" && s.Header == o.Header || len(s.Paths) > 0 && slices.Equal(s.Paths, o.Paths) {
			group = append(group, i)
		}
	}
	return group
}

// inParts reports whether each part says by itself who a subject is.
func (w *world) inParts(subject int) bool {
	return w.byPath(subject) && !slices.ContainsFunc(w.called(subject), w.byKey)
}

// idPath is where the value says who a subject is, first; "" where it does not.
func (w *world) idPath(subject int) string {
	for _, path := range w.stream.Subjects[subject].Paths {
		return path
	}
	return ""
}

// keyRule is what the key is treated as and whom it is about. subject is whose
// identifier it is, and inValue says that it stands in the elements.
func (w *world) keyRule() (as string, of about, subject int, inValue bool) {
	k, i := w.stream.Key, w.keyed()
	if i < 0 || k == (engine.KeyRule{}) {
		return k.Category, w.bound("", k.Category), nobody, false
	}
	if as = k.Category; as == "" && w.byPath(i) {
		as = category(w.rules, path(w.idPath(i)), false)
	}
	return as, w.called(i), i, !w.byKey(i)
}

func (w *world) headerAbout(h engine.HeaderRule) about {
	if i := slices.IndexFunc(w.stream.Subjects, func(s engine.SubjectRule) bool { return s.Header == h.Name && h.Name != "" }); i >= 0 && h.Subject == "" {
		return w.called(i)
	}
	return w.bound(h.Subject, h.Category)
}

// spellings are one person, as the namespace crm normalises them.
func (w *world) spellings(who int, format schemas.Format) []string {
	if who == nobody {
		list := []string{`""`, `" "`}
		if format == schemas.JSON {
			list = append(list, "null", "true", "1.5")
		}
		return list
	}
	id := w.people[who].id
	list := []string{`"` + id + `"`, `" ` + id + ` "`, `"\u0034` + id[1:] + `"`}
	if format == schemas.JSON {
		list = append(list, id)
	}
	return list
}

// spelled is such a text outside the value.
func (w *world) spelled(d *drawer, who int) []byte {
	return []byte(unquote(pick(d.T, w.spellings(who, schemas.Avro))))
}
