package pipeline

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

// leaves writes audit records of one lane as an enforcer does.
type leaves struct {
	t     *testing.T
	ring  *keys.Ring
	chain audit.Chain
	n     int64
}

// transaction gives n records of which the last is signed; revision stands in
// the first.
func (l *leaves) transaction(revision int64, n int) []*kgo.Record {
	l.t.Helper()
	var out []*kgo.Record
	for i := range n {
		rec := audit.Record{Kind: audit.LeafRecord, Offset: l.chain.NextSource}
		if i == 0 {
			rec.Context = &audit.Context{Revision: revision}
		}
		value, err := l.chain.Append(schemas.AppendFrame(nil, 1), &rec)
		if err != nil {
			l.t.Fatal(err)
		}
		l.n++
		out = append(out, &kgo.Record{Value: value, Timestamp: time.UnixMilli(l.n)})
	}
	sig := l.ring.Sign(audit.SigMessage(&l.chain.Lane, l.chain.Next-1, l.chain.Head))
	out[n-1].Headers = []kgo.RecordHeader{{Key: headerSig, Value: sig[:]}}
	return out
}

// TestAuditTail: whatever somebody who may write the audit topic puts before,
// between and behind the lane's records, its end is the last that we signed.
func TestAuditTail(t *testing.T) {
	ring, other := testRing(t), testRing(t)
	lane := audit.Lane{Cluster: "c", Group: "g", TopicID: [16]byte{7}, Topic: "events", Partition: 3}
	genuine := &leaves{t: t, ring: ring, chain: audit.NewChain(lane, 0)}
	first, second, third := genuine.transaction(5, 2), genuine.transaction(6, 3), genuine.transaction(7, 2)
	want := genuine.chain
	fork := &leaves{t: t, ring: other, chain: audit.After(decoded(t, first[1]), leafOf(first[1]))}
	forged := fork.transaction(99, 4)
	foreign := &leaves{t: t, ring: other, chain: audit.Chain{Lane: lane, Next: 1000, NextSource: 5000}}
	ahead := foreign.transaction(99, 2)
	// Another cluster that has our keys: its audit is signed by us, and not ours.
	staging := lane
	staging.Cluster = "staging"
	elsewhere := (&leaves{t: t, ring: ring, chain: audit.NewChain(staging, 0)}).transaction(99, 9)

	all := [][]*kgo.Record{first, second, third}
	cases := map[string][][]*kgo.Record{
		"nothing else":               all,
		"unsigned records first":     {forged[:3], ahead[:1], first, second, third},
		"signed by somebody else":    {forged, ahead, first, second, third},
		"a fork in between":          {first, forged, second, third},
		"inside a transaction":       {first, second[:1], forged[:2], ahead, second[1:], third},
		"behind":                     {first, second, third, forged, ahead},
		"our own again":              {second, first, second, third, first, second, third[:1]},
		"trimmed at the beginning":   {second[2:], third},
		"a signature moved":          {first, second, third, {{Value: ahead[1].Value, Headers: third[1].Headers}}},
		"one that does not decode":   {first, {{Value: []byte{0, 0, 0, 0, 1, 9}}}, {{Value: nil}}, second, third},
		"of another cluster":         {elsewhere, first, second, elsewhere, third, elsewhere},
		"a fork inside the last one": {first, second, third[:1], forged, third[1:]},
	}
	for name, batches := range cases {
		t.Run(name, func(t *testing.T) {
			tail := followAll(ring, lane, batches)
			if tail == nil || tail.signed != want || tail.context.Revision != 7 {
				t.Fatalf("the end is %+v, want %+v", tail, want)
			}
		})
	}
	for name, batches := range map[string][][]*kgo.Record{"only forged": {forged, ahead}, "no signature": {first[:1]}, "of another cluster": {elsewhere}} {
		if tail := followAll(ring, lane, batches); tail != nil && tail.signed.Next != 0 {
			t.Errorf("%s: believed up to %+v", name, tail.signed)
		}
	}
	if tail := followAll(ring, lane, nil); tail != nil {
		t.Error("a tail of nothing")
	}
}

func followAll(ring *keys.Ring, lane audit.Lane, batches [][]*kgo.Record) *tail {
	w := &worker{cfg: &Config{Keys: ring}}
	st := &LaneState{Topic: lane.Topic, Partition: lane.Partition, lane: lane}
	found := map[[16]byte]*tail{}
	for _, records := range batches {
		for _, r := range records {
			w.follow(st, r, found)
		}
	}
	return found[lane.TopicID]
}

func testRing(t *testing.T) *keys.Ring {
	t.Helper()
	ring, err := keys.Generate(rand.Reader, "test")
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func decoded(t *testing.T, r *kgo.Record) *audit.Record {
	t.Helper()
	a, err := audit.DecodeRecord(r.Value[5:])
	if err != nil {
		t.Fatal(err)
	}
	return &a
}

func leafOf(r *kgo.Record) audit.Hash { return audit.LeafHash(r.Value[5:]) }
