package pipeline

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/schemas"
)

// memoryStates is a States that always is where the consent topic is, unless a
// test breaks it.
type memoryStates struct {
	mu         sync.Mutex
	memory     *consent.Memory
	ns         consent.Namespaces
	partitions int
	fail       error
	behind     int64 // how far the watermark stays behind
	skew       int64 // of the store's clock, ms
	reads      int
	topic      ConsentTopic // that Check was told last
}

func (m *memoryStates) fold(rec *kgo.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := consent.Parse(rec.Key, rec.Value, consent.Position{Partition: rec.Partition, Offset: rec.Offset}, time.Now().UnixMilli(), m.ns)
	m.memory.Fold(&e)
}

func (m *memoryStates) set(change func(*memoryStates)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *memoryStates) Read(_ context.Context, tags []consent.Tag, into *consent.Snapshot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.fail != nil {
		return m.fail
	}
	m.memory.Read(tags, into)
	cut := make(consent.Vector, m.partitions)
	copy(cut, m.memory.Next())
	for i := range cut {
		cut[i] -= m.behind
	}
	for i := range into.Cut {
		into.Cut[i] = cut
	}
	into.ServerTime = time.Now().UnixMilli() + m.skew
	return nil
}

func (m *memoryStates) Check(_ context.Context, topic ConsentTopic) error {
	m.set(func(m *memoryStates) { m.topic = topic })
	return nil
}

// memoryRegistry hands out ids.
type memoryRegistry struct {
	mu     sync.Mutex
	byText map[string]int
	texts  []string
	kind   map[int]schemas.Format
	down   error
	refuse error // of Register for outputs
}

func (m *memoryRegistry) Schema(_ context.Context, id int, format schemas.Format) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return "", m.down
	}
	if id < 1 || id > len(m.texts) || m.kind[id] != format {
		return "", schemas.ErrUnknownSchema
	}
	return m.texts[id-1], nil
}

func (m *memoryRegistry) Register(_ context.Context, subject, text string, format schemas.Format) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.down != nil:
		return 0, m.down
	case m.refuse != nil && !strings.HasSuffix(subject, "consent.audit-value"):
		return 0, m.refuse
	case m.byText[text] == 0:
		m.texts = append(m.texts, text)
		m.byText[text] = len(m.texts)
		m.kind[len(m.texts)] = format
	}
	return m.byText[text], nil
}
