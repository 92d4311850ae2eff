// Package personal has the type of text that belongs to a person. It can be used
// but not printed: every fmt verb, JSON encoding and log call yields the same
// placeholder (promise P8: silent telemetry).
package personal

import "fmt"

// placeholder is what is shown instead of a personal value. It has one form
// for every value, so that not even the length of the value gets out.
const placeholder = "[personal]"

// String is text that belongs to a person. Convert with string(s) where the
// value itself is meant; that conversion is what reviewers search for.
type String string

// Format implements fmt.Formatter for every verb.
func (String) Format(s fmt.State, _ rune) { fmt.Fprint(s, placeholder) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (String) MarshalText() ([]byte, error) { return []byte(placeholder), nil }
