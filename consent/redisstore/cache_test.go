package redisstore

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/consentstream/consentstream/consent"
)

// counting opens a store, and counts the rows that it asks Redis for.
func counting(t *testing.T, cacheBytes int) (*fake, *Store, func() int) {
	f := newFake(t)
	var mu sync.Mutex
	asked := 0
	f.Server().SetPreHook(func(p *server.Peer, cmd string, args ...string) bool {
		if cmd == "HMGET" {
			mu.Lock()
			asked += len(args) - 2 // the key, and w
			mu.Unlock()
		}
		return f.answer(p, cmd)
	})
	cfg := testConfig(f)
	cfg.CacheBytes = cacheBytes
	return f, open(t, cfg), func() int {
		mu.Lock()
		defer mu.Unlock()
		defer func() { asked = 0 }()
		return asked
	}
}

// TestCacheAsksOnce: rows and misses are asked for once, then again when rows of
// their bucket have come, also with the same number of them, and not when only its
// watermark has moved.
func TestCacheAsksOnce(t *testing.T) {
	_, s, asked := counting(t, 0)
	a, b, miss, alone := tagIn(1, 0, 4), tagIn(1, 1, 4), tagIn(1, 2, 4), tagIn(2, 0, 4)
	write(t, s, 1, consent.Vector{5, 0}, consent.Grant, a, b)
	write(t, s, 2, consent.Vector{5, 0}, consent.Grant, alone)
	tags := []consent.Tag{a, miss, alone, b}
	read := func(when string, wantAsked int, wantCut int64, wantWithdrawn bool) {
		t.Helper()
		asked()
		var snap consent.Snapshot
		if err := s.Read(t.Context(), tags, &snap); err != nil {
			t.Fatal(when, err)
		}
		if n := asked(); n != wantAsked {
			t.Errorf("%s: %d rows asked for, want %d", when, n, wantAsked)
		}
		if at(t, &snap, 1) != nil || at(t, &snap, 2) == nil || snap.ServerTime == 0 {
			t.Errorf("%s: wrong rows", when)
		}
		if got := at(t, &snap, 0).Slot("analytics").No[consent.FamilyWithdraw].Set; got != wantWithdrawn {
			t.Errorf("%s: withdrawn is %v", when, got)
		}
		if snap.Cut[0][0] != wantCut || snap.Cut[1][0] != wantCut {
			t.Errorf("%s: cut %v, want %d", when, snap.Cut[0], wantCut)
		}
	}
	read("first", 4, 5, false)
	read("again", 0, 5, false)
	write(t, s, 1, consent.Vector{6, 0}, consent.Grant)
	read("watermark moved", 0, 6, false)
	write(t, s, 1, consent.Vector{7, 0}, consent.Withdraw, a)
	read("row changed", 3, 7, true) // nothing was left to ask for, then all of bucket 1
	read("again after the change", 0, 7, true)
}

// TestCacheDoesNotOutliveItsBucket: kept rows do not answer for a bucket that is
// gone or has lost a row, and after it was rebuilt otherwise they are asked for.
func TestCacheDoesNotOutliveItsBucket(t *testing.T) {
	f, s, asked := counting(t, 0)
	a, b := tagIn(1, 0, 4), tagIn(1, 1, 4)
	write(t, s, 1, consent.Vector{5, 0}, consent.Grant, a, b)
	var snap consent.Snapshot
	if err := s.Read(t.Context(), []consent.Tag{a, b}, &snap); err != nil {
		t.Fatal(err)
	}
	f.HDel(s.Key(1), string(b[:]))
	if code := codeOf(s.Read(t.Context(), []consent.Tag{a}, &snap)); code != CountMismatch || snap.Len() != 0 {
		t.Errorf("a row is gone: %q", code)
	}
	f.FlushAll()
	if code := codeOf(s.Read(t.Context(), []consent.Tag{a}, &snap)); code != NoEpoch || snap.Len() != 0 {
		t.Errorf("all is gone: %q", code)
	}
	write(t, s, 1, consent.Vector{6, 0}, consent.Withdraw, a)
	asked()
	if err := s.Read(t.Context(), []consent.Tag{a, b}, &snap); err != nil {
		t.Fatal(err)
	}
	if asked() != 2 || at(t, &snap, 1) != nil || !at(t, &snap, 0).Slot("analytics").No[consent.FamilyWithdraw].Set {
		t.Error("rows of a bucket's earlier life answer for the later one")
	}
}

// TestCacheIsBounded: what is kept stays below CacheBytes, and below 0 is nothing.
func TestCacheIsBounded(t *testing.T) {
	for _, limit := range []int{-1, 8 << 10} {
		_, s, asked := counting(t, limit)
		var tags []consent.Tag
		for n := range 400 {
			tags = append(tags, tagIn(1, n, 4))
		}
		write(t, s, 1, consent.Vector{5, 0}, consent.Grant, tags[:200]...)
		var snap consent.Snapshot
		for range 3 {
			asked()
			if err := s.Read(t.Context(), tags, &snap); err != nil {
				t.Fatal(err)
			}
			if n := asked(); n < len(tags)/2 || limit < 0 && n != len(tags) {
				t.Errorf("limit %d: only %d of %d asked for", limit, n, len(tags))
			}
			for i := range tags {
				if (at(t, &snap, i) != nil) != (i < 200) {
					t.Fatalf("limit %d: wrong row %d", limit, i)
				}
			}
		}
		k := &s.cache.buckets[1]
		if size := len(k.rows) * entryBytes; limit < 0 && size > 0 || size > max(0, limit)/4 || k.size > max(0, limit)/4 {
			t.Errorf("limit %d: %d bytes are kept", limit, k.size)
		}
	}
}

// TestCacheOfManyBuckets: however many buckets share CacheBytes, the memory that rows
// are copied to is of that size, and not so much for each bucket.
func TestCacheOfManyBuckets(t *testing.T) {
	const limit, buckets = 1 << 20, 4096
	c := newCache(limit, buckets)
	row, total := make([]byte, 100), 0
	for b := range buckets {
		for n := range 20 {
			tag := tagIn(b, n, buckets)
			c.keep(b, stamp{1}, []consent.Tag{tag}, []int32{0}, [][]byte{row})
		}
		total += cap(c.buckets[b].block)
	}
	if total > limit || total == 0 {
		t.Errorf("%d bytes, want at most %d", total, limit)
	}
}

// TestCacheTogether: readers and a writer at once, each read answers with the rows
// of its cut. The value of the test is in the race detector, and in rows that
// change under readers which keep them.
func TestCacheTogether(t *testing.T) {
	_, s, _ := counting(t, 0)
	var tags []consent.Tag
	for n := range 20 {
		tags = append(tags, tagIn(n%4, n/4, 4))
	}
	for b := range 4 {
		write(t, s, b, consent.Vector{1, 0}, consent.Grant)
	}
	var done sync.WaitGroup
	fail := make(chan string, 3)
	for seed := range 3 {
		done.Go(func() {
			r := rand.New(rand.NewPCG(uint64(seed), 0))
			var snap consent.Snapshot
			for range 200 {
				part := tags[r.IntN(10):][:1+r.IntN(10)]
				if err := s.Read(t.Context(), part, &snap); err != nil {
					fail <- err.Error()
					return
				}
				for i := range part {
					row, cut, err := snap.State(i)
					if err != nil || row != nil && row.Last[0] >= cut[0] || row == nil && cut[0] > 20 {
						fail <- fmt.Sprintf("row %v at %v: %v", row, cut, err)
						return
					}
				}
			}
		})
	}
	for next := int64(2); next < 42; next++ { // each bucket's tags, all of them by 20
		n := int(next-2) % len(tags)
		write(t, s, n%4, consent.Vector{next, 0}, consent.Grant, tags[n])
	}
	done.Wait()
	select {
	case what := <-fail:
		t.Fatal(what)
	default:
	}
}
