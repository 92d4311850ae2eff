package filters

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/consentstream/consentstream/schemas"
)

// constant writes one fixed value, whether or not the input held one.
type constant struct{ value schemas.Value }

func newConstant(p *paramSet) (Treatment, error) {
	v, ok := p.find("value")
	if !ok {
		return nil, fmt.Errorf(`constant needs a value: {constant: "unknown"}`)
	}
	switch v := v.(type) {
	case string:
		return constant{schemas.Value{Kind: schemas.String, Text: []byte(v)}}, nil
	case int64:
		return constant{schemas.Value{Kind: schemas.Long, Int: v, Text: strconv.AppendInt(nil, v, 10)}}, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("constant: the value must be a finite number")
		}
		return constant{schemas.Value{Kind: schemas.Double, Float: v, Text: strconv.AppendFloat(nil, v, 'g', -1, 64)}}, nil
	case bool:
		b := constant{schemas.Value{Kind: schemas.Bool}}
		if v {
			b.value.Int = 1
		}
		return b, nil
	}
	return nil, fmt.Errorf("constant: the value must be text, a number, true or false; for null use redact")
}

func (constant) Name() string   { return "constant" }
func (constant) Op() schemas.Op { return schemas.OpConst }

func (c constant) Result(t schemas.Type) (schemas.Type, error) {
	if t.Logical != schemas.NoLogical || !c.fits(t) {
		return schemas.Type{}, typeError("constant", t, "the value is not of this type; use redact or drop")
	}
	return t, nil
}

func (c constant) fits(t schemas.Type) bool {
	switch t.Kind {
	case schemas.Any:
		return true
	case schemas.Bool:
		return c.value.Kind == schemas.Bool
	case schemas.Int:
		return c.value.Kind == schemas.Long && c.value.Int >= math.MinInt32 && c.value.Int <= math.MaxInt32
	case schemas.Long:
		return c.value.Kind == schemas.Long
	case schemas.Float:
		return c.value.Kind == schemas.Double && math.Abs(c.value.Float) <= math.MaxFloat32 || c.exact(1<<24)
	case schemas.Double:
		return c.value.Kind == schemas.Double || c.exact(1<<53)
	case schemas.String:
		return c.value.Kind == schemas.String
	case schemas.Enum:
		return c.value.Kind == schemas.String && slices.Contains(t.Symbols, string(c.value.Text))
	}
	return false
}

// exact reports an integer that a float holds exactly.
func (c constant) exact(limit int64) bool {
	return c.value.Kind == schemas.Long && c.value.Int >= -limit && c.value.Int <= limit
}

func (c constant) Apply(buf []byte, _ schemas.Value) (schemas.Value, []byte, error) {
	v := c.value
	if v.Kind == schemas.Long {
		v.Float = float64(v.Int)
	}
	return v, buf, nil
}
