package pipeline

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/engine"
	"github.com/consentstream/consentstream/internal/keys"
)

// worker is one transactional session's owner. It outlives sessions: what it
// holds depends on configuration and immutable schemas only, never on what a
// transaction did.
type worker struct {
	cfg    *Config
	number int
	id     string // transactional id and static group instance id
	member string // the group's member id of the last session
	log    zerolog.Logger
	// schemaLog says what of writer schemas is withheld. Whoever writes an input
	// names schemas, so it drops lines beyond a few a minute.
	schemaLog zerolog.Logger

	engine     *engine.Engine
	guard      *guard
	board      *board
	metrics    *metrics
	limits     *topicLimits
	scan       *auditScan
	states     *atomic.Pointer[Hold]
	quarantine *keys.MAC
	counts     map[string]int32 // partition counts of the topics that we write
	published  map[string]bool  // documents that a committed transaction holds
	allTopics  []string         // what a fence asks Metadata about
	written    []string

	last      outcome // of the transaction that may be open in some partitions: hanging.go
	describes bool    // the brokers can be asked where it is
	offsetsAt int32   // partition of the group's offsets; -1: we may not ask about it

	most   int // records of a batch, see shrink; 0: Limits.Records
	unsaid int // commits since the last one whose result is known

	policyDigest      audit.Hash
	revision          int64
	keyEpoch          int32
	keyCheck          [8]byte
	auditSchema       int
	consentID         [16]byte
	consentPartitions int32
}

// session is one client's life: from joining the group to being discarded.
type session struct {
	w   *worker
	txn *kgo.GroupTransactSession
	cl  *kgo.Client

	lanes     laneSet
	unseen    laneSet                      // lanes of ours that begin when the audit was looked through
	verdicts  map[string]map[int32]verdict // of the group's goroutine only
	given     atomic.Int64                 // partitions that the group has assigned, parked ones too
	settled   atomic.Bool                  // and what becomes of each is known; there may be none
	failed    chan error                   // from the group's callbacks
	interrupt context.CancelFunc
	abandon   context.CancelFunc // ends whatever the client still waits for
	closing   atomic.Bool

	// Of the transaction at hand.
	batch      *engine.Batch
	inHeaders  []engine.Header
	active     []*lane // lanes with records in the batch
	losses     uint64
	snap       consent.Snapshot
	probe      consent.Snapshot // of one state that is waited for
	tally      tally
	lap        lap
	sheet      *sheet
	staging    *lane // whose records are being staged
	staged     int32 // items that were
	smallest   int   // limit of the topics that we write
	context    audit.Context
	committing []*lane
	begun      time.Time // when the broker can have learnt of the transaction
	ended      bool
	touched    bool              // the broker may know of the transaction
	unproven   outcome           // of the last one, which may not be over in all partitions
	wrote      map[string][]bool // where that was, by topic and partition
	producer   int64             // id that it had
	reopen     bool              // kgo's position is worth nothing any more: takeUnread
	// Over transactions of this session.
	refused  map[source]refusal
	suspects map[source]bool
	aside    map[laneKey]*aside
	asking   sync.WaitGroup // the goroutines of aside
	limits   int64          // topicLimits.version that the client was made with
	stops    stops
}

// The client's buffers. One transaction takes at most 8 MB, which are 2 to 4 MB
// on the wire; what is fetched ahead beyond that only costs memory (DESIGN
// section 8).
const (
	fetchBytes      = 4 << 20
	linger          = 20 * time.Millisecond
	bufferedRecords = 1 << 18
)

// clientOpts are the options of every client of the worker. One that consumes
// needs an unpacker besides.
func (w *worker) clientOpts() []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(w.cfg.SeedBrokers...),
		kgo.ClientID("consentstream/" + w.id),
		kgo.MaxDecompressBatchBytes(min(w.cfg.Limits.Unpacked, math.MaxInt32)),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchBytes / 4),
		kgo.MetadataMaxAge(30 * time.Second),
		kgo.DisableClientMetrics(), // what we measure goes to our own endpoint
	}
}

func (s *session) opts() []kgo.Opt {
	w := s.w
	return append(w.clientOpts(),
		kgo.ConsumerGroup(w.cfg.Group), kgo.InstanceID(w.id), kgo.ConsumeTopics(w.cfg.inputs()...),
		kgo.SessionTimeout(w.cfg.Limits.Session), kgo.HeartbeatInterval(w.cfg.Limits.Session*3/10),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		// AtStart is never used: every lane is given its offset in adjust. It
		// is there because plain NoResetOffset would start at the END.
		kgo.ConsumeResetOffset(kgo.NoResetOffset().AtStart()),
		kgo.OnOffsetsFetched(s.onFetched), kgo.AdjustFetchOffsetsFn(s.adjust),
		kgo.OnPartitionsAssigned(s.onAssigned), kgo.OnPartitionsRevoked(s.onRevoked), kgo.OnPartitionsLost(s.onRevoked),
		kgo.TransactionalID(w.id), kgo.TransactionTimeout(w.cfg.Limits.Txn), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytesFn(func(topic string) int32 { return w.limits.batch(topic) }),
		kgo.ProducerBatchCompression(codecs[w.cfg.Compression]),
		kgo.ProducerLinger(linger), kgo.MaxBufferedRecords(bufferedRecords),
		kgo.WithLogger(&s.stops),
	)
}

// open joins the group, when all that a predecessor of the same id left open is
// over. It asks for the producer id first, which throws that predecessor out.
func (w *worker) open(ctx context.Context) (*session, context.Context, error) {
	if err := w.settle(ctx); err != nil {
		return nil, ctx, err
	}
	s := &session{w: w, batch: w.engine.NewBatch(), sheet: newSheet(), failed: make(chan error, 1), refused: map[source]refusal{}, aside: map[laneKey]*aside{}, limits: w.limits.version.Load()}
	ctx, s.interrupt = context.WithCancel(ctx)
	base, abandon := context.WithCancel(context.Background())
	s.abandon = abandon
	err := s.connect(base)
	if err != nil {
		abandon()
		return nil, ctx, &Stop{Reason: "the Kafka client refuses its options: " + err.Error()}
	}
	idCtx, cancel := context.WithTimeout(ctx, w.cfg.Limits.Txn)
	defer cancel()
	if s.producer, _, err = s.cl.ProducerID(idCtx); err != nil {
		s.close()
		return nil, ctx, kafkaHold(HoldKafka, err)
	}
	return s, ctx, nil
}

// connect makes the client, which lives as long as base.
func (s *session) connect(base context.Context) error {
	unpacker, err := newUnpacker(s.w.cfg.Limits.Unpacked)
	if err != nil {
		return err
	}
	opts := append(append(s.opts(), unpacker.opts()...), kgo.WithContext(base))
	if s.txn, err = kgo.NewGroupTransactSession(append(opts, s.w.cfg.KafkaOpts...)...); err != nil {
		return err
	}
	s.cl = s.txn.Client()
	return nil
}

func (s *session) close() {
	s.interrupt()
	s.asking.Wait()
	s.closing.Store(true)
	s.w.member, _ = s.cl.GroupMetadata()
	closeGroup(s.txn.Close, s.abandon)
}

// run owns the worker's sessions until ctx ends (nil) or the process must stop.
func (w *worker) run(ctx context.Context) error {
	defer w.guard.stop()
	var pace pacer
	for ctx.Err() == nil {
		err := w.runSession(ctx, &pace)
		var h *Hold
		switch {
		case errors.As(err, &h):
			w.board.hold(w.number, h)
		case err != nil && !errors.Is(err, errRebuild):
			w.leave()
			return err
		}
		if ctx.Err() == nil {
			w.metrics.rebuilds.Inc()
			pace.wait(ctx)
		}
	}
	w.leave()
	return nil
}

func (w *worker) runSession(ctx context.Context, pace *pacer) error {
	s, sctx, err := w.open(ctx)
	if err != nil {
		return err
	}
	defer func() {
		s.close()
		w.board.forget(w.number)
	}()
	err = s.loop(sctx, pace)
	if errors.Is(err, errRebuild) && s.replaced(ctx) {
		return s.fenced() // a session of ours would throw out the newer process
	}
	return err
}

// loop runs transactions until the session is worth nothing any more.
func (s *session) loop(ctx context.Context, rebuild *pacer) error {
	var pace pacer
	for {
		select {
		case err := <-s.failed:
			return err
		default:
		}
		if ctx.Err() != nil {
			return nil
		}
		s.ended = false
		err := s.transact(ctx)
		if err == nil {
			s.clear()
			pace.reset()
			rebuild.reset()
		} else if err := s.abort(err); err != nil {
			return err
		}
		if s.reopen || s.limitsOld() || s.stops.lost() || s.seen() {
			return errRebuild
		}
		if err != nil {
			pace.wait(ctx)
		}
	}
}

// seen reports that there may be an answer about a lane that the audit was looked
// through for: the next session's verdict.
func (s *session) seen() bool {
	return slices.ContainsFunc(s.unseen.snapshot(), s.w.scan.over)
}

// abort ends what transact left open and says whether the session can go on
// (nil). kgo goes back to the committed offsets, and so do the lanes: the
// records of the batch are polled again, by us or by their next owner.
func (s *session) abort(why error) error {
	var h *Hold
	switch {
	case errors.As(why, &h):
		s.w.board.hold(s.w.number, h)
	case errors.Is(why, errRetry), errors.Is(why, errDropped), errors.Is(why, errEpoch):
	default:
		return why
	}
	s.w.metrics.aborted.Inc()
	if !s.ended {
		if err := s.endAborted(); err != nil {
			return err
		}
	}
	if errors.Is(why, errEpoch) {
		return s.superseded(context.Background())
	}
	s.over(outcomeAborted)
	for _, l := range s.lanes.snapshot() {
		l.rewind()
	}
	s.clear()
	return nil
}

func (s *session) endAborted() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.w.cfg.Limits.End)
	defer cancel()
	_, err := s.txn.End(ctx, kgo.TryAbort)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.ProducerFenced):
		return s.superseded(ctx)
	default:
		return errRebuild
	}
}

// clear makes room for the next batch.
func (s *session) clear() {
	s.batch.Reset()
	clear(s.inHeaders)
	if s.inHeaders = s.inHeaders[:0]; cap(s.inHeaders) > maxHeaders {
		s.inHeaders = nil
	}
	for _, l := range s.active {
		l.inBatch = false
	}
	s.active = s.active[:0]
	s.sheet.reset()
}

// leave takes the static member out of the group, so that the others have its
// lanes at once and not after the session timeout. It is best effort. It names
// the member id too: by the instance id alone, a fenced process would throw out
// the one that replaced it.
func (w *worker) leave() {
	leaveGroup(append(w.clientOpts(), w.cfg.KafkaOpts...), w.cfg.Group, w.member, w.id)
}

// closePatience is how long a client may take to leave its group.
const closePatience = 2 * time.Second

// closeGroup closes a client of a group. If the group is rebalancing, kgo awaits
// the answer to its own join first, and the broker gives that when every member
// has joined or the rebalance timeout, a minute, is over: longer than whoever
// stops a process waits for its end. So the client is abandoned before.
func closeGroup(closing func(), abandon context.CancelFunc) {
	timer := time.AfterFunc(closePatience, abandon)
	closing()
	timer.Stop()
	abandon()
}

// leaveGroup takes a static member out of its group; nothing where it never
// was a member.
func leaveGroup(opts []kgo.Opt, group, member, instance string) {
	if member == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return
	}
	defer cl.Close()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = group, member
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, m.InstanceID, m.Reason = member, kmsg.StringPtr(instance), kmsg.StringPtr("shutting down")
	req.Members = append(req.Members, m)
	_, _ = req.RequestWith(ctx, cl)
}

// setPartitions takes over the partition counts that a broker just named. A
// missing topic holds everything: what would have gone there has no place.
func (w *worker) setPartitions(top *topology) error {
	for _, name := range w.written {
		info, err := top.topic(name)
		if err != nil {
			return kafkaHold(HoldProduce, err)
		}
		w.counts[name] = info.partitions()
	}
	return nil
}

// partitions is engine.Config.Partitions; the engine is called by the worker's
// goroutine only.
func (w *worker) partitions(topic string) int32 { return w.counts[topic] }
