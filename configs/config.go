package configs

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
)

// DefaultFile is the wiring that commands read where none is named.
const DefaultFile = "consentstream.yaml"

// Config is both files, checked. It holds no default that Load did not set, so
// the zero Config starts nothing.
type Config struct {
	File string // path of the wiring, as it was given
	// Instance is the stable ordinal of this process: the transactional id is
	// group.instance.worker.
	Instance       string
	Kafka          Kafka
	SchemaRegistry SchemaRegistry
	Redis          Redis
	KeysFile       string // path of the key file
	Topics         Topics
	Health         Health
	Policy         *policy.Policy
	Streams        []Stream
}

// Kafka is how the brokers are reached.
type Kafka struct {
	SeedBrokers   []string // host:port
	ConsumerGroup string
	Compression   string // none, lz4, snappy, zstd
	Workers       int    // 0: one per CPU
	Insecure      bool   // plaintext beyond loopback is wanted
}

// SchemaRegistry is how the registry is reached: for Avro topics and the audit.
type SchemaRegistry struct {
	URL      string
	Username string
	Password Secret
	Insecure bool
}

// Redis is how the state store is reached.
type Redis struct {
	Addrs    []string // host:port
	Username string
	Password Secret
	DB       int
	Buckets  int // hashes that the state is spread over
	Insecure bool
}

// Topics are the topics that are not streams.
type Topics struct {
	Consent    string
	Audit      string
	Quarantine string
	Policies   string
}

// Health is where the read-only health endpoint listens.
type Health struct {
	Listen   string // host:port
	Insecure bool
}

// Stream is one input topic: its wiring, and where a group without commits
// starts to read it.
type Stream struct {
	Wiring     engine.Stream
	SchemaFile string // where Wiring.Schema is from, "" for none
	Start      Start
}

// Start is where reading starts while the group has no commit. The zero Start
// is Earliest.
type Start uint8

// The starts.
const (
	Earliest Start = iota
	Latest
)

// Wiring lists the streams as engine.Config takes them.
func (c *Config) Wiring() []engine.Stream {
	out := make([]engine.Stream, len(c.Streams))
	for i, s := range c.Streams {
		out[i] = s.Wiring
	}
	return out
}

// Load reads the wiring file at path and the policy and schemas that it names.
// env looks up environment variables (os.LookupEnv), read reads files
// (ReadFile). The Config is nil exactly when a finding is an Error; findings
// are in the files' order, the wiring's first.
func Load(path string, env func(string) (string, bool), read func(string) ([]byte, error)) (*Config, []Finding) {
	l := &loader{env: env, read: read, places: map[string]place{}}
	c := l.wiringFile(path)
	findings := l.finish()
	if HasErrors(findings) {
		return nil, findings
	}
	return c, findings
}

// ReadFile reads a file for Load and LoadPolicy: one byte more than they take, at
// most, so that they say that it is too large however large it is; a device has
// no end.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return text, errors.Join(err, f.Close())
}

// finish cuts the excerpts and sorts.
func (l *loader) finish() []Finding {
	out := make([]Finding, len(l.findings))
	for i, f := range l.findings {
		out[i] = f.Finding
		out[i].Excerpt, out[i].Caret = f.src.excerpt(place{f.src, f.Line, f.Col})
	}
	return sortFindings(out, l.files)
}

// wiringFile reads the wiring and what it names.
func (l *loader) wiringFile(path string) *Config {
	root, ok := l.open(path, filepath.Dir(path), nil)
	if !ok {
		return nil
	}
	root.name = "the wiring"
	l.places[""] = root.place()
	o, ok := l.object(root, wiringSection)
	if !ok {
		return nil
	}
	l.version(o)
	c := &Config{File: path, Instance: o.matching("instance", "0", instanceName, "letters, digits, _ and -, at most 64")}
	l.settings(o, c)
	pol := l.policyOf(o)
	c.Policy = pol.policy
	streams := l.streams(o, pol)
	l.checkTopics(o, streams, c.Topics)
	l.unused(pol, streams)
	l.compile(pol, streams)
	for _, s := range streams {
		c.Streams = append(c.Streams, s.Stream)
	}
	return c
}

// version checks that the file is of this version.
func (l *loader) version(o object) { o.integer("version", 1, 1, 1) }
