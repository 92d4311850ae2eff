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
				detail, mend := e.cfg.incompatible(&o, err)
				refusal.add(mend, "the output schema is not what readers of the topic know (if it may change, let it begin anew): %s", detail)
			case err != nil:
				return e.cfg.registryHold("register", err)
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
func (cfg *Config) incompatible(o *engine.OutputSchema, err error) (detail, mend string) {
	var what *schemas.IncompatibleError
	if !errors.As(err, &what) {
		return o.Subject, cfg.alterCompatibility(o.Subject)
	}
	return fmt.Sprintf("%s: purpose %s %v", o.Subject, o.Purpose, what), cfg.forgetSubject(o.Subject)
}
