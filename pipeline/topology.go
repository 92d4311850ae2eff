package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topology is what one Metadata answer says about some topics. It is taken
// fresh from a broker, not from the client's cache: the cache may name a topic
// that was deleted and recreated for minutes (KAFKA.md 7).
type topology struct {
	cluster string
	topics  map[string]topicInfo
}

// topicInfo is one topic; err is Kafka's answer where it is not there.
type topicInfo struct {
	id      [16]byte
	leaders []leader // by partition
	err     error
}

type leader struct {
	node  int32
	epoch int32
}

func (t topicInfo) partitions() int32 { return int32(len(t.leaders)) }

// requestTimeout bounds the small requests of a transaction: they are retried
// by the hold that follows, so they need not be patient.
const requestTimeout = 5 * time.Second

// askTopology asks a broker about topics.
func askTopology(ctx context.Context, cl *kgo.Client, topics []string) (*topology, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	top := &topology{topics: make(map[string]topicInfo, len(resp.Topics))}
	if resp.ClusterID != nil {
		top.cluster = *resp.ClusterID
	}
	for i := range resp.Topics {
		if t := &resp.Topics[i]; t.Topic != nil {
			top.topics[*t.Topic] = readTopic(t)
		}
	}
	return top, nil
}

func readTopic(t *kmsg.MetadataResponseTopic) topicInfo {
	info := topicInfo{id: t.TopicID, err: kerr.ErrorForCode(t.ErrorCode), leaders: make([]leader, len(t.Partitions))}
	for _, p := range t.Partitions {
		if p.Partition < 0 || int(p.Partition) >= len(info.leaders) {
			info.err = errors.New("partition numbers have holes")
			return info
		}
		info.leaders[p.Partition] = leader{p.Leader, p.LeaderEpoch}
	}
	return info
}

// topic gives one topic or the error that it has.
func (t *topology) topic(name string) (topicInfo, error) {
	info, ok := t.topics[name]
	if !ok {
		return topicInfo{}, kerr.UnknownTopicOrPartition
	}
	return info, info.err
}

// The special times of ListOffsets.
const (
	listStart = -2
	listEnd   = -1
)

// listOffsets asks the leaders of a topic for its start or end offsets, naming
// the leader epoch that Metadata gave: a broker that was deposed meanwhile, or
// does not know yet that it leads, refuses instead of answering from the past
// (KAFKA.md 2). committed asks for the last stable offset.
func listOffsets(ctx context.Context, cl *kgo.Client, name string, info topicInfo, at int64, committed bool) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	byLeader := map[int32]*kmsg.ListOffsetsRequest{}
	for p, l := range info.leaders {
		req := byLeader[l.node]
		if req == nil {
			req = newListOffsets(name, committed)
			byLeader[l.node] = req
		}
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.CurrentLeaderEpoch, rp.Timestamp = int32(p), l.epoch, at
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, rp)
	}
	offsets := make([]int64, len(info.leaders))
	for p := range offsets {
		offsets[p] = -1
	}
	for node, req := range byLeader {
		if err := askOffsets(ctx, cl, node, req, offsets); err != nil {
			return nil, err
		}
	}
	for _, o := range offsets {
		if o < 0 {
			return nil, errors.New("a partition's offset is missing in the answer")
		}
	}
	return offsets, nil
}

func newListOffsets(name string, committed bool) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	if committed {
		req.IsolationLevel = 1
	}
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = name
	req.Topics = append(req.Topics, t)
	return req
}

func askOffsets(ctx context.Context, cl *kgo.Client, node int32, req *kmsg.ListOffsetsRequest, into []int64) error {
	if node < 0 {
		return kerr.LeaderNotAvailable
	}
	resp, err := cl.Broker(int(node)).RetriableRequest(ctx, req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
			if p.Partition >= 0 && int(p.Partition) < len(into) {
				into[p.Partition] = p.Offset
			}
		}
	}
	return nil
}

// errorCode is what may be shown of a Kafka error: its protocol name, or one
// word for everything else.
func errorCode(err error) string {
	var ke *kerr.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &ke):
		return ke.Message
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "timeout"
	default:
		return "connection"
	}
}

// kafkaHold turns a Kafka error into a hold. What a right is missing for is told by
// whoever shows it: access.mend.
func kafkaHold(code HoldCode, err error) *Hold {
	for _, denied := range []error{kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed,
		kerr.ClusterAuthorizationFailed, kerr.SaslAuthenticationFailed} {
		if errors.Is(err, denied) {
			return hold(HoldUnauthorized, errorCode(err))
		}
	}
	return hold(code, errorCode(err))
}
