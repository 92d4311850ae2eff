// Package demo shows what consentstream does, in one process, with no Docker and no
// network: an embedded Kafka, schema registry and Redis, the shipped demo
// configuration, and the same pipeline that `run` runs. The people are made up; what
// happens to their data is not.
package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/linkedin/goavro/v2"
	"golang.org/x/sync/errgroup"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/internal/devstack"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

// Config is one run of the demo.
type Config struct {
	Out    io.Writer
	Colour bool
	Width  int // of the terminal; 0: there is none, and lines may be long
	// Keep goes on until ctx ends, with the addresses printed.
	Keep bool
	// Files are the shipped configuration (configs.Demo).
	Files fs.FS
	// Run runs the daemon on a configuration file until its context ends.
	Run func(ctx context.Context, configFile string) error
}

// errDone ends the daemon when the story is told.
var errDone = errors.New("the demo is over")

// Run tells the story. It returns nil at its end, and when ctx ends; what cannot
// be written to Out ends it with that error.
func Run(ctx context.Context, cfg Config) error {
	err := run(ctx, cfg)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func run(ctx context.Context, cfg Config) error {
	stack, err := devstack.Start(ctx, devstack.Config{Topics: topics()})
	if err != nil {
		return err
	}
	defer stack.Close()
	dir, err := os.MkdirTemp("", "consentstream-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	t := &teller{cfg: cfg, out: &page{to: cfg.Out}, st: style{cfg.Colour}, stack: stack, file: filepath.Join(dir, "consentstream.yaml")}
	if err := t.prepare(ctx, dir); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return cfg.Run(gctx, t.file) })
	g.Go(func() error {
		defer t.watch.client.Close()
		if err := t.tell(gctx); err != nil {
			return err
		}
		return errDone
	})
	if err = g.Wait(); errors.Is(err, errDone) {
		return nil
	}
	return err
}

func topics() []devstack.Topic {
	out := devstack.Infrastructure(2)
	for _, in := range []string{contactsTopic, eventsTopic} {
		out = append(out, devstack.Topic{Name: in, Partitions: 2})
		for _, p := range purposes {
			out = append(out, devstack.Topic{Name: in + "." + p, Partitions: 2, Configs: map[string]string{"retention.ms": "7776000000"}})
		}
	}
	return out
}

// teller tells one story.
type teller struct {
	cfg      Config
	out      *page
	st       style
	stack    *devstack.Stack
	watch    *watcher
	file     string
	health   string // address
	schema   string
	schemaID int
	codec    *goavro.Codec
	order    []string // paths of the contact schema
	records  int
}

// prepare writes the configuration with the stack's addresses, and a key file.
func (t *teller) prepare(ctx context.Context, dir string) error {
	var err error
	if t.health, err = freeAddress(ctx); err != nil {
		return err
	}
	addresses := strings.NewReplacer(
		"${CONSENTSTREAM_KAFKA:-localhost:9092}", t.stack.KafkaAddr(),
		"${CONSENTSTREAM_REGISTRY:-http://localhost:8081}", t.stack.RegistryURL(),
		"${CONSENTSTREAM_REDIS:-localhost:6379}", t.stack.RedisAddr(),
		"${CONSENTSTREAM_HEALTH:-127.0.0.1:9464}", t.health,
		"${CONSENTSTREAM_KEYS:-keys.json}", "keys.json",
	)
	for _, name := range []string{"consentstream.yaml", "policy.yaml", "crm.contacts.avsc"} {
		text, err := fs.ReadFile(t.cfg.Files, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(addresses.Replace(string(text))), 0o600); err != nil {
			return err
		}
		if name == "crm.contacts.avsc" {
			t.schema = string(text)
		}
	}
	ring, err := keys.Generate(rand.Reader, "demo")
	if err != nil {
		return err
	}
	if err := ring.Write(filepath.Join(dir, "keys.json")); err != nil {
		return err
	}
	layout, err := schemas.NewAvro(t.schema, nil)
	if err != nil {
		return err
	}
	for _, n := range layout.Nodes() {
		t.order = append(t.order, n.Path)
	}
	if t.codec, err = goavro.NewCodec(t.schema); err != nil {
		return err
	}
	if t.schemaID, err = t.stack.RegisterSchema(ctx, contactsTopic+"-value", t.schema); err != nil {
		return err
	}
	t.watch, err = newWatcher(t.stack)
	return err
}

// freeAddress is a loopback address that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// tell tells the scenes in their order.
func (t *teller) tell(ctx context.Context) error {
	for _, scene := range []func(context.Context) error{t.opening, t.contacts, t.click, t.withdrawal, t.broken, t.ending} {
		if err := scene(ctx); err != nil {
			return err
		}
		if t.out.err != nil {
			return t.out.err
		}
	}
	return nil
}

func (t *teller) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

func (t *teller) heading(text string) {
	t.say("\n%s", t.st.bold("── "+text))
}

func (t *teller) opening(ctx context.Context) error {
	t.say("%s", t.st.bold("consentstream demo: an embedded Kafka, schema registry and Redis."))
	t.say("Everything is in this process, and nothing leaves it.")
	t.say("Two streams, crm.contacts (Avro) and marketing.events (JSON); three purposes:")
	t.say("  analytics        by consent   ids become pseudonyms, contact data is withheld")
	t.say("  marketing.email  by consent   e-mail and name; health data by explicit consent")
	t.say("  service          by contract  what is needed to deliver the order")
	t.heading("What people decided")
	now := time.Now().Add(-time.Second)
	t.say("  Ada    (crm:42) ticked both boxes      → grant analytics, marketing.email")
	t.say("  Grace  (crm:43) wants no e-mail        → grant analytics")
	t.say("  Alan   (crm:44) was never asked        → nothing")
	if err := t.consent(ctx, ada, ada.grant(now, "consent-ada-1", "analytics", "marketing.email")); err != nil {
		return err
	}
	return t.consent(ctx, grace, grace.grant(now, "consent-grace-1", "analytics"))
}

func (t *teller) consent(ctx context.Context, p person, event []byte) error {
	_, _, err := t.watch.client.Produce(ctx, consentTopic, []byte("crm:"+p.id), event)
	return err
}

func (t *teller) contacts(ctx context.Context) error {
	t.heading("A contact of Ada's, from the CRM (Avro): what each purpose gets")
	if err := t.contact(ctx, ada, true); err != nil {
		return err
	}
	t.heading("The same of Grace and Alan: who did not say yes is not there")
	for _, p := range []person{grace, alan} {
		if err := t.contact(ctx, p, false); err != nil {
			return err
		}
	}
	return nil
}

// contact sends a person's CRM record through and shows what comes out.
func (t *teller) contact(ctx context.Context, p person, table bool) error {
	t.records++
	text := p.contact(time.Now(), t.records)
	native, _, err := t.codec.NativeFromTextual(text)
	if err != nil {
		return err
	}
	value, err := t.codec.BinaryFromNative(schemas.AppendFrame(nil, t.schemaID), native)
	if err != nil {
		return err
	}
	return t.send(ctx, contactsTopic, p, value, text, table)
}

func (t *teller) click(ctx context.Context) error {
	t.heading("A click of Ada's, from the marketing tool (JSON)")
	return t.event(ctx, ada, true)
}

func (t *teller) event(ctx context.Context, p person, table bool) error {
	t.records++
	text := p.click(time.Now(), t.records)
	return t.send(ctx, eventsTopic, p, text, text, table)
}

// send produces a record, waits for what came of it, and shows it.
func (t *teller) send(ctx context.Context, topic string, p person, value, text []byte, table bool) error {
	partition, offset, err := t.watch.client.Produce(ctx, topic, []byte(p.id), value)
	if err != nil {
		return err
	}
	s, err := t.watch.await(ctx, topic, partition, offset)
	if err != nil {
		return err
	}
	if table {
		if err := t.table(text, s); err != nil {
			return err
		}
	}
	t.audit(p.first, &s.audit)
	return nil
}

func (t *teller) table(text []byte, s *seen) error {
	input, err := flatten(text)
	if err != nil {
		return err
	}
	if s.audit.Lane.Topic == contactsTopic {
		t.sort(input)
	}
	cols := []column{{title: "INPUT", note: s.audit.Lane.Topic, fields: input}}
	for _, d := range s.audit.Decisions {
		cols = append(cols, column{title: d.Purpose, note: verdict(&d), fields: s.outputs[d.Purpose], denied: !d.Permit})
	}
	t.say("")
	writeTable(t.out, t.st, cmp.Or(t.cfg.Width, 120), cols)
	return nil
}

// sort puts a contact's fields in the order of its schema.
func (t *teller) sort(fields []field) {
	slices.SortStableFunc(fields, func(a, b field) int {
		return cmp.Compare(slices.Index(t.order, a.path), slices.Index(t.order, b.path))
	})
}

func verdict(d *audit.Decision) string {
	if d.Permit {
		return "permit " + d.Reason
	}
	return "DENY " + d.Reason
}

// audit shows an audit record on one line.
func (t *teller) audit(name string, a *audit.Record) {
	parts := make([]string, len(a.Decisions))
	for i := range a.Decisions {
		parts[i] = a.Decisions[i].Purpose + " " + verdict(&a.Decisions[i])
	}
	head := fmt.Sprintf("%-5s %s-%d offset %d, leaf %d, chained to %x…:", name, a.Lane.Topic, a.Lane.Partition, a.Offset, a.Index, a.Prev[:4])
	// A table is as wide as the terminal; this line is wider than most are.
	between, first := "; ", " "
	if line := len("audit: ") + utf8.RuneCountInString(head+first+strings.Join(parts, between)); t.cfg.Width > 0 && line > t.cfg.Width {
		between, first = ";\n         ", "\n         "
	}
	t.say("%s %s%s%s", t.st.dim("audit:"), head, first, strings.Join(parts, between))
}

func (t *teller) withdrawal(ctx context.Context) error {
	t.heading("Ada withdraws marketing.email: the next record shows it")
	if err := t.consent(ctx, ada, ada.withdraw("consent-ada-2", "marketing.email")); err != nil {
		return err
	}
	if err := t.contact(ctx, ada, true); err != nil {
		return err
	}
	return t.event(ctx, ada, false)
}

func (t *teller) broken(ctx context.Context) error {
	t.heading("Broken records go to quarantine, without their payload; the stream goes on")
	good := ada.click(time.Now(), t.records)
	for _, b := range []struct {
		what  string
		topic string
		value []byte
	}{
		{`a contact cut off half-way`, contactsTopic, append(schemas.AppendFrame(nil, t.schemaID), "\x48half a rec"...)},
		{`an event with email, EMAIL`, eventsTopic, []byte(strings.Replace(string(good), `"email"`, `"EMAIL":"x","email"`, 1))},
	} {
		partition, offset, err := t.watch.client.Produce(ctx, b.topic, []byte(ada.id), b.value)
		if err != nil {
			return err
		}
		s, err := t.watch.await(ctx, b.topic, partition, offset)
		if err != nil {
			return err
		}
		t.say("  %-26s → quarantine: %s %s %s", b.what, s.audit.Reason, s.audit.Detail, s.audit.Path)
	}
	return t.event(ctx, grace, false)
}

func (t *teller) ending(ctx context.Context) error {
	t.heading("What to type next")
	if t.cfg.Keep {
		return t.keep(ctx)
	}
	t.say(`  consentstream demo --keep
      the same, and it stays: kcat and "consent record" work against it
  consentstream keys new -o keys.json
      a key file of your own
  consentstream lint -c configs/demo/consentstream.yaml
      the configuration that you just saw, with comments that teach
  consentstream eval --help
      decide your own records from a file, offline`)
	return nil
}

// keep says where everything is and sends a record every two seconds.
func (t *teller) keep(ctx context.Context) error {
	t.say(`  Kafka %s   registry %s   Redis %s
  health http://%[5]s/status
  configuration %[4]s

  consentstream consent record -c %[4]s --subject crm:43 --action withdraw --purpose analytics
  consentstream consent show -c %[4]s crm:43
  kcat -b %[1]s -C -t marketing.events.analytics -o beginning
  kcat -b %[1]s -C -t consent.quarantine -o beginning

A click of Grace's follows every two seconds. Ctrl-C ends.`, t.stack.KafkaAddr(), t.stack.RegistryURL(), t.stack.RedisAddr(), t.file, t.health)
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := cmp.Or(t.event(ctx, grace, false), t.out.err); err != nil {
				return err
			}
		}
	}
}
