package filters

import "github.com/consentstream/consentstream/schemas"

// redact writes null in place of the value, whether or not there was one.
type redact struct{}

func (redact) Name() string   { return "redact" }
func (redact) Op() schemas.Op { return schemas.OpNull }

func (r redact) At(t schemas.Type) (schemas.Transform, schemas.Type, error) {
	if !keepTakes(t) {
		return nil, schemas.Type{}, refuse("redact", t)
	}
	if !t.Nullable && t.Kind != schemas.Null {
		t.Nullable, t.NullIndex = true, 0
	}
	return r, t, nil
}

func (redact) Apply(buf []byte, _ schemas.Value) (schemas.Value, []byte, error) {
	return schemas.Value{Kind: schemas.Null}, buf, nil
}
