package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/internal/infer"
	"github.com/consentstream/consentstream/schemas"
)

func newSchemaEvents(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "events [--topic TOPIC] < events.ndjson",
		Short: "Propose a stream from sample events, as YAML to paste and complete",
		Long: `Read sample events from standard input, JSON objects one after the other or one
array of them, and print the wiring of a stream for them: a line for each field
with the category that its name and its values suggest. Every line of a field is a
comment: a proposal is a guess, and counts once you have read it and removed its
"# ".

Values are never printed, only what they look like. Names of members are printed,
except where they look like data themselves: such objects are maps (.* and
.*~key). Of arrays of keys and values, [{"key": …, "value": …}], only keys that are
well-known names, such as email, are printed.

With -c it prints only the fields that no rule of the stream classifies. With
--records each event is a whole record, as eval takes it: {"key": …, "value": …}.`,
		Example: `  consentstream schema events --topic marketing.events < events.ndjson
  consentstream schema events -c consentstream.yaml --topic marketing.events < events.ndjson
  consentstream schema events --policy policy.yaml --format json < events.ndjson | jq -r .path`,
		Args: noArgs,
	}
	f := addStub(c)
	records := c.Flags().Bool("records", false, "an event is a whole record, whose value counts")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.check(); err != nil {
			return usage(c, err)
		}
		stub, err := eventsStub(c.Context(), std, f, *records)
		if err != nil {
			return err
		}
		return printStub(std, stub, *f.format)
	}
	return c
}

func eventsStub(ctx context.Context, std stdio, f stubFlags, records bool) (*infer.Stub, error) {
	_, stream, pol, err := f.wiring(std)
	if err != nil {
		return nil, err
	}
	if stream != nil && stream.Wiring.Format != schemas.JSON {
		return nil, fmt.Errorf("stream %s is not plain JSON: propose from its schema: consentstream schema config -c %s --topic %s", *f.topic, *f.config, *f.topic)
	}
	sample, err := readSample(ctx, std)
	if err != nil {
		return nil, err
	}
	fields := sample.Fields()
	if records {
		fields = infer.Within(fields, schemas.Path{{Kind: schemas.StepMember, Name: "value"}})
	}
	stub := &infer.Stub{Source: fmt.Sprintf("%d sample events", sample.Events), Topic: *f.topic, Format: "json", Policy: pol, Events: sample.Events, Fields: fields}
	if sample.Cut > 0 {
		fmt.Fprintf(std.err, "%d values stand at more positions than are listed, or deeper\n", sample.Cut)
	}
	switch arrays := infer.Arrays(fields); {
	case stream != nil:
		stub.Added, stub.Fields = true, infer.New(splitAs(stream, fields), rulesOf(stream.Wiring.Fields))
	case arrays:
		stub.Split = infer.Elements
		stub.Fields = infer.Within(fields, schemas.Path{{Kind: schemas.StepElements}})
	}
	return stub, nil
}

// splitAs are the fields as a stream sees them, which may be split. Where it is
// split at the whole record and events are none, they are the elements already.
func splitAs(s *configs.Stream, fields []infer.Field) []infer.Field {
	split, err := schemas.ParsePath(s.Wiring.Split)
	if err != nil || split.String() == infer.Elements && !infer.Arrays(fields) {
		return fields
	}
	return infer.Within(fields, split)
}

func readSample(ctx context.Context, std stdio) (*infer.Sample, error) {
	if isTerminal(std.in) {
		fmt.Fprintln(std.err, "Reading events from the terminal; Ctrl-D ends.")
	}
	in := bufio.NewReader(until(ctx, std.in))
	if head, _ := in.Peek(len(avroFile)); bytes.Equal(head, avroFile) {
		return nil, errors.New("standard input: this is an Avro data file; events of Avro have a schema: consentstream schema config --schema FILE")
	}
	sample, err := infer.Read(in)
	var place *infer.InputError
	switch {
	case errors.As(err, &place):
		return nil, fmt.Errorf("standard input:%w", err)
	case err != nil:
		return nil, fmt.Errorf("standard input: %w", err)
	case sample.Events == 0:
		return nil, errors.New("standard input: there are no events; give some: consentstream schema events < events.ndjson")
	case sample.Listed:
		fmt.Fprintf(std.err, "The input is one array: its %d elements are taken for the events.\n", sample.Events)
	}
	return sample, nil
}
