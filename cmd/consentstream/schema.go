package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/app"
	"github.com/consentstream/consentstream/internal/infer"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

func newSchema(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "schema",
		Short: "Propose a stream from a schema or from sample events; print the output schemas",
		Example: `  consentstream schema config --schema crm.contacts.avsc --topic crm.contacts
  consentstream schema config -c consentstream.yaml --topic crm.contacts
  consentstream schema events --topic marketing.events < events.ndjson
  consentstream schema outputs -c consentstream.yaml --topic crm.contacts --purpose analytics`,
		RunE: group,
	}
	c.AddCommand(newSchemaConfig(std), newSchemaEvents(std), newSchemaOutputs(std))
	return c
}

// stubFlags are what the two commands that propose a stream share.
type stubFlags struct {
	config *string
	topic  *string
	policy *string
	format *format
}

func addStub(c *cobra.Command) stubFlags {
	return stubFlags{
		config: c.Flags().StringP("config", "c", "", "configuration `FILE`: print only what no rule of its stream classifies"),
		topic:  c.Flags().String("topic", "", "the input `TOPIC`"),
		policy: c.Flags().String("policy", "", "policy `FILE`, to see what it does with what is proposed"),
		format: addFormat(c),
	}
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)

func (f stubFlags) check() error {
	switch {
	case *f.topic != "" && !topicName.MatchString(*f.topic):
		return fmt.Errorf("--topic %q is not a topic name, which has letters, digits, ., _ and -", *f.topic)
	case *f.config != "" && *f.topic == "":
		return errors.New("-c FILE needs --topic TOPIC: the stream to look at")
	case *f.config != "" && *f.policy != "":
		return errors.New("-c FILE names the policy: leave --policy out")
	}
	return nil
}

// wiring loads what the flags name. cfg and pol are nil where they are not named;
// stream is nil also where the wiring has no stream for the topic.
func (f stubFlags) wiring(std stdio) (cfg *configs.Config, stream *configs.Stream, pol *policy.Policy, err error) {
	switch {
	case *f.config != "":
		if cfg, err = load(std, *f.config); err != nil {
			return nil, nil, nil, err
		}
		if stream = streamOf(cfg, *f.topic); stream == nil {
			fmt.Fprintf(std.err, "%s has no stream of topic %q, so a new one is proposed%s\n", *f.config, *f.topic, nearest(*f.topic, topicsOf(cfg)))
		}
		return cfg, stream, cfg.Policy, nil
	case *f.policy != "":
		p, findings := configs.LoadPolicy(*f.policy, os.LookupEnv, configs.ReadFile)
		if p == nil {
			return nil, nil, nil, errors.Join(printFindings(std.err, findings, "text"), errFindings)
		}
		return nil, nil, p, nil
	}
	return nil, nil, nil, nil
}

func streamOf(cfg *configs.Config, topic string) *configs.Stream {
	for i := range cfg.Streams {
		if cfg.Streams[i].Wiring.Topic == topic {
			return &cfg.Streams[i]
		}
	}
	return nil
}

func topicsOf(cfg *configs.Config) []string {
	topics := make([]string, len(cfg.Streams))
	for i := range cfg.Streams {
		topics[i] = cfg.Streams[i].Wiring.Topic
	}
	return topics
}

// checkTopic wants the topic of a stream.
func checkTopic(cfg *configs.Config, topic string) error {
	if streamOf(cfg, topic) == nil {
		return noneOf("--topic", topic, topicsOf(cfg))
	}
	return nil
}

// rulesOf are the rules of a stream's fields, which Load has checked.
func rulesOf(fields []engine.FieldRule) []infer.Rule {
	var out []infer.Rule
	for _, f := range fields {
		p, err := schemas.ParseRule(f.Path)
		if err != nil {
			continue
		}
		r := infer.Rule{Path: p}
		if f.Nested != nil {
			r.Nested, r.Inside = true, rulesOf(f.Nested.Fields)
		}
		out = append(out, r)
	}
	return out
}

// writer is a writer schema and where it is from.
type writer struct {
	text   string
	file   string // "" for one that is in no file that the user named
	source string // for people
	// version in the registry; 0 for one from a file
	version int
}

// avroFile is what Avro object container files begin with (Avro specification,
// "Object Container Files").
var avroFile = []byte("Obj\x01")

// registryTimeout is how long the registry is waited for.
const registryTimeout = 10 * time.Second

// writerSchema finds the schema to look at: that of a file, else the one that was
// registered last for the topic, else that of the stream's `schema:`.
func writerSchema(ctx context.Context, std stdio, cfg *configs.Config, topic, file string) (writer, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return writer{}, fmt.Errorf("--schema: %w", err)
		}
		if bytes.HasPrefix(text, avroFile) {
			return writer{}, fmt.Errorf("--schema: %s is an Avro data file, of records and their schema: name a file with the schema alone, as avro-tools getschema prints it", file)
		}
		return writer{text: string(text), file: file, source: "the schema " + filepath.Base(file)}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, registryTimeout)
	defer cancel()
	text, version, err := app.LatestSchema(ctx, cfg, topic)
	if err == nil {
		return writer{text: text, version: version, source: fmt.Sprintf("version %d of %s-value in the schema registry", version, topic)}, nil
	}
	s := streamOf(cfg, topic)
	if s == nil || s.Wiring.Schema == "" {
		return writer{}, fmt.Errorf("%w; name a file with --schema FILE", err)
	}
	fmt.Fprintf(std.err, "%v: taking the file that schema: of the stream names\n", err)
	return writer{text: s.Wiring.Schema, source: "the file that schema: of the stream names"}, nil
}

// layout compiles a writer schema as a stream of the wiring sees it; s may be nil.
func (w writer) layout(s *configs.Stream) (layout schemas.Layout, err error) {
	switch {
	case s == nil:
		layout, err = schemas.NewAvro(w.text, nil)
	case s.Wiring.Split != "":
		_, layout, err = schemas.Split(s.Wiring.Format, s.Wiring.Split, w.text, wiredPaths(s))
	case s.Wiring.Format == schemas.JSONSchema:
		layout, err = schemas.NewJSONSchema(w.text, "", wiredPaths(s))
	default:
		layout, err = schemas.NewAvro(w.text, wiredPaths(s))
	}
	if err != nil {
		return nil, fmt.Errorf("%s%w", w.place(), err)
	}
	return layout, nil
}

// isJSON reports whether it is a JSON Schema: Avro's records have other members.
func (w writer) isJSON() bool {
	var doc map[string]json.RawMessage
	if json.Unmarshal([]byte(w.text), &doc) != nil {
		return false
	}
	for _, word := range []string{"$schema", "$ref", "$defs", "definitions", "properties", "allOf", "anyOf", "oneOf"} {
		if _, ok := doc[word]; ok {
			return true
		}
	}
	return string(doc["type"]) == `"object"`
}

// declared are the fields that a JSON Schema declares, of a position in it or (of
// is "") of the record.
func (w writer) declared(of string) ([]infer.Field, error) {
	nodes, err := schemas.Declared(w.text, of)
	if err != nil {
		return nil, fmt.Errorf("%s%w", w.place(), err)
	}
	return infer.Schema(nodes), nil
}

// wiredPaths are the paths of a stream, which give its schema positions.
func wiredPaths(s *configs.Stream) []string {
	var out []string
	add := func(path string) {
		if path != "" {
			out = append(out, path)
		}
	}
	for _, f := range s.Wiring.Fields {
		out = append(out, f.Path) // "" is the record itself
	}
	for _, subject := range s.Wiring.Subjects {
		for _, path := range subject.Paths {
			add(path)
		}
	}
	add(s.Wiring.EventTime.Path)
	return out
}

// place is where the text stops being JSON, or its name: "a.avsc:3:7: ".
func (w writer) place() string {
	name := w.file
	if name == "" {
		name = w.source
	}
	var syntax *jsontext.SyntacticError
	if text := jsontext.Value(w.text); errors.As(text.Compact(), &syntax) {
		return fmt.Sprintf("%s:%s: ", name, position(w.text, int(syntax.ByteOffset)))
	}
	return name + ": "
}

// position is the line and column of an offset, from 1; columns in characters.
func position(text string, at int) string {
	line, col := 1, 1
	for _, r := range text[:min(at, len(text))] {
		if col++; r == '\n' {
			line, col = line+1, 1
		}
	}
	return fmt.Sprintf("%d:%d", line, col)
}

// proposal is a field as machine output has it.
type proposal struct {
	Topic    string     `json:"topic,omitempty"`
	Path     string     `json:"path"`
	Types    []string   `json:"types"`
	Events   int        `json:"events,omitempty"`
	Values   int        `json:"values,omitempty"`
	Proposed string     `json:"proposed,omitempty"`
	Because  []string   `json:"because,omitempty"`
	Notes    []string   `json:"notes,omitempty"`
	Encoding string     `json:"encoding,omitempty"`
	Inside   []proposal `json:"inside,omitempty"`
}

func proposals(topic string, fields []infer.Field) []proposal {
	var out []proposal
	for _, f := range fields {
		out = append(out, proposal{topic, f.Path.String(), f.Types, f.Events, f.Values, f.Category, f.Because, f.Notes, f.Encoding, proposals("", f.Inside)})
	}
	return out
}

// printStub writes a stub for people, or its fields as JSON, one a line.
func printStub(std stdio, stub *infer.Stub, f format) error {
	if len(stub.Fields) == 0 && stub.Added {
		fmt.Fprintf(std.err, "%s: every field is classified\n", stub.Topic)
		return nil
	}
	if f == "json" {
		return printLines(std.out, proposals(stub.Topic, stub.Fields))
	}
	_, err := stub.WriteTo(std.out)
	return err
}

// printLines writes values as JSON, one a line.
func printLines[T any](w io.Writer, values []T) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range values {
		if err := enc.Encode(&values[i]); err != nil {
			return err
		}
	}
	return nil
}
