package redisstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/consentstream/consentstream/consent"
)

// benchTags are n tags that spread over the buckets as HMACs do.
func benchTags(n int) []consent.Tag {
	r := rand.New(rand.NewPCG(1, 2))
	tags := make([]consent.Tag, n)
	for i := range tags {
		binary.BigEndian.PutUint64(tags[i][:8], r.Uint64())
		binary.BigEndian.PutUint64(tags[i][8:], r.Uint64())
	}
	return tags
}

// fill writes a row of three purposes for each tag.
func fill(b *testing.B, s *Store, tags []consent.Tag) {
	b.Helper()
	pages := s.AllPages()
	for _, t := range tags {
		p := pages[s.Bucket(&t)]
		p.Tags = append(p.Tags, t)
	}
	if err := s.Load(b.Context(), pages); err != nil {
		b.Fatal(err)
	}
	for _, p := range pages {
		for i := range p.Rows {
			e := event(consent.Grant, 0, int64(i))
			e.Purposes = []string{"analytics", "marketing.email", "service"}
			p.Rows[i] = consent.NewRow()
			p.Rows[i].Fold(e)
		}
		p.Next = consent.Vector{int64(len(tags)), 0}
	}
	if err := s.Apply(b.Context(), pages); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRead reads unique tags from a real Redis (CONSENTSTREAM_REDIS, else
// one that is started here), with all checks.
func BenchmarkRead(b *testing.B) {
	cfg := testConfig(nil)
	cfg.Dial, cfg.Addr = nil, os.Getenv("CONSENTSTREAM_REDIS")
	if cfg.Addr == "" {
		cfg.Addr = startRedis(b).addr
	}
	cfg.Epoch.Buckets = DefaultBuckets
	cfg.Epoch.ClusterID = "benchmark"
	s := open(b, cfg)
	tags := benchTags(10_000)
	fill(b, s, tags)
	defer func() { // the server may be a shared one
		for bucket := range DefaultBuckets {
			s.rdb.Del(context.Background(), s.Key(bucket))
		}
	}()
	for _, n := range []int{1, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var snap consent.Snapshot
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Read(b.Context(), tags[:n], &snap); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/tag")
		})
	}
}

// BenchmarkOpenRow is the share of checking and decoding a row.
func BenchmarkOpenRow(b *testing.B) {
	cfg := testConfig(nil)
	seal := newSealer(&cfg, cfg.Epoch.Hash())
	intern := consent.NewInterner(maxNames).String
	row, tag := consent.NewRow(), tagIn(1, 0, 4)
	e := event(consent.Grant, 0, 1)
	e.Purposes = []string{"analytics", "marketing.email", "service"}
	row.Fold(e)
	sealed := seal.sealRow(1, &tag, row)
	b.SetBytes(int64(len(sealed)))
	b.ReportAllocs()
	for b.Loop() {
		encoded, code := seal.openRow(sealed, 1, &tag)
		if code == "" {
			code = seal.decodeRow(encoded, row, intern)
		}
		if code != "" {
			b.Fatal(code)
		}
	}
}
