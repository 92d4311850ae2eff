// Package filters holds the treatments: what a purpose does to a value. One
// treatment, one file. A treatment knows no purposes and no consent: it says
// what type it yields for a type (Result) and does it (Apply).
//
// Nothing is "unsupported, pass through": a treatment that has no defined
// result for a type says so in Result, and what has no result is dropped. A
// treatment that errs returns no value (promise P1), and no error of this
// package holds anything of a value (promise P8).
//
//	keep          as is                                      the same type
//	drop          removes the position                       gone
//	redact        null                                       nullable
//	constant      a fixed value, whatever the input holds    the same type
//	mask          first and last characters, fixed filler    string
//	truncate      the first n characters, or bytes           the same type
//	pseudonymize  a keyed token                              string; a uuid stays one
//
// Null stays null for mask, truncate and pseudonymize; redact and constant do
// not look at the input, so they do not show whether it was there.
package filters

import (
	"errors"
	"fmt"

	"github.com/consentstream/consentstream/schemas"
)

// Treatment is a compiled treatment. It may reuse memory from Apply to Apply
// and is NOT safe for concurrent use: each worker compiles its own.
type Treatment interface {
	// Name is the treatment's word in the policy.
	Name() string
	// Op is what a splicer does for it.
	Op() schemas.Op
	// Result is the type that it yields for a value of type t. The error is
	// for people who write policies: it says what would fit.
	Result(t schemas.Type) (schemas.Type, error)
	schemas.Transform
}

// Param is one parameter of a treatment. Value is a string, int64, float64,
// bool or nil.
type Param struct {
	Name  string
	Value any
}

// Env is what a treatment may need besides its parameters.
type Env struct {
	// Key is the purpose's 32-byte pseudonym key, Epoch its number.
	Key   [32]byte
	Epoch int
	// Domain is what a pseudonym is unique in: the subject's namespace, else
	// the category.
	Domain string
	// Normalize makes spellings of one value equal; nil: byte for byte. It
	// appends to dst, and errs without a value.
	Normalize func(dst, text []byte) ([]byte, error)
}

// ErrValue is returned by Apply for a value that the treatment does not take.
// It is one value without a text of its own: it can hold nothing personal.
var ErrValue = errors.New("value does not fit the treatment")

// New compiles a treatment. The error is for people who write policies.
func New(name string, params []Param, env Env) (Treatment, error) {
	p := paramSet{treatment: name, params: params}
	t, err := build(name, &p, env)
	if err != nil {
		return nil, err
	}
	if err := p.unused(); err != nil {
		return nil, err
	}
	return t, nil
}

func build(name string, p *paramSet, env Env) (Treatment, error) {
	switch name {
	case "keep":
		return keep{}, nil
	case "drop":
		return drop{}, nil
	case "redact":
		return redact{}, nil
	case "constant":
		return newConstant(p)
	case "mask":
		return newMask(p)
	case "truncate":
		return newTruncate(p)
	case "pseudonymize":
		return newPseudonymize(env)
	}
	return nil, fmt.Errorf("there is no treatment %q", name)
}

// typeError says that a treatment has no result for a type.
func typeError(treatment string, t schemas.Type, fits string) error {
	return fmt.Errorf("%s has no result for %s: %s", treatment, t, fits)
}

// paramSet reads parameters and notices those that nobody asked for.
type paramSet struct {
	treatment string
	params    []Param
	read      []string
}

func (p *paramSet) find(name string) (any, bool) {
	p.read = append(p.read, name)
	for _, q := range p.params {
		if q.Name == name {
			return q.Value, true
		}
	}
	return nil, false
}

// integer reads an integer parameter in [low, high].
func (p *paramSet) integer(name string, missing, low, high int64) (int64, error) {
	v, ok := p.find(name)
	if !ok {
		return missing, nil
	}
	n, ok := v.(int64)
	if !ok || n < low || n > high {
		return 0, fmt.Errorf("%s: %s must be an integer from %d to %d", p.treatment, name, low, high)
	}
	return n, nil
}

func (p *paramSet) unused() error {
	for _, q := range p.params {
		known := false
		for _, name := range p.read {
			known = known || name == q.Name
		}
		if !known {
			return fmt.Errorf("%s has no parameter %q", p.treatment, q.Name)
		}
	}
	return nil
}
