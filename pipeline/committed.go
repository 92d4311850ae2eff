package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitOf is what a group has committed for a partition.
type commitOf struct {
	offset   int64
	metadata string
}

// committedOffsets gives the group's commits of a topic, by partition; those
// without a commit are not in the map. It waits for transactions that have
// offsets pending, because a plain answer would show what was before them, or
// for a first commit nothing at all (KAFKA.md 1): neither is a ground to decide
// on. kadm does not wait.
func committedOffsets(ctx context.Context, cl *kgo.Client, group, topic string, info topicInfo) (map[int32]commitOf, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		commits, err := askCommitted(ctx, cl, group, topic, info)
		if !errors.Is(err, kerr.UnstableOffsetCommit) {
			return commits, err
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return nil, err
		}
	}
}

func askCommitted(ctx context.Context, cl *kgo.Client, group, topic string, info topicInfo) (map[int32]commitOf, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.TopicID = topic, info.id
	for p := range info.leaders {
		t.Partitions = append(t.Partitions, int32(p))
	}
	g.Topics = append(g.Topics, t)
	req.Groups = append(req.Groups, g)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	commits := map[int32]commitOf{}
	for _, g := range resp.Groups {
		err := kerr.ErrorForCode(g.ErrorCode)
		if errors.Is(err, kerr.GroupIDNotFound) {
			return commits, nil
		}
		if err != nil {
			return nil, err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, err
				}
				if p.Offset < 0 {
					continue
				}
				c := commitOf{offset: p.Offset}
				if p.Metadata != nil {
					c.metadata = *p.Metadata
				}
				commits[p.Partition] = c
			}
		}
	}
	return commits, nil
}
