package redisstore

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consentstream/consentstream/consent"
)

// endless answers every exchange on a connection with head, and then with zeros
// as long as somebody reads. It counts the zeros.
func endless(t *testing.T, head string) (dial dialer, sent func() int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	total := make(chan int64, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 1<<16)
				if _, err := c.Read(b); err != nil {
					return
				}
				_, _ = io.WriteString(c, head)
				n := int64(0)
				for clear(b); ; {
					m, err := c.Write(b)
					if n += int64(m); err != nil {
						total <- n
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close() })
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		}, func() int64 {
			select {
			case n := <-total:
				return n
			case <-time.After(10 * time.Second):
				return -1
			}
		}
}

// TestAnnounced512MB: a value that is announced with 512 MB is neither allocated
// nor read, and the Hold names its bucket.
func TestAnnounced512MB(t *testing.T) {
	const queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n"
	for name, c := range map[string]struct {
		head string
		want Hold
	}{
		"a row":             {queued + "*2\r\n$1\r\nw\r\n$536870912\r\n", Hold{Code: ReplyTooLarge, Bucket: 1}},
		"the watermark":     {queued + "*2\r\n$536870912\r\n", Hold{Code: ReplyTooLarge, Bucket: 1}},
		"the time":          {queued + "*2\r\n$1\r\nw\r\n$-1\r\n:1\r\n*2\r\n$536870912\r\n", Hold{Code: ReplyTooLarge, Bucket: -1}},
		"an array":          {queued + "*2147483648\r\n", Hold{Code: ReplyTooLarge, Bucket: 1}},
		"a transaction":     {"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*100000000\r\n", Hold{Code: ReplyTooLarge, Bucket: -1}},
		"an endless status": {"+", Hold{Code: ReplyTooLarge, Bucket: -1}},
		"no RESP":           {"", Hold{Code: Malformed, Bucket: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			dial, sent := endless(t, c.head)
			cfg := testConfig(nil)
			cfg.Dial, cfg.Timeout = dial, 2*time.Second
			s := open(t, cfg)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var snap consent.Snapshot
			err := s.Read(t.Context(), []consent.Tag{tagIn(1, 0, 4)}, &snap)
			runtime.ReadMemStats(&after)
			var h *Hold
			if !errors.As(err, &h) || h.Code != c.want.Code || h.Bucket != c.want.Bucket || len(snap.Cut) != 0 {
				t.Fatal(err)
			}
			if h.Bucket >= 0 && !strings.Contains(h.Mend(), "'"+s.Key(1)+"'") {
				t.Error("no command that helps:", h.Mend())
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("%d bytes allocated", n)
			}
			if n := sent(); n < 0 || n > 64<<20 {
				t.Errorf("%d bytes were sent before the connection was closed", n)
			}
		})
	}
}

// TestOversizeHeals: a value that is longer than any of ours costs its bucket, by
// whoever meets it, and then the bucket is built again.
func TestOversizeHeals(t *testing.T) {
	tag, other := tagIn(1, 0, 4), tagIn(2, 0, 4)
	long := strings.Repeat("x", maxValue+1)
	for name, field := range map[string]string{"row": string(tag[:]), "watermark": "w"} {
		for by, meet := range map[string]func(s *Store) error{
			"a read": func(s *Store) error { return s.Read(t.Context(), []consent.Tag{other, tag}, new(consent.Snapshot)) },
			"a load": func(s *Store) error {
				return s.Load(t.Context(), []*Page{{Bucket: 2, Tags: []consent.Tag{other}}, {Bucket: 1, Tags: []consent.Tag{tag}}})
			},
		} {
			t.Run(name+" met by "+by, func(t *testing.T) {
				f := newFake(t)
				s := open(t, testConfig(f))
				write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tag)
				write(t, s, 2, consent.Vector{5, 5}, consent.Grant, other)
				f.HSet(s.Key(1), field, long)
				var h *Hold
				if err := meet(s); !errors.As(err, &h) || h.Code != ReplyTooLarge || h.Bucket != 1 {
					t.Fatal(err)
				}
				if f.Exists(s.Key(1)) || !f.Exists(s.Key(2)) {
					t.Error("bucket 1 is there:", f.Exists(s.Key(1)), "and bucket 2:", f.Exists(s.Key(2)))
				}
				if code := codeOf(s.Read(t.Context(), []consent.Tag{tag}, new(consent.Snapshot))); code != NoEpoch {
					t.Errorf("then %q", code)
				}
				write(t, s, 1, consent.Vector{6, 5}, consent.Withdraw, tag)
				if code := readOne(t, s, tag); code != "" {
					t.Errorf("built again, and then %q", code)
				}
			})
		}
	}
}

// TestLongestRow: the longest row that there can be is no oversize.
func TestLongestRow(t *testing.T) {
	f := newFake(t)
	s := open(t, testConfig(f))
	tag := tagIn(1, 0, 4)
	p := load(t, s, 1, tag)
	p.Rows[0], p.Next = consent.NewRow(), consent.Vector{5, 5}
	p.Rows[0].Jurisdiction = consent.Attribute{Set: true, Value: "x"}
	short := len(p.Rows[0].AppendTo(nil))
	p.Rows[0].Jurisdiction.Value = strings.Repeat("x", consent.MaxRowBytes-short-1) // its length takes 3 bytes for 1
	if err := s.Apply(t.Context(), []*Page{p}); err != nil || p.Err != nil {
		t.Fatal(err, p.Err)
	}
	if n := len(f.HGet(s.Key(1), string(tag[:]))); n != maxValue {
		t.Fatalf("%d bytes, the longest is %d", n, maxValue)
	}
	if code := readOne(t, s, tag); code != "" {
		t.Errorf("refused: %q", code)
	}
}

// TestBoundedConnKeepsItsFile: the pool looks at the socket of an idle connection.
func TestBoundedConnKeepsItsFile(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, ok := newBoundedConn(a).(syscall.Conn); ok {
		t.Error("a pipe has no socket")
	}
	if _, ok := newBoundedConn(&net.TCPConn{}).(syscall.Conn); !ok {
		t.Error("the socket is hidden")
	}
}

// TestRealOversize does to a real redis-server what TestOversizeHeals does. One
// that has no time to copy the value is slow first; it heals as well.
func TestRealOversize(t *testing.T) {
	realServersWanted(t)
	for name, timeout := range map[string]time.Duration{"time enough": 10 * time.Second, "no time": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) { realOversize(t, timeout) })
	}
}

func realOversize(t *testing.T, timeout time.Duration) {
	r := startRedis(t)
	cfg := testConfig(nil)
	cfg.Dial, cfg.Addr, cfg.Timeout = nil, r.addr, timeout
	s := open(t, cfg)
	tag := tagIn(1, 0, 4)
	write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tag)
	r.do(t, "hset", s.Key(1), string(tag[:]), strings.Repeat("x", 64<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	if code := readOne(t, s, tag); code != ReplyTooLarge {
		t.Errorf("%q", code)
	}
	runtime.ReadMemStats(&after)
	t.Log("refused and removed in ", time.Since(began))
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes allocated", n)
	}
	if code := readOne(t, s, tag); code != NoEpoch {
		t.Errorf("then %q", code)
	}
}

// replies is a connection that answers for ever with one reply.
type replies struct {
	net.Conn
	b   []byte
	off int
}

func (r *replies) Read(b []byte) (int, error) {
	n := copy(b, r.b[r.off:])
	if r.off += n; r.off == len(r.b) {
		r.off = 0
	}
	return n, nil
}

func (r *replies) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkBoundedConn is what the filter costs: rows of 250 bytes, in reads of
// the client library's size.
func BenchmarkBoundedConn(b *testing.B) {
	reply := []byte("*2000\r\n" + strings.Repeat("$250\r\n"+strings.Repeat("x", 250)+"\r\n", 2000))
	for name, c := range map[string]net.Conn{"plain": &replies{b: reply}, "bounded": newBoundedConn(&replies{b: reply})} {
		b.Run(name, func(b *testing.B) {
			buf, request := make([]byte, 32<<10), make([]byte, 2000*tagCost)
			b.SetBytes(int64(len(reply)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = c.Write(request)
				for n := 0; n < len(reply); {
					m, err := c.Read(buf)
					if err != nil {
						b.Fatal(err)
					}
					n += m
				}
			}
		})
	}
}

// TestBudgetOfAnExchange: what a request may be answered with is its own: it does
// not add up over exchanges, nor run out; a request may be written in pieces.
func TestBudgetOfAnExchange(t *testing.T) {
	value := "$65536\r\n" + strings.Repeat("x", 65536) + "\r\n"
	buf := make([]byte, 32<<10)
	exchange := func(c net.Conn, request, values int) (n int, err error) {
		for range request {
			_, _ = c.Write(make([]byte, tagCost))
		}
		for n < values*len(value) && err == nil {
			var m int
			m, err = c.Read(buf)
			n += m
		}
		return n, err
	}
	c := newBoundedConn(&replies{b: []byte(value)})
	for i := range 60 {
		if _, err := exchange(c, 20, i%20+1); err != nil {
			t.Fatalf("exchange %d: %v", i, err)
		}
	}
	n, err := exchange(c, 20, 50)
	var re *replyError
	if !errors.As(err, &re) || re.code != ReplyTooLarge || n > 24*len(value) {
		t.Errorf("%d bytes for 20 tags: %v", n, err)
	}
	if m, again := c.Read(buf); m != 0 || !errors.Is(again, err) {
		t.Error("the connection goes on:", again)
	}
}
