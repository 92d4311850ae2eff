package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/consent"
	"github.com/consentstream/consentstream/consent/redisstore"
	"github.com/consentstream/consentstream/internal/devstack"
)

// widest is a store that notes the most rows that were written at once.
type widest struct {
	*redisstore.Store
	rows int
}

func (s *widest) Apply(ctx context.Context, pages []*redisstore.Page) error {
	n := 0
	for _, p := range pages {
		n += len(p.Rows)
	}
	s.rows = max(s.rows, n)
	return s.Store.Apply(ctx, pages)
}

// crowdWorld is a projector without Kafka, whose writes are to be of 1500 rows.
func crowdWorld(t *testing.T) (*consentWorld, *projection, *widest) {
	w := &consentWorld{t: t, keys: map[string][32]byte{"crm": {1}},
		ns: consent.NewNamespaces([]consent.NamespaceRule{{Name: "crm", Normalize: consent.NormalizeTrim}})}
	redis := miniredis.RunT(t)
	devstack.BePrimary(redis)
	store, err := redisstore.Open(redisstore.Config{
		Addr: redis.Addr(), Keys: map[uint32][32]byte{1: {2}}, ActiveKey: 1, Timeout: 20 * time.Second,
		Epoch: redisstore.Epoch{ClusterID: "c", TopicID: [16]byte{1}, Partitions: worldPartitions, TagCheck: []byte{1}, Namespaces: w.ns.Hash(), Buckets: 4},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w.store = store
	wide := &widest{Store: store}
	p, err := NewProjector(ProjectorConfig{SeedBrokers: []string{"none"}, Group: "g", Topic: "c", Store: wide, Namespaces: w.ns, TagKeys: w.keys,
		Quarantine: w, BatchRecords: 1500, Log: zerolog.New(&w.log)})
	if err != nil {
		t.Fatal(err)
	}
	pr := &projection{Projector: p}
	if err := errors.Join(pr.readMarks(t.Context()), pr.write(t.Context(), nil, pr.next)); err != nil {
		t.Fatal(err)
	}
	return w, pr, wide
}

// crowd is an event that names n people, one after the other.
func crowd(event, n int) *kgo.Record {
	var value bytes.Buffer
	for i := range n {
		value.Write(consentRecord(0, fmt.Sprintf("%d-%d", event, i), "erase").Value)
	}
	return &kgo.Record{Offset: int64(event), Timestamp: time.UnixMilli(5), Key: []byte("crm:key"), Value: value.Bytes()}
}

// TestCrowd: an event that names a crowd denies it, as far as the bound goes, and
// says where that was not everybody; no write becomes much larger for it.
func TestCrowd(t *testing.T) {
	w, pr, wide := crowdWorld(t)
	if err := pr.take(t.Context(), []*kgo.Record{crowd(0, consent.MaxNamed), crowd(1, 2), crowd(2, consent.MaxNamed+1), crowd(3, consent.MaxNamed)}); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"key", "0-0", "0-999", "1-1", "2-999", "3-0"} {
		if row := w.row(s); row == nil || row.Malformed != 5 {
			t.Errorf("%s is not denied: %+v", s, row)
		}
	}
	if row := w.row("2-1000"); row != nil {
		t.Errorf("the bound is none: %+v", row)
	}
	faults := []consent.Fault{consent.FaultTooLarge, consent.FaultSyntax, consent.FaultUnsearched, consent.FaultTooLarge}
	if st := pr.Status(); st.Malformed != 4 || st.Events != 4 || st.Unattributed != 1 || !slices.Equal(w.bad, faults) {
		t.Errorf("%+v, quarantined %v", st, w.bad)
	}
	if !slices.Equal(pr.next, consent.Vector{4, 0}) || wide.rows > pr.cfg.BatchRecords+consent.MaxNamed+1 || wide.rows < 2*consent.MaxNamed {
		t.Errorf("next %v, %d rows at once", pr.next, wide.rows)
	}
	if n := bytes.Count(w.log.Bytes(), []byte(`"level":"error"`)); n != 1 || bytes.Contains(w.log.Bytes(), []byte("crm")) {
		t.Errorf("%d alarms: %s", n, w.log.String())
	}
}

// TestAlarm: that somebody may not be denied is in the log, however many events are
// malformed that deny whom they are about; and a flood of alarms is not.
func TestAlarm(t *testing.T) {
	w, pr, _ := crowdWorld(t)
	var records []*kgo.Record
	for i := range 5 * malformedLines {
		r := crowd(i, 1)
		if r.Value = []byte("{"); i >= 3*malformedLines {
			r.Key = nil
		}
		records = append(records, r)
	}
	if err := pr.take(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	for _, level := range []string{"warn", "error"} {
		if n := strings.Count(w.log.String(), `"level":"`+level+`"`); n != malformedLines {
			t.Errorf("%d lines of level %s", n, level)
		}
	}
	if st := pr.Status(); st.Unattributed != 2*malformedLines {
		t.Errorf("%+v", st)
	}
}
