package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// registryPatience is how long the lanes of a worker wait for the registry while
// one batch is decided, altogether; after it the lanes that need more of it wait
// alone (aside.go).
const registryPatience = 250 * time.Millisecond

// unlearned is a schema that cannot be learned now. ask asks the registry for
// what is missing and reports whether it answered in a way that is worth trying
// again for; it is called by other goroutines and touches nothing of the worker.
type unlearned struct {
	hold *Hold
	ask  func(context.Context) bool
	ids  *lookup // nil: it is not for a writer schema
}

func (u *unlearned) Error() string { return u.hold.Error() }

// resolveSchemas looks up the writer schemas that the batch's records wait for,
// registers the derived output schemas and scans those records again. It is the
// only place where a record waits for the registry; nothing of it is on the
// path of a batch whose schemas are known. Lanes whose schemas cannot be had now
// are set aside, and the batch is gathered again without them.
func (s *session) resolveSchemas(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	impatient, now := context.WithCancel(patient)
	now() // what is remembered counts, and nothing is asked
	for _, it := range s.batch.Items() {
		if it.State != engine.StateNeedsSchema {
			continue
		}
		l := s.lanes.get(it.Lane.Topic, it.Lane.Partition)
		if l == nil {
			return errDropped
		}
		if s.aside[l.key()] != nil {
			continue
		}
		asking := patient
		if l.strangers {
			asking = impatient
		}
		err := s.resolve(asking, l, it)
		var u *unlearned
		switch {
		case errors.As(err, &u) && ctx.Err() == nil:
			s.setAside(ctx, l, u)
			if u.hold.Code == HoldRegistry && !l.strangers {
				cancel() // it is away, or slow
			}
		case errors.Is(err, errRetry):
			return err
		case err != nil:
			return errDropped // shutting down
		}
	}
	if len(s.aside) > 0 && s.asideInBatch() {
		return errRetry
	}
	return nil
}

// resolve makes one item's schema known and scans the item again. Where ctx has
// ended, only what is remembered counts.
func (s *session) resolve(ctx context.Context, l *lane, it *engine.Item) error {
	stream, id := it.Lane.Stream, it.SchemaID
	if !stream.Knows(id) && !l.unknown[id] {
		if stream.Full() {
			s.w.shrink(len(s.batch.Items()))
			return errRetry
		}
		err := s.learn(ctx, l, id)
		if err != nil && !errors.Is(err, schemas.ErrUnknownSchema) {
			return err
		}
		if err != nil {
			l.doubt(id)
		}
	}
	if l.unknown[id] {
		s.batch.Fail(it, schemas.CodeUnknownSchema, "")
		return nil
	}
	s.w.guard.rescan(s.batch, it)
	return nil
}

// noSchema: writer schemas are not available. The lane waits for all those that its
// records in the batch need: asked for one by one, a batch that needs thousands would
// be dropped and gathered as many times.
func (s *session) noSchema(l *lane, cause error) *unlearned {
	q := &lookup{registry: s.w.cfg.Registry, format: l.Stream.Format(), unknown: map[int]bool{}}
	for _, it := range s.batch.Items() {
		if it.Lane == &l.Lane && it.State == engine.StateNeedsSchema && !l.Stream.Knows(it.SchemaID) && !l.unknown[it.SchemaID] {
			q.ids = append(q.ids, it.SchemaID)
		}
	}
	slices.Sort(q.ids)
	q.ids = slices.Compact(q.ids)
	return &unlearned{hold: s.w.cfg.registryHold("schema", cause), ask: q.ask, ids: q}
}

// learn installs the plan of one writer schema. The error is *unlearned or wraps
// schemas.ErrUnknownSchema.
func (s *session) learn(ctx context.Context, l *lane, id int) error {
	stream := l.Stream
	text, err := s.w.cfg.Registry.Schema(ctx, id, stream.Format())
	switch {
	case errors.Is(err, schemas.ErrUnknownSchema):
		return err
	case err != nil && !errors.Is(err, schemas.ErrUnsupportedSchema):
		return s.noSchema(l, err)
	}
	plan, planErr := stream.Plan(id, text)
	if err != nil || planErr != nil {
		stream.Refuse(id, schemas.CodeBadSchema)
		return nil
	}
	if need := largestDocument(plan); need > s.w.limits.of(s.w.cfg.Topics.Policies) {
		stream.Refuse(id, codePlanTooLarge)
		s.w.schemaLog.Error().Str("topic", stream.Topic()).Int("schema_id", id).Str("command", s.w.cfg.alter(s.w.cfg.Topics.Policies, fmt.Sprintf("%s=%d", maxMessageBytes, need))+"   # then restart").
			Msg("records of a writer schema go to quarantine: what is done with its fields does not fit the policies topic")
		return nil
	}
	outputs := plan.Outputs()
	for i := range outputs {
		if err := s.register(ctx, &outputs[i]); err != nil {
			return err
		}
	}
	stream.Install(id, plan)
	s.w.forgetPublished()
	s.w.warnWithheld(stream.Topic(), id, plan.Withheld)
	return nil
}

// codePlanTooLarge is the code of records whose writer schema has more fields than
// one document on the policies topic can say what is done with.
const codePlanTooLarge schemas.Code = "plan_too_large"

// largestDocument is what the largest of the plan's documents takes on its topic. One
// that does not fit could never be produced, and would hold every lane of the worker:
// whoever may register schemas must not be able to (promise P9).
func largestDocument(p *engine.Plan) (size int) {
	for _, d := range p.Documents() {
		size = max(size, recordOverhead+len(d.Key)+len(d.Value))
	}
	return size
}

// maxNamed is how many fields a warning names: a schema may have thousands.
const maxNamed = 20

// warnWithheld says, and counts, that fields which nobody classified are withheld
// (P1). Paths are names of the writer's schema, which is no personal data.
func (w *worker) warnWithheld(topic string, schemaID int, paths []string) {
	if len(paths) == 0 {
		return
	}
	w.metrics.withheld.WithLabelValues(topic).Add(float64(len(paths)))
	w.schemaLog.Warn().Str("topic", topic).Int("schema_id", schemaID).Int("fields", len(paths)).Strs("paths", paths[:min(len(paths), maxNamed)]).
		Msg("fields withheld: they have no category, or no treatment for their type")
}

// forgetPublished forgets documents that the engine has forgotten, now and then:
// else whoever registers schemas would fill the memory with their digests.
func (w *worker) forgetPublished() {
	docs := w.engine.Documents()
	if len(w.published) < 2*len(docs)+1000 {
		return
	}
	current := make(map[string]bool, len(docs))
	for _, d := range docs {
		current[d.Key] = true
	}
	maps.DeleteFunc(w.published, func(key string, _ bool) bool { return !current[key] })
}

func (s *session) register(ctx context.Context, o *engine.OutputSchema) error {
	registry, subject, text, format := s.w.cfg.Registry, o.Subject, o.Schema, o.Format
	id, err := registry.Register(ctx, subject, text, format)
	switch {
	case errors.Is(err, schemas.ErrIncompatible):
		detail, mend := s.w.cfg.incompatible(o, err)
		return &unlearned{hold: &Hold{Code: HoldIncompatible, Detail: detail, Mend: mend}, ask: func(ctx context.Context) bool {
			_, err := registry.Register(ctx, subject, text, format)
			return err == nil
		}}
	case err != nil:
		return &unlearned{hold: s.w.cfg.registryHold("register", err), ask: func(ctx context.Context) bool {
			_, err := registry.Register(ctx, subject, text, format)
			return err == nil || errors.Is(err, schemas.ErrIncompatible)
		}}
	}
	o.SchemaID = id
	return nil
}
