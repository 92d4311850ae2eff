package pipeline

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// hangingBroker makes the rig's broker say that a transaction of the worker's producer
// id is open in audit partition 1, until a transaction that has that partition ends.
type hangingBroker struct {
	*rig
	mu    sync.Mutex
	id    int64
	state string // of the worker's transaction; "": what it is
	open  bool
	added bool
	ends  []bool                                        // commit or abort, of those that had the partition
	early bool                                          // a transaction produced while it was open
	first map[kmsg.Key]func(kmsg.Request) kmsg.Response // what a test answers instead
}

func (r *rig) hangs(state string) *hangingBroker {
	r.t.Helper()
	b := &hangingBroker{rig: r, state: state, open: true}
	cl := r.client(kgo.TransactionalID(rigGroup + ".0.0"))
	var err error
	if b.id, _, err = cl.ProducerID(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	b.first = map[kmsg.Key]func(kmsg.Request) kmsg.Response{}
	b.control(kmsg.InitProducerID, b.fence)
	b.control(kmsg.DescribeTransactions, b.describe)
	b.control(kmsg.DescribeProducers, b.producers)
	b.control(kmsg.AddPartitionsToTxn, b.add)
	b.control(kmsg.EndTxn, b.end)
	b.control(kmsg.Produce, func(req kmsg.Request) kmsg.Response {
		b.early = b.early || b.open && req.(*kmsg.ProduceRequest).TransactionID != nil
		return nil
	})
	return b
}

// control answers requests of a kind where f has an answer.
func (b *hangingBroker) control(key kmsg.Key, f func(kmsg.Request) kmsg.Response) {
	b.stack.Kafka.ControlKey(key.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.stack.Kafka.KeepControl()
		b.mu.Lock()
		defer b.mu.Unlock()
		if g := b.first[key]; g != nil {
			if resp := g(req); resp != nil {
				return resp, nil, true
			}
		}
		resp := f(req)
		return resp, nil, resp != nil
	})
}

func (b *hangingBroker) describe(req kmsg.Request) kmsg.Response {
	if b.state == "" {
		return nil
	}
	resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
	t := kmsg.NewDescribeTransactionsResponseTransactionState()
	t.TransactionalID, t.State, t.ProducerID = rigGroup+".0.0", b.state, b.id
	resp.TransactionStates = append(resp.TransactionStates, t)
	b.state = strings.Replace(b.state, "Prepare", "Complete", 1)
	return resp
}

func (b *hangingBroker) fence(req kmsg.Request) kmsg.Response {
	switch id := req.(*kmsg.InitProducerIDRequest).TransactionalID; {
	case id == nil || *id != rigGroup+".0.0":
	case b.state == "Ongoing":
		b.state = "PrepareAbort"
		return concurrent(req)
	case b.state != "":
		b.state = "Empty"
	}
	return nil
}

// concurrent is the answer of a coordinator that has to end something before.
func concurrent(req kmsg.Request) kmsg.Response {
	switch resp := req.ResponseKind().(type) {
	case *kmsg.InitProducerIDResponse:
		resp.ErrorCode = kerr.ConcurrentTransactions.Code
		return resp
	case *kmsg.EndTxnResponse:
		resp.ErrorCode = kerr.ConcurrentTransactions.Code
		return resp
	default:
		panic("not asked for")
	}
}

// instead has a test answer requests of a kind, where it does.
func (b *hangingBroker) instead(key kmsg.Key, f func(kmsg.Request) kmsg.Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.first[key] = f
}

func (b *hangingBroker) producers(req kmsg.Request) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
	for _, rt := range req.(*kmsg.DescribeProducersRequest).Topics {
		t := kmsg.NewDescribeProducersResponseTopic()
		t.Topic = rt.Topic
		for _, n := range rt.Partitions {
			p := kmsg.NewDescribeProducersResponseTopicPartition()
			p.Partition = n
			ours := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
			ours.ProducerID, ours.CurrentTxnStartOffset = b.id, -1
			if b.open && rt.Topic == b.cfg.Topics.Audit && n == 1 {
				ours.CurrentTxnStartOffset = 7
			}
			p.ActiveProducers = append(p.ActiveProducers, ours)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (b *hangingBroker) add(req kmsg.Request) kmsg.Response {
	for _, t := range req.(*kmsg.AddPartitionsToTxnRequest).Topics {
		for _, p := range t.Partitions {
			b.added = b.added || t.Topic == b.cfg.Topics.Audit && p == 1
		}
	}
	return nil
}

func (b *hangingBroker) end(req kmsg.Request) kmsg.Response {
	if b.added {
		b.ends = append(b.ends, req.(*kmsg.EndTxnRequest).Commit)
		b.open, b.added, b.state = false, false, ""
	}
	return nil
}

// How what is left open ends: as the coordinator says that the transaction did.
func TestHangingTransaction(t *testing.T) {
	for state, commit := range map[string]bool{"CompleteAbort": false, "CompleteCommit": true, "PrepareAbort": false, "PrepareCommit": true, "Ongoing": false} {
		t.Run(state, func(t *testing.T) {
			r := newRig(t)
			b := r.hangs(state)
			run := r.start()
			r.input(rigInput, 0, 1, 2, 3)
			r.exactlyOnce(r.chains(r.audited(3)), rigInput, 0, 3)
			run.stop()
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(b.ends) == 0 || b.ends[0] != commit || b.early {
				t.Errorf("ended as %v (commit: true), want %v first; produced before that: %v", b.ends, commit, b.early)
			}
			if !strings.Contains(r.log.String(), "it is ended there now") {
				t.Error("the log does not say so")
			}
		})
	}
}

// Where nobody knows how it ended, nothing is written, and a person decides.
func TestHangingUnknown(t *testing.T) {
	r := newRig(t)
	b := r.hangs("Empty")
	run := r.start()
	r.eventually("it is held", func() bool {
		held := run.Status().Holds
		return len(held) > 0 && held[0].Code == HoldHanging && strings.HasSuffix(held[0].Mend, " abort --topic consent.audit --partition 1 --start-offset 7")
	})
	r.input(rigInput, 0, 1)
	b.mu.Lock()
	if len(b.ends) > 0 {
		t.Errorf("something was ended: %v", b.ends)
	}
	if b.early {
		t.Error("a transaction produced")
	}
	b.open = false // as the command would
	b.mu.Unlock()
	r.audited(1)
	run.stop()
}

// A transaction that goes on is aborted by whoever asks for its producer id, unless
// its owner commits it first: that is not concluded, but asked.
func TestHangingCommittedMeanwhile(t *testing.T) {
	r := newRig(t)
	r.began()
	b := r.hangs("Ongoing")
	b.instead(kmsg.InitProducerID, func(req kmsg.Request) kmsg.Response {
		if req.(*kmsg.InitProducerIDRequest).TransactionalID == nil || b.state != "Ongoing" {
			return nil
		}
		b.state = "CompleteCommit"
		return concurrent(req)
	})
	r.session()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ends) != 1 || !b.ends[0] {
		t.Errorf("ended as %v (commit: true)", b.ends)
	}
}

// What a transaction that was committed left open stays to be committed, though the
// coordinator is away when that is asked for.
func TestHangingEndedLate(t *testing.T) {
	r := newRig(t)
	r.began()
	b := r.hangs("CompleteCommit")
	refused := 0
	b.instead(kmsg.EndTxn, func(req kmsg.Request) kmsg.Response {
		if refused++; refused < 3 {
			return concurrent(req)
		}
		return nil
	})
	r.session()
	b.mu.Lock()
	defer b.mu.Unlock()
	if refused != 3 || len(b.ends) != 1 || !b.ends[0] {
		t.Errorf("asked %d times, ended as %v (commit: true)", refused, b.ends)
	}
}

// How it ended is not forgotten where the process dies while it waits for a leader.
func TestHangingLeaderAway(t *testing.T) {
	r := newRig(t)
	r.began()
	b := r.hangs("CompleteCommit")
	asked := 0
	b.instead(kmsg.DescribeProducers, func(req kmsg.Request) kmsg.Response {
		asked++
		resp := b.producers(req).(*kmsg.DescribeProducersResponse)
		resp.Topics[0].Partitions[0].ErrorCode = kerr.LeaderNotAvailable.Code
		return resp
	})
	run := r.start()
	r.eventually("it is held", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		held := run.Status().Holds
		return asked > 1 && len(held) > 0 && held[0].Code == HoldKafka
	})
	run.stop()
	b.instead(kmsg.DescribeProducers, func(kmsg.Request) kmsg.Response { return nil })
	r.session()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ends) != 1 || !b.ends[0] {
		t.Errorf("ended as %v (commit: true)", b.ends)
	}
}

// leaves says whether something is open from now on, and forgets what was ended.
func (b *hangingBroker) leaves(open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.added, b.ends = open, false, nil
}

func (b *hangingBroker) tells(state string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = state
}

// The same on a real broker, for both ends. That the coordinator loses markers cannot be
// brought about, so a record is written into a partition that it does not know
// to be in the transaction, which brokers allow when told not to verify that.
func TestKafkaHanging(t *testing.T) {
	r, input := newKafkaRig(t)
	r.once(input, r.twice(input, 0))
	r.verification("false")
	defer r.verification("true")
	seen := 0
	for i, commit := range []bool{true, false, true} {
		left := r.leftOpen(input, commit)
		r.once(input, r.twice(input, 2+2*i))
		r.settled(left)
		if commit {
			seen++
		}
		if n := len(r.read(left)); n != seen {
			t.Errorf("%d records of such transactions are to be seen, want %d (commit: %v)", n, seen, commit)
		}
	}
}

// twice runs an enforcer for two records, of each partition one, and gives the last number.
func (r *rig) twice(input string, from int) int {
	r.t.Helper()
	run := r.start()
	r.input(input, 1, from+1)
	r.input(input, 0, from+2)
	r.audited(from + 2)
	run.stop()
	return from + 2
}

func (r *rig) verification(on string) {
	r.t.Helper()
	set := kadm.AlterConfig{Name: "transaction.partition.verification.enable", Value: &on}
	if _, err := r.adm.AlterBrokerConfigs(r.t.Context(), []kadm.AlterConfig{set}); err != nil {
		r.t.Fatal(err)
	}
}

// leftOpen ends a transaction of worker 0 that has one partition of the service
// output, and leaves it open in one of the analytics output, whose name it gives.
func (r *rig) leftOpen(input string, commit bool) string {
	r.t.Helper()
	id := r.cfg.memberID(0)
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.EndTxn.Int16(), 4)
	versions.SetMaxKeyVersion(kmsg.Produce.Int16(), 11)
	cl := r.client(kgo.TransactionalID(id), kgo.MaxVersions(versions), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := cl.BeginTransaction(); err != nil {
		r.t.Fatal(err)
	}
	if err := cl.ProduceSync(r.t.Context(), &kgo.Record{Topic: input + ".service", Value: []byte("{}")}).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
	producer, epoch, err := cl.ProducerID(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	topic := input + ".analytics"
	r.eventually("the broker takes a record without verifying it", func() bool {
		return r.smuggle(cl, id, producer, epoch, topic) == nil
	})
	if err := cl.EndTransaction(r.t.Context(), kgo.TransactionEndTry(commit)); err != nil {
		r.t.Fatal(err)
	}
	return topic
}

// smuggle writes a record into partition 2 of a topic.
func (r *rig) smuggle(cl *kgo.Client, id string, producer int64, epoch int16, topic string) error {
	rec := kmsg.Record{Value: []byte("{}")}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1)
	batch := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, Attributes: 1 << 4, FirstTimestamp: time.Now().UnixMilli(), MaxTimestamp: time.Now().UnixMilli(),
		ProducerID: producer, ProducerEpoch: epoch, NumRecords: 1, Records: rec.AppendTo(nil)}
	raw := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[atLength:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[atCRC:], crc32.Checksum(raw[atCovered:], castagnoli))
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = 2, raw
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis, req.Topics = &id, -1, 1000, append(req.Topics, t)
	resp, err := req.RequestWith(r.t.Context(), cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}
