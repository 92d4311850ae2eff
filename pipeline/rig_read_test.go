package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
	"github.com/consentstream/consentstream/schemas"
)

// read gives all committed records of a topic, by partition and offset.
func (r *rig) read(topic string) []*kgo.Record {
	r.t.Helper()
	ends, err := r.adm.ListCommittedOffsets(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	want := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			want[o.Partition] = o.Offset
		}
	})
	from := map[int32]kgo.Offset{}
	for p := range want {
		from[p] = kgo.NewOffset().At(0)
	}
	if len(want) == 0 {
		return nil
	}
	cl := r.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	var all []*kgo.Record
	for len(want) > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			r.t.Fatalf("reading %s: timeout, missing %v", topic, want)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			if !rec.Attrs.IsControl() {
				all = append(all, rec)
			}
			if rec.Offset+1 >= want[rec.Partition] {
				delete(want, rec.Partition)
			}
		})
	}
	return all
}

// eventually polls until ok or the time is over.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	for _, run := range r.runs {
		select {
		case <-run.done:
			r.t.Logf("an enforcer has ended: %v", run.err)
		default:
		}
	}
	r.t.Fatalf("never: %s", what)
}

// audited waits until n audit records are committed and gives them all.
func (r *rig) audited(n int) []*kgo.Record {
	r.t.Helper()
	var got []*kgo.Record
	r.eventually(fmt.Sprintf("%d audit records", n), func() bool {
		if r.countCommitted(r.cfg.Topics.Audit) < n {
			return false
		}
		got = r.read(r.cfg.Topics.Audit)
		return len(got) >= n
	})
	return got
}

// countCommitted bounds the committed records of a topic from above, cheaply:
// control records count too.
func (r *rig) countCommitted(topic string) int {
	ends, err := r.adm.ListCommittedOffsets(r.t.Context(), topic)
	if err != nil {
		return 0
	}
	total := 0
	ends.Each(func(o kadm.ListedOffset) { total += int(o.Offset) })
	return total
}

// lanes decodes audit records, verifies every lane's chain from its genesis and
// the signature at each transaction's end, and gives the records by lane.
func (r *rig) chains(records []*kgo.Record) map[audit.Lane][]audit.Record {
	r.t.Helper()
	values := map[audit.Lane][][]byte{}
	lanes := map[audit.Lane][]audit.Record{}
	last := map[audit.Lane]*kgo.Record{}
	for _, rec := range records {
		id, payload, f := schemas.ParseFrame(rec.Value)
		if f != nil || id != r.byText[schemas.AuditRecord] {
			r.t.Fatalf("audit record is not framed with the registered schema: %v", f)
		}
		a, err := audit.DecodeRecord(payload)
		if err != nil {
			r.t.Fatal(err)
		}
		if n := len(lanes[a.Lane]); a.Context != nil && n > 0 && len(last[a.Lane].Headers) == 0 {
			r.t.Fatalf("index %d begins a transaction, the record before it is not signed", a.Index)
		}
		if len(rec.Headers) > 0 {
			if !audit.VerifySig(r.cfg.Keys.Public(), &a.Lane, a.Index, audit.LeafHash(payload), rec.Headers[0].Value) {
				r.t.Fatalf("wrong signature at index %d", a.Index)
			}
		}
		last[a.Lane] = rec
		values[a.Lane] = append(values[a.Lane], payload)
		lanes[a.Lane] = append(lanes[a.Lane], a)
	}
	for lane, vs := range values {
		if _, err := audit.VerifyChain(vs); err != nil {
			r.t.Fatalf("chain of partition %d: %v", lane.Partition, err)
		}
		if len(last[lane].Headers) == 0 {
			r.t.Fatalf("the last record of partition %d is not signed", lane.Partition)
		}
	}
	return lanes
}

// exactlyOnce checks that every input offset of a partition was audited once,
// and gives the leaf kinds by offset.
func (r *rig) exactlyOnce(lanes map[audit.Lane][]audit.Record, topic string, partition int32, n int64) map[int64]audit.Record {
	r.t.Helper()
	seen := map[int64]audit.Record{}
	for lane, records := range lanes {
		if lane.Topic != topic || lane.Partition != partition {
			continue
		}
		for _, a := range records {
			if _, twice := seen[a.Offset]; twice {
				r.t.Fatalf("%s/%d offset %d was audited twice", topic, partition, a.Offset)
			}
			seen[a.Offset] = a
		}
	}
	for o := range n {
		if _, ok := seen[o]; !ok {
			r.t.Fatalf("%s/%d offset %d was not audited", topic, partition, o)
		}
	}
	return seen
}

// outputs counts records per output topic by the member n of their values.
func (r *rig) outputNumbers(topic string) map[int]int {
	r.t.Helper()
	out := map[int]int{}
	for _, rec := range r.read(topic) {
		var v struct {
			N int `json:"n"`
		}
		if err := json.Unmarshal(rec.Value, &v); err != nil {
			r.t.Fatal(err)
		}
		out[v.N]++
	}
	return out
}
