package schemas

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// The paths of a wiring as one automaton. A node is a set of places in paths
// (items) that a position can be at, with the paths that classify it: those
// that ended last on the way there, and of those the most specific (Path.Compare).
// Where no path holds a ** this is the tree of the paths. After a ** equal sets
// are one node, which is what makes the automaton finite.

// jsonItem is a place in a rule: before its step at.
type jsonItem struct{ rule, at int32 }

// jsonRule is a path without what the automaton does not need: a ** at its end,
// which says no more than that the category cascades, and ~key.
type jsonRule struct {
	steps Path
	key   bool
	apart bool // what it says cascades by itself, whatever longer path gives the category
}

type jsonBuilder struct {
	layout *jsonLayout
	rules  []jsonRule
	known  map[string]NodeID // by what makes two positions one
	keys   map[NodeID]NodeID // the position of the names at a position after .*
	edges  int
	deep   bool // a rule has **
	start  jsonState
}

var errJSONSize = errors.New("the paths make too many positions: ** and .* multiply what stands behind them")

func (b *jsonBuilder) addRule(path Path, apart bool) error {
	r := jsonRule{steps: path, apart: apart}
	if n := len(path); n > 0 && path[n-1].Kind == StepKey {
		r.key, r.steps = true, path[:n-1]
		if n == 1 || path[n-2].Kind != StepAnyMember {
			return errors.New("~key stands behind .* only: a member that a path names has no key")
		}
	}
	r.steps = r.steps.trimDeep()
	b.deep = b.deep || slices.Contains(r.steps, Step{Kind: StepDeep})
	b.rules = append(b.rules, r)
	return nil
}

func (b *jsonBuilder) build() error {
	start := jsonState{}
	for i, r := range b.rules {
		if len(r.steps) == 0 {
			start.done = append(start.done, int32(i))
			start.apart = b.apart(start.done, nil)
		} else {
			start.live = append(start.live, jsonItem{int32(i), 0})
		}
	}
	b.close(&start)
	b.start = start
	b.edges = 1
	if _, err := b.node(Node{Parent: -1}, jsonNode{}, start); err != nil {
		return err
	}
	l := b.layout
	if len(l.nodes) == 1 && !l.trie[0].covered {
		l.nodes[0].Type.Kind = Record // nothing is named: records become {}
		l.trie[0].objects = true
	}
	b.spread()
	for id := range l.nodes {
		l.index(NodeID(id))
	}
	return nil
}

// jsonState is a position that the builder comes to.
type jsonState struct {
	live []jsonItem // sorted, with what a ** leaves out
	done []int32    // the rules that classify it, of equal rank; none: unclassified
	keys []int32    // of a member: the rules that classify its name
	// apart: the rules above, or here, that cascade by themselves. Positions that
	// they do not have in common are two.
	apart []int32
	// scalar: a rule ends here that is more specific than those that go on, as
	// contact_id is beside *.email: what stands here need not be a container.
	scalar bool
}

// close adds the places after a ** that is left out.
func (b *jsonBuilder) close(s *jsonState) {
	for i := 0; i < len(s.live); i++ {
		it := s.live[i]
		if b.step(it).Kind == StepDeep { // never the last step
			s.live = append(s.live, jsonItem{it.rule, it.at + 1})
		}
	}
	slices.SortFunc(s.live, func(a, b jsonItem) int {
		if a.rule != b.rule {
			return int(a.rule - b.rule)
		}
		return int(a.at - b.at)
	})
	s.live = slices.Compact(s.live)
}

func (b *jsonBuilder) step(it jsonItem) Step { return b.rules[it.rule].steps[it.at] }

// advance goes from a state over one member or element, whose kind of step
// takes decides.
func (b *jsonBuilder) advance(from jsonState, takes func(Step) bool) jsonState {
	var to jsonState
	var ended []int32
	var end, on int // the highest rank of a step that ends its rule, that does not
	for _, it := range from.live {
		switch s := b.step(it); {
		case s.Kind == StepDeep:
			to.live = append(to.live, it)
		case !takes(s):
		case int(it.at)+1 < len(b.rules[it.rule].steps):
			to.live = append(to.live, jsonItem{it.rule, it.at + 1})
			on = max(on, s.rank())
		case b.rules[it.rule].key:
			to.keys = append(to.keys, it.rule)
		default:
			ended = append(ended, it.rule)
			end = max(end, s.rank())
		}
	}
	to.scalar = end > on
	b.close(&to)
	if to.done = b.best(ended); len(ended) == 0 {
		to.done = from.done
	}
	to.apart = b.apart(ended, from.apart)
	return to
}

// apart picks the most specific of those rules that end here and cascade by
// themselves; where there are none, what cascades from above stays.
func (b *jsonBuilder) apart(ended, above []int32) []int32 {
	if best := b.best(slices.DeleteFunc(slices.Clone(ended), func(r int32) bool { return !b.rules[r].apart })); len(best) > 0 {
		return best
	}
	return above
}

// best picks the most specific of rules that end at one position: those that
// none beats.
func (b *jsonBuilder) best(rules []int32) (best []int32) {
	for _, r := range rules {
		if slices.ContainsFunc(rules, func(o int32) bool { return b.rules[o].steps.compareRanks(b.rules[r].steps) > 0 }) {
			continue
		}
		best = append(best, r)
	}
	slices.Sort(best)
	return slices.Compact(best)
}

// jsonWay is one way out of a node. It is fixed where it is not right after a
// **, and sure where there is no ** before it at all.
type jsonWay struct {
	step        Step
	fixed, sure bool
}

func (w *jsonWay) join(o jsonWay) {
	w.step, w.fixed, w.sure = o.step, w.fixed || o.fixed, w.sure || o.sure
}

// state adds the node that a way leads to, or finds it.
func (b *jsonBuilder) state(parent NodeID, way jsonWay, s jsonState) (NodeID, error) {
	b.edges++
	id := b.identity(way.step, s)
	if have, ok := b.known[id]; ok {
		b.layout.nodes[have].Repeated = true // from two places
		return have, b.tooLarge()
	}
	n := Node{Parent: parent, Repeated: b.layout.nodes[parent].Repeated || way.step.Kind != StepMember && way.step.Kind != StepIndex}
	t := jsonNode{path: b.path(b.layout.trie[parent].path, way, s), float: way.step.Kind == StepDeep}
	if way.step.Kind == StepMember {
		t.name = append(appendJSONString(nil, way.step.Name), ':')
	}
	b.known[id] = NodeID(len(b.layout.nodes))
	return b.node(n, t, s)
}

// path names a node that a way leads to from up. A node after a ** is shared by
// many ways; of the paths that lead to it, it gets the shortest that was found.
func (b *jsonBuilder) path(up Path, way jsonWay, s jsonState) Path {
	if !way.fixed {
		for n := range min(len(up), 3) + 1 {
			if path := way.behind(append(slices.Clone(up[:n]), Step{Kind: StepDeep})); b.leads(path, s) {
				return path
			}
		}
	}
	return way.behind(slices.Clone(up))
}

// behind adds a way's step to a path; a ** is said once.
func (w *jsonWay) behind(path Path) Path {
	if n := len(path); w.step.Kind == StepDeep && n > 0 && path[n-1].Kind == StepDeep {
		return path
	}
	return append(path, w.step)
}

// leads reports whether a path leads to s, where each ** of it is one step over what
// no rule names. So whoever looks for the rules of the path finds those of s.
func (b *jsonBuilder) leads(path Path, s jsonState) bool {
	at := b.start
	for i, step := range path {
		if i > 0 && step.Kind == StepDeep && path[i-1].Kind == StepDeep {
			return false
		}
		at = b.advance(at, step.takenBy)
	}
	return slices.Equal(at.live, s.live) && slices.Equal(at.done, s.done) && slices.Equal(at.apart, s.apart) && at.scalar == s.scalar && (slices.Equal(at.keys, s.keys) || path[len(path)-1].Kind == StepMember)
}

// takenBy reports whether a step of a rule, other than **, takes a step of a position.
func (s Step) takenBy(rule Step) bool { return rule.names(s) }

func (b *jsonBuilder) tooLarge() error {
	n := len(b.layout.nodes)
	if b.edges > maxJSONEdges || n > maxJSONNodes || b.deep && n > maxJSONShared {
		return errJSONSize
	}
	return nil
}

func (b *jsonBuilder) identity(step Step, s jsonState) string {
	id := []byte(Path{step}.String())
	for _, it := range s.live {
		id = binary.AppendUvarint(append(id, 1), uint64(it.rule))
		id = binary.AppendUvarint(id, uint64(it.at))
	}
	for _, r := range s.done {
		id = binary.AppendUvarint(append(id, 2), uint64(r))
	}
	for _, r := range s.keys {
		id = binary.AppendUvarint(append(id, 3), uint64(r))
	}
	for _, r := range s.apart {
		id = binary.AppendUvarint(append(id, 5), uint64(r))
	}
	if s.scalar {
		id = append(id, 4)
	}
	return string(id)
}

// node adds a node and all that lies below it.
func (b *jsonBuilder) node(n Node, t jsonNode, s jsonState) (NodeID, error) {
	l := b.layout
	id := NodeID(len(l.nodes))
	t.covered = len(s.done) > 0
	t.passage, t.scalar = t.float && !t.covered, s.scalar
	l.passages = l.passages || t.passage
	n.Path, n.Type.Kind = t.path.String(), Any
	l.nodes, l.trie = append(l.nodes, n), append(l.trie, t)
	if len(t.path) > MaxPathSteps {
		return 0, errJSONSize // in a chain of states, which ends where their number does
	}
	if err := b.tooLarge(); err != nil {
		return 0, err
	}
	e := b.edgesOf(s)
	if err := e.contradiction(t.path); err != nil {
		return 0, err
	}
	for _, add := range []func(NodeID, jsonState, jsonEdges) error{b.others, b.members, b.items} {
		if err := add(id, s, e); err != nil {
			return 0, err
		}
	}
	switch {
	case e.deep, s.scalar:
	case e.objects():
		l.nodes[id].Type.Kind = Record
	case e.arrays():
		l.nodes[id].Type.Kind = Array
	}
	l.nodes[id].Leaf = s.scalar || !e.fixed() && (t.covered || len(s.live) == 0)
	return id, nil
}

// jsonEdges are the ways out of a state.
type jsonEdges struct {
	deep     bool    // by **
	any, all jsonWay // by *, [*]; the zero Step: none
	names    []jsonWay
	elements []jsonWay // [n] and [key=="v"]
}

func (e *jsonEdges) objects() bool { return e.any.step.Kind != NoStep || len(e.names) > 0 }

func (e *jsonEdges) arrays() bool { return e.all.step.Kind != NoStep || len(e.elements) > 0 }

func (e *jsonEdges) fixed() bool {
	fixed := func(w jsonWay) bool { return w.fixed }
	return fixed(e.any) || fixed(e.all) || slices.ContainsFunc(e.names, fixed) || slices.ContainsFunc(e.elements, fixed)
}

// contradiction finds paths that say of one position what cannot both be.
func (e *jsonEdges) contradiction(at Path) error {
	sure := func(w jsonWay) bool { return w.sure }
	member := slices.IndexFunc(append([]jsonWay{e.any}, e.names...), sure)
	element := slices.IndexFunc(append([]jsonWay{e.all}, e.elements...), sure)
	if member >= 0 && element >= 0 {
		way := func(first jsonWay, rest []jsonWay, i int) Path {
			return append(slices.Clone(at), append([]jsonWay{first}, rest...)[i].step)
		}
		return fmt.Errorf("%s cannot be both an array, as in %s, and an object, as in %s", describe(at), way(e.all, e.elements, element), way(e.any, e.names, member))
	}
	for i, a := range e.names {
		for _, b := range e.names[:i] {
			if a.sure && b.sure && equalFold(a.step.Name, b.step.Name) {
				return fmt.Errorf("%s and %s differ only in case, so no record can hold both",
					append(slices.Clone(at), b.step), append(slices.Clone(at), a.step))
			}
		}
	}
	return nil
}

func (b *jsonBuilder) edgesOf(s jsonState) (e jsonEdges) {
	for _, it := range s.live {
		before := b.rules[it.rule].steps[:it.at]
		way := jsonWay{step: b.step(it), sure: !slices.Contains(before, Step{Kind: StepDeep})}
		way.fixed = len(before) == 0 || before[len(before)-1].Kind != StepDeep
		switch way.step.Kind {
		case StepDeep:
			e.deep = true
		case StepAnyMember:
			e.any.join(way)
		case StepElements:
			e.all.join(way)
		case StepMember:
			e.names = addWay(e.names, way)
		default:
			e.elements = addWay(e.elements, way)
		}
	}
	return e
}

func addWay(ways []jsonWay, way jsonWay) []jsonWay {
	i := slices.IndexFunc(ways, func(w jsonWay) bool { return w.step == way.step })
	if i < 0 {
		return append(ways, way)
	}
	ways[i].join(way)
	return ways
}
