package filters

import "github.com/consentstream/consentstream/schemas"

// redact writes null, whether or not the input held a value, so that presence
// does not show either (promise P6).
type redact struct{}

func (redact) Name() string   { return "redact" }
func (redact) Op() schemas.Op { return schemas.OpNull }

func (redact) Result(t schemas.Type) (schemas.Type, error) {
	if t.Kind == schemas.Invalid || t.Kind == schemas.Opaque {
		return schemas.Type{}, typeError("redact", t, "it can only be dropped for now")
	}
	t.Nullable = true
	return t, nil
}

func (redact) Apply(buf []byte, _ schemas.Value) (schemas.Value, []byte, error) {
	return schemas.Value{Kind: schemas.Null}, buf, nil
}
