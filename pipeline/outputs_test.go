package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/schemas"
)

var errWider = fmt.Errorf("%w: %w", schemas.ErrIncompatible,
	&schemas.IncompatibleError{Changes: []string{"would newly see email (nullable string)"}})

// An output schema that the registered one's readers do not know refuses the
// start, and holds the lane where it comes up later: both say what is new to
// whom, and what to do if it may be.
func TestOutputWidens(t *testing.T) {
	r, id := avroRig(t)
	r.cfg.RegistryURL = "http://registry"
	const says = "events.analytics-value: purpose analytics would newly see email (nullable string)"
	const mend = "curl -X DELETE http://registry/subjects/events.analytics-value"
	r.outage(func(m *memoryRegistry) { m.refuse = errWider })
	named := r.start(func(cfg *Config) {
		cfg.Engine.Streams = slices.Clone(cfg.Engine.Streams)
		cfg.Engine.Streams[0].Schema = contactSchema
	})
	var refusal *Refusal
	if err := named.wait(); !errors.As(err, &refusal) || len(refusal.Complaints) == 0 {
		t.Fatalf("the start is not refused: %v", err)
	}
	if c := refusal.Complaints[0]; !strings.HasSuffix(c.What, says) || c.Command != mend {
		t.Errorf("%q, %q", c.What, c.Command)
	}

	r.consent(1, "grant")
	run := r.start()
	r.produce(contact(id))
	r.eventually("hold", func() bool {
		st := run.Status()
		return len(st.Holds) == 1 && st.Holds[0].Code == HoldIncompatible && st.Holds[0].Detail == says && st.Holds[0].Mend == mend
	})
	r.outage(func(m *memoryRegistry) { m.refuse = nil })
	r.audited(1)
}
