// Package filters holds the treatments: what a purpose does to a value. It
// knows types and values, not purposes and not consent.
//
// Each (treatment, type) pair either has a defined result or is refused with
// what would fit; nothing passes untreated because a type is unknown. The whole
// table is docs/treatments.md, which a test writes from this code. In short:
//
//	keep          any type but an opaque one: the input's bytes
//	drop          any type: the position is gone
//	redact        any type but an opaque one: null
//	constant      scalars that can hold the value: the value, whatever was there
//	mask          strings: first and last characters around a fixed filler
//	truncate      strings and bytes: at most n characters or bytes
//	pseudonymize  strings, integers, enums, uuids: a keyed token, for good
//	encrypt       any scalar but booleans: a keyed token that its key opens again
//	generalize    what its form takes: the class of the value, as the same type
//	date_shift    dates, timestamps, text of them: moved by the subject's days
//
// An opaque position (what a recursive type holds of itself) can only be
// dropped. What carries a logical type that this program does not know can be
// kept, dropped or redacted, never changed. Containers are kept, dropped and
// redacted; other treatments go to their fields. A JSON position has the type
// Any: there the value tells its type when it is there, and a value that the
// treatment does not take is an error, which withholds it. Null is never
// given to a treatment: it stays null for all that look at the value.
//
// # Characters
//
// mask and truncate count Unicode code points and never cut between code points
// that show as one character: combining marks, variation selectors, joiners
// and what they join, emoji modifiers, flags, conjoining jamo, CR LF (UAX #29,
// without prepended marks and Indic conjuncts). They cut before such a cluster
// rather than after it, so that no more than the stated number of code points ever
// shows.
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
//
// # Tokens that can be opened
//
//	token = "e" ‖ epoch in decimal ‖ "." ‖ base64url(AES-SIV(key of the purpose, data, plain))
//	data  = lp("consentstream encrypt 1") ‖ lp(purpose) ‖ lp(path) ‖ epoch as 8 bytes big-endian
//	plain = tag ‖ value ‖ 0x80 ‖ 0x00 up to a multiple of 16 bytes
//
// AES-SIV is RFC 5297's with 64 bytes of key and data as its one associated
// string; its 16 bytes SIV stand first. base64url is RFC 4648 section 5 without
// padding. tag is "t" for text and "b" for bytes; the token of bytes is bytes,
// of anything else a string. It is deterministic: equal values have equal
// tokens within (purpose, path, epoch), and are told apart from different
// ones. The value of a number, a decimal, a date or a time is its text: JSON's,
// the decimal's with all its places, of a float the shortest that stands for it
// (as C's %g except for whole numbers below 10^15), ISO 8601 with the digits of its
// unit (the stored integer outside the years 0000 to 9999, or of the day). A Kafka key
// and headers have the paths "@key" and "@header.NAME".
//
// # Classes
//
// Numbers are read exactly, as the text that people see (of a float the
// shortest that stands for it), and classed in integer arithmetic:
//
//	bucket: w        floor(x/w)·w, also below 0
//	bucket: e1,e2,…  the greatest e that is not above x; e1 for all below it
//	geo: n           x rounded to n places, halves away from zero; |x| <= 180
//
// and never as "-0". A class that the type cannot hold is an error, and so is a
// number that, or whose class, is no int64 in units of the class's last place; of
// floats also a class beyond 2^53 of these, or that the nearest float lies outside
// of, and of all instants what is more than 2^50 seconds from 1970. Instants
// are cut to the beginning of the year, quarter, month, ISO week, day, hour,
// minute or second that they lie in: in UTC where they have a zone, which text
// has as "Z" then, in their own time where they have none. Text is RFC 3339's
// full-date, partial-time, or date-time with or without an offset.
//
// # Shifts
//
//	n     = HMAC-SHA-256(key of the purpose, lp(subject's tag) ‖ days as 8 bytes)[0:8] modulo 2·days
//	shift = n - days, and one more where that is not below 0: -days to days, never 0
//
// in whole days of 86,400 s. The subject is what Subject was set to last: nobody
// errs.
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

// Env is what treatments with a key (KeyUse) need to know of their position;
// the others ignore it. A Treatment made with it is not safe for concurrent use.
type Env struct {
	Key   keys.Key // the purpose's, for the use that KeyUse names
	Epoch int      // of Key; at least 1

	// Of pseudonymize.
	Domain string // the subject's namespace, else the category
	// Normalize appends the canonical form of an identifier's text to dst; nil
	// stands for the identity.
	Normalize func(dst, text []byte) ([]byte, error)

	// Of encrypt: they are part of what a token is bound to.
	Purpose string
	Path    string // the field's, or KeyPath or HeaderPath

	// Of date_shift: whose record it is. nil is nobody, for whom it errs.
	Subject *Subject
}

// KeyUse is the use of the key that a treatment needs; "" for none.
func KeyUse(name string) keys.Use {
	switch name {
	case "pseudonymize":
		return keys.UsePseudonym
	case "encrypt":
		return keys.UseEncrypt
	case "date_shift":
		return keys.UseDateShift
	}
	return ""
}

// The errors of Apply. Their texts are fixed: an error here must not show the value.
var (
	ErrValueType = errors.New("a value of a type that the treatment does not take")
	ErrValue     = errors.New("a value that the treatment does not take")
	ErrDropped   = errors.New("a dropped position has no value")
	ErrNoSubject = errors.New("the value's subject is unknown")
)

// Names lists the treatments.
func Names() []string {
	return []string{"keep", "drop", "redact", "constant", "mask", "truncate", "pseudonymize", "encrypt", "generalize", "date_shift"}
}

// New makes a treatment. The empty name means drop: what a policy does not name is
// withheld. Errors are written for the policy's author.
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
	case "encrypt":
		t, err = newEncrypt(env)
	case "generalize":
		t, err = newGeneralize(p)
	case "date_shift":
		t, err = newDateShift(p, env)
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

// number takes an integer parameter; 0 stands for a missing one.
func (p *parameters) number(name string, lowest, highest int64) (int, error) {
	v, ok := p.take(name)
	if !ok {
		v = int64(0)
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
		{"truncate", truncateTakes}, {"pseudonymize", pseudonymizeTakes}, {"encrypt", encryptTakes},
		{"generalize", generalizeTakes}, {"date_shift", dateShiftTakes}} {
		if f.name != strings.Fields(name)[0] && f.takes(t) {
			fit = append(fit, f.name)
		}
	}
	switch t.Kind {
	case schemas.Record, schemas.Array, schemas.Map, schemas.Union:
		fit = append(fit, "a treatment of what is in it")
	}
	return fmt.Errorf("%s does not take %s; use %s", name, typeName(t), strings.Join(append(fit, "drop"), " or "))
}

// plain reports whether t carries no logical type, so that its kind says it all.
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
	schemas.Opaque: "what a recursive type holds of itself", schemas.Map: "a map", schemas.Union: "a union of several branches",
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
