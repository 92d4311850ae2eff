package faults

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/pipeline"
	"github.com/consentstream/consentstream/schemas"
)

// contactsGrown is contactsSchema with a field that nobody has classified: it
// is withheld, so outputs stay what they are.
var contactsGrown = strings.Replace(contactsSchema, `{"name": "notes"`, `{"name": "shoe_size", "type": ["null", "int"], "default": null},
  {"name": "notes"`, 1)

// TestRegistryDown: records of a schema that is known go on without the
// registry; the first record of an unknown one holds until it answers.
func TestRegistryDown(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.gather()
	d := s.start().ready()
	s.everybody()
	s.audited()
	grown := s.register(s.topic("contacts")+"-value", contactsGrown)
	var down atomic.Bool
	down.Store(true)
	s.stack.Registry.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return down.Load()
	})
	s.everybody()
	s.audited()
	if _, ready := d.status(); !ready {
		t.Error("not ready, though every schema is known")
	}
	for _, p := range crowd {
		s.sendGrown(grown, p)
	}
	d.holds(pipeline.HoldRegistry, "")
	before := len(s.read(s.topic("contacts.service")))
	s.everybody()
	down.Store(false)
	s.settled()
	d.ready().stop()
	if after := len(s.read(s.topic("contacts.service"))); before != 2*2*3 || after <= before {
		t.Errorf("%d outputs while the registry was down, %d afterwards", before, after)
	}
}

func (s *site) sendGrown(id int, person string) {
	s.t.Helper()
	codec, err := goavro.NewCodec(contactsGrown)
	s.must(err)
	in := s.next("contacts", 0, person)
	value, err := codec.BinaryFromNative(schemas.AppendFrame(nil, id), map[string]any{"id": person, "n": int64(in.n), "email": nil,
		"tags": []any{}, "shoe_size": map[string]any{"int": 43}, "notes": nil})
	s.must(err)
	r := &kgo.Record{Topic: in.topic, Key: []byte(person), Value: value}
	s.produce(r)
	s.sent([]*input{in}, []*kgo.Record{r})
}

// TestStartWithoutRegistry: the audit's schema cannot be registered yet.
func TestStartWithoutRegistry(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.gather()
	s.everybody()
	s.stack.Registry.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	d := s.start()
	d.holds(pipeline.HoldRegistry, "")
	s.stack.Registry.ClearInterceptors()
	s.settled()
	d.ready().stop()
}
