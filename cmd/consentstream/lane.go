package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/consentstream/consentstream/internal/app"
	"github.com/consentstream/consentstream/pipeline"
)

func newLane(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "lane",
		Short: "Show a lane (one input partition), or bring a parked one back",
		Example: `  consentstream lane show --topic crm.contacts --partition 3
  consentstream lane reset --topic crm.contacts --partition 3 --to 1200 --reason "retention was too short, INC-4711"`,
		RunE: group,
	}
	c.AddCommand(newLaneShow(std), newLaneReset(std))
	return c
}

// laneFlags name a lane.
type laneFlags struct {
	config    *string
	format    *format
	topic     *string
	partition *int32
}

func addLane(c *cobra.Command) laneFlags {
	f := laneFlags{
		config: addConfig(c), format: addFormat(c),
		topic:     c.Flags().String("topic", "", "input `TOPIC` (required)"),
		partition: c.Flags().Int32("partition", -1, "`NUMBER` of the input partition (required)"),
	}
	hideDefault(c, "partition")
	return f
}

// hideDefault keeps the default of a required number, which means "not given",
// out of the help.
func hideDefault(c *cobra.Command, flag string) { c.Flags().Lookup(flag).DefValue = "0" }

func newLaneShow(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "show --topic TOPIC --partition NUMBER",
		Short: "Show where a lane stands: its commit, its audit chain, its log",
		Long: `Show what Kafka knows of a lane: the committed offset and whether its metadata is
genuine, where its audit chain ends, and the ends of the input log. Nothing is
changed.`,
		Example: "  consentstream lane show --topic crm.contacts --partition 3",
		Args:    noArgs,
	}
	f := addLane(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withLanes(c, std, f, func(ctx context.Context, e *pipeline.Enforcer) (*pipeline.LaneState, error) {
			return e.LaneShow(ctx, *f.topic, *f.partition)
		})
	}
	return c
}

func newLaneReset(std stdio) *cobra.Command {
	c := &cobra.Command{
		Use:   "reset --topic TOPIC --partition NUMBER --to OFFSET --reason TEXT",
		Short: "Set a parked lane to an offset, and write that to the audit",
		Long: `Set a lane to an offset after it was parked: its metadata is gone or wrong, its
topic was recreated, or records that it had not read were deleted. Allowed while
no enforcer of the group runs. The audit gets a signed leaf that names the
records given up, the last committed leaf and your reason; it never goes back
over records that were decided already. A lane that lane show calls sound goes on
by itself, and is reset with --force only.`,
		Example: `  consentstream lane reset --topic crm.contacts --partition 3 --to 1200 --reason "retention was too short, INC-4711"`,
		Args:    noArgs,
	}
	f := addLane(c)
	to := c.Flags().Int64("to", -1, "`OFFSET` to go on from (required)")
	hideDefault(c, "to")
	reason := c.Flags().String("reason", "", "why, in your `WORDS`; it stays in the audit (required)")
	force := c.Flags().Bool("force", false, "also where nothing is seen to be wrong with the lane")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *to < 0 || *reason == "" {
			return usage(c, errors.New("lane reset needs --to OFFSET and --reason TEXT"))
		}
		return withLanes(c, std, f, func(ctx context.Context, e *pipeline.Enforcer) (*pipeline.LaneState, error) {
			return e.LaneReset(ctx, *f.topic, *f.partition, pipeline.Reset{To: *to, Reason: *reason, Force: *force})
		})
	}
	return c
}

// withLanes runs one lane command and prints the lane's state after it.
func withLanes(c *cobra.Command, std stdio, f laneFlags, do func(context.Context, *pipeline.Enforcer) (*pipeline.LaneState, error)) error {
	if *f.topic == "" || *f.partition < 0 {
		return usage(c, errors.New("a lane is named by --topic TOPIC and --partition NUMBER"))
	}
	cfg, err := load(std, *f.config)
	if err != nil {
		return err
	}
	if err := checkTopic(cfg, *f.topic); err != nil {
		return usage(c, err)
	}
	a, err := app.New(cfg, zerolog.Nop(), version)
	if err != nil {
		return err
	}
	e, err := a.Lanes()
	if err != nil {
		return err
	}
	slow := time.AfterFunc(10*time.Second, func() {
		fmt.Fprintln(std.err, "consentstream: a lane without a commit is looked for in the whole audit topic; this can take minutes, or hours if that is very large")
	})
	defer slow.Stop()
	state, err := do(c.Context(), e)
	if err != nil {
		return err
	}
	if *f.format == "json" {
		return json.NewEncoder(std.out).Encode(state)
	}
	return printLane(std.out, state, *f.config)
}

func printLane(w io.Writer, s *pipeline.LaneState, config string) error {
	committed := "nothing"
	if s.Committed >= 0 {
		committed = fmt.Sprint(s.Committed)
	}
	fmt.Fprintf(w, "%s-%d  topic id %s\n", s.Topic, s.Partition, s.TopicID)
	if s.LaneTopicID != "" && s.LaneTopicID != s.TopicID {
		fmt.Fprintf(w, "  the lane belongs to an earlier topic of this name, id %s\n", s.LaneTopicID)
	}
	fmt.Fprintf(w, "  log        offsets %d to %d\n", s.LogStart, s.LogEnd)
	fmt.Fprintf(w, "  committed  %s (metadata %s)\n", committed, s.Metadata)
	if s.Source != "none" {
		fmt.Fprintf(w, "  audited    up to offset %d, %d leaves in partition %d, last leaf %s (from %s)\n", s.NextSource, s.NextIndex, s.AuditPart, s.LastLeaf, s.Source)
		fmt.Fprintf(w, "  decided    %s under policy revision %d\n", instant(s.DecidedAt), s.Revision)
	}
	if s.Sound {
		fmt.Fprintf(w, "  sound      nothing is seen to be wrong: an enforcer goes on at offset %d by itself\n", s.Committed)
	}
	if next := max(s.NextSource, s.Committed); s.Source != "none" && s.LaneTopicID == s.TopicID && next < s.LogStart {
		fmt.Fprintf(w, "  gone       offsets %d to %d were deleted before they were decided; to go on without them:\n", next, s.LogStart-1)
		fmt.Fprintf(w, "    consentstream lane reset -c %s --topic %s --partition %d --to %d --reason TEXT\n", shellescape.Quote(config), s.Topic, s.Partition, s.LogStart)
	}
	if s.Unstarted != "" {
		fmt.Fprintf(w, "  unstarted  %s: nobody can tell whether the lane was decided on before; lane reset begins it at an offset\n", s.Unstarted)
	}
	if s.Fault != "" {
		end := "where it ends is not certain"
		if s.FaultEnd >= 0 {
			end = fmt.Sprintf("its header says that the next one is at %d", s.FaultEnd)
		}
		fmt.Fprintf(w, "  fault      %s: the record batch at offset %d fails its checksum; %s\n", s.Fault, s.FaultAt, end)
	}
	if s.Warning != "" {
		fmt.Fprintf(w, "  warning    %s\n", s.Warning)
	}
	return nil
}
