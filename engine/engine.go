// Package engine compiles policy, wiring and schemas to plans and turns one
// record, the consent states of its subject and a time into outputs and an
// audit record. It is pure: no clock, no network, no logger. (Specification to
// be completed by its owner.)
package engine

import (
	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/schemas"
)

// Engine is a compiled Config. It is NOT safe for concurrent use: each worker
// has its own, so that keyed hashes can be reused without locks.
type Engine struct{}

// CompiledStream is one stream's plans: one per writer schema for Avro, one for
// JSON. The zero CompiledStream processes nothing.
type CompiledStream struct{}

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
	StateNeedsSchema       // Item.SchemaID must be added to the stream, then Rescan
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
	Outputs  []Output
	// Audit holds what the engine knows of the audit record: Kind, Offset,
	// Reason, Detail, Path, Cut, Subjects, Decisions. The pipeline fills Lane,
	// Index, Prev, From and Context.
	Audit audit.Record
}

// Output is one compliant record, ready to produce.
type Output struct {
	Purpose   string
	Topic     string
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

// States answers for the tags of Batch.Tags, by index.
type States struct {
	Rows []*consent.Row   // nil: a true miss (unknown)
	Cut  []consent.Vector // V: the watermark that the row was read under
}

// OutputSchema is a derived schema that must be registered before use.
type OutputSchema struct {
	Purpose  string
	Topic    string
	Subject  string // "{topic}.{purpose}-value"
	Schema   string // Avro JSON
	SchemaID int    // set by the pipeline before Install
}
