package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/policy"
)

// The words of `consent record`, as consent.Parse knows them; links are not
// supported yet, and attributes need a whole event.
var (
	recordActions = strings.Fields("grant renew refuse withdraw object opt_out opt_in restrict lift_restriction limit_sensitive erase invalidate request")
	recordTypes   = []string{"explicit", "expressed", "implied"}
)

// check finds what is wrong with the flags by themselves. Messages show words of
// the command line but never the subject's value.
func (f recordFlags) check(c *cobra.Command, file string) error {
	if file == "" {
		return f.checkWords()
	}
	var beside error
	c.Flags().Visit(func(flag *pflag.Flag) {
		if flag.Name != "file" && flag.Name != "config" && flag.Name != "format" {
			beside = fmt.Errorf("--%s cannot stand beside --file: the file has the whole event", flag.Name)
		}
	})
	return beside
}

func (f recordFlags) checkWords() error {
	if ns, value, ok := strings.Cut(f.subject, ":"); !ok || ns == "" || value == "" {
		return errors.New("consent record needs --subject NAMESPACE:VALUE, for example crm:42")
	}
	if f.action == "" {
		return errors.New("consent record needs --action, for example withdraw")
	}
	if !slices.Contains(recordActions, f.action) {
		return noneOf("--action", f.action, recordActions)
	}
	if f.kind != "" && !slices.Contains(recordTypes, f.kind) {
		return noneOf("--type", f.kind, recordTypes)
	}
	if f.notice != "" && !strings.Contains(f.notice, ":") {
		return fmt.Errorf("--notice %q is not ID:VERSION", f.notice)
	}
	if f.evidence != "" && !strings.Contains(f.evidence, ":") {
		return fmt.Errorf("--evidence %q is not METHOD:SOURCE", f.evidence)
	}
	if err := checkTime("--asserted", f.asserted); err != nil {
		return err
	}
	if err := checkTime("--expires", f.expires); err != nil {
		return err
	}
	if a, _ := consent.ParseAction(f.action); a.Permissive() && len(f.purposes) == 0 {
		return fmt.Errorf("--action %s needs --purpose ID: it permits what it names, and nothing else", f.action)
	}
	return nil
}

func checkTime(flag, text string) error {
	if _, err := time.Parse(time.RFC3339, text); text != "" && err != nil {
		return fmt.Errorf("%s %q is not RFC 3339 with a zone, such as 2026-11-01T10:00:00Z", flag, text)
	}
	return nil
}

// checkAgainst finds names that the policy does not have. A withdrawal of a
// misspelled purpose would be recorded, acknowledged, and change nothing.
func (f recordFlags) checkAgainst(p *policy.Policy) error {
	ns, _, _ := strings.Cut(f.subject, ":")
	if err := checkNamespace(ns, p); err != nil {
		return err
	}
	return checkPurposes("--purpose", f.purposes, p)
}

func checkPurposes(what string, ids []string, p *policy.Policy) error {
	for _, id := range ids {
		if !p.Concerns(id) {
			return noneOf(what, id, p.PurposeIDs())
		}
	}
	return nil
}

func checkNamespace(name string, p *policy.Policy) error {
	var names []string
	for _, ns := range p.Namespaces {
		names = append(names, ns.Name)
	}
	if slices.Contains(names, name) {
		return nil
	}
	return noneOf("the namespace", name, names)
}

// noneOf says that a word is not among those that there are.
func noneOf(what, word string, words []string) error {
	return fmt.Errorf("%s %q is none of %s%s", what, word, strings.Join(words, ", "), nearest(word, words))
}

// nearest asks whether another word was meant.
func nearest(typed string, words []string) string {
	if near := policy.Nearest(typed, words); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// shortOf says of an event that grants for which purposes it would still not permit,
// and why: were it all that is known of the person, and a record came now.
func shortOf(pol *policy.Policy, ev *consent.Event, now int64) []string {
	if !ev.Action.Permissive() || ev.Void() != "" {
		return nil
	}
	row := consent.NewRow()
	row.Fold(ev)
	var out []string
	for i := range pol.Purposes {
		p := &pol.Purposes[i]
		var d policy.Decision
		policy.Decide(p, []*consent.Row{row}, &policy.Facts{EventTime: now}, now, &d)
		if d.Permit || d.Reason == policy.ConsentUnknown { // which is not what the event is about
			continue
		}
		reasons, hints := []string{}, []string{}
		for _, r := range append([]policy.Reason{d.Reason}, d.Secondary...) {
			reasons = append(reasons, string(r))
			if h := mendGrant(r, p); h != "" {
				hints = append(hints, h)
			}
		}
		text := fmt.Sprintf("it does not permit %s: %s", p.ID, strings.Join(reasons, ", "))
		if len(hints) > 0 {
			text += "; give " + strings.Join(hints, " and ")
		}
		out = append(out, text)
	}
	return out
}

// mendGrant is what a grant for p needs that is denied for r.
func mendGrant(r policy.Reason, p *policy.Purpose) string {
	switch {
	case r == policy.RecipientNotCovered:
		var flags []string
		for _, name := range p.Recipients {
			flags = append(flags, "--recipient "+shellescape.Quote(name))
		}
		return strings.Join(flags, " ")
	case r == policy.NoticeOutdated && p.NoticeMinVersion == "":
		return "--notice " + p.NoticeID + ":VERSION"
	case r == policy.NoticeOutdated:
		return "--notice " + p.NoticeID + ":" + p.NoticeMinVersion + " or a later version"
	}
	return ""
}
