// Package audit: the audit record, its chain and commitments. (Specification
// to be written by its owner: AUDIT.md.)
package audit

// Hash is a SHA-256 value.
type Hash [32]byte

// LeafKind says what an audit record is about.
type LeafKind uint8

// The leaf kinds of AUDIT A3. The zero LeafKind is invalid.
const (
	NoLeaf LeafKind = iota
	LeafRecord
	LeafQuarantine
	LeafGap
	LeafClosed
)

// Lane names (consumer group, topic id, partition): the unit of order, of
// ownership and of the chain.
type Lane struct {
	Cluster   string
	Group     string
	TopicID   [16]byte
	Topic     string // for people; the id counts
	Partition int32
}

// Record is one audit record before it is encoded (schemas/audit_record.avsc).
// Slices are borrowed: the encoder copies.
type Record struct {
	Lane  Lane
	Index int64
	Prev  Hash
	Kind  LeafKind
	// From and Offset: nothing deliverable lay in [From, Offset).
	From   int64
	Offset int64
	// Context stands in the first leaf of a lane's transaction; nil: inherited.
	Context *Context
	// Cut is the consent position that the decisions stand at where that is
	// above the context's fence (DECISION D4); nil: at the fence.
	Cut []int64
	// Reason, Detail and Path of a quarantined record, a gap or a closing.
	Reason string
	Detail string
	Path   string
	// Cites is, for the first leaf after a lane reset, the hash of the last
	// committed leaf.
	Subjects  []Subject
	Decisions []Decision
}

// Subject is one data subject of the record.
type Subject struct {
	Name string // as in the wiring ("customer")
	// Tag is kind (0: epoch key only, 1: salted) and 16 bytes of
	// HMAC(K_audit,epoch, salt ‖ id) (AUDIT A10). Resolved is false where the
	// record named no usable subject; Tag is then zero.
	Resolved bool
	Tag      [17]byte
}

// Decision is one (element, purpose, subject).
type Decision struct {
	Element   int32
	Purpose   string
	Subject   int32 // index in Subjects
	Permit    bool
	Reason    string
	Secondary []string
	Basis     string
	// Cited is the consent event that decided.
	HasCited       bool
	CitedPartition int32
	CitedOffset    int64
	// Plan is the digest of the treatments by path (consent.policies).
	Plan Hash
	// Gates are the open field gates; Withheld counts JSON values removed
	// because their type was not one that the treatment takes.
	Gates    int32
	Withheld int32
	// Output is nil for a deny.
	Output *Output
}

// Output says what was written for a permit.
type Output struct {
	Topic     string
	Partition int32
	// Commitment is AUDIT A8.
	Commitment Hash
}

// Context is what all decisions of a lane's transaction share (AUDIT A11).
type Context struct {
	Policy         Hash // digest of the policy document
	Regimes        Hash // digest of the regimes document; zero while there are none
	Revision       int64
	DecidedAt      int64 // ms
	ConsentTopicID [16]byte
	Fence          []int64
	KeyEpoch       int32
	KeyCheck       [8]byte
	SignKey        string // id of the key that signs the transaction
	Version        string // of consentstream
}
