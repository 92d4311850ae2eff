package configs

import "fmt"

// hidden stands for every secret, so that not even its length gets out.
const hidden = "[secret]"

// Secret is a password. It can be used but not printed: every fmt verb, JSON,
// YAML and log call yields the same placeholder. The zero Secret is "none".
type Secret struct{ text string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text: text} }

// Reveal returns the text: to be handed to a client library, and nothing else.
func (s Secret) Reveal() string { return s.text }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// Format implements fmt.Formatter for every verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// MarshalText implements encoding.TextMarshaler, which encoding/json and YAML
// encoders use too.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
