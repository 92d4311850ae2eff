package faults

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/schemas"
)

// settled waits until every input is audited and then asks the three questions
// of the package comment. It gives the leaves by place. A broker writes the markers of one
// transaction topic by topic: what is audited may not be seen in the outputs yet.
func (l *ledger) settled() map[at]leaf {
	l.s.t.Helper()
	l.audited()
	l.s.eventually("no transaction is open in the outputs", l.s.outputsOver)
	leaves, found := l.check()
	for _, f := range found {
		l.s.t.Error(f)
	}
	return leaves
}

// outputsOver reports whether all transactions in the purposes' topics are over.
func (s *site) outputsOver() bool {
	var names []string
	for _, stream := range []string{"events", "contacts"} {
		names = append(names, s.topic(stream+".analytics"), s.topic(stream+".service"))
	}
	committed, err := s.adm.ListCommittedOffsets(s.t.Context(), names...)
	ends, errEnds := s.adm.ListEndOffsets(s.t.Context(), names...)
	if err != nil || errEnds != nil || ends.Error() != nil {
		return false
	}
	over := true
	ends.Each(func(o kadm.ListedOffset) {
		at, ok := committed.Lookup(o.Topic, o.Partition)
		over = over && ok && at.Offset == o.Offset
	})
	return over
}

// check judges everything that is committed by now.
func (l *ledger) check() (map[at]leaf, []string) {
	l.s.t.Helper()
	l.found = nil
	leaves := l.chains(l.s.read(l.s.topic("consent.audit")))
	outputs := map[string]map[int]int{}
	for _, stream := range []string{"events", "contacts"} {
		for _, purpose := range []string{"analytics", "service"} {
			topic := l.s.topic(stream + "." + purpose)
			outputs[topic] = l.numbers(stream, purpose, l.s.read(topic))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := map[int]*input{}
	for _, in := range l.inputs {
		known[in.n] = in
		if a, ok := leaves[at{in.id, in.partition, in.offset}]; ok {
			l.judge(in, a, outputs)
		}
	}
	for topic, numbers := range outputs {
		for n := range numbers {
			if known[n] == nil {
				l.fault("%s holds record n=%d, which was never produced", topic, n)
			}
		}
	}
	return leaves, l.found
}

func (l *ledger) fault(format string, args ...any) {
	l.found = append(l.found, fmt.Sprintf(format, args...))
}

// judge compares one input's audit record and outputs with what its person had
// said when it was produced, or said later: the decision may be as late as it
// likes.
func (l *ledger) judge(in *input, a leaf, outputs map[string]map[int]int) {
	if in.person == "" {
		return // the test that sent it looks itself
	}
	if a.Kind != audit.LeafRecord || len(a.Decisions) != 2 {
		l.fault("n=%d of %s: leaf kind %d with %d decisions (%s %s)", in.n, in.person, a.Kind, len(a.Decisions), a.Reason, a.Detail)
		return
	}
	for i := range a.Decisions {
		d := &a.Decisions[i]
		may, must := false, true
		for _, st := range l.history[in.person][in.since:] {
			may = may || st.permits(d.Purpose)
			must = must && st.permits(d.Purpose)
		}
		copies := outputs[in.topic+"."+d.Purpose][in.n]
		switch {
		case (d.Permit || copies > 0) && !may:
			l.fault("LEAK: n=%d of %s is on %s: permit %v (%s), %d copies", in.n, in.person, d.Purpose, d.Permit, d.Reason, copies)
		case !d.Permit && must:
			l.fault("n=%d of %s is denied for %s: %s", in.n, in.person, d.Purpose, d.Reason)
		case d.Permit && copies != 1, !d.Permit && copies != 0:
			l.fault("n=%d of %s: audit says permit=%v for %s, and there are %d copies", in.n, in.person, d.Permit, d.Purpose, copies)
		}
	}
}

// chains verifies every lane's chain and signatures and gives record and
// quarantine leaves by place; none may be there twice.
func (l *ledger) chains(records []*kgo.Record) map[at]leaf {
	l.s.t.Helper()
	public := l.s.ring().Public()
	values, last, leaves := map[audit.Lane][][]byte{}, map[audit.Lane]leaf{}, map[at]leaf{}
	for _, r := range records {
		a := decodeLeaf(l.s, r)
		if len(r.Headers) > 0 && !audit.VerifySig(public, &a.Lane, a.Index, audit.LeafHash(a.payload), r.Headers[0].Value) {
			l.fault("wrong signature at index %d of %s/%d", a.Index, a.Lane.Topic, a.Lane.Partition)
		}
		values[a.Lane], last[a.Lane] = append(values[a.Lane], a.payload), a
		if a.Kind != audit.LeafRecord && a.Kind != audit.LeafQuarantine {
			continue
		}
		place := at{a.Lane.TopicID, a.Lane.Partition, a.Offset}
		if _, twice := leaves[place]; twice {
			l.fault("%s/%d offset %d is audited twice", a.Lane.Topic, a.Lane.Partition, a.Offset)
		}
		leaves[place] = a
	}
	for lane, vs := range values {
		if _, err := audit.VerifyChain(vs); err != nil {
			l.fault("chain of %s/%d: %v", lane.Topic, lane.Partition, err)
		}
		if len(last[lane].record.Headers) == 0 {
			l.fault("the last leaf of %s/%d is not signed", lane.Topic, lane.Partition)
		}
	}
	return leaves
}

// numbers counts output records by the member n of their input.
func (l *ledger) numbers(stream, purpose string, records []*kgo.Record) map[int]int {
	l.s.t.Helper()
	out := map[int]int{}
	for _, r := range records {
		n, err := l.number(stream, purpose, r)
		if err != nil {
			l.fault("%s.%s offset %d cannot be read: %v", stream, purpose, r.Offset, err)
			continue
		}
		out[n]++
	}
	return out
}

func (l *ledger) number(stream, purpose string, r *kgo.Record) (int, error) {
	if stream == "events" {
		var v struct{ N int }
		return v.N, json.Unmarshal(r.Value, &v)
	}
	_, payload, f := schemas.ParseFrame(r.Value)
	if f != nil {
		return 0, f
	}
	native, rest, err := outputCodecs[purpose].NativeFromBinary(payload)
	if err != nil || len(rest) > 0 {
		return 0, errors.Join(err, errors.New("bytes that are not in the derived schema"))
	}
	return int(native.(map[string]any)["n"].(int64)), nil
}

// outputCodecs are the schemas that contactsSchema and policyText must give,
// written by hand.
var outputCodecs = map[string]*goavro.Codec{
	"analytics": mustCodec(`{"type":"record","name":"Contact","namespace":"crm.analytics","fields":[
		{"name":"id","type":"string"},{"name":"n","type":"long"},{"name":"email","type":["null","string"]},
		{"name":"tags","type":{"type":"array","items":"string"}}]}`),
	"service": mustCodec(`{"type":"record","name":"Contact","namespace":"crm.service","fields":[
		{"name":"id","type":"string"},{"name":"n","type":"long"},{"name":"email","type":["null","string"]}]}`),
}

func mustCodec(schema string) *goavro.Codec {
	c, err := goavro.NewCodec(schema)
	if err != nil {
		panic(err)
	}
	return c
}
