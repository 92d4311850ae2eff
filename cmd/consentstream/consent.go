package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/consent"
)

func newConsent(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "consent",
		Short: "Record what a person decided, or show what is known of a person",
		Example: `  consentstream consent record --subject crm:42 --action withdraw --purpose marketing.email
  consentstream consent show crm:42`,
		RunE: group,
	}
	c.AddCommand(newConsentRecord(std), newConsentShow(std))
	return c
}

// consentEvent is the shape of DESIGN section 5, as far as flags give it.
type consentEvent struct {
	ID      string `json:"id"`
	Subject struct {
		Namespace string `json:"namespace"`
		Value     string `json:"value"`
	} `json:"subject"`
	Action      string           `json:"action"`
	Purposes    []string         `json:"purposes,omitempty"`
	ConsentType string           `json:"consent_type,omitempty"`
	Recipients  []string         `json:"recipients,omitempty"`
	AssertedAt  string           `json:"asserted_at,omitempty"`
	ExpiresAt   string           `json:"expires_at,omitempty"`
	CoversPast  bool             `json:"covers_past,omitempty"`
	Notice      *consentNotice   `json:"notice,omitempty"`
	Evidence    *consentEvidence `json:"evidence,omitempty"`
}

type consentNotice struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

type consentEvidence struct {
	Method string `json:"method"`
	Source string `json:"source"`
}

// recordFlags are what `consent record` was told.
type recordFlags struct {
	subject, action, kind, notice, evidence, expires, asserted string
	purposes, recipients                                       []string
	coversPast                                                 bool
}

func newConsentRecord(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "record --subject NAMESPACE:VALUE --action ACTION [--purpose ID]…",
		Short: "Append a consent event to the consent topic",
		Long: `Append one event to the consent topic and wait until Kafka has acknowledged it. A
withdrawal needs no more than a subject and an action. A grant counts only with
its proof: --type, --notice and --evidence, and where the policy asks for them with
--recipient; what it lacks is said on standard error. With --file - the event is read as
JSON from standard input instead.`,
		Example: `  consentstream consent record --subject crm:42 --action withdraw --purpose marketing.email
  consentstream consent record --subject crm:42 --action grant --purpose analytics --type explicit --notice signup:3 --evidence web_form:shop
  consentstream consent record --subject crm:42 --action grant --purpose marketing.email --type explicit --notice signup:3 --evidence web_form:shop --recipient acme-mailer
  consentstream consent record --file - < event.json`,
		Args: noArgs,
	}
	path := addConfig(c)
	format := addFormat(c)
	var f recordFlags
	file := c.Flags().String("file", "", "read the whole event as JSON from `FILE` (- for standard input)")
	c.Flags().StringVar(&f.subject, "subject", "", "whom it is about, `NAMESPACE:VALUE`")
	c.Flags().StringVar(&f.action, "action", "", "`ACTION`: grant renew refuse withdraw object opt_out opt_in restrict lift_restriction limit_sensitive erase invalidate request")
	c.Flags().StringSliceVar(&f.purposes, "purpose", nil, "purpose `ID`; repeat for several; none means all, for restrictive actions")
	c.Flags().StringArrayVar(&f.recipients, "recipient", nil, "`NAME` of a recipient that the grant covers; repeat for several")
	c.Flags().StringVar(&f.kind, "type", "", "`TYPE` of a grant: explicit, expressed or implied")
	c.Flags().StringVar(&f.notice, "notice", "", "notice that was shown, `ID:VERSION`")
	c.Flags().StringVar(&f.evidence, "evidence", "", "how it can be proven, `METHOD:SOURCE`")
	c.Flags().StringVar(&f.expires, "expires", "", "end of a grant, RFC 3339 `TIME`")
	c.Flags().StringVar(&f.asserted, "asserted", "", "when the person decided, RFC 3339 `TIME` (default now, and for restrictive actions the receipt)")
	c.Flags().BoolVar(&f.coversPast, "covers-past", false, "the grant covers events from before it")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.check(c, *file); err != nil {
			return usage(c, err)
		}
		cfg, err := load(std, *path)
		if err != nil {
			return err
		}
		if *file == "" {
			if err := f.checkAgainst(cfg.Policy); err != nil {
				return usage(c, err)
			}
		}
		ev, err := eventText(c.Context(), std, *file, f)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
		defer cancel()
		return recordEvent(ctx, std, cfg, ev, *format)
	}
	return c
}

// eventText is the event's JSON, from a file or from flags.
func eventText(ctx context.Context, std stdio, file string, f recordFlags) ([]byte, error) {
	switch file {
	case "":
		return json.Marshal(f.event())
	case "-":
		return readAll(until(ctx, std.in))
	}
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readAll(in)
}

// event is the event that the flags give; check has passed.
func (f recordFlags) event() *consentEvent {
	ev := &consentEvent{ID: rand.Text(), Action: f.action, Purposes: f.purposes, ConsentType: f.kind, Recipients: f.recipients,
		AssertedAt: f.asserted, ExpiresAt: f.expires, CoversPast: f.coversPast}
	ev.Subject.Namespace, ev.Subject.Value, _ = strings.Cut(f.subject, ":")
	// What restricts counts from its receipt, and a time would only let it lose: to a
	// grant made since, should this machine's clock lag (DECISION D2).
	if a, _ := consent.ParseAction(f.action); ev.AssertedAt == "" && !a.Restrictive() {
		ev.AssertedAt = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if id, version, ok := strings.Cut(f.notice, ":"); ok {
		ev.Notice = &consentNotice{ID: id, Version: version}
	}
	if method, source, ok := strings.Cut(f.evidence, ":"); ok {
		ev.Evidence = &consentEvidence{Method: method, Source: source}
	}
	return ev
}
