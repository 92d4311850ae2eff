// Package filters holds the treatments: what a purpose does to a value. It
// knows types and values, not purposes and not consent.
//
// Each (treatment, type) pair either has a defined result or is refused with
// what would fit; nothing passes untreated because a type is unknown.
// TestEveryType writes the whole table out. The outcomes:
//
//	keep          any type but an opaque one: the input's bytes
//	drop          any type: the position is gone
//	redact        any type but an opaque one: null
//	constant      scalars that can hold the value: the value, whatever was there
//	mask          strings: first and last characters around a fixed filler
//	truncate      strings and bytes: at most n characters or bytes
//	pseudonymize  strings, integers, enums, uuids: a keyed token
//
// An opaque position (an Avro map, a union of several branches) can only be
// dropped. What carries a logical type that this program does not know can be
// kept, dropped or redacted, never changed. Containers are kept, dropped and
// redacted; other treatments go to their fields. A JSON position has the type
// Any: there the value tells its type when it is there, and a value that the
// treatment does not take is an error, which withholds it. Null is never
// given to a treatment: it stays null for mask, truncate and pseudonymize.
//
// # Characters
//
// mask and truncate count Unicode code points and never cut between code points
// that show as one character: combining marks, variation selectors, joiners
// and what they join, emoji modifiers, flags, conjoining jamo, CR LF (UAX #29,
// without prepended marks and Indic conjuncts). They cut before such a cluster rather than behind it, so
// that never more than the stated number of code points shows.
//
// # Tokens
//
//	digest = HMAC-SHA-256(key of the purpose, lp(domain) ‖ lp(canonical value))
//	token  = "k" ‖ epoch in decimal ‖ "." ‖ first 26 characters (130 bits) of base32(digest)
//
// where lp(x) is the length of x as 4 bytes big-endian and then x, and base32
// is RFC 4648 section 6 in lower case. The canonical value is UTF-8 text: of a
// string what the normaliser makes of it, of an integer (and of a JSON number
// without fraction and exponent) its decimal digits without "+", "-0" and
// leading zeros, of an enum its symbol. So 42 and "42" have one token, in Avro
// and in JSON.
//
// A uuid stays a uuid: where the canonical text has the form of RFC 9562
// section 4 (8-4-4-4-12 hexadecimal digits, in any case; it counts in lower
// case) the token is a version 8 uuid of 8 bits epoch (modulo 256) and 114
// bits of the digest:
//
//	byte 0: epoch, bytes 1 to 15: digest[0:15], then version 8 and variant 10
//
// This goes by the text, not by the schema's type, so that a uuid has one
// token as plain string, as `uuid` string, as `uuid` fixed(16) and in JSON.
package filters

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

// Treatment is one treatment with its parameters.
type Treatment interface {
	// Name is the word for it in a policy.
	Name() string
	// Op says how a splicer carries it out. Only OpReplace and OpConst need
	// the Transform of At.
	Op() schemas.Op
	// At compiles the treatment for a position of type t and gives the type
	// that it yields there. Nullability is kept: null stays null. The error
	// says, to the policy's author, which treatments would fit.
	At(t schemas.Type) (schemas.Transform, schemas.Type, error)
}

// Param is one parameter as the policy gave it: a string, int64, float64,
// bool or nil.
type Param struct {
	Name  string
	Value any
}

// Env is what pseudonymize needs to know of its position; the others ignore
// it. A Treatment made with it is not safe for concurrent use.
type Env struct {
	Key    keys.Key // 32 bytes, the purpose's (keys.UsePseudonym)
	Epoch  int      // of Key; at least 1
	Domain string   // the subject's namespace, else the category
	// Normalize appends the canonical form of an identifier's text to dst; nil
	// stands for the identity.
	Normalize func(dst, text []byte) ([]byte, error)
}

// What Apply finds wrong with a value. They are fixed texts: an error here
// must not show the value.
var (
	ErrValueType = errors.New("a value of a type that the treatment does not take")
	ErrValue     = errors.New("a value that the treatment does not take")
	ErrDropped   = errors.New("a dropped position has no value")
)

// Names lists the treatments.
func Names() []string {
	return []string{"keep", "drop", "redact", "constant", "mask", "truncate", "pseudonymize"}
}

// New makes a treatment. The empty name is drop: what a policy does not name
// is withheld. Errors are for the policy's author.
func New(name string, params []Param, env Env) (Treatment, error) {
	p := newParameters(params)
	var t Treatment
	var err error
	switch name {
	case "", "drop":
		t = drop{}
	case "keep":
		t = keep{}
	case "redact":
		t = redact{}
	case "constant":
		t, err = newConstant(p)
	case "mask":
		t, err = newMask(p)
	case "truncate":
		t, err = newTruncate(p)
	case "pseudonymize":
		t, err = newPseudonymize(env)
	default:
		return nil, fmt.Errorf("%q is not a treatment; the treatments are %s", name, strings.Join(Names(), ", "))
	}
	if err == nil {
		err = p.unused()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// parameters hands out each parameter once; what is left over is an error.
type parameters struct{ left []Param }

func newParameters(params []Param) *parameters { return &parameters{slices.Clone(params)} }

func (p *parameters) take(name string) (v any, ok bool) {
	i := slices.IndexFunc(p.left, func(x Param) bool { return x.Name == name })
	if i < 0 {
		return nil, false
	}
	v = p.left[i].Value
	p.left = slices.Delete(p.left, i, i+1)
	return v, true
}

// number takes an integer parameter; def stands for a missing one.
func (p *parameters) number(name string, def, lowest, highest int64) (int, error) {
	v, ok := p.take(name)
	if !ok {
		v = def
	}
	n, ok := v.(int64)
	if !ok || n < lowest || n > highest {
		return 0, fmt.Errorf("%s must be an integer from %d to %d", name, lowest, highest)
	}
	return int(n), nil
}

func (p *parameters) unused() error {
	if len(p.left) == 0 {
		return nil
	}
	return fmt.Errorf("unknown or repeated parameter %q", p.left[0].Name)
}

// refuse is the error of a treatment at a type that it does not take.
func refuse(name string, t schemas.Type) error {
	var fit []string
	for _, f := range []struct {
		name  string
		takes func(schemas.Type) bool
	}{{"keep", keepTakes}, {"redact", keepTakes}, {"constant", constantTakes}, {"mask", maskTakes},
		{"truncate", truncateTakes}, {"pseudonymize", pseudonymizeTakes}} {
		if f.name != name && f.takes(t) {
			fit = append(fit, f.name)
		}
	}
	if t.Kind == schemas.Record || t.Kind == schemas.Array {
		fit = append(fit, "a treatment of what is in it")
	}
	return fmt.Errorf("%s does not take %s; use %s", name, typeName(t), strings.Join(append(fit, "drop"), " or "))
}

// plain reports that t carries no logical type, so that its kind says it all.
func plain(t schemas.Type) bool { return t.Logical == schemas.NoLogical }

// scalarType is a type of kind k, nullable as t is.
func scalarType(k schemas.Kind, t schemas.Type) schemas.Type {
	return schemas.Type{Kind: k, Nullable: t.Nullable, NullIndex: t.NullIndex}
}

// kindNames and logicalNames are the words of errors.
var kindNames = map[schemas.Kind]string{
	schemas.Null: "null", schemas.Bool: "a boolean", schemas.Int: "an int", schemas.Long: "a long", schemas.Float: "a float",
	schemas.Double: "a double", schemas.String: "a string", schemas.Bytes: "bytes", schemas.Fixed: "a fixed", schemas.Enum: "an enum",
	schemas.Number: "a number", schemas.Record: "a record", schemas.Array: "an array", schemas.Any: "a JSON value",
	schemas.Opaque: "a map or a union of several branches",
}

var logicalNames = map[schemas.Logical]string{
	schemas.Decimal: "decimal", schemas.UUID: "uuid", schemas.Date: "date", schemas.TimeMillis: "time-millis", schemas.TimeMicros: "time-micros",
	schemas.TimestampMillis: "timestamp-millis", schemas.TimestampMicros: "timestamp-micros", schemas.TimestampNanos: "timestamp-nanos",
	schemas.LocalTimestampMillis: "local-timestamp-millis", schemas.LocalTimestampMicros: "local-timestamp-micros",
	schemas.LocalTimestampNanos: "local-timestamp-nanos", schemas.Duration: "duration", schemas.UnknownLogical: "an unknown logical type",
}

func typeName(t schemas.Type) string {
	kind, ok := kindNames[t.Kind]
	switch {
	case !ok:
		return "an invalid type"
	case plain(t):
		return kind
	}
	return kind + " (" + logicalNames[t.Logical] + ")"
}
