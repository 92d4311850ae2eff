package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A transaction can be over while a partition never got the marker that says so: Kafka's
// coordinator takes a partition that has no leader when markers are written for a
// deleted one, and skips it. Seen with 4.3.1 in every third crash of a single
// broker. What the transaction wrote stays open there under our producer id, and the
// marker of our NEXT transaction in that partition decides it too: records that were
// aborted, and decided again since, are committed beside their second decision, or
// records that were committed are aborted, and lost (promises P1, P2, P4, P10, P11). KIP-664
// calls this a hanging transaction.
//
// So no transaction begins before our last one is over in all partitions that it had:
// what is open then is of that one and ends as it did. A session looks in all
// partitions when it begins, and in those of its last transaction before the
// next. A commit has to be looked after as an abort has: EndTxn is answered before the
// markers are written, and those of a broker that died are given up seconds later.
// Where it is not over, another transaction that holds just these partitions is
// ended in the way that one was, and so brings the markers.

// outcome is how a transaction ended.
type outcome int8

const (
	outcomeUnknown outcome = iota
	outcomeAborted
	outcomeCommitted
)

// The states of a transaction, as DescribeTransactions names them.
var (
	transactionOutcomes = map[string]outcome{
		"CompleteAbort":  outcomeAborted,
		"CompleteCommit": outcomeCommitted,
	}
	transactionEnding = map[string]bool{"Ongoing": true, "PrepareEpochFence": true, "PrepareAbort": true, "PrepareCommit": true}
)

// offsetsTopic is where Kafka keeps the offsets of groups.
const offsetsTopic = "__consumer_offsets"

// openPartition is one in which a transaction of ours is open, from an offset on.
type openPartition struct {
	topic     string
	partition int32
	from      int64
}

// settle ends what earlier transactions of our id have left open. It throws out
// whoever else has that id, as a session does.
func (w *worker) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Limits.Txn)
	defer cancel()
	for pace := (pacer{}); ; {
		if again, err := w.settleOnce(ctx); err != nil || !again {
			return err
		}
		if !pace.wait(ctx) {
			return asHold(ctx.Err())
		}
	}
}

// settleOnce looks once; again: it has ended something, and somebody has to look whether
// that helped.
func (w *worker) settleOnce(ctx context.Context) (again bool, err error) {
	cl, err := w.newEnder()
	if err != nil {
		return false, &Stop{Reason: "the Kafka client refuses its options: " + err.Error()}
	}
	defer cl.Close()
	if w.describes, err = describesTransactions(ctx, cl); err != nil || !w.describes {
		return false, asHold(err)
	}
	t, err := describeTransaction(ctx, cl, w.id)
	switch {
	case errors.Is(err, kerr.TransactionalIDNotFound): // there was never one
	case err != nil:
		return false, asHold(err)
	case transactionEnding[t.State]:
		return true, asHold(w.awaitEnd(ctx, cl, t.State))
	}
	if o := transactionOutcomes[t.State]; o != outcomeUnknown {
		w.last = o
		// The coordinator forgets that when we ask for the producer id, so all leaders have to
		// answer before: who waited for one after it could be killed, and nobody would know.
		if _, err := w.stillOpen(ctx, cl, t.ProducerID); err != nil {
			return false, asHold(err)
		}
	}
	id, epoch, err := cl.ProducerID(ctx)
	if err != nil {
		return false, asHold(err)
	}
	open, err := w.stillOpen(ctx, cl, id)
	switch {
	case err != nil:
		return false, asHold(err)
	case len(open) == 0:
		w.last = outcomeUnknown
		return false, nil
	case w.last == outcomeUnknown:
		return false, w.hanging(open)
	}
	w.log.Warn().Int("partitions", len(open)).Bool("committed", w.last == outcomeCommitted).
		Msg("a transaction is over, and Kafka left it open in some partitions: it is ended there now")
	return true, asHold(w.endAgain(ctx, cl, id, epoch, open))
}

// awaitEnd aborts a transaction that is going on, once: whoever has it may be about to
// commit it, so only the next look tells how it ended.
func (w *worker) awaitEnd(ctx context.Context, cl *kgo.Client, state string) error {
	if state != "Ongoing" {
		return nil // its markers are being written
	}
	w.last = outcomeUnknown
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &w.id, int32(w.cfg.Limits.Txn.Milliseconds())
	req.ProducerID, req.ProducerEpoch = -1, -1
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if errors.Is(err, kerr.ConcurrentTransactions) {
		return nil // as it says while it aborts
	}
	return err
}

func asHold(err error) error {
	if err == nil {
		return nil
	}
	return kafkaHold(HoldKafka, err)
}

// hanging is shown where nobody knows how the open transaction ended: a process died
// between learning it and bringing the markers.
func (w *worker) hanging(open []openPartition) *Hold {
	var commands []string
	for _, p := range open {
		commands = append(commands, w.cfg.command("kafka-transactions", fmt.Sprintf("abort --topic %s --partition %d --start-offset %d", p.topic, p.partition, p.from)))
	}
	return &Hold{Code: HoldHanging, Mend: strings.Join(commands, " && ")}
}

// newEnder makes a client that can end transactions as before KIP-890, which say
// which partitions they have.
func (w *worker) newEnder() (*kgo.Client, error) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.EndTxn.Int16(), 4)
	opts := append(w.clientOpts(), kgo.MaxVersions(versions), kgo.TransactionalID(w.id), kgo.TransactionTimeout(w.cfg.Limits.Txn))
	return kgo.NewClient(append(opts, w.cfg.KafkaOpts...)...)
}

// describesTransactions reports whether the brokers know KIP-664. Those that do not (before
// Kafka 3.0) cannot be asked.
func describesTransactions(ctx context.Context, cl *kgo.Client) (bool, error) {
	resp, err := askVersions(ctx, cl)
	if err != nil {
		return false, err
	}
	knows := func(key kmsg.Key) bool {
		return slices.ContainsFunc(resp.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool { return k.ApiKey == key.Int16() })
	}
	return knows(kmsg.DescribeTransactions) && knows(kmsg.DescribeProducers), nil
}

func describeTransaction(ctx context.Context, cl *kgo.Client, id string) (kadm.DescribedTransaction, error) {
	all, err := kadm.NewClient(cl).DescribeTransactions(ctx, id)
	if err != nil {
		return kadm.DescribedTransaction{}, err
	}
	t, err := all.On(id, nil)
	if err == nil {
		err = t.Err
	}
	return t, err
}

// stillOpen asks the leaders of all that we write, and of the group's offsets, where a
// transaction of producer id is open.
func (w *worker) stillOpen(ctx context.Context, cl *kgo.Client, id int64) ([]openPartition, error) {
	top, err := askTopology(ctx, cl, append([]string{offsetsTopic}, w.written...))
	if err != nil {
		return nil, err
	}
	topics := kadm.TopicsSet{}
	for _, name := range w.written {
		info, err := top.topic(name)
		if err != nil {
			return nil, err
		}
		addPartitions(topics, name, info)
	}
	open, err := openIn(ctx, cl, topics, id)
	if err != nil {
		return nil, err
	}
	w.offsetsAt = -1
	info, err := top.topic(offsetsTopic)
	if err != nil {
		return open, nil // the topic is internal: not everybody is shown it
	}
	at := offsetsPartition(w.cfg.Group, info.partitions())
	offsets := kadm.TopicsSet{}
	offsets.Add(offsetsTopic, at)
	more, err := openIn(ctx, cl, offsets, id)
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		return open, nil
	}
	w.offsetsAt = at
	return append(open, more...), err
}

func addPartitions(topics kadm.TopicsSet, name string, info topicInfo) {
	for p := range info.leaders {
		topics.Add(name, int32(p))
	}
}

func openIn(ctx context.Context, cl *kgo.Client, topics kadm.TopicsSet, id int64) (open []openPartition, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if len(topics) == 0 {
		return nil, nil // none would mean all
	}
	described, err := kadm.NewClient(cl).DescribeProducers(ctx, topics)
	if err != nil {
		return nil, err
	}
	for _, p := range described.SortedPartitions() {
		if p.Err != nil {
			return nil, p.Err
		}
		topics.Delete(p.Topic, p.Partition)
		if ours, ok := p.ActiveProducers[id]; ok && ours.CurrentTxnStartOffset >= 0 {
			open = append(open, openPartition{p.Topic, p.Partition, ours.CurrentTxnStartOffset})
		}
	}
	if len(topics) > 0 {
		return nil, kerr.LeaderNotAvailable // some leader did not answer
	}
	return open, nil
}

// endAgain ends a transaction that has just these partitions.
func (w *worker) endAgain(ctx context.Context, cl *kgo.Client, id int64, epoch int16, open []openPartition) error {
	if err := w.addToTransaction(ctx, cl, id, epoch, open); err != nil {
		return err
	}
	offsets := kmsg.NewPtrAddOffsetsToTxnRequest()
	offsets.TransactionalID, offsets.ProducerID, offsets.ProducerEpoch, offsets.Group = w.id, id, epoch, w.cfg.Group
	added, err := offsets.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(added.ErrorCode)
	}
	if err != nil {
		return err
	}
	return w.end(ctx, cl, id, epoch)
}

// end asks until there is an answer: who looks again would find the transaction going on, and
// abort it. No more can be done for one that was to be committed and
// whose coordinator is away for longer than Limits.Txn.
func (w *worker) end(ctx context.Context, cl *kgo.Client, id int64, epoch int16) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = w.id, id, epoch, w.last == outcomeCommitted
	for pace := (pacer{}); ; {
		resp, err := req.RequestWith(ctx, cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		switch {
		case err == nil, errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch), errors.Is(err, kerr.InvalidTxnState):
			return err
		case !pace.wait(ctx):
			return err
		}
	}
}

// addToTransaction adds what is open, but the offsets, which are added by their group.
func (w *worker) addToTransaction(ctx context.Context, cl *kgo.Client, id int64, epoch int16, open []openPartition) error {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = w.id, id, epoch
	for _, p := range open {
		if p.topic == offsetsTopic {
			continue
		}
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != p.topic {
			t := kmsg.NewAddPartitionsToTxnRequestTopic()
			t.Topic = p.topic
			req.Topics = append(req.Topics, t)
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p.partition)
	}
	if len(req.Topics) == 0 {
		return nil
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}
