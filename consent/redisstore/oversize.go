package redisstore

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// oversizeScript removes one bucket if a value of it is longer than any of ours:
// that is damage, and as long as it is there no read of it can succeed.
//
//	KEYS[1]  the bucket; ARGV  longest value of ours | field …
//	returns  0 removed, 1 no such value
var oversizeScript = redis.NewScript(`
for i = 2, #ARGV do
  if redis.call('HSTRLEN', KEYS[1], ARGV[i]) > tonumber(ARGV[1]) then
    redis.call('DEL', KEYS[1])
    return 0
  end
end
return 1`)

// fault turns the error of a request into a Hold that names the bucket of the
// command that failed, where one did. A bucket with a value that is too large to
// be read is removed, like one of which a row is damaged (condemn). Such a value
// may also be why the answer did not come in time: Redis copies it first.
func (s *Store) fault(ctx context.Context, asked []asked, err error) *Hold {
	for i := range asked {
		if h := asked[i].fault(); h != nil {
			return h
		}
	}
	h := classify(ctx, err)
	var re *replyError
	if errors.As(err, &re) && re.element >= 0 && re.element/2 < len(asked) { // two commands a bucket
		asked = asked[re.element/2:][:1]
		h.Bucket = asked[0].bucket
	}
	if h.Code == ReplyTooLarge || h.Code == Slow {
		for _, bucket := range s.removeOversize(ctx, asked) {
			h = &Hold{Code: ReplyTooLarge, Bucket: bucket}
		}
	}
	return h
}

// removeOversize looks at the lengths of what was asked, and gives the buckets
// that it removed. Best effort: the next request tries again.
func (s *Store) removeOversize(ctx context.Context, asked []asked) (removed []int) {
	calls := make([]call, len(asked))
	for i := range asked {
		calls[i] = call{key: s.Key(asked[i].bucket), args: append([]any{maxValue}, asked[i].fields.Args()[2:]...)}
	}
	// The request's own time may be up.
	if s.run(context.WithoutCancel(ctx), oversizeScript, calls) != nil {
		return nil
	}
	for i := range calls {
		if calls[i].outcome(asked[i].bucket) == nil {
			removed = append(removed, asked[i].bucket)
		}
	}
	return removed
}
