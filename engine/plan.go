package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/filters"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// CompiledStream is one stream's plans: one per writer schema for Avro, one for
// JSON. The zero CompiledStream processes nothing.
type CompiledStream struct {
	wiring *Stream
	engine *Engine
	rules  ruleSet
	// reference is what the wiring's own schema says; nil where it has none.
	reference reference
	// subjects are in the order of the wiring; main decides whether there is an
	// output, keyed is whose identifier the Kafka key is (-1: nobody's).
	subjects    []streamSubject
	main, keyed int
	purposes    []streamPurpose
	key         keyPlan
	json        *Plan
	plans       planTable
	treatments  map[treatmentID]filters.Treatment
}

// streamPurpose is what a purpose needs whatever the schema.
type streamPurpose struct {
	purpose *policy.Purpose
	topic   string // {topic}.{purpose}
	noncer  *audit.Noncer
	key     outputKey
	headers []headerPlan
}

// Plan is one writer schema compiled for all purposes of a stream.
type Plan struct {
	layout   schemas.Layout
	split    *schemas.Splitter  // nil: the record is one
	subjects [][]schemas.NodeID // by subject, for each of its paths
	time     schemas.NodeID     // nowhere: not in the value
	timeRule timeRule
	views    []view     // by purpose, as CompiledStream.purposes
	work     []int32    // by node: of the treatments of all purposes for its value (weight)
	texts    []textWork // by node: of those that look into a text; nil: none
	outputs  []OutputSchema
	docs     []Document
	weight   int // see maxPlanWeight
	// Withheld lists the schema's positions, each once, that no rule and no tag
	// classifies, that have another type than the wiring's own schema says, or for
	// whose type some purpose's treatment has no result: they are dropped,
	// in the latter case for that purpose, and reported.
	Withheld []string
	withheld map[string]bool // the same, while the plan is compiled
}

func (p *Plan) withhold(path string) {
	if !p.withheld[path] {
		p.withheld[path] = true
		p.Withheld = append(p.Withheld, path)
	}
}

// view is one purpose's share of a Plan.
type view struct {
	projection schemas.Projection
	gates      gates
	schemaID   int // Avro: of the registered derived schema
	digest     audit.Hash
	keepsTime  bool // the purpose may keep the event time as record timestamp
	fields     []audit.Field
}

// Topic is the stream's input topic.
func (s *CompiledStream) Topic() string { return s.wiring.Topic }

// Format is the stream's declared encoding.
func (s *CompiledStream) Format() schemas.Format { return s.wiring.Format }

// Plan compiles a writer schema. The plan is used after Install. The error is
// a *schemas.Fault: records of that schema are to be refused.
func (s *CompiledStream) Plan(schemaID int, avsc string) (*Plan, error) {
	p, err := s.compileSchema(avsc)
	if err != nil {
		return nil, &schemas.Fault{Code: schemas.CodeBadSchema}
	}
	return p, nil
}

// Outputs lists the derived schemas; the caller registers each and sets its
// SchemaID before Install. It is empty for plain JSON.
func (p *Plan) Outputs() []OutputSchema { return p.outputs }

// PlainJSON lists the JSON Schemas of what a plain JSON stream writes, for people:
// nothing registers them. It is empty for other formats.
func (s *CompiledStream) PlainJSON() (out []OutputSchema) {
	if s.json == nil {
		return nil
	}
	for i := range s.purposes {
		text, _ := schemas.DeriveJSONSchema(s.json.views[i].projection)
		out = append(out, OutputSchema{Purpose: s.purposes[i].purpose.ID, Topic: s.purposes[i].topic, Schema: text, Format: schemas.JSON})
	}
	return out
}

// Documents are what audit records of the plan cite by digest.
func (p *Plan) Documents() []Document { return p.docs }

// Fields lists what a purpose does with each classified position of the plan
// that a record of schemaID uses (0 for JSON).
func (s *CompiledStream) Fields(schemaID int, purpose string) []audit.Field {
	p := s.plan(schemaID)
	if p == nil {
		return nil
	}
	for i := range s.purposes {
		if s.purposes[i].purpose.ID == purpose {
			return p.views[i].fields
		}
	}
	return nil
}

// plan is the plan that records of schemaID use; nil for none.
func (s *CompiledStream) plan(schemaID int) *Plan {
	if e := s.plans.byID[schemaID]; s.json == nil && e != nil {
		return e.plan
	}
	return s.json
}

func (e *Engine) compileStream(w *Stream) (*CompiledStream, error) {
	s := &CompiledStream{wiring: w, engine: e, plans: planTable{byID: map[int]*planEntry{}}, treatments: map[treatmentID]filters.Treatment{}}
	var err error
	if s.rules, err = newRuleSet(w.Fields); err != nil {
		return nil, err
	}
	if err := s.compileSubjects(); err != nil {
		return nil, err
	}
	if w.Format != schemas.JSON && w.Schema != "" {
		s.reference = s.newReference(w.Schema)
	}
	if s.key, err = s.compileKey(); err != nil {
		return nil, err
	}
	for _, id := range w.Purposes {
		p, err := s.compilePurpose(id)
		if err != nil {
			return nil, fmt.Errorf("purpose %s: %w", id, err)
		}
		s.purposes = append(s.purposes, p)
	}
	if w.Format != schemas.JSON {
		return s, nil
	}
	if s.json, err = s.compileSchema(""); err != nil {
		return nil, err
	}
	e.docs.add(s.json.docs)
	return s, nil
}

// compileSchema makes the plan of a writer schema, or that of a JSON stream.
func (s *CompiledStream) compileSchema(avsc string) (*Plan, error) {
	layout, split, err := s.layout(avsc)
	if err != nil {
		return nil, err
	}
	p, err := s.compile(layout, split)
	if err == nil && s.wiring.Format == schemas.JSONSchema {
		err = s.withholdDeclared(p, avsc)
	}
	if err != nil {
		return nil, err
	}
	p.withheld = nil
	return p, nil
}

// withholdDeclared adds what a JSON Schema declares and no rule covers: the layout
// has the positions of the wiring alone.
func (s *CompiledStream) withholdDeclared(p *Plan, schema string) error {
	declared, err := schemas.Declared(schema, s.wiring.Split)
	for _, n := range declared {
		if _, rule, err := s.rules.category(n.Path); err == nil && rule < 0 {
			p.withhold(n.Path)
		}
	}
	return err
}

// layout compiles the shape of what is decided at once: the record, or an element
// of it and where those lie.
func (s *CompiledStream) layout(avsc string) (layout schemas.Layout, split *schemas.Splitter, err error) {
	switch w := s.wiring; {
	case w.Split != "":
		split, layout, err = schemas.Split(w.Format, w.Split, avsc, s.paths(), binding(w.Fields)...)
	case w.Format == schemas.Avro:
		layout, err = schemas.NewAvro(avsc, s.paths())
	case w.Format == schemas.JSONSchema:
		layout, err = schemas.NewJSONSchema(avsc, "", s.paths(), binding(w.Fields)...)
	default:
		layout, err = schemas.NewJSON(s.paths(), binding(w.Fields)...)
	}
	return layout, split, err
}

// paths are all positions that the wiring names.
func (s *CompiledStream) paths() []string {
	seen := map[string]bool{}
	var paths []string
	add := func(p string) {
		if !seen[p] {
			seen[p] = true
			paths = append(paths, p)
		}
	}
	for _, f := range s.wiring.Fields {
		add(f.Path)
	}
	for i := range s.subjects {
		for _, path := range s.subjects[i].Paths {
			add(path)
		}
	}
	if path := s.wiring.EventTime.Path; path != "" {
		add(path)
	}
	return paths
}

// binding are the paths of rules that bind to a subject.
func binding(fields []FieldRule) (paths []string) {
	for _, f := range fields {
		if f.Subject != "" {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

func (s *CompiledStream) compilePurpose(id string) (streamPurpose, error) {
	p := s.engine.purpose(id)
	if p == nil {
		return streamPurpose{}, fmt.Errorf("is not in the policy")
	}
	sp := streamPurpose{purpose: p, topic: s.wiring.Topic + "." + id}
	var err error
	if sp.noncer, err = s.engine.noncer(id); err != nil {
		return sp, err
	}
	if sp.key, err = s.compileOutputKey(p); err != nil {
		return sp, err
	}
	sp.headers, err = s.compileHeaders(p)
	return sp, err
}

// compile makes the plan of one layout.
func (s *CompiledStream) compile(layout schemas.Layout, split *schemas.Splitter) (*Plan, error) {
	p := &Plan{layout: layout, split: split, time: findNode(layout, s.wiring.EventTime.Path), withheld: map[string]bool{}}
	for i := range s.subjects {
		p.subjects = append(p.subjects, findNodes(layout, s.subjects[i].paths))
	}
	p.work, p.weight = make([]int32, len(layout.Nodes())), planWeight(layout)
	p.timeRule = newTimeRule(s.wiring.EventTime, layout, p.time)
	found := s.resolveNodes(layout)
	for i, n := range layout.Nodes() {
		if n.Leaf && !n.Contested && found[i] == (resolved{}) {
			p.withhold(n.Path)
		}
	}
	for i := range s.purposes {
		v, out, doc, err := s.compileView(layout, found, p, &s.purposes[i])
		if err != nil {
			return nil, err
		}
		p.views = append(p.views, v)
		p.docs = append(p.docs, doc)
		if out.Schema != "" {
			p.outputs = append(p.outputs, out)
		}
	}
	return p, nil
}

// keepsHeader reports whether the purpose may see a header as it is, behind no gate;
// "" is no header.
func (sp *streamPurpose) keepsHeader(name string) bool {
	return name != "" && slices.ContainsFunc(sp.headers, func(h headerPlan) bool {
		return h.name == name && h.op == schemas.OpKeep && h.gate == (gate{})
	})
}

func (s *CompiledStream) compileView(layout schemas.Layout, found []resolved, p *Plan, sp *streamPurpose) (view, OutputSchema, Document, error) {
	var v view
	a, err := s.actions(sp.purpose, layout, found, s.record(), &v.gates)
	if err != nil {
		return v, OutputSchema{}, Document{}, err
	}
	acts := a.acts
	v.fields = a.fields
	for _, path := range a.withheld {
		p.withhold(path)
	}
	p.addWork(a)
	v.keepsTime = p.time >= 0 && acts[p.time].Op == schemas.OpKeep && acts[p.time].Gate == 0 || sp.keepsHeader(s.wiring.EventTime.Header)
	doc, digest, err := planDocument(s.wiring.Topic, sp, v.fields)
	if err != nil {
		return v, OutputSchema{}, doc, err
	}
	v.digest = digest
	if v.projection, err = layout.Project(acts, outputNamespace(layout, sp.purpose.ID)); err != nil {
		return v, OutputSchema{}, doc, err
	}
	out := OutputSchema{Purpose: sp.purpose.ID, Topic: sp.topic, Subject: sp.topic + "-value", Schema: v.projection.Schema(), Format: layout.Format()}
	return v, out, doc, nil
}

// addWork adds what a purpose's actions cost a record.
func (p *Plan) addWork(a actions) {
	for i, act := range a.acts {
		if act.Op != schemas.OpReplace || !p.layout.Nodes()[i].Leaf {
			continue
		}
		if _, nested := act.Via.(*schemas.Nested); nested {
			if p.texts == nil {
				p.texts = make([]textWork, len(a.acts))
			}
			p.texts[i].purposes++
			p.texts[i].dearest += a.dearest[i]
			continue
		}
		at := i
		if n := p.layout.Nodes()[i]; p.layout.Format() != schemas.Avro && strings.HasSuffix(n.Path, "~key") {
			at = int(n.Parent) // a name has no entry of its own on the tape: that of its value counts for both
		}
		p.work[at] += weight(act.Via)
	}
}

// weight is what a treatment of a value counts in a record's work (memory.go): what
// does not say otherwise takes about as long as a mask.
func weight(via schemas.Transform) int32 {
	if w, ok := via.(interface{ Weight() int }); ok {
		return int32(w.Weight())
	}
	return 1
}

// outputNamespace is the namespace of a derived schema: the input's and the
// purpose, `crm.analytics`.
func outputNamespace(layout schemas.Layout, purpose string) string {
	name := layout.Nodes()[0].Type.Name
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[:i+1] + purpose
	}
	return purpose
}
