package consent

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// NormalizerVersion names the rules of normalize.go: normalisation, placeholders
// and bounds, and the version of the library that knows phone numbers. It is in
// the state's epoch and in the names that tag keys are derived by, so that a row
// tagged under other rules is never found. Raise it with any change to what is
// accepted or what it becomes.
const NormalizerVersion = 3

// MaxIdentifierBytes bounds an identifier, before and after normalisation.
const MaxIdentifierBytes = 1024

// What is wrong with an identifier. None of them says what it was.
var (
	ErrNamespace   = errors.New("unknown namespace")
	ErrEmpty       = errors.New("empty identifier")
	ErrTooLong     = errors.New("identifier is too long")
	ErrEncoding    = errors.New("identifier is not UTF-8 or has control or invisible characters")
	ErrPlaceholder = errors.New("identifier is a placeholder")
	ErrDomain      = errors.New("identifier has no valid domain")
	ErrPhone       = errors.New("identifier is not a phone number with its country code")
)

// Normalization is how a namespace's identifiers are made comparable. The zero
// Normalization refuses every identifier.
type Normalization uint8

// The normalisations. A value that was none of these is refused by
// ParseNormalization. But for NormalizeNone, each refuses invisible characters.
const (
	NoNormalization Normalization = iota
	NormalizeNone                 // byte for byte
	NormalizeTrim                 // without Unicode white space at both ends
	NormalizeNFC                  // trimmed, in Unicode NFC
	NormalizeLower                // as NormalizeNFC, in lower case independent of locale, with one sigma
	NormalizeEmail                // as NormalizeLower, an international domain as DNS has it (RFC 5891); plus tags and dots are significant
	NormalizePhone                // ITU E.164: "+", country code, national number; what is not written with its country code is refused
)

// normalizations are the words of the policy file, by Normalization.
var normalizations = [...]string{"", "none", "trim", "nfc", "lower", "email", "phone"}

// Normalizations lists the words of the policy file.
func Normalizations() []string { return slices.Clone(normalizations[1:]) }

// ParseNormalization reads the word of the policy file.
func ParseNormalization(word string) (Normalization, bool) {
	i := slices.Index(normalizations[:], word)
	if i <= 0 {
		return NoNormalization, false
	}
	return Normalization(i), true
}

// String is the word of the policy file; "" for no normalisation.
func (n Normalization) String() string {
	if int(n) >= len(normalizations) {
		return ""
	}
	return normalizations[n]
}

// NamespaceRule is a namespace and its normalisation.
type NamespaceRule struct {
	Name      string
	Normalize Normalization
}

// Namespaces are the kinds of identifiers that exist. The zero Namespaces knows
// none and refuses everything. It is immutable and safe for concurrent use.
type Namespaces struct {
	rules map[string]Normalization
}

// NewNamespaces takes the policy's namespaces. A name given twice refuses.
func NewNamespaces(rules []NamespaceRule) Namespaces {
	m := make(map[string]Normalization, len(rules))
	for _, r := range rules {
		if _, twice := m[r.Name]; twice {
			r.Normalize = NoNormalization
		}
		m[r.Name] = r.Normalize
	}
	return Namespaces{rules: m}
}

// Hash stands for NormalizerVersion and all rules; it is part of the state's
// epoch.
func (ns Namespaces) Hash() [32]byte {
	names := make([]string, 0, len(ns.rules))
	for name := range ns.rules {
		names = append(names, name)
	}
	sort.Strings(names)
	b := binary.BigEndian.AppendUint32([]byte("consentstream namespaces"), NormalizerVersion)
	for _, name := range names {
		b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
		b = append(b, name...)
		b = append(b, byte(ns.rules[name]))
	}
	return sha256.Sum256(b)
}

// KeyName is the name under which the key of a namespace's tags is derived:
// another normalisation, or another version of it, gives other tags. Namespaces
// have no "/" in their names, so no two of them share a KeyName.
func (ns Namespaces) KeyName(namespace string) string {
	return fmt.Sprintf("%s/%s/%d", namespace, ns.rules[namespace], NormalizerVersion)
}
