package pipeline

import (
	"context"
	"errors"
	"math"
	"time"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// What a session does against hanging transactions (hanging.go): it knows where its last
// one wrote, and asks only there.

const endPace = 5 * time.Millisecond // of looking whether a transaction is over

// touch notes where the transaction at hand writes.
func (s *session) touch(topic string, partition int32) {
	in := s.wrote[topic]
	if n := int(partition) + 1 - len(in); n > 0 {
		if s.wrote == nil {
			s.wrote = map[string][]bool{}
		}
		in = append(in, make([]bool, n)...)
		s.wrote[topic] = in
	}
	in[partition] = true
}

// over notes how the transaction at hand ended. If the broker knows of it, the next one waits
// for lastOver.
func (s *session) over(o outcome) {
	if s.touched {
		s.touched, s.unproven = false, o
	}
}

// lastOver returns when this session's last transaction is over in all its partitions.
// If Kafka gave some up, the next session settles that.
func (s *session) lastOver(ctx context.Context) error {
	if s.unproven == outcomeUnknown {
		return nil
	}
	if s.w.describes {
		if err := s.awaitMarkers(ctx); err != nil && ctx.Err() != nil {
			return errDropped
		} else if err != nil {
			return err
		}
	}
	s.unproven = outcomeUnknown
	for _, in := range s.wrote {
		clear(in)
	}
	return nil
}

// awaitMarkers waits until nothing is open. It looks once more after the coordinator
// is done: only what is open then was given up.
func (s *session) awaitMarkers(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for done := false; ; {
		open, err := openIn(patience, s.cl, s.touchedPartitions(), s.producer)
		switch {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			return s.settleNext() // deleted, or made anew with fewer partitions
		case err != nil:
			return asHold(err)
		case len(open) == 0:
			return nil
		case done && s.replaced(patience):
			return s.fenced() // it is our successor's
		case done:
			return s.settleNext()
		}
		t, err := describeTransaction(patience, s.cl, s.w.id)
		if err == nil && transactionEnding[t.State] && !sleep(patience, endPace) {
			err = patience.Err()
		}
		if err != nil {
			return asHold(err)
		}
		done = !transactionEnding[t.State]
	}
}

func (s *session) settleNext() error {
	s.w.last = s.unproven
	return errRebuild
}

func (s *session) touchedPartitions() kadm.TopicsSet {
	topics := kadm.TopicsSet{}
	for topic, in := range s.wrote {
		for p, wrote := range in {
			if wrote {
				topics.Add(topic, int32(p))
			}
		}
	}
	if s.w.offsetsAt >= 0 {
		topics.Add(offsetsTopic, s.w.offsetsAt)
	}
	return topics
}

// offsetsPartition is where Kafka keeps a group's offsets (GroupMetadataManager.partitionFor:
// Java's String.hashCode).
func offsetsPartition(group string, partitions int32) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(group)) {
		h = 31*h + int32(unit)
	}
	if h == math.MinInt32 || partitions == 0 {
		return 0 // as Kafka's Utils.abs says of the first
	}
	return max(h, -h) % partitions
}
