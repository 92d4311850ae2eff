package pipeline

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/consentstream/consentstream/audit"
)

// rot is a dialer that damages the record batch whose value holds a mark, on its
// way from the broker.
type rot struct {
	mu     sync.Mutex
	mark   []byte
	damage func(batch []byte)
	times  int // how often; <0: always
	hits   int
}

func (r *rot) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	return &rottenConn{Conn: c, rot: r}, err
}

type rottenConn struct {
	net.Conn
	rot *rot
}

// toValue is how far behind the beginning of its batch the value of a single
// record lies that rig.marked has produced.
const toValue = batchHeader + 7

func (c *rottenConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	r := c.rot
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := bytes.Index(b[:n], r.mark); i >= toValue && r.times != 0 {
		r.times--
		r.hits++
		batch := b[i-toValue : n]
		r.damage(batch[:12+binary.BigEndian.Uint32(batch[atLength:])])
	}
	return n, err
}

func (r *rot) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hits
}

// marked produces a record that is a batch by itself and begins with a mark.
func (r *rig) marked(partition int32) {
	r.t.Helper()
	cl := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err := cl.ProduceSync(r.t.Context(), &kgo.Record{Topic: rigInput, Partition: partition, Key: []byte("7"), Value: []byte(`{"id":"marked","n":7}`)}).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

// TestCorrupt: a record batch that the log damaged parks its lane, exactly there;
// one that its writer made unreadable costs its records; damage on the way costs
// nothing. Other lanes go on in all cases.
func TestCorrupt(t *testing.T) {
	checksum := func(b []byte) { binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atCovered:], castagnoli)) }
	cases := map[string]struct {
		damage func(batch []byte)
		times  int
		park   bool
		next   int64 // as lane show tells it
		unread bool
	}{
		"a bit of the value":  {damage: func(b []byte) { b[len(b)-5] ^= 1 }, times: -1, park: true, next: 3},
		"a bit of the offset": {damage: func(b []byte) { b[atLastDelta] ^= 64 }, times: -1, park: true, next: 3 + 64<<24},
		"the magic":           {damage: func(b []byte) { b[atMagic] = 99 }, times: -1, park: true, next: 3},
		"on its way, once":    {damage: func(b []byte) { b[len(b)-5] ^= 1 }, times: 1},
		"not compressed as it says": {damage: func(b []byte) {
			b[atCovered+1] |= 1 // gzip
			checksum(b)
		}, times: -1, unread: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			wire := &rot{mark: []byte(`{"id":"marked"`), damage: c.damage, times: c.times}
			r := newRig(t, func(cfg *Config) { cfg.KafkaOpts = append(cfg.KafkaOpts, kgo.Dialer(wire.dial)) })
			r.input(rigInput, 0, 1)
			r.input(rigInput, 0, 2)
			r.marked(0)
			r.input(rigInput, 0, 3)
			r.input(rigInput, 1, 4)
			run := r.start()
			if c.park {
				r.eventually("parked", func() bool { return len(run.Status().Parked) == 1 })
				p := run.Status().Parked[0]
				if p.Code != ParkCorrupt || p.Partition != 0 || p.Offset != 2 || !strings.Contains(p.Mend, "lane show --topic events --partition 0") {
					t.Errorf("parked %+v", p)
				}
				r.input(rigInput, 1, 5, 6)
				lanes := r.chains(r.audited(5))
				r.exactlyOnce(lanes, rigInput, 0, 2)
				r.exactlyOnce(lanes, rigInput, 1, 3)
				st, err := run.LaneShow(t.Context(), rigInput, 0)
				if err != nil || st.Fault != ParkCorrupt || st.FaultAt != 2 || st.FaultEnd != c.next {
					t.Errorf("lane show: %+v, %v", st, err)
				}
				run.stop()
				return
			}
			seen := r.exactlyOnce(r.chains(r.audited(5)), rigInput, 0, 4)
			if a := seen[2]; (a.Kind == audit.LeafQuarantine) != c.unread || c.unread && a.Detail != "batch_unreadable" {
				t.Errorf("offset 2: %v %s", a.Kind, a.Detail)
			}
			if st := run.Status(); len(st.Parked) > 0 || wire.count() == 0 {
				t.Errorf("parked %v, %d damages", st.Parked, wire.count())
			}
			if st, err := run.LaneShow(t.Context(), rigInput, 0); err != nil || st.Fault != "" {
				t.Errorf("lane show: %+v, %v", st, err)
			}
			r.eventually("ready", func() bool { return run.Status().Ready })
			run.stop()
		})
	}
}

// repacked claims of a batch that it is compressed, whatever is in it.
type repacked struct {
	codec kgo.CompressionCodecType
	pack  func(records []byte) []byte
}

func (c repacked) Compress(_ *bytes.Buffer, src []byte, _ ...kgo.CompressFlag) ([]byte, kgo.CompressionCodecType) {
	return c.pack(src), c.codec
}

// padding is long enough that a client takes what repacked makes of it: a batch
// that does not become smaller it sends as it is.
var padding = strings.Repeat("x", 1000)

func (r *rig) repacked(c repacked) {
	r.t.Helper()
	cl := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.WithCompressor(c))
	if err := cl.ProduceSync(r.t.Context(), &kgo.Record{Topic: rigInput, Value: []byte(`{"id":"8","n":8,"action":"` + padding + `"}`)}).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

// wideWindow is a zstd frame that is read with a window of 128 MB, which brokers
// take and the client's limit does not.
func wideWindow(records []byte) []byte {
	at := bytes.Index(records, []byte(padding))
	frame := []byte{0x28, 0xB5, 0x2F, 0xFD, 0, (27 - 10) << 3} // magic, descriptor, window (RFC 8878, 3.1.1)
	block := func(last, kind, size int, content []byte) {
		h := uint32(last | kind<<1 | size<<3)
		frame = append(append(frame, byte(h), byte(h>>8), byte(h>>16)), content...)
	}
	block(0, 0, at, records[:at])
	block(0, 1, len(padding), records[at:at+1]) // so many times
	block(1, 0, len(records)-at-len(padding), records[at+len(padding):])
	return frame
}

// garbage is no gzip.
func garbage([]byte) []byte { return []byte("garbage") }

// TestWideWindow: a batch that unpacks, but to a client with greater bounds than
// ours, costs its records and does not end sessions for ever.
func TestWideWindow(t *testing.T) {
	r := newRig(t)
	r.input(rigInput, 0, 1)
	r.repacked(repacked{kgo.CodecZstd, wideWindow})
	r.input(rigInput, 0, 2)
	run := r.start()
	if a := r.exactlyOnce(r.chains(r.audited(3)), rigInput, 0, 3)[1]; a.Kind != audit.LeafQuarantine || a.Detail != "batch_unreadable" {
		t.Errorf("%v %s", a.Kind, a.Detail)
	}
	r.eventually("ready", func() bool { return run.Status().Ready })
	run.stop()
}

// TestDamagedBeforeUnreadable: where a batch was damaged on its way, the search
// for what cannot be read must not leap over it, and over all that follows, to one
// that its writer made unreadable.
func TestDamagedBeforeUnreadable(t *testing.T) {
	for name, transactional := range map[string]bool{"plain": false, "behind an aborted transaction": true} {
		t.Run(name, func(t *testing.T) {
			wire := &rot{mark: []byte(`{"id":"marked"`), damage: func(b []byte) { b[len(b)-5] ^= 1 }, times: 1}
			r := newRig(t, func(cfg *Config) { cfg.KafkaOpts = append(cfg.KafkaOpts, kgo.Dialer(wire.dial)) })
			before := int64(0)
			if transactional {
				before = r.abortedInput()
			}
			r.marked(0)
			r.input(rigInput, 0, 1, 2)
			r.repacked(repacked{kgo.CodecGzip, garbage})
			r.input(rigInput, 0, 3)
			run := r.start()
			lanes := r.chains(r.audited(5))
			for lane, records := range lanes {
				for i, a := range records {
					if a.Offset != before+int64(i) || (a.Kind == audit.LeafQuarantine) != (i == 3) {
						t.Errorf("%s/%d, offset %d: %v %s", lane.Topic, lane.Partition, a.Offset, a.Kind, a.Detail)
					}
				}
			}
			if wire.count() != 1 {
				t.Errorf("%d damages", wire.count())
			}
			run.stop()
		})
	}
}

// abortedInput leaves an aborted transaction in partition 0, and gives where it ends.
func (r *rig) abortedInput() (end int64) {
	r.t.Helper()
	cl := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("aborts"))
	if err := cl.BeginTransaction(); err != nil {
		r.t.Fatal(err)
	}
	rec := &kgo.Record{Topic: rigInput, Value: []byte(`{"id":"9","n":9}`)}
	if err := cl.ProduceSync(r.t.Context(), rec).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
	if err := cl.EndTransaction(r.t.Context(), kgo.TryAbort); err != nil {
		r.t.Fatal(err)
	}
	return rec.Offset + 2 // behind the marker
}

// FuzzFirstUnreadable: whatever a broker sends, the search ends, and a batch that
// is said to be intact lies behind the offset that was asked for.
func FuzzFirstUnreadable(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add(make([]byte, batchHeader), int64(0))
	f.Add(bytes.Repeat([]byte{0xff}, 100), int64(1<<40))
	whole := make([]byte, batchHeader)
	binary.BigEndian.PutUint32(whole[atLength:], batchHeader-12)
	whole[atMagic] = 2
	binary.BigEndian.PutUint32(whole[atCRC:], crc32.Checksum(whole[atCovered:], castagnoli))
	f.Add(slices.Concat(whole, []byte{1, 2, 3}), int64(0))
	f.Fuzz(func(t *testing.T, log []byte, at int64) {
		start := time.Now()
		raw := &rawLog{unpack: kgo.DefaultDecompressor()}
		raw.RecordBatches = log
		b, err := raw.firstUnreadable(at)
		if err == nil && !b.damaged && b.next <= at {
			t.Errorf("%+v cannot be read at %d", b, at)
		}
		if err == nil && b.next >= 0 && b.next <= at {
			t.Errorf("%+v ends before %d", b, at)
		}
		if b.at > len(log) {
			t.Errorf("%+v lies behind the end", b)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("took %v", d)
		}
	})
}
