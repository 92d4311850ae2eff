package pipeline

import (
	"strconv"
	"sync"
)

// topicLimits are the largest record batches that topics take.
type topicLimits struct {
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
	t.max[topic] = n
}
