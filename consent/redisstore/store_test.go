package redisstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/consentstream/consentstream/consent"
)

// goodInfo is what INFO must say for Check to be content.
const goodInfo = "# Server\r\nrole:master\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\nevicted_keys:0\r\nused_memory:1000\r\n" +
	"# Keyspace\r\ndb0:keys=4,expires=0,avg_ttl=0,subexpiry=0\r\n"

// fake is an in-process Redis whose INFO the test writes.
type fake struct {
	*miniredis.Miniredis
	info string
}

func newFake(t testing.TB) *fake {
	f := &fake{Miniredis: miniredis.NewMiniRedis(), info: goodInfo}
	conn, err := f.Dial()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	f.Server().SetPreHook(f.answer)
	t.Cleanup(f.Close)
	return f
}

// answer is the server.Hook for INFO. ECHO is what a MULTI can queue.
func (f *fake) answer(p *server.Peer, cmd string, _ ...string) bool {
	if cmd != "INFO" {
		return false
	}
	f.Server().Dispatch(p, []string{"ECHO", f.info})
	return true
}

func testEpoch() Epoch {
	return Epoch{ClusterID: "cluster", TopicID: [16]byte{1}, Partitions: 2, TagCheck: []byte("check"), Namespaces: [32]byte{2}, Buckets: 4}
}

func testConfig(f *fake) Config {
	return Config{
		Dial:  func(context.Context, string, string) (net.Conn, error) { return f.Dial() },
		Epoch: testEpoch(), Keys: map[uint32][32]byte{1: {7}}, ActiveKey: 1, Timeout: defaultTimeout * 10,
	}
}

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// tagIn makes the n-th tag of a bucket.
func tagIn(bucket, n, buckets int) (t consent.Tag) {
	binary.BigEndian.PutUint32(t[:4], uint32(bucket+n*buckets))
	copy(t[4:], "tag")
	return t
}

// event is a withdrawal or grant of one purpose.
func event(action consent.Action, partition int32, offset int64) *consent.Event {
	return &consent.Event{
		At: consent.Position{Partition: partition, Offset: offset}, Received: 1000 + offset,
		ID: "e", Action: action, Purposes: []string{"analytics"},
	}
}

// write folds one event per tag into a bucket and moves its watermark.
func write(t testing.TB, s *Store, bucket int, next consent.Vector, action consent.Action, tags ...consent.Tag) *Page {
	t.Helper()
	p := &Page{Bucket: bucket, Tags: tags, Next: next}
	if err := s.Load(t.Context(), []*Page{p}); err != nil || p.Err != nil {
		t.Fatal(err, p.Err)
	}
	foldInto(p, action, next)
	if err := s.Apply(t.Context(), []*Page{p}); err != nil || p.Err != nil {
		t.Fatal(err, p.Err)
	}
	return p
}

func foldInto(p *Page, action consent.Action, next consent.Vector) {
	for i := range p.Rows {
		if p.Rows[i] == nil {
			p.Rows[i] = consent.NewRow()
		}
		p.Rows[i].Fold(event(action, 0, next[0]-1))
	}
	p.Next = next
}

func codeOf(err error) Code {
	var h *Hold
	if errors.As(err, &h) {
		return h.Code
	}
	return ""
}

func TestReadWhatWasWritten(t *testing.T) {
	f := newFake(t)
	s := open(t, testConfig(f))
	for b := range 4 {
		write(t, s, b, consent.Vector{5, int64(b)}, consent.Grant, tagIn(b, 0, 4), tagIn(b, 1, 4))
	}
	write(t, s, 2, consent.Vector{9, 9}, consent.Withdraw, tagIn(2, 1, 4))
	tags := []consent.Tag{tagIn(3, 0, 4), tagIn(2, 1, 4), tagIn(0, 7, 4), tagIn(0, 1, 4), tagIn(2, 0, 4)}
	var snap consent.Snapshot
	for range 3 { // reuse must not change the answer
		if err := s.Read(t.Context(), tags, &snap); err != nil {
			t.Fatal(err)
		}
		if at(t, &snap, 2) != nil {
			t.Error("a subject that nobody spoke of has a row")
		}
		wantCuts := []consent.Vector{{5, 3}, {9, 9}, {5, 0}, {5, 0}, {9, 9}}
		for i, cut := range snap.Cut {
			if !slices.Equal(cut, wantCuts[i]) {
				t.Errorf("cut %d is %v, want %v", i, cut, wantCuts[i])
			}
		}
		withdrawn := at(t, &snap, 1).Slot("analytics")
		if withdrawn == nil || !withdrawn.No[consent.FamilyWithdraw].Set || !withdrawn.Y.Set {
			t.Error("the second batch did not fold onto the first")
		}
		if other := at(t, &snap, 4).Slot("analytics"); other == nil || other.No[consent.FamilyWithdraw].Set {
			t.Error("the withdrawal reached another row")
		}
		if snap.ServerTime == 0 {
			t.Error("no server time")
		}
	}
}

func TestReadWithoutTags(t *testing.T) {
	var snap consent.Snapshot
	if err := open(t, testConfig(newFake(t))).Read(t.Context(), nil, &snap); err != nil || snap.ServerTime == 0 || snap.Len() != 0 {
		t.Fatal(err, snap)
	}
}

// TestDamage: whatever happens to Redis's content, Read holds and names it, or
// answers with the older watermark that the damage brought back.
func TestDamage(t *testing.T) {
	tag, other := tagIn(1, 0, 4), tagIn(1, 1, 4)
	field := string(tag[:])
	type world struct {
		*fake
		s      *Store
		key    string
		before map[string]string // the bucket one batch earlier
	}
	flip := func(w world, field string, at int) {
		b := []byte(w.HGet(w.key, field))
		b[(at+len(b))%len(b)] ^= 1
		w.HSet(w.key, field, string(b))
	}
	tests := []struct {
		name string
		do   func(w world)
		want Code
	}{
		{"row deleted", func(w world) { w.HDel(w.key, field) }, CountMismatch},
		{"other row deleted", func(w world) { w.HDel(w.key, string(other[:])) }, CountMismatch},
		{"field added", func(w world) { w.HSet(w.key, "junk", "x") }, CountMismatch},
		{"row bit flipped in its state", func(w world) { flip(w, field, 8) }, RowMAC},
		{"row bit flipped in its MAC", func(w world) { flip(w, field, -1) }, RowMAC},
		{"row of a higher key epoch", func(w world) { flip(w, field, 1) }, KeyUnknown},
		{"row truncated", func(w world) { w.HSet(w.key, field, w.HGet(w.key, field)[:10]) }, RowMalformed},
		{"row emptied", func(w world) { w.HSet(w.key, field, "") }, RowMalformed},
		{"row of another subject", func(w world) { w.HSet(w.key, field, w.HGet(w.key, string(other[:]))) }, RowMAC},
		{"row of another bucket", func(w world) {
			alien := tagIn(2, 0, 4)
			w.HSet(w.key, field, w.HGet(w.s.Key(2), string(alien[:])))
		}, RowMAC},
		{"watermark deleted", func(w world) { w.HDel(w.key, "w") }, CountMismatch},
		{"watermark truncated", func(w world) { w.HSet(w.key, "w", "\x01") }, WatermarkForm},
		{"watermark raised", func(w world) { flip(w, "w", headW+4+7) }, WatermarkMAC},
		{"watermark count changed", func(w world) { flip(w, "w", -macSize-1) }, WatermarkMAC},
		{"watermark of another bucket", func(w world) { w.HSet(w.key, "w", w.HGet(w.s.Key(2), "w")) }, ForeignEpoch},
		{"watermark of another format", func(w world) { flip(w, "w", 0) }, WatermarkForm},
		{"bucket deleted", func(w world) { w.Del(w.key) }, NoEpoch},
		{"everything flushed", func(w world) { w.FlushAll() }, NoEpoch},
		{"bucket renamed onto this one", func(w world) {
			w.Del(w.key)
			for _, f := range must(w.HKeys(w.s.Key(2))) {
				w.HSet(w.key, f, w.HGet(w.s.Key(2), f))
			}
		}, ForeignEpoch},
		{"string instead of a hash", func(w world) { w.Del(w.key); w.Set(w.key, "x") }, WrongType},
		{"list instead of a hash", func(w world) { w.Del(w.key); w.Push(w.key, "x") }, WrongType},
		{"watermark rolled back alone", func(w world) { w.HSet(w.key, "w", w.before["w"]) }, CountMismatch},
		{"rows and watermark rolled back", func(w world) {
			w.Del(w.key)
			for f, v := range w.before {
				w.HSet(w.key, f, v)
			}
		}, ""},
		{"commands refused", func(w world) { w.SetError("NOPERM this user has no permissions with secret-text") }, Refused},
		{"loading", func(w world) { w.SetError("LOADING Redis is loading the dataset in memory") }, Loading},
		{"gone", func(w world) { w.Close() }, Unreachable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			cfg := testConfig(f)
			if tt.name == "gone" {
				addr := startOnSocket(t, f)
				cfg.Dial, cfg.Addr = nil, addr
			}
			s := open(t, cfg)
			w := world{fake: f, s: s, key: s.Key(1), before: map[string]string{}}
			write(t, s, 2, consent.Vector{9, 9}, consent.Grant, tagIn(2, 0, 4))
			write(t, s, 1, consent.Vector{4, 4}, consent.Grant, tag)
			for _, k := range must(f.HKeys(w.key)) {
				w.before[k] = f.HGet(w.key, k)
			}
			write(t, s, 1, consent.Vector{9, 9}, consent.Withdraw, tag, other)
			tt.do(w)
			checkDamage(t, s, tag, tt.want)
		})
	}
}

// startOnSocket gives the fake a real listener, for tests that end it.
func startOnSocket(t *testing.T, f *fake) string {
	t.Helper()
	f.Close()
	f.Miniredis = miniredis.NewMiniRedis()
	if err := f.StartAddr("127.0.0.1:0"); err != nil {
		t.Skip("no loopback listener:", err)
	}
	return f.Addr()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func checkDamage(t *testing.T, s *Store, tag consent.Tag, want Code) {
	t.Helper()
	var snap consent.Snapshot
	snap.Reset(1)
	err := s.Read(t.Context(), []consent.Tag{tag, tagIn(2, 0, 4)}, &snap)
	if got := codeOf(err); got != want {
		t.Fatalf("code %q (%v), want %q", got, err, want)
	}
	if want == "" {
		if !slices.Equal(snap.Cut[0], consent.Vector{4, 4}) {
			t.Errorf("restored rows are read under %v, not under their own watermark", snap.Cut[0])
		}
		return
	}
	if snap.Len() != 0 || len(snap.Cut) != 0 {
		t.Error("a failed read left answers behind")
	}
	if strings.Contains(err.Error(), "secret") || bytes.Contains([]byte(err.Error()), tag[:]) {
		t.Error("the error repeats Redis's text or a tag")
	}
}

// TestForeign: another epoch or key never sees these rows.
func TestForeign(t *testing.T) {
	tag := tagIn(1, 0, 4)
	tests := []struct {
		name   string
		change func(*Config)
		want   Code
	}{
		{"same", func(*Config) {}, ""},
		{"cluster", func(c *Config) { c.Epoch.ClusterID = "other" }, NoEpoch},
		{"topic recreated", func(c *Config) { c.Epoch.TopicID[3]++ }, NoEpoch},
		{"partitions", func(c *Config) { c.Epoch.Partitions++ }, NoEpoch},
		{"tag key", func(c *Config) { c.Epoch.TagCheck = []byte("chock") }, NoEpoch},
		{"normalisation", func(c *Config) { c.Epoch.Namespaces[0]++ }, NoEpoch},
		{"buckets", func(c *Config) { c.Epoch.Buckets = 8 }, NoEpoch},
		{"row key", func(c *Config) { c.Keys = map[uint32][32]byte{1: {8}} }, WatermarkMAC},
		{"older key file", func(c *Config) { c.Keys, c.ActiveKey = map[uint32][32]byte{0: {7}}, 0 }, KeyUnknown},
		{"retired key", func(c *Config) { c.Keys, c.ActiveKey = map[uint32][32]byte{2: {9}}, 2 }, WatermarkMAC},
		{"rotated key", func(c *Config) { c.Keys, c.ActiveKey = map[uint32][32]byte{1: {7}, 2: {9}}, 2 }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			for b := range 4 {
				write(t, open(t, testConfig(f)), b, consent.Vector{9, 9}, consent.Grant, tagIn(b, 0, 4))
			}
			cfg := testConfig(f)
			tt.change(&cfg)
			var snap consent.Snapshot
			err := open(t, cfg).Read(t.Context(), []consent.Tag{tag}, &snap)
			if codeOf(err) != tt.want || (err == nil) != (tt.want == "") {
				t.Fatalf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestEpochHash: every member counts, and no two members can be confused.
func TestEpochHash(t *testing.T) {
	seen := map[[32]byte]string{}
	for name, change := range map[string]func(*Epoch){
		"none": func(*Epoch) {}, "cluster": func(e *Epoch) { e.ClusterID += "c" }, "topic": func(e *Epoch) { e.TopicID[15]++ },
		"partitions": func(e *Epoch) { e.Partitions++ }, "tag": func(e *Epoch) { e.TagCheck = append([]byte("c"), e.TagCheck...) },
		"namespaces": func(e *Epoch) { e.Namespaces[31]++ }, "buckets": func(e *Epoch) { e.Buckets++ },
	} {
		e := testEpoch()
		change(&e)
		if other, ok := seen[e.Hash()]; ok {
			t.Errorf("%s and %s give one epoch", name, other)
		}
		seen[e.Hash()] = name
	}
}

func TestOpenRefuses(t *testing.T) {
	f := newFake(t)
	for name, change := range map[string]func(*Config){
		"no address": func(c *Config) { c.Dial = nil }, "no key": func(c *Config) { c.Keys = nil },
		"other active key": func(c *Config) { c.ActiveKey = 2 }, "zero key": func(c *Config) { c.Keys = map[uint32][32]byte{1: {}} },
		"no cluster": func(c *Config) { c.Epoch.ClusterID = "" }, "no topic": func(c *Config) { c.Epoch.TopicID = [16]byte{} },
		"no partitions": func(c *Config) { c.Epoch.Partitions = 0 }, "257 partitions": func(c *Config) { c.Epoch.Partitions = 257 },
		"no tag check": func(c *Config) { c.Epoch.TagCheck = nil }, "no namespaces": func(c *Config) { c.Epoch.Namespaces = [32]byte{} },
		"negative buckets": func(c *Config) { c.Epoch.Buckets = -1 },
	} {
		cfg := testConfig(f)
		change(&cfg)
		if s, err := Open(cfg); err == nil {
			s.Close()
			t.Error(name, "is accepted")
		}
	}
}

func TestSlow(t *testing.T) {
	silent := func(context.Context, string, string) (net.Conn, error) { // takes everything, answers nothing
		client, server := net.Pipe()
		t.Cleanup(func() { server.Close() })
		go func() { _, _ = io.Copy(io.Discard, server) }()
		return client, nil
	}
	cfg := testConfig(nil)
	cfg.Dial, cfg.Timeout = silent, 20*time.Millisecond
	var snap consent.Snapshot
	if err := open(t, cfg).Read(t.Context(), []consent.Tag{{}}, &snap); codeOf(err) != Slow {
		t.Fatal(err)
	}
}

func TestMain(m *testing.M) {
	Quiet()
	m.Run()
}

// at is the row that answer i gives.
func at(t *testing.T, snap *consent.Snapshot, i int) *consent.Row {
	t.Helper()
	row, _, err := snap.State(i)
	if err != nil {
		t.Fatal(err)
	}
	return row
}
