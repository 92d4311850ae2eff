package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/internal/reference"
)

// tally is what a check has found and compared.
type tally struct {
	records, quarantined, decisions, permits, outputs int
	lost, duplicates, inversions, transactions, cuts  int
	torn                                              int // audit records of transactions that were never committed
	reasons                                           map[string]int
}

// checker holds everything that was written against the reference.
type checker struct {
	*world
	tally
	feed      *feed
	subjects  map[string][]reference.Event
	malformed map[reference.Position]bool
	ends      []int64 // of the consent topic, by what was read
	inputs    map[place]*reference.Input
	audited   map[place]string // where
	set       map[place]leaf   // of quarantined records
	expected  map[string]*expected
	documents map[string][]byte // of consent.policies, by digest
	plans     map[string]bool   // that have been compared
	failures  int
}

// expected is an output that must be there, by topic and cs-proof.
type expected struct {
	*reference.Output
	from place
	seen bool
	leaf string
	// committed: its leaf commits to just these bytes.
	committed bool
}

// fail names a difference. After the first few it is always the same one.
func (c *checker) fail(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf(format, args...)
	if c.failures++; c.failures >= 5 {
		c.t.FailNow()
	}
}

func newChecker(w *world, f *feed) *checker {
	c := &checker{world: w, feed: f, subjects: map[string][]reference.Event{}, malformed: map[reference.Position]bool{},
		inputs: map[place]*reference.Input{}, audited: map[place]string{}, set: map[place]leaf{}, expected: map[string]*expected{}, documents: map[string][]byte{}, plans: map[string]bool{}}
	c.reasons = map[string]int{}
	return c
}

// check proves the whole run. pages are what the processes showed of themselves.
func (w *world) check(f *feed, pages string) *checker {
	w.t.Helper()
	c := newChecker(w, f)
	c.readConsents()
	c.readInputs()
	c.readPolicies()
	c.checkAudit()
	for _, in := range []string{contacts, events} {
		for _, purpose := range purposes {
			c.checkOutputs(in, purpose)
		}
	}
	for id, e := range c.expected {
		if !e.seen {
			c.lost++
			c.fail("%s: the output of %s is missing (cs-proof %s)", e.Topic, e.from, id[len(e.Topic)+1:])
		}
	}
	c.checkQuarantine()
	c.checkCanaries(pages)
	return c
}

func (p place) String() string { return fmt.Sprintf("%s-%d offset %d", p.topic, p.partition, p.offset) }

func (c *checker) readConsents() {
	c.ends = make([]int64, c.parts[c.topic(consents)])
	for _, r := range c.collect(consents) {
		c.learn(r)
	}
	ends, err := c.adm.ListEndOffsets(c.t.Context(), c.topic(consents))
	if err != nil {
		c.t.Fatal(err)
	}
	for p, end := range ends[c.topic(consents)] {
		c.ends[p] = end.Offset
	}
}

func (c *checker) learn(r *kgo.Record) {
	e := c.ref.Policy.ReadEvent(r.Key, r.Value, r.Partition, r.Offset, r.Timestamp.UnixMilli())
	if e.Malformed {
		c.malformed[reference.Position{Partition: r.Partition, Offset: r.Offset}] = true
	}
	whose := e.Named
	if !e.Malformed {
		whose = []string{e.Subject}
	}
	for _, subject := range whose {
		c.subjects[subject] = append(c.subjects[subject], e)
	}
}

// readInputs reads the deliverable records; they must be those that the feed
// has committed.
func (c *checker) readInputs() {
	for _, name := range []string{contacts, events} {
		for _, r := range c.collect(name) {
			at := place{r.Topic, r.Partition, r.Offset}
			c.inputs[at] = input(r)
			if _, ok := c.feed.sent[at]; !ok {
				c.t.Fatalf("%s was not sent by this test", at)
			}
		}
	}
	if c.records = len(c.inputs); c.records != len(c.feed.sent) {
		c.t.Fatalf("%d input records are there, %d were sent", c.records, len(c.feed.sent))
	}
}

func input(r *kgo.Record) *reference.Input {
	in := &reference.Input{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		in.Headers = append(in.Headers, reference.Header(h))
	}
	return in
}

func (c *checker) readPolicies() {
	for _, r := range c.collect(policies) {
		sum := sha256.Sum256(r.Value)
		if hex.EncodeToString(sum[:]) != string(r.Key) {
			c.fail("%s offset %d: the key is not the digest of the document", policies, r.Offset)
		}
		c.documents[string(r.Key)] = r.Value
	}
}

// checkAudit checks chains and decisions, lane by lane.
func (c *checker) checkAudit() {
	codec, err := reference.Codec(c.read("../../schemas/audit_record.avsc"))
	if err != nil {
		c.t.Fatal(err)
	}
	lanes := map[place][]leaf{}
	committed := c.collect(auditTopic)
	c.torn = len(c.collectAll(auditTopic)) - len(committed)
	for _, r := range committed {
		l, err := decodeLeaf(codec, r)
		if err != nil {
			c.t.Fatalf("audit %d/%d: %v", r.Partition, r.Offset, err)
		}
		lane := place{topic: l.lane["topic"].(string), partition: l.lane["partition"].(int32)}
		if want := c.lane(lane).AuditPartition(c.parts[c.topic(auditTopic)]); r.Partition != want {
			c.fail("%s: the lane's partition is %d", l.at, want)
		}
		lanes[lane] = append(lanes[lane], l)
	}
	for lane, leaves := range lanes {
		c.checkLane(lane, leaves)
	}
	for at := range c.inputs {
		if c.audited[at] == "" {
			c.lost++
			c.fail("%s was never decided", at)
		}
	}
}

func (c *checker) lane(at place) reference.Lane {
	return reference.Lane{Cluster: c.cluster, Group: c.group(), TopicID: c.ids[at.topic], Partition: at.partition}
}

// standing is what a lane's leaves inherit and must not fall below.
type standing struct {
	decidedAt, revision int64
	fence               []int64
}

func (c *checker) checkLane(at place, leaves []leaf) {
	lane := c.lane(at)
	head, next := lane.Genesis(0), int64(0)
	var now standing
	for i, l := range leaves {
		switch {
		case l.lane["cluster"] != lane.Cluster || l.lane["group"] != lane.Group || !bytes.Equal(l.lane["topic_id"].([]byte), lane.TopicID[:]):
			c.fail("%s: it is of another lane", l.at)
		case l.index != int64(i):
			c.fail("%s: index %d of %s-%d, want %d", l.at, l.index, at.topic, at.partition, i)
		case !bytes.Equal(l.prev, head[:]):
			c.fail("%s: index %d does not follow the leaf before it", l.at, l.index)
		case l.from != next || l.offset < l.from:
			c.fail("%s: index %d covers [%d, %d], want from %d", l.at, l.index, l.from, l.offset, next)
		case (l.context != nil) != (i == 0 || leaves[i-1].sig != nil):
			c.fail("%s: a transaction begins with a context and ends with a signature, and this leaf is neither", l.at)
		case l.sig != nil && !c.keys.Signed(lane, l.index, l.hash, l.sig):
			c.fail("%s: the signature does not verify", l.at)
		}
		if l.context != nil {
			c.transactions++
			now = c.context(l, now)
		}
		for o := l.from; o < l.offset; o++ {
			if c.inputs[place{at.topic, at.partition, o}] != nil {
				c.lost++
				c.fail("%s: it says that nothing deliverable lies at %s-%d offset %d", l.at, at.topic, at.partition, o)
			}
		}
		c.checkLeaf(place{at.topic, at.partition, l.offset}, l, now)
		head, next = l.hash, l.offset+1
	}
	if last := leaves[len(leaves)-1]; last.sig == nil {
		c.fail("%s: the last leaf of the lane is not signed", last.at)
	}
}

// context checks a transaction's context and that it does not fall.
func (c *checker) context(l leaf, before standing) standing {
	x := l.context
	now := standing{decidedAt: x["decided_at"].(int64), revision: x["revision"].(int64), fence: longs(x["fence"].([]any))}
	id := c.ids[c.topic(consents)]
	switch {
	case now.revision != int64(c.ref.Policy.Revision) || c.documents[hex.EncodeToString(x["policy"].([]byte))] == nil:
		c.fail("%s: it cites a policy that is not in %s, or another revision", l.at, policies)
	case !bytes.Equal(x["consent_topic_id"].([]byte), id[:]) || x["key_epoch"] != int32(c.keys.Epoch) || x["sign_key"] != c.keys.SignID ||
		!bytes.Equal(x["key_check"].([]byte), c.keys.Check()) || !bytes.Equal(x["regimes"].([]byte), make([]byte, 32)):
		c.fail("%s: the context names another topic or key", l.at)
	case now.decidedAt < before.decidedAt || falls(before.fence, now.fence):
		c.fail("%s: decision time or fence fall", l.at)
	case len(now.fence) != len(c.ends) || falls(now.fence, c.ends):
		c.fail("%s: the fence %v lies above the end of the topic %v", l.at, now.fence, c.ends)
	}
	return now
}

func falls(before, now []int64) bool {
	for p := range before {
		if now[p] < before[p] {
			return true
		}
	}
	return false
}

// checkLeaf decides the record anew and compares.
func (c *checker) checkLeaf(at place, l leaf, now standing) {
	in := c.inputs[at]
	switch {
	case in == nil:
		c.fail("%s: there is no input record at %s", l.at, at)
		return
	case c.audited[at] != "":
		c.duplicates++
		c.fail("%s: %s was decided before, in %s", l.at, at, c.audited[at])
		return
	}
	c.audited[at] = l.at
	was := c.feed.sent[at]
	if falls(was.acked, now.fence) {
		c.fail("%s: the fence %v leaves out consents that were acknowledged before %s was written: %v", l.at, now.fence, at, was.acked)
	}
	cut := now.fence
	if l.cut != nil {
		c.cuts++
		if cut = l.cut; falls(now.fence, cut) || falls(cut, c.ends) {
			c.fail("%s: the cut %v is not between fence %v and end", l.at, cut, now.fence)
		}
	}
	if was.bad != "" {
		c.checkBad(at, l, in, was.bad)
		return
	}
	want, err := c.ref.Process(in, reference.Moment{Now: now.decidedAt, Events: func(subject string) []reference.Event { return c.below(subject, cut) }})
	if err != nil {
		c.t.Fatalf("%s: the reference: %v", at, err)
	}
	if want.Fault != "" {
		c.checkBad(at, l, in, want.Fault)
		return
	}
	c.compare(at, l, want)
}

// below are a subject's events that count at a cut.
func (c *checker) below(subject string, cut []int64) (list []reference.Event) {
	for _, e := range c.subjects[subject] {
		if e.Offset < cut[e.Partition] {
			list = append(list, e)
		}
	}
	return list
}

func (c *checker) checkBad(at place, l leaf, in *reference.Input, codes string) {
	c.quarantined++
	c.set[at] = l
	switch {
	case l.kind != "quarantine" || len(l.decided) > 0 || len(l.subjects) > 0:
		c.fail("%s: %s (%s) is decided, and not in quarantine", l.at, at, codes)
	case l.reason != "INPUT_MALFORMED" || !slices.Contains(strings.Split(codes, "|"), l.detail):
		c.fail("%s: %s is in quarantine for %s %s, want %s", l.at, at, l.reason, l.detail, codes)
	}
	c.reasons[l.detail]++
}

// compare holds a leaf against the reference's result.
func (c *checker) compare(at place, l leaf, want *reference.Result) {
	if l.kind != "record" || l.reason != "" || l.detail != "" || l.path != "" {
		c.fail("%s: %s is %s %s %s %s, want it decided", l.at, at, l.kind, l.reason, l.detail, l.path)
		return
	}
	if len(l.subjects) != len(want.Subjects) {
		c.fail("%s: %s has %d subjects, want %d", l.at, at, len(l.subjects), len(want.Subjects))
		return
	}
	for i, s := range want.Subjects {
		subject, _ := l.subjects[i].(map[string]any)
		tag, _ := branch(subject["tag"]).([]byte)
		if subject["name"] != s.Name || !bytes.Equal(tag, s.Tag) {
			c.fail("%s: %s has another subject %d than the reference finds", l.at, at, i)
		}
	}
	if len(l.decided) != len(want.Decisions) {
		c.fail("%s: %d decisions, want %d", l.at, len(l.decided), len(want.Decisions))
		return
	}
	for i := range want.Decisions {
		c.compareDecision(at, l, &l.decided[i], &want.Decisions[i])
	}
}

func (c *checker) compareDecision(at place, l leaf, got *decided, want *reference.Decision) {
	c.decisions++
	c.reasons[want.Reason]++
	gates := int64(0)
	if want.Explicit {
		gates = 1
	}
	same := got.element == int64(want.Element) && got.subject == int64(want.Subject) && got.purpose == want.Purpose && got.basis == want.Basis && got.permit == want.Permit &&
		got.reason == want.Reason && slices.Equal(got.secondary, want.Secondary) && position(got.cited) == position(want.Cited) &&
		got.gates == gates && got.withheld == int64(want.Withheld)
	if !same {
		c.fail("%s: %s\n got %s\nwant %s", l.at, at, show(got.purpose, got.permit, got.reason, got.secondary, got.cited, got.gates, got.withheld),
			show(want.Purpose, want.Permit, want.Reason, want.Secondary, want.Cited, gates, int64(want.Withheld)))
		return
	}
	c.comparePlan(at, l, got, want)
	if want.Output == nil {
		if got.topic != "" {
			c.fail("%s: a deny of %s has an output", l.at, got.purpose)
		}
		return
	}
	c.permits++
	nonce := c.keys.Nonce(want.Purpose, c.lane(at), at.offset, want.Element)
	sum := want.Output.Commitment(nonce)
	if got.topic != want.Output.Topic || got.partition != want.Output.Partition {
		c.fail("%s: %s has its output on %s-%d, want %s-%d", l.at, at, got.topic, got.partition, want.Output.Topic, want.Output.Partition)
	}
	c.expected[want.Output.Topic+"/"+digest(nonce)] = &expected{Output: want.Output, from: at, leaf: l.at, committed: bytes.Equal(got.commitment, sum[:])}
}

func position(p *reference.Position) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprintf("%d/%d", p.Partition, p.Offset)
}

func show(purpose string, permit bool, reason string, secondary []string, cited *reference.Position, gates, withheld int64) string {
	return fmt.Sprintf("%s permit=%v %s %v cites %s gates %b withheld %d", purpose, permit, reason, secondary, position(cited), gates, withheld)
}

// comparePlan looks the cited plan up: it must be that of topic and purpose.
func (c *checker) comparePlan(at place, l leaf, got *decided, want *reference.Decision) {
	if !want.Plan {
		if !bytes.Equal(got.plan, make([]byte, 32)) {
			c.fail("%s: a tombstone cites a plan", l.at)
		}
		return
	}
	key, schema := digest(got.plan)+want.Purpose, uint32(0)
	if in := c.inputs[at]; c.ref.Stream(at.topic).Format == "avro" {
		schema = binary.BigEndian.Uint32(in.Value[1:])
		key += string(in.Value[1:5])
	}
	if c.plans[key] {
		return
	}
	c.plans[key] = true
	if err := c.ref.CheckPlan(c.documents[digest(got.plan)], c.ref.Stream(at.topic), want.Purpose, schema); err != nil {
		c.fail("%s: the plan that %s cites: %v", l.at, want.Purpose, err)
	}
}

// checkOutputs compares a purpose's topic with what must stand there.
func (c *checker) checkOutputs(name, purpose string) {
	topic := c.topic(name) + "." + purpose
	last := map[[3]any]int64{} // by output partition and lane: source offset
	for _, r := range c.collect(name + "." + purpose) {
		at := fmt.Sprintf("%s-%d offset %d", topic, r.Partition, r.Offset)
		n := len(r.Headers) - 1
		if n < 0 || r.Headers[n].Key != "cs-proof" {
			c.fail("%s: no cs-proof", at)
			continue
		}
		want := c.expected[topic+"/"+digest(r.Headers[n].Value)]
		switch {
		case want == nil:
			c.fail("%s: the reference has no such output", at)
			continue
		case want.seen:
			c.duplicates++
			c.fail("%s: the output of %s a second time", at, want.from)
			continue
		}
		want.seen = true
		c.outputs++
		c.compareOutput(at, r, want)
		lane := [3]any{r.Partition, want.from.topic, want.from.partition}
		if before, ok := last[lane]; ok && before > want.from.offset {
			c.inversions++
			c.fail("%s: the output of %s stands behind that of offset %d", at, want.from, before)
		}
		last[lane] = want.from.offset
	}
}

func (c *checker) compareOutput(at string, r *kgo.Record, want *expected) {
	what := ""
	switch n := len(r.Headers) - 1; {
	case r.Partition != want.Partition:
		what = fmt.Sprintf("partition, want %d", want.Partition)
	case !equal(r.Key, want.Key):
		what = "key: " + difference(r.Key, want.Key)
	case !equal(r.Value, want.Value):
		what = "value: " + difference(r.Value, want.Value)
	case r.Timestamp.UnixMilli() != want.Timestamp:
		what = fmt.Sprintf("timestamp: %d, want %d", r.Timestamp.UnixMilli(), want.Timestamp)
	case n != len(want.Headers):
		what = fmt.Sprintf("%d headers, want %d", n, len(want.Headers))
	default:
		for i, h := range want.Headers {
			if r.Headers[i].Key != h.Key || !equal(r.Headers[i].Value, h.Value) {
				what = fmt.Sprintf("header %d: %s", i, difference(r.Headers[i].Value, h.Value))
			}
		}
	}
	if what != "" {
		c.fail("%s: the output of %s differs in its %s", at, want.from, what)
	} else if !want.committed {
		c.fail("%s: the leaf %s does not commit to these bytes", at, want.leaf)
	}
}

// equal tells null from empty.
func equal(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// difference shows the surroundings of the first difference and no more.
func difference(got, want []byte) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	around := func(b []byte) string { return fmt.Sprintf("%q", b[max(0, min(i-12, len(b))):min(i+12, len(b))]) }
	return fmt.Sprintf("byte %d of %d, want %d: %s, want %s (null: %v, want %v)", i, len(got), len(want), around(got), around(want), got == nil, want == nil)
}
