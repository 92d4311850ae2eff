package pipeline

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/schemas"
)

// A lane without a commit is new, or its offsets were deleted. In the second case the
// audit has records of it, and a genesis would put a second chain beside the first
// (promise P11). So the audit is looked through, from its beginning to its end, before
// a lane gets one: every partition that its records can be in.
//
// That takes seconds or hours, and the worker's other lanes must not wait for it. So
// one scan for all workers of a process reads in the background and remembers how far
// it has come. A session asks it while it judges what the group has assigned, and waits
// for Limits.Look; a lane that the scan has no answer about by then is left out and
// shown as held, and the others run. With the answer the session ends, and the next one
// judges the lane as if for the first time: by the commit that it may have now, by the
// topics as they are, and by an end of the audit that was asked for after that commit.
// An answer counts up to that end only. So a leaf that another owner of the lane wrote
// in between is seen, whatever became of its commit, and what was read before need not
// be read again.
//
// For the next session to find little left to read, the scan goes on with what others
// append for as long as a lane waits, and scanLinger beyond that. It is a process's own:
// one that starts begins with the first record.
type auditScan struct {
	w   *worker // for its clients; it never runs
	log zerolog.Logger

	wake chan struct{} // holds one

	mu    sync.Mutex
	topic [16]byte // the audit's; zero: what was read counts no longer
	pass  *scanPass
	again bool // the log is another than it was: whoever waits has to ask again
	// waited is when a session had a lane that waits.
	waited time.Time
}

// scanPass is one reading of the audit.
type scanPass struct {
	// met has all lanes of our inputs as of the beginning; true: they have records. Its
	// keys do not change, so memory is bounded whatever is in the audit: another lane
	// begins another pass. Its values are written by the scan's goroutine.
	met   map[laneID]bool
	parts []scannedPartition
}

func newScanPass(met map[laneID]bool, partitions int) *scanPass {
	p := &scanPass{met: met, parts: make([]scannedPartition, partitions)}
	for i := range p.parts {
		p.parts[i].epoch = -1
	}
	return p
}

// of gives the partitions that a lane's records can be in.
func (p *scanPass) of(l *lane) []scannedPartition {
	var all []scannedPartition
	for _, i := range auditPartitions(&l.Lane.Lane, len(p.parts)) {
		all = append(all, p.parts[i])
	}
	return all
}

// scannedPartition is how far one partition of the audit was read.
type scannedPartition struct {
	next    int64 // what is below was read,
	epoch   int32 // the last of it in this leader epoch; -1: not known
	end     int64 // how far who asked last wants to know
	trimmed bool  // records were deleted before they were read
	trouble string
}

func (p scannedPartition) open() bool { return p.next < p.end && !p.trimmed }

// laneID is a lane of our group, as its audit records name it.
type laneID struct {
	topic     [16]byte
	partition int32
}

func (l *lane) id() laneID { return laneID{l.TopicID, l.Partition} }

const (
	scanPace   = 10 * time.Millisecond // of looking whether there is an answer
	scanLinger = time.Minute
	scanPoll   = time.Second
	scanReport = 30 * time.Second // pace of the log's lines
)

func newAuditScan(cfg *Config) *auditScan {
	return &auditScan{w: &worker{cfg: cfg, id: cfg.memberID(0) + ".audit"}, log: cfg.Log, wake: make(chan struct{}, 1), pass: &scanPass{}}
}

func (a *auditScan) start() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// answer says, as of ends of the audit, whether a lane is parked, with a code, or new
// (""); ok is false where that is not known yet.
func (a *auditScan) answer(l *lane, ends []int64) (code ParkCode, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	met, known := a.pass.met[l.id()]
	switch {
	case !known || len(ends) > len(a.pass.parts):
		return "", false
	case met:
		return ParkAuditHolds, true
	}
	ok = true
	for _, p := range auditPartitions(&l.Lane.Lane, len(ends)) {
		part := &a.pass.parts[p]
		if part.trimmed {
			return ParkAuditTrimmed, true
		}
		ok = ok && part.next >= ends[p]
	}
	return "", ok
}

// await waits for answers about all lanes, for as long as ctx lasts.
func (a *auditScan) await(ctx context.Context, lanes []*lane, ends []int64) {
	open := func(l *lane) bool { _, ok := a.answer(l, ends); return !ok }
	for slices.ContainsFunc(lanes, open) && sleep(ctx, scanPace) {
	}
}

// over reports that waiting for an answer about l is: it is there, or has to be asked
// for again.
func (a *auditScan) over(l *lane) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waited = time.Now()
	a.start()
	met, known := a.pass.met[l.id()]
	return met || !known || a.again || !slices.ContainsFunc(a.pass.of(l), scannedPartition.open)
}

// hold says that a lane waits for the scan, and shows at any time how far that is.
func (a *auditScan) hold(l *lane) *Hold {
	return &Hold{Code: HoldAuditScan, progress: func() (int64, int64, string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		return progress(a.pass.of(l))
	}}
}

// progress gives how many records were read of how many, control records too, and the
// code of what keeps the scan from going on, "" where nothing does.
func progress(parts []scannedPartition) (read, of int64, trouble string) {
	for _, p := range parts {
		read, of = read+min(p.next, p.end), of+p.end
		if trouble == "" && p.open() {
			trouble = p.trouble
		}
	}
	return read, of, trouble
}

// run reads whenever somebody wants to know something, until ctx ends.
func (a *auditScan) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		}
		for pace := (pacer{}); a.wanted(); {
			if err := a.read(ctx); err == nil {
				pace.reset()
			} else if !pace.wait(ctx) {
				return nil
			}
		}
	}
}

func (a *auditScan) wanted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.again && len(a.pass.parts) > 0 && (slices.ContainsFunc(a.pass.parts, scannedPartition.open) || time.Since(a.waited) < scanLinger)
}

// read goes on from where the scan has come to, until nobody wants it to or it begins
// anew (nil), or there is nothing that can be read.
func (a *auditScan) read(ctx context.Context) error {
	from, pass := a.positions()
	cl, err := a.w.newReader(map[string]map[int32]kgo.Offset{a.w.cfg.Topics.Audit: from})
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := a.compare(ctx, cl); err != nil {
		return err
	}
	for reported := time.Now(); a.wanted() && a.goesOn(pass); {
		n, err := a.poll(ctx, cl, pass)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case n == 0 && err != nil:
			return err
		case time.Since(reported) > scanReport:
			reported = time.Now()
			a.report()
		}
	}
	return nil
}

// compare notices that the topic was deleted and created again: where nobody writes into
// the new one, no fetch tells.
func (a *auditScan) compare(ctx context.Context, cl *kgo.Client) error {
	top, err := askTopology(ctx, cl, []string{a.w.cfg.Topics.Audit})
	if err != nil {
		return err
	}
	audited, err := top.topic(a.w.cfg.Topics.Audit)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.again = a.again || audited.id != a.topic
	return nil
}

func (a *auditScan) positions() (map[int32]kgo.Offset, *scanPass) {
	a.mu.Lock()
	defer a.mu.Unlock()
	from := map[int32]kgo.Offset{}
	for i, p := range a.pass.parts {
		if p.trimmed {
			continue
		}
		from[int32(i)] = kgo.NewOffset().At(p.next).WithEpoch(p.epoch)
	}
	return from, a.pass
}

func (a *auditScan) goesOn(pass *scanPass) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pass == pass
}

// report says in the log how far the scan is.
func (a *auditScan) report() {
	a.mu.Lock()
	read, of, trouble := progress(a.pass.parts)
	a.mu.Unlock()
	if read < of {
		a.log.Info().Int64("read", read).Int64("of", of).Str("trouble", trouble).Msg("looking through the audit for lanes that have no commit")
	}
}

// poll takes in what comes next, and says how many records that is. An error of one
// partition does not keep the others from being read.
func (a *auditScan) poll(ctx context.Context, cl *kgo.Client, pass *scanPass) (n int, failed error) {
	ctx, cancel := context.WithTimeout(ctx, scanPoll)
	defer cancel()
	for _, f := range cl.PollFetches(ctx) {
		for i := range f.Topics {
			for j := range f.Topics[i].Partitions {
				p := &f.Topics[i].Partitions[j]
				n += len(p.Records)
				if err := a.take(f.Topics[i].TopicID, p, pass); err != nil {
					failed = err
				}
			}
		}
	}
	return n, failed
}

// take takes in what was fetched of one partition.
func (a *auditScan) take(topic [16]byte, p *kgo.FetchPartition, pass *scanPass) error {
	met := pass.lanesOf(a.w.cfg.Group, p.Records)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pass != pass || p.Partition < 0 || int(p.Partition) >= len(pass.parts) {
		return nil
	}
	part := &pass.parts[p.Partition]
	if topic != [16]byte{} && topic != a.topic {
		a.again = true // it was deleted and created again
		return nil
	}
	for _, id := range met {
		pass.met[id] = true
	}
	if n := len(p.Records); n > 0 {
		part.next, part.epoch, part.trouble = p.Records[n-1].Offset+1, p.Records[n-1].LeaderEpoch, ""
	}
	return a.takeError(p.Err, part)
}

// lanesOf gives lanes that are looked for, were not met yet, and have records here. It
// does not trust these: what does not decode, or carries another lane, is somebody
// else's.
func (p *scanPass) lanesOf(group string, records []*kgo.Record) []laneID {
	var met []laneID
	for _, r := range records {
		_, payload, fault := schemas.ParseFrame(r.Value)
		if fault != nil {
			continue
		}
		l, err := audit.DecodeLane(payload)
		id := laneID{l.TopicID, l.Partition}
		if seen, wanted := p.met[id]; err != nil || l.Group != group || seen || !wanted {
			continue
		}
		if _, err := audit.DecodeRecord(payload); err == nil {
			met = append(met, id)
		}
	}
	return met
}

func (a *auditScan) takeError(err error, part *scannedPartition) error {
	var loss *kgo.ErrDataLoss
	var large *kgo.ErrDecompressTooLarge
	switch {
	case err == nil, errors.Is(err, errFetchFull), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		return nil
	case errors.As(err, &loss): // so what was read is not what the log has
		a.topic, a.again = [16]byte{}, true
	case errors.Is(err, kerr.OffsetOutOfRange):
		a.again = true // the log is shorter at either end
	case errors.As(err, &large):
		part.trouble = string(codeBatchTooLarge)
	case isAnswer(err):
		part.trouble = errorCode(err)
	default:
		part.trouble = string(codeBatchUnreadable)
	}
	return err
}
