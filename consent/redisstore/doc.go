// Package redisstore keeps folded consent state in Redis, as a cache that
// cannot lie (promise P5): what is lost, stale, evicted, restored, truncated,
// altered or foreign makes Read return a *Hold, or an older watermark that the
// caller's fence check refuses; it is never mistaken for an answer.
//
// # Layout
//
// One hash per epoch and bucket, so that whatever takes rows away as a whole
// (DEL, eviction, expiry, FLUSHALL, RENAME, failover to an older copy) takes
// the watermark that vouches for them along:
//
//	key    cs:<hex of the first 8 bytes of Epoch.Hash>:{<bucket>}
//	field  <tag, 16 raw bytes>  ->  row
//	field  w                    ->  watermark
//
// The braces are Redis Cluster's hash tag. A tag lies in bucket
// BigEndian.Uint32(tag[:4]) mod Epoch.Buckets; tags are HMACs, so this is even.
//
// Integers are big endian:
//
//	row        1 format | 4 key epoch | consent.Row.AppendTo | 16 MAC
//	watermark  1 format | 4 key epoch | 32 epoch hash | 2 bucket | 4 partitions |
//	           8 next offset, per partition | 8 number of rows | 16 stamp | 16 MAC
//	stamp      first 16 bytes of SHA-256 over the offsets of the watermark that
//	           last came with rows; zeros before any did
//	MAC        first 16 bytes of HMAC-SHA-256(K, kind | bucket (2) | tag | all
//	           bytes before the MAC); kind is 'r' or 'w', tag only with 'r'
//	K          HMAC-SHA-256(row key of the key epoch, "consentstream redis v1" | epoch hash)
//
// So a value moved to another field, bucket or epoch does not verify.
//
// # Reading
//
// Per bucket one HMGET(w, tags…) and one HLEN, all buckets, TIME and INFO keyspace
// within one MULTI, hence one round trip and one cut of one primary. Checked before
// any row is believed: the watermark's MAC, epoch and bucket, HLEN = rows + 1, that
// no hash of the database has fields that expire (HLEN counts some that are gone),
// and each row's MAC. A nil reply under a watermark that passed is a true miss:
// there was no consent event for this tag below the watermark.
//
// Rows and true misses that passed are kept in memory (Config.CacheBytes), and not
// asked for again while the bucket's stamp is the same: rows are a function of the
// log below a watermark, and equal stamps mean that no row has changed since. The
// watermark and HLEN are read and checked each time, so a kept row never outlives
// its bucket in Redis, and is never older than the watermark that the caller's
// fence check sees. Where the stamp differs, all that is wanted of the bucket is
// read again.
//
// The client library allocates any length that a reply announces. So what the
// server sends passes a filter first: no value may be longer than the longest row,
// no array may have more items than its request has bytes, and no exchange may take
// more than the tags asked for can. Beyond that the connection is closed, the read
// is a Hold, and a bucket in which such a value is found is removed: it is not ours,
// and no read of it could ever succeed.
//
// # Writing
//
// One script per bucket and batch compares the whole old watermark, byte for
// byte, and HLEN with its count before it writes rows and the new watermark
// (applyScript). The watermark thereby works as the version of the bucket: a
// writer that folded onto another past (zombie, failover, flush, restore) gets
// ErrConflict and reads again. Equal watermarks mean equal rows, because rows
// are a function of the log below the watermark; so there is no ABA problem.
//
// # Known limits
//
// Whoever can write to Redis can roll genuine rows back under the current
// watermark, or swap one row for a junk field (DECISION D6). Nothing here detects
// that. One Redis node (with or without replicas) is supported; the layout allows
// for Redis Cluster, which is not supported yet. Reads from a demoted or stale copy
// need no detection to be safe: their watermark is as old as their rows, and the
// fence check refuses it. Where the address leads to another primary by then, that
// ends within 40 s: no connection is used for longer.
package redisstore
