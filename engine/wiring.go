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
	// Split is the path of the array whose elements are records of their own, at
	// most SplitElements of them (0: DefaultSplitElements); "" for none. All paths
	// below are those within an element then.
	Split         string
	SplitElements int
	// Subjects are in the order in which they are declared, at most MaxSubjects.
	// Whether a record goes out is decided by the key's, else by the first.
	Subjects []SubjectRule
	// EventTime is where the event time stands; the zero TimeRule for nowhere.
	EventTime TimeRule
	Key       KeyRule
	Headers   []HeaderRule // sorted by name
	Fields    []FieldRule
	// Tags give the `confluent:tags` of Avro schemas a category, for positions that
	// no path of Fields covers.
	Tags []TagRule
	// Schema is the text of the Avro or JSON Schema for offline checks; "" for none. A position
	// that has another type in a writer's schema is withheld.
	Schema string
	// RecordBytes is the largest record (key + value) that is processed.
	RecordBytes int
}

// DefaultSplitElements is how many elements a record is split into at most.
const DefaultSplitElements = 1000

// MaxSubjects is how many subjects a record may have, and MaxSubjectPaths at how
// many places of a value the identifier of one may stand.
const (
	MaxSubjects     = 8
	MaxSubjectPaths = 8
)

// SubjectRule says where the identifier of one of a record's subjects is: in the
// value, in the Kafka key, in a header, or in several of them, which then must
// agree. At least one is needed; `key: {subject: …}` counts as one, except where
// records are split. If there are Paths, a value must have at least one of them;
// others may be missing or null.
type SubjectRule struct {
	Name      string // "customer"
	Namespace string // of the policy
	Paths     []string
	Key       bool
	Header    string
}

// TimeRule says where a record's event time stands: at a path of the value, or in a
// header, as RFC 3339 text. Unit is "", "s", "ms" or "us"; it is needed for plain
// numbers at a path and refused for all else.
type TimeRule struct {
	Path   string
	Header string
	Unit   string
}

// KeyRule says what the Kafka key is. The zero KeyRule is `key: none`.
type KeyRule struct {
	Subject string // the subject whose identifier it is; "" for none
	// Category is what it is treated as; "" with a Subject: as what stands at the
	// subject's path.
	Category string
	// Namespace is that of an identifier that names none of the record's subjects; ""
	// for none.
	Namespace string
}

// HeaderRule gives a header a category; all other headers are dropped. Subject and
// Namespace as in FieldRule.
type HeaderRule struct {
	Name, Category, Subject, Namespace string
}

// FieldRule gives a path a category, or says what stands in the text there, and
// with it what it is about.
type FieldRule struct {
	Path     string
	Category string
	// Subject binds the position, and all below it that no longer path binds, to a
	// subject; "" for none.
	Subject string
	// Namespace says that the values are identifiers of it: equal ones get the
	// pseudonym that a subject's would. "" for none.
	Namespace string
	Nested    *NestedRule // instead of a category
}

// NestedRule says that a field is a text of JSON, and classifies what is in it.
type NestedRule struct {
	Encoding schemas.Encoding
	Fields   []FieldRule
}

// TagRule gives a tag of a schema a category.
type TagRule struct {
	Tag      string
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
