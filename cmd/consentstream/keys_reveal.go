package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/filters"
	"github.com/consentstream/consentstream/internal/keys"
)

// revealFlags are those of keys reveal.
type revealFlags struct {
	keys, purpose, path, reason, log string
	format                           *format
}

func newKeysReveal(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "reveal --keys FILE --purpose PURPOSE --path PATH --reason TEXT --log FILE [TOKEN...]",
		Short: "Open tokens that the treatment encrypt made",
		Long: `Print the values of tokens that the treatment encrypt made, one per line, in the
order of the tokens: those given, or one per line from standard input.

A token is bound to the purpose and the path that it was made for, so both must be
named: the path as in the audit and in lint, @key for a record key, @header.NAME
for a header. A token of another purpose or path does not open, and does not tell
which it is of. Pseudonyms (k1.…) cannot be opened at all.

Before anything is printed, a line of JSON is added to the log file: when, who,
why, how many tokens of what, and the SHA-256 of the tokens; no value. Keep the log
where the people who may reveal cannot change it.`,
		Example: `  consentstream keys reveal --keys keys.json --purpose analytics --path email --reason "ticket 4711" --log reveal.log e1.QAtiik9Vg7SqPn2N…
  consentstream keys reveal --keys keys.json --purpose analytics --path @key --reason audit --log reveal.log --format json < tokens.txt`,
	}
	f := revealFlags{format: addFormat(c)}
	c.Flags().StringVar(&f.keys, "keys", "", "key `FILE` of the deployment (required)")
	c.Flags().StringVar(&f.purpose, "purpose", "", "`PURPOSE` that the tokens were made for (required)")
	c.Flags().StringVar(&f.path, "path", "", "`PATH` of the field that they were made for (required)")
	c.Flags().StringVar(&f.reason, "reason", "", "why, in your `WORDS`; it stays in the log (required)")
	c.Flags().StringVar(&f.log, "log", "", "`FILE` to which a line about this is added (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		for _, v := range []string{f.keys, f.purpose, f.path, f.reason, f.log} {
			if v == "" {
				return usage(c, errors.New("keys reveal needs --keys, --purpose, --path, --reason and --log"))
			}
		}
		return reveal(c.Context(), std, f, args)
	}
	return c
}

func reveal(ctx context.Context, std stdio, f revealFlags, tokens []string) error {
	ring, err := keys.Load(f.keys)
	if err != nil {
		return err
	}
	if len(tokens) == 0 {
		if tokens, err = readTokens(until(ctx, std.in)); err != nil {
			return err
		}
	}
	if err := logReveal(f, tokens, time.Now()); err != nil {
		return fmt.Errorf("nothing was revealed, since the log cannot be written: %w", err)
	}
	out := bufio.NewWriter(std.out)
	bad := 0
	for i, token := range tokens {
		value, isBytes, err := revealOne(ring, f, token)
		if err != nil {
			bad++
			fmt.Fprintf(std.err, "consentstream: token %d: %v\n", i+1, err)
		}
		if err := writeRevealed(out, *f.format, token, value, isBytes, err); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d tokens did not open", bad, len(tokens))
	}
	return nil
}

// maxTokens bounds what one run reads.
const maxTokens = 1_000_000

func readTokens(in io.Reader) (tokens []string, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		if token := strings.TrimSpace(lines.Text()); token != "" {
			tokens = append(tokens, token)
		}
		if len(tokens) > maxTokens {
			return nil, fmt.Errorf("more than %d tokens", maxTokens)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading tokens: %w", err)
	}
	if len(tokens) == 0 {
		return nil, errors.New("there are no tokens: give them as arguments or on standard input")
	}
	return tokens, nil
}

func revealOne(ring *keys.Ring, f revealFlags, token string) (value []byte, isBytes bool, err error) {
	epoch, err := filters.TokenEpoch([]byte(token))
	if err != nil {
		return nil, false, err
	}
	key, err := ring.Derive(keys.UseEncrypt, f.purpose, epoch)
	if err != nil {
		return nil, false, fmt.Errorf("%w (%s)", err, f.keys)
	}
	value, isBytes, err = filters.Reveal(key, f.purpose, f.path, []byte(token))
	if errors.Is(err, filters.ErrNotOurs) {
		err = fmt.Errorf("it was not made for purpose %s and path %s under epoch %d of %s, or was changed since", f.purpose, f.path, epoch, f.keys)
	}
	return value, isBytes, err
}

// revealed is a line of --format json.
type revealed struct {
	Token       string  `json:"token"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 *string `json:"value_base64,omitempty"`
	Error       string  `json:"error,omitempty"`
}

// writeRevealed writes one line for each token, empty for one that did not
// open, so that lines answer to tokens. What a terminal would not show as it is
// is quoted, and bytes are base64.
func writeRevealed(w io.Writer, as format, token string, value []byte, isBytes bool, failed error) error {
	text := string(value)
	if isBytes {
		text = base64.StdEncoding.EncodeToString(value)
	}
	if as == "text" {
		if quoted := strconv.QuoteToGraphic(text); quoted != `"`+text+`"` {
			text = quoted
		}
		_, err := fmt.Fprintln(w, text)
		return err
	}
	r := revealed{Token: token, Value: &text}
	switch {
	case failed != nil:
		r.Value, r.Error = nil, failed.Error()
	case isBytes || !utf8.ValidString(text):
		r.Value, r.ValueBase64 = nil, &text
	}
	line := json.NewEncoder(w)
	line.SetEscapeHTML(false)
	return line.Encode(r)
}

// logReveal adds the line to the log and returns when it is on disk.
func logReveal(f revealFlags, tokens []string, now time.Time) error {
	sum := sha256.Sum256([]byte(strings.Join(tokens, "\n")))
	line, err := json.Marshal(struct {
		Time    string `json:"time"`
		UID     int    `json:"uid"`
		User    string `json:"user"`
		Reason  string `json:"reason"`
		Keys    string `json:"keys"`
		Purpose string `json:"purpose"`
		Path    string `json:"path"`
		Tokens  int    `json:"tokens"`
		SHA256  string `json:"tokens_sha256"`
	}{now.UTC().Format(time.RFC3339), os.Getuid(), os.Getenv("USER"), f.reason, f.keys, f.purpose, f.path, len(tokens), hex.EncodeToString(sum[:])})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(f.log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return errors.Join(err, file.Sync(), file.Close())
}
