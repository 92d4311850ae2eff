// Package keys reads and writes the key file and derives every key from it.
//
// # File
//
// One JSON object, strictly read: an unknown, repeated or differently cased
// member, a missing one, and anything after the object are refused.
//
//	{"version": 1,
//	 "epochs": [{"epoch": 1, "state": "active", "root": "<32 bytes, base64>"}],
//	 "sign": {"id": "enforcer-1", "seed": "<32 bytes, base64>"}}
//
// Epochs are unique numbers from 1 to 2^31-1; exactly one is "active" (what is
// written is written under it), the others are "verify" (what was written
// under them can still be checked). Roots and seed are 32 bytes in padded
// standard base64 (RFC 4648 section 4), not all zero, no two roots equal. The
// sign id is 1 to 64 characters of [A-Za-z0-9._-].
//
// Load refuses a file that its group can write or that others can do anything
// with (a mode with any of the bits 0027); Write creates it 0600 and never
// overwrites one.
//
// # Derivation
//
//	K(use, name, epoch) = HKDF-SHA-256(secret: root of epoch, salt: none, info, 32 bytes; 64 for "encrypt")
//	info = lp("consentstream v1") ‖ lp(use) ‖ lp(name) ‖ epoch as 8 bytes big-endian
//	lp(x) = length of x in bytes as 4 bytes big-endian ‖ x
//
// HKDF is RFC 5869. The check value of an epoch, which names a root without
// telling anything about it, is the first 8 bytes of K("check", "", epoch).
// Transactions are signed with Ed25519 (RFC 8032) under the seed.
//
// # Secrets
//
// Key and Ring cannot be printed: every fmt verb and text or JSON encoding
// gives a placeholder, and no error holds a byte of the file.
package keys

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Use is what a derived key is for; each use is its own domain.
type Use string

// The uses of DESIGN section 6, and those of two treatments. Derive knows no others.
const (
	UsePseudonym  Use = "pseudonym"  // name: the purpose
	UseEncrypt    Use = "encrypt"    // name: the purpose; 64 bytes, as AES-SIV with AES-256 needs (RFC 5297 section 2.2)
	UseDateShift  Use = "date_shift" // name: the purpose
	UseNonce      Use = "nonce"      // name: the purpose (AUDIT A8)
	UseTag        Use = "tag"        // name: the namespace; "!audit" for audit tags
	UseRow        Use = "row"        // name: ""; rows and watermarks in Redis
	UseOffset     Use = "offset"     // name: ""; offset metadata
	UseQuarantine Use = "quarantine" // name: ""; payload HMACs
)

// useCheck is not exported, so that nobody derives as a key what Check publishes.
const useCheck Use = "check"

// infoLabel separates our derivations from whatever else uses the same root.
const infoLabel = "consentstream v1"

const (
	rootSize = 32
	maxEpoch = 1<<31 - 1 // the audit record holds an epoch as an Avro int
)

// ErrUnknownEpoch is wrapped by errors about an epoch that the file does not hold.
// What was written under it must be held, not skipped.
var ErrUnknownEpoch = errors.New("key epoch is not in the key file")

// Key is a derived secret. It can be used as the []byte that it is, not printed.
type Key []byte

const placeholder = "[key]"

// Format implements fmt.Formatter for every verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, placeholder) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (Key) MarshalText() ([]byte, error) { return []byte(placeholder), nil }

// Ring is an opened key file. It is immutable and safe for concurrent use. The
// zero Ring holds no epoch and derives nothing.
type Ring struct {
	active int
	epochs []epoch // in the file's order
	signID string
	seed   []byte
}

type epoch struct {
	number int
	root   []byte
}

// Format implements fmt.Formatter for every verb.
func (Ring) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, placeholder) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (Ring) MarshalText() ([]byte, error) { return []byte(placeholder), nil }

// Generate makes a ring of one active epoch, 1, and a signing key named
// signID. random is crypto/rand.Reader outside tests.
func Generate(random io.Reader, signID string) (*Ring, error) {
	if !validSignID(signID) {
		return nil, errors.New("sign id must be 1 to 64 characters of [A-Za-z0-9._-]")
	}
	secret := make([]byte, rootSize+ed25519.SeedSize)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, fmt.Errorf("reading randomness: %w", err)
	}
	root, seed := secret[:rootSize:rootSize], secret[rootSize:]
	if allZero(root) || allZero(seed) {
		return nil, errors.New("the randomness is all zero")
	}
	return &Ring{active: 1, epochs: []epoch{{1, root}}, signID: signID, seed: seed}, nil
}

// Active is the epoch to write under; 0 for the zero Ring.
func (r *Ring) Active() int { return r.active }

// Epochs lists all epochs in the file's order.
func (r *Ring) Epochs() []int {
	out := make([]int, len(r.epochs))
	for i, e := range r.epochs {
		out[i] = e.number
	}
	return out
}

// Derive gives the key of (use, name, epoch) as in the package comment.
// It fails on a use that is not listed above and wraps ErrUnknownEpoch.
func (r *Ring) Derive(use Use, name string, epoch int) (Key, error) {
	switch use {
	case UsePseudonym, UseDateShift, UseNonce, UseTag, UseRow, UseOffset, UseQuarantine:
		return r.derive(use, name, epoch, sha256.Size)
	case UseEncrypt:
		return r.derive(use, name, epoch, 2*sha256.Size)
	}
	return nil, errors.New("no such key use")
}

// Check is the epoch's check value: two files whose roots of an epoch differ
// have different ones. It is public.
func (r *Ring) Check(epoch int) (v [8]byte, err error) {
	k, err := r.derive(useCheck, "", epoch, sha256.Size)
	if err != nil {
		return v, err
	}
	copy(v[:], k)
	return v, nil
}

func (r *Ring) derive(use Use, name string, epoch, size int) (Key, error) {
	for _, e := range r.epochs {
		if e.number == epoch {
			return hkdf.Key(sha256.New, e.root, nil, string(info(use, name, epoch)), size)
		}
	}
	return nil, fmt.Errorf("epoch %d: %w", epoch, ErrUnknownEpoch)
}

func info(use Use, name string, epoch int) []byte {
	var b []byte
	for _, s := range []string{infoLabel, string(use), name} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return binary.BigEndian.AppendUint64(b, uint64(epoch))
}

// Sign signs msg with the file's Ed25519 key. The caller separates domains
// (audit.AppendSigMessage). It panics on the zero Ring, which has no key.
func (r *Ring) Sign(msg []byte) (sig [ed25519.SignatureSize]byte) {
	copy(sig[:], ed25519.Sign(r.private(), msg))
	return sig
}

// SignID names the signing key; it is public.
func (r *Ring) SignID() string { return r.signID }

// Public is the key that Sign's signatures verify under.
func (r *Ring) Public() ed25519.PublicKey {
	return r.private().Public().(ed25519.PublicKey)
}

func (r *Ring) private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(r.seed) }

func allZero(b []byte) bool {
	var or byte
	for _, c := range b {
		or |= c
	}
	return or == 0
}

func validSignID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
