// Package engine compiles policy, wiring and schemas to plans and turns one
// record, the consent states of its subject and a time into outputs and an
// audit record. It is pure: no clock, no network, no logger. `run`, `eval` and
// tests share it up to the produce.
//
// A record goes through a Batch in two steps. Add frames and scans it at once
// and finds its subject; after that the caller looks up the states of all
// subjects of the batch in one read. Decide then decides every purpose of every
// record at one Moment and splices what is permitted. Decide may be called
// again with newer states: it starts over, nothing of an earlier call stays.
//
// The engine withholds what it cannot know: a field without a category, a
// category without a rule, a type that a treatment does not take, a subject
// that cannot be read, a schema that does not parse (promise P1). A record that
// cannot be processed becomes an Item in StateFaulted, with a code from a closed
// set and a path of rule names (promises P8, P9); it never ends the batch.
//
// What one purpose does with a field never shows on another's topic (P6). So a
// value that a purpose's treatment does not take is not a fault of the record: in
// Avro it denies that purpose alone with INPUT_MALFORMED, in JSON and in a
// header it is removed and counted. A key that has a category but is not text is a
// fault for all purposes alike. Constants are written to value, key and headers
// whether or not the input has something there.
//
// A tombstone is written regardless of consent where the key is pseudonymized, and
// only with a permit where the key shows something. It is not written at all where
// there is no key, the key is constant or behind a closed gate, or it should name a
// subject and names nobody (DESIGN section 5).
//
// A record has one or more subjects. A subject's identifier can be in the key, in
// headers and at paths of the value. All those that the record has must name the
// same person, and at least one of the paths must be there (subject.go, DECISION
// D7). Each element of a record that is split is a record of its own (part.go).
// Every purpose is decided for every subject of every element. In an output that
// one subject permits, what is about another who does not permit is withheld
// (subjects.go, DECISION D25).
//
// The event time is the earliest of the record's own (in the value or in a header),
// its Kafka timestamp and the Moment. One that is missing, has no zone or was
// clamped is marked EVENT_TIME_SUSPECT (DECISION D20). It becomes the output's
// timestamp only where the purpose keeps it as a field or header, behind no gate.
//
// A batch's memory is bounded by constants (memory.go), whatever records it has
// held; in steady state nothing is allocated for a record.
package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/schemas"
)

// Engine is a compiled Config. It is NOT safe for concurrent use: each worker
// has its own, so that keyed hashes are reused without locks.
type Engine struct {
	cfg     Config
	streams map[string]*CompiledStream
	docs    documents
	turn    uint64 // rises with every Batch.Reset; see planTable
	tagger  *consent.Tagger
	audTags *consent.Tagger
	commit  *audit.Committer
	norm    consent.Namespaces
}

// New compiles cfg. It refuses what Check finds (warnings apart).
func New(cfg Config) (*Engine, error) {
	var bad []string
	for _, f := range Check(cfg) {
		if !f.Warning {
			bad = append(bad, f.At+": "+f.Message)
		}
	}
	if len(bad) > 0 {
		return nil, fmt.Errorf("the configuration has %d findings, the first: %s", len(bad), strings.Join(bad[:1], ""))
	}
	if cfg.Keys == nil {
		return nil, errors.New("no key ring")
	}
	e := &Engine{cfg: cfg, streams: map[string]*CompiledStream{}}
	if err := e.openKeys(); err != nil {
		return nil, err
	}
	e.docs.add([]Document{newDocument(cfg.Policy.Digest(), cfg.Policy.Canonical())})
	for i := range cfg.Streams {
		s, err := e.compileStream(&cfg.Streams[i])
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", cfg.Streams[i].Topic, err)
		}
		e.streams[s.wiring.Topic] = s
	}
	return e, nil
}

// Stream is the compiled stream of an input topic; nil where the wiring has none.
func (e *Engine) Stream(topic string) *CompiledStream { return e.streams[topic] }

// Documents lists the policy and the plans that are remembered, in the order in
// which they came; those of all records since the last Batch.Reset are among them.
// The list is good until the next Install or Refuse.
func (e *Engine) Documents() []Document { return e.docs.list }

// Input is one Kafka record. A nil Key or Value is Kafka's null.
type Input struct {
	Offset    int64
	Timestamp int64 // ms
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Header is a Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// State is how far an Item has come.
type State uint8

// The states of an Item. The zero State yields nothing.
const (
	StateNone        State = iota
	StateNeedsSchema       // Item.SchemaID must be installed in the stream, then Rescan
	StateScanned           // waits for Decide
	StateDecided           // Outputs and Audit are final
	StateFaulted           // to quarantine; Audit says why
)

// Item is one record on its way through a batch. It is valid until Batch.Reset.
type Item struct {
	Input
	Lane     *Lane
	State    State
	SchemaID int            // StateNeedsSchema
	Fault    *schemas.Fault // StateFaulted
	// Result is set while Decide hands the item over, and nil before and after.
	*Result

	tape schemas.Tape
	work itemWork
}

// Result is what becomes of a record. All items of a batch share one, so that it
// stays in the processor's cache. Only the Key, the Value and the values of Headers
// of an Output may be kept, and these until Batch.Reset or the next Decide.
type Result struct {
	Outputs []Output
	// Audit holds what the engine knows of the audit record: Kind, Offset,
	// Reason, Detail, Path, Cut, Subjects, Decisions. The pipeline fills Lane,
	// Index, Prev, From and Context.
	Audit audit.Record

	outs []audit.Output // what Audit.Decisions[].Output point to
}

// Output is one compliant record, ready to produce.
type Output struct {
	Purpose   string
	Topic     string
	Element   int32 // of the record, where it was split; else 0
	Partition int32
	Timestamp int64 // ms
	Key       []byte
	Value     []byte   // nil: tombstone
	Headers   []Header // those kept, then cs-proof last
}

// Moment is when and on what a batch is decided.
type Moment struct {
	Now   int64          // ms: decided_at
	Fence consent.Vector // F
}

// States answers for the tags of Batch.Tags, by index. consent.Snapshot is one.
type States interface {
	// Len is the number of answers.
	Len() int
	// State gives the row of tag i, nil for a true miss (unknown), and V, the
	// watermark that it was read under. The row lives until the next call.
	State(i int) (*consent.Row, consent.Vector, error)
}

// OutputSchema is a derived schema that must be registered before use.
type OutputSchema struct {
	Purpose  string
	Topic    string
	Subject  string // "{topic}.{purpose}-value"
	Schema   string // its text
	Format   schemas.Format
	SchemaID int // set by the caller before Install
}
