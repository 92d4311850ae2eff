package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/infer"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

func newSchemaOutputs(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "outputs -c FILE [--topic TOPIC] [--purpose PURPOSE]",
		Short: "Print the schema of each output, with what was removed and why",
		Long: `Print, for each stream and purpose, the schema that run derives and registers for
the output topic, what is removed and why, and what is changed. The input's schema is
the one registered last for the topic; where the registry does not know it or cannot
be reached, the file that schema: of the stream names. Outputs in JSON get a JSON
Schema, which nothing registers for plain JSON.

Lines for people begin with #; --format json prints one object per line.`,
		Example: `  consentstream schema outputs -c consentstream.yaml --topic crm.contacts --purpose analytics
  consentstream schema outputs -c consentstream.yaml --topic crm.contacts --purpose analytics --format json | jq .schema
  consentstream schema outputs -c consentstream.yaml --format json | jq -c '{topic, purpose, removed: [.removed[].path]}'`,
		Args: noArgs,
	}
	path := addConfig(c)
	topic := c.Flags().String("topic", "", "only the stream of this input `TOPIC`")
	purpose := c.Flags().String("purpose", "", "only this `PURPOSE`")
	schema := c.Flags().String("schema", "", "writer schema `FILE` (default: the one registered last); needs --topic")
	format := addFormat(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *schema != "" && *topic == "" {
			return usage(c, errors.New("--schema FILE needs --topic TOPIC: whose schema it is"))
		}
		cfg, err := load(std, *path)
		if err != nil {
			return err
		}
		o := outputs{std: std, cfg: cfg, topic: *topic, purpose: *purpose, schema: *schema}
		if err := o.check(); err != nil {
			return usage(c, err)
		}
		found, err := o.all(c.Context())
		if err != nil {
			return err
		}
		if *format == "json" {
			return printLines(std.out, found)
		}
		return printOutputs(std.out, found)
	}
	return c
}

// output is one purpose's view of a stream.
type output struct {
	Topic   string          `json:"topic"`
	Purpose string          `json:"purpose"`
	Output  string          `json:"output"`
	Subject string          `json:"subject,omitempty"` // of the registry
	Schema  json.RawMessage `json:"schema,omitempty"`
	Fields  []audit.Field   `json:"fields"`
	Removed []removal       `json:"removed"`
}

// removal is a field that the output does not have, or a type that it does not have
// there any more.
type removal struct {
	Path     string `json:"path"`
	Branch   string `json:"branch,omitempty"` // the type, where the field has others that go another way
	Category string `json:"category,omitempty"`
	Because  string `json:"because"`
}

func (r removal) name() string {
	if r.Branch == "" {
		return r.Path
	}
	return r.Path + " (" + r.Branch + ")"
}

// outputs derives what its flags ask for.
type outputs struct {
	std                    stdio
	cfg                    *configs.Config
	topic, purpose, schema string
}

func (o *outputs) all(ctx context.Context) ([]output, error) {
	e, err := offlineEngine(o.cfg)
	if err != nil {
		return nil, err
	}
	var out []output
	for i := range o.cfg.Streams {
		s := &o.cfg.Streams[i]
		if o.topic != "" && s.Wiring.Topic != o.topic {
			continue
		}
		found, err := o.stream(ctx, s, e.Stream(s.Wiring.Topic))
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", s.Wiring.Topic, err)
		}
		out = append(out, found...)
	}
	return out, nil
}

// offlineEngine compiles a configuration without its keys: no schema depends on
// them.
func offlineEngine(cfg *configs.Config) (*engine.Engine, error) {
	ring, err := keys.Generate(rand.Reader, "schema")
	if err != nil {
		return nil, err
	}
	return engine.New(engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: ring})
}

// check finds a topic or purpose that is not there.
func (o *outputs) check() error {
	ids := o.cfg.Policy.PurposeIDs()
	if o.topic != "" {
		if err := checkTopic(o.cfg, o.topic); err != nil {
			return err
		}
		ids = streamOf(o.cfg, o.topic).Wiring.Purposes
	}
	if o.purpose != "" && !slices.Contains(ids, o.purpose) {
		return noneOf("--purpose", o.purpose, ids)
	}
	return nil
}

// stream derives the outputs of one stream.
func (o *outputs) stream(ctx context.Context, s *configs.Stream, compiled *engine.CompiledStream) ([]output, error) {
	v, outputs, err := o.derive(ctx, s, compiled)
	if err != nil {
		return nil, err
	}
	var out []output
	for _, derived := range outputs {
		if o.purpose != "" && derived.Purpose != o.purpose {
			continue
		}
		one := output{Topic: s.Wiring.Topic, Purpose: derived.Purpose, Output: derived.Topic, Subject: derived.Subject, Schema: json.RawMessage(derived.Schema)}
		if err := one.explain(o.cfg.Policy, v); err != nil {
			return nil, err
		}
		one.dropUnseen(&derived)
		out = append(out, one)
	}
	return out, nil
}

// derive compiles a stream with the schema that its records have: plain JSON has
// none, and those of a JSON Schema are read without one too.
func (o *outputs) derive(ctx context.Context, s *configs.Stream, compiled *engine.CompiledStream) (*view, []engine.OutputSchema, error) {
	if s.Wiring.Format == schemas.JSON {
		return &view{stream: s, compiled: compiled}, compiled.PlainJSON(), nil
	}
	w, err := writerSchema(ctx, o.std, o.cfg, s.Wiring.Topic, o.schema)
	if err != nil && s.Wiring.Format == schemas.JSONSchema && o.schema == "" {
		fmt.Fprintf(o.std.err, "%v; without one the types are not known\n", err)
		w, err = writer{text: "{}"}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	v, err := w.view(s, compiled)
	if err != nil {
		return nil, nil, err
	}
	return v, v.plan.Outputs(), nil
}

// view is a writer schema compiled for a stream.
type view struct {
	stream   *configs.Stream
	compiled *engine.CompiledStream
	layout   schemas.Layout
	plan     *engine.Plan
	id       int // that the schema is installed under; 0 for plain JSON
}

// viewID is the id that the schema is installed under: there is no other.
const viewID = 1

func (w writer) view(s *configs.Stream, compiled *engine.CompiledStream) (*view, error) {
	layout, err := w.layout(s)
	if err != nil {
		return nil, err
	}
	plan, err := compiled.Plan(viewID, w.text)
	if err != nil {
		return nil, fmt.Errorf("%s%w", w.place(), err)
	}
	compiled.Install(viewID, plan)
	return &view{s, compiled, layout, plan, viewID}, nil
}

// fields says what a purpose does, by the path of the position. For a text that is
// parsed as JSON, the list has everything in it.
func (v *view) fields(purpose string) map[string][]audit.Field {
	out := map[string][]audit.Field{}
	for _, f := range v.compiled.Fields(viewID, purpose) {
		at := positionOf(f.Path)
		out[at] = append(out[at], f)
	}
	return out
}

// positionOf is the path of the field that holds a plan's path: for
// payload{json}.email, which lies in a text of JSON, it is payload.
func positionOf(path string) string {
	quoted := false
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '{' && !quoted:
			return path[:i]
		}
	}
	return path
}

// unclassified says why a position has no category.
func (v *view) unclassified(path string) string {
	p, err := schemas.ParsePath(path)
	if f := (infer.Field{Path: p}); err == nil && f.Covered(rulesOf(v.stream.Wiring.Fields)) {
		return "a rule covers it and does not count: two rules are for it, or its type is not that of schema:"
	}
	return "no rule of fields classifies it"
}

func purposeOf(p *policy.Policy, id string) *policy.Purpose {
	i := slices.IndexFunc(p.Purposes, func(p policy.Purpose) bool { return p.ID == id })
	return &p.Purposes[i] // Load has found it
}

// explain says of each leaf what becomes of it.
func (o *output) explain(p *policy.Policy, v *view) error {
	o.Fields, o.Removed = []audit.Field{}, []removal{}
	purpose := purposeOf(p, o.Purpose)
	outcomes, err := v.compiled.Outcomes(v.id, o.Purpose)
	if err != nil {
		return err
	}
	for _, leaf := range outcomes {
		switch {
		case leaf.Recursive:
			o.Removed = append(o.Removed, removal{Path: leaf.Path, Branch: leaf.Branch, Because: "a type that contains itself is not looked into again"})
		case len(leaf.Fields) == 0:
			o.Removed = append(o.Removed, removal{Path: leaf.Path, Branch: leaf.Branch, Because: v.unclassified(leaf.Path)})
		}
		for _, f := range leaf.Fields {
			if f.Treatment == "drop" {
				o.Removed = append(o.Removed, removal{f.Path, leaf.Branch, f.Category, whyDropped(purpose, f.Category)})
			} else if !slices.Contains(o.Fields, f) { // of two branches of a union
				o.Fields = append(o.Fields, f)
			}
		}
	}
	return nil
}

// dropUnseen moves constants to what is removed where the derived schema does not have
// them: they stood in an object of which nothing else is shown.
func (o *output) dropUnseen(derived *engine.OutputSchema) {
	var nodes []schemas.Node
	var err error
	if derived.Format == schemas.Avro {
		var layout schemas.Layout
		if layout, err = schemas.NewAvro(derived.Schema, nil); err == nil {
			nodes = layout.Nodes()
		}
	} else {
		nodes, err = schemas.Declared(derived.Schema, "")
	}
	if err != nil {
		return // then what the plan says has to do
	}
	o.Fields = slices.DeleteFunc(o.Fields, func(f audit.Field) bool {
		unseen := strings.HasPrefix(f.Treatment, "constant") && membersOnly.MatchString(f.Path) &&
			!slices.ContainsFunc(nodes, func(n schemas.Node) bool { return n.Path == f.Path })
		if unseen {
			o.Removed = append(o.Removed, removal{Path: f.Path, Category: f.Category, Because: "nothing else is shown of the object that it is in"})
		}
		return unseen
	})
}

// membersOnly are paths that name the same in a derived schema.
var membersOnly = regexp.MustCompile(`^[\w$-]+(\[\*\])*(\.[\w$-]+(\[\*\])*)*$`)

func whyDropped(p *policy.Purpose, category string) string {
	rule, ok := p.Rule(category)
	switch {
	case !ok:
		return fmt.Sprintf("treat of %s does not name %s", p.ID, category)
	case rule.Treatment.Name == "drop":
		return fmt.Sprintf("treat of %s drops %s", p.ID, rule.Category)
	}
	return fmt.Sprintf("%s has no result for its type", rule.Treatment.Name)
}

// printOutputs writes outputs for people: comments, and the schema.
func printOutputs(w io.Writer, found []output) error {
	var b bytes.Buffer
	for _, v := range found {
		fmt.Fprintf(&b, "# %s for %s: %s", v.Topic, v.Purpose, v.Output)
		if v.Subject != "" {
			fmt.Fprintf(&b, ", registered as %s", v.Subject)
		}
		b.WriteByte('\n')
		for _, r := range v.Removed {
			fmt.Fprintf(&b, "#   removed %s: %s\n", r.name(), r.Because)
		}
		for _, f := range v.Fields {
			if f.Treatment != "keep" || f.Gate != "" {
				fmt.Fprintf(&b, "#   changed %s: %s\n", f.Path, strings.TrimSpace(f.Treatment+" "+gateText(f.Gate)))
			}
		}
		if err := json.Indent(&b, v.Schema, "", "  "); err != nil {
			return err
		}
		b.WriteString("\n\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func gateText(gate string) string {
	if gate == "" {
		return ""
	}
	return "(null without " + gate + ")"
}
