package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/app"
	"github.com/consentstream/consentstream/pipeline"
)

// maxEvent bounds what is read of an event; the topic takes 64 KiB.
const maxEvent = 1 << 20

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxEvent+1))
	if err == nil && len(b) > maxEvent {
		err = fmt.Errorf("the event is larger than %d bytes", maxEvent)
	}
	return b, err
}

// recordEvent appends an event and says where it stands.
func recordEvent(ctx context.Context, std stdio, cfg *configs.Config, event []byte, f format) error {
	now := time.Now().UnixMilli()
	ev := consent.ParseUnkeyed(event, consent.Position{}, now, engine.Namespaces(cfg.Policy))
	if err := checkPurposes("the purpose", ev.Purposes, cfg.Policy); err != nil {
		return err
	}
	// Asked first: a topic or broker that is not there would be waited for.
	if _, err := pipeline.LookupConsentTopic(ctx, cfg.Kafka.SeedBrokers, nil, cfg.Topics.Consent); err != nil {
		return err
	}
	at, err := pipeline.RecordConsent(ctx, cfg.Kafka.SeedBrokers, nil, cfg.Topics.Consent, event, engine.Namespaces(cfg.Policy))
	if err != nil {
		return err
	}
	if void := ev.Void(); void != "" {
		fmt.Fprintln(std.err, "consentstream: the event is recorded, but "+void)
	}
	for _, text := range shortOf(cfg.Policy, &ev, now) {
		fmt.Fprintln(std.err, "consentstream: the event is recorded, but "+text)
	}
	if f == "json" {
		return json.NewEncoder(std.out).Encode(map[string]any{"topic": cfg.Topics.Consent, "partition": at.Partition, "offset": at.Offset})
	}
	_, err = fmt.Fprintf(std.out, "recorded in %s, partition %d, offset %d\n", cfg.Topics.Consent, at.Partition, at.Offset)
	return err
}

func newConsentShow(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "show NAMESPACE:VALUE",
		Short: "Show what is known of a person, and up to where that is complete",
		Long: `Show the folded state of one identifier as decisions see it, read from Redis and
verified, with its watermark: the offset in each partition of the consent topic
up to which every event is taken into account, and the tag by which the audit names
the person.`,
		Example: "  consentstream consent show crm:42\n  consentstream consent show crm:42 --format json",
		Args:    oneSubject,
	}
	path := addConfig(c)
	format := addFormat(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		ns, value, _ := strings.Cut(args[0], ":")
		cfg, err := load(std, *path)
		if err != nil {
			return err
		}
		if err := checkNamespace(ns, cfg.Policy); err != nil {
			return usage(c, err)
		}
		ctx, cancel := context.WithTimeout(c.Context(), 15*time.Second)
		defer cancel()
		a, err := app.New(cfg, zerolog.Nop(), version)
		if err != nil {
			return err
		}
		row, cut, err := a.Lookup(ctx, ns, value)
		if err != nil {
			return err
		}
		s := shownState(row, cut)
		if s.AuditTag, err = a.AuditTag(ns, value); err != nil {
			return err
		}
		if *format == "json" {
			return json.NewEncoder(std.out).Encode(s)
		}
		return s.print(std.out)
	}
	return c
}

// oneSubject wants NAMESPACE:VALUE.
func oneSubject(_ *cobra.Command, args []string) error {
	if len(args) != 1 || strings.Index(args[0], ":") < 1 || strings.HasSuffix(args[0], ":") {
		return errors.New("consent show needs one NAMESPACE:VALUE, for example crm:42")
	}
	return nil
}

// shown is a state as JSON.
type shown struct {
	Known     bool           `json:"known"`
	Watermark consent.Vector `json:"watermark"`
	AuditTag  string         `json:"audit_tag"`
	Malformed string         `json:"malformed_received,omitempty"`
	Overflown bool           `json:"overflown,omitempty"`
	Purposes  []shownSlot    `json:"purposes"`
}

type shownSlot struct {
	Purpose string       `json:"purpose"`
	Pending bool         `json:"pending,omitempty"`
	Grant   *shownGrant  `json:"grant,omitempty"`
	Denials []shownEvent `json:"events,omitempty"`
}

type shownEvent struct {
	Action    string `json:"action"`
	At        string `json:"at"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

type shownGrant struct {
	shownEvent
	Expires    string   `json:"expires,omitempty"`
	Proven     bool     `json:"proven"`
	Explicit   bool     `json:"explicit"`
	Recipients []string `json:"recipients,omitempty"`
	Notice     string   `json:"notice,omitempty"`
}

func shownState(row *consent.Row, cut consent.Vector) shown {
	s := shown{Watermark: cut, Purposes: []shownSlot{}}
	if row == nil {
		return s
	}
	s.Known = true
	s.Malformed, s.Overflown = instant(row.Malformed), row.Overflown()
	for i := range row.Slots {
		s.Purposes = append(s.Purposes, shownSlotOf(&row.Slots[i]))
	}
	return s
}

func shownSlotOf(slot *consent.Slot) shownSlot {
	s := shownSlot{Purpose: slot.Key, Pending: slot.Pending}
	for _, n := range slot.No {
		if n.Set {
			s.Denials = append(s.Denials, shownEvent{n.Action.String(), instant(n.At), n.Pos.Partition, n.Pos.Offset})
		}
	}
	if y := slot.Y; y.Set {
		s.Grant = &shownGrant{shownEvent: shownEvent{"grant", instant(y.T), y.Pos.Partition, y.Pos.Offset},
			Expires: instant(y.Expires), Proven: y.Proven, Explicit: y.Explicit, Recipients: slices.Clone(y.Recipients), Notice: strings.TrimSuffix(y.NoticeID+":"+y.NoticeVer, ":")}
	}
	return s
}

// instant is a time for people; "" for none.
func instant(ms int64) string {
	if ms <= -consent.Infinite || ms >= consent.Infinite {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339)
}

func (s *shown) print(w io.Writer) error {
	fmt.Fprintf(w, "complete up to: %s\n", offsets(s.Watermark))
	fmt.Fprintf(w, "in the audit: subject tag %s\n", s.AuditTag)
	if !s.Known {
		_, err := fmt.Fprintln(w, "nothing was ever said about this person: consent purposes deny")
		return err
	}
	if len(s.Purposes) == 0 && s.Malformed == "" {
		fmt.Fprintln(w, "nothing that was said about this person permits or denies: consent purposes deny")
	}
	if s.Overflown {
		fmt.Fprintln(w, "more was said of this person than a state holds; it denies for good")
	}
	if s.Malformed != "" {
		fmt.Fprintf(w, "a malformed event was received %s; it denies until a later grant or lift\n", s.Malformed)
	}
	for _, p := range s.Purposes {
		fmt.Fprintln(w, p.Purpose)
		if g := p.Grant; g != nil {
			fmt.Fprintf(w, "  grant            %s  partition %d offset %d  proven: %t, explicit: %t, notice: %s, recipients: %s, expires: %s\n", g.At, g.Partition, g.Offset, g.Proven, g.Explicit,
				cmp.Or(g.Notice, "none"), cmp.Or(strings.Join(g.Recipients, " "), "none"), cmp.Or(g.Expires, "never"))
		}
		for _, n := range p.Denials {
			fmt.Fprintf(w, "  %-16s %s  partition %d offset %d\n", n.Action, n.At, n.Partition, n.Offset)
		}
		if p.Pending {
			fmt.Fprintln(w, "  requested, not answered")
		}
	}
	return nil
}

func offsets(v consent.Vector) string {
	parts := make([]string, len(v))
	for p, o := range v {
		parts[p] = fmt.Sprintf("partition %d offset %d", p, o)
	}
	return strings.Join(parts, ", ")
}
