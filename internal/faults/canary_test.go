package faults

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/internal/devstack"
	"github.com/consentstream/consentstream/pipeline"
	"github.com/consentstream/consentstream/schemas"
)

// canary is a value that exists once in the world and must not get out, except
// onto the topics that are named.
type canary struct {
	where   string
	value   string
	core    []byte   // the unique part: a piece of the value is a leak too
	allowed []string // streams' topics, like "events.service"
	must    bool     // the allowed topics must have it: the search finds things
}

// cage keeps the canaries.
type cage struct{ birds []*canary }

// plant makes a canary. Its value is a text without quotes, so that it can stand
// anywhere.
func (c *cage) plant(where string, allowed ...string) string {
	var random [10]byte
	_, _ = rand.Read(random[:])
	core := hex.EncodeToString(random[:])
	b := &canary{where: where, value: "c-" + core + "@example.org", core: []byte(core), allowed: allowed}
	c.birds = append(c.birds, b)
	return b.value
}

// sure is plant for a value that must be on the allowed topics.
func (c *cage) sure(where string, allowed ...string) string {
	v := c.plant(where, allowed...)
	c.birds[len(c.birds)-1].must = true
	return v
}

// needles are the forms in which a canary would be recognised: as it is, in
// hexadecimal and base64, and hashed without a key, which for an e-mail address
// is the address.
func (b *canary) needles() map[string][]byte {
	n := map[string][]byte{"as it is": b.core, "in hex": []byte(hex.EncodeToString(b.core)), "in base64": []byte(base64.StdEncoding.EncodeToString([]byte(b.value))[:20])}
	s256, s1, m5 := sha256.Sum256([]byte(b.value)), sha1.Sum([]byte(b.value)), md5.Sum([]byte(b.value))
	for name, sum := range map[string][]byte{"SHA-256": s256[:], "SHA-1": s1[:], "MD5": m5[:]} {
		sum = sum[:16]
		n[name] = sum
		n[name+" in hex"] = []byte(hex.EncodeToString(sum))
		n[name+" in base64"] = []byte(base64.StdEncoding.EncodeToString(sum)[:20])
	}
	return n
}

// found lists what of b is in a place.
func (b *canary) found(in []byte) (forms []string) {
	for form, needle := range b.needles() {
		if bytes.Contains(in, needle) {
			forms = append(forms, form)
		}
	}
	slices.Sort(forms)
	return forms
}

// TestNeedlesFind: the search finds a canary in each form, else finding nothing
// would mean nothing.
func TestNeedlesFind(t *testing.T) {
	var c cage
	value := c.plant("here")
	sum := sha256.Sum256([]byte(value))
	for form, text := range map[string]string{
		"as it is": "…" + value, "SHA-256": "…" + string(sum[:]), "SHA-256 in hex": "…" + hex.EncodeToString(sum[:]), "SHA-256 in base64": base64.StdEncoding.EncodeToString(sum[:]),
	} {
		if !slices.Contains(c.birds[0].found([]byte(text)), form) {
			t.Errorf("%s is not found", form)
		}
	}
}

// raw is everything that readers of a topic see, in one text.
func (s *site) raw(name string) []byte {
	s.t.Helper()
	var b bytes.Buffer
	for _, r := range s.read(s.topic(name)) {
		fmt.Fprintf(&b, "\n%s\n%s\n", r.Key, r.Value)
		for _, h := range r.Headers {
			fmt.Fprintf(&b, "%s: %s\n", h.Key, h.Value)
		}
	}
	return b.Bytes()
}

// sinks are all places that a value could get to.
func (s *site) sinks(d *daemon, seen []byte) map[string][]byte {
	s.t.Helper()
	places := map[string][]byte{"log": []byte(d.log.String()), "/metrics": []byte(d.page("/metrics")), "/readyz": append(seen, d.page("/readyz")...)}
	for _, name := range []string{"consent.audit", "consent.quarantine", "consent.policies", "events.analytics", "events.service", "contacts.analytics", "contacts.service"} {
		places[name] = s.raw(name)
	}
	var b bytes.Buffer
	for bucket, fields := range s.rows() {
		for field, value := range fields {
			fmt.Fprintf(&b, "%s\n%s\n%s\n", bucket, field, value)
		}
	}
	places["Redis"] = b.Bytes()
	return places
}

// search reports every canary that is where it must not be.
func (c *cage) search(s *site, d *daemon, seen []byte) {
	s.t.Helper()
	inputs := slices.Concat(s.raw("events"), s.raw("contacts"), s.raw("consent.events"))
	places := s.sinks(d, seen)
	for _, b := range c.birds {
		if b.where != "error of a dependency" && len(b.found(inputs)) == 0 {
			s.t.Errorf("%s: was never planted", b.where)
		}
		for place, text := range places {
			forms := b.found(text)
			allowed := slices.Contains(b.allowed, place)
			switch {
			case len(forms) > 0 && !allowed:
				s.t.Errorf("LEAK: %s is in %s, %v", b.where, place, forms)
			case len(forms) == 0 && allowed && b.must:
				s.t.Errorf("%s is not in %s, where it belongs", b.where, place)
			}
		}
	}
	for place, text := range places {
		if len(text) == 0 {
			s.t.Errorf("%s is empty: nothing was searched", place)
		}
	}
}

// bad is a record that must be set aside, or denied as a whole.
type bad struct {
	name   string
	stream string
	code   schemas.Code // "": denied with SUBJECT_UNRESOLVED
	value  func(c *cage) []byte
}

// badRecords is issue 3's list, each with canaries in it.
func (s *site) badRecords() []bad {
	j := func(format string) func(*cage) []byte {
		return func(c *cage) []byte {
			text := format
			for strings.Contains(text, "CANARY") {
				text = strings.Replace(text, "CANARY", c.plant("in: "+format[:min(len(format), 60)]), 1)
			}
			return []byte(text)
		}
	}
	a := func(format string) func(*cage) []byte {
		return func(c *cage) []byte { return append(schemas.AppendFrame(nil, s.writer), j(format)(c)...) }
	}
	unframed := func(prefix []byte) func(*cage) []byte {
		return func(c *cage) []byte { return append(bytes.Clone(prefix), j("\x06bob\x02\x02\x20CANARY")(c)...) }
	}
	empty := func(*cage) []byte { return []byte{} }
	return []bad{
		{name: "truncated JSON", stream: "events", code: schemas.CodeTruncated, value: j(`{"id":"CANARY","email":"CANARY`)},
		{name: "trailing bytes", stream: "events", code: schemas.CodeTrailingBytes, value: j(`{"id":"CANARY"} "CANARY"`)},
		{name: "bad UTF-8", stream: "events", code: schemas.CodeBadUTF8, value: j(`{"id":"CANARY","email":"` + "\xff" + `CANARY"}`)},
		{name: "duplicate keys", stream: "events", code: schemas.CodeDuplicateKey, value: j(`{"id":"CANARY","email":"CANARY","email":"CANARY"}`)},
		{name: "duplicate unlisted keys", stream: "events", code: schemas.CodeDuplicateKey, value: j(`{"id":"CANARY","x-0":{"CANARY":1},"X-0":"CANARY"}`)},
		{name: "EMAIL beside email", stream: "events", code: schemas.CodeDuplicateKey, value: j(`{"id":"CANARY","EMAIL":"CANARY","email":"CANARY"}`)},
		{name: "depth 10,000", stream: "events", code: schemas.CodeTooDeep, value: j(`{"id":"CANARY","tags":` + strings.Repeat("[", 10_000) + `"CANARY"` + strings.Repeat("]", 10_000) + `}`)},
		{name: "1 MB string", stream: "events", code: schemas.CodeTooLarge, value: j(`{"id":"CANARY","email":"CANARY` + strings.Repeat("x", 1_000_000) + `"}`)},
		{name: "empty value", stream: "events", code: schemas.CodeEmptyValue, value: empty},
		{name: "top-level scalar", stream: "events", code: schemas.CodeTopLevelScalar, value: j(`"CANARY"`)},
		{name: "lone surrogate", stream: "events", code: schemas.CodeLoneSurrogate, value: j(`{"id":"CANARY","email":"\ud800CANARY"}`)},
		{name: "syntax", stream: "events", code: schemas.CodeSyntax, value: j(`{"id":"CANARY" "email":"CANARY"}`)},
		{name: "no subject", stream: "events", value: j(`{"email":"CANARY","n":-1,"CANARY":"CANARY"}`)},
		{name: "subject is a container", stream: "events", value: j(`{"id":{"CANARY":"CANARY"},"n":-1,"email":"CANARY"}`)},
		{name: "truncated Avro", stream: "contacts", code: schemas.CodeTruncated, value: a("\x44CANARY\x02\x02")},
		{name: "array bomb", stream: "contacts", code: schemas.CodeTooManyItems, value: a("\x44CANARY\x02\x00\xfc\xff\xff\xff\x0f")},
		{name: "trailing bytes", stream: "contacts", code: schemas.CodeTrailingBytes, value: a("\x02b\x02\x00\x00\x00CANARY")},
		{name: "unknown schema id", stream: "contacts", code: schemas.CodeUnknownSchema, value: unframed([]byte{0, 0, 0, 39, 15})},
		{name: "wrong magic byte", stream: "contacts", code: schemas.CodeBadMagic, value: unframed([]byte{7, 0, 0, 0, 1})},
		{name: "bad UTF-8", stream: "contacts", code: schemas.CodeBadUTF8, value: a("\x46\xffCANARY\x02\x00\x00\x00")},
		{name: "bad branch", stream: "contacts", code: schemas.CodeBadBranch, value: a("\x44CANARY\x02\x08CANARY")},
		{name: "negative length", stream: "contacts", code: schemas.CodeBadLength, value: a("\x41CANARY")},
		{name: "1 MB string", stream: "contacts", code: schemas.CodeTooLarge, value: a("\x44CANARY\x02\x00\x00\x00" + strings.Repeat("x", 1_000_000))},
		{name: "empty value", stream: "contacts", code: schemas.CodeEmptyValue, value: empty},
		{name: "no subject", stream: "contacts", value: a("\x00\x01\x02\x44CANARY\x02\x44CANARY\x00\x02\x44CANARY")},
	}
}

// TestCanaries: unique values in every place that a sender can fill, in good
// records and in every kind of bad one, while dependencies fail with texts of
// their own: each bad record is set aside with its code and audited, no
// partition is blocked, and no value is anywhere that it may not be.
func TestCanaries(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	var c cage
	good := s.goodCanaries(&c)
	d := s.start().ready()
	list := s.badRecords()
	sent := make([]*input, len(list))
	for i, b := range list {
		sent[i] = s.sendRaw(&c, b, good)
	}
	good("events")
	good("contacts")
	seen := s.failingDependencies(&c, d, good)
	s.badConsents(&c)
	good("events")
	leaves, lines := s.settled(), s.quarantined()
	for i, b := range list {
		place := at{sent[i].id, sent[i].partition, sent[i].offset}
		b.judge(t, leaves[place])
		if got := lines[place]; b.code == "" && got != nil || b.code != "" && !slices.Equal(got, []string{"INPUT_MALFORMED " + string(b.code)}) {
			t.Errorf("%s (%s): quarantined as %q, want %q once", b.name, b.stream, got, b.code)
		}
	}
	s.malformedConsents()
	c.search(s, d.ready(), seen)
	d.stop()
	for _, b := range c.birds {
		if forms := b.found([]byte(d.log.String())); len(forms) > 0 {
			t.Errorf("LEAK: %s is in the log of the shutdown, %v", b.where, forms)
		}
	}
	if len(c.birds) < 100 {
		t.Errorf("only %d canaries", len(c.birds))
	}
}

// quarantined gives what the quarantine says of input records, by place.
func (s *site) quarantined() map[at][]string {
	s.t.Helper()
	lines := map[at][]string{}
	for _, r := range s.read(s.topic("consent.quarantine")) {
		var q struct {
			TopicID        string `json:"topic_id"`
			Partition      int32
			Offset         int64
			Reason, Detail string
		}
		s.must(json.Unmarshal(r.Value, &q))
		place := at{partition: q.Partition, offset: q.Offset}
		_, err := hex.Decode(place.id[:], []byte(q.TopicID))
		s.must(err)
		lines[place] = append(lines[place], q.Reason+" "+q.Detail)
	}
	return lines
}

func (b bad) judge(t *testing.T, a leaf) {
	t.Helper()
	switch {
	case b.code != "":
		if a.Kind != audit.LeafQuarantine || a.Reason != "INPUT_MALFORMED" || a.Detail != string(b.code) {
			t.Errorf("%s (%s): leaf kind %d, %s %s at %q, want quarantine for %s", b.name, b.stream, a.Kind, a.Reason, a.Detail, a.Path, b.code)
		}
	case a.Kind != audit.LeafRecord || len(a.Decisions) != 2:
		t.Errorf("%s (%s): leaf kind %d, %s %s", b.name, b.stream, a.Kind, a.Reason, a.Detail)
	default:
		for _, dec := range a.Decisions {
			if dec.Permit || dec.Reason != "SUBJECT_UNRESOLVED" {
				t.Errorf("%s (%s): %s permit=%v %s", b.name, b.stream, dec.Purpose, dec.Permit, dec.Reason)
			}
		}
	}
}

// sendRaw sends a bad record between two good ones of its partition.
func (s *site) sendRaw(c *cage, b bad, good func(string)) *input {
	s.t.Helper()
	good(b.stream)
	in := s.next(b.stream, 0, "")
	r := &kgo.Record{Topic: in.topic, Key: []byte(c.plant("key of a bad record")), Value: b.value(c),
		Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte(c.plant("header of a bad record"))}, {Key: c.plant("header name"), Value: nil}}}
	s.produce(r)
	s.sent([]*input{in}, []*kgo.Record{r})
	good(b.stream)
	return in
}

// goodCanaries makes a person who is a canary and consents, with canaries in all
// parts of the event that only document, and gives what sends a record of hers
// with canaries in all fields, listed or not.
func (s *site) goodCanaries(c *cage) func(stream string) {
	s.t.Helper()
	id := c.sure("id of a person", "events.service", "contacts.service")
	event := strings.Replace(string(s.event(id, "grant")), `"method":"web_form"`,
		fmt.Sprintf(`"reference":%q,"method":"web_form"`, c.plant("evidence reference")), 1)
	event = strings.Replace(event, `"id":"event-`, `"attributes":{"birth_date":"1987-06-05"},"id":"`+c.plant("consent event id")+`-`, 1)
	s.produce(&kgo.Record{Topic: s.topic("consent.events"), Key: []byte("crm:" + id), Value: []byte(event)})
	s.said(id, "grant")
	email := c.sure("email", "events.service")
	tag := c.sure("tag", "events.analytics")
	other, name := c.plant("value of an unlisted field"), c.plant("name of an unlisted field")
	trace := c.sure("listed header", "events.analytics", "events.service")
	hidden := c.plant("unlisted header")
	avroEmail, avroTag, notes := c.sure("email in Avro", "contacts.service"), c.sure("tag in Avro", "contacts.analytics"), c.plant("unlisted Avro field")
	return func(stream string) {
		s.t.Helper()
		in := s.next(stream, 0, id)
		r := &kgo.Record{Topic: in.topic, Key: []byte(id), Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte(trace)}, {Key: hidden, Value: []byte(hidden)}}}
		if stream == "events" {
			r.Value = fmt.Appendf(nil, `{"id":%q,"n":%d,"email":%q,"tags":[%q],%q:%q,"deep":{"x":[%q]}}`, id, in.n, email, tag, name, other, other)
		} else {
			var err error
			r.Value, err = s.codec.BinaryFromNative(schemas.AppendFrame(nil, s.writer), map[string]any{"id": id, "n": int64(in.n),
				"email": map[string]any{"string": avroEmail}, "tags": []any{avroTag}, "notes": map[string]any{"string": notes}})
			s.must(err)
		}
		s.produce(r)
		s.sent([]*input{in}, []*kgo.Record{r})
	}
}

// failingDependencies lets registry and Redis answer with texts that hold
// canaries, as registries that quote schemas and Redis that quotes arguments do.
// It gives what health said meanwhile.
func (s *site) failingDependencies(c *cage, d *daemon, good func(string)) (seen []byte) {
	s.t.Helper()
	grown := s.register(s.topic("contacts")+"-value", contactsGrown)
	text := c.plant("error of a dependency")
	s.stack.Registry.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, `{"error_code":50001,"message":"`+text+`"}`, http.StatusInternalServerError)
		return true
	})
	s.sendGrown(grown, "ulf")
	d.holds(pipeline.HoldRegistry, "")
	seen = append(seen, d.page("/readyz")+d.page("/metrics")...)
	s.stack.Registry.ClearInterceptors()
	s.audited()
	s.stack.Redis.SetError("WRONGTYPE " + text)
	good("events")
	d.holds(pipeline.HoldStates, "")
	seen = append(seen, d.page("/readyz")+d.page("/metrics")...)
	s.stack.Redis.SetError("")
	devstack.BePrimary(s.stack.Redis)
	s.audited()
	return seen
}

// badConsents records consent events that cannot be taken as they are.
func (s *site) badConsents(c *cage) {
	s.t.Helper()
	for _, format := range []string{
		`{"id":"CANARY","subject":{"namespace":"crm","value":"CANARY"},"action":"grant"`,
		`{"id":"CANARY","subject":{"namespace":"crm","value":"CANARY"},"action":"CANARY","purposes":["analytics"]}`,
		`{"id":"CANARY","subject":{"namespace":"CANARY","value":"CANARY"},"action":"withdraw","purposes":["analytics"]}`,
		`{"id":"x","CANARY":1,"subject":{"namespace":"crm","value":"CANARY"},"action":"withdraw","purposes":["analytics"]}`,
		`CANARY`,
	} {
		key, text := c.plant("key of a bad consent event"), format
		for strings.Contains(text, "CANARY") {
			text = strings.Replace(text, "CANARY", c.plant("consent event "+format), 1)
		}
		s.produce(&kgo.Record{Topic: s.topic("consent.events"), Key: []byte("crm:" + key), Value: []byte(text)})
	}
}

// malformedConsents waits until all of badConsents are in quarantine.
func (s *site) malformedConsents() {
	s.t.Helper()
	s.eventually("the malformed consent events are in quarantine", func() bool {
		return bytes.Count(s.raw("consent.quarantine"), []byte("STATE_MALFORMED")) >= 5
	})
}
