package eval_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/eval"
	"github.com/consentstream/consentstream/internal/keys"
)

// at is the clock of these tests.
const at = "2026-11-22T12:00:00Z"

// demoConfig is the shipped demo configuration under a fresh key.
func demoConfig(t *testing.T) (engine.Config, *configs.Config) {
	t.Helper()
	cfg, findings := configs.Load("../../configs/demo/consentstream.yaml", func(string) (string, bool) { return "", false }, os.ReadFile)
	if cfg == nil {
		t.Fatalf("the demo configuration does not load: %v", findings)
	}
	ring, err := keys.Generate(rand.Reader, "test")
	if err != nil {
		t.Fatal(err)
	}
	return engine.Config{Policy: cfg.Policy, Streams: cfg.Wiring(), Keys: ring}, cfg
}

func evaluate(t *testing.T, cfg eval.Config) ([]map[string]any, eval.Summary) {
	t.Helper()
	now, _ := time.Parse(time.RFC3339, at)
	cfg.At, cfg.Group = now.UnixMilli(), "test"
	var out bytes.Buffer
	cfg.Out = &out
	sum, err := eval.Run(context.Background(), cfg)
	if err != nil {
		t.Fatalf("Run: %v\n%s", err, out.String())
	}
	var lines []map[string]any
	for s := bufio.NewScanner(&out); s.Scan(); {
		var m map[string]any
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			t.Fatalf("line is not JSON: %v\n%s", err, s.Text())
		}
		lines = append(lines, m)
	}
	return lines, sum
}

const grant = `{"id":"c1","subject":{"namespace":"crm","value":"42"},"action":"grant","purposes":["analytics","marketing.email"],"consent_type":"explicit","recipients":["acme-mailer"],"asserted_at":"2026-11-01T10:00:00Z","notice":{"id":"signup","version":"3"},"evidence":{"method":"web_form","source":"shop"}}`

const click = `{"event_id":"e1","event":"click","occurred_at":"2026-11-20T10:00:00Z","contact_id":"42","email":"ada@example.org","campaign":"autumn","ip":"192.0.2.17","properties":{"product":"boots","search":"bad knees"}}`

func TestJSONStream(t *testing.T) {
	cfg, _ := demoConfig(t)
	lines, sum := evaluate(t, eval.Config{Engine: cfg, Topic: "marketing.events",
		Consents: strings.NewReader(`{"timestamp":"2026-11-01T10:00:01Z","value":` + grant + "}\n"),
		In:       strings.NewReader(click + "\n" + strings.Replace(click, `"42"`, `"43"`, 1) + "\n" + `{"email":"a","EMAIL":"b"}` + "\n")})
	if sum.Records != 3 || sum.Outputs != 4 || sum.Quarantined != 1 {
		t.Errorf("summary is %+v", sum)
	}
	for _, l := range lines {
		b, _ := json.Marshal(l)
		t.Logf("%s", b)
	}
}

func TestAvroStream(t *testing.T) {
	cfg, loaded := demoConfig(t)
	contact := `{"event_id":"6f1c2d30-0000-4000-8000-000000000001","event_type":"updated","occurred_at":1795082400000,"contact_id":"42","email":{"string":"ada@example.org"},"phone":null,"first_name":{"string":"Ada"},"last_name":{"string":"Byron"},"birth_date":{"int.date":5822},"language":"en","company":null,"job_title":null,"address":{"crm.Address":{"street":"12 St James","city":"London","postal_code":"SW1Y 4JH","country":"GB"}},"tags":["vip"],"marketing_score":{"double":0.5},"newsletter_frequency":"weekly","lifetime_value":null,"accessibility_needs":{"string":"hearing loop"},"last_login_ip":null,"notes":{"string":"secret"}}`
	lines, sum := evaluate(t, eval.Config{Engine: cfg, Topic: "crm.contacts", Schema: loaded.Streams[0].Wiring.Schema,
		Consents: strings.NewReader(grant + "\n"),
		In:       strings.NewReader(contact + "\n")})
	if sum.Records != 1 {
		t.Errorf("summary is %+v", sum)
	}
	for _, l := range lines {
		b, _ := json.Marshal(l)
		t.Logf("%s", b)
	}
}
