package schemas

// Kind is the shape of a value. The zero Kind is invalid and fits no treatment.
type Kind uint8

// The kinds of Avro and JSON values. Number is a JSON number kept as its text;
// Any is a JSON position whose type only the value tells; Opaque is a position
// that can only be dropped: what a recursive type holds of itself. Union is an
// Avro union that is not one type and null; its branches have types of their own.
const (
	Invalid Kind = iota
	Null
	Bool
	Int
	Long
	Float
	Double
	String
	Bytes
	Fixed
	Enum
	Number
	Record
	Array
	Any
	Opaque
	Map
	Union
)

// Logical is an Avro logical type; types that this package does not know are
// Unknown, which no treatment but keep, drop and redact takes.
type Logical uint8

// The logical types of Avro 1.12.
const (
	NoLogical Logical = iota
	Decimal
	UUID
	Date
	TimeMillis
	TimeMicros
	TimestampMillis
	TimestampMicros
	TimestampNanos
	LocalTimestampMillis
	LocalTimestampMicros
	LocalTimestampNanos
	Duration
	UnknownLogical
)

// Type is the type of one position. For a union of null and one type it is that
// type, with Nullable set and NullIndex the branch number of null.
type Type struct {
	Kind      Kind
	Logical   Logical
	Nullable  bool
	NullIndex uint8 // where "null" stands in the union; 0 or 1 except for a Union
	Size      int   // Fixed: bytes
	Precision int   // Decimal
	Scale     int   // Decimal
	Symbols   []string
	Name      string // full name of a named type (Fixed, Enum, Record)
}

// Value is one decoded scalar on its way through a treatment. Text is the
// UTF-8 text of String, the symbol of Enum, the bytes of Bytes and Fixed, the
// literal of Number; it is valid until the next use of the buffer it came from.
type Value struct {
	Kind    Kind
	Logical Logical
	Int     int64 // Bool (0, 1), Int, Long, Enum (symbol index)
	Float   float64
	Text    []byte
}
