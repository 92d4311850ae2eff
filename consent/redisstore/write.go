package redisstore

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/consentstream/consentstream/consent"
)

// ErrConflict says that the bucket is no longer as it was loaded: another
// writer, or another past (failover, flush, restore). Nothing was written. Load
// again, after a pause.
var ErrConflict = errors.New("redis state: bucket changed since it was loaded")

// ErrCorrupt says that the bucket's number of fields is not what its watermark
// says. Nothing was written. Reset the bucket and fold it from the start.
var ErrCorrupt = errors.New("redis state: bucket lost or gained fields")

// Page is the part of one bucket that a writer works on: Load fills Mark and
// Rows, the writer folds into Rows, and Apply writes them.
type Page struct {
	Bucket int
	Tags   []consent.Tag // unique, all of this bucket
	Rows   []*consent.Row
	// Next is, for Apply, what is taken into account afterwards.
	Next consent.Vector
	Mark Mark
	// Err is the page's own outcome: nil, a *Hold, ErrConflict or ErrCorrupt.
	Err error

	known []bool // by tag: Load found a row
}

// Rebuild reports whether only Reset can bring the page's bucket back.
func (p *Page) Rebuild() bool {
	var h *Hold
	return errors.Is(p.Err, ErrCorrupt) || errors.As(p.Err, &h) && h.Code.rebuildable()
}

// Load reads the watermark and the rows of Tags of each page, in one cut. A
// page without watermark and rows is the start of a bucket (zero Mark). What is
// wrong with one bucket is in its page's Err; the returned error, a *Hold, means
// that no page was read.
func (s *Store) Load(ctx context.Context, pages []*Page) error {
	sc := s.scratch.Get().(*scratch)
	defer s.scratch.Put(sc)
	ctx, cancel := context.WithTimeout(ctx, writeFactor*s.timeout)
	defer cancel()
	pipe := s.rdb.TxPipeline()
	cmds := make([]asked, len(pages))
	for i, p := range pages {
		key := s.Key(p.Bucket)
		args := make([]any, 0, 3+len(p.Tags))
		args = append(args, argHMGet, key, argW)
		for t := range p.Tags {
			args = append(args, (*tagArg)(&p.Tags[t]))
		}
		cmds[i] = asked{bucket: p.Bucket, fields: redis.NewRawCmd(ctx, args...)}
		_ = pipe.Process(ctx, cmds[i].fields)
		cmds[i].hlen = pipe.HLen(ctx, key)
	}
	var re redis.Error
	if _, err := pipe.Exec(ctx); err != nil && (!errors.As(err, &re) || !ran(cmds)) {
		return s.named(s.fault(ctx, cmds, err))
	}
	for i, p := range pages {
		p.Err = s.named(s.loadPage(sc, &cmds[i], p))
	}
	return nil
}

// ran reports whether the MULTI ran, though commands in it failed. A wrong type shows
// only then; what else a server says to every command, it says to the MULTI.
func ran(cmds []asked) bool {
	for i := range cmds {
		if err := cmds[i].hlen.Err(); err == nil || classifyCode(err) == WrongType {
			return true
		}
	}
	return false
}

func (s *Store) loadPage(sc *scratch, q *asked, p *Page) error {
	p.Mark, p.Rows, p.known = Mark{}, nil, nil
	if h := q.fault(); h != nil {
		return h
	}
	fields := reply{q.fields.Val()}
	if code := sc.openBucket(&fields, p.Bucket, len(p.Tags), q.hlen.Val(), &p.Mark); code != "" {
		return &Hold{Code: code, Bucket: p.Bucket}
	}
	p.Rows, p.known = make([]*consent.Row, len(p.Tags)), make([]bool, len(p.Tags))
	for i := range p.Tags {
		encoded, code := sc.nextRow(&fields, p.Bucket, &p.Tags[i])
		if code == "" && encoded != nil {
			p.Rows[i], p.known[i] = new(consent.Row), true
			code = sc.seal.decodeRow(encoded, p.Rows[i], sc.intern)
		}
		if code != "" {
			p.Rows = nil
			return &Hold{Code: code, Bucket: p.Bucket}
		}
	}
	return nil
}

// Marks returns the watermark of every bucket, by number; the zero Mark where a
// bucket is not there. The first bad bucket's *Hold is returned with the marks
// of the good ones.
func (s *Store) Marks(ctx context.Context) ([]Mark, error) {
	pages := s.AllPages()
	if err := s.Load(ctx, pages); err != nil {
		return nil, err
	}
	var first error
	marks := make([]Mark, len(pages))
	for i, p := range pages {
		if p.Err == nil {
			marks[i] = p.Mark
		} else if first == nil {
			first = p.Err
		}
	}
	return marks, first
}

// AllPages returns an empty page for each bucket.
func (s *Store) AllPages() []*Page {
	pages := make([]*Page, s.epoch.Buckets)
	for b := range pages {
		pages[b] = &Page{Bucket: b}
	}
	return pages
}

// applyScript writes a batch into one bucket, if it is still what was loaded.
//
//	KEYS[1]  the bucket
//	ARGV     old watermark or "" | HLEN that belongs to it | new watermark | field, value …
//	returns  0 written, 1 conflict, 2 corrupt
//
// Redis runs it as one step and hands it to replicas and to its files as one
// transaction, so no crash or failover shows part of it. Out of memory refuses
// it at its first write, that is, before anything was written.
var applyScript = redis.NewScript(`
local k = KEYS[1]
local w = redis.call('HGET', k, 'w') or ''
if w ~= ARGV[1] then return 1 end
if redis.call('HLEN', k) ~= tonumber(ARGV[2]) then return 2 end
for i = 4, #ARGV, 1000 do
  redis.call('HSET', k, unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
redis.call('HSET', k, 'w', ARGV[3])
return 0`)

// resetScript removes one bucket, if its watermark is still what was seen, so
// that a late reset does not take away what somebody has rebuilt further.
// Whatever is not a hash goes: under our key it can only be damage.
//
//	KEYS[1]  the bucket; ARGV[1]  the watermark seen, or ""
//	returns  0 removed, 1 conflict
var resetScript = redis.NewScript(`
local k = KEYS[1]
if redis.call('TYPE', k).ok == 'hash' and (redis.call('HGET', k, 'w') or '') ~= ARGV[1] then return 1 end
redis.call('DEL', k)
return 0`)

// Apply writes each page: all its Rows, and the watermark Next. On success Mark
// is the new watermark and the page may be folded on. The returned error means
// that nothing is known about any page (an answer may be lost after the work was
// done): Load again. That is safe, because what was written is then found.
func (s *Store) Apply(ctx context.Context, pages []*Page) error {
	sc := s.scratch.Get().(*scratch)
	defer s.scratch.Put(sc)
	calls := make([]call, 0, len(pages))
	marks := make([]Mark, len(pages))
	for i, p := range pages {
		args, mark, err := sc.applyArgs(p)
		if err != nil {
			return err
		}
		marks[i] = mark
		calls = append(calls, call{key: s.Key(p.Bucket), args: args})
	}
	if err := s.run(ctx, applyScript, calls); err != nil {
		return s.named(err)
	}
	for i, p := range pages {
		if p.Err = s.named(calls[i].outcome(p.Bucket)); p.Err != nil {
			continue
		}
		p.Mark = marks[i]
		for t := range p.known {
			p.known[t] = true
		}
	}
	return nil
}

// applyArgs encodes a page for applyScript.
func (sc *scratch) applyArgs(p *Page) ([]any, Mark, error) {
	if len(p.known) != len(p.Tags) || len(p.Rows) != len(p.Tags) {
		return nil, Mark{}, errors.New("redisstore: Apply of a page that was not loaded")
	}
	args := make([]any, 3, 3+2*len(p.Tags))
	added := int64(0)
	for i := range p.Tags {
		if p.Rows[i] == nil {
			return nil, Mark{}, errors.New("redisstore: Apply of a page with a missing row")
		}
		if !p.known[i] {
			added++
		}
		args = append(args, (*tagArg)(&p.Tags[i]), sc.seal.sealRow(p.Bucket, &p.Tags[i], p.Rows[i]))
	}
	fields := int64(0)
	if p.Mark.Exists() {
		fields = p.Mark.Rows + 1
	}
	rev := p.Mark.stamp
	if len(p.Tags) > 0 {
		rev = stampOf(p.Next)
	}
	mark, err := sc.seal.sealMark(p.Bucket, p.Next, p.Mark.Rows+added, rev)
	if err != nil {
		return nil, Mark{}, err
	}
	args[0], args[1], args[2] = p.Mark.raw, strconv.FormatInt(fields, 10), mark.raw
	return args, mark, nil
}

// Reset removes the bucket of a page whose Load or Apply said Rebuild, and
// leaves the page as one of an empty bucket. ErrConflict means that it has
// changed since: Load again.
func (s *Store) Reset(ctx context.Context, p *Page) error {
	calls := []call{{key: s.Key(p.Bucket), args: []any{p.Mark.raw}}}
	if err := s.run(ctx, resetScript, calls); err != nil {
		return s.named(err)
	}
	if err := calls[0].outcome(p.Bucket); err != nil {
		return s.named(err)
	}
	p.Mark, p.Rows, p.known, p.Err = Mark{}, make([]*consent.Row, len(p.Tags)), make([]bool, len(p.Tags)), nil
	return nil
}

// call is one run of a script.
type call struct {
	key  string
	args []any
	cmd  *redis.Cmd
}

// run runs a script for each call in one round trip. A server that does not
// have the script (restarted, failed over, SCRIPT FLUSH) is given it once.
func (s *Store) run(ctx context.Context, script *redis.Script, calls []call) error {
	ctx, cancel := context.WithTimeout(ctx, writeFactor*s.timeout)
	defer cancel()
	todo := make([]*call, len(calls))
	for i := range calls {
		todo[i] = &calls[i]
	}
	for try := 0; ; try++ {
		missing, err := s.runOnce(ctx, script, todo)
		if err != nil || len(missing) == 0 {
			return err
		}
		if try > 0 {
			return hold(Refused)
		}
		if err := script.Load(ctx, s.rdb).Err(); err != nil {
			return classify(ctx, err)
		}
		todo = missing
	}
}

// runOnce returns the calls that the server had no script for. An error reply
// to one call is that call's outcome; a broken connection is everybody's.
func (s *Store) runOnce(ctx context.Context, script *redis.Script, calls []*call) (missing []*call, err error) {
	pipe := s.rdb.Pipeline()
	for _, c := range calls {
		c.cmd = script.EvalSha(ctx, pipe, []string{c.key}, c.args...)
	}
	_, _ = pipe.Exec(ctx) // looked at one by one
	for _, c := range calls {
		err := c.cmd.Err()
		var re redis.Error
		switch {
		case err == nil:
		case !errors.As(err, &re):
			return nil, classify(ctx, err)
		case strings.HasPrefix(re.Error(), "NOSCRIPT"):
			missing = append(missing, c)
		}
	}
	return missing, nil
}

// outcome turns a script's answer into the page's error.
func (c *call) outcome(bucket int) error {
	n, err := c.cmd.Int()
	switch {
	case err != nil:
		return &Hold{Code: classifyCode(err), Bucket: bucket}
	case n == 0:
		return nil
	case n == 1:
		return ErrConflict
	case n == 2:
		return ErrCorrupt
	}
	return &Hold{Code: Malformed, Bucket: bucket}
}
