package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/internal/bench/load"
	"github.com/consentstream/consentstream/internal/devstack"
)

// spec is one run.
type spec struct {
	Job, Format, Codec  string
	Workers             int
	Records, Partitions int
	Broker              string // "": kfake in the child
	Registry, Redis     string
	Prefix              string // of all topics
	Group               string
	Load                load.Config
	Shape               shape  // what the floor writes
	Audited             string // the audit topic of the product's run before; "": none
}

func (s *spec) input() string { return s.Prefix + "." + s.Format }

// audit is a topic of the run's own: a new group begins new chains, and looks
// through an old topic first for chains of its own.
func (s *spec) audit() string { return s.Group + ".audit" }

// outputs are the purpose topics and, last, the audit topic.
func (s *spec) outputs() []string { return append(s.purposeTopics(), s.audit()) }

func (s *spec) purposeTopics() (topics []string) {
	for _, p := range purposes {
		topics = append(topics, s.input()+"."+p)
	}
	return topics
}

// result is what a run is measured by. Records were committed within Seconds;
// CPU is user and system time in seconds; PeakKB is VmHWM.
type result struct {
	Records int
	Seconds float64
	CPU     float64
	Mallocs uint64
	PeakKB  int
	Shape   shape // what was written, per input record
	Stored  int64 // the same in the brokers' logs: compressed
}

// job runs until ctx ends. It must commit the input's offsets as spec.Group.
type job func(ctx context.Context, s *spec, kafka []kgo.Opt) error

var jobs = map[string]job{"floor": floor, "product": product}

// jobNames lists what can be run, the product first.
func jobNames() []string {
	if jobs["product"] == nil {
		return []string{"floor"}
	}
	return []string{"product", "floor"}
}

// child measures one run and prints its result as JSON.
func child(ctx context.Context, text []byte) error {
	var s spec
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	if s.Broker == "" {
		stack, err := startEmbedded(ctx, &s)
		if err != nil {
			return err
		}
		defer stack.Close()
	}
	kafka := []kgo.Opt{kgo.SeedBrokers(s.Broker)}
	cl, err := kgo.NewClient(kafka...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := createAudit(ctx, kadm.NewClient(cl), &s); err != nil {
		return err
	}
	r, err := observe(ctx, &s, kafka, kadm.NewClient(cl))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// startEmbedded starts kfake and fills it.
func startEmbedded(ctx context.Context, s *spec) (*devstack.Stack, error) {
	stack, err := devstack.Start(ctx, devstack.Config{})
	if err != nil {
		return nil, err
	}
	s.Broker, s.Registry, s.Redis = stack.KafkaAddr(), stack.RegistryURL(), stack.RedisAddr()
	if s.Load.SchemaID, err = registerContact(ctx, s.Registry); err != nil {
		stack.Close()
		return nil, err
	}
	if err := prepare(ctx, s); err != nil {
		stack.Close()
		return nil, err
	}
	return stack, nil
}

// observe runs the job and watches the group's committed offsets.
func observe(ctx context.Context, s *spec, kafka []kgo.Opt, adm *kadm.Client) (*result, error) {
	before, err := written(ctx, adm, s)
	if err != nil {
		return nil, err
	}
	storedBefore, err := stored(ctx, adm, s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- jobs[s.Job](ctx, s, kafka) }()

	begin, err := await(ctx, adm, s, 1, ended)
	if err != nil {
		return nil, err
	}
	stopProfile, err := profile(s)
	if err != nil {
		return nil, err
	}
	defer stopProfile()
	end, err := await(ctx, adm, s, s.Records, ended)
	if err != nil {
		return nil, err
	}
	peak, err := peakKB()
	if err != nil {
		return nil, err
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	shape, err := measureShape(ctx, adm, s, before)
	if err != nil {
		return nil, err
	}
	storedAfter, err := stored(ctx, adm, s)
	if err != nil {
		return nil, err
	}
	return &result{
		Records: end.committed - begin.committed,
		Seconds: end.at.Sub(begin.at).Seconds(),
		CPU:     end.cpu - begin.cpu,
		Mallocs: end.mallocs - begin.mallocs,
		PeakKB:  peak,
		Shape:   shape,
		Stored:  storedAfter - storedBefore,
	}, nil
}

// profile writes a CPU profile of the measured time and a heap profile of its
// end into BENCH_PROFILES, a folder, if that is set; it costs a few percent.
func profile(s *spec) (stop func(), err error) {
	dir := os.Getenv("BENCH_PROFILES")
	if dir == "" {
		return func() {}, nil
	}
	name := fmt.Sprintf("%s-%s-%s-%d.prof", s.Job, s.Format, s.Codec, s.Workers)
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
		if heap, err := os.Create(strings.TrimSuffix(f.Name(), ".prof") + ".heap"); err == nil {
			_ = pprof.Lookup("heap").WriteTo(heap, 0)
			_ = heap.Close()
		}
	}, nil
}

// instant is a moment of a run.
type instant struct {
	at        time.Time
	committed int
	cpu       float64
	mallocs   uint64
}

// await looks 50 times a second whether the group has committed n records.
func await(ctx context.Context, adm *kadm.Client, s *spec, n int, ended <-chan error) (instant, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return instant{}, fmt.Errorf("ended before it was done: %w", err)
		case <-ctx.Done():
			return instant{}, ctx.Err()
		case <-tick.C:
		}
		if c := committed(ctx, adm, s); c >= n {
			return now(c)
		}
	}
}

// committed sums the group's offsets; a group that is not there yet has none.
func committed(ctx context.Context, adm *kadm.Client, s *spec) int {
	offsets, err := adm.FetchOffsets(ctx, s.Group)
	if err != nil {
		return 0
	}
	sum := int64(0)
	for _, o := range offsets[s.input()] {
		sum += max(o.At, 0)
	}
	return int(sum)
}

func now(committed int) (instant, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return instant{}, err
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	return instant{at: time.Now(), committed: committed, cpu: cpu, mallocs: mem.Mallocs}, nil
}

// peakKB is the largest resident set so far, VmHWM of proc(5).
func peakKB() (int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, ok := bytes.Cut(status, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0, errors.New("no VmHWM in /proc/self/status")
	}
	return strconv.Atoi(string(fields[0]))
}
