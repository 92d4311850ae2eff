package redisstore

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/consentstream/consentstream/consent"
)

// load loads one page and returns it whatever its outcome.
func load(t *testing.T, s *Store, bucket int, tags ...consent.Tag) *Page {
	t.Helper()
	p := &Page{Bucket: bucket, Tags: tags}
	if err := s.Load(t.Context(), []*Page{p}); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRebuild: each damage is found by Load, ends with Reset, and the bucket can
// be built again; others are not touched.
func TestRebuild(t *testing.T) {
	tag := tagIn(1, 0, 4)
	for name, harm := range map[string]func(f *fake, key string){
		"row lost":   func(f *fake, key string) { f.HDel(key, string(tag[:])) },
		"junk added": func(f *fake, key string) { f.HSet(key, "junk", "x") },
		"row altered": func(f *fake, key string) {
			f.HSet(key, string(tag[:]), "\x02\x00\x00\x00\x01abcdefghijklmnopqrstuvwxyz")
		},
		"watermark gone":  func(f *fake, key string) { f.HDel(key, "w") },
		"watermark noise": func(f *fake, key string) { f.HSet(key, "w", "noise") },
		"string":          func(f *fake, key string) { f.Del(key); _ = f.Set(key, "x") },
		"list":            func(f *fake, key string) { f.Del(key); _, _ = f.Push(key, "x") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			s := open(t, testConfig(f))
			write(t, s, 1, consent.Vector{3, 3}, consent.Grant, tag)
			write(t, s, 2, consent.Vector{3, 3}, consent.Grant, tagIn(2, 0, 4))
			harm(f, s.Key(1))
			all := s.AllPages()
			all[1].Tags = []consent.Tag{tag}
			if err := s.Load(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			if all[2].Err != nil || !all[2].Mark.Exists() {
				t.Error("the damage reached another bucket:", all[2].Err)
			}
			if !all[1].Rebuild() {
				t.Fatalf("not found to need a rebuild: %v", all[1].Err)
			}
			if err := s.Reset(t.Context(), all[1]); err != nil {
				t.Fatal(err)
			}
			write(t, s, 1, consent.Vector{4, 4}, consent.Withdraw, tag)
			checkDamage(t, s, tag, "")
		})
	}
}

// TestConflicts: a write onto another past than the one that was loaded does
// nothing, whatever that past was.
func TestConflicts(t *testing.T) {
	tag, other := tagIn(1, 0, 4), tagIn(1, 1, 4)
	tests := []struct {
		name    string
		between func(t *testing.T, f *fake, s *Store)
		want    error
	}{
		{"another writer", func(t *testing.T, f *fake, s *Store) { write(t, s, 1, consent.Vector{7, 5}, consent.Withdraw, other) }, ErrConflict},
		{"only its watermark", func(t *testing.T, f *fake, s *Store) { write(t, s, 1, consent.Vector{7, 5}, consent.Withdraw) }, ErrConflict},
		{"flushed", func(_ *testing.T, f *fake, _ *Store) { f.FlushAll() }, ErrConflict},
		{"flushed and begun again", func(t *testing.T, f *fake, s *Store) {
			f.FlushAll()
			write(t, s, 1, consent.Vector{2, 0}, consent.Grant, other)
		}, ErrConflict},
		{"row lost", func(_ *testing.T, f *fake, s *Store) { f.HDel(s.Key(1), string(tag[:])) }, ErrCorrupt},
		{"field added", func(_ *testing.T, f *fake, s *Store) { f.HSet(s.Key(1), "junk", "x") }, ErrCorrupt},
		{"nothing", func(*testing.T, *fake, *Store) {}, nil},
		{"flushed and rebuilt to the same", func(t *testing.T, f *fake, s *Store) {
			f.FlushAll()
			write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tag)
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			s := open(t, testConfig(f))
			write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tag)
			p := load(t, s, 1, tag)
			foldInto(p, consent.Withdraw, consent.Vector{6, 5})
			tt.between(t, f, s)
			before := f.Dump()
			if err := s.Apply(t.Context(), []*Page{p}); err != nil {
				t.Fatal(err)
			}
			if !errors.Is(p.Err, tt.want) {
				t.Fatalf("%v, want %v", p.Err, tt.want)
			}
			if tt.want != nil && f.Dump() != before {
				t.Error("a refused write wrote something")
			}
		})
	}
}

// TestResetConflicts: a late reset does not take away what was built since.
func TestResetConflicts(t *testing.T) {
	f := newFake(t)
	s := open(t, testConfig(f))
	tag := tagIn(1, 0, 4)
	write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tag)
	f.HDel(s.Key(1), string(tag[:]))
	first, second := load(t, s, 1), load(t, s, 1)
	if err := s.Reset(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	write(t, s, 1, consent.Vector{6, 5}, consent.Withdraw, tag)
	if err := s.Reset(t.Context(), second); !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	if p := load(t, s, 1, tag); p.Err != nil || p.Rows[0] == nil {
		t.Error("the rebuilt bucket is gone")
	}
}

// TestReadCondemns: a damaged row costs its bucket, so that it is rebuilt, but
// only if the bucket is still what was read, and never for what a newer key
// file wrote.
func TestReadCondemns(t *testing.T) {
	f := newFake(t)
	s := open(t, testConfig(f))
	tag := tagIn(1, 0, 4)
	write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tag)
	good := f.HGet(s.Key(1), string(tag[:]))
	var snap consent.Snapshot

	f.HSet(s.Key(1), string(tag[:]), good[:1]+"\x00\x00\x00\x09"+good[5:])
	if err := s.Read(t.Context(), []consent.Tag{tag}, &snap); codeOf(err) != KeyUnknown || !f.Exists(s.Key(1)) {
		t.Error("a row of a newer key epoch: ", err, f.Exists(s.Key(1)))
	}
	f.HSet(s.Key(1), string(tag[:]), good[:len(good)-1]+"\x00")
	if err := s.Read(t.Context(), []consent.Tag{tag}, &snap); codeOf(err) != RowMAC || f.Exists(s.Key(1)) {
		t.Error("a damaged row: ", err, f.Exists(s.Key(1)))
	}
}

// TestLostScript: a server that forgot the scripts is given them.
func TestLostScript(t *testing.T) {
	f := newFake(t)
	s := open(t, testConfig(f))
	write(t, s, 1, consent.Vector{5, 5}, consent.Grant, tagIn(1, 0, 4))
	if err := s.rdb.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	write(t, s, 1, consent.Vector{6, 5}, consent.Withdraw, tagIn(1, 0, 4))
}

func TestMarks(t *testing.T) {
	f := newFake(t)
	s := open(t, testConfig(f))
	write(t, s, 1, consent.Vector{5, 6}, consent.Grant, tagIn(1, 0, 4), tagIn(1, 1, 4))
	marks, err := s.Marks(t.Context())
	if err != nil || len(marks) != 4 {
		t.Fatal(err, len(marks))
	}
	for b, m := range marks {
		if m.Exists() != (b == 1) {
			t.Errorf("bucket %d exists: %v", b, m.Exists())
		}
	}
	if m := marks[1]; !slices.Equal(m.Next, consent.Vector{5, 6}) || m.Rows != 2 {
		t.Errorf("%+v", m)
	}
	f.HSet(s.Key(3), "w", "noise")
	if marks, err = s.Marks(t.Context()); codeOf(err) != WatermarkForm || !marks[1].Exists() {
		t.Error(err, marks[1].Exists())
	}
}

// TestApplyRefuses: calls that could only write nonsense write nothing.
func TestApplyRefuses(t *testing.T) {
	f := newFake(t)
	s := open(t, testConfig(f))
	tag := tagIn(1, 0, 4)
	for name, page := range map[string]func() *Page{
		"not loaded":        func() *Page { return &Page{Bucket: 1, Tags: []consent.Tag{tag}, Next: consent.Vector{1, 1}} },
		"a row missing":     func() *Page { p := load(t, s, 1, tag); p.Next = consent.Vector{1, 1}; return p },
		"vector too short":  func() *Page { p := load(t, s, 1); p.Next = consent.Vector{1}; return p },
		"negative position": func() *Page { p := load(t, s, 1); p.Next = consent.Vector{1, -1}; return p },
	} {
		if err := s.Apply(t.Context(), []*Page{page()}); err == nil || len(f.Keys()) != 0 {
			t.Errorf("%s: %v, keys %d", name, err, len(f.Keys()))
		}
	}
}

// TestWriteUnreachable: an unknown result is an error of the whole call.
func TestWriteUnreachable(t *testing.T) {
	cfg := testConfig(nil)
	cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no") }
	s := open(t, cfg)
	if err := s.Load(t.Context(), s.AllPages()); codeOf(err) != Unreachable {
		t.Error(err)
	}
	if err := s.Reset(t.Context(), &Page{Bucket: 1}); codeOf(err) != Unreachable {
		t.Error(err)
	}
	if err := s.Apply(t.Context(), []*Page{{Bucket: 1, Next: consent.Vector{0, 0}}}); codeOf(err) != Unreachable {
		t.Error(err)
	}
}

// TestLoadOfOtherTypes: where no bucket is a hash any more, each is still a page that
// Reset brings back.
func TestLoadOfOtherTypes(t *testing.T) {
	f := newFake(t)
	s := open(t, testConfig(f))
	pages := s.AllPages()
	for _, p := range pages {
		_ = f.Set(s.Key(p.Bucket), "x")
	}
	if err := s.Load(t.Context(), pages); err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if codeOf(p.Err) != WrongType || !p.Rebuild() {
			t.Fatal(p.Bucket, p.Err)
		}
		if err := s.Reset(t.Context(), p); err != nil || f.Exists(s.Key(p.Bucket)) {
			t.Fatal(p.Bucket, err)
		}
	}
}
