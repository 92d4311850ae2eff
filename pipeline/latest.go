package pipeline

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// startLatest gives the lanes of `start: latest` streams their genesis at the end of
// the log, once in a group's life: while the group is empty, has no commit for any
// partition of the topic, and no audit record of it. Kafka forgets a group's offsets
// with the topic, and of a group that was down for long: what was produced since then
// would be skipped, and no leaf would say so. Lanes that it leaves alone are judged
// once they are assigned.
//
// The group coordinator takes such a commit from an empty group only, so an instance
// that already runs, whose own genesis must not be overwritten, makes it fail. It is
// called before joining.
func (w *worker) startLatest(ctx context.Context, cl *kgo.Client, topic string) error {
	top, err := askTopology(ctx, cl, []string{topic, w.cfg.Topics.Audit})
	if err != nil {
		return err
	}
	info, err := top.topic(topic)
	if err != nil {
		return err
	}
	audited, err := top.topic(w.cfg.Topics.Audit)
	if err != nil {
		return err
	}
	committed, err := committedOffsets(ctx, cl, w.cfg.Group, topic, info)
	if err != nil || len(committed) > 0 {
		return err
	}
	isNew, err := w.unaudited(ctx, cl, audited, topic)
	if err != nil {
		return err
	}
	if !isNew {
		w.log.Warn().Str("topic", topic).Msg("start: latest does not count: the audit has records of this topic, or cannot be read from its beginning")
		return nil
	}
	ends, err := listOffsets(ctx, cl, topic, info, listEnd, true)
	if err != nil {
		return err
	}
	return w.commitEnds(ctx, cl, top, topic, audited, ends)
}

// unaudited reports whether the audit, from its beginning to its end, has no record
// of a topic of this name. Where it cannot be read within Limits.Scan it may have.
func (w *worker) unaudited(ctx context.Context, cl *kgo.Client, audited topicInfo, topic string) (bool, error) {
	starts, ends, err := w.auditPositions(ctx, cl, audited)
	if err != nil {
		return false, err
	}
	if slices.Max(starts) > 0 {
		return false, nil
	}
	found := false
	patient, cancel := context.WithTimeout(ctx, w.cfg.Limits.Scan)
	defer cancel()
	err = w.readAudit(patient, starts, ends, func(r *kgo.Record) {
		a, ok := decodeAudit(r.Value)
		found = found || ok && a.Lane.Group == w.cfg.Group && a.Lane.Topic == topic
	})
	return err == nil && !found, ctx.Err()
}

func (w *worker) commitEnds(ctx context.Context, cl *kgo.Client, top *topology, topic string, audited topicInfo, ends []int64) error {
	s := &session{w: w}
	var begun []*lane
	for p, end := range ends {
		l := s.newLane(top, topic, top.topics[topic], int32(p))
		w.genesis(l, audited, end)
		begun = append(begun, l)
	}
	err := w.commitGenesis(ctx, cl, begun, "", -1)
	if errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.RebalanceInProgress) {
		return nil // the group is not empty: another instance started it
	}
	return err
}
