package pipeline

import (
	"bytes"
	"compress/gzip"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFetchUnpacks: record batches of which none is too large by itself come in one
// fetch that would unpack to twenty times what a client may hold. It never holds
// more, and every record is decided once, also those of another partition.
func TestFetchUnpacks(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Limits.Unpacked = 1 << 20 })
	cl := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.GzipCompression()))
	const batches = 100
	for range batches {
		rec := &kgo.Record{Topic: rigInput, Value: make([]byte, 900<<10)}
		if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r.input(rigInput, 1, 1, 2, 3)
	s := r.session()
	var most atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for t.Context().Err() == nil && s.cl.Context().Err() == nil {
			most.Store(max(most.Load(), s.cl.BufferedFetchBytes()))
			time.Sleep(50 * time.Microsecond)
		}
	}()
	got := [2]int{}
	for deadline := time.Now().Add(20 * time.Second); got != [2]int{batches, 3} && time.Now().Before(deadline); {
		if err := s.transact(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, it := range s.batch.Items() {
			got[it.Lane.Partition]++
		}
		s.clear()
	}
	if got != [2]int{batches, 3} || s.reopen {
		t.Errorf("gathered %v, reopen %v", got, s.reopen)
	}
	s.close()
	<-done
	if m := most.Load(); m < 900<<10 || m > 4<<20 {
		t.Errorf("the client held %d bytes", m)
	}
	r.exactlyOnce(r.chains(r.audited(batches+3)), rigInput, 0, batches)
}

// packed is a gzipped piece of a record batch: its records.
func packed(t testing.TB, records []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(records); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func recordOf(headers int, value []byte) []byte {
	rec := kmsg.Record{Value: value, Headers: make([]kmsg.Header, headers)}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1)
	return rec.AppendTo(nil)
}

// named is a record with a header of that name.
func named(name string) []byte {
	rec := kmsg.Record{Headers: []kmsg.Header{{Key: name}}}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1)
	return rec.AppendTo(nil)
}

// batchOf is a fetched record batch, gzipped.
func batchOf(t testing.TB, values ...[]byte) []byte {
	t.Helper()
	var records []byte
	for i, v := range values {
		rec := kmsg.Record{OffsetDelta: int32(i), Value: v}
		rec.Length = int32(len(rec.AppendTo(nil)) - 1)
		records = rec.AppendTo(records)
	}
	n := int32(len(values))
	b := kmsg.RecordBatch{Magic: 2, Attributes: 1, NumRecords: n, LastOffsetDelta: n - 1, Records: packed(t, records)}
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	return b.AppendTo(nil)
}

// fetchWith processes a fetched batch as kgo does, with u.
func fetchWith(u *unpacker, batch []byte) ([]*kgo.Record, error) {
	p, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{DisableCRCValidation: true, Pools: []kgo.Pool{u}}, &kmsg.FetchResponseTopicPartition{RecordBatches: batch}, u, nil)
	return p.Records, p.Err
}

// fetched gives what fetchWith gives when garbage has been collected.
func fetched(t testing.TB, u *unpacker, batch []byte, want error) []*kgo.Record {
	t.Helper()
	got, err := fetchWith(u, batch)
	for range 100 {
		if errors.Is(err, want) {
			break
		}
		time.Sleep(collectPace)
		got, err = fetchWith(u, batch)
	}
	if !errors.Is(err, want) || (err == nil) != (len(got) > 0) {
		t.Fatalf("%d records, %v, want %v", len(got), err, want)
	}
	return got
}

// What a client has unpacked counts as long as one of its records is alive, and no
// longer, whoever dropped it.
func TestUnpackerSum(t *testing.T) {
	u, err := newUnpacker(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	large := batchOf(t, make([]byte, 900<<10), []byte("last"))
	var held []*kgo.Record
	for range 4 {
		held = append(held, fetched(t, u, large, nil)[1]) // a piece of it holds the whole
	}
	for range 3 {
		if _, err := fetchWith(u, large); !errors.Is(err, errFetchFull) {
			t.Fatal(err)
		}
	}
	held[0] = nil
	held = append(held, fetched(t, u, large, nil)...)
	if _, err := fetchWith(u, large); !errors.Is(err, errFetchFull) {
		t.Fatal(err)
	}
	runtime.KeepAlive(held)
	fetched(t, u, large, nil)
	for range 100 {
		if runtime.GC(); u.held.Load() == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d bytes are counted of nothing", u.held.Load())
}

// Records without key and value count as long as the others.
func TestUnpackerBare(t *testing.T) {
	u, err := newUnpacker(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	bare := batchOf(t, make([][]byte, 7000)...)
	var held [][]*kgo.Record
	for range 2 {
		held = append(held, fetched(t, u, bare, nil))
	}
	for range 4 {
		if _, err := fetchWith(u, bare); !errors.Is(err, errFetchFull) {
			t.Fatal(err)
		}
	}
	runtime.KeepAlive(held)
	fetched(t, u, bare, nil)
}

// TestFetchBare: such records count until they are handed out; what has been
// committed of them takes no room from another partition.
func TestFetchBare(t *testing.T) {
	r := newRig(t, func(cfg *Config) { cfg.Limits.Records, cfg.Limits.Unpacked = 4000, 1<<20 })
	cl := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(time.Second), kgo.ProducerBatchCompression(kgo.GzipCompression()))
	for range 3 {
		rs := make([]*kgo.Record, 8000)
		for i := range rs {
			rs[i] = &kgo.Record{Topic: rigInput}
		}
		if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	s := r.session()
	u := s.cl.OptValue(kgo.WithDecompressor).(*unpacker)
	got := [2]int{}
	for deadline := time.Now().Add(time.Minute); got != [2]int{24_000, 1} && time.Now().Before(deadline); {
		if err := s.transact(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := got == [2]int{}
		for _, it := range s.batch.Items() {
			got[it.Lane.Partition]++
		}
		s.clear()
		if first && got[0] > 0 {
			runtime.GC()
			time.Sleep(10 * time.Millisecond) // of the cleanups
			if n := s.cl.BufferedFetchRecords(); n == 0 || u.held.Load() < n*recordBytes {
				t.Fatalf("%d bytes are counted of %d records", u.held.Load(), n)
			}
			r.compressed(&kgo.Record{Topic: rigInput, Partition: 1, Value: make([]byte, 900<<10)})
		}
	}
	if got != [2]int{24_000, 1} {
		t.Errorf("gathered %v", got)
	}
}

// Where one partition has more than there is room for, and comes first in every
// fetch, the next one gets its batch all the same.
func TestUnpackerTurns(t *testing.T) {
	u, err := newUnpacker(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	admit := func(n int) bool {
		if !u.turn(n) || !u.room(n) {
			return false
		}
		u.held.Add(int64(n))
		return true
	}
	const first, second = 20 << 10, 1 << 20
	served := 0
	for range 60 {
		for admit(first) {
		}
		if n := u.held.Load(); n < 2<<20-first || n > 4<<20 {
			t.Fatalf("%d bytes are held", n)
		}
		if admit(second) {
			served++
		}
		u.held.Store(0) // all was handed out
	}
	if served < 5 {
		t.Errorf("served %d times of 60", served)
	}
}

// Whatever holds what is counted, a lane does not stand still for ever.
func TestUnpackerIdle(t *testing.T) {
	u, err := newUnpacker(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	u.held.Store(4 << 20)
	refused := 0
	for !u.collect(1) {
		u.collected = time.Time{}
		refused++
	}
	if u.collected = (time.Time{}); refused != mostIdle-1 || u.collect(1) {
		t.Errorf("refused %d times", refused)
	}
}

// A batch is as large as what kgo makes of it: of many records that take a few
// bytes each, of many headers, also of those that a cut off record only claims.
func TestUnpackerOne(t *testing.T) {
	u, err := newUnpacker(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	claims := recordOf(0, nil)
	claims = append(claims[:len(claims)-1], 0x80, 0x80, 0x80, 0x01) // a million headers
	claims = append(claims, make([]byte, 100<<10)...)
	size := kmsg.Record{Length: int32(len(claims) - 1)}
	claims = append(size.AppendTo(nil)[:3], claims[1:]...)
	for name, c := range map[string]struct {
		records []byte
		fits    bool
	}{
		"one record":      {recordOf(0, make([]byte, 1<<20-100)), true},
		"larger":          {recordOf(0, make([]byte, 1<<20)), false},
		"5,000 records":   {bytes.Repeat(recordOf(0, nil), 5000), true},
		"10,000 records":  {bytes.Repeat(recordOf(0, nil), 10_000), false},
		"20,000 headers":  {recordOf(20_000, nil), true},
		"30,000 headers":  {recordOf(30_000, nil), false},
		"claimed headers": {claims, false},
		"nothing":         {nil, true},
		"no record":       {make([]byte, 100), true},
	} {
		if _, err := u.one.Decompress(packed(t, c.records), kgo.CodecGzip); (err == nil) != c.fits || !c.fits && !errors.Is(err, kgo.ErrMaxDecompress) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
