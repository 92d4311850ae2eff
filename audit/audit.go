// Package audit gives the bytes of the audit: what one leaf holds, how leaves
// form a chain, what a signature and an output's commitment cover, and what is
// stored with a committed offset. It is pure and sees no payload.
//
// # Notation
//
//	lp(x)    length of x in bytes as 4 bytes big-endian ‖ x
//	opt(x)   0x00 where x is null, else 0x01 ‖ lp(x)
//	i32, i64 4 and 8 bytes, big-endian, two's complement
//	lane     lp(group) ‖ topic id (16 bytes) ‖ i32(partition)
//	H        SHA-256
//
// # Leaf
//
// An audit record is the Avro binary (Avro 1.12) of schemas/audit_record.avsc:
// fixed field order, no maps, each array one block with a positive count, each
// number in its shortest form. So a record has exactly one encoding, and
// DecodeRecord takes no other.
//
//	leaf    = H(0x00 ‖ record)                             RFC 6962 section 2.1
//	genesis = H("consentstream lane v1" ‖ lp(cluster) ‖ lane ‖ i64(start))
//	prev    = the leaf before, or genesis at index 0
//
// Indexes count 0, 1, 2 within a lane. Source ranges touch: `from` is the
// lane's next source offset, and afterwards that is offset+1 after a record
// or quarantine leaf and offset after a gap; nothing follows a closed leaf.
// `start` is the `from` of index 0.
//
// The last leaf of a lane's transaction is signed with Ed25519 over
//
//	"consentstream transaction v1" ‖ lp(cluster) ‖ lane ‖ i64(index) ‖ leaf
//
// # Output
//
//	nonce      = first 16 bytes of HMAC-SHA-256(K(nonce, purpose), lane ‖ i64(offset) ‖ i32(element))
//	commitment = H(0x02 ‖ nonce ‖ lp(topic) ‖ i32(partition) ‖ opt(key) ‖ i64(timestamp, ms)
//	               ‖ { 0x01 ‖ lp(header key) ‖ opt(header value) } ‖ 0x00 ‖ opt(value))
//
// with the headers in their order, except cs-proof. That header holds the nonce
// and is the only place that does, so nobody can use the audit to find out what a
// small output was by trying all values.
//
// # Partitions
//
// Kafka's murmur2 with the sign bit cleared, modulo the partition count. A
// lane's audit partition is that of topic id ‖ i32(partition), computed once,
// at its genesis; afterwards the offset metadata says it (Head).
//
// # Trust
//
// The chain alone shows insertions, removals, changes and swaps between leaves,
// not a truncated end: for that compare Chain.Head with a signature or a seal.
package audit

// Hash is a SHA-256 value.
type Hash [32]byte

// LeafKind says what an audit record is about.
type LeafKind uint8

// The leaf kinds of AUDIT A3. The zero LeafKind is invalid: what AppendRecord
// makes of it is refused by every decoder.
const (
	NoLeaf         LeafKind = iota
	LeafRecord              // an input record was decided
	LeafQuarantine          // an input record was set aside
	LeafGap                 // an operator gave up [From, Offset)
	LeafClosed              // an operator ended the lane
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
	// Context is set in the first leaf of a lane's transaction; nil: inherited.
	Context *Context
	// Cut is the consent position that the decisions were made at, where that is
	// above the context's fence (DECISION D4); empty: at the fence.
	Cut []int64
	// Reason, Detail and Path of a quarantined record, a gap or a closing.
	Reason string
	Detail string
	Path   string
	// Cites is, for the first leaf after a lane reset, the hash of the last
	// committed leaf, of this lane or of the closed one before it.
	Cites *Hash
	// Note is the operator's reason text of a gap or a closing.
	Note      string
	Subjects  []Subject
	Decisions []Decision
}

// The first byte of a Subject's tag (AUDIT A10).
const (
	TagEpochKey byte = 0 // HMAC under the audit key of the epoch alone
	TagSalted   byte = 1 // the subject's salt went in too
)

// Subject is one data subject of the record.
type Subject struct {
	Name string // as in the wiring ("customer")
	// Tag is kind (TagEpochKey, TagSalted) and 16 bytes of
	// HMAC(K_audit,epoch, salt ‖ id) (AUDIT A10). Resolved is false where the
	// record named no usable subject; Tag is then zero and not encoded.
	Resolved bool
	Tag      [17]byte
}

// Decision is one (element, purpose, subject). The zero Decision denies.
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

	// CitedID and Fields are for people: AppendJSON shows them, the record's
	// bytes do not hold them (the event is cited by position, the fields by Plan).
	CitedID string
	Fields  []Field
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
