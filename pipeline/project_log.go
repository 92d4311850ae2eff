package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/consent/redisstore"
)

// errReread: the store is not what the batch was folded onto, or the reader is
// beyond a bucket that fell back. Nothing is lost: read marks and log again.
var errReread = errors.New("the state store has to be read again")

// projection is one stretch of projecting: from reading the store's watermarks
// until something makes it necessary to read them again.
type projection struct {
	*Projector
	cl    *kgo.Client
	pages []*redisstore.Page // by bucket: only the marks are kept
	next  consent.Vector     // all below was read from the log and written
	pace  *pacer
}

// project opens a projection and runs it until an error.
func (p *Projector) project(ctx context.Context, pace *pacer) error {
	pr := &projection{Projector: p, pace: pace}
	asker, err := kgo.NewClient(p.options()...)
	if err != nil {
		return err
	}
	defer asker.Close()
	info, err := pr.sameTopic(ctx, asker)
	if err != nil {
		return err
	}
	if err := pr.readMarks(ctx); err != nil {
		return err
	}
	if err := pr.historyThere(ctx, asker, info); err != nil {
		return err
	}
	unpacker, err := newUnpacker(unpackedBytes)
	if err != nil {
		return err
	}
	if pr.cl, err = kgo.NewClient(p.options(append(pr.readFrom(), unpacker.opts()...)...)...); err != nil {
		return err
	}
	defer pr.cl.Close()
	return pr.run(ctx, asker)
}

// sameTopic compares the topic with the store's epoch. Rows of another topic,
// or of another number of partitions, mean something else.
func (p *Projector) sameTopic(ctx context.Context, cl *kgo.Client) (topicInfo, error) {
	top, err := askTopology(ctx, cl, []string{p.cfg.Topic})
	if err != nil {
		return topicInfo{}, kafkaHold(HoldKafka, err)
	}
	info, err := top.topic(p.cfg.Topic)
	if err != nil {
		return topicInfo{}, kafkaHold(HoldConsentTopic, err)
	}
	e := p.cfg.Store.Epoch()
	const restart = "; restart all instances, and the state is rebuilt beside the old one"
	switch {
	case top.cluster != e.ClusterID:
		return info, &Stop{Reason: "the consent topic is on another Kafka cluster than before" + restart}
	case info.id != e.TopicID:
		return info, &Stop{Reason: "the consent topic was deleted and created again: its history is another one" + restart}
	case int(info.partitions()) != e.Partitions:
		return info, &Stop{Reason: fmt.Sprintf("the consent topic has %d partitions, not %d as before", info.partitions(), e.Partitions) + restart}
	}
	return info, nil
}

// readMarks reads every bucket's watermark. A damaged bucket is emptied, which
// is the beginning of its rebuild.
func (pr *projection) readMarks(ctx context.Context) error {
	pr.pages = pr.cfg.Store.AllPages()
	if err := pr.cfg.Store.Load(ctx, pr.pages); err != nil {
		return err
	}
	for _, page := range pr.pages {
		if page.Err == nil {
			continue
		}
		if err := pr.mend(ctx, page); err != nil {
			return err
		}
	}
	pr.next = pr.lowest()
	return nil
}

// mend empties a damaged bucket; everything else that is wrong with a page is
// returned.
func (pr *projection) mend(ctx context.Context, page *redisstore.Page) error {
	if !page.Rebuild() {
		return pageError(page)
	}
	pr.cfg.Log.Error().Int("bucket", page.Bucket).Str("code", projectorHold(page.Err).Detail).Msg("consent state is damaged, rebuilding the bucket from the consent topic")
	if err := pr.cfg.Store.Reset(ctx, page); err != nil {
		return rereadOn(err)
	}
	pr.status.rebuild()
	return nil
}

func pageError(page *redisstore.Page) error { return rereadOn(page.Err) }

// rereadOn turns what only a new read of the store resolves into errReread.
func rereadOn(err error) error {
	if errors.Is(err, redisstore.ErrConflict) || errors.Is(err, redisstore.ErrCorrupt) {
		return errReread
	}
	return err
}

// lowest is where the log has to be read from: the element-wise minimum of all
// watermarks; a bucket that is not there needs everything.
func (pr *projection) lowest() consent.Vector {
	low := make(consent.Vector, pr.cfg.Store.Epoch().Partitions)
	for i, page := range pr.pages {
		switch {
		case !page.Mark.Exists():
			clear(low)
			return low
		case i == 0:
			copy(low, page.Mark.Next)
		default:
			low = low.Min(page.Mark.Next)
		}
	}
	return low
}

// historyThere checks that the log still has what is to be read from it, and
// all that the store has taken from it.
func (pr *projection) historyThere(ctx context.Context, cl *kgo.Client, info topicInfo) error {
	starts, err := listOffsets(ctx, cl, pr.cfg.Topic, info, listStart, false)
	if err != nil {
		return kafkaHold(HoldFence, err)
	}
	ends, err := listOffsets(ctx, cl, pr.cfg.Topic, info, listEnd, false)
	if err != nil {
		return kafkaHold(HoldFence, err)
	}
	for part, start := range starts {
		if start > pr.next[part] {
			return &Stop{Reason: fmt.Sprintf("consent events of partition %d below offset %d were deleted and the state has only those below %d: consent cannot be known; "+
				"restore the topic, and keep its history: %s",
				part, start, pr.next[part], alterTopic(pr.cfg.SeedBrokers, pr.cfg.Topic, "retention.ms=-1,retention.bytes=-1,cleanup.policy=delete"))}
		}
	}
	for _, page := range pr.pages {
		for part, next := range page.Mark.Next {
			if next > ends[part] {
				return &Stop{Reason: fmt.Sprintf("the state has consent events of partition %d up to offset %d, the topic ends at %d: the topic lost acknowledged events; restore it", part, next, ends[part])}
			}
		}
	}
	pr.status.opened(pr.next, ends, slices.ContainsFunc(pr.pages, func(p *redisstore.Page) bool { return !p.Mark.Exists() }))
	return nil
}

// readFrom are the options that make polls reach exactly the high watermark
// (KAFKA.md 3): control records count as positions, and aborted events are not
// events.
func (pr *projection) readFrom() []kgo.Opt {
	at := make(map[int32]kgo.Offset, len(pr.next))
	for part, next := range pr.next {
		at[int32(part)] = kgo.NewOffset().At(next)
	}
	return []kgo.Opt{
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{pr.cfg.Topic: at}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(8 << 20),
		kgo.FetchMaxWait(500 * time.Millisecond),
	}
}

// pollError sorts the error of a poll: all end the projection, some for good.
func (pr *projection) pollError(e kgo.FetchError) error {
	var lost *kgo.ErrDataLoss
	var net interface{ Timeout() bool } // net.Error, and what wraps one
	switch {
	case errors.As(e.Err, &lost):
		return &Stop{Reason: fmt.Sprintf("the consent topic lost acknowledged events: partition %d went back to offset %d; restore it", lost.Partition, lost.ResetTo)}
	case errors.Is(e.Err, kerr.OffsetOutOfRange), errors.Is(e.Err, kerr.UnknownTopicID), errors.Is(e.Err, kerr.UnknownTopicOrPartition):
		// What it means is found out by the next projection's look at the topic.
		return kafkaHold(HoldConsentTopic, e.Err)
	case e.Topic == pr.cfg.Topic && !isAnswer(e.Err) && !errors.As(e.Err, &net) && !errors.Is(e.Err, io.EOF):
		// Nobody may be decided on without what stands there, and nobody can read
		// it: people have to restore it.
		return &Hold{Code: HoldConsentUnread, Detail: fmt.Sprintf("partition %d, from offset %d on", e.Partition, pr.next[e.Partition]),
			Mend: fmt.Sprintf("kcat -b %s -C -t %s -p %d -o %d -c 1   # a record batch that does not unpack; restore the topic from a copy", strings.Join(pr.cfg.SeedBrokers, ","), e.Topic, e.Partition, pr.next[e.Partition])}
	}
	return kafkaHold(HoldKafka, e.Err)
}
