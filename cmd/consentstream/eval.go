package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/eval"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

func newEval(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "eval -c FILE --topic TOPIC [--consents FILE] < events.ndjson",
		Short: "Decide records from a file, offline: every output and audit record as NDJSON",
		Long: `Read records from standard input, one per line, and print what run would write: for
each record its outputs in policy order and its audit record, one JSON object per
line. It connects to nothing; it is the code path of run up to the produce.
Counts, and consent events that have no effect, go to standard error.

By default a line is the record's value (for an Avro stream in Avro's JSON
encoding). With --records a line is
  {"key": "…", "headers": {"name": "…"}, "timestamp": "…", "value": …}
where "value": null is a tombstone and "value_base64" gives raw bytes.

docs/consent.md explains the reasons for which a purpose is denied.`,
		Example: `  consentstream eval -c consentstream.yaml --topic marketing.events --consents consents.ndjson < events.ndjson
  consentstream eval -c consentstream.yaml --topic crm.contacts --schema contact.avsc --at 2026-11-01T12:00:00Z < contacts.ndjson`,
		Args: noArgs,
	}
	path := addConfig(c)
	topic := c.Flags().String("topic", "", "input `TOPIC` whose stream decides the records (required)")
	consents := c.Flags().String("consents", "", "consent events as NDJSON in log order, from `FILE`")
	at := c.Flags().String("at", "", "the clock, as RFC 3339 `TIME` (default now)")
	records := c.Flags().Bool("records", false, "a line is a whole record with key, headers, timestamp and value")
	schema := c.Flags().String("schema", "", "Avro writer schema `FILE` (default the stream's schema)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *topic == "" {
			return usage(c, fmt.Errorf("eval needs --topic TOPIC"))
		}
		now, err := clockAt(*at)
		if err != nil {
			return usage(c, err)
		}
		cfg, err := load(std, *path)
		if err != nil {
			return err
		}
		if err := checkTopic(cfg, *topic); err != nil {
			return usage(c, err)
		}
		job := eval.Config{Topic: *topic, At: now, Records: *records, Group: cfg.Kafka.ConsumerGroup, In: until(c.Context(), std.in), Out: std.out,
			Audit: cfg.Topics.Audit, Quarantine: cfg.Topics.Quarantine}
		if s := streamOf(cfg, *topic); s.Wiring.Format == schemas.JSON && *schema != "" {
			return usage(c, fmt.Errorf("--schema: the records of %s are plain JSON, which has none", *topic))
		}
		if err := fillEval(&job, cfg, *schema); err != nil {
			return err
		}
		if *consents != "" {
			f, err := os.Open(*consents)
			if err != nil {
				return fmt.Errorf("--consents: %w", err)
			}
			defer f.Close()
			job.Consents = f
		}
		if isTerminal(std.in) {
			fmt.Fprintln(std.err, "Reading records from the terminal, one per line; Ctrl-D ends.")
		}
		sum, err := eval.Run(c.Context(), job)
		if err != nil {
			return err
		}
		return printSummary(std.err, sum, *consents)
	}
	return c
}

// clockAt reads --at; "" is now.
func clockAt(at string) (ms int64, err error) {
	if at == "" {
		return time.Now().UnixMilli(), nil
	}
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return 0, fmt.Errorf("--at %q is not RFC 3339 with a zone, such as 2026-11-01T10:00:00Z", at)
	}
	return t.UnixMilli(), nil
}

// fillEval takes from the configuration what an evaluation needs.
func fillEval(job *eval.Config, cfg *configs.Config, schemaFile string) error {
	ring, err := keys.Load(cfg.KeysFile)
	if err != nil {
		return err
	}
	job.Engine = engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: ring}
	job.Schema = streamOf(cfg, job.Topic).Wiring.Schema
	if schemaFile != "" {
		text, err := os.ReadFile(schemaFile)
		if err != nil {
			return fmt.Errorf("--schema: %w", err)
		}
		job.Schema = string(text)
	}
	return nil
}

// faultHint is what people run into with files of records.
func faultHint(code string) string {
	switch schemas.Code(code) {
	case schemas.CodeNotEncodable:
		return ` (no value of the writer schema in Avro's JSON encoding: every field stands there, and a union's value is named by its type, {"string": "x"})`
	case schemas.CodeTruncated:
		return " (a record is one line: where one goes over several, jq -c . makes one of them)"
	}
	return ""
}

// printSummary says for people how many records there were, and why purposes
// were denied or records went to quarantine.
func printSummary(w io.Writer, sum eval.Summary, consents string) error {
	for _, n := range sum.Notes {
		fmt.Fprintf(w, "%s:%d: %s\n", consents, n.Line, n.Text)
	}
	_, err := fmt.Fprintf(w, "records: %d, outputs: %d, quarantined: %d\n", sum.Records, sum.Outputs, sum.Quarantined)
	var lines []string
	for d, n := range sum.Denied {
		lines = append(lines, fmt.Sprintf("  %s denied %d: %s", d.Purpose, n, d.Reason))
	}
	for f, n := range sum.Faults {
		lines = append(lines, fmt.Sprintf("  quarantined %d: %s %s%s", n, f.Reason, f.Detail, faultHint(f.Detail)))
	}
	for _, line := range slices.Sorted(slices.Values(lines)) {
		_, err = fmt.Fprintln(w, line)
	}
	return err
}
