package eval

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/policy"
)

// loadConsents folds the consents file into the in-process state.
func (r *runner) loadConsents(ns consent.Namespaces) error {
	tagger, err := engine.Tagger(r.cfg.Engine.Policy, r.cfg.Engine.Keys)
	if err != nil {
		return err
	}
	r.states = consent.NewMemory(tagger)
	if r.cfg.Consents == nil {
		return nil
	}
	lines := lineReader{r: bufio.NewReader(r.cfg.Consents)}
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("consents: %w", err)
		}
		value, received, err := r.consentLine(line)
		if err != nil {
			return fmt.Errorf("consents line %d: %w", lines.n, err)
		}
		ev := consent.ParseUnkeyed(value, consent.Position{Offset: lines.n - 1}, received, ns)
		r.note(lines.n, &ev)
		r.ids = append(r.ids, ev.ID)
		r.states.Fold(&ev)
	}
}

// note says of an event that it does not do what its author may think: on a
// topic it would be quarantined, or change nothing, just as silently.
func (r *runner) note(line int64, ev *consent.Event) {
	if len(r.sum.Notes) >= maxNotes {
		return
	}
	if ev.Malformed != consent.NoFault {
		effect := "it counts for nobody"
		switch n := len(ev.Named); {
		case n == 1:
			effect = "it denies its subject"
		case n > 1:
			effect = fmt.Sprintf("it denies the %d people whom it names", n)
		}
		r.sum.Notes = append(r.sum.Notes, Note{line, fmt.Sprintf("the event is malformed (%s), so %s: %s", ev.Malformed, effect, ev.Malformed.Explain())})
		return
	}
	if void := ev.Void(); void != "" {
		r.sum.Notes = append(r.sum.Notes, Note{line, "the event changes less than it says: " + void})
	}
	for _, id := range ev.Purposes {
		if r.cfg.Engine.Policy.Concerns(id) {
			continue
		}
		text := fmt.Sprintf("purpose %q is not in the policy: the event changes nothing for it", id)
		if near := policy.Nearest(id, r.cfg.Engine.Policy.PurposeIDs()); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		r.sum.Notes = append(r.sum.Notes, Note{line, text})
	}
}

// consentLine tells an event from {"timestamp": …, "value": {…}}.
func (r *runner) consentLine(line []byte) (value []byte, received int64, err error) {
	var timestamp *string
	var wrapped jsontext.Value
	if decodeMembers(line, map[string]any{"timestamp": &timestamp, "value": &wrapped}) != nil || timestamp == nil && wrapped == nil {
		return line, r.cfg.At, nil
	}
	received = r.cfg.At
	if timestamp != nil {
		t, err := time.Parse(time.RFC3339, *timestamp)
		if err != nil {
			return nil, 0, errors.New("timestamp is not RFC 3339 with a zone, such as 2026-11-01T10:00:00Z")
		}
		received = t.UnixMilli()
	}
	return wrapped, received, nil
}
