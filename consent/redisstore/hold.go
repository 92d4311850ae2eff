package redisstore

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Code says why the store cannot answer. The set is closed. Codes are what logs
// and health pages show; no Redis error text is ever passed on, because Redis
// quotes arguments in some of them (promise P8).
type Code string

// The codes.
const (
	Unreachable    Code = "unreachable"     // no connection, or it broke
	Slow           Code = "slow"            // no answer within Config.Timeout
	Refused        Code = "refused"         // AUTH, ACL or another error reply
	Loading        Code = "loading"         // Redis reads its files, or a script blocks it
	Malformed      Code = "reply_malformed" // not the reply that the command has
	ReplyTooLarge  Code = "reply_too_large" // a value, or an answer, is longer than any of ours
	NoEpoch        Code = "no_epoch"        // no watermark: this bucket was never built, or was lost
	ForeignEpoch   Code = "foreign_epoch"   // the watermark belongs to another epoch or bucket
	WatermarkMAC   Code = "watermark_mac"   // watermark altered, or of another key
	WatermarkForm  Code = "watermark_malformed"
	RowMAC         Code = "row_mac"         // row altered, moved, or of another key
	RowMalformed   Code = "row_malformed"   // genuine, but not a row that this version reads
	CountMismatch  Code = "count_mismatch"  // fields were lost or added
	KeyUnknown     Code = "key_unknown"     // written under a key epoch that the key file lacks
	WrongType      Code = "wrong_type"      // the key holds something else than a hash
	Replica        Code = "replica"         // not the primary
	EvictionPolicy Code = "eviction_policy" // maxmemory-policy is not noeviction
	Evicted        Code = "evicted"         // evicted_keys grew since Open
	FieldExpiry    Code = "field_expiry"    // fields of some hash in the database expire: what is missing may have been there
	OutOfMemory    Code = "out_of_memory"   // writes are refused
	ReadOnly       Code = "read_only"       // writes are refused: replica, or persistence failed
)

// Mend is the remedy, for people: a command or an action that helps; empty where
// waiting is all there is to do.
func (c Code) Mend() string {
	switch c {
	case Unreachable, Slow:
		return "redis-cli PING"
	case Refused:
		return "redis-cli ACL WHOAMI   # NOAUTH, WRONGPASS: username and password of redis in the wiring; else it needs HMGET HGET HSET HLEN HSTRLEN DEL TYPE TIME EVALSHA SCRIPT|LOAD MULTI EXEC ROLE INFO on cs:*"
	case Replica:
		return "redis-cli ROLE   # connect to the primary, or: redis-cli REPLICAOF NO ONE"
	case ReadOnly:
		return "redis-cli ROLE   # a replica: connect to the primary; else rdb_last_bgsave_status in INFO persistence, or min-replicas-to-write, says why"
	case EvictionPolicy:
		return "redis-cli CONFIG SET maxmemory-policy noeviction"
	case Evicted:
		return "redis-cli CONFIG SET maxmemory-policy noeviction   # then restart consentstream"
	case FieldExpiry:
		return "redis-cli INFO keyspace   # somebody uses HEXPIRE in this database: let them use another; if it was on a key of ours (cs:*), DEL that key, and an instance with the project role builds it again"
	case OutOfMemory:
		return "redis-cli CONFIG SET maxmemory 0   # or more than INFO memory's used_memory"
	case KeyUnknown:
		return "give this instance the newest key file"
	case ReplyTooLarge:
		return "redis-cli --memkeys   # the bucket with the value that is not ours is removed and built again; if not, delete it"
	case NoEpoch, ForeignEpoch, WatermarkMAC, WatermarkForm, RowMAC, RowMalformed, CountMismatch, WrongType:
		return "run an instance with the project role: it rebuilds the bucket from the consent topic"
	}
	return ""
}

// Hold is the error of every read that has no answer: emit nothing, keep the
// batch, try again. Bucket is -1 where no bucket is concerned.
type Hold struct {
	Code   Code
	Bucket int
	key    string // of the bucket, where Mend needs it
	cli    string // redis-cli with the options that reach the server; "": not known
}

func (h *Hold) Error() string {
	if h.Bucket < 0 {
		return "redis state: " + string(h.Code)
	}
	return "redis state: " + string(h.Code) + " in bucket " + strconv.Itoa(h.Bucket)
}

// HoldCode names the hold for callers that do not import this package.
func (h *Hold) HoldCode() string { return string(h.Code) }

// Mend is Code.Mend for the server that was asked, and for the bucket where the
// command is about one.
func (h *Hold) Mend() string {
	text := h.Code.Mend()
	switch {
	case h.key == "":
	case h.Code == ReplyTooLarge:
		text = "redis-cli DEL '" + h.key + "'   # it held a value that is not ours; an instance with the project role builds it again"
	case h.Code == KeyUnknown:
		text += ", or if there is none, that value is not ours: redis-cli DEL '" + h.key + "'   # an instance with the project role builds it again"
	}
	if h.cli == "" {
		return text
	}
	return strings.ReplaceAll(text, "redis-cli", h.cli)
}

// redisCLI is the command line that reaches cfg's server. The password is not in
// it: redis-cli takes it from REDISCLI_AUTH.
func redisCLI(cfg *Config) string {
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return "redis-cli"
	}
	line := "redis-cli -h " + host + " -p " + port
	if cfg.DB != 0 {
		line += " -n " + strconv.Itoa(cfg.DB)
	}
	if cfg.Username != "" {
		line += " --user " + cfg.Username
	}
	if cfg.TLS != nil {
		line += " --tls"
	}
	return line
}

// named lets a Hold say which server and which key it is about.
func (s *Store) named(err error) error {
	var h *Hold
	if errors.As(err, &h) {
		h.cli = s.cli
		if h.Bucket >= 0 {
			h.key = s.Key(h.Bucket)
		}
	}
	return err
}

// Away reports whether the server did not answer: waiting may be all there is to do.
func (h *Hold) Away() bool {
	return h.Code == Unreachable || h.Code == Slow || h.Code == Loading
}

// rebuildable tells the holds that only a rebuild of the bucket ends.
func (c Code) rebuildable() bool {
	switch c {
	case ForeignEpoch, WatermarkMAC, WatermarkForm, RowMAC, RowMalformed, CountMismatch, WrongType:
		return true
	}
	return false
}

// hold is a Hold of no bucket.
func hold(c Code) *Hold { return &Hold{Code: c, Bucket: -1} }

// classify turns an error of go-redis into a Hold; ctx is the one of the call.
// The text of an error reply is looked at, by its first word, and dropped.
func classify(ctx context.Context, err error) *Hold {
	code := classifyCode(err)
	// A connection that was cut because our time was up is a slow one.
	if code == Unreachable && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = Slow
	}
	return hold(code)
}

func classifyCode(err error) Code {
	var re redis.Error
	if errors.As(err, &re) {
		return replyCode(re.Error())
	}
	var bad *replyError
	if errors.As(err, &bad) {
		return bad.code
	}
	var ne net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &ne) && ne.Timeout() {
		return Slow
	}
	return Unreachable
}

// replyCode maps an error reply by the code word that starts it. An error that
// a script raised has the word further inside in older servers.
func replyCode(text string) Code {
	word, _, _ := strings.Cut(text, " ")
	switch word {
	case "WRONGTYPE":
		return WrongType
	case "OOM":
		return OutOfMemory
	case "READONLY", "MISCONF", "NOREPLICAS":
		return ReadOnly
	case "LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN":
		return Loading
	}
	for w, c := range map[string]Code{"WRONGTYPE": WrongType, "OOM ": OutOfMemory, "READONLY": ReadOnly, "MISCONF": ReadOnly, "NOREPLICAS": ReadOnly} {
		if strings.Contains(text, w) {
			return c
		}
	}
	return Refused
}
