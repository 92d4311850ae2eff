package pipeline

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/consent/redisstore"
)

// The projector folds the consent topic into the state store (DESIGN section 6,
// Freshness).
//
// Whoever owns partition 0 of the consent topic in the group
// {group}.project.{epoch of the state} projects all partitions; the others stand by.
// Instances that read another state, as while keys are rotated or a release is rolled
// out, have a leader of their own: they would else hold for as long as one of the
// others leads.
//
// Kafka's group only chooses who works: nothing is committed there, and two that work
// at once, or a frozen one that wakes, do no harm, because every write compares the
// whole watermark of its bucket. Positions are read from the store itself. So whatever
// happens to it (flush, restart, failover, restore), the projector goes on from what is
// really there, from offset 0 where nothing is.
//
// A kill at any point leaves each bucket at one of its watermarks, with exactly
// the rows that belong to it; quarantine records may be written again.

// StateWriter is what the projector needs of the state store;
// *redisstore.Store has it.
type StateWriter interface {
	Epoch() redisstore.Epoch
	Bucket(*consent.Tag) int
	AllPages() []*redisstore.Page
	Load(context.Context, []*redisstore.Page) error
	Apply(context.Context, []*redisstore.Page) error
	Reset(context.Context, *redisstore.Page) error
}

// Quarantiner makes the coordinates of consent records that cannot be folded as
// meant durable, without their payload. It is called before the records count as
// taken into account, and again after a crash or a rebuild of the store: readers
// tell repetitions by the coordinates. It is given those of a batch at once, since
// everybody waits meanwhile, and whoever may write consent can write many.
type Quarantiner interface {
	QuarantineConsent(ctx context.Context, malformed []MalformedConsent) error
}

// MalformedConsent is a record of the consent topic and what is wrong with it.
type MalformedConsent struct {
	Record *kgo.Record
	Reason consent.Fault
}

// ProjectorConfig is what a Projector is made of.
type ProjectorConfig struct {
	SeedBrokers []string
	KafkaOpts   []kgo.Opt // appended to the options of every client
	Group       string    // of the deployment; the projector's is Group + ".project"
	// Instance is the stable ordinal of this process (Config.Instance). A leader
	// that was killed and comes back under it leads again at once, and not only
	// after Session; until then everything would hold. "": no static membership.
	Instance   string
	Topic      string // the consent topic
	Store      StateWriter
	Namespaces consent.Namespaces
	TagKeys    map[string][32]byte // by namespace, as for consent.NewTagger
	Quarantine Quarantiner         // nil: malformed events are counted and logged only
	Log        zerolog.Logger

	// BatchRecords and BatchWait bound what one write takes in: 5,000 events
	// or 10 ms.
	BatchRecords int
	BatchWait    time.Duration
	// Upkeep is how often an idle leader looks whether store and topic are
	// still what they were; 0: 250 ms. It bounds how long a flushed store goes
	// unnoticed while no consent event comes.
	Upkeep time.Duration
	// Session is the group's session timeout, which bounds how long a killed
	// leader goes unnoticed; 0: 10 s.
	Session time.Duration
}

func (cfg ProjectorConfig) withDefaults() (ProjectorConfig, error) {
	var missing []string
	for name, ok := range map[string]bool{
		"SeedBrokers": len(cfg.SeedBrokers) > 0, "Group": cfg.Group != "", "Topic": cfg.Topic != "",
		"Store": cfg.Store != nil, "TagKeys": len(cfg.TagKeys) > 0,
	} {
		if !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return cfg, errors.New("pipeline: missing in ProjectorConfig: " + strings.Join(missing, ", "))
	}
	if cfg.BatchRecords <= 0 {
		cfg.BatchRecords = 5000
	}
	for _, d := range []struct {
		v       *time.Duration
		byDeflt time.Duration
	}{{&cfg.BatchWait, 10 * time.Millisecond}, {&cfg.Upkeep, 250 * time.Millisecond}, {&cfg.Session, 10 * time.Second}} {
		if *d.v <= 0 {
			*d.v = d.byDeflt
		}
	}
	return cfg, nil
}

// Projector keeps the state store up with the consent topic.
type Projector struct {
	cfg    ProjectorConfig
	tagger *consent.Tagger // used by the leader's loop only
	// malformed says which consent events are, in malformedLines a minute. The
	// quarantine has them all.
	malformed zerolog.Logger
	status    projectorState
}

// malformedLines is how many lines a minute the log has about malformed consent
// events, of which whoever may write consent can make any number; and as many again,
// as errors, about those that may not deny everybody whom they are about.
const malformedLines = 100

// NewProjector checks cfg; it starts and connects nothing.
func NewProjector(cfg ProjectorConfig) (*Projector, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	few := func() zerolog.Sampler { return &zerolog.BurstSampler{Burst: malformedLines, Period: time.Minute} }
	return &Projector{cfg: cfg, tagger: consent.NewTagger(cfg.TagKeys), status: projectorState{log: cfg.Log},
		malformed: cfg.Log.Sample(zerolog.LevelSampler{WarnSampler: few(), ErrorSampler: few()})}, nil
}

// Run stands by and projects until ctx ends, and then returns nil. A *Stop
// means that projecting on would be wrong: the topic is not the one that the
// store's epoch names, or has lost history.
func (p *Projector) Run(ctx context.Context) error {
	turns := newTurns()
	base, abandon := context.WithCancel(context.Background())
	cl, err := kgo.NewClient(p.options(append(turns.options(p.cfg), kgo.WithContext(base))...)...)
	if err != nil {
		abandon()
		return err
	}
	// The group chooses a leader; it reads nothing.
	cl.PauseFetchTopics(p.cfg.Topic)
	defer turns.lose() // after Close has revoked for the last time
	defer p.leave(cl, abandon)
	ctx, cancel := context.WithCancelCause(ctx)
	var drained sync.WaitGroup
	defer drained.Wait()
	defer cancel(nil)
	drained.Go(func() { p.drain(ctx, cl, cancel) })
	for {
		lead, ok := turns.wait(ctx)
		if !ok {
			return p.fenced(ctx)
		}
		p.cfg.Log.Info().Msg("projecting consent events")
		if err := p.lead(lead); err != nil {
			return err
		}
		p.cfg.Log.Info().Msg("standing by")
	}
}

// groups is what the names of all projectors' groups begin with.
func (cfg *ProjectorConfig) groups() string { return cfg.Group + ".project." }

func (cfg *ProjectorConfig) group() string {
	epoch := cfg.Store.Epoch().Hash()
	return cfg.groups() + hex.EncodeToString(epoch[:8]) // as in the state's keys
}

// memberID is the static group instance id.
func (cfg *ProjectorConfig) memberID() string { return cfg.group() + "." + cfg.Instance }

func (p *Projector) options(more ...kgo.Opt) []kgo.Opt {
	opts := append([]kgo.Opt{kgo.SeedBrokers(p.cfg.SeedBrokers...)}, more...)
	return append(opts, p.cfg.KafkaOpts...)
}

// leave closes the group's client and leaves the group, so that another takes
// over at once. A static member does not leave by itself.
func (p *Projector) leave(cl *kgo.Client, abandon context.CancelFunc) {
	member, _ := cl.GroupMetadata()
	closeGroup(cl.Close, abandon)
	if p.cfg.Instance != "" {
		leaveGroup(p.options(), p.cfg.group(), member, p.cfg.memberID())
	}
}

// fenced is the *Stop by which drain has ended ctx, else nil.
func (p *Projector) fenced(ctx context.Context) error {
	var stop *Stop
	if errors.As(context.Cause(ctx), &stop) {
		return stop
	}
	return nil
}

// drain takes the errors that the group client hands out by polls; the client
// goes on by itself after each but one: that another process is this member.
func (p *Projector) drain(ctx context.Context, cl *kgo.Client, stop context.CancelCauseFunc) {
	var pace pacer
	for ctx.Err() == nil {
		timed, cancel := context.WithTimeout(ctx, p.cfg.Session)
		fetches := cl.PollFetches(timed)
		cancel()
		fetches.EachError(func(_ string, _ int32, err error) {
			switch {
			case ctx.Err() != nil:
			case errors.Is(err, context.DeadlineExceeded):
				p.status.quiet()
			case errors.Is(err, kerr.FencedInstanceID):
				stop(&Stop{Reason: fmt.Sprintf("another process uses instance %s of group %s: give each process its own instance: in the wiring", p.cfg.Instance, p.cfg.Group)})
			default:
				p.held(kafkaHold(HoldGroup, err))
			}
		})
		pace.wait(ctx)
	}
}

// lead projects until ctx ends (nil) or a *Stop. Every other failure is a hold:
// begin again from what the store has.
func (p *Projector) lead(ctx context.Context) error {
	p.status.leading(true)
	defer p.status.leading(false)
	var pace pacer
	for ctx.Err() == nil {
		err := p.project(ctx, &pace)
		var stop *Stop
		switch {
		case ctx.Err() != nil:
		case errors.As(err, &stop):
			return stop
		case errors.Is(err, errReread):
			p.status.conflict()
			pace.wait(ctx)
		default:
			p.held(err)
			pace.wait(ctx)
		}
	}
	return nil
}

// held notes and logs a hold, by code only, when it begins or changes.
func (p *Projector) held(err error) {
	h := *projectorHold(err)
	access := p.cfg.access()
	h.Mend = access.mend(&h)
	if p.status.hold(&h) {
		h.waits(p.cfg.Log.Warn()).Msg("projector holds")
	}
}

// projectorHold is err as a Hold without foreign text.
func projectorHold(err error) *Hold {
	var h *Hold
	if errors.As(err, &h) {
		return h
	}
	var state *redisstore.Hold
	if errors.As(err, &state) {
		return statesHold(err)
	}
	return kafkaHold(HoldKafka, err)
}
