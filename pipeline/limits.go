package pipeline

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topicLimits are the largest record batches that topics take, and what else of their
// settings counts. They can change while we run, but a client keeps those limits that
// it was made with: so sessions end when version has moved.
type topicLimits struct {
	version atomic.Int64 // rises with every change
	// unfit is why nothing may be decided with the topics as they are, as of the last
	// look; nil: it may.
	unfit atomic.Pointer[Hold]

	mu  sync.RWMutex
	max map[string]int
}

// defaultMaxMessage is Kafka's default of max.message.bytes.
const defaultMaxMessage = 1048588

func (t *topicLimits) of(topic string) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n, ok := t.max[topic]; ok {
		return n
	}
	return defaultMaxMessage
}

// batch is the limit to give to the client: the topic's own, so that only what is
// truly too large for it fails (DESIGN section 6, step 3), less the length and
// offset before a batch, which the client does not count, and never more than
// what a produce request takes (socket.request.max.bytes, 100 MiB).
func (t *topicLimits) batch(topic string) int32 { return int32(min(t.of(topic)-12, 64<<20)) }

// smallest is the least limit of topics: a record below it fits all of them.
func (t *topicLimits) smallest(topics []string) int {
	n := defaultMaxMessage
	for _, topic := range topics {
		n = min(n, t.of(topic))
	}
	return n
}

func (t *topicLimits) set(topic, value string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.max == nil {
		t.max = map[string]int{}
	}
	if t.max[topic] != n {
		t.max[topic] = n
		t.version.Add(1)
	}
}

// read asks a broker for the limits of topics. What it does not tell stays.
func (t *topicLimits) read(ctx context.Context, cl *kgo.Client, topics []string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return err
	}
	for _, c := range configs {
		for _, v := range c.Configs {
			if c.Err == nil && v.Key == maxMessageBytes {
				t.set(c.Name, v.MaybeValue())
			}
		}
	}
	return nil
}

const maxMessageBytes = "max.message.bytes"

// watchLimits reads the topics' settings again and again until ctx ends. A lowered
// limit is found by the first refused batch too; a raised one only here. What would
// refuse the start holds: the promises that it breaks are not only made at the start.
func (e *Enforcer) watchLimits(ctx context.Context) error {
	cl, err := kgo.NewClient(append((&worker{cfg: &e.cfg, id: e.cfg.memberID(0) + ".limits"}).clientOpts(), e.cfg.KafkaOpts...)...)
	if err != nil {
		return &Stop{Reason: "the Kafka client refuses its options: " + err.Error()}
	}
	defer cl.Close()
	for every := e.cfg.Limits.Settings; sleep(ctx, every); {
		every = e.cfg.Limits.Settings
		err := e.lookAtSettings(ctx, cl)
		switch {
		case err != nil && ctx.Err() == nil:
			e.cfg.Log.Warn().Str("code", errorCode(err)).Msg("the settings of topics cannot be read; the last ones count")
		case e.limits.unfit.Load() != nil:
			every = min(every, statesAgain)
		}
	}
	return nil
}

// lookAtSettings takes over the settings as they are. What a broker does not tell
// stays.
func (e *Enforcer) lookAtSettings(ctx context.Context, cl *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, append(e.cfg.written(), e.cfg.Topics.Consent)...)
	if err != nil {
		return err
	}
	var wrong Refusal
	for _, c := range configs {
		if c.Err != nil {
			err = c.Err
			continue
		}
		e.checkTopic(e.settings(c), &wrong)
	}
	switch {
	case len(wrong.Complaints) > 0:
		e.limits.unfit.Store(&Hold{Code: HoldTopicSettings, Detail: wrong.Complaints[0].What, Mend: wrong.Complaints[0].Command})
	case err == nil:
		e.limits.unfit.Store(nil)
	}
	return err
}

// limitsChanged reads the limits after a topic has refused records for their size.
// It reports whether they differ from those that the session's client was made with.
func (s *session) limitsChanged() bool {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	_ = s.w.limits.read(ctx, s.cl, s.w.written) // unread: as before
	return s.limitsOld()
}

// limitsOld reports whether the session's client was made with other limits.
func (s *session) limitsOld() bool { return s.w.limits.version.Load() != s.limits }
