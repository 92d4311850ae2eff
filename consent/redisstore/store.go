package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/consentstream/consentstream/consent"
)

// Config is what Open needs. The zero values of Timeout and Epoch.Buckets
// choose the defaults; everything else must be given.
type Config struct {
	Addr     string // host:port of the primary
	Username string
	Password string
	DB       int
	TLS      *tls.Config // nil: plaintext (configs decides whether that is allowed)
	// Dial replaces the network dialer; nil for TCP. Tests use it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	Epoch Epoch
	// Keys are the row MAC keys by key epoch (use "row" of the key file);
	// ActiveKey is the one that new rows are sealed under.
	Keys      map[uint32][32]byte
	ActiveKey uint32

	// Timeout bounds a read, connecting included; 0: 200 ms. A write may take
	// ten times as long, since it is behind the scenes and large.
	Timeout time.Duration
	// CacheBytes is how much the rows that were read may take in memory, so that
	// they are not fetched again while their bucket stays as it is; 0: 32 MiB,
	// below 0: nothing.
	CacheBytes int
}

const (
	defaultTimeout = 200 * time.Millisecond
	writeFactor    = 10
	maxNames       = 4096
	connLife       = 30 * time.Second // give or take a third
	defaultCache   = 32 << 20
)

// Store reads and writes the state of one Epoch. It is safe for concurrent use
// and starts no goroutine of its own.
type Store struct {
	epoch   Epoch
	prefix  string
	timeout time.Duration
	cli     string // for Hold.Mend
	db      string // as INFO keyspace calls it: db0
	rdb     *redis.Client
	cache   *rowCache
	scratch sync.Pool    // of *scratch
	evicted atomic.Int64 // evicted_keys at the first Check, plus 1; 0: not looked yet
}

// Open checks cfg and makes a client. It does not connect: an unreachable Redis
// is a Hold of the first call, not a reason to refuse to start.
func Open(cfg Config) (*Store, error) {
	if cfg.Epoch.Buckets == 0 {
		cfg.Epoch.Buckets = DefaultBuckets
	}
	if err := cfg.Epoch.validate(); err != nil {
		return nil, err
	}
	if _, ok := cfg.Keys[cfg.ActiveKey]; !ok {
		return nil, errors.New("redisstore: no key for the active key epoch")
	}
	for _, k := range cfg.Keys {
		if k == [32]byte{} {
			return nil, errors.New("redisstore: empty key")
		}
	}
	if cfg.Addr == "" && cfg.Dial == nil {
		return nil, errors.New("redisstore: no address")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = defaultCache
	}
	opt := options(&cfg)
	if opt.Dialer == nil {
		opt.Dialer = redis.NewDialer(opt)
	}
	opt.Dialer = bounded(opt.Dialer)
	s := &Store{epoch: cfg.Epoch, prefix: cfg.Epoch.prefix(), timeout: cfg.Timeout, cli: redisCLI(&cfg), db: "db" + strconv.Itoa(cfg.DB), rdb: redis.NewClient(opt), cache: newCache(cfg.CacheBytes, cfg.Epoch.Buckets)}
	hash := cfg.Epoch.Hash()
	s.scratch.New = func() any { return &scratch{seal: newSealer(&cfg, hash), intern: consent.NewInterner(maxNames).String} }
	return s, nil
}

// options are go-redis's, with every default that could answer late, twice or
// from elsewhere set explicitly.
func options(cfg *Config) *redis.Options {
	return &redis.Options{
		Addr: cfg.Addr, Username: cfg.Username, Password: cfg.Password, DB: cfg.DB,
		TLSConfig: cfg.TLS, Dialer: cfg.Dial,
		// RESP2: the replies are walked raw (reply), and RESP3 would let the
		// server push things between them.
		Protocol:                 2,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		DisableIdentity:          true,
		// The caller's deadline is the deadline, and our caller retries with
		// fresh fences: a silent second try only hides a slow Redis.
		ContextTimeoutEnabled: true,
		MaxRetries:            -1,
		DialTimeout:           cfg.Timeout,
		DialerRetries:         1,
		ReadTimeout:           writeFactor * cfg.Timeout,
		WriteTimeout:          writeFactor * cfg.Timeout,
		PoolTimeout:           cfg.Timeout,
		PoolSize:              16,
		// Connections are replaced when they are taken out of the pool, busy ones too, so
		// that after a failover behind one address nothing talks to the old primary for
		// long: it may live on, demoted or cut off, and closes none. Each at its own time,
		// since all at once would be a pause.
		ConnMaxLifetime:       connLife,
		ConnMaxLifetimeJitter: connLife / 3,
	}
}

// Quiet silences go-redis's own logger, which is global to the process and writes
// lines in its own format to standard error. What it would say comes back as Holds.
// It is for main functions, before the first Open.
func Quiet() { logging.Disable() }

// Epoch is the epoch that the store was opened for.
func (s *Store) Epoch() Epoch { return s.epoch }

// Key is the Redis key of a bucket, for people and for `mend` commands.
func (s *Store) Key(bucket int) string { return bucketKey(s.prefix, bucket) }

// Bucket tells where a tag lies.
func (s *Store) Bucket(t *consent.Tag) int { return bucketOf(t, s.epoch.Buckets) }

// Close closes the connections. Calls under way fail as unreachable.
func (s *Store) Close() error { return s.rdb.Close() }

// scratch is what one call works with; pooled, so that steady reads allocate
// nothing per tag of their own.
type scratch struct {
	seal   *sealer
	intern func([]byte) string // purpose ids and the like
	args   []any
	order  []int32 // indexes of the tags, by bucket
	start  []int32 // start of each bucket in order, plus the end
	asked  []asked
	rows   [][]byte // of the bucket at work
}
