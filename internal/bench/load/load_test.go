package load

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
)

const now = 1_795_000_000_000

func TestContactsAreAvroOfAboutTheStatedSize(t *testing.T) {
	codec, err := goavro.NewCodec(ContactSchema)
	if err != nil {
		t.Fatal(err)
	}
	g := New(Config{SchemaID: 7, Now: now})
	total := 0
	for i := range 2000 {
		key, value := g.Contact(nil, i)
		if !bytes.HasPrefix(value, []byte{0, 0, 0, 0, 7}) {
			t.Fatalf("record %d: frame % x", i, value[:5])
		}
		native, rest, err := codec.NativeFromBinary(value[5:])
		if err != nil || len(rest) > 0 {
			t.Fatalf("record %d: %v, %d bytes left", i, err, len(rest))
		}
		if id := native.(map[string]any)["contact_id"]; id != string(key) {
			t.Fatalf("record %d: contact_id %v, key %s", i, id, key)
		}
		total += len(value)
	}
	if mean := total / 2000; mean < 430 || mean > 530 {
		t.Errorf("mean size %d bytes, want about 480", mean)
	}
}

func TestMarketingEventsAreJSONOfAboutTheStatedSize(t *testing.T) {
	g := New(Config{Now: now})
	total := 0
	for i := range 2000 {
		key, value := g.Marketing(nil, i)
		var event struct {
			ContactID string `json:"contact_id"`
		}
		if err := json.Unmarshal(value, &event); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if event.ContactID != string(key) {
			t.Fatalf("record %d: contact_id %s, key %s", i, event.ContactID, key)
		}
		total += len(value)
	}
	if mean := total / 2000; mean < 720 || mean > 880 {
		t.Errorf("mean size %d bytes, want about 800", mean)
	}
}

func TestXDMEventsAreJSONOfAboutTheStatedSize(t *testing.T) {
	g := New(Config{Now: now})
	total := 0
	for i := range 500 {
		key, value := g.XDM(nil, i)
		var event struct {
			IdentityMap struct{ CRMID []struct{ ID string } }
		}
		if err := json.Unmarshal(value, &event); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if id := event.IdentityMap.CRMID[0].ID; id != string(key) || bytes.ContainsAny(value, "~\n") {
			t.Fatalf("record %d: id %s, key %s: %s", i, id, key, value)
		}
		total += len(value)
	}
	if mean := total / 500; mean < 4800 || mean > 5400 {
		t.Errorf("mean size %d bytes, want about 5,000", mean)
	}
}

func TestGrantsAreSeventyPercentPerPurpose(t *testing.T) {
	g := New(Config{Subjects: 10_000, Now: now})
	purposes := []string{"analytics", "marketing.email", "service"}
	var granted [3]int
	for s := range g.Subjects() {
		_, value := g.Grant(nil, s, purposes, "acme-mailer")
		if value == nil {
			continue
		}
		var event struct{ Purposes []string }
		if err := json.Unmarshal(value, &event); err != nil {
			t.Fatal(err)
		}
		for n, p := range purposes {
			if has := strings.Contains(strings.Join(event.Purposes, " "), p); has != g.Permitted(s, n) {
				t.Fatalf("subject %d, %s: event says %v", s, p, has)
			} else if has {
				granted[n]++
			}
		}
	}
	for n, c := range granted {
		if c < 6800 || c > 7200 {
			t.Errorf("%s: %d of 10,000 granted, want about 7,000", purposes[n], c)
		}
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	for i := range 100 {
		a, b, other := New(Config{Now: now}), New(Config{Now: now}), New(Config{Now: now, Seed: 1})
		_, va := a.Contact(nil, i)
		b.Marketing(nil, i) // what was generated before must not matter
		_, vb := b.Contact([]byte("prefix"), i)
		_, vo := other.Contact(nil, i)
		if !bytes.Equal(va, vb) {
			t.Fatalf("record %d differs between two generators of one seed", i)
		}
		if bytes.Equal(va, vo) {
			t.Fatalf("record %d is the same under another seed", i)
		}
	}
}
