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
		if configs.HasErrors(findings) {
			return errFindings
		}
		if *format == "text" {
			fmt.Fprintf(std.out, "%s: no errors, %d warnings\n", *path, len(findings))
		}
		return nil
	}
	return c
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
