package audit

import (
	"errors"
	"fmt"
)

// Chain is where a lane stands. It is a value: a worker appends to a copy and
// adopts that when the transaction is known to be committed, so that a kill or
// an abort leaves the chain where Kafka has it.
type Chain struct {
	Lane       Lane
	Next       int64 // index of the next leaf
	Head       Hash  // hash of the last leaf, genesis at Next 0
	NextSource int64 // From of the next leaf
	Closed     bool  // nothing may follow
}

// NewChain is the chain of a lane without leaves that begins at source offset
// start.
func NewChain(lane Lane, start int64) Chain {
	return Chain{Lane: lane, Head: lane.Genesis(start), NextSource: start}
}

// ErrChain says that a leaf cannot follow: its source range runs backwards, or
// the lane is closed. The record must not be produced.
var ErrChain = errors.New("audit leaf cannot follow the chain")

// Append makes r the next leaf: it sets Lane, Index, Prev and From, appends
// r's bytes to dst and advances. The leaf's hash is then c.Head. On error dst
// and c are unchanged.
func (c *Chain) Append(dst []byte, r *Record) ([]byte, error) {
	r.Lane, r.Index, r.Prev, r.From = c.Lane, c.Next, c.Head, c.NextSource
	fault := r.fault()
	if c.Closed {
		fault = "the lane is closed"
	}
	if fault != "" {
		return dst, fmt.Errorf("%w at index %d: %s", ErrChain, c.Next, fault)
	}
	out := AppendRecord(dst, r)
	c.advance(r, LeafHash(out[len(dst):]))
	return out, nil
}

// After returns where the lane stands after r, whose hash is leaf. It is for a
// caller that trusts r because of a signature over it, not because it has seen r's
// predecessors.
func After(r *Record, leaf Hash) Chain {
	c := Chain{Lane: r.Lane, Next: r.Index}
	c.advance(r, leaf)
	return c
}

func (c *Chain) advance(r *Record, leaf Hash) {
	c.Next, c.Head, c.NextSource = c.Next+1, leaf, r.Offset
	if r.Kind == LeafRecord || r.Kind == LeafQuarantine {
		c.NextSource++ // the record at Offset itself is dealt with
	}
	c.Closed = r.Kind == LeafClosed
}

// FaultKind names what is wrong with a chain.
type FaultKind string

// The faults of a chain. Where a record was changed, the one after it shows
// as a splice, since its Prev is that of the original.
const (
	FaultMalformed FaultKind = "malformed" // the bytes are no audit record
	FaultLane      FaultKind = "lane"      // a record of another lane
	FaultGap       FaultKind = "gap"       // leaves, or a source range, are missing
	FaultDuplicate FaultKind = "duplicate" // the same leaf, or the same source range, again
	FaultFork      FaultKind = "fork"      // another leaf with the index and Prev of an earlier one, or a read_uncommitted dump
	FaultSplice    FaultKind = "splice"    // does not follow the leaf before it: that one or this one was changed
	FaultRollback  FaultKind = "rollback"  // fence, decision time or revision fall
)

// ChainFault is the first fault of a chain.
type ChainFault struct {
	Kind   FaultKind
	At     int   // position in what was given
	Index  int64 // the index that should stand there
	Detail string
}

func (f *ChainFault) Error() string {
	return fmt.Sprintf("%s at record %d (index %d): %s", f.Kind, f.At, f.Index, f.Detail)
}

// VerifyChain checks the leaves of one lane from its genesis on, in index
// order, as stored without their frames, and gives where the chain stands
// after them. The error is a *ChainFault. That the end is the end, and that
// the last leaf is genuine, only a signature over Head can say.
func VerifyChain(values [][]byte) (Chain, error) {
	if len(values) == 0 {
		return Chain{}, nil
	}
	first, err := DecodeRecord(values[0])
	if err != nil {
		return Chain{}, &ChainFault{FaultMalformed, 0, 0, err.Error()}
	}
	return NewChain(first.Lane, first.From).Verify(values)
}

// Verify checks the leaves that follow c, like VerifyChain.
func (c Chain) Verify(values [][]byte) (Chain, error) {
	v := verifier{Chain: c, first: c.Next}
	for at, value := range values {
		r, err := DecodeRecord(value)
		if err != nil {
			return Chain{}, &ChainFault{FaultMalformed, at, v.Next, err.Error()}
		}
		leaf := LeafHash(value)
		if kind, detail := v.check(&r, leaf); kind != "" {
			return Chain{}, &ChainFault{kind, at, v.Next, detail}
		}
		v.add(&r, leaf)
	}
	return v.Chain, nil
}

// verifier is a Chain that remembers what it has seen, to tell a duplicate
// from a fork.
type verifier struct {
	Chain
	first   int64
	seen    []seen   // of index first + i
	context *Context // the newest; nil: none yet
}

type seen struct{ leaf, prev Hash }

func (v *verifier) check(r *Record, leaf Hash) (FaultKind, string) {
	switch {
	case !sameLane(&r.Lane, &v.Lane):
		return FaultLane, "a record of another lane"
	case r.Index < v.Next:
		return v.again(r, leaf)
	case r.Index > v.Next:
		return FaultGap, fmt.Sprintf("index is %d", r.Index)
	case v.Closed:
		return FaultSplice, "a leaf behind the closed one"
	case r.Prev != v.Head:
		return FaultSplice, "prev is not the hash of the leaf before"
	case r.From > v.NextSource:
		return FaultGap, fmt.Sprintf("source range [%d, %d) is missing", v.NextSource, r.From)
	case r.From < v.NextSource:
		return FaultDuplicate, fmt.Sprintf("source range begins at %d again, after %d", r.From, v.NextSource)
	}
	return v.checkContext(r)
}

// again classifies a leaf whose index was there before.
func (v *verifier) again(r *Record, leaf Hash) (FaultKind, string) {
	if r.Index < v.first {
		return FaultDuplicate, fmt.Sprintf("index %d lies before the beginning", r.Index)
	}
	switch old := v.seen[r.Index-v.first]; {
	case old.leaf == leaf:
		return FaultDuplicate, fmt.Sprintf("the leaf of index %d again", r.Index)
	case old.prev == r.Prev:
		return FaultFork, fmt.Sprintf("another leaf of index %d", r.Index)
	}
	return FaultSplice, fmt.Sprintf("a leaf of index %d that never followed", r.Index)
}

func (v *verifier) checkContext(r *Record) (FaultKind, string) {
	now, before := r.Context, v.context
	fence := before
	if now != nil {
		fence = now
	}
	switch {
	case fence == nil && v.first == 0 && (r.Kind == LeafRecord || r.Kind == LeafQuarantine):
		return FaultMalformed, "no leaf of the lane has given a context yet"
	case fence != nil && len(r.Cut) > 0 && falls(fence.Fence, r.Cut):
		return FaultRollback, "the cut lies below the fence"
	case now == nil || before == nil:
		return "", ""
	case now.Revision < before.Revision:
		return FaultRollback, "policy revision falls"
	case now.Revision == before.Revision && now.Policy != before.Policy:
		return FaultRollback, "another policy under the same revision"
	case now.DecidedAt < before.DecidedAt:
		return FaultRollback, "decision time falls"
	case now.ConsentTopicID == before.ConsentTopicID && falls(before.Fence, now.Fence):
		return FaultRollback, "fence falls"
	}
	return "", ""
}

func (v *verifier) add(r *Record, leaf Hash) {
	v.seen = append(v.seen, seen{leaf, r.Prev})
	if r.Context != nil {
		v.context = r.Context
	}
	v.advance(r, leaf)
}

// falls reports whether any partition's position is lower than before, or missing.
func falls(before, now []int64) bool {
	if len(now) < len(before) {
		return true
	}
	for i := range before {
		if now[i] < before[i] {
			return true
		}
	}
	return false
}

// sameLane ignores the topic's name, which is for people.
func sameLane(a, b *Lane) bool {
	return a.Cluster == b.Cluster && a.Group == b.Group && a.TopicID == b.TopicID && a.Partition == b.Partition
}
