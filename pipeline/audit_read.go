package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/schemas"
)

// auditPositions are where the committed part of the audit begins and ends, by partition.
func (w *worker) auditPositions(ctx context.Context, cl *kgo.Client, audited topicInfo) (starts, ends []int64, err error) {
	if starts, err = listOffsets(ctx, cl, w.cfg.Topics.Audit, audited, listStart, false); err != nil {
		return nil, nil, err
	}
	ends, err = listOffsets(ctx, cl, w.cfg.Topics.Audit, audited, listEnd, true)
	return starts, ends, err
}

// auditPartitions are those that a lane's records can be in, of n. The audit topic may
// have had fewer partitions at the lane's genesis, and a lane stays where it began.
func auditPartitions(l *audit.Lane, n int) (all []int32) {
	for n := range int32(n) {
		if p := l.AuditPartition(n + 1); !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// errAuditSilent: the audit ends later, and nothing comes.
var errAuditSilent = errors.New("reading the audit topic does not get on")

// readAudit hands out the committed records of the audit's partitions, from starts up to
// ends. It takes as long as records come, one in Limits.Scan at least.
func (w *worker) readAudit(ctx context.Context, starts, ends []int64, each func(*kgo.Record)) error {
	from := map[int32]kgo.Offset{}
	for p, end := range ends {
		if end > starts[p] {
			from[int32(p)] = kgo.NewOffset().At(starts[p])
		}
	}
	if len(from) == 0 {
		return nil
	}
	cl, err := w.newReader(map[string]map[int32]kgo.Offset{w.cfg.Topics.Audit: from})
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(w.cfg.Limits.Scan, func() { cancel(errAuditSilent) })
	defer silent.Stop()
	for len(from) > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, errFetchFull) {
				return e.Err
			}
		}
		fetches.EachRecord(func(r *kgo.Record) {
			silent.Reset(w.cfg.Limits.Scan)
			if !r.Attrs.IsControl() {
				each(r)
			}
			if r.Offset+1 >= ends[r.Partition] {
				delete(from, r.Partition)
			}
		})
	}
	return nil
}

// decodeAudit decodes a framed audit record; false for what is none.
func decodeAudit(value []byte) (audit.Record, bool) {
	_, payload, f := schemas.ParseFrame(value)
	if f != nil {
		return audit.Record{}, false
	}
	r, err := audit.DecodeRecord(payload)
	return r, err == nil
}

// newReader makes a client without group and transactions that reads committed
// records, control records too (they carry positions to the very end).
func (w *worker) newReader(from map[string]map[int32]kgo.Offset) (*kgo.Client, error) {
	unpacker, err := newUnpacker(w.cfg.Limits.Unpacked)
	if err != nil {
		return nil, err
	}
	opts := append(append(w.clientOpts(), unpacker.opts()...),
		kgo.ConsumePartitions(from), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	return kgo.NewClient(append(opts, w.cfg.KafkaOpts...)...)
}
