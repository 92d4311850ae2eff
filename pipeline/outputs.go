package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// registerOutputs registers what the schemas that the wiring names derive to, so
// that an output which its topic's readers do not know refuses the start instead
// of holding a lane at its first record. The error is a *Refusal or a *Hold.
func (e *Enforcer) registerOutputs(ctx context.Context) error {
	eng, err := engine.New(e.cfg.Engine)
	if err != nil {
		return err
	}
	var refusal Refusal
	for i := range e.cfg.Engine.Streams {
		w := &e.cfg.Engine.Streams[i]
		if !w.Format.Framed() || w.Schema == "" {
			continue
		}
		plan, err := eng.Stream(w.Topic).Plan(0, w.Schema)
		if err != nil {
			return &Stop{Reason: "the schema of " + w.Topic + " cannot be compiled"} // lint finds it first
		}
		for _, o := range plan.Outputs() {
			_, err := e.cfg.Registry.Register(ctx, o.Subject, o.Schema, o.Format)
			switch {
			case errors.Is(err, schemas.ErrIncompatible):
				detail, mend := incompatible(&o, err)
				refusal.add(mend, "the output schema does not follow the registered one: %s", detail)
			case err != nil:
				return hold(HoldRegistry, "register")
			}
		}
	}
	if len(refusal.Complaints) > 0 {
		return &refusal
	}
	return nil
}

// incompatible says what is different about an output schema, by names from schemas,
// and which command allows it, for somebody who has made sure that it may be allowed.
func incompatible(o *engine.OutputSchema, err error) (detail, mend string) {
	var what *schemas.IncompatibleError
	if !errors.As(err, &what) {
		return o.Subject, alterCompatibility(o.Subject)
	}
	return fmt.Sprintf("%s: purpose %s %v", o.Subject, o.Purpose, what), forgetSubject(o.Subject)
}

// forgetSubject is the command that lets a subject begin anew: what the purpose's
// readers newly see is then its first version. Ids stay known, so records can still
// be read.
func forgetSubject(subject string) string { return "curl -X DELETE REGISTRY/subjects/" + subject }
