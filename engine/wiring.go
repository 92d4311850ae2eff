package engine

import (
	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// Config is what an Engine is compiled from. It is checked by Check; New
// refuses what Check finds.
type Config struct {
	// Policy is cited by the audit under the SHA-256 of its canonical bytes
	// (policy.Policy.Canonical).
	Policy  *policy.Policy
	Streams []Stream
	Keys    *keys.Ring
	// Partitions gives the partition count of an output topic; it is read
	// whenever a topic is first used in a batch, so that it may change.
	Partitions func(topic string) int32
}

// Stream is the wiring of one input topic.
type Stream struct {
	Topic    string
	Format   schemas.Format
	Purposes []string // ids, in policy order
	Subject  SubjectRule
	// EventTime is the path and unit of the event time; Path "" for none.
	EventTime TimeRule
	Key       KeyRule
	Headers   []HeaderRule // sorted by name
	Fields    []FieldRule
	// Schema is the Avro schema text for offline checks; "" for none.
	Schema string
	// RecordBytes is the largest record (key + value) that is processed.
	RecordBytes int
}

// SubjectRule says where a record's subject stands.
type SubjectRule struct {
	Name      string // "customer"
	Namespace string // of the policy
	Path      string
}

// TimeRule says where a record's event time stands. Unit is "", "s", "ms" or
// "us"; it is needed for plain numbers and refused for typed times.
type TimeRule struct {
	Path string
	Unit string
}

// KeyRule says what the Kafka key is. The zero KeyRule is `key: none`.
type KeyRule struct {
	Subject  string // the subject's name, or
	Category string // a category
}

// HeaderRule gives a header a category; all other headers are dropped.
type HeaderRule struct {
	Name     string
	Category string
}

// FieldRule gives a path a category.
type FieldRule struct {
	Path     string
	Category string
}

// Finding is one thing wrong with a Config. At names the place in the wiring
// ("streams[0].fields[contact_id]", "purposes[analytics].treat[user.contact]"),
// so that configs can turn it into file:line:col.
type Finding struct {
	At      string
	Message string
	Nearest string // the nearest valid word; "" for none
	Warning bool   // shown by lint, does not stop a start
}

// Lane is one input partition as the pipeline owns it.
type Lane struct {
	audit.Lane
	Stream *CompiledStream
}
