package filters

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/consentstream/consentstream/schemas"
)

// constant writes one value of the position's own type in place of whatever is
// there, and also where there is nothing or null, so that the output does not tell
// which it was.
type constant struct {
	value any // string, int64, float64 or bool
}

func newConstant(p *parameters) (Treatment, error) {
	v, ok := p.take("value")
	switch x := v.(type) {
	case int64, bool:
		return constant{v}, nil
	case string:
		if utf8.ValidString(x) {
			return constant{v}, nil
		}
		return nil, errors.New("the value is not UTF-8")
	case float64:
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			return constant{v}, nil
		}
		return nil, errors.New("the value is not a finite number")
	}
	if ok && v == nil {
		return nil, errors.New("a constant null is redact")
	}
	return nil, errors.New("value must be a string, an integer, a number or a boolean")
}

func (constant) Name() string   { return "constant" }
func (constant) Op() schemas.Op { return schemas.OpConst }

func (c constant) At(t schemas.Type) (schemas.Transform, schemas.Type, error) {
	if !constantTakes(t) {
		return nil, schemas.Type{}, refuse("constant", t)
	}
	v, ok := c.as(t)
	if !ok {
		return nil, schemas.Type{}, fmt.Errorf("constant: %s cannot hold the value", typeName(t))
	}
	return fixedValue{v}, t, nil
}

// constantTakes reports whether some value of t can be written in a policy. Bytes,
// decimals and durations cannot.
func constantTakes(t schemas.Type) bool {
	switch t.Logical {
	case schemas.Decimal, schemas.Duration, schemas.UnknownLogical:
		return false
	}
	switch t.Kind {
	case schemas.Bool, schemas.Int, schemas.Long, schemas.Float, schemas.Double, schemas.String, schemas.Enum, schemas.Number, schemas.Any:
		return true
	}
	return false
}

// as gives the constant as a value of t. Dates and times are given as the
// integer that the logical type stores.
func (c constant) as(t schemas.Type) (schemas.Value, bool) {
	v := schemas.Value{Kind: t.Kind, Logical: t.Logical}
	if t.Kind == schemas.Any || t.Kind == schemas.Number {
		return c.asJSON(t.Kind == schemas.Number)
	}
	switch x := c.value.(type) {
	case bool:
		if x {
			v.Int = 1
		}
		return v, t.Kind == schemas.Bool
	case string:
		v.Text = []byte(x)
		if t.Kind == schemas.Enum {
			v.Int = int64(slices.Index(t.Symbols, x))
			return v, v.Int >= 0
		}
		_, isUUID := parseUUID(v.Text)
		return v, t.Kind == schemas.String && (t.Logical != schemas.UUID || isUUID)
	case int64:
		v.Int, v.Float = x, float64(x)
		return v, intFits(x, t)
	case float64:
		v.Float = x
		return v, t.Kind == schemas.Double || t.Kind == schemas.Float && math.Abs(x) <= math.MaxFloat32
	}
	return v, false
}

// asJSON gives the value in its own type.
func (c constant) asJSON(onlyNumber bool) (schemas.Value, bool) {
	switch x := c.value.(type) {
	case bool:
		v, _ := c.as(schemas.Type{Kind: schemas.Bool})
		return v, !onlyNumber
	case string:
		return schemas.Value{Kind: schemas.String, Text: []byte(x)}, !onlyNumber
	case int64:
		return schemas.Value{Kind: schemas.Number, Text: strconv.AppendInt(nil, x, 10)}, true
	case float64:
		return schemas.Value{Kind: schemas.Number, Text: strconv.AppendFloat(nil, x, 'g', -1, 64)}, true
	}
	return schemas.Value{}, false
}

// intFits reports whether x is exactly a value of t.
func intFits(x int64, t schemas.Type) bool {
	day := map[schemas.Logical]int64{schemas.TimeMillis: 86_400_000, schemas.TimeMicros: 86_400_000_000}[t.Logical]
	if day != 0 && (x < 0 || x >= day) {
		return false
	}
	switch t.Kind {
	case schemas.Int:
		return x == int64(int32(x))
	case schemas.Long:
		return true
	case schemas.Float:
		return -1<<24 <= x && x <= 1<<24
	case schemas.Double:
		return -1<<53 <= x && x <= 1<<53
	}
	return false
}

// fixedValue yields the same value always.
type fixedValue struct{ v schemas.Value }

func (f fixedValue) Apply(buf []byte, _ schemas.Value) (schemas.Value, []byte, error) {
	return f.v, buf, nil
}
