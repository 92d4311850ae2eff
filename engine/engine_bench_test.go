package engine_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/linkedin/goavro/v2"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
	"github.com/consentstream/consentstream/schemas"
)

const (
	day    = 86_400_000
	nowMs  = 1_795_262_400_000 // 2026-11-21T12:00:00Z
	people = 1000
)

// demo is the shipped demo configuration under a fixed key, and who consented:
// seven of ten to both consent purposes.
type demo struct {
	cfg    engine.Config
	engine *engine.Engine
	schema string
	states *consent.Memory
}

func openDemo(t testing.TB) *demo {
	t.Helper()
	cfg, findings := configs.Load("../configs/demo/consentstream.yaml", func(string) (string, bool) { return "", false }, os.ReadFile)
	if cfg == nil {
		t.Fatalf("the demo configuration does not load: %v", findings)
	}
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{7}, 256)), "test")
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{cfg: engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: ring}, schema: cfg.Streams[0].Wiring.Schema}
	if d.engine, err = engine.New(d.cfg); err != nil {
		t.Fatal(err)
	}
	tagger, err := engine.Tagger(cfg.Policy, ring)
	if err != nil {
		t.Fatal(err)
	}
	d.states = consent.NewMemory(tagger)
	d.consents(t)
	d.install(t)
	return d
}

func (d *demo) consents(t testing.TB) {
	ns := engine.Namespaces(d.cfg.Policy)
	for i := range people {
		if i%10 >= 7 {
			continue
		}
		text := fmt.Sprintf(`{"id":"c%d","subject":{"namespace":"crm","value":"%d"},"action":"grant","purposes":["analytics","marketing.email"],"consent_type":"explicit","recipients":["acme-mailer"],"asserted_at":"2026-01-01T10:00:00Z","notice":{"id":"signup","version":"3"},"evidence":{"method":"web_form","source":"shop"}}`, i, 100000+i)
		ev := consent.ParseUnkeyed([]byte(text), consent.Position{Offset: int64(i)}, nowMs-30*day, ns)
		if ev.Malformed != consent.NoFault {
			t.Fatalf("consent event: %s", ev.Malformed)
		}
		d.states.Fold(&ev)
	}
}

func (d *demo) install(t testing.TB) {
	s := d.engine.Stream("crm.contacts")
	plan, err := s.Plan(1, d.schema)
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.Outputs() {
		plan.Outputs()[i].SchemaID = 10 + i
	}
	s.Install(1, plan)
}

// decide takes a batch through both steps.
func (d *demo) decide(t testing.TB, b *engine.Batch, snap *consent.Snapshot, each func(*engine.Item) error) {
	d.states.Read(b.Tags(), snap)
	m := engine.Moment{Now: nowMs, Fence: d.states.Next()}
	if err := b.Decide(snap, m, each); err != nil {
		t.Fatal(err)
	}
}

func jsonEvent(i int) []byte {
	return []byte(fmt.Sprintf(`{"event_id":"evt-%08d","event":"email_click","occurred_at":"2026-11-20T10:00:00.123Z","contact_id":"%d","email":"customer.%d@mail.example.org","campaign":"autumn-boots-2026","url":"https://shop.example.com/products/boots-11?utm_source=newsletter&utm_medium=email&utm_campaign=autumn","ip":"192.0.2.%d","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36","session":"0d8f5a1e-51c7-4a0b-9f0e-%012d","properties":{"product":"boots-11","price":89.90,"coupon":"AUTUMN10","search":"waterproof boots for bad knees","position":3,"list":"recommended"},"device":{"type":"mobile","os":"Android 15","screen":"1080x2400"},"referrer":"https://mail.example.org/inbox/","consent_banner":"v7","ab_tests":["hero-b","price-a"]}`,
		i, 100000+i%people, i%people, i%250, i))
}

func avroContact(t testing.TB, codec *goavro.Codec, i int) []byte {
	text := fmt.Sprintf(`{"event_id":"6f1c2d30-0000-4000-8000-%012d","event_type":"updated","occurred_at":1795082400000,"contact_id":"%d","email":{"string":"customer.%d@mail.example.org"},"phone":{"string":"+44 20 7946 0018"},"first_name":{"string":"Augusta Ada"},"last_name":{"string":"Lovelace"},"birth_date":{"int.date":5822},"language":"en","company":{"string":"Analytical Engines Ltd"},"job_title":{"string":"Principal Engineer"},"address":{"crm.Address":{"street":"12 St James's Square","city":"London","postal_code":"SW1Y 4JH","country":"GB"}},"tags":["vip","newsletter","b2b"],"marketing_score":{"double":0.5},"newsletter_frequency":"weekly","lifetime_value":null,"accessibility_needs":{"string":"hearing loop"},"last_login_ip":{"string":"192.0.2.17"},"notes":{"string":"called about the delivery; wants to be called back next week, prefers the mobile number and speaks French; see ticket 4711 for the details of the complaint"}}`,
		i, 100000+i%people, i)
	native, _, err := codec.NativeFromTextual([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	value, err := codec.BinaryFromNative(schemas.AppendFrame(nil, 1), native)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

const batchSize = 1000

func (d *demo) inputs(t testing.TB, topic string) []engine.Input {
	codec, err := goavro.NewCodec(d.schema)
	if err != nil {
		t.Fatal(err)
	}
	in := make([]engine.Input, batchSize)
	for i := range in {
		in[i] = engine.Input{Offset: int64(i), Timestamp: nowMs - day, Key: []byte(fmt.Sprint(100000 + i%people))}
		if topic == "crm.contacts" {
			in[i].Value = avroContact(t, codec, i)
		} else {
			in[i].Value = jsonEvent(i)
		}
	}
	return in
}

// BenchmarkRecord is everything that happens to a record between poll and
// produce: scan, tag, decide three purposes, splice, commit and chain.
func BenchmarkRecord(b *testing.B) {
	for _, topic := range []string{"crm.contacts", "marketing.events"} {
		b.Run(topic, func(b *testing.B) {
			d := openDemo(b)
			in := d.inputs(b, topic)
			_, run := d.steady(b, topic, in)
			b.SetBytes(int64(len(in[0].Value)))
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += batchSize {
				run()
			}
		})
	}
}

// steady gives a batch and what happens to it between two polls.
func (d *demo) steady(t testing.TB, topic string, in []engine.Input) (*engine.Batch, func()) {
	lane := &engine.Lane{Lane: audit.Lane{Cluster: "c", Group: "g", Topic: topic}, Stream: d.engine.Stream(topic)}
	batch, snap := d.engine.NewBatch(), &consent.Snapshot{}
	var leaf []byte
	return batch, func() {
		batch.Reset()
		for i := range in {
			batch.Add(lane, in[i])
		}
		chain := audit.NewChain(lane.Lane, 0)
		d.decide(t, batch, snap, func(it *engine.Item) (err error) {
			if it.State != engine.StateDecided {
				t.Fatal(it.State, it.Fault)
			}
			leaf, err = chain.Append(leaf[:0], &it.Audit)
			return err
		})
	}
}
