package configs

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// fullEnv and readFull serve testdata/good/full.*, which use every word.
func fullEnv(name string) (string, bool) {
	v, ok := map[string]string{"WORKERS": "2", "REDIS_PASSWORD": canary}[name]
	return v, ok
}

func readFull(path string) ([]byte, error) {
	switch path {
	case "/run/registry":
		return []byte(canary + "-registry\n"), nil
	case "consentstream.yaml":
		return os.ReadFile("testdata/good/full.wiring.yaml")
	case "policy.yaml":
		return os.ReadFile("testdata/good/full.policy.yaml")
	}
	return os.ReadFile("testdata/" + path)
}

func loadFull(t *testing.T) *Config {
	t.Helper()
	c, findings := Load("consentstream.yaml", fullEnv, readFull)
	if c == nil {
		t.Fatalf("%v", findings)
	}
	return c
}

// TestFullUsesEveryWord keeps testdata/good/full.* complete, so that no word is
// accepted and never read.
func TestFullUsesEveryWord(t *testing.T) {
	var text string
	for _, f := range []string{"policy", "wiring"} {
		b, err := os.ReadFile("testdata/good/full." + f + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	for _, s := range sections() {
		for _, name := range s.names() {
			if !strings.Contains(text, name+":") && s.name != "key" {
				t.Errorf("%s of %s is in no file", name, s.name)
			}
		}
	}
}

func TestFullConnections(t *testing.T) {
	c := loadFull(t)
	want := Config{
		File:     "consentstream.yaml",
		Instance: "3",
		Kafka: Kafka{SeedBrokers: []string{"kafka.internal:9092", "127.0.0.1:9092"}, ConsumerGroup: "c.g-1",
			Compression: "zstd", Workers: 2, Insecure: true},
		SchemaRegistry: SchemaRegistry{URL: "https://registry.internal/apis", Username: "reader", Password: NewSecret(canary + "-registry")},
		Redis: Redis{Addrs: []string{"[::1]:6379"}, Username: "app", Password: NewSecret(canary), DB: 2,
			Buckets: 128},
		KeysFile: "/run/keys.json",
		Topics:   Topics{"c.events", "c.audit", "c.quarantine", "c.policies"},
		Health:   Health{"0.0.0.0:9464", true},
	}
	got := *c
	got.Policy, got.Streams = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%#v", got)
	}
}

func TestFullStreams(t *testing.T) {
	c := loadFull(t)
	w := c.Streams[0].Wiring
	want := engine.Stream{
		Topic: "events", Format: schemas.JSON, Purposes: []string{"marketing", "service"},
		Subjects:  []engine.SubjectRule{{Name: "customer", Namespace: "mail", Paths: []string{"who.email"}}},
		EventTime: engine.TimeRule{Path: "at", Unit: "us"},
		Key:       engine.KeyRule{Category: "user.unique_id"},
		Headers:   []engine.HeaderRule{{Name: "a", Category: "user.behavior"}, {Name: "b", Category: "system"}},
		Fields: []engine.FieldRule{{Path: "who.email", Category: "user.contact.email"},
			{Path: "what", Category: "user.behavior", Namespace: "crm"},
			{Path: "payload", Nested: &engine.NestedRule{Fields: []engine.FieldRule{{Path: "mail", Category: "user.contact.email"},
				{Path: "more", Nested: &engine.NestedRule{Encoding: schemas.Base64, Fields: []engine.FieldRule{{Path: "addr", Category: "user.device.ip_address"}}}}}}},
			{Path: "token", Nested: &engine.NestedRule{Encoding: schemas.Base64URL, Fields: []engine.FieldRule{{Path: "sub", Category: "user.unique_id", Namespace: "crm"}}}}},
		RecordBytes: 6000, SplitElements: 1000,
	}
	if !reflect.DeepEqual(w, want) || c.Streams[0].Start != Latest {
		t.Errorf("%+v, start %d", w, c.Streams[0].Start)
	}
	a := c.Streams[1]
	if a.Wiring.Format != schemas.Avro || a.Wiring.Schema == "" || a.Wiring.RecordBytes != 5000 || a.Start != Earliest ||
		a.Wiring.Key != (engine.KeyRule{}) || a.Wiring.EventTime != (engine.TimeRule{Path: "at"}) {
		t.Errorf("%+v", a)
	}
	split := engine.Stream{
		Topic: "batches", Format: schemas.JSON, Purposes: []string{"service"}, Split: "events[*]",
		Subjects:  []engine.SubjectRule{{Name: "to", Namespace: "mail", Paths: []string{"to", "old.to"}}, {Name: "from", Namespace: "crm", Key: true, Header: "sender"}},
		EventTime: engine.TimeRule{Header: "ce_time"},
		Key:       engine.KeyRule{Subject: "from", Category: "user.unique_id"},
		Headers:   []engine.HeaderRule{{Name: "sender", Category: "user.unique_id", Subject: "from"}},
		Fields: []engine.FieldRule{{Path: "to", Category: "user.contact.email"},
			{Path: "text", Category: "user.content", Subject: "to"}},
		RecordBytes: 5000, SplitElements: 10,
	}
	if got := c.Streams[2].Wiring; !reflect.DeepEqual(got, split) {
		t.Errorf("%+v", got)
	}
	if wiring := c.Wiring(); len(wiring) != 3 || wiring[1].Topic != "contacts" {
		t.Errorf("Wiring gives %+v", wiring)
	}
}

func TestFullPolicy(t *testing.T) {
	c := loadFull(t)
	rule := func(category, name string, explicit bool, params ...policy.Param) policy.Rule {
		return policy.Rule{Category: category, Treatment: policy.Treatment{Name: name, Params: params}, RequiresExplicit: explicit}
	}
	want := policy.Purpose{
		ID: "marketing", DataUse: "marketing.communications.email", Basis: policy.LegitimateInterests,
		Retention: 12 * 3_600_000, DirectMarketing: true, Recipients: []string{"alpha", "zeta"},
		NoticeID: "signup", NoticeMinVersion: "3", SurvivesRestriction: true,
		MaxAge: 730 * 86_400_000, MaxInactivity: 30 * 60_000, ProcessingOnly: true,
		Treat: []policy.Rule{
			rule("user.unique_id", "pseudonymize", true),
			rule("user.name", "mask", false, policy.Param{Name: "char", Value: "·"},
				policy.Param{Name: "keep_first", Value: int64(1)}, policy.Param{Name: "keep_last", Value: int64(2)}),
			rule("user.contact.email", "constant", false, policy.Param{Name: "value", Value: "none"}),
			rule("user.health_and_medical", "keep", true),
			rule("user.device", "truncate", false, policy.Param{Name: "n", Value: int64(7)}),
			rule("user.behavior", "keep", false),
			rule("user.content", "redact", false),
			rule("user.location", "drop", false),
			rule("user.account", "constant", false, policy.Param{Name: "value", Value: int64(7)}),
			rule("user.social", "constant", false, policy.Param{Name: "value", Value: 1.5}),
			rule("user.job_title", "constant", false, policy.Param{Name: "value", Value: true}),
			rule("user.telemetry", "mask", false),
			rule("user.payment", "encrypt", true),
			rule("user.financial", "encrypt", false),
			onGround("art10", rule("user.criminal_history", "encrypt", false)),
			rule("user.demographic", "generalize", false, policy.Param{Name: "bucket", Value: "0,17.50,65"}),
			rule("user.demographic.age_range", "generalize", false, policy.Param{Name: "bucket", Value: "0.5"}),
			rule("user.demographic.date_of_birth", "generalize", false, policy.Param{Name: "date", Value: "year"}, policy.Param{Name: "unit", Value: "ms"}),
			rule("user.location.precise", "generalize", false, policy.Param{Name: "geo", Value: int64(1)}),
			rule("user.sensor", "generalize", false, policy.Param{Name: "time", Value: "hour"}),
			rule("user.device.ip_address", "generalize", false, policy.Param{Name: "ip_prefix", Value: "24,48"}),
			rule("user.workplace", "generalize", false, policy.Param{Name: "email", Value: "domain"}),
			rule("user.behavior.browsing_history", "generalize", false, policy.Param{Name: "url_query", Value: ""}),
			rule("user.user_sensor", "generalize", false, policy.Param{Name: "url_query", Value: "utm_source&a[]"}),
			rule("user.device.cookie_id", "generalize", false, policy.Param{Name: "query", Value: "utm_source&a[]"}),
			onGround("art9_2_b", rule("user.biometric", "generalize", false, policy.Param{Name: "bucket", Value: "10"})),
			rule("user.authorization", "date_shift", false, policy.Param{Name: "days", Value: int64(30)}, policy.Param{Name: "unit", Value: "s"}),
		},
	}
	if got := c.Policy.Purposes[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	names := []policy.Namespace{{Name: "crm", Normalize: "lower"}, {Name: "mail", Normalize: "email"}}
	if c.Policy.Revision != 12 || !reflect.DeepEqual(c.Policy.Namespaces, names) {
		t.Errorf("revision %d, namespaces %+v", c.Policy.Revision, c.Policy.Namespaces)
	}
}

func onGround(ground string, r policy.Rule) policy.Rule {
	r.Ground = ground
	return r
}

// TestDefaults: what is not written is what docs/configuration.md says.
func TestDefaults(t *testing.T) {
	c, findings := Load("consentstream.yaml", corpusEnv, corpusReader(""))
	if c == nil {
		t.Fatal(findings)
	}
	for _, d := range []struct {
		s    section
		word string
		got  any
	}{
		{wiringSection, "instance", c.Instance}, {kafkaSection, "compression", c.Kafka.Compression},
		{kafkaSection, "workers", c.Kafka.Workers}, {kafkaSection, "insecure", c.Kafka.Insecure},
		{redisSection, "db", c.Redis.DB}, {redisSection, "buckets", c.Redis.Buckets},
		{redisSection, "insecure", c.Redis.Insecure},
		{consentSection, "topic", c.Topics.Consent}, {auditSection, "topic", c.Topics.Audit},
		{quarantineSection, "topic", c.Topics.Quarantine}, {policiesSection, "topic", c.Topics.Policies},
		{healthSection, "listen", c.Health.Listen}, {limitsSection, "record_bytes", c.Streams[0].Wiring.RecordBytes},
	} {
		w, ok := d.s.find(d.word)
		if !ok || fmt.Sprint(d.got) != w.fallback {
			t.Errorf("%s of %s is %v, documented %q", d.word, d.s.name, d.got, w.fallback)
		}
	}
}

// TestSecretsDoNotPrint prints a Config in every way that Go has (P8).
func TestSecretsDoNotPrint(t *testing.T) {
	c := loadFull(t)
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Dump(c.Redis.Password)
	if err != nil {
		t.Fatal(err)
	}
	shown := string(j) + string(y)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb, *c) + fmt.Sprintf(verb, c.Redis) + fmt.Sprintf(verb, c.Redis.Password) + fmt.Sprintf(verb, &c.Redis.Password)
	}
	if strings.Contains(shown, canary) || strings.Contains(shown, fmt.Sprintf("%x", canary)) {
		t.Errorf("a password prints: %s", shown)
	}
	if !strings.Contains(shown, hidden) {
		t.Errorf("nothing stands for the password: %s", shown)
	}
	if c.Redis.Password.Reveal() != canary || c.Redis.Password.IsZero() || !(Secret{}).IsZero() {
		t.Error("the password cannot be used")
	}
}

// TestFindingJSON is the machine form of lint.
func TestFindingJSON(t *testing.T) {
	f := Finding{File: "a.yaml", Line: 3, Col: 5, Message: `unknown word "x"`, Nearest: "y", Excerpt: "    x: 1", Caret: 5}
	got, err := json.Marshal([]Finding{f, {File: "a.yaml", Line: 1, Col: 1, Severity: Warning, Message: "m"}})
	want := `[{"file":"a.yaml","line":3,"column":5,"severity":"error","message":"unknown word \"x\"","nearest":"y","excerpt":"    x: 1"},` +
		`{"file":"a.yaml","line":1,"column":1,"severity":"warning","message":"m"}]`
	if err != nil || string(got) != want {
		t.Errorf("%s %v", got, err)
	}
	text := "a.yaml:3:5: error: unknown word \"x\"\n   3 |     x: 1\n     |     ^\n       did you mean \"y\"?"
	if f.String() != text {
		t.Errorf("%s", f)
	}
}
