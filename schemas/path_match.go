package schemas

import (
	"cmp"
	"slices"
	"strings"
)

// Covers reports whether position is what p names or lies below it: then what is
// said of p cascades to it. A position is a path as layouts write their nodes':
// its steps are members, map values (*), keys (~key), elements ([*]), and the
// elements [n] and [key=="v"] that some path of the wiring names, which [*]
// covers too. Nothing cascades onto keys: only a path that ends in ~key names
// them.
func (p Path) Covers(position Path) bool {
	n, m := len(p), len(position)
	if p.keyed() || position.keyed() {
		return p.keyed() && position.keyed() && covers(p[:n-1], position[:m-1], false)
	}
	return covers(p, position, true)
}

// Names reports whether p covers position by naming it, and not only by cascading
// from above: a ** at its end names nothing.
func (p Path) Names(position Path) bool {
	return p.Covers(position) && p.trimDeep().reach(position) == len(position)
}

func (p Path) keyed() bool { return len(p) > 0 && p[len(p)-1].Kind == StepKey }

// covers matches rule against position, or with cascade against a prefix of it.
// It goes back to the last ** only: what an earlier one could match more of, the
// last can as well.
func covers(rule, position Path, cascade bool) bool {
	deep, tried := -1, 0
	for i, j := 0, 0; ; {
		switch {
		case i < len(rule) && rule[i].Kind == StepDeep:
			deep, tried = i, j
			i++
		case i == len(rule) && (cascade || j == len(position)):
			return true
		case i < len(rule) && j < len(position) && rule[i].names(position[j]):
			i++
			j++
		case deep < 0 || tried == len(position):
			return false
		default:
			tried++
			i, j = deep+1, tried
		}
	}
}

// names reports whether a step of a rule other than ** names a step of a position.
func (s Step) names(at Step) bool {
	switch s.Kind {
	case StepElements:
		return at.Kind == StepElements || at.Kind == StepIndex || at.Kind == StepPredicate
	case StepAnyMember:
		return at.Kind == StepMember || at.Kind == StepAnyMember
	}
	return s == at
}

// Meets reports whether two steps, each [n] or [key=="v"], can choose one element of an
// array.
func (s Step) Meets(o Step) bool {
	return s.chooses() && o.chooses() && (s.Kind != o.Kind || s.Kind == StepPredicate && s.Name != o.Name)
}

func (s Step) chooses() bool { return s.Kind == StepIndex || s.Kind == StepPredicate }

// Respelled lists the paths to what is only spelled like p: of user.email the member
// called "user.email", and the other way round.
func (p Path) Respelled() (twins []Path) {
	last := len(p) - 1
	for last >= 0 && p[last].Kind != StepMember {
		last--
	}
	for i := last - 1; i >= 0 && p[i].Kind == StepMember; i-- {
		twins = append(twins, slices.Concat(p[:i], Path{{Kind: StepMember, Name: p[i : last+1].dotted()}}, p[last+1:]))
	}
	for i, s := range p {
		if parts := strings.Split(s.Name, "."); s.Kind == StepMember && len(parts) > 1 && !slices.Contains(parts, "") {
			twins = append(twins, slices.Concat(p[:i], members(parts), p[i+1:]))
		}
	}
	return twins
}

// dotted are the names of members with dots between them.
func (p Path) dotted() string {
	names := make([]string, len(p))
	for i, s := range p {
		names[i] = s.Name
	}
	return strings.Join(names, ".")
}

func members(names []string) (p Path) {
	for _, name := range names {
		p = append(p, Step{Kind: StepMember, Name: name})
	}
	return p
}

// Compare says which of two paths that cover a position is more specific there:
// p where it is above 0, q where it is below. The one that names more of the
// position is: **.email says more of a.b.email than a.b does, which only
// cascades to it. Where both name as much, the first steps that differ decide: a
// name, [n] or [key=="v"] comes before * and [*], and these before **. At 0
// neither is: where the two say different things of a position, that is a tie.
func (p Path) Compare(q, position Path) int {
	if p.keyed() && q.keyed() && position.keyed() { // that they end alike says nothing
		p, q, position = p[:len(p)-1], q[:len(q)-1], position[:len(position)-1]
	}
	p, q = p.trimDeep(), q.trimDeep()
	if c := cmp.Compare(p.reach(position), q.reach(position)); c != 0 {
		return c
	}
	return p.compareRanks(q)
}

func (p Path) compareRanks(q Path) int {
	for i := range min(len(p), len(q)) {
		if c := cmp.Compare(p[i].rank(), q[i].rank()); c != 0 {
			return c
		}
	}
	return 0
}

// trimDeep leaves out the ** at the end of p, which says no more than that p's
// category cascades.
func (p Path) trimDeep() Path {
	for len(p) > 0 && p[len(p)-1].Kind == StepDeep {
		p = p[:len(p)-1]
	}
	return p
}

// reach is the length of the longest beginning of position that p names, -1
// where it names none.
func (p Path) reach(position Path) int {
	n := len(position)
	for n >= 0 && !covers(p, position[:n], false) {
		n--
	}
	return n
}

func (s Step) rank() int {
	switch s.Kind {
	case StepDeep:
		return 0
	case StepElements, StepAnyMember:
		return 1
	}
	return 2
}
