package schemas

import (
	"bytes"
	"strconv"
)

// Values of types that their JSON Schema does not allow. Serializers may be told not
// to validate, and then anything can stand where the schema says string, also
// an object with members that nobody has classified. The schema of an output says what
// the input's says, so what keeps its type is of the types declared there, or withheld
// and counted. What a treatment makes another type of is not looked at: a token of 42
// must not tell whether it stood there as text. Nor is what a schema says besides
// types, nor types in elements that a path chooses where others are kept with all the
// rest (json_variants.go): that would tell them apart.

// typesAt are the types that may stand at a node.
func (l *jsonLayout) typesAt(id NodeID) jsonTypes {
	if l.types == nil {
		return anyType
	}
	return l.types[id]
}

// has reports whether the value of an entry is of one of the types.
func (t jsonTypes) has(src []byte, e *Entry) bool {
	switch e.Kind {
	case Null:
		return t&typeNull != 0
	case Bool:
		return t&typeBoolean != 0
	case String:
		return t&typeString != 0
	case Array:
		return t&typeArray != 0
	case Record:
		return t&typeObject != 0
	case Number:
		return t&typeNumber != 0 || t&typeInteger != 0 && isWhole(src[e.Start:e.End])
	}
	return false
}

// isWhole reports whether a number is an integer for JSON Schema since draft 6: 1.0 and
// 1e3 are.
func isWhole(literal []byte) bool {
	digits, power := literal, []byte(nil)
	if i := bytes.IndexAny(literal, "eE"); i >= 0 {
		digits, power = literal[:i], literal[i+1:]
	}
	whole, fraction, _ := bytes.Cut(bytes.TrimPrefix(digits, []byte("-")), []byte("."))
	fraction = bytes.TrimRight(fraction, "0")
	if len(power) == 0 {
		return len(fraction) == 0
	}
	if len(fraction) == 0 && len(bytes.Trim(whole, "0")) == 0 {
		return true // 0e-9
	}
	n, err := strconv.Atoi(string(power))
	if err != nil { // beyond any number of digits
		return power[0] != '-'
	}
	if n >= 0 || len(fraction) > 0 {
		return n >= len(fraction)
	}
	return len(whole)-len(bytes.TrimRight(whole, "0")) >= -n
}
