package e2e

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/internal/reference"
)

// The topics of configs/demo, in the order of their partition counts below.
const (
	contacts   = "crm.contacts"
	events     = "marketing.events"
	consents   = "consent.events"
	auditTopic = "consent.audit"
	quarantine = "consent.quarantine"
	policies   = "consent.policies"
)

var purposes = []string{"analytics", "marketing.email", "service"}

// world is one test's servers, topics, files and processes.
type world struct {
	t        *testing.T
	kafka    []string
	registry string
	redis    string
	prefix   string // of topics and group: "e2e-1a2b3c4d."
	dir      string
	binary   string
	seed     uint64
	cl       *kgo.Client
	adm      *kadm.Client
	sr       *sr.Client
	wiring   string
	ref      *reference.World
	keys     *reference.Keys
	cluster  string
	ids      map[string]kadm.TopicID
	parts    map[string]int32
	logs     []string // of all processes
	answers  registered
}

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "consentstream-e2e")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "consentstream")
	text, err := exec.Command("go", "build", "-o", out, "../../cmd/consentstream").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, text)
	}
	return out, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if out, err := build(); err == nil && os.Getenv("CONSENTSTREAM_KAFKA") != "" {
		_ = os.RemoveAll(filepath.Dir(out))
	}
	os.Exit(code)
}

// newWorld makes topics, schemas, keys and the configuration.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, kafka: []string{server(t, "CONSENTSTREAM_KAFKA")}, registry: server(t, "CONSENTSTREAM_REGISTRY"), redis: server(t, "CONSENTSTREAM_REDIS"),
		dir: t.TempDir(), seed: seed(t), answers: newRegistered()}
	w.prefix = fmt.Sprintf("e2e-%08x.", rand.Uint32())
	var err error
	if w.binary, err = build(); err != nil {
		t.Fatal(err)
	}
	w.cl = w.client()
	w.adm = kadm.NewClient(w.cl)
	if w.sr, err = sr.NewClient(sr.URLs(w.registry)); err != nil {
		t.Fatal(err)
	}
	w.createTopics()
	w.configure()
	w.reference()
	return w
}

func server(t *testing.T, name string) string {
	v := os.Getenv(name)
	if v != "" {
		return v
	}
	if os.Getenv("CONSENTSTREAM_REQUIRE_SERVERS") != "" {
		t.Fatalf("%s is not set", name)
	}
	t.Skipf("%s is not set: this test needs real servers (make servers)", name)
	return ""
}

func seed(t *testing.T) uint64 {
	n := rand.Uint64()
	if s := os.Getenv("CONSENTSTREAM_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CONSENTSTREAM_SEED=%d", n)
	return n
}

func (w *world) client(opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(w.kafka...)}, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// topic is the name of a demo topic in this world.
func (w *world) topic(name string) string { return w.prefix + name }

func (w *world) createTopics() {
	value := func(s string) *string { return &s }
	forever := map[string]*string{"cleanup.policy": value("delete"), "retention.ms": value("-1"), "retention.bytes": value("-1")}
	logged := map[string]*string{"cleanup.policy": value("delete"), "retention.ms": value("-1"), "retention.bytes": value("-1"), "message.timestamp.type": value("LogAppendTime")}
	limited := map[string]*string{"cleanup.policy": value("delete"), "retention.ms": value(strconv.FormatInt(90*86_400_000, 10))}
	w.parts = map[string]int32{}
	create := func(name string, partitions int32, configs map[string]*string) {
		w.parts[w.topic(name)] = partitions
		r, err := w.adm.CreateTopic(w.t.Context(), partitions, 1, configs, w.topic(name))
		if err = errors.Join(err, r.Err); err != nil {
			w.t.Fatal(err)
		}
	}
	create(contacts, 4, forever)
	create(events, 4, forever)
	create(consents, 3, logged)
	create(auditTopic, 3, logged)
	create(quarantine, 2, forever)
	create(policies, 1, map[string]*string{"cleanup.policy": value("compact")})
	for i, in := range []string{contacts, events} {
		create(in+".analytics", 3, limited)
		create(in+".marketing.email", int32(4+i), forever)
		create(in+".service", 2, forever)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for name := range w.parts {
			_, _ = w.adm.DeleteTopics(ctx, name)
		}
	})
	for !w.learnTopics() {
		time.Sleep(20 * time.Millisecond)
	}
}

// learnTopics asks for the topics' ids; false while a broker does not know all.
func (w *world) learnTopics() bool {
	meta, err := w.adm.Metadata(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.cluster, w.ids = meta.Cluster, map[string]kadm.TopicID{}
	for name, n := range w.parts {
		if w.ids[name] = meta.Topics[name].ID; len(meta.Topics[name].Partitions) != int(n) {
			return false
		}
	}
	return true
}

// more are fields besides the demo's: a gate, a mask and a truncation in plain
// JSON, in an object and in an array.
const more = `      properties.coupon: user.behavior
      profile: user.behavior
      profile.last_name: user.name.last
      profile.needs: user.health_and_medical
      profile.home.postal_code: user.contact.address.postal_code
      profile.home.street: user.contact.address.street
      items[*].sku: user.behavior
      items[*].name: user.name.last
      items[*].needs: user.health_and_medical
      visits[*]: user.contact.address.postal_code
      needs.allergy: user.health_and_medical
      agent.name: user.device
`

// configure copies configs/demo and gives it this world's names. What it
// replaces must stand there exactly once: a configuration with another shape
// must not be tested under the wrong names.
func (w *world) configure() {
	w.replace("crm.contacts.avsc", nil)
	w.replace("policy.yaml", [][2]string{
		// A special category without `requires:` is redacted, whatever it says.
		{"      user.device.ip_address: drop\n", "      user.device.ip_address: drop\n      user.health_and_medical: keep\n"},
	})
	w.wiring = w.replace("consentstream.yaml", [][2]string{
		{"- topic: " + contacts, "- topic: " + w.topic(contacts)},
		{"- topic: " + events, "- topic: " + w.topic(events)},
		{"{topic: " + consents + "}", "{topic: " + w.topic(consents) + "}"},
		{"{topic: " + auditTopic + "}", "{topic: " + w.topic(auditTopic) + "}"},
		{"{topic: " + quarantine + "}", "{topic: " + w.topic(quarantine) + "}"},
		{"{topic: " + policies + "}", "{topic: " + w.topic(policies) + "}"},
		{"consumer_group: consentstream", "consumer_group: " + w.group() + "\n  workers: 2"},
		{"      properties.coupon: user.behavior\n", more},
	})
	ring, err := keys.Generate(crand.Reader, "e2e")
	if err = errors.Join(err, ring.Write(w.keyFile())); err != nil {
		w.t.Fatal(err)
	}
}

// replace copies a file of configs/demo with words replaced.
func (w *world) replace(name string, words [][2]string) string {
	text := w.read(filepath.Join("../../configs/demo", name))
	for _, r := range words {
		if n := strings.Count(text, r[0]); n != 1 {
			w.t.Fatalf("configs/demo/%s: %q stands there %d times", name, r[0], n)
		}
		text = strings.Replace(text, r[0], r[1], 1)
	}
	return w.write(name, text)
}

func (w *world) keyFile() string { return filepath.Join(w.dir, "keys.json") }

func (w *world) group() string { return strings.TrimSuffix(w.prefix, ".") }

func (w *world) read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func (w *world) write(name, text string) string {
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// reference reads the same files as the product, by other code.
func (w *world) reference() {
	policy, err := reference.ReadPolicy([]byte(w.read(filepath.Join(w.dir, "policy.yaml"))))
	if err != nil {
		w.t.Fatal(err)
	}
	streams, err := reference.ReadStreams([]byte(w.read(w.wiring)))
	if err != nil {
		w.t.Fatal(err)
	}
	if w.keys, err = reference.ReadKeys([]byte(w.read(w.keyFile()))); err != nil {
		w.t.Fatal(err)
	}
	w.ref = &reference.World{Policy: policy, Streams: streams, Keys: w.keys, Schema: w.schema, OutputID: w.outputID,
		Partitions: func(topic string) int32 { return w.parts[topic] }}
}

// process is one run of `consentstream run`.
type process struct {
	w      *world
	cmd    *exec.Cmd
	health string
	log    string
	done   chan error
}

// start starts an instance. Its log goes to a file of its own.
func (w *world) start(instance int) *process {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	health := l.Addr().String()
	_ = l.Close()
	p := &process{w: w, health: health, done: make(chan error, 1), log: filepath.Join(w.dir, fmt.Sprintf("run-%d.log", len(w.logs)))}
	w.logs = append(w.logs, p.log)
	log, err := os.Create(p.log)
	if err != nil {
		w.t.Fatal(err)
	}
	p.cmd = exec.Command(w.binary, "run", "-c", w.wiring, "--log-level", "debug")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(os.Environ(), "CONSENTSTREAM_INSTANCE="+strconv.Itoa(instance), "CONSENTSTREAM_KEYS="+w.keyFile(),
		"CONSENTSTREAM_HEALTH="+health)
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	_ = log.Close()
	go func() { p.done <- p.cmd.Wait() }()
	w.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil {
		p.fail("it ended before it was killed: " + err.Error())
	}
	if err := <-p.done; err == nil {
		p.fail("it ended by itself")
	}
}

// stop ends it in good order.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		if err != nil {
			p.fail("SIGTERM: " + err.Error())
		}
	case <-time.After(20 * time.Second):
		p.fail("it does not stop within 20 s")
	}
}

// check fails the test when the process has ended.
func (p *process) check() {
	select {
	case err := <-p.done:
		p.fail(fmt.Sprintf("it ended: %v", err))
	default:
	}
}

func (p *process) fail(what string) {
	p.w.t.Helper()
	text, _ := os.ReadFile(p.log)
	p.w.t.Fatalf("%s\n%s", what, tail(string(text), 3000))
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// pages fetches what the process shows of itself; "" where it does not answer.
func (p *process) pages() string {
	var all strings.Builder
	for _, page := range []string{"/metrics", "/readyz", "/healthz"} {
		r, err := (&http.Client{Timeout: 5 * time.Second}).Get("http://" + p.health + page)
		if err != nil {
			continue
		}
		_, _ = io.Copy(&all, r.Body)
		_ = r.Body.Close()
	}
	return all.String()
}

func (w *world) ctx(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(w.t.Context(), d)
}

func digest(b []byte) string { return hex.EncodeToString(b) }
