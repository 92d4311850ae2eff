package filters

import "github.com/consentstream/consentstream/schemas"

// keep copies the input's bytes.
type keep struct{}

func (keep) Name() string   { return "keep" }
func (keep) Op() schemas.Op { return schemas.OpKeep }

func (keep) Result(t schemas.Type) (schemas.Type, error) {
	if t.Kind == schemas.Invalid || t.Kind == schemas.Opaque {
		return schemas.Type{}, typeError("keep", t, "it can only be dropped for now")
	}
	return t, nil
}

// Apply is for completeness: a splicer copies the bytes without asking.
func (keep) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) { return v, buf, nil }
