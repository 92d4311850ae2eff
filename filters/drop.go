package filters

import "github.com/consentstream/consentstream/schemas"

// drop removes the position, from the derived schema too.
type drop struct{}

func (drop) Name() string                                { return "drop" }
func (drop) Op() schemas.Op                              { return schemas.OpDrop }
func (drop) Result(t schemas.Type) (schemas.Type, error) { return t, nil }
func (drop) Apply(buf []byte, _ schemas.Value) (schemas.Value, []byte, error) {
	return schemas.Value{}, buf, ErrValue // there is no value of what is gone
}
