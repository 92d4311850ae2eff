package engine

import (
	"testing"

	"github.com/consentstream/consentstream/schemas"
)

// The longest path that binds a position wins, whatever classifies it; what two
// bind equally to different people is about all of them.
func TestBinding(t *testing.T) {
	w := Stream{Subjects: []SubjectRule{{Name: "a", Paths: []string{"x.id"}}, {Name: "b", Paths: []string{"y"}}, {Name: "c", Paths: []string{"z"}}, {Name: "d", Paths: []string{"u.id"}}}, Fields: []FieldRule{
		{Path: "x", Category: "user.name", Subject: "b"}, {Path: "x.m", Category: "user.name"}, {Path: "x.n", Category: "user.name", Subject: "c"},
		{Path: "y", Category: "user.name", Subject: "c"}, {Path: "s", Category: "system.operations"}, {Path: "p", Category: "user.name"},
		{Path: "t", Category: "user.name", Subject: "a"}, {Path: "t", Category: "user.name", Subject: "b"},
		{Path: "u.**", Category: "user.name", Subject: "b"}, // as u alone: it does not name u.id
	}}
	s := &CompiledStream{wiring: &w}
	var err error
	if s.rules, err = newRuleSet(w.Fields); err != nil {
		t.Fatal(err)
	}
	if err := s.compileSubjects(); err != nil {
		t.Fatal(err)
	}
	const a, b, c, d = 1, 2, 4, 8
	for path, want := range map[string]subjectSet{
		"x": b, "x.m": b, "x.m[*].k": b, "x.n": c, "x.n.k": c, "x.id": a, "y": c, "z": c, "s": 0, "p": a | b | c | d, "t": a | b | c | d, "t.k": a | b | c | d,
		"u.id": d, "u.k": b, "u.id.k": b,
	} {
		p, err := schemas.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		category, _, err := s.rules.category(path)
		if err != nil {
			t.Fatal(err)
		}
		if category == "" {
			category = "user.name" // of the subject's own path
		}
		if got := s.aboutPath(p, category); got != want {
			t.Errorf("%s is about %b, want %b", path, got, want)
		}
	}
}
