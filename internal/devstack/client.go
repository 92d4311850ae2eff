package devstack

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// Client produces to and reads from the stack: the other side of a pipeline in
// a demo or a test.
type Client struct{ kafka *kgo.Client }

// NewClient connects to the stack. It reads the named topics from their
// beginning, committed records only.
func (s *Stack) NewClient(topics ...string) (*Client, error) {
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(s.KafkaAddr()),
		kgo.Dialer(s.DialKafka),
		kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(50*time.Millisecond),
		kgo.ProducerLinger(0),
	)
	if err != nil {
		return nil, fmt.Errorf("embedded stack: kafka client: %w", err)
	}
	return &Client{cl}, nil
}

// Produce writes a record and waits for its acknowledgement. A nil value is a
// tombstone.
func (c *Client) Produce(ctx context.Context, topic string, key, value []byte) (partition int32, offset int64, err error) {
	r, err := c.kafka.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: key, Value: value}).First()
	if err != nil {
		return 0, 0, err
	}
	return r.Partition, r.Offset, nil
}

// Record is one record read.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       []byte
	Value     []byte
	Headers   []kgo.RecordHeader
}

// Poll waits for records of the client's topics.
func (c *Client) Poll(ctx context.Context) ([]Record, error) {
	fetches := c.kafka.PollFetches(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out []Record
	fetches.EachRecord(func(r *kgo.Record) {
		out = append(out, Record{r.Topic, r.Partition, r.Offset, r.Timestamp, r.Key, r.Value, r.Headers})
	})
	return out, nil
}

// Close disconnects.
func (c *Client) Close() { c.kafka.Close() }

// RegisterSchema registers an Avro schema and gives its id.
func (s *Stack) RegisterSchema(ctx context.Context, subject, text string) (int, error) {
	cl, err := s.schemas()
	if err != nil {
		return 0, err
	}
	ss, err := cl.CreateSchema(ctx, subject, sr.Schema{Schema: text})
	if err != nil {
		return 0, fmt.Errorf("embedded stack: register %s: %w", subject, err)
	}
	return ss.ID, nil
}

// Schema is the text of a registered schema.
func (s *Stack) Schema(ctx context.Context, id int) (string, error) {
	cl, err := s.schemas()
	if err != nil {
		return "", err
	}
	text, err := cl.SchemaByID(ctx, id)
	if err != nil {
		return "", fmt.Errorf("embedded stack: schema %d: %w", id, err)
	}
	return text.Schema, nil
}

func (s *Stack) schemas() (*sr.Client, error) {
	return sr.NewClient(sr.URLs(s.RegistryURL()), sr.HTTPClient(s.HTTPClient()))
}
