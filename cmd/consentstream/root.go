package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/consentstream/consentstream/configs"
	"github.com/consentstream/consentstream/policy"
)

func newRoot(std stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "consentstream",
		Short: "Enforce consent on event streams, purpose by purpose",
		Long: `consentstream reads CRM and marketing events from Kafka, looks up what each person
has consented to, drops, redacts or pseudonymizes fields purpose by purpose, and
writes one compliant topic per purpose plus an audit stream, in one transaction.`,
		Example: `  consentstream demo                                    see it work: no Docker, no network
  consentstream lint -c consentstream.yaml              check a configuration, offline
  consentstream eval -c consentstream.yaml --topic crm.contacts --consents consents.ndjson < events.ndjson
  consentstream run -c consentstream.yaml               the daemon`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          group,
	}
	root.AddCommand(newDemo(std), newRun(std), newLint(std), newEval(std), newKeys(std), newConsent(std), newLane(std), newSchema(std))
	builtin(root)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, flagError(c, err)) })
	wrapArgs(root)
	return root
}

// group is what a command does that only has subcommands.
func group(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		msg := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
		var names []string
		for _, sub := range c.Commands() {
			names = append(names, sub.Name())
		}
		if args[0] == "version" {
			return usage(c, errors.New(msg+"; consentstream --version prints it"))
		}
		return usage(c, errors.New(msg+nearest(args[0], names)))
	}
	return c.Help()
}

// builtin gives cobra's own commands what ours have: examples, and a usage error
// for arguments that mean nothing.
func builtin(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Example = "  consentstream help lane reset"
			c.Args = func(_ *cobra.Command, args []string) error {
				if found, rest, _ := root.Find(args); len(rest) > 0 {
					return group(found, rest)
				}
				return nil
			}
		case "completion":
			c.Example = "  source <(consentstream completion bash)"
			c.RunE = group
			for _, shell := range c.Commands() {
				shell.Example = "  consentstream completion " + shell.Name()
			}
		}
	}
}

func usage(c *cobra.Command, err error) error {
	return &usageError{err: err, hint: fmt.Sprintf("Run '%s --help' for usage and examples.", c.CommandPath())}
}

// flagError adds to an unknown flag the one that is spelled most like it, and says of
// a number what it is without Go's words.
func flagError(c *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) && strings.HasPrefix(invalid.GetFlag().Value.Type(), "int") {
		return fmt.Errorf("--%s takes a number, not %q", invalid.GetFlag().Name, invalid.GetValue())
	}
	typed, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return err
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := policy.Nearest(typed, names); near != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}

// noArgs refuses arguments; the one that people give is the configuration.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	msg := fmt.Sprintf("%s takes no arguments, not %q", c.Name(), args[0])
	if c.Flags().Lookup("config") != nil {
		msg += "; the configuration is named by -c FILE"
	}
	if strings.Contains(c.Use, "< ") {
		msg += ", and what is read is standard input: < FILE"
	}
	return errors.New(msg)
}

// wrapArgs makes wrong arguments of every command usage errors.
func wrapArgs(c *cobra.Command) {
	check := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		if c.HasSubCommands() || check == nil {
			return nil
		}
		if err := check(c, args); err != nil {
			return usage(c, err)
		}
		return nil
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}

// format is the --format flag of commands with machine output.
type format string

func (f *format) String() string { return string(*f) }

// Type implements pflag.Value.
func (*format) Type() string { return "text|json" }

// Set implements pflag.Value.
func (f *format) Set(s string) error {
	if s != "text" && s != "json" {
		return fmt.Errorf("%q is neither text nor json", s)
	}
	*f = format(s)
	return nil
}

func addFormat(c *cobra.Command) *format {
	f := format("text")
	c.Flags().Var(&f, "format", "output `format`: text or json")
	return &f
}

// addConfig adds the -c flag that every command on a configuration has.
func addConfig(c *cobra.Command) *string {
	path := c.Flags().StringP("config", "c", configs.DefaultFile, "configuration `FILE`")
	return path
}
