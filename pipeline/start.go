package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/schemas"
)

// Complaint is one thing that is wrong at the start and the command that fixes it.
type Complaint struct {
	What    string
	Command string // may be ""
}

// Refusal is the error of a start that must not happen: all that is wrong.
type Refusal struct{ Complaints []Complaint }

// Summary says in one line how much is wrong.
func (r *Refusal) Summary() string {
	are := "things are"
	if len(r.Complaints) == 1 {
		are = "thing is"
	}
	return fmt.Sprintf("%d %s wrong", len(r.Complaints), are)
}

func (r *Refusal) Error() string {
	var b strings.Builder
	b.WriteString(r.Summary() + ":")
	for _, c := range r.Complaints {
		b.WriteString("\n  " + c.What)
		if c.Command != "" {
			b.WriteString("\n    " + c.Command)
		}
	}
	return b.String()
}

func (r *Refusal) add(command, format string, args ...any) {
	r.Complaints = append(r.Complaints, Complaint{fmt.Sprintf(format, args...), command})
}

// ground holds the facts about the cluster that workers rely on and that must not
// change while they run.
type ground struct {
	auditSchema int
	consent     ConsentTopic
}

// prepare looks at brokers, topics, Redis and registry before anything joins
// the group. It returns a *Refusal with everything that is wrong, or a *Hold
// where something does not answer.
func (e *Enforcer) prepare(ctx context.Context) (*ground, error) {
	w := &worker{cfg: &e.cfg, id: e.cfg.memberID(0) + ".start"}
	cl, err := kgo.NewClient(append(w.clientOpts(), e.cfg.KafkaOpts...)...)
	if err != nil {
		return nil, &Stop{Reason: "the Kafka client refuses its options: " + err.Error()}
	}
	defer cl.Close()
	var refusal Refusal
	if err := e.checkBrokers(ctx, cl, &refusal); err != nil {
		return nil, kafkaHold(HoldKafka, err)
	}
	top, err := askTopology(ctx, cl, append(append(e.cfg.inputs(), e.cfg.Topics.Consent), e.cfg.written()...))
	if err != nil {
		return nil, kafkaHold(HoldKafka, err)
	}
	if err := e.checkTopics(ctx, cl, top, &refusal); err != nil {
		return nil, kafkaHold(HoldKafka, err)
	}
	consented, unfit := e.checkConsent(ctx, top, &refusal)
	if len(refusal.Complaints) > 0 {
		return nil, &refusal
	}
	if unfit != nil {
		return nil, unfit
	}
	gr := &ground{consent: consented}
	if gr.auditSchema, err = e.registerAudit(ctx); err != nil {
		return nil, err
	}
	if err := e.registerOutputs(ctx); err != nil {
		return nil, err
	}
	return gr, e.startLatest(ctx, cl, gr)
}

// checkConsent looks at the consent topic and at the store of its states, which
// must be those of the very topic that the workers will take their fences from:
// it can be created again between two looks.
func (e *Enforcer) checkConsent(ctx context.Context, top *topology, r *Refusal) (ConsentTopic, error) {
	topic, err := top.consent(e.cfg.Topics.Consent)
	if err != nil {
		return topic, kafkaHold(HoldKafka, err)
	}
	if topic.Partitions > maxFencePartitions {
		r.add(fewerPartitions(e.cfg.Topics.Consent), "topic %s has %d partitions, more than fit the offset metadata", e.cfg.Topics.Consent, topic.Partitions)
	}
	unfit := e.cfg.States.Check(ctx, topic)
	if unfit == nil {
		return topic, nil
	}
	h := statesHold(unfit)
	if !away(unfit) {
		r.add(h.Mend, "the state store cannot be trusted: %s", h.Detail)
	}
	return topic, h
}

func (e *Enforcer) registerAudit(ctx context.Context) (int, error) {
	id, err := e.cfg.Registry.Register(ctx, e.cfg.Topics.Audit+"-value", schemas.AuditRecord, schemas.Avro)
	switch {
	case errors.Is(err, schemas.ErrIncompatible):
		return 0, &Hold{Code: HoldAuditSchema, Detail: "incompatible", Mend: e.cfg.alterCompatibility(e.cfg.Topics.Audit + "-value")}
	case err != nil:
		return 0, e.cfg.registryHold("register", err)
	}
	return id, nil
}

// startLatest is worker.startLatest for all streams that want it.
func (e *Enforcer) startLatest(ctx context.Context, cl *kgo.Client, gr *ground) error {
	for topic, at := range e.cfg.Start {
		if at != Latest {
			continue
		}
		w, err := e.newWorker(0, gr)
		if err != nil {
			return err
		}
		w.guard.stop()
		if err := w.startLatest(ctx, cl, topic); err != nil {
			return kafkaHold(HoldKafka, err)
		}
	}
	return nil
}

// checkBrokers refuses brokers without KIP-447 (before 2.5): there the offsets
// of an open transaction do not keep a successor waiting, and records could be
// decided twice. It logs the transaction protocol: below version 2 a delayed
// EndTxn can end a later transaction (KAFKA-17754).
func (e *Enforcer) checkBrokers(ctx context.Context, cl *kgo.Client, r *Refusal) error {
	resp, err := askVersions(ctx, cl)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(resp.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool { return k.ApiKey == int16(kmsg.TxnOffsetCommit) }); i < 0 || resp.ApiKeys[i].MaxVersion < 3 {
		r.add("", "the brokers are older than Kafka 2.5 and cannot do exactly-once over consumer groups safely (KIP-447)")
	}
	version := int16(0)
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" {
			version = f.MaxVersionLevel
		}
	}
	line := e.cfg.Log.Info()
	if version < 2 {
		line = e.cfg.Log.Warn()
	}
	if !e.introduced {
		e.introduced = true
		line.Int16("transaction_version", version).Msg("transaction protocol of the brokers")
	}
	return nil
}

// askVersions asks a broker which requests it knows.
func askVersions(ctx context.Context, cl *kgo.Client) (*kmsg.ApiVersionsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "consentstream", "1"
	return req.RequestWith(ctx, cl)
}

// checkTopics finds missing topics and settings that break a promise.
func (e *Enforcer) checkTopics(ctx context.Context, cl *kgo.Client, top *topology, r *Refusal) error {
	var present []string
	for _, name := range append(append(e.cfg.inputs(), e.cfg.Topics.Consent), e.cfg.written()...) {
		_, err := top.topic(name)
		switch {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			r.add(e.createCommand(name), "topic %s does not exist", name)
		case err != nil:
			return err
		default:
			present = append(present, name)
		}
	}
	if len(present) == 0 {
		return nil
	}
	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, present...)
	if err != nil {
		return err
	}
	for _, c := range configs {
		if c.Err != nil {
			r.add(grant(e.cfg.SeedBrokers, "DescribeConfigs --topic "+c.Name),
				"the settings of topic %s cannot be read: %s", c.Name, errorCode(c.Err))
			continue
		}
		e.checkTopic(e.settings(c), r)
	}
	return nil
}

func (e *Enforcer) settings(c kadm.ResourceConfig) topicSettings {
	t := topicSettings{name: c.Name, values: map[string]string{}, cfg: &e.cfg}
	for _, v := range c.Configs {
		t.values[v.Key] = v.MaybeValue()
	}
	return t
}

const uncleanElection = "unclean.leader.election.enable"

func (e *Enforcer) checkTopic(t topicSettings, r *Refusal) {
	e.limits.set(t.name, t.values[maxMessageBytes])
	switch t.name {
	case e.cfg.Topics.Consent:
		// The authority on consent: nothing of it may ever go, and its own clock
		// counts (DECISION D2).
		t.want(r, "cleanup.policy", "delete", "history is the documentation of consent")
		t.want(r, "retention.ms", "-1", "history is the documentation of consent")
		t.wantIfSet(r, "retention.bytes", "-1", "history is the documentation of consent")
		t.want(r, "message.timestamp.type", "LogAppendTime", "a sender's clock must not order consent (events that are there already keep theirs: copy them to a new topic)")
		t.wantIfSet(r, uncleanElection, "false", "a leader that lacks acknowledged events would permit what was withdrawn")
	case e.cfg.Topics.Audit:
		t.want(r, "cleanup.policy", "delete", "compaction would tear the chains")
		t.want(r, "message.timestamp.type", "LogAppendTime", "verify compares decision times with it")
		t.wantIfSet(r, uncleanElection, "false", "a leader that lacks acknowledged records would tear the chains")
	case e.cfg.Topics.Policies:
		t.want(r, "cleanup.policy", "compact", "audit records cite policies and plans for as long as they exist")
	default:
		if slices.Contains(e.cfg.outputs(), t.name) {
			// Else the broker's own time takes the place of ours: the audit's
			// commitment would not match (AUDIT A8), and it tells the purpose
			// when the record was processed (promise P6).
			t.want(r, "message.timestamp.type", "CreateTime", "outputs carry the event time, which the audit commits to")
		}
		e.checkRetention(t, r)
	}
}

// checkRetention compares an output topic with what its purpose allows.
func (e *Enforcer) checkRetention(t topicSettings, r *Refusal) {
	limit := e.retention(t.name)
	if limit == 0 {
		return
	}
	kept, err := strconv.ParseInt(t.values["retention.ms"], 10, 64)
	if err == nil && kept >= 0 && kept <= limit && strings.Contains(t.values["cleanup.policy"], "delete") {
		return
	}
	r.add(e.cfg.alter(t.name, "cleanup.policy=delete,retention.ms="+strconv.FormatInt(limit, 10)),
		"topic %s keeps records for longer than the purpose's retention of %d ms (retention.ms=%s, cleanup.policy=%s)", t.name, limit, t.values["retention.ms"], t.values["cleanup.policy"])
}

// retention is the purpose's retention of an output topic in ms; 0: none.
func (e *Enforcer) retention(topic string) int64 {
	for i := range e.cfg.Engine.Streams {
		for _, id := range e.cfg.Engine.Streams[i].Purposes {
			if e.cfg.Engine.Streams[i].Topic+"."+id != topic {
				continue
			}
			for j := range e.cfg.Engine.Policy.Purposes {
				if p := &e.cfg.Engine.Policy.Purposes[j]; p.ID == id {
					return p.Retention
				}
			}
		}
	}
	return 0
}

// createCommand is the kafka-topics line for a missing topic.
func (e *Enforcer) createCommand(name string) string {
	line := e.cfg.command("kafka-topics", "--create --topic "+name)
	switch name {
	case e.cfg.Topics.Consent, e.cfg.Topics.Audit:
		return createLog(e.cfg.SeedBrokers, name)
	case e.cfg.Topics.Policies:
		return line + " --partitions 1 --config cleanup.policy=compact"
	case e.cfg.Topics.Quarantine:
		return line + " --partitions 1"
	}
	if limit := e.retention(name); limit > 0 {
		return fmt.Sprintf("%s --partitions 4 --config cleanup.policy=delete --config retention.ms=%d", line, limit)
	}
	return line + " --partitions 4"
}

// topicSettings are one topic's effective settings.
type topicSettings struct {
	name   string
	values map[string]string
	cfg    *Config
}

func (t topicSettings) want(r *Refusal, key, value, why string) {
	if got := t.values[key]; got != value {
		r.add(t.cfg.alter(t.name, key+"="+value), "topic %s has %s=%s, not %s: %s", t.name, key, got, value, why)
	}
}

func (t topicSettings) wantIfSet(r *Refusal, key, value, why string) {
	if t.values[key] != "" {
		t.want(r, key, value, why)
	}
}
