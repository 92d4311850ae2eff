package e2e

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/internal/reference"
)

// checkQuarantine wants one record for each bad one and nothing of it, and at
// least one for each malformed consent event (the projector may repeat itself
// after a crash, and says so).
func (c *checker) checkQuarantine() {
	type line struct {
		Version, Partition, KeyBytes, ValueBytes, HeaderBytes, HeaderCount, AuditPartition, KeyEpoch int
		Offset, Timestamp, AuditIndex                                                                int64
		Group, Topic, TopicID, Reason, Detail, Path, PayloadHMAC, AuditTopic, Program                string
	}
	seen := map[place]bool{}
	told := map[reference.Position]bool{}
	for _, r := range c.collect(quarantine) {
		var q line
		// The members are snake case; without _ they are the fields' names.
		if err := json.Unmarshal(squeeze(r.Value), &q); err != nil || r.Key != nil || len(r.Headers) > 0 {
			c.fail("quarantine %d/%d: not a line of coordinates", r.Partition, r.Offset)
			continue
		}
		at := place{q.Topic, int32(q.Partition), q.Offset}
		if q.Topic == c.topic(consents) {
			p := reference.Position{Partition: int32(q.Partition), Offset: q.Offset}
			if !c.malformed[p] || q.Reason != "STATE_MALFORMED" {
				c.fail("quarantine %d/%d: the consent event %s is not malformed", r.Partition, r.Offset, at)
			}
			told[p] = true
			continue
		}
		l, in := c.set[at], c.inputs[at]
		if in == nil || l.kind == "" || seen[at] {
			c.fail("quarantine %d/%d: %s is no bad record, or stands here twice", r.Partition, r.Offset, at)
			continue
		}
		seen[at] = true
		lane, id, headers := c.lane(at), c.ids[at.topic], 0
		for _, h := range in.Headers {
			headers += len(h.Key) + len(h.Value)
		}
		same := q.Version == 1 && q.Group == lane.Group && q.TopicID == digest(id[:]) && q.Timestamp == in.Timestamp && q.Reason == l.reason && q.Detail == l.detail &&
			q.Path == l.path && q.KeyBytes == size(in.Key) && q.ValueBytes == size(in.Value) && q.HeaderBytes == headers && q.HeaderCount == len(in.Headers) &&
			q.PayloadHMAC == digest(c.keys.PayloadMAC(lane, in)) && q.KeyEpoch == c.keys.Epoch && q.AuditIndex == l.index && q.AuditTopic == c.topic(auditTopic)
		if !same {
			c.fail("quarantine %d/%d: wrong coordinates for %s: %s", r.Partition, r.Offset, at, r.Value)
		}
	}
	for at := range c.set {
		if !seen[at] {
			c.fail("%s is missing in quarantine", at)
		}
	}
	for p := range c.malformed {
		if !told[p] {
			c.fail("the malformed consent event %d/%d is missing in quarantine", p.Partition, p.Offset)
		}
	}
}

// squeeze takes the _ out of the member names.
func squeeze(b []byte) []byte {
	return regexp.MustCompile(`"[a-z_]+":`).ReplaceAllFunc(b, func(m []byte) []byte { return bytes.ReplaceAll(m, []byte("_"), nil) })
}

func size(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

// shown are the canaries that a purpose may see, written from the policy by
// hand: the reference, which reads the same policy, has no say here.
var shown = map[string][]string{
	contacts + ".analytics":       {"language", "country", "tag", "trace"},
	contacts + ".marketing.email": {"email", "first", "language", "accessibility", "trace"},
	contacts + ".service": {"eventid", "subject", "email", "phone", "first", "last", "company", "job", "street", "city", "postal", "country", "ip",
		"trace"},
	events + ".analytics":       {"campaign", "url", "product", "coupon", "mood", "sku", "new"},
	events + ".marketing.email": {"email", "health"},
	events + ".service":         {"eventid", "subject", "email", "ip", "agent", "agentname", "last", "postal", "street"},
}

var canaries = regexp.MustCompile(`ZZ([a-z]+)ZZ`)

// checkCanaries looks for values where they must not be, and for some where
// they must be: a search that finds nothing anywhere would prove nothing.
func (c *checker) checkCanaries(pages string) {
	for name, allowed := range shown {
		found := map[string]bool{}
		for _, r := range c.collect(name) {
			for field := range fields(r) {
				if found[field] = true; !slices.Contains(allowed, field) {
					c.fail("%s %d/%d: a %s shows", name, r.Partition, r.Offset, field)
				}
			}
		}
		for _, field := range allowed {
			if !found[field] {
				c.fail("%s: no %s shows in any record", name, field)
			}
		}
	}
	for _, name := range []string{auditTopic, quarantine, policies} {
		for _, r := range c.collect(name) {
			for field := range fields(r) {
				c.fail("%s %d/%d: a %s shows", name, r.Partition, r.Offset, field)
			}
		}
	}
	if !strings.Contains(pages, "consentstream_records_total") {
		c.fail("no metrics were seen")
	}
	texts := map[string]string{"metrics or health": pages}
	for _, log := range c.logs {
		texts[log] = c.read(log)
	}
	for name, text := range texts {
		if m := canaries.FindStringSubmatch(text); m != nil {
			c.fail("%s: a %s shows", name, m[1])
		}
		if m := regexp.MustCompile(`5E0FC0DE-\d{4}`).FindString(text); m != "" {
			c.fail("%s: an identifier shows", name)
		}
	}
}

// fields are the names of the canaries in any part of a record.
func fields(r *kgo.Record) map[string]bool {
	all := map[string]bool{}
	look := func(b []byte) {
		for _, m := range canaries.FindAllSubmatch(b, -1) {
			all[string(m[1])] = true
		}
	}
	look(r.Key)
	look(r.Value)
	for _, h := range r.Headers {
		look([]byte(h.Key))
		look(h.Value)
	}
	return all
}

// report prints what the issue asks for.
func (c *checker) report(kills int, began time.Time) {
	c.t.Logf("records %d (aborted %d), kills %d, lost %d, duplicates %d, inversions %d, quarantined %d, decisions compared %d, permits %d, outputs compared %d, lane transactions %d, cuts %d, torn leaves %d, %.1f s",
		c.records, c.feed.abort, kills, c.lost, c.duplicates, c.inversions, c.quarantined, c.decisions, c.permits, c.outputs, c.transactions, c.cuts, c.torn, time.Since(began).Seconds())
	var names []string
	for name := range c.reasons {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		b.WriteString(" " + name + " " + itoa(c.reasons[name]))
	}
	c.t.Logf("reasons:%s", b.String())
}
