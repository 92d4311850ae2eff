package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/configs"
)

func newLint(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "lint -c FILE",
		Short: "Check policy and wiring offline; print all findings; exit 1 on an error",
		Long: `Check the wiring file and the policy and schemas that it names, without connecting
to anything. Every finding has its place, the line that it is about and, if there
is one, the nearest valid word. Warnings do not change the exit code.`,
		Example: `  consentstream lint -c consentstream.yaml
  consentstream lint -c consentstream.yaml --format json | jq .message`,
		Args: noArgs,
	}
	path := addConfig(c)
	format := addFormat(c)
	c.RunE = func(*cobra.Command, []string) error {
		_, findings := configs.Load(*path, os.LookupEnv, configs.ReadFile)
		if err := printFindings(std.out, findings, *format); err != nil {
			return err
		}
		if *format == "text" {
			fmt.Fprintf(std.out, "%s: %s\n", *path, count(findings))
		}
		if configs.HasErrors(findings) {
			return errFindings
		}
		return nil
	}
	return c
}

// count is how many findings there are of each kind: "no errors, 1 warning".
func count(findings []configs.Finding) string {
	errs, warnings := 0, 0
	for _, f := range findings {
		if f.Severity == configs.Warning {
			warnings++
		} else {
			errs++
		}
	}
	return counted(errs, "error") + ", " + counted(warnings, "warning")
}

func counted(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printFindings writes findings one after the other; as JSON, one per line.
func printFindings(w io.Writer, findings []configs.Finding, f format) error {
	enc := json.NewEncoder(w)
	for _, finding := range findings {
		if f == "json" {
			if err := enc.Encode(finding); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintln(w, finding); err != nil {
			return err
		}
	}
	return nil
}

// load reads a configuration for a command that works with it. Findings go to
// standard error; errors among them end the command.
func load(std stdio, path string) (*configs.Config, error) {
	c, findings := configs.Load(path, os.LookupEnv, configs.ReadFile)
	if c != nil {
		return c, nil
	}
	if err := printFindings(std.err, findings, "text"); err != nil {
		return nil, err
	}
	return nil, errFindings
}
