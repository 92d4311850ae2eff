package proof

import (
	"cmp"
	"slices"

	"github.com/consentstream/consentstream/schemas"
)

// place is one step into a record, position all the steps to a value of it.
// What a path of the wiring means for a position is said here a second time, by
// the states that a nondeterministic automaton can be in: the product matches
// positions of layouts, this matches values of records.
type (
	place struct {
		kind  placeKind
		name  string // member, entry
		index int    // element
		// texts are an element's members that are strings, unescaped: what a
		// predicate looks at.
		texts map[string]string
	}
	position  []place
	placeKind uint8
)

const (
	member  placeKind = iota // of an object or record
	entry                    // of an Avro map
	element                  // of an array
)

func (p position) then(next place) position {
	return append(p[:len(p):len(p)], next)
}

func takes(s schemas.Step, at place) bool {
	switch s.Kind {
	case schemas.StepMember:
		return at.kind == member && at.name == s.Name
	case schemas.StepAnyMember:
		return at.kind != element
	case schemas.StepElements:
		return at.kind == element
	case schemas.StepIndex:
		return at.kind == element && at.index == s.Index
	case schemas.StepPredicate:
		text, ok := at.texts[s.Name]
		return at.kind == element && ok && text == s.Value
	}
	return false
}

// states[j] says that the first j steps of a path can lead to a position.
func states(path schemas.Path, pos position) []bool {
	now, _ := walk(path, pos)
	return now
}

// reach is how much of a position a path names, -1 for nothing of it: the rest
// of the position lies below what it names.
func reach(path schemas.Path, pos position) int {
	_, named := walk(path, pos)
	return named
}

func walk(path schemas.Path, pos position) (now []bool, named int) {
	now, next := make([]bool, len(path)+1), make([]bool, len(path)+1)
	now[0], named = true, -1
	for n := 0; ; n++ {
		for j, s := range path { // a ** may stand for nothing
			now[j+1] = now[j+1] || now[j] && s.Kind == schemas.StepDeep
		}
		if now[len(path)] {
			named = n
		}
		if n == len(pos) {
			return now, named
		}
		clear(next)
		for j, s := range path {
			if now[j] && s.Kind == schemas.StepDeep {
				next[j] = true
			} else if now[j] && takes(s, pos[n]) {
				next[j+1] = true
			}
		}
		now, next = next, now
	}
}

// continues reports whether a path may name something below a position.
func continues(path schemas.Path, pos position) bool {
	now := states(path, pos)
	for j := range path {
		if now[j] {
			return true
		}
	}
	return false
}

// rule gives what a path names, and what lies below it, a category, or says what
// stands in the text there; and whom it is about.
type rule struct {
	path     schemas.Path
	text     string
	category string
	subject  string // "" for none
	nested   *nest  // instead of a category
}

// nest says that a value is a text of JSON, and what is in it.
type nest struct {
	encoding schemas.Encoding
	rules    []rule
}

func newRule(text, category string) rule {
	p, err := schemas.ParsePath(text)
	if err != nil {
		panic(err) // these tests made it
	}
	return rule{path: p, text: text, category: category}
}

// add adds a rule where none has its path.
func add(rules []rule, r rule) []rule {
	if slices.ContainsFunc(rules, func(have rule) bool { return have.path.String() == r.path.String() }) {
		return rules
	}
	return append(rules, r)
}

// split takes ~key and the ** before the end away.
func (r *rule) split() (path schemas.Path, key bool) {
	path = r.path
	if n := len(path); n > 0 && path[n-1].Kind == schemas.StepKey {
		return path[:n-1], true
	}
	for len(path) > 0 && path[len(path)-1].Kind == schemas.StepDeep {
		path = path[:len(path)-1]
	}
	return path, false
}

// named reports whether a rule names a position, and not only what lies above it.
func named(rules []rule, pos position) bool {
	return slices.ContainsFunc(rules, func(r rule) bool {
		path, key := r.split()
		return !key && states(path, pos)[len(path)]
	})
}

// most is the rule that says most of the value at a position, or of its key, and
// how much of the position it names; nil for none. tied says that two of them, which
// name as much, are not alike.
func most(rules []rule, pos position, key bool, alike func(a, b *rule) bool) (best *rule, named int, tied bool) {
	named = -1
	for i := range rules {
		r := &rules[i]
		path, isKey := r.split()
		n := reach(path, pos)
		if isKey != key || n < 0 || key && n < len(pos) {
			continue
		}
		c := cmp.Compare(n, named)
		if c == 0 {
			before, _ := best.split()
			c = compareSteps(path, before)
		}
		switch {
		case c > 0:
			best, named, tied = r, n, false
		case c == 0 && !alike(r, best):
			tied = true
		}
	}
	return best, named, tied
}

// says is what a rule says of the value at a position, or of its key; nil where none
// does, and where two that name as much of it say different things.
func says(rules []rule, pos position, key bool) (r *rule, named int) {
	r, named, tied := most(rules, pos, key, func(a, b *rule) bool { return a.category == b.category && a.nested == b.nested })
	if tied {
		return nil, -1
	}
	return r, named
}

// category is "" for none.
func category(rules []rule, pos position, key bool) string {
	if r, _ := says(rules, pos, key); r != nil {
		return r.category
	}
	return ""
}

func compareSteps(a, b schemas.Path) int {
	for i := range min(len(a), len(b)) {
		if c := cmp.Compare(weight(a[i]), weight(b[i])); c != 0 {
			return c
		}
	}
	return 0
}

func weight(s schemas.Step) int {
	switch s.Kind {
	case schemas.StepDeep:
		return 0
	case schemas.StepAnyMember, schemas.StepElements:
		return 1
	}
	return 2
}

// claimed reports whether two different [n] or [key=="v"] claim an element on the
// way to a position, or a rule names an entry of a map on it: all of it is withheld
// then.
func claimed(rules []rule, pos position) bool {
	for i := range pos {
		if pos[i].kind == entry && namesEntry(rules, pos[:i]) {
			return true
		}
		if pos[i].kind != element {
			continue
		}
		var by *schemas.Step
		for r := range rules {
			path := rules[r].path
			now := states(path, pos[:i])
			for j := range path {
				s := &path[j]
				if !now[j] || s.Kind != schemas.StepIndex && s.Kind != schemas.StepPredicate || !takes(*s, pos[i]) {
					continue
				}
				if by != nil && *by != *s {
					return true
				}
				by = s
			}
		}
	}
	return false
}

// namesEntry reports whether a rule that leads to this map alone names one of its entries.
func namesEntry(rules []rule, at position) bool {
	return slices.ContainsFunc(rules, func(r rule) bool {
		now := states(r.path, at)
		for j, s := range r.path {
			if s.Kind == schemas.StepDeep || s.Kind == schemas.StepAnyMember {
				return false
			}
			if now[j] && s.Kind == schemas.StepMember {
				return true
			}
		}
		return false
	})
}

// looked reports whether a predicate on this member of the elements stands at an
// array: what the member holds decides how its element is treated.
func looked(rules []rule, array position, name string) bool {
	for r := range rules {
		path := rules[r].path
		now := states(path, array)
		for j, s := range path {
			if now[j] && s.Kind == schemas.StepPredicate && s.Name == name {
				return true
			}
		}
	}
	return false
}
