package filters

import "github.com/consentstream/consentstream/schemas"

// keep leaves the input's bytes as they are.
type keep struct{}

func (keep) Name() string   { return "keep" }
func (keep) Op() schemas.Op { return schemas.OpKeep }

func (k keep) At(t schemas.Type) (schemas.Transform, schemas.Type, error) {
	if !keepTakes(t) {
		return nil, schemas.Type{}, refuse("keep", t)
	}
	return k, t, nil
}

// keepTakes excludes what no rule can look into.
func keepTakes(t schemas.Type) bool { return t.Kind != schemas.Invalid && t.Kind != schemas.Opaque }

func (keep) Apply(buf []byte, v schemas.Value) (schemas.Value, []byte, error) { return v, buf, nil }
