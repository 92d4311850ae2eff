package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// registered remembers what the registry has said.
type registered struct {
	mu      sync.Mutex
	writers map[uint32]string // schema ids of inputs
	outputs map[string]uint32 // by topic
}

func newRegistered() registered {
	return registered{writers: map[uint32]string{}, outputs: map[string]uint32{}}
}

// writers registers the two writer schemas of the contacts: the shipped one, and
// one with a field that the wiring does not list.
func (w *world) writers() (shipped, wider uint32) {
	narrow, wide := w.writerSchemas()
	return w.register(narrow), w.register(wide)
}

func (w *world) writerSchemas() (shipped, wider string) {
	text := w.read("../../configs/demo/crm.contacts.avsc")
	var doc map[string]any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		w.t.Fatal(err)
	}
	loyalty := map[string]any{"name": "loyalty_card", "type": []any{"null", "string"}, "default": nil}
	doc["fields"] = append([]any{loyalty}, doc["fields"].([]any)...)
	more, err := json.Marshal(doc)
	if err != nil {
		w.t.Fatal(err)
	}
	return text, string(more)
}

func (w *world) register(text string) uint32 {
	ctx, cancel := w.ctx(20 * time.Second)
	defer cancel()
	s, err := w.sr.CreateSchema(ctx, w.topic(contacts)+"-value", sr.Schema{Schema: text, Type: sr.TypeAvro})
	if err != nil {
		w.t.Fatal(err)
	}
	w.answers.mu.Lock()
	defer w.answers.mu.Unlock()
	w.answers.writers[uint32(s.ID)] = text
	return uint32(s.ID)
}

// schema is reference.World.Schema: the writer schemas of this run.
func (w *world) schema(id uint32) (string, bool) {
	w.answers.mu.Lock()
	defer w.answers.mu.Unlock()
	text, ok := w.answers.writers[id]
	return text, ok
}

// outputID is reference.World.OutputID: the one schema registered for an
// output topic. It is compared with the derived one when it is first met.
func (w *world) outputID(topic string) (uint32, error) {
	w.answers.mu.Lock()
	defer w.answers.mu.Unlock()
	if id, ok := w.answers.outputs[topic]; ok {
		return id, nil
	}
	ctx, cancel := w.ctx(20 * time.Second)
	defer cancel()
	all, err := w.sr.Schemas(ctx, topic+"-value")
	if err != nil {
		return 0, err
	}
	if len(all) != 1 {
		return 0, fmt.Errorf("%d schemas are registered for %s, want 1", len(all), topic)
	}
	w.answers.outputs[topic] = uint32(all[0].ID)
	return uint32(all[0].ID), nil
}

// checkSchemas compares the derived schemas of both writer schemas with what is
// registered, and looks for names that must not be in it at all.
func (w *world) checkSchemas(writers ...uint32) {
	s := w.ref.Stream(w.topic(contacts))
	hidden := map[string][]string{
		"analytics":       {"first_name", "last_name", "birth_date", "lifetime_value", "last_login_ip", "notes", "loyalty_card", "event_id"},
		"marketing.email": {"phone", "birth_date", "address", "tags", "lifetime_value", "last_login_ip", "notes", "loyalty_card", "event_id", "company"},
		"service":         {"birth_date", "tags", "accessibility_needs", "notes", "loyalty_card", "marketing_score"},
	}
	for _, purpose := range purposes {
		topic := s.Topic + "." + purpose
		ctx, cancel := w.ctx(20 * time.Second)
		all, err := w.sr.Schemas(ctx, topic+"-value")
		cancel()
		if err != nil || len(all) != 1 {
			w.t.Fatalf("%s: %d schemas are registered, want 1 (%v)", topic, len(all), err)
		}
		for _, id := range writers {
			a, err := w.ref.Avro(s, purpose, id)
			if err != nil {
				w.t.Fatal(err)
			}
			if err := a.CheckSchema(all[0].Schema.Schema); err != nil {
				w.t.Fatalf("%s: %v", topic, err)
			}
		}
		for _, name := range append(hidden[purpose], "doc", "aliases", "ISO 3166") {
			if strings.Contains(all[0].Schema.Schema, `"`+name) {
				w.t.Errorf("%s: the registered schema names %s", topic, name)
			}
		}
	}
}
