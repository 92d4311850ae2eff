package devstack

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

func start(t *testing.T, topics ...Topic) *Stack {
	t.Helper()
	s, err := Start(t.Context(), Config{Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, s *Stack, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(s.KafkaAddr()), kgo.Dialer(s.DialKafka))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// What `run` asks of DescribeConfigs must be answered as Kafka answers it.
func TestDescribeConfigsReportsWhatTopicsWereMadeWith(t *testing.T) {
	s := start(t, append(Infrastructure(3), Topic{Name: "plain"})...)
	adm := kadm.NewClient(client(t, s))
	tests := []struct{ topic, name, value string }{
		{ConsentTopic, "message.timestamp.type", "LogAppendTime"},
		{ConsentTopic, "retention.ms", "-1"},
		{ConsentTopic, "retention.bytes", "-1"},
		{ConsentTopic, "cleanup.policy", "delete"},
		{AuditTopic, "message.timestamp.type", "LogAppendTime"},
		{PoliciesTopic, "cleanup.policy", "compact"},
		{"plain", "message.timestamp.type", "CreateTime"},
		{"plain", "retention.ms", "604800000"},
		{"plain", "max.message.bytes", "1048588"},
	}
	for _, tt := range tests {
		rcs, err := adm.DescribeTopicConfigs(t.Context(), tt.topic)
		if err != nil {
			t.Fatal(err)
		}
		if got := value(rcs[0], tt.name); got != tt.value {
			t.Errorf("%s %s = %q, want %q", tt.topic, tt.name, got, tt.value)
		}
	}
	details, err := adm.ListTopics(t.Context(), ConsentTopic, PoliciesTopic)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(details[ConsentTopic].Partitions); n != 3 {
		t.Errorf("%s has %d partitions, want 3", ConsentTopic, n)
	}
	if n := len(details[PoliciesTopic].Partitions); n != 1 {
		t.Errorf("%s has %d partitions, want 1", PoliciesTopic, n)
	}
}

func value(rc kadm.ResourceConfig, name string) string {
	for _, c := range rc.Configs {
		if c.Key == name {
			return c.MaybeValue()
		}
	}
	return "(not answered)"
}

// A producer's clock must not get into a log-append-time topic, with every
// codec, idempotent and transactional, and whoever made the topic.
func TestLogAppendTimeIsHonoured(t *testing.T) {
	s := start(t, Topic{Name: "append", Configs: map[string]string{"message.timestamp.type": "LogAppendTime"}}, Topic{Name: "create"})
	adm := kadm.NewClient(client(t, s))
	yes := "LogAppendTime"
	if _, err := adm.CreateTopic(t.Context(), 1, 1, map[string]*string{"message.timestamp.type": &yes}, "late"); err != nil {
		t.Fatal(err)
	}
	asked := time.UnixMilli(1_000_000_000_000) // 2001
	for _, topic := range []string{"append", "late", "create"} {
		for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
			cl := client(t, s, kgo.ProducerBatchCompression(codec), kgo.TransactionalID(topic))
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			rec := &kgo.Record{Topic: topic, Value: []byte(strings.Repeat("v", 500)), Timestamp: asked}
			if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			cl.Close()
		}
		for _, r := range read(t, s, topic, 4) {
			if brokers := time.Since(r.Timestamp) < time.Minute; brokers != (topic != "create") {
				t.Errorf("%s: timestamp %v", topic, r.Timestamp)
			}
		}
	}
}

func read(t *testing.T, s *Stack, topic string, n int) []*kgo.Record {
	t.Helper()
	cl := client(t, s, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n {
		fs := cl.PollFetches(ctx)
		if err := fs.Err0(); err != nil {
			t.Fatalf("read %s: %d of %d records: %v", topic, len(records), n, err)
		}
		records = append(records, fs.Records()...)
	}
	return records
}

func TestStampLeavesWhatIsNotAWholeBatch(t *testing.T) {
	for _, batch := range [][]byte{nil, make([]byte, 60), make([]byte, 61), append(make([]byte, 16), append([]byte{2}, make([]byte, 60)...)...)} {
		before := string(batch)
		stamp(batch, 1)
		if string(batch) != before {
			t.Errorf("a batch of %d bytes with a wrong checksum was changed", len(batch))
		}
	}
}

func TestTooLargeBatchIsRefused(t *testing.T) {
	s := start(t, Topic{Name: "small", Configs: map[string]string{"max.message.bytes": "2000"}})
	cl := client(t, s, kgo.ProducerBatchCompression(kgo.NoCompression()))
	err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "small", Value: make([]byte, 5000)}).FirstErr()
	if !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("5,000 bytes on max.message.bytes=2000: %v, want MESSAGE_TOO_LARGE", err)
	}
}

func TestRedisLooksLikeAPrimaryThatNeverEvicts(t *testing.T) {
	s := start(t)
	rdb := redis.NewClient(&redis.Options{Addr: s.RedisAddr(), Dialer: s.DialRedis})
	defer rdb.Close()
	info := rdb.Info(t.Context(), "memory", "replication").Val()
	for _, want := range []string{"role:master\r\n", "maxmemory_policy:noeviction\r\n", "maxmemory:0\r\n", "db0:keys="} {
		if !strings.Contains(info, want) {
			t.Errorf("INFO has no %q", want)
		}
	}
	if role := rdb.Do(t.Context(), "ROLE").Val(); role == nil || role.([]any)[0] != "master" {
		t.Errorf("ROLE = %v", role)
	}
	if got := rdb.ConfigGet(t.Context(), "maxmemory-policy").Val()["maxmemory-policy"]; got != "noeviction" {
		t.Errorf("maxmemory-policy = %q", got)
	}
	if err := rdb.HSet(t.Context(), "h", "f", "v").Err(); err != nil {
		t.Error(err)
	}
}

func TestStackEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Config{Topics: Infrastructure(1)})
	if err != nil {
		t.Fatal(err)
	}
	addr := s.RedisAddr()
	conn, err := s.DialRedis(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	cancel()
	s.Close() // waits for the closing that cancel began
	if conn, err := s.DialRedis(t.Context(), "tcp", addr); err == nil {
		conn.Close()
		t.Error("Redis still listens after the context ended")
	}
}

func TestStartSaysWhichServerFailed(t *testing.T) {
	s := start(t)
	_, err := Start(t.Context(), Config{Topics: []Topic{{Name: "a.b"}, {Name: "a_b"}}, RedisPort: port(t, s.RedisAddr())})
	if err == nil || !strings.Contains(err.Error(), "a_b") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v names neither the topic nor the port", err)
	}
}

// Two simulated hours, with a transaction, a schema and a key that expires,
// take no real time: nothing in a virtual stack waits outside the bubble.
func TestVirtualStackRunsInABubble(t *testing.T) {
	real := time.Now()
	synctest.Test(t, func(t *testing.T) {
		s, err := StartVirtual(Config{Topics: Infrastructure(1)})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		rdb := redis.NewClient(&redis.Options{Addr: s.RedisAddr(), Dialer: s.DialRedis})
		rdb.Set(t.Context(), "k", "v", time.Hour)
		registry, err := sr.NewClient(sr.URLs(s.RegistryURL()), sr.HTTPClient(s.HTTPClient()))
		if err != nil {
			t.Fatal(err)
		}
		if schema, err := registry.CreateSchema(t.Context(), "s", sr.Schema{Schema: `"string"`}); err != nil || schema.ID != 1 {
			t.Errorf("schema %d, %v", schema.ID, err)
		}
		cl := client(t, s)
		time.Sleep(2 * time.Hour)
		rec := &kgo.Record{Topic: ConsentTopic, Value: []byte("v"), Timestamp: time.UnixMilli(1)}
		if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Error(err)
		}
		if since := read(t, s, ConsentTopic, 1)[0].Timestamp.Sub(began); since < 2*time.Hour || since > 3*time.Hour {
			t.Errorf("the record was stamped %v after the start, want about 2 h", since)
		}
		if n := rdb.Exists(t.Context(), "k").Val(); n != 0 {
			t.Error("the key outlived its hour")
		}
		rdb.Close()
		cl.Close()
		s.Close()
	})
	if took := time.Since(real); took > 30*time.Second {
		t.Errorf("took %v of real time", took)
	}
}

func port(t *testing.T, addr string) int {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
