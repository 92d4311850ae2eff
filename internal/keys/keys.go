// Package keys reads and writes the key file and derives every key from it.
// (Specification to be written by its owner: DESIGN section 6, Keys.)
package keys

// Use is what a derived key is for; each use is its own domain.
type Use string

// The uses of DESIGN section 6.
const (
	UsePseudonym  Use = "pseudonym"  // name: the purpose
	UseNonce      Use = "nonce"      // name: the purpose (AUDIT A8)
	UseTag        Use = "tag"        // name: the namespace; "!audit" for audit tags
	UseRow        Use = "row"        // name: ""; rows and watermarks in Redis
	UseOffset     Use = "offset"     // name: ""; offset metadata
	UseQuarantine Use = "quarantine" // name: ""; payload HMACs
)

// Ring is an opened key file.
type Ring struct{}
