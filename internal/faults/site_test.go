package faults

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/consentstream/consentstream/consent/redisstore"
	"github.com/consentstream/consentstream/internal/devstack"
	"github.com/consentstream/consentstream/internal/keys"
)

func TestMain(m *testing.M) {
	redisstore.Quiet() // as cmd does: its text lines are not ours
	if file := os.Getenv(asDaemon); file != "" {
		os.Exit(runAsDaemon(file))
	}
	os.Exit(m.Run())
}

// site is one deployment: servers, topics of its own and a configuration
// directory. Daemons are started on it.
type site struct {
	*ledger
	t        *testing.T
	name     string // prefix of all topics, and the group
	kafka    string
	registry string
	redis    string
	stack    *devstack.Stack // nil: real servers
	cl       *kgo.Client
	adm      *kadm.Client
	rdb      *redis.Client
	dir      string
	patience time.Duration // how long anything may take
	writer   int           // schema id of contacts
	ids      map[string][16]byte
}

// each runs a test on the embedded stack and, where they are there, on real
// servers.
func each(t *testing.T, test func(*site)) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(embedded(t))
	})
	t.Run("servers", func(t *testing.T) { test(servers(t)) })
}

// embedded is a site on an embedded stack of its own.
func embedded(t *testing.T) *site {
	t.Helper()
	stack, err := devstack.Start(context.Background(), devstack.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Close)
	s := &site{t: t, name: "site", stack: stack, kafka: stack.KafkaAddr(), registry: stack.RegistryURL(), redis: stack.RedisAddr(), patience: 15 * time.Second}
	s.open()
	return s
}

// turn is whose turn it is on the real servers, which are one set for all.
var turn sync.Mutex

// servers is a site on real servers; it waits for its turn.
func servers(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, kafka: os.Getenv("CONSENTSTREAM_KAFKA"), registry: os.Getenv("CONSENTSTREAM_REGISTRY"), redis: os.Getenv("CONSENTSTREAM_REDIS_SCRATCH"), patience: 90 * time.Second}
	if s.kafka == "" || s.registry == "" || s.redis == "" || os.Getenv("CONSENTSTREAM_RUNDIR") == "" {
		if os.Getenv("CONSENTSTREAM_REQUIRE_SERVERS") != "" {
			t.Fatal("CONSENTSTREAM_KAFKA, _REGISTRY, _REDIS_SCRATCH or _RUNDIR is not set (internal/servers/servers.sh start)")
		}
		t.Skip("no real servers: CONSENTSTREAM_KAFKA, _REGISTRY, _REDIS_SCRATCH and _RUNDIR are not set (internal/servers/servers.sh start)")
	}
	turn.Lock()
	t.Cleanup(turn.Unlock)
	var random [4]byte
	_, _ = rand.Read(random[:])
	s.name = "f" + hex.EncodeToString(random[:])
	s.open()
	return s
}

// server calls internal/servers/servers.sh: "kill-scratch", "restart-kafka" …
func (s *site) server(action string) {
	s.t.Helper()
	if out, err := exec.Command("../servers/servers.sh", action).CombinedOutput(); err != nil {
		s.t.Fatalf("servers.sh %s: %v\n%s", action, err, out)
	}
}

// open connects, makes topics, keys and the configuration directory.
func (s *site) open() {
	s.t.Helper()
	s.dir, s.ids = s.t.TempDir(), map[string][16]byte{}
	s.cl = s.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(1<<20))
	s.adm = kadm.NewClient(s.cl)
	s.rdb = redis.NewClient(&redis.Options{Addr: s.redis, Protocol: 2, DisableIdentity: true})
	s.t.Cleanup(func() { _ = s.rdb.Close() })
	s.must(s.rdb.FlushAll(s.t.Context()).Err())
	for _, t := range s.topics() {
		s.create(t)
	}
	if s.stack == nil {
		s.t.Cleanup(s.removeTopics)
	}
	s.eventually("the topics can be seen", s.seesTopics)
	s.newKeys("keys.json")
	s.write("contacts.avsc", contactsSchema)
	s.writer = s.register(s.topic("contacts")+"-value", contactsSchema)
	s.ledger = newLedger(s)
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// client is a Kafka client of the test's own.
func (s *site) client(opts ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.kafka), kgo.MetadataMinAge(100 * time.Millisecond), kgo.FetchMaxWait(100 * time.Millisecond)}, opts...)...)
	s.must(err)
	s.t.Cleanup(cl.Close)
	return cl
}

// topic is the full name of a topic of this site.
func (s *site) topic(name string) string { return s.name + "." + name }

// topics are all topics of the site, with the settings that `run` insists on.
func (s *site) topics() []devstack.Topic {
	var topics []devstack.Topic
	for _, t := range devstack.Infrastructure(2) {
		t.Name = s.topic(t.Name)
		topics = append(topics, t)
	}
	for _, in := range []string{"events", "contacts"} {
		for _, suffix := range []string{"", ".analytics", ".service"} {
			topics = append(topics, devstack.Topic{Name: s.topic(in + suffix), Partitions: 2})
		}
	}
	return topics
}

func (s *site) create(t devstack.Topic) {
	s.t.Helper()
	configs := map[string]*string{}
	for k, v := range t.Configs {
		configs[k] = &v
	}
	created, err := s.adm.CreateTopic(s.t.Context(), t.Partitions, 1, configs, t.Name)
	s.must(err)
	s.ids[t.Name] = created.ID
}

// seesTopics reports whether the broker's metadata has the topics of the site, which
// on a busy machine is after it said that they were created.
func (s *site) seesTopics() bool {
	seen, err := s.adm.ListTopics(s.t.Context(), slices.Collect(maps.Keys(s.ids))...)
	return err == nil && seen.Error() == nil && len(seen) == len(s.ids)
}

func (s *site) removeTopics() {
	var names []string
	for _, t := range s.topics() {
		names = append(names, t.Name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, _ = s.adm.DeleteTopics(ctx, names...)
}

// newKeys writes a key file of its own roots.
func (s *site) newKeys(name string) {
	s.t.Helper()
	ring, err := keys.Generate(rand.Reader, "test")
	s.must(err)
	s.must(ring.Write(filepath.Join(s.dir, name)))
}

// rotatedKeys writes the site's key file with a further epoch, which is the active one.
func (s *site) rotatedKeys(name string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "keys.json"))
	s.must(err)
	var file map[string]any
	s.must(json.Unmarshal(text, &file))
	epochs := file["epochs"].([]any)
	epochs[0].(map[string]any)["state"] = "verify"
	root := make([]byte, 32)
	_, _ = rand.Read(root)
	file["epochs"] = append(epochs, map[string]any{"epoch": 2, "state": "active", "root": base64.StdEncoding.EncodeToString(root)})
	text, err = json.Marshal(file)
	s.must(err)
	s.write(name, string(text))
}

// ring is the site's key file.
func (s *site) ring() *keys.Ring {
	s.t.Helper()
	ring, err := keys.Load(filepath.Join(s.dir, "keys.json"))
	s.must(err)
	return ring
}

func (s *site) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	s.must(os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (s *site) register(subject, text string) int {
	s.t.Helper()
	cl, err := sr.NewClient(sr.URLs(s.registry))
	s.must(err)
	ss, err := cl.CreateSchema(s.t.Context(), subject, sr.Schema{Schema: text})
	s.must(err)
	return ss.ID
}

// settings are what daemons of one site may differ in.
type settings struct {
	instance string
	revision int
	keys     string
	health   string
}

// config writes policy and wiring for one daemon and gives the wiring's path.
func (s *site) config(c settings) string {
	s.t.Helper()
	policy := fmt.Sprintf("policy-%d.yaml", c.revision)
	s.write(policy, fmt.Sprintf(policyText, c.revision))
	text := strings.NewReplacer("{SITE}", s.name, "{KAFKA}", s.kafka, "{REGISTRY}", s.registry, "{REDIS}", s.redis,
		"{POLICY}", policy, "{INSTANCE}", c.instance, "{KEYS}", c.keys, "{HEALTH}", c.health).Replace(wiringText)
	return s.write("consentstream-"+c.instance+"-"+c.health[len("127.0.0.1:"):]+".yaml", text)
}

const policyText = `version: 1
revision: %d
namespaces:
  crm: {normalize: trim}
purposes:
  analytics:
    data_use: analytics.reporting
    legal_basis: consent
    time: processing_only
    treat: {user.unique_id: pseudonymize, user.behavior: keep, user.contact: redact, system.operations: keep}
  service:
    data_use: essential.service
    legal_basis: contract
    time: processing_only
    treat: {user: keep, user.behavior: drop, system.operations: keep}
`

const wiringText = `version: 1
policy: {POLICY}
instance: "{INSTANCE}"
kafka: {seed_brokers: ["{KAFKA}"], consumer_group: "{SITE}", workers: 1}
schema_registry: {url: "{REGISTRY}"}
redis: {addrs: ["{REDIS}"], buckets: 4}
keys: {file: {KEYS}}
consent: {topic: {SITE}.consent.events}
audit: {topic: {SITE}.consent.audit}
quarantine: {topic: {SITE}.consent.quarantine}
policies: {topic: {SITE}.consent.policies}
health: {listen: "{HEALTH}"}
streams:
  - topic: {SITE}.events
    format: json
    purposes: [analytics, service]
    subjects: {person: {namespace: crm, path: id}}
    key: {subject: person}
    headers: {trace: system.operations}
    fields:
      id: user.unique_id
      n: system.operations
      action: user.behavior
      email: user.contact.email
      tags[*]: user.behavior
  - topic: {SITE}.contacts
    format: avro
    schema: contacts.avsc
    purposes: [analytics, service]
    subjects: {person: {namespace: crm, path: id}}
    key: {subject: person}
    fields:
      id: user.unique_id
      n: system.operations
      email: user.contact.email
      tags[*]: user.behavior
`

const contactsSchema = `{"type": "record", "name": "Contact", "namespace": "crm", "fields": [
  {"name": "id", "type": "string"},
  {"name": "n", "type": "long"},
  {"name": "email", "type": ["null", "string"], "default": null},
  {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
  {"name": "notes", "type": ["null", "string"], "default": null}]}`
