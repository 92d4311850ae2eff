package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	return checkTime("--expires", f.expires)
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
	msg := fmt.Sprintf("%s %q is none of %s", what, word, strings.Join(words, ", "))
	if near := policy.Nearest(word, words); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return errors.New(msg)
}
