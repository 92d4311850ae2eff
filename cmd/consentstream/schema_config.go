package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"al.essio.dev/pkg/shellescape"
	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/internal/infer"
	"github.com/consentstream/consentstream/schemas"
)

func newSchemaConfig(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "config {--schema FILE | -c FILE --topic TOPIC}",
		Short: "Propose a stream from a schema, as YAML to paste and complete",
		Long: `Print the wiring of a stream for an Avro schema or a JSON Schema: a line for each
field, with the category that its name suggests. Every line of a field is a comment:
a proposal is a guess, and counts once you have read it and removed its "# ".

With -c it prints only the fields that no rule of the stream classifies, which are
withheld: the lines to add when a new version of the schema has new fields. The
schema is then the one registered last for the topic; where the registry does not
know it or cannot be reached, the file that schema: of the stream names.`,
		Example: `  consentstream schema config --schema crm.contacts.avsc --topic crm.contacts --policy policy.yaml
  consentstream schema config -c consentstream.yaml --topic crm.contacts
  consentstream schema config --schema crm.contacts.avsc --format json | jq -r 'select(.proposed == null).path'`,
		Args: noArgs,
	}
	f := addStub(c)
	schema := c.Flags().String("schema", "", "schema `FILE` (default with -c: the one registered last)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *schema == "" && *f.config == "" {
			return usage(c, errors.New("schema config needs --schema FILE, or -c FILE and --topic TOPIC"))
		}
		if err := f.check(); err != nil {
			return usage(c, err)
		}
		stub, err := schemaStub(c.Context(), std, f, *schema)
		if err != nil {
			return err
		}
		return printStub(std, stub, *f.format)
	}
	return c
}

func schemaStub(ctx context.Context, std stdio, f stubFlags, file string) (*infer.Stub, error) {
	cfg, stream, pol, err := f.wiring(std)
	if err != nil {
		return nil, err
	}
	if stream != nil && stream.Wiring.Format == schemas.JSON {
		return nil, fmt.Errorf("stream %s has no schema; propose from sample events: consentstream schema events -c %s --topic %s < events.ndjson", *f.topic, *f.config, *f.topic)
	}
	w, err := writerSchema(ctx, std, cfg, *f.topic, file)
	if err != nil {
		return nil, err
	}
	stub := &infer.Stub{Source: w.source, Topic: *f.topic, Format: "avro", Schema: besidePolicy(w.file, *f.policy), Policy: pol}
	if stream == nil && w.isJSON() {
		stub.Format = "json_schema"
		stub.Fields, err = w.declared("")
		return stub, err
	}
	if stream == nil {
		layout, err := w.layout(nil)
		if err != nil {
			return nil, err
		}
		stub.Fields = infer.Schema(layout.Nodes())
		return stub, nil
	}
	stub.Added = true
	if stub.Fields, err = unclassified(cfg, stream, w); err == nil && behind(stream, stub.Fields) {
		stub.Behind, stub.Fetch = stream.SchemaFile, fetch(&cfg.SchemaRegistry, stream, w)
	}
	return stub, err
}

// besidePolicy is a schema file as a wiring names it that stands beside the policy,
// which is where wirings stand.
func besidePolicy(file, policy string) string {
	if file == "" || policy == "" || filepath.IsAbs(file) {
		return file
	}
	if rel, err := filepath.Rel(filepath.Dir(policy), file); err == nil {
		return rel
	}
	return file
}

// behind reports whether the schema file of s lacks one of fields.
func behind(s *configs.Stream, fields []infer.Field) bool {
	if s.Wiring.Schema == "" {
		return false
	}
	layout, err := writer{text: s.Wiring.Schema}.layout(s)
	if err != nil {
		return false
	}
	known := map[string]bool{}
	for _, n := range layout.Nodes() {
		known[n.Path] = true
	}
	return slices.ContainsFunc(fields, func(f infer.Field) bool { return !known[f.Path.String()] })
}

// fetch is the command that writes w into the file of the stream's schema.
func fetch(r *configs.SchemaRegistry, s *configs.Stream, w writer) string {
	if w.file != "" {
		return fmt.Sprintf("cp %s %s", shellescape.Quote(w.file), shellescape.Quote(s.SchemaFile))
	}
	user := ""
	if r.Username != "" {
		user = "-u " + shellescape.Quote(r.Username) + " "
	}
	return fmt.Sprintf("curl -sf %s%s/subjects/%s-value/versions/%d/schema -o %s", user, strings.TrimSuffix(r.URL, "/"), s.Wiring.Topic, w.version, shellescape.Quote(s.SchemaFile))
}

// unclassified are the fields that are withheld from every purpose, since they
// have no category.
func unclassified(cfg *configs.Config, s *configs.Stream, w writer) ([]infer.Field, error) {
	e, err := offlineEngine(cfg)
	if err != nil {
		return nil, err
	}
	v, err := w.view(s, e.Stream(s.Wiring.Topic))
	if err != nil {
		return nil, err
	}
	known := v.fields(s.Wiring.Purposes[0]) // each purpose lists all that is classified
	fields, declared := infer.Schema(v.layout.Nodes()), s.Wiring.Format == schemas.JSONSchema
	if declared { // the layout has only what the wiring names
		if fields, err = w.declared(s.Wiring.Split); err != nil {
			return nil, err
		}
	}
	var out []infer.Field
	for _, f := range fields {
		path := f.Path.String()
		if _, classified := known[path]; classified || declared && !slices.Contains(v.plan.Withheld, path) {
			continue
		}
		if f.Covered(rulesOf(s.Wiring.Fields)) {
			f.Notes = append(f.Notes, v.unclassified(path))
		}
		out = append(out, f)
	}
	return out, nil
}
