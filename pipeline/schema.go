package pipeline

import (
	"context"
	"errors"
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
	if !s.installed(stream, id) {
		if away {
			return s.noSchema(id)
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
func (s *session) noSchema(id int) *unlearned {
	registry := s.w.cfg.Registry
	return &unlearned{hold(HoldRegistry, "schema"), func(ctx context.Context) bool {
		_, err := registry.Schema(ctx, id)
		return err == nil || errors.Is(err, schemas.ErrUnknownSchema) || errors.Is(err, schemas.ErrUnsupportedSchema)
	}}
}

// installed remembers what this worker has installed or refused, so that one
// batch asks once per schema.
func (s *session) installed(stream *engine.CompiledStream, id int) bool {
	return s.w.learned[schemaKey{stream.Topic(), id}]
}

type schemaKey struct {
	topic string
	id    int
}

// learn installs the plan of one writer schema. The error is *unlearned or wraps
// schemas.ErrUnknownSchema.
func (s *session) learn(ctx context.Context, stream *engine.CompiledStream, id int) error {
	patient, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	text, err := s.w.cfg.Registry.Schema(patient, id)
	switch {
	case errors.Is(err, schemas.ErrUnknownSchema):
		return err
	case err != nil && !errors.Is(err, schemas.ErrUnsupportedSchema):
		return s.noSchema(id)
	}
	plan, planErr := stream.Plan(id, text)
	if err != nil || planErr != nil {
		stream.Refuse(id, schemas.CodeBadSchema)
		s.w.learned[schemaKey{stream.Topic(), id}] = true
		return nil
	}
	outputs := plan.Outputs()
	for i := range outputs {
		if err := s.register(ctx, &outputs[i]); err != nil {
			return err
		}
	}
	stream.Install(id, plan)
	s.w.learned[schemaKey{stream.Topic(), id}] = true
	for _, path := range plan.Withheld {
		// Paths are names of the writer's schema, which is no personal data; a
		// field that nobody classified is withheld and this says so (P1).
		s.w.log.Warn().Str("topic", stream.Topic()).Int("schema_id", id).Str("path", path).Msg("field withheld: it has no category, or no treatment for its type")
	}
	return nil
}

func (s *session) register(ctx context.Context, o *engine.OutputSchema) error {
	registry, subject, text := s.w.cfg.Registry, o.Subject, o.Schema
	patient, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	id, err := registry.Register(patient, subject, text)
	switch {
	case errors.Is(err, schemas.ErrIncompatible):
		return &unlearned{&Hold{Code: HoldIncompatible, Detail: subject, Mend: alterCompatibility(subject)}, func(ctx context.Context) bool {
			_, err := registry.Register(ctx, subject, text)
			return err == nil
		}}
	case err != nil:
		return &unlearned{hold(HoldRegistry, "register"), func(ctx context.Context) bool {
			_, err := registry.Register(ctx, subject, text)
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
