package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/internal/devstack"
	"github.com/consentstream/consentstream/schemas"
)

// TestGrants: what is said about a missing right can be typed as it stands: it names
// the brokers, the topics, the group.
func TestGrants(t *testing.T) {
	const acls = "kafka-acls --bootstrap-server a:1,b:2 --add --allow-principal User:ANONYMOUS --operation "
	cfg := Config{SeedBrokers: []string{"a:1", "b:2"}, Group: "g", Topics: Topics{Consent: "c", Audit: "au", Quarantine: "q", Policies: "p"}}
	cfg.Engine.Streams = append(cfg.Engine.Streams, rigStream("in"))
	project := ProjectorConfig{SeedBrokers: cfg.SeedBrokers, Group: "g", Topic: "c"}
	cases := []struct {
		access access
		err    error
		want   string
	}{
		{cfg.access(), kerr.TopicAuthorizationFailed, acls + "Read --topic in --topic c --topic in.analytics --topic in.service --topic au --topic q --topic p && " + acls + "Write --topic in.analytics --topic in.service --topic au --topic q --topic p"},
		{cfg.access(), kerr.GroupAuthorizationFailed, acls + "Read --group g"},
		{cfg.access(), kerr.TransactionalIDAuthorizationFailed, acls + "Write --transactional-id g. --resource-pattern-type prefixed"},
		{cfg.access(), kerr.ClusterAuthorizationFailed, acls + "Describe --cluster"},
		{project.access(), kerr.TopicAuthorizationFailed, acls + "Read --topic c"},
		{project.access(), kerr.GroupAuthorizationFailed, acls + "Read --group g.project. --resource-pattern-type prefixed"},
	}
	for _, c := range cases {
		h := kafkaHold(HoldKafka, c.err)
		if got := c.access.mend(h); h.Code != HoldUnauthorized || got != c.want {
			t.Errorf("%v:\n%s, want\n%s", c.err, got, c.want)
		}
	}
	own := &Hold{Code: HoldUnauthorized, Detail: kerr.TopicAuthorizationFailed.Message, Mend: "its own"}
	if got := cases[0].access.mend(own); got != "its own" {
		t.Errorf("a hold that knows better says %s", got)
	}
}

// TestGrantsShown: log and health of both roles have them.
func TestGrantsShown(t *testing.T) {
	r := newRig(t)
	denied := r.fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.TransactionalIDAuthorizationFailed, Count: -1})
	run := r.start()
	r.eventually("held", run.held(HoldUnauthorized, "kafka-acls --bootstrap-server "+r.cfg.SeedBrokers[0]+" --add --allow-principal User:ANONYMOUS --operation Write --transactional-id enforcers. --"))
	denied.Remove()
	run.stop()

	p, err := NewProjector(ProjectorConfig{SeedBrokers: []string{"a:1"}, Group: "g", Topic: devstack.ConsentTopic, Store: struct{ StateWriter }{}, TagKeys: map[string][32]byte{"crm": {1}}, Log: zerolog.New(&bytes.Buffer{})})
	if err != nil {
		t.Fatal(err)
	}
	p.held(kafkaHold(HoldGroup, kerr.GroupAuthorizationFailed))
	if h := p.Status().Hold; h == nil || h.Mend != "kafka-acls --bootstrap-server a:1 --add --allow-principal User:ANONYMOUS --operation Read --group g.project. --resource-pattern-type prefixed" {
		t.Errorf("%+v", h)
	}
}

// TestLaneCommand: the command that brings a parked lane back reads the same
// configuration as the process that says so.
func TestLaneCommand(t *testing.T) {
	for file, want := range map[string]string{
		"":                         "consentstream lane show --topic in --partition 3; consentstream lane reset --topic in --partition 3 --to OFFSET --reason TEXT",
		"/etc/cs/b.yaml":           "consentstream lane show -c /etc/cs/b.yaml --topic in --partition 3; consentstream lane reset -c /etc/cs/b.yaml --topic in --partition 3 --to OFFSET --reason TEXT",
		"/etc/my files/it's.yaml":  `consentstream lane show -c '/etc/my files/it'"'"'s.yaml' --topic in --partition 3; consentstream lane reset -c '/etc/my files/it'"'"'s.yaml' --topic in --partition 3 --to OFFSET --reason TEXT`,
		"$(touch /tmp/owned).yaml": `consentstream lane show -c '$(touch /tmp/owned).yaml' --topic in --partition 3; consentstream lane reset -c '$(touch /tmp/owned).yaml' --topic in --partition 3 --to OFFSET --reason TEXT`,
	} {
		cfg := Config{ConfigFile: file}
		if p := cfg.newParked("in", 3, [16]byte{}, ParkOutOfRange, 7); p.Mend != want {
			t.Errorf("%s:\n%s, want\n%s", file, p.Mend, want)
		}
		if p := cfg.newParked("in", 3, [16]byte{}, ParkBatchTooLarge, 7); p.Mend != want+" --force" {
			t.Errorf("%s: what does not show from outside:\n%s", file, p.Mend)
		}
		if p := cfg.newParked("in", 3, [16]byte{}, ParkCorrupt, 7); strings.Contains(p.Mend, "-c ") != (file != "") {
			t.Errorf("%s: %s", file, p.Mend)
		}
	}
}

// TestLaneShowNamesBrokers: a wrong address is seen in the error.
func TestLaneShowNamesBrokers(t *testing.T) {
	r := newRig(t)
	r.cfg.SeedBrokers, r.cfg.KafkaOpts = []string{"127.0.0.1:1"}, nil
	if _, err := r.tool().LaneShow(t.Context(), rigInput, 0); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("%v", err)
	}
}

// TestRegistryHold: what is said about a registry that is away tells a wrong address
// from one that does not answer, and never what it answered.
func TestRegistryHold(t *testing.T) {
	away := func(cause string) error {
		return fmt.Errorf("asked: %w", &schemas.UnavailableError{What: "subject canary", Cause: cause})
	}
	cfg := Config{RegistryURL: "http://registry:8081"}
	for _, c := range []struct {
		err    error
		detail string
	}{
		{away("connection refused"), "register: connection refused"},
		{away("status 404, code 0"), "register: status 404, code 0"},
		{away(schemas.CauseStopped), "register"},
		{errors.New("canary"), "register"},
	} {
		if h := cfg.registryHold("register", c.err); h.Code != HoldRegistry || h.Detail != c.detail || h.Mend != "curl -i http://registry:8081/subjects" {
			t.Errorf("%v: %+v", c.err, h)
		}
	}
}
