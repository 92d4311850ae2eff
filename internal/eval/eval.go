// Package eval is the offline engine: records and consent events from files in,
// every output, quarantine and audit record as NDJSON out. It is the code path
// of `run` up to the produce, with an in-process consent state in place of
// Redis and a stated time in place of the clock.
//
// # Input
//
// Records are one per line, in partition 0; the offset is the line number, from 0. By
// default a line is the record's value, byte for byte; with Records set it is
//
//	{"key": "…", "headers": {"name": "…"}, "timestamp": "RFC 3339", "value": …}
//
// where "value": null is a tombstone and "value_base64" holds raw bytes. An Avro
// stream takes the value in Avro's JSON encoding of Config.Schema; a record that
// cannot be encoded is quarantined. In that encoding a union's value is named by
// its type ({"int": 5822}, for a nullable date too); a map in a union with an
// array has no order, and so different bytes each time. Consent events are one per
// line, in log order; the offset is the line number, from 0. A line is the event,
// received at Config.At, or {"timestamp": …, "value": {…}}.
//
// # Output
//
// One JSON object per line, in input order; for each record first its outputs in
// policy order, then its quarantine record if any, then its audit record. The
// same input, consents, time and keys give the same bytes.
package eval

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/schemas"
)

// writerSchemaID frames Avro input: eval has one writer schema.
const writerSchemaID = 1

// batchRecords bounds what is in memory at a time.
const batchRecords = 1000

// Config is one evaluation.
type Config struct {
	Engine  engine.Config
	Topic   string
	At      int64 // ms: the clock
	Schema  string
	Records bool
	// Group names the lane in the audit records.
	Group    string
	Consents io.Reader // nil: nobody has consented to anything
	// Audit and Quarantine are the topics that those lines name; "": the defaults.
	Audit, Quarantine string
	In                io.Reader
	Out               io.Writer
}

// Summary counts what Run has written, and says what of the consents file
// counted for nothing. It holds no personal value.
type Summary struct {
	Records, Outputs, Quarantined int64
	Denied                        map[Denial]int64
	Faults                        map[Fault]int64 // of quarantined records
	Notes                         []Note          // at most maxNotes
}

// Denial is a purpose and the reason why it was denied.
type Denial struct {
	Purpose string
	Reason  string
}

// Fault is why a record is in quarantine.
type Fault struct {
	Reason string
	Detail string // a schemas.Code
}

// Note is about one line of the consents file, from 1.
type Note struct {
	Line int64
	Text string
}

// maxNotes bounds the notes: a file of another kind would have one a line.
const maxNotes = 20

// Run evaluates all input. It stops at the first line that is no record at all
// (the error names it) or when ctx ends.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	r, err := newRunner(cfg)
	if err != nil {
		return Summary{}, err
	}
	err = r.run(ctx)
	if ferr := r.out.Flush(); err == nil {
		err = ferr
	}
	return r.sum, err
}

// runner holds one evaluation's state.
type runner struct {
	cfg    Config
	stream *engine.CompiledStream
	batch  *engine.Batch
	lane   engine.Lane
	chain  audit.Chain
	ids    []string // of the consent events, by offset
	states *consent.Memory
	snap   consent.Snapshot
	framed framedText // nil for plain JSON
	out    *bufio.Writer
	text   bytes.Buffer // of one value, reused
	record []byte       // of one audit record, reused
	lines  lineReader
	sum    Summary
}

func newRunner(cfg Config) (*runner, error) {
	cfg.Audit, cfg.Quarantine = cmp.Or(cfg.Audit, auditTopic), cmp.Or(cfg.Quarantine, quarantineTopic)
	eng, err := engine.New(cfg.Engine)
	if err != nil {
		return nil, err
	}
	r := &runner{cfg: cfg, stream: eng.Stream(cfg.Topic), batch: eng.NewBatch(), out: bufio.NewWriter(cfg.Out),
		sum: Summary{Denied: map[Denial]int64{}, Faults: map[Fault]int64{}}}
	if r.stream == nil {
		return nil, fmt.Errorf("the configuration has no stream of topic %q", cfg.Topic)
	}
	if r.stream.Format().Framed() {
		if r.framed, err = r.installSchema(); err != nil {
			return nil, err
		}
	}
	r.lane = engine.Lane{Lane: audit.Lane{Cluster: "eval", Group: cfg.Group, TopicID: topicID(cfg.Topic), Topic: cfg.Topic}, Stream: r.stream}
	r.chain = audit.NewChain(r.lane.Lane, 0)
	r.lines = lineReader{r: bufio.NewReaderSize(cfg.In, 64<<10)}
	return r, r.loadConsents(engine.Namespaces(cfg.Engine.Policy))
}

// topicID stands in for the id that a broker would give the topic, so that the
// lanes of two topics differ.
func topicID(topic string) (id [16]byte) {
	sum := sha256.Sum256([]byte(topic))
	copy(id[:], sum[:])
	return id
}

// installSchema compiles the writer schema and gives its outputs ids.
func (r *runner) installSchema() (framedText, error) {
	schema := r.cfg.Schema
	switch {
	case schema != "":
	case r.stream.Format() == schemas.Avro:
		return nil, errors.New("an Avro stream needs the writer schema: --schema FILE, or schema: in the stream's configuration")
	default:
		schema = "{}" // JSON is read by the wiring's paths
	}
	plan, err := r.stream.Plan(writerSchemaID, schema)
	if err != nil {
		return nil, fmt.Errorf("the writer schema cannot be used: %w", err)
	}
	outputs := plan.Outputs()
	for i := range outputs {
		outputs[i].SchemaID = writerSchemaID + 1 + i
	}
	r.stream.Install(writerSchemaID, plan)
	if r.stream.Format() == schemas.JSONSchema {
		return jsonText{}, nil
	}
	return newAvroText(schema, outputs)
}

func (r *runner) run(ctx context.Context) error {
	for done := false; !done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.batch.Reset()
		for len(r.batch.Items()) < batchRecords {
			line, err := r.lines.next()
			if errors.Is(err, io.EOF) {
				done = true
				break
			}
			if err != nil {
				return err
			}
			if err := r.add(line); err != nil {
				return fmt.Errorf("line %d: %w", r.lines.n, err)
			}
		}
		if err := r.decide(); err != nil {
			return err
		}
	}
	return nil
}

// add puts a line's record into the batch.
func (r *runner) add(line []byte) error {
	in, err := r.input(line)
	if err != nil {
		return err
	}
	in.Offset = r.sum.Records
	r.sum.Records++
	unfit := false
	if r.framed != nil && in.Value != nil && !in.raw {
		in.Value, unfit = r.framed.encode(in.Value)
	}
	it := r.batch.Add(&r.lane, in.Input)
	if unfit {
		r.batch.Fail(it, schemas.CodeNotEncodable, "")
	}
	if it.State == engine.StateNeedsSchema {
		r.batch.Fail(it, schemas.CodeUnknownSchema, "")
	}
	return nil
}

// decide looks the batch's subjects up, decides and writes.
func (r *runner) decide() error {
	r.states.Read(r.batch.Tags(), &r.snap)
	return r.batch.Decide(&r.snap, engine.Moment{Now: r.cfg.At, Fence: r.states.Next()}, r.write)
}
