package pipeline

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// registryPatience is how long the lanes of a worker wait for one answer of the
// registry; after it the lane that needs it waits alone (aside.go).
const registryPatience = time.Second

// unlearned is a schema that cannot be learned now. ask asks the registry for
// what is missing and reports that it answered in a way that is worth trying
// again for; it is called by other goroutines and touches nothing of the worker.
type unlearned struct {
	hold *Hold
	ask  func(context.Context) bool
}

func (u *unlearned) Error() string { return u.hold.Error() }

// resolveSchemas looks up the writer schemas that the batch's records wait for,
// registers the derived output schemas and scans those records again. It is the
// only place where a record waits for the registry; nothing of it is on the
// path of a batch whose schemas are known. Lanes whose schemas cannot be had now
// are set aside, and the batch is gathered again without them.
func (s *session) resolveSchemas(ctx context.Context) error {
	away := false
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
		err := s.resolve(ctx, it, away)
		var u *unlearned
		switch {
		case errors.As(err, &u) && ctx.Err() == nil:
			s.setAside(ctx, l, u)
			away = away || u.hold.Code == HoldRegistry
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

// resolve makes one item's schema known, where the registry is not known to be
// away, and scans the item again.
func (s *session) resolve(ctx context.Context, it *engine.Item, away bool) error {
	stream, id := it.Lane.Stream, it.SchemaID
	if !stream.Knows(id) {
		switch {
		case away:
			return s.noSchema(stream, id)
		case stream.Full():
			s.w.shrink(len(s.batch.Items()))
			return errRetry
		}
		err := s.learn(ctx, stream, id)
		if errors.Is(err, schemas.ErrUnknownSchema) {
			// Not remembered: the registry client caches the absence for a
			// while, and the schema may be registered later.
			s.batch.Fail(it, schemas.CodeUnknownSchema, "")
			return nil
		}
		if err != nil {
			return err
		}
	}
	s.w.guard.rescan(s.batch, it)
	return nil
}

// noSchema: the text of a writer schema is not to be had.
func (s *session) noSchema(stream *engine.CompiledStream, id int) *unlearned {
	registry := s.w.cfg.Registry
	return &unlearned{hold(HoldRegistry, "schema"), func(ctx context.Context) bool {
		_, err := registry.Schema(ctx, id, stream.Format())
		return err == nil || errors.Is(err, schemas.ErrUnknownSchema) || errors.Is(err, schemas.ErrUnsupportedSchema)
	}}
}

// learn installs the plan of one writer schema. The error is *unlearned or wraps
// schemas.ErrUnknownSchema.
func (s *session) learn(ctx context.Context, stream *engine.CompiledStream, id int) error {
	patient, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	text, err := s.w.cfg.Registry.Schema(patient, id, stream.Format())
	switch {
	case errors.Is(err, schemas.ErrUnknownSchema):
		return err
	case err != nil && !errors.Is(err, schemas.ErrUnsupportedSchema):
		return s.noSchema(stream, id)
	}
	plan, planErr := stream.Plan(id, text)
	if err != nil || planErr != nil {
		stream.Refuse(id, schemas.CodeBadSchema)
		return nil
	}
	if !s.w.citable(plan) {
		stream.Refuse(id, codePlanTooLarge)
		s.w.schemaLog.Error().Str("topic", stream.Topic()).Int("schema_id", id).Str("command", topicSettings{name: s.w.cfg.Topics.Policies}.alter(maxMessageBytes+"=…")+"   # then restart").
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

// citable reports that the plan's documents fit their topic. One that does not
// could never be produced, and would hold every lane of the worker: whoever may
// register schemas must not be able to (promise P9).
func (w *worker) citable(p *engine.Plan) bool {
	most := w.limits.of(w.cfg.Topics.Policies)
	for _, d := range p.Documents() {
		if recordOverhead+len(d.Key)+len(d.Value) > most {
			return false
		}
	}
	return true
}

// maxNamed is how many fields a warning names: a schema may have thousands.
const maxNamed = 20

// warnWithheld says that fields which nobody classified are withheld (P1). Paths
// are names of the writer's schema, which is no personal data.
func (w *worker) warnWithheld(topic string, schemaID int, paths []string) {
	if len(paths) == 0 {
		return
	}
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
	patient, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	id, err := registry.Register(patient, subject, text, format)
	switch {
	case errors.Is(err, schemas.ErrIncompatible):
		detail, mend := incompatible(o, err)
		return &unlearned{&Hold{Code: HoldIncompatible, Detail: detail, Mend: mend}, func(ctx context.Context) bool {
			_, err := registry.Register(ctx, subject, text, format)
			return err == nil
		}}
	case err != nil:
		return &unlearned{hold(HoldRegistry, "register"), func(ctx context.Context) bool {
			_, err := registry.Register(ctx, subject, text, format)
			return err == nil || errors.Is(err, schemas.ErrIncompatible)
		}}
	}
	o.SchemaID = id
	return nil
}

// alterCompatibility lets the registry take a schema that it calls incompatible,
// for who has made sure that the topic's readers do not mind.
func alterCompatibility(subject string) string {
	return `curl -X PUT -H "Content-Type: application/json" -d '{"compatibility":"NONE"}' REGISTRY/config/` + subject
}
