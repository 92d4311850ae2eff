package filters

import "github.com/consentstream/consentstream/schemas"

// drop removes the position.
type drop struct{}

func (drop) Name() string   { return "drop" }
func (drop) Op() schemas.Op { return schemas.OpDrop }

// At gives the zero Type: the position is gone.
func (d drop) At(schemas.Type) (schemas.Transform, schemas.Type, error) {
	return d, schemas.Type{}, nil
}

func (drop) Apply(buf []byte, _ schemas.Value) (schemas.Value, []byte, error) {
	return schemas.Value{}, buf, ErrDropped
}
