package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/consentstream/consentstream/pipeline"
)

// Of a lane whose next records are gone, the command that goes on behind them is
// printed with its offset; of any other it is not.
func TestPrintLaneGone(t *testing.T) {
	for _, c := range []struct {
		state pipeline.LaneState
		want  string
	}{
		{pipeline.LaneState{Source: "metadata", Committed: 4, NextSource: 4, LogStart: 9, LogEnd: 20}, "offsets 4 to 8 were deleted before they were decided; to go on without them:\n    consentstream lane reset -c 'my config.yaml' --topic t --partition 3 --to 9 --reason TEXT\n"},
		{pipeline.LaneState{Source: "metadata", Committed: 9, NextSource: 8, LogStart: 9, LogEnd: 20}, ""}, // only markers lay between
		{pipeline.LaneState{Source: "none", Committed: -1, LogStart: 9, LogEnd: 20}, ""},
	} {
		c.state.Topic, c.state.Partition = "t", 3
		var b bytes.Buffer
		if err := printLane(&b, &c.state, "my config.yaml"); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); c.want != "" && !strings.Contains(got, c.want) || c.want == "" && strings.Contains(got, "gone") {
			t.Errorf("%+v:\n%swant %q", c.state, got, c.want)
		}
	}
}
