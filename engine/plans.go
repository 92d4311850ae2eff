package engine

import "github.com/consentstream/consentstream/schemas"

// A stream remembers the plans of the writer schemas that were used last. Whoever
// may write the input chooses the schemas, so their number and size are bounded
// (promise P9): registering a schema costs its writer nothing, while its plan takes
// up to tens of megabytes here. A forgotten plan is compiled again when a record
// needs it.
const (
	maxPlans      = 256
	maxPlanWeight = 1 << 17 // positions of all plans together: 13 of the largest schemas
	weightOfPaths = 256     // so many bytes of paths weigh as much as one position
)

// planTable holds what is known of writer schemas, by their ids.
type planTable struct {
	byID   map[int]*planEntry
	weight int
}

type planEntry struct {
	plan *Plan        // nil: refused
	code schemas.Code // why
	turn uint64       // Engine.turn when a record last used it
}

func (e *planEntry) weight() int {
	if e.plan == nil {
		return 0
	}
	return e.plan.weight
}

// use finds what is known of a writer schema; nil: nothing.
func (t *planTable) use(id int, turn uint64) *planEntry {
	e := t.byID[id]
	if e != nil && e.turn != turn {
		e.turn = turn
	}
	return e
}

// put remembers e, which is used this turn, and forgets others for it: those that
// were not used for longest, and none that was used this turn, since the audit of
// the batch at hand cites its documents. It gives the plans that are forgotten.
func (t *planTable) put(id int, e *planEntry) (forgotten []*Plan) {
	forgotten = t.remove(id, forgotten)
	for len(t.byID) >= maxPlans || len(t.byID) > 0 && t.weight+e.weight() > maxPlanWeight {
		oldest, found := 0, false
		for id, o := range t.byID {
			if o.turn != e.turn && (!found || o.turn < t.byID[oldest].turn) {
				oldest, found = id, true
			}
		}
		if !found {
			break // Full has said so
		}
		forgotten = t.remove(oldest, forgotten)
	}
	t.byID[id] = e
	t.weight += e.weight()
	return forgotten
}

func (t *planTable) remove(id int, forgotten []*Plan) []*Plan {
	e := t.byID[id]
	if e == nil {
		return forgotten
	}
	delete(t.byID, id)
	t.weight -= e.weight()
	if e.plan != nil {
		forgotten = append(forgotten, e.plan)
	}
	return forgotten
}

// full reports whether this turn has used as much as is remembered.
func (t *planTable) full(turn uint64) bool {
	n, weight := 0, 0
	for _, e := range t.byID {
		if e.turn == turn {
			n++
			weight += e.weight()
		}
	}
	return n >= maxPlans || weight >= maxPlanWeight
}

// planWeight is what a layout's plan weighs against maxPlanWeight.
func planWeight(layout schemas.Layout) int {
	paths := 0
	for _, n := range layout.Nodes() {
		paths += len(n.Path)
	}
	return len(layout.Nodes()) + paths/weightOfPaths
}

// Knows reports whether a writer schema has been installed or refused, and not
// forgotten since.
func (s *CompiledStream) Knows(schemaID int) bool { return s.plans.byID[schemaID] != nil }

// Full reports whether the records that were added since the last Batch.Reset use as
// many writer schemas as a stream remembers: they need a smaller batch. A batch
// of one record is never that.
func (s *CompiledStream) Full() bool { return s.plans.full(s.engine.turn) }

// Install makes p the plan of a writer schema. To make room it forgets the plans,
// with their documents, that were not used for longest.
func (s *CompiledStream) Install(schemaID int, p *Plan) {
	for i := range p.outputs {
		for j := range p.views {
			if s.purposes[j].purpose.ID == p.outputs[i].Purpose {
				p.views[j].schemaID = p.outputs[i].SchemaID
			}
		}
	}
	s.engine.docs.add(p.docs)
	s.put(schemaID, &planEntry{plan: p})
}

// Refuse sends all records of a writer schema to quarantine.
func (s *CompiledStream) Refuse(schemaID int, code schemas.Code) {
	s.put(schemaID, &planEntry{code: code})
}

func (s *CompiledStream) put(schemaID int, e *planEntry) {
	e.turn = s.engine.turn
	for _, p := range s.plans.put(schemaID, e) {
		s.engine.docs.drop(p.docs)
	}
}

// Forget undoes Install and Refuse, so that the schema is looked up again.
func (s *CompiledStream) Forget(schemaID int) {
	for _, p := range s.plans.remove(schemaID, nil) {
		s.engine.docs.drop(p.docs)
	}
}
