package configs

import (
	"bytes"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
)

// noEnv is an environment without variables.
func noEnv(string) (string, bool) { return "", false }

// readDemo reads the embedded demo files.
func readDemo(path string) ([]byte, error) { return Demo.ReadFile(path) }

func loadDemo(t *testing.T) (*Config, []Finding) {
	t.Helper()
	c, findings := Load("demo/consentstream.yaml", noEnv, readDemo)
	if c == nil {
		t.Fatalf("%v", findings)
	}
	return c, findings
}

// TestDemoWarnings: lint says what the comments of the demo say that it does,
// and nothing else.
func TestDemoWarnings(t *testing.T) {
	_, findings := loadDemo(t)
	for _, f := range findings {
		if !strings.Contains(f.Message, "notes is withheld") && !strings.Contains(f.Message, "can join them by it") && !strings.Contains(f.Message, "new fields of address will go out") {
			t.Errorf("%s", f)
		}
	}
	if len(findings) == 0 || !strings.Contains(findings[0].Message, "notes is withheld") {
		t.Errorf("lint does not say that notes is withheld: %v", findings)
	}
}

// TestDemoCompiles builds the engine that run and demo build.
func TestDemoCompiles(t *testing.T) {
	c, _ := loadDemo(t)
	ring, err := keys.Generate(bytes.NewReader(bytes.Repeat([]byte{7}, 256)), "test")
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Config{Policy: c.Policy, Streams: c.Wiring(), Keys: ring, Partitions: func(string) int32 { return 1 }})
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"crm.contacts", "marketing.events"} {
		if e.Stream(topic) == nil {
			t.Errorf("the engine has no stream %s", topic)
		}
	}
}

// TestDemoTreatments holds the comments of demo/policy.yaml to what the policy
// does.
func TestDemoTreatments(t *testing.T) {
	c, _ := loadDemo(t)
	for _, want := range []struct{ purpose, category, treatment string }{
		{"analytics", "user.unique_id", "pseudonymize"},
		{"analytics", "user.name.first", ""},
		{"analytics", "user.demographic.date_of_birth", ""},
		{"analytics", "user.contact.email", "redact"},
		{"analytics", "user.contact.address", "redact"},
		{"analytics", "user.contact.address.country", "keep"},
		{"analytics", "user.contact.address.postal_code", "truncate"},
		{"analytics", "user.device.ip_address", "drop"},
		{"analytics", "user.device", "constant"},
		{"analytics", "system", ""},
		{"marketing.email", "user.contact.email", "keep"},
		{"marketing.email", "user.contact.phone_number", ""},
		{"marketing.email", "user.name.last", "mask"},
		{"marketing.email", "user.health_and_medical", "keep"},
		{"service", "user.contact.phone_number", "keep"},
		{"service", "user.behavior", "drop"},
		{"service", "user.health_and_medical", ""},
		{"service", "system", "keep"},
	} {
		got := ""
		for _, p := range c.Policy.Purposes {
			if r, ok := p.Rule(want.category); ok && p.ID == want.purpose {
				got = r.Treatment.Name
			}
		}
		if got != want.treatment {
			t.Errorf("%s does %q with %s, want %q", want.purpose, got, want.category, want.treatment)
		}
	}
}
