package redisstore

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/consentstream/consentstream/consent"
)

// tagArg lets go-redis write a tag without boxing a slice for each.
type tagArg consent.Tag

// MarshalBinary implements encoding.BinaryMarshaler; it does not copy.
func (t *tagArg) MarshalBinary() ([]byte, error) { return t[:], nil }

var (
	argHMGet any = "hmget"
	argW     any = "w"
)

// Read answers for the given tags, which should not repeat: into.State(i) is the
// row of tags[i], nil for a true miss, and the watermark of its bucket. The rows
// and vectors belong to into and live until its next use, and a Cut is shared by
// the tags of a bucket. Every row was verified, but is decoded only when it is
// asked for, or at once where into.Whole is set: a genuine row can only fail to
// decode if somebody with our keys wrote it in another form.
//
// It takes one round trip and one cut of one primary; where the cache held rows of
// buckets that have changed, a second one for these.
//
// The caller still has to compare: Cut against its fence, and each row's Last
// against Cut (DECISION D4).
//
// An error is always a *Hold, and then into is empty: one bad bucket or row
// holds the whole read, because its batch is one transaction. A damaged row
// under a good watermark condemns its bucket, see condemn.
func (s *Store) Read(ctx context.Context, tags []consent.Tag, into *consent.Snapshot) error {
	sc := s.scratch.Get().(*scratch)
	defer s.scratch.Put(sc)
	defer sc.forget()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	into.Reset(len(tags))
	if err := s.read(ctx, sc, tags, into); err != nil {
		into.Reset(0)
		return s.named(err)
	}
	return nil
}

func (s *Store) read(ctx context.Context, sc *scratch, tags []consent.Tag, into *consent.Snapshot) error {
	sc.sortByBucket(tags, s.epoch.Buckets)
	sc.asked = sc.asked[:0]
	for b := range s.epoch.Buckets {
		if want := sc.order[sc.start[b]:sc.start[b+1]]; len(want) > 0 {
			q := asked{bucket: b, want: want}
			s.cache.answer(&q, tags, into)
			sc.asked = append(sc.asked, q)
		}
	}
	for len(sc.asked) > 0 || len(tags) == 0 {
		stale, err := s.exchange(ctx, sc, tags, into)
		if err != nil || len(stale) == 0 {
			return err
		}
		for i := range stale { // now without the cache: these are not stale again
			stale[i].ask = len(stale[i].want)
		}
		sc.asked = stale
	}
	return nil
}

// forget lets go of the replies of a read: they are megabytes.
func (sc *scratch) forget() {
	clear(sc.asked[:cap(sc.asked)])
	clear(sc.rows[:cap(sc.rows)])
}

// exchange asks for sc.asked and fills in what it answers. It gives, in the same
// memory, those buckets that are not what their kept rows were read from.
func (s *Store) exchange(ctx context.Context, sc *scratch, tags []consent.Tag, into *consent.Snapshot) (stale []asked, _ error) {
	r := s.request(sc, tags)
	if _, err := r.pipe.Exec(ctx); err != nil {
		return nil, s.fault(ctx, sc.asked, err)
	}
	now, err := r.time.Result()
	if err != nil {
		return nil, classify(ctx, err)
	}
	if code := s.lapsing(r.keyspace.Val(), sc.asked); code != "" {
		return nil, hold(code)
	}
	stale = sc.asked[:0]
	for i := range sc.asked {
		q := sc.asked[i]
		changed, code := s.readBucket(ctx, sc, &q, tags, into)
		if code != "" {
			return nil, &Hold{Code: code, Bucket: q.bucket}
		}
		if changed {
			stale = append(stale, q)
		}
	}
	into.ServerTime = now.UnixMilli()
	return stale, nil
}

// sortByBucket is a counting sort of the tags' indexes into sc.order.
func (sc *scratch) sortByBucket(tags []consent.Tag, buckets int) {
	sc.start = append(sc.start[:0], make([]int32, buckets+1)...)
	for i := range tags {
		sc.start[bucketOf(&tags[i], buckets)+1]++
	}
	for b := range buckets {
		sc.start[b+1] += sc.start[b]
	}
	sc.order = append(sc.order[:0], make([]int32, len(tags))...)
	for i := range tags {
		b := bucketOf(&tags[i], buckets)
		sc.order[sc.start[b]] = int32(i)
		sc.start[b]++
	}
	// Every start has moved to its end; shift back by one bucket.
	copy(sc.start[1:], sc.start[:buckets])
	sc.start[0] = 0
}

// asked is one bucket's part of a request.
type asked struct {
	bucket int
	want   []int32 // indexes into tags
	ask    int     // want[:ask] are asked for, the others were answered from the cache
	stamp  stamp   // that those were kept under
	fields *redis.RawCmd
	hlen   *redis.IntCmd
}

type request struct {
	pipe     redis.Pipeliner
	time     *redis.TimeCmd
	keyspace *redis.StringCmd
}

// request queues, within one MULTI: HMGET and HLEN for each bucket of sc.asked,
// TIME and INFO keyspace. Redis runs a MULTI as one step, so nothing changes between
// the rows of a bucket, its watermark and its count, and whether these can be true.
func (s *Store) request(sc *scratch, tags []consent.Tag) request {
	r := request{pipe: s.rdb.TxPipeline()}
	ctx := context.Background() // commands in a pipeline use Exec's
	sc.args = sc.args[:0]
	if need := len(tags) + 3*len(sc.asked); cap(sc.args) < need {
		sc.args = make([]any, 0, need) // queued slices must not move
	}
	for n := range sc.asked {
		q := &sc.asked[n]
		from := len(sc.args)
		key := s.Key(q.bucket)
		sc.args = append(sc.args, argHMGet, key, argW)
		for _, i := range q.want[:q.ask] {
			sc.args = append(sc.args, (*tagArg)(&tags[i]))
		}
		q.fields = redis.NewRawCmd(ctx, sc.args[from:]...)
		_ = r.pipe.Process(ctx, q.fields) // only queues
		q.hlen = r.pipe.HLen(ctx, key)
	}
	r.time, r.keyspace = r.pipe.Time(ctx), r.pipe.Info(ctx, "keyspace")
	return r
}

// fault is the error reply to one of the bucket's commands, if any: either it
// was not let into the MULTI, or it failed there, and then go-redis leaves the
// error in the bytes of a raw command.
func (q *asked) fault() *Hold {
	r := reply{q.fields.Val()}
	if text, ok := r.line('-'); ok {
		return &Hold{Code: replyCode(string(text)), Bucket: q.bucket}
	}
	for _, err := range [...]error{q.fields.Err(), q.hlen.Err()} {
		var re redis.Error
		if errors.As(err, &re) {
			return &Hold{Code: replyCode(re.Error()), Bucket: q.bucket}
		}
	}
	return nil
}

// readBucket checks one bucket's replies and fills in its tags' answers, unless
// the bucket has changed since those of the cache were read.
func (s *Store) readBucket(ctx context.Context, sc *scratch, q *asked, tags []consent.Tag, into *consent.Snapshot) (changed bool, _ Code) {
	fields := reply{q.fields.Val()}
	var m Mark
	code := sc.openBucket(&fields, q.bucket, q.ask, q.hlen.Val(), &m)
	if code == "" && !m.Exists() {
		code = NoEpoch // a bucket that is not there answers nothing
	}
	if code != "" {
		return false, code
	}
	if q.ask < len(q.want) && m.stamp != q.stamp {
		return true, ""
	}
	if code = s.readRows(sc, q, &fields, tags, into, &m); code.rebuildable() {
		s.cache.forget(q.bucket)
		s.condemn(ctx, q.bucket, &m)
	}
	return false, code
}

// readRows verifies the rows that were asked for, and lets all answers of the
// bucket count.
func (s *Store) readRows(sc *scratch, q *asked, fields *reply, tags []consent.Tag, into *consent.Snapshot, m *Mark) Code {
	sc.rows = sc.rows[:0]
	for _, i := range q.want[:q.ask] {
		row, code := sc.nextRow(fields, q.bucket, &tags[i])
		if code != "" {
			return code
		}
		into.SetEncoded(int(i), row)
		sc.rows = append(sc.rows, row)
	}
	for _, i := range q.want {
		into.Cut[i] = m.Next
		if !into.Whole {
			continue
		}
		if code := s.decodes(into, int(i)); code != "" {
			return code
		}
	}
	s.cache.keep(q.bucket, m.stamp, tags, q.want, sc.rows)
	return ""
}

// decodes reports whether the row of answer i can be used.
func (s *Store) decodes(into *consent.Snapshot, i int) Code {
	row, _, err := into.State(i)
	if err != nil || row != nil && len(row.Last) > s.epoch.Partitions {
		return RowMalformed
	}
	return ""
}

// condemn removes a bucket that has a damaged row, if the bucket is still what was
// read. Damage is seen only when the row is read, and the projector reads a row only
// when its subject has a new event; a bucket that is gone, however, it notices by
// itself and rebuilds. Removing is always safe (no watermark, no answer), and this
// cannot be a wrong key file of ours, because the watermark was verified with our
// keys. Best effort: the next read tries again.
func (s *Store) condemn(ctx context.Context, bucket int, m *Mark) {
	_ = s.Reset(ctx, &Page{Bucket: bucket, Mark: *m})
}

// openBucket checks the header of an HMGET reply, its first item w, and HLEN.
// A bucket that is not there at all is fine and leaves m zero.
func (sc *scratch) openBucket(fields *reply, bucket, tags int, hlen int64, m *Mark) Code {
	if n, ok := fields.array(); !ok || n != tags+1 {
		return Malformed
	}
	w, ok := fields.bulk()
	if !ok {
		return Malformed
	}
	if w == nil {
		*m = Mark{}
		if hlen != 0 {
			return CountMismatch // rows without the watermark that vouches for them
		}
		return ""
	}
	if code := sc.seal.openMark(w, bucket, m); code != "" {
		// What stands there is still needed, to compare when it is replaced.
		*m = Mark{raw: append([]byte(nil), w...)}
		return code
	}
	if hlen != m.Rows+1 {
		return CountMismatch
	}
	return ""
}

// nextRow takes the next row of an HMGET reply, verified and encoded; nil where
// there is none.
func (sc *scratch) nextRow(fields *reply, bucket int, tag *consent.Tag) ([]byte, Code) {
	b, ok := fields.bulk()
	if !ok {
		return nil, Malformed
	}
	if b == nil {
		return nil, ""
	}
	return sc.seal.openRow(b, bucket, tag)
}
