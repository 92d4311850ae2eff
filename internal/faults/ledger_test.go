package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/schemas"
)

// ledger is what the test did, and the judge of what came of it. It knows
// consent only as two booleans per person and shares no code with the policy.
type ledger struct {
	s     *site
	codec *goavro.Codec
	found []string // by the last check

	mu      sync.Mutex
	history map[string][]standing // by person, oldest first; a person begins unknown
	inputs  []*input
	n       int
}

// standing is what a person has said so far.
type standing struct{ granted, restricted bool }

// permits is the policy of policyText.
func (st standing) permits(purpose string) bool {
	return !st.restricted && (purpose == "service" || st.granted)
}

// input is one record that was produced and acknowledged.
type input struct {
	topic     string
	id        [16]byte // of the topic
	partition int32
	offset    int64
	person    string // "": none can be read, or the record is no good
	n         int
	since     int // index into the person's history when it was produced
}

// at names where an input lies: offsets begin again with a new topic id.
type at struct {
	id        [16]byte
	partition int32
	offset    int64
}

func newLedger(s *site) *ledger {
	codec, err := goavro.NewCodec(contactsSchema)
	s.must(err)
	return &ledger{s: s, codec: codec, history: map[string][]standing{}}
}

// says records a consent event and waits for Kafka's acknowledgement: from then
// on no record of the person that is produced later may be decided without it.
func (l *ledger) says(person, action string) {
	l.s.t.Helper()
	l.saysTo(partitionOf(person), person, action)
}

// saysTo is says to a partition of the consent topic; a person may be in
// several, since the fold does not look at the order.
func (l *ledger) saysTo(partition int32, person, action string) {
	l.s.t.Helper()
	l.s.produce(&kgo.Record{Topic: l.s.topic("consent.events"), Partition: partition, Key: []byte("crm:" + person), Value: l.event(person, action)})
	l.said(person, action)
}

// event is the JSON of a consent event.
func (l *ledger) event(person, action string) []byte {
	l.mu.Lock()
	l.n++
	id := fmt.Sprintf("event-%d", l.n)
	l.mu.Unlock()
	e := map[string]any{"id": id, "subject": map[string]string{"namespace": "crm", "value": person}, "action": action,
		"asserted_at": time.Now().Add(-10 * time.Millisecond).UTC().Format(time.RFC3339Nano)}
	switch action {
	case "grant":
		e["purposes"], e["consent_type"] = []string{"analytics"}, "explicit"
		e["notice"], e["evidence"] = map[string]string{"id": "signup", "version": "1"}, map[string]string{"method": "web_form", "source": "shop"}
	case "withdraw":
		e["purposes"] = []string{"analytics"}
	}
	text, err := json.Marshal(e)
	l.s.must(err)
	return text
}

// said notes what an acknowledged event changed.
func (l *ledger) said(person, action string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.now(person)
	switch action {
	case "grant":
		st.granted = true
	case "withdraw":
		st.granted = false
	case "restrict":
		st.restricted = true
	}
	l.history[person] = append(l.history[person], st)
}

func (l *ledger) now(person string) standing {
	if l.history[person] == nil {
		l.history[person] = []standing{{}}
	}
	h := l.history[person]
	return h[len(h)-1]
}

func partitionOf(person string) int32 { return int32(len(person)+int(person[len(person)-1])) % 2 }

func (s *site) produce(rs ...*kgo.Record) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	s.must(s.cl.ProduceSync(ctx, rs...).FirstErr())
}

// send produces one record of each person to a partition of "events" (JSON) or
// "contacts" (Avro) and waits for the acknowledgement.
func (l *ledger) send(stream string, partition int32, people ...string) {
	l.s.t.Helper()
	ins := make([]*input, 0, len(people))
	rs := make([]*kgo.Record, 0, len(people))
	for _, p := range people {
		in := l.next(stream, partition, p)
		ins = append(ins, in)
		rs = append(rs, &kgo.Record{Topic: in.topic, Partition: partition, Key: []byte(p), Value: l.value(stream, in)})
	}
	l.s.produce(rs...)
	l.sent(ins, rs)
}

// next is an input that is about to be produced.
func (l *ledger) next(stream string, partition int32, person string) *input {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	in := &input{topic: l.s.topic(stream), partition: partition, person: person, n: l.n}
	if person != "" {
		l.now(person)
		in.since = len(l.history[person]) - 1
	}
	return in
}

func (l *ledger) value(stream string, in *input) []byte {
	email := fmt.Sprintf("%s.%d@example.org", in.person, in.n)
	if stream == "events" {
		return fmt.Appendf(nil, `{"id":%q,"n":%d,"action":"click","email":%q,"tags":["a"]}`, in.person, in.n, email)
	}
	value, err := l.codec.BinaryFromNative(schemas.AppendFrame(nil, l.s.writer), map[string]any{
		"id": in.person, "n": int64(in.n), "email": map[string]any{"string": email}, "tags": []any{"a"}, "notes": nil})
	l.s.must(err)
	return value
}

// sent notes acknowledged inputs.
func (l *ledger) sent(ins []*input, rs []*kgo.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, in := range ins {
		in.offset, in.id = rs[i].Offset, l.s.ids[in.topic]
		l.inputs = append(l.inputs, in)
	}
}

// leaf is an audit record as it was found.
type leaf struct {
	audit.Record
	payload []byte
	record  *kgo.Record
}

// audited waits until every input is audited and gives all leaves by place.
func (l *ledger) audited() map[at]leaf {
	l.s.t.Helper()
	return l.auditedBut(func(*input) bool { return false })
}

// auditedBut leaves out inputs that cannot be audited yet.
func (l *ledger) auditedBut(but func(*input) bool) map[at]leaf {
	l.s.t.Helper()
	cl := l.s.client(kgo.ConsumeTopics(l.s.topic("consent.audit")), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), l.s.patience)
	defer cancel()
	leaves := map[at]leaf{}
	for missing := l.missing(leaves, but); len(missing) > 0; missing = l.missing(leaves, but) {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			a := decodeLeaf(l.s, r)
			if a.Kind == audit.LeafRecord || a.Kind == audit.LeafQuarantine {
				leaves[at{a.Lane.TopicID, a.Lane.Partition, a.Offset}] = a
			}
		})
		if ctx.Err() != nil {
			l.s.t.Fatalf("%d of %d inputs are never audited, the first is %s/%d offset %d", len(missing), len(l.inputs), missing[0].topic, missing[0].partition, missing[0].offset)
		}
	}
	return leaves
}

func (l *ledger) missing(leaves map[at]leaf, but func(*input) bool) (missing []*input) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.inputs {
		if _, ok := leaves[at{in.id, in.partition, in.offset}]; !ok && !but(in) {
			missing = append(missing, in)
		}
	}
	return missing
}

func decodeLeaf(s *site, r *kgo.Record) leaf {
	s.t.Helper()
	_, payload, f := schemas.ParseFrame(r.Value)
	if f != nil {
		s.t.Fatalf("audit record %d is not framed: %v", r.Offset, f)
	}
	a, err := audit.DecodeRecord(payload)
	s.must(err)
	return leaf{Record: a, payload: payload, record: r}
}

// read gives all committed records of a topic, by partition and offset.
func (s *site) read(topic string) []*kgo.Record {
	s.t.Helper()
	want, from := map[int32]int64{}, map[int32]kgo.Offset{}
	ends, err := s.adm.ListCommittedOffsets(s.t.Context(), topic)
	s.must(err)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			want[o.Partition], from[o.Partition] = o.Offset, kgo.NewOffset().At(0)
		}
	})
	if len(want) == 0 {
		return nil
	}
	cl := s.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	var all []*kgo.Record
	for len(want) > 0 {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				all = append(all, r)
			}
			if r.Offset+1 >= want[r.Partition] {
				delete(want, r.Partition)
			}
		})
		if ctx.Err() != nil {
			s.t.Fatalf("reading %s: timeout, missing %v", topic, want)
		}
	}
	return all
}
