package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

// States answers for consent states. It is safe for concurrent use.
type States interface {
	// Read fills into.Rows and into.Cut by index of tags and into.ServerTime.
	// Every error is a hold; an error never leaves a usable answer.
	Read(ctx context.Context, tags []consent.Tag, into *consent.Snapshot) error
	// Check refuses a store that could lose rows without saying so; the error
	// text has the command that fixes it. From then on Read answers with the
	// states of this topic and of no other: a topic that was deleted and created
	// again has another history.
	Check(ctx context.Context, topic ConsentTopic) error
}

// Registry is the schema registry. It is safe for concurrent use.
type Registry interface {
	// Schema gives the text of a writer schema of a format. An error that wraps
	// schemas.ErrUnknownSchema means that the registry has no such id; every
	// other error means that it could not be asked.
	Schema(ctx context.Context, id int, format schemas.Format) (string, error)
	// Register registers text under subject and gives its id. An error that
	// wraps schemas.ErrIncompatible means that the registry refuses the text.
	Register(ctx context.Context, subject, text string, format schemas.Format) (int, error)
}

// StartAt says where a lane without a commit starts.
type StartAt uint8

// The start modes of a stream. Latest counts only while neither the group has a
// commit for any partition of the topic (DESIGN section 6, step 5) nor the audit a
// record of a topic of that name.
const (
	Earliest StartAt = iota
	Latest
)

// Topics are the topics besides inputs and outputs.
type Topics struct {
	Consent    string // the authority on consent; read only its end offsets here
	Audit      string
	Quarantine string
	Policies   string
}

// Limits bound one transaction. The zero value means the defaults.
type Limits struct {
	Records  int           // default 10,000
	Bytes    int           // keys, values and headers; default 8 MB
	Unpacked int           // of a record batch; twice that is what batches and records of a client may come to before they are gathered; default 64 MB
	Wait     time.Duration // default 100 ms; also the pace of offsets-only transactions
	FenceAge time.Duration // an older fence is not committed; default 5 s
	Watchdog time.Duration // scan, decide, splice; default 30 s
	Txn      time.Duration // transaction timeout at the broker; default 10 s
	Session  time.Duration // group session timeout; default 10 s, heartbeats 3 s
	End      time.Duration // patience for the end of a transaction; default 60 s
	Look     time.Duration // how long a worker's lanes wait while the audit is looked through for those without a commit; default 2 s
	Scan     time.Duration // the same for `start: latest`; also how long a command waits for the audit's next record; default 30 s
	Settings time.Duration // pace of reading the topics' max.message.bytes; default 60 s
}

// Config is what an Enforcer is made of.
type Config struct {
	SeedBrokers []string
	// KafkaOpts are appended to the options of every client: TLS, SASL, dialer.
	KafkaOpts   []kgo.Opt
	Group       string
	Instance    string // stable ordinal of this process in the group
	Workers     int    // 0: one per CPU
	Compression string // none, lz4, snappy (default), zstd
	Topics      Topics
	// Engine is compiled once per worker; its Partitions is set here.
	Engine engine.Config
	// Start is by input topic; Earliest where a topic is missing.
	Start    map[string]StartAt
	States   States
	Registry Registry // may be nil where no stream is Avro and audit values need no schema id: then AuditSchemaID counts
	Keys     *keys.Ring
	Now      func() time.Time // nil: time.Now
	Log      zerolog.Logger
	Metrics  prometheus.Registerer // nil: not registered anywhere
	// ConfigFile and RegistryURL are for the commands that are printed as remedies.
	// ConfigFile "": the one that commands read by themselves.
	ConfigFile  string
	RegistryURL string
	// Version of the program, for the audit context.
	Version string
	Limits  Limits
	// Exit ends the process when the watchdog finds a stuck worker; nil: os.Exit(70).
	Exit func(reason string)
}

// withDefaults checks cfg and fills in what it leaves open.
func (cfg Config) withDefaults() (Config, error) {
	var missing []string
	need := func(ok bool, name string) {
		if !ok {
			missing = append(missing, name)
		}
	}
	need(len(cfg.SeedBrokers) > 0, "SeedBrokers")
	need(cfg.Group != "", "Group")
	need(cfg.Instance != "", "Instance")
	need(cfg.Topics.Consent != "" && cfg.Topics.Audit != "" && cfg.Topics.Quarantine != "" && cfg.Topics.Policies != "", "Topics")
	need(len(cfg.Engine.Streams) > 0, "Engine.Streams")
	need(cfg.Engine.Policy != nil, "Engine.Policy")
	need(cfg.States != nil, "States")
	need(cfg.Registry != nil, "Registry")
	need(cfg.Keys != nil, "Keys")
	if len(missing) > 0 {
		return cfg, fmt.Errorf("pipeline: missing in Config: %s", strings.Join(missing, ", "))
	}
	if _, ok := codecs[cfg.Compression]; !ok {
		return cfg, errors.New("pipeline: Compression must be none, lz4, snappy or zstd")
	}
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.NumCPU()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Exit == nil {
		cfg.Exit = func(string) { os.Exit(70) }
	}
	cfg.Engine.Keys = cfg.Keys
	cfg.Limits = cfg.Limits.withDefaults()
	return cfg, nil
}

func (l Limits) withDefaults() Limits {
	set := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if l.Records <= 0 {
		l.Records = 10_000
	}
	if l.Bytes <= 0 {
		l.Bytes = 8 << 20
	}
	if l.Unpacked <= 0 {
		l.Unpacked = unpackedBytes
	}
	set(&l.Wait, 100*time.Millisecond)
	set(&l.FenceAge, 5*time.Second)
	set(&l.Watchdog, 30*time.Second)
	set(&l.Txn, 10*time.Second)
	set(&l.Session, 10*time.Second)
	set(&l.End, 60*time.Second)
	set(&l.Look, 2*time.Second)
	set(&l.Scan, 30*time.Second)
	set(&l.Settings, 60*time.Second)
	return l
}

// codecs are the compression settings. Snappy measured best for transactions
// of many small records (DESIGN section 8).
var codecs = map[string]kgo.CompressionCodec{
	"":       kgo.SnappyCompression(),
	"snappy": kgo.SnappyCompression(),
	"none":   kgo.NoCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

// memberID is the transactional id and static group instance id of a worker.
func (cfg *Config) memberID(worker int) string {
	return fmt.Sprintf("%s.%s.%d", cfg.Group, cfg.Instance, worker)
}

// inputs lists the input topics, in the wiring's order.
func (cfg *Config) inputs() []string {
	topics := make([]string, len(cfg.Engine.Streams))
	for i := range cfg.Engine.Streams {
		topics[i] = cfg.Engine.Streams[i].Topic
	}
	return topics
}

// outputs lists the purposes' topics.
func (cfg *Config) outputs() []string {
	var topics []string
	for i := range cfg.Engine.Streams {
		for _, p := range cfg.Engine.Streams[i].Purposes {
			topics = append(topics, cfg.Engine.Streams[i].Topic+"."+p)
		}
	}
	return topics
}

// written lists every topic that the enforcer produces to.
func (cfg *Config) written() []string {
	return append(cfg.outputs(), cfg.Topics.Audit, cfg.Topics.Quarantine, cfg.Topics.Policies)
}

// milliseconds is the clock in the unit of audit records.
func (cfg *Config) milliseconds() int64 { return cfg.Now().UnixMilli() }

// sleep waits for d or for ctx; it reports whether d passed.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
