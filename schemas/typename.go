package schemas

import "fmt"

var kindNames = [...]string{
	"invalid", "null", "boolean", "int", "long", "float", "double", "string", "bytes",
	"fixed", "enum", "number", "record", "array", "any value", "recursive type", "map", "union",
}

// String is the kind's name, as Avro has it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Invalid]
}

var logicalNames = [...]string{
	"", "decimal", "uuid", "date", "time-millis", "time-micros", "timestamp-millis", "timestamp-micros",
	"timestamp-nanos", "local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos", "duration",
	"an unknown logical type",
}

// String is the logical type's name in Avro schemas.
func (l Logical) String() string {
	if int(l) < len(logicalNames) {
		return logicalNames[l]
	}
	return logicalNames[UnknownLogical]
}

// String describes the type for people who write policies.
func (t Type) String() string {
	s := t.Kind.String()
	if t.Logical != NoLogical {
		s = fmt.Sprintf("%s (%s)", s, t.Logical)
	}
	if t.Nullable {
		s = "nullable " + s
	}
	return s
}

// IsInteger reports whether a JSON number has neither fraction nor exponent: then
// its text is the only one for its value, so that equal numbers are found and
// pseudonymized alike (RFC 8259 section 6 allows no leading zeros). Minus zero does
// not count: zero has another text already.
func IsInteger(literal []byte) bool {
	digits := literal
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
		if len(digits) == 1 && digits[0] == '0' {
			return false
		}
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(digits) == 1 || len(digits) > 1 && digits[0] != '0'
}
