package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelpHasExamples: the help of every command, also of cobra's own, has at
// least one example, and each is of that command or of one below it.
func TestHelpHasExamples(t *testing.T) {
	std := stdio{strings.NewReader(""), io.Discard, io.Discard}
	seen := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		seen++
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example of itself: %q", c.CommandPath(), c.Example)
		}
		var out strings.Builder
		if code := run(t.Context(), append(strings.Fields(c.CommandPath())[1:], "--help"), stdio{std.in, &out, std.err}); code != exitOK || !strings.Contains(out.String(), c.Example) {
			t.Errorf("%s --help: exit code %d, %s", c.CommandPath(), code, out.String())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(std))
	if seen < 18 {
		t.Errorf("only %d commands seen", seen)
	}
}
