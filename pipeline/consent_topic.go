package pipeline

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/internal/keys"
)

// ConsentTopic is what the state store's epoch has to know of the consent topic
// and its cluster.
type ConsentTopic struct {
	Cluster    string
	ID         [16]byte
	Partitions int
}

// LookupConsentTopic asks the brokers. The error is a *Refusal with the command that
// helps where the topic is missing or may not be read, and another one where asking
// again may help.
func LookupConsentTopic(ctx context.Context, seedBrokers []string, opts []kgo.Opt, topic string) (ConsentTopic, error) {
	cl, err := newClient(seedBrokers, opts)
	if err != nil {
		return ConsentTopic{}, err
	}
	defer cl.Close()
	top, err := askTopology(ctx, cl, []string{topic})
	if err != nil {
		return ConsentTopic{}, fmt.Errorf("asking %v about %s: %w", seedBrokers, topic, err)
	}
	found, err := top.consent(topic)
	r := &Refusal{}
	switch {
	case err == nil:
		return found, nil
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		r.add(createLog(seedBrokers, topic), "topic %s does not exist", topic)
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		r.add(grant(seedBrokers, "Read --topic "+topic), "topic %s cannot be read: %s", topic, errorCode(err))
	default: // without a leader, for one: it can pass
		return ConsentTopic{}, fmt.Errorf("topic %s: %s", topic, errorCode(err))
	}
	return ConsentTopic{}, r
}

// consent is the consent topic, or the error that it has.
func (t *topology) consent(name string) (ConsentTopic, error) {
	info, err := t.topic(name)
	if err != nil {
		return ConsentTopic{}, err
	}
	return ConsentTopic{Cluster: t.cluster, ID: info.id, Partitions: len(info.leaders)}, nil
}

// createLog is the command that creates a topic which keeps all, with the broker's
// own time: the consent topic and the audit topic.
func createLog(seedBrokers []string, topic string) string {
	return kafkaCommand(seedBrokers, "kafka-topics", "--create --topic "+topic+
		" --partitions 4 --config cleanup.policy=delete --config retention.ms=-1 --config message.timestamp.type=LogAppendTime")
}

func newClient(seedBrokers []string, opts []kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(seedBrokers...)}, opts...)...)
}

// ErrMalformedEvent is wrapped by RecordConsent for an event that the projector
// would not fold; what follows is the code of its fault, and what it means.
var ErrMalformedEvent = errors.New("the consent event is malformed")

// RecordConsent appends an event to the consent topic and waits until all
// replicas have it. It refuses an event that would only deny as malformed.
func RecordConsent(ctx context.Context, seedBrokers []string, opts []kgo.Opt, topic string, event []byte, ns consent.Namespaces) (consent.Position, error) {
	ev := consent.ParseUnkeyed(event, consent.Position{}, 0, ns)
	if ev.Malformed != consent.NoFault {
		return consent.Position{}, fmt.Errorf("%w: %s: %s", ErrMalformedEvent, ev.Malformed, ev.Malformed.Explain())
	}
	cl, err := newClient(seedBrokers, append([]kgo.Opt{kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0)}, opts...))
	if err != nil {
		return consent.Position{}, err
	}
	defer cl.Close()
	key := ev.Subject.Namespace + ":" + string(ev.Subject.Value)
	r, err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte(key), Value: event}).First()
	if err != nil {
		return consent.Position{}, fmt.Errorf("writing to %s: %w", topic, err)
	}
	return consent.Position{Partition: r.Partition, Offset: r.Offset}, nil
}

// ConsentQuarantine writes the coordinates of malformed consent events to the
// quarantine topic. Make it with NewConsentQuarantine, and Close it.
type ConsentQuarantine struct {
	cl          *kgo.Client
	seedBrokers []string
	topic       string
	mac         *keys.MAC
	epoch       int32
	group       string
}

// NewConsentQuarantine makes a Quarantiner; it connects with the first record.
func NewConsentQuarantine(seedBrokers []string, opts []kgo.Opt, group, topic string, ring *keys.Ring) (*ConsentQuarantine, error) {
	key, err := ring.Derive(keys.UseQuarantine, "", ring.Active())
	if err != nil {
		return nil, err
	}
	cl, err := newClient(seedBrokers, append([]kgo.Opt{kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0)}, opts...))
	if err != nil {
		return nil, err
	}
	return &ConsentQuarantine{cl: cl, seedBrokers: seedBrokers, topic: topic, mac: keys.NewMAC(key), epoch: int32(ring.Active()), group: group}, nil
}

// Close disconnects.
func (q *ConsentQuarantine) Close() { q.cl.Close() }

// QuarantineConsent implements Quarantiner. It is not safe for concurrent use:
// there is one leader that projects.
func (q *ConsentQuarantine) QuarantineConsent(ctx context.Context, malformed []MalformedConsent) error {
	records := make([]*kgo.Record, len(malformed))
	for i, m := range malformed {
		value, err := json.Marshal(q.coordinates(m.Record, m.Reason))
		if err != nil {
			return err
		}
		records[i] = &kgo.Record{Topic: q.topic, Value: value}
	}
	err := q.cl.ProduceSync(ctx, records...).FirstErr()
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		return &Hold{Code: HoldUnauthorized, Detail: errorCode(err), Mend: grant(q.seedBrokers, "Write --topic "+q.topic)}
	}
	return err
}

func (q *ConsentQuarantine) coordinates(r *kgo.Record, reason consent.Fault) *quarantined {
	m := q.mac
	m.Start()
	m.String(q.group)
	m.String(r.Topic)
	m.Int32(r.Partition)
	m.Int64(r.Offset)
	opt(m, r.Key)
	opt(m, r.Value)
	return &quarantined{
		Version: 1, Group: q.group, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(),
		Reason: "STATE_MALFORMED", Detail: string(reason), KeyBytes: size(r.Key), ValueBytes: size(r.Value), HeaderCount: len(r.Headers),
		PayloadHMAC: hex.EncodeToString(m.Sum()), KeyEpoch: q.epoch, AuditIndex: -1,
	}
}
