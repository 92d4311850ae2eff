package pipeline

import (
	"context"
	"errors"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// resolveSchemas looks up the writer schemas that the batch's records wait for,
// registers the derived output schemas and scans those records again. It is the
// only place where a record waits for the registry; nothing of it is on the
// path of a batch whose schemas are known.
func (s *session) resolveSchemas(ctx context.Context) error {
	for _, it := range s.batch.Items() {
		if it.State != engine.StateNeedsSchema {
			continue
		}
		if !s.installed(it.Lane.Stream, it.SchemaID) {
			err := s.learn(ctx, it.Lane.Stream, it.SchemaID)
			if errors.Is(err, schemas.ErrUnknownSchema) {
				// Not remembered: the registry client caches the absence for a
				// while, and the schema may be registered later.
				s.batch.Fail(it, schemas.CodeUnknownSchema, "")
				continue
			}
			if err != nil {
				return err
			}
		}
		s.w.guard.rescan(s.batch, it)
	}
	return nil
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

// learn installs the plan of one writer schema.
func (s *session) learn(ctx context.Context, stream *engine.CompiledStream, id int) error {
	text, err := s.w.cfg.Registry.Schema(ctx, id)
	switch {
	case errors.Is(err, schemas.ErrUnknownSchema):
		return err
	case err != nil && !errors.Is(err, schemas.ErrUnsupportedSchema):
		return hold(HoldRegistry, "schema")
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
	id, err := s.w.cfg.Registry.Register(ctx, o.Subject, o.Schema)
	switch {
	case errors.Is(err, schemas.ErrIncompatible):
		return &Hold{Code: HoldIncompatible, Detail: o.Subject, Mend: alterCompatibility(o.Subject)}
	case err != nil:
		return hold(HoldRegistry, "register")
	}
	o.SchemaID = id
	return nil
}

// alterCompatibility lets the registry take a schema that it calls incompatible,
// for who has made sure that the topic's readers do not mind.
func alterCompatibility(subject string) string {
	return `curl -X PUT -H "Content-Type: application/json" -d '{"compatibility":"NONE"}' REGISTRY/config/` + subject
}
