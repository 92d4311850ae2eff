package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/internal/keys"
)

func newKeys(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make the key file that pseudonyms, tags and signatures come from; open encrypted values",
		Example: `  consentstream keys new -o keys.json
  consentstream keys reveal --keys keys.json --purpose analytics --path email --reason "ticket 4711" --log reveal.log < tokens.txt`,
		RunE: group,
	}
	c.AddCommand(newKeysNew(std), newKeysReveal(std))
	return c
}

// newKeyFile is what keys new says as JSON: nothing secret.
type newKeyFile struct {
	File   string `json:"file"`
	Epoch  int    `json:"epoch"`
	SignID string `json:"sign_id"`
	Public string `json:"public_key"` // Ed25519, padded standard base64: what the audit's signatures verify under
}

func newKeysNew(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "new -o FILE",
		Short: "Write a new key file (mode 0600); an existing file is never overwritten",
		Long: `Write a new key file: one active epoch with a random 32-byte root, from which the
keys of every purpose are derived, and an Ed25519 signing key. All instances of a
deployment share one file. Without it, pseudonyms cannot be continued; whoever has
it can compute them: keep it like a database password.`,
		Example: `  consentstream keys new -o keys.json
  consentstream keys new -o keys.json --format json`,
		Args: noArgs,
	}
	out := c.Flags().StringP("output", "o", "", "`FILE` to write (required)")
	format := addFormat(c)
	id := c.Flags().String("sign-id", "enforcer-1", "`name` of the signing key in the audit")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *out == "" {
			return usage(c, fmt.Errorf("keys new needs -o FILE"))
		}
		ring, err := keys.Generate(rand.Reader, *id)
		if err != nil {
			return err
		}
		if err := ring.Write(*out); err != nil {
			return err
		}
		if *format == "json" {
			return json.NewEncoder(std.out).Encode(newKeyFile{*out, ring.Active(), ring.SignID(), base64.StdEncoding.EncodeToString(ring.Public())})
		}
		_, err = fmt.Fprintf(std.out, "wrote %s (mode 0600, epoch %d)\n", *out, ring.Active())
		return err
	}
	return c
}
