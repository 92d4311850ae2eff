package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/consentstream/consentstream/internal/devstack"
)

// TestRefusals: each setting that would break a promise refuses the start, with
// the command that mends it; nothing joins the group.
func TestRefusals(t *testing.T) {
	alter := func(topic, key, value string) func(*rig) {
		return func(r *rig) {
			if _, err := r.adm.AlterTopicConfigs(r.t.Context(), []kadm.AlterConfig{{Name: key, Value: kadm.StringPtr(value)}}, topic); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	cases := []struct {
		name string
		harm func(*rig)
		want []string
	}{
		{"missing output", func(r *rig) { _ = r.stack.Kafka.DeleteTopic(rigInput + ".service") }, []string{"topic events.service does not exist", "kafka-topics", "--create --topic events.service"}},
		{"missing consent topic", func(r *rig) { _ = r.stack.Kafka.DeleteTopic("consent.events") }, []string{"--create --topic consent.events", "message.timestamp.type=LogAppendTime", "retention.ms=-1"}},
		{"consent retention", alter("consent.events", "retention.ms", "604800000"), []string{"kafka-configs", "--add-config retention.ms=-1"}},
		{"consent compaction", alter("consent.events", "cleanup.policy", "compact"), []string{"--add-config cleanup.policy=delete"}},
		{"consent size", alter("consent.events", "retention.bytes", "1000000"), []string{"--add-config retention.bytes=-1"}},
		{"consent timestamps", alter("consent.events", "message.timestamp.type", "CreateTime"), []string{"--add-config message.timestamp.type=LogAppendTime"}},
		{"audit compaction", alter("consent.audit", "cleanup.policy", "compact"), []string{"tear the chains"}},
		{"audit timestamps", alter("consent.audit", "message.timestamp.type", "CreateTime"), []string{"consent.audit --add-config message.timestamp.type=LogAppendTime"}},
		{"output timestamps", alter(rigInput+".service", "message.timestamp.type", "LogAppendTime"), []string{"events.service --add-config message.timestamp.type=CreateTime"}},
		{"policies deleted", alter("consent.policies", "cleanup.policy", "delete"), []string{"consent.policies --add-config cleanup.policy=compact"}},
		{"output retention", func(r *rig) {
			r.cfg.Engine.Policy.Purposes[0].Retention = 90 * 86_400_000
			alter(rigInput+".analytics", "retention.ms", "-1")(r)
		}, []string{"longer than the purpose's retention", "retention.ms=7776000000"}},
		{"untrusted state store", func(r *rig) { r.cfg.States = untrusted{r.memoryStates} }, []string{"state store", "redis-cli CONFIG SET maxmemory-policy noeviction"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			c.harm(r)
			err := r.start().wait()
			var refusal *Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("Run returned %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in:\n%v", want, err)
				}
			}
			if g := r.stack.Kafka.GroupInfo(rigGroup); g != nil {
				t.Error("the group exists")
			}
			for _, complaint := range refusal.Complaints {
				r.typed(complaint.Command)
			}
			run := r.start()
			r.eventually("the daemon is ready after what was printed was typed", func() bool { return run.Status().Ready })
			run.stop()
		})
	}
}

// TestUncleanElection: a topic whose leader may be a replica that lacks acknowledged
// records is no authority on consent, and no place for chains. The in-process broker
// does not have the setting.
func TestUncleanElection(t *testing.T) {
	const key = "unclean.leader.election.enable"
	e := &Enforcer{limits: &topicLimits{}, cfg: Config{SeedBrokers: []string{"a:1"}, Topics: Topics{Consent: "c", Audit: "a"}}}
	right := map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}
	for _, topic := range []string{"c", "a"} {
		for value, want := range map[string]int{"": 0, "false": 0, "true": 1} {
			settings := topicSettings{name: topic, values: maps.Clone(right), cfg: &e.cfg}
			settings.values[key] = value
			var r Refusal
			e.checkTopic(settings, &r)
			if len(r.Complaints) != want || want > 0 && !strings.HasSuffix(r.Complaints[0].Command, "--entity-name "+topic+" --add-config "+key+"=false") {
				t.Errorf("%s %s=%q: %+v", topic, key, value, r)
			}
		}
	}
}

// typed does what the command of a remedy does.
func (r *rig) typed(command string) {
	r.t.Helper()
	words := strings.Fields(command)
	value, settings := map[string]string{}, map[string]*string{}
	for i, w := range words {
		switch w {
		case "--config", "--add-config":
			for kv := range strings.SplitSeq(words[i+1], ",") {
				k, v, _ := strings.Cut(kv, "=")
				settings[k] = &v
			}
		default:
			value[w] = words[min(i+1, len(words)-1)]
		}
	}
	if words[0] != "redis-cli" && value["--bootstrap-server"] != r.cfg.SeedBrokers[0] {
		r.t.Errorf("not our brokers: %s", command)
	}
	var err error
	switch {
	case words[0] == "redis-cli":
		r.cfg.States = r.memoryStates
	case words[0] == "kafka-topics" && words[3] == "--create":
		partitions, bad := strconv.ParseInt(value["--partitions"], 10, 32)
		if bad != nil {
			r.t.Fatalf("%s: %v", command, bad)
		}
		_, err = r.adm.CreateTopic(r.t.Context(), int32(partitions), 1, settings, value["--topic"])
	case words[0] == "kafka-configs" && words[3] == "--alter" && value["--entity-type"] == "topics":
		var alter []kadm.AlterConfig
		for k, v := range settings {
			alter = append(alter, kadm.AlterConfig{Name: k, Value: v})
		}
		_, err = r.adm.AlterTopicConfigs(r.t.Context(), alter, value["--entity-name"])
	default:
		r.t.Fatalf("what does this do: %s", command)
	}
	if err != nil {
		r.t.Fatalf("%s: %v", command, err)
	}
}

type untrusted struct{ States }

func (untrusted) Check(context.Context, ConsentTopic) error { return evicting{} }

type evicting struct{}

func (evicting) Error() string    { return "evicting" }
func (evicting) HoldCode() string { return "eviction_policy" }
func (evicting) Mend() string     { return "redis-cli CONFIG SET maxmemory-policy noeviction" }

// TestOldBrokers: without KIP-447 a successor would not wait for the offsets of
// an open transaction.
func TestOldBrokers(t *testing.T) {
	r := newRig(t)
	r.stack.Kafka.ControlKey(kmsg.ApiVersions.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.stack.Kafka.KeepControl()
		resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
		kversion.V2_4_0().EachMaxKeyVersion(func(k, v int16) {
			resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: k, MaxVersion: v})
		})
		return resp, nil, true
	})
	var refusal *Refusal
	if err := r.start().wait(); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "older than Kafka 2.5") {
		t.Fatalf("Run returned %v", err)
	}
}

// TestStartHolds: what is away at the start is waited for, not refused.
func TestStartHolds(t *testing.T) {
	r := newRig(t)
	r.memoryRegistry.mu.Lock()
	r.memoryRegistry.down = errBroken
	r.memoryRegistry.mu.Unlock()
	r.input(rigInput, 0, 1)
	run := r.start()
	r.eventually("hold", func() bool { st := run.Status(); return len(st.Holds) == 1 && st.Holds[0].Code == HoldRegistry })
	r.memoryRegistry.mu.Lock()
	r.memoryRegistry.down = nil
	r.memoryRegistry.mu.Unlock()
	r.chains(r.audited(1))
}

// TestStartOtherConsentTopic: the consent topic is deleted and created again while
// the start holds. The state store is told of the new one before anything is
// decided, since the old one's states are another history.
func TestStartOtherConsentTopic(t *testing.T) {
	r := newRig(t)
	r.down(true)
	r.input(rigInput, 0, 1)
	run := r.start()
	r.eventually("hold", func() bool { st := run.Status(); return len(st.Holds) == 1 && st.Holds[0].Code == HoldRegistry })
	told := func() (topic ConsentTopic) {
		r.set(func(m *memoryStates) { topic = m.topic })
		return topic
	}
	before := told()
	if err := r.stack.Kafka.DeleteTopic("consent.events"); err != nil {
		t.Fatal(err)
	}
	if err := r.stack.CreateTopic(devstack.Infrastructure(2)[0]); err != nil {
		t.Fatal(err)
	}
	r.down(false)
	r.chains(r.audited(1))
	if after := told(); after.ID == before.ID || after.ID != r.heads(rigInput)[0].ConsentTopicID || after.Partitions != 2 || after.Cluster == "" {
		t.Errorf("the store was told of %+v, then of %+v; decided on %x", before, after, r.heads(rigInput)[0].ConsentTopicID)
	}
}

// TestDataLoss: the broker says that the log was truncated below what the lane
// had read: kgo moves on by itself; the lane must not.
func TestDataLoss(t *testing.T) {
	r := newRig(t)
	run := r.start()
	r.input(rigInput, 0, 1, 2, 3)
	r.audited(3)
	run.stop()
	r.input(rigInput, 0, 4, 5)
	r.stack.Kafka.ControlKey(kmsg.OffsetForLeaderEpoch.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.stack.Kafka.KeepControl()
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		for _, t := range req.(*kmsg.OffsetForLeaderEpochRequest).Topics {
			rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				rp.Partition, rp.LeaderEpoch, rp.EndOffset = p.Partition, 0, 1
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	run = r.start()
	r.eventually("parked", func() bool {
		st := run.Status()
		return len(st.Parked) > 0 && st.Parked[0].Code == ParkDataLoss
	})
	time.Sleep(100 * time.Millisecond)
	r.exactlyOnce(r.chains(r.read("consent.audit")), rigInput, 0, 3)
	if got := r.outputNumbers(rigInput + ".service"); len(got) != 3 {
		t.Errorf("service got %v", got)
	}
}

// TestFenceAge: a transaction that took too long is not committed with an old
// fence; it is decided again.
func TestFenceAge(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Limits.FenceAge = 300 * time.Millisecond })
	r.consent(1, "grant")
	slow := true
	r.stack.Kafka.ControlKey(kmsg.Produce.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.stack.Kafka.KeepControl()
		if p := req.(*kmsg.ProduceRequest); slow && p.TransactionID != nil {
			slow = false
			r.stack.Kafka.SleepControl(func() { time.Sleep(600 * time.Millisecond) })
		}
		return nil, nil, false
	})
	r.input(rigInput, 0, 1)
	run := r.start()
	time.Sleep(200 * time.Millisecond)
	r.consent(1, "withdraw") // after the first fence
	r.exactlyOnce(r.chains(r.audited(1)), rigInput, 0, 1)
	if n := len(r.read(rigInput + ".analytics")); n != 0 {
		t.Errorf("%d outputs were committed on a fence older than the withdrawal", n)
	}
	run.stop()
}

// TestDecisionTime never falls: not where a lane goes to a host whose clock is
// behind. The chain would be refused as rolled back.
func TestDecisionTime(t *testing.T) {
	r := newRig(t)
	ahead := r.start(func(cfg *Config) { cfg.Now = func() time.Time { return time.Now().Add(1500 * time.Millisecond) } })
	r.input(rigInput, 0, 1)
	r.audited(1)
	ahead.stop()
	r.input(rigInput, 0, 2)
	r.start()
	r.chains(r.audited(2))
}

// TestManyWorkers: several workers in one process share the lanes.
func TestManyWorkers(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Workers = 2 })
	run := r.start()
	r.eventually("both workers own a lane", func() bool { st := run.Status(); return st.Ready && st.Lanes == 2 })
	for n := range 50 {
		r.input(rigInput, int32(n%2), n)
	}
	lanes := r.chains(r.audited(50))
	r.exactlyOnce(lanes, rigInput, 0, 25)
	r.exactlyOnce(lanes, rigInput, 1, 25)
	run.stop()
}

// TestBadRecords: whatever the bytes, a record costs itself only (P9), is
// audited with its reason, and leaves nothing of itself in quarantine and logs.
func TestBadRecords(t *testing.T) {
	r := newRig(t)
	secret := "hunter2@example.org"
	bad := map[string]string{
		"syntax":         `{"id":"1","email":nobody-` + secret + `}`,
		"duplicate_key":  `{"id":"1","email":"` + secret + `","email":"x"}`,
		"empty_value":    ``,
		"bad_utf8":       "{\"id\":\"\xff" + secret + "\"}",
		"trailing_bytes": `{"id":"1"}{"` + secret + `":1}`,
		"too_deep":       strings.Repeat(`{"`+secret+`":`, 80) + "1" + strings.Repeat("}", 80),
	}
	var rs []*kgo.Record
	for _, value := range bad {
		rs = append(rs, &kgo.Record{Topic: rigInput, Key: []byte(secret), Value: []byte(value)})
	}
	r.produce(rs...)
	r.input(rigInput, 0, 7)
	r.start()
	seen := r.exactlyOnce(r.chains(r.audited(len(bad)+1)), rigInput, 0, int64(len(bad)+1))
	details := map[string]bool{}
	for _, a := range seen {
		details[a.Detail] = true
	}
	for code := range bad {
		if !details[code] {
			t.Errorf("no record was quarantined as %s: %v", code, details)
		}
	}
	if q := r.read("consent.quarantine"); len(q) != len(bad) {
		t.Errorf("%d quarantine records", len(q))
	}
	for _, topic := range []string{"consent.quarantine", "consent.audit"} {
		for _, rec := range r.read(topic) {
			if strings.Contains(fmt.Sprintf("%s%s", rec.Key, rec.Value), "hunter2") {
				t.Errorf("%s holds personal data", topic)
			}
		}
	}
	if strings.Contains(r.log.String(), "hunter2") {
		t.Error("the log holds personal data")
	}
	if got := r.outputNumbers(rigInput + ".service"); got[7] != 1 {
		t.Error("the good record behind the bad ones is missing")
	}
}
