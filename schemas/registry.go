package schemas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// What a Registry's errors wrap, by what the caller has to do.
var (
	// ErrUnavailable: the registry gave no answer that decides anything
	// (network, 5xx, 401, a 404 that is not the registry's own). Hold.
	ErrUnavailable = errors.New("schema registry unavailable")
	// ErrUnknownSchema: the registry has no such id, or it is a schema of another
	// format. The record goes to quarantine (CodeUnknownSchema).
	ErrUnknownSchema = errors.New("unknown schema")
	// ErrUnsupportedSchema: the id is a schema with references to other
	// subjects, which are not followed. Quarantine (CodeBadSchema).
	ErrUnsupportedSchema = errors.New("schema with references is not supported")
	// ErrIncompatible: a derived schema may not follow the subject's latest one. It
	// wraps an *IncompatibleError where that is not the registry's own judgement.
	ErrIncompatible = errors.New("schema is incompatible with those registered")
)

// RegistryClient is what a Registry needs of *sr.Client.
type RegistryClient interface {
	SchemaByID(ctx context.Context, id int) (sr.Schema, error)
	LookupSchema(ctx context.Context, subject string, s sr.Schema) (sr.SubjectSchema, error)
	SchemaByVersion(ctx context.Context, subject string, version int) (sr.SubjectSchema, error)
	CheckCompatibility(ctx context.Context, subject string, version int, s sr.Schema) (sr.CheckCompatibilityResult, error)
	RegisterSchema(ctx context.Context, subject string, s sr.Schema, id, version int) (int, error)
}

// RegistryConfig is what a Registry is made of. All fields are needed; clock
// and sleep come from outside because this package has none.
type RegistryConfig struct {
	Client RegistryClient
	Now    func() time.Time
	// Sleep waits for d, or returns the error of ctx when that ends first.
	Sleep func(ctx context.Context, d time.Duration) error
}

// A schema that was just registered may not have reached the node that is
// asked, so "not found" is asked again before it is believed, and then believed
// for a while: a poisoned topic must not turn into a request per record.
const negativeCache = 30 * time.Second

// patientWith is how many unknown ids are remembered before further ones are
// believed to be unknown at the first try. Ids come from records: a batch of garbage
// can name thousands, and a second and a half for each would hold its lane for hours.
const patientWith = 4

// sweepEvery is how often what has run out is forgotten.
const sweepEvery = negativeCache / 10

// notFoundPauses are the pauses between the tries: three tries within 2 s.
var notFoundPauses = [...]time.Duration{500 * time.Millisecond, time.Second}

// maxCached bounds the texts that are remembered, in bytes: whoever may register
// schemas could fill the memory with them. Beyond it all are forgotten at once.
const maxCached = 64 << 20

// Registry is a caching schema registry client. It is safe for concurrent use.
// Ids and schemas are immutable, so what was found is cached until there is too
// much of it.
type Registry struct {
	cfg RegistryConfig

	mu         sync.Mutex
	schemas    map[int]known
	refused    map[int]refusal
	sweep      time.Time // when to forget next
	registered map[registration]int
	cachedSize int // bytes of schemas and registered
}

type refusal struct {
	until time.Time
	err   error
}

type registration struct {
	subject, text string
	format        Format
}

// known is a schema that was found.
type known struct {
	text string
	kind sr.SchemaType
}

// kind is what the registry calls a format.
func (f Format) kind() sr.SchemaType {
	if f == JSONSchema {
		return sr.TypeJSON
	}
	return sr.TypeAvro
}

// NewRegistry returns a Registry with an empty cache.
func NewRegistry(cfg RegistryConfig) (*Registry, error) {
	if cfg.Client == nil || cfg.Now == nil || cfg.Sleep == nil {
		return nil, errors.New("schema registry: client, clock and sleep are needed")
	}
	return &Registry{cfg: cfg, schemas: map[int]known{}, refused: map[int]refusal{}, registered: map[registration]int{}}, nil
}

// Schema returns the text of the schema id of a framed format. The error wraps one
// of ErrUnavailable, ErrUnknownSchema and ErrUnsupportedSchema.
func (r *Registry) Schema(ctx context.Context, id int, format Format) (string, error) {
	s, err, ok := r.cached(id)
	if !ok {
		s, err = r.learn(ctx, id)
	}
	if err == nil && s.kind != format.kind() {
		err = fmt.Errorf("%w: id %d is not of type %s", ErrUnknownSchema, id, format.kind())
	}
	if err != nil {
		return "", err
	}
	return s.text, nil
}

// learn asks for a schema and remembers the answer.
func (r *Registry) learn(ctx context.Context, id int) (known, error) {
	s, err := r.fetch(ctx, id)
	switch {
	case err != nil:
	case s.Type != sr.TypeAvro && s.Type != sr.TypeJSON:
		err = fmt.Errorf("%w: id %d is of another type", ErrUnknownSchema, id)
	case len(s.References) > 0:
		err = fmt.Errorf("%w: id %d", ErrUnsupportedSchema, id)
	}
	if errors.Is(err, ErrUnavailable) {
		return known{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.refuse(id, err)
		return known{}, err
	}
	r.makeRoom(len(s.Schema))
	r.schemas[id] = known{s.Schema, s.Type}
	return r.schemas[id], nil
}

// perEntry is what a map's entry takes besides the text.
const perEntry = 100

func (r *Registry) makeRoom(n int) {
	if r.cachedSize += n + perEntry; r.cachedSize > maxCached {
		clear(r.schemas)
		clear(r.registered)
		r.cachedSize = n + perEntry
	}
}

// refuse remembers err for id. Ids come from records, so that a hostile topic
// could name any number of them: what has run out is forgotten.
func (r *Registry) refuse(id int, err error) {
	r.forget()
	r.refused[id] = refusal{r.cfg.Now().Add(negativeCache), err}
}

// forget is not done at each refusal: there may be thousands.
func (r *Registry) forget() {
	now := r.cfg.Now()
	if now.Before(r.sweep) {
		return
	}
	r.sweep = now.Add(sweepEvery)
	for id, f := range r.refused {
		if !now.Before(f.until) {
			delete(r.refused, id)
		}
	}
}

// patient reports whether an unknown id is worth asking for again.
func (r *Registry) patient() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	return len(r.refused) < patientWith
}

func (r *Registry) cached(id int) (s known, err error, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.schemas[id]; ok {
		return s, nil, true
	}
	f, ok := r.refused[id]
	if !ok || !r.cfg.Now().Before(f.until) {
		return known{}, nil, false
	}
	return known{}, f.err, true
}

// fetch asks for id, three times where the registry does not know it; once while
// it does not know many.
func (r *Registry) fetch(ctx context.Context, id int) (sr.Schema, error) {
	for try := 0; ; try++ {
		s, err := r.cfg.Client.SchemaByID(ctx, id)
		if err == nil {
			return s, nil
		}
		if !notFound(err) {
			return sr.Schema{}, unavailable("schema id "+strconv.Itoa(id), err)
		}
		if try == len(notFoundPauses) || !r.patient() {
			return sr.Schema{}, fmt.Errorf("%w: id %d", ErrUnknownSchema, id)
		}
		if err := r.cfg.Sleep(ctx, notFoundPauses[try]); err != nil {
			return sr.Schema{}, unavailable("schema id "+strconv.Itoa(id), err)
		}
	}
}

// Register registers a schema of a framed format under subject, unless it is there
// already, and returns its id. A schema that is new to the subject is first compared
// with the latest version ([Compatible], [CompatibleJSON]), except that of the audit
// record, which is this program's own to extend; the registry checks the rest as the
// subject's settings demand. The error wraps ErrIncompatible or ErrUnavailable and
// never quotes the registry.
func (r *Registry) Register(ctx context.Context, subject, text string, format Format) (int, error) {
	key := registration{subject, text, format}
	r.mu.Lock()
	id, ok := r.registered[key]
	r.mu.Unlock()
	if ok {
		return id, nil
	}
	id, err := r.register(ctx, subject, sr.Schema{Schema: text, Type: format.kind()})
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	r.makeRoom(len(subject) + len(text))
	r.registered[key] = id
	r.mu.Unlock()
	return id, nil
}

func (r *Registry) register(ctx context.Context, subject string, s sr.Schema) (int, error) {
	what := fmt.Sprintf("subject %q", subject)
	found, err := r.cfg.Client.LookupSchema(ctx, subject, s)
	if err == nil {
		return found.ID, nil
	}
	if !notFound(err) {
		return 0, refusedOr(what, err)
	}
	const latest = -1
	last, err := r.cfg.Client.SchemaByVersion(ctx, subject, latest)
	switch {
	case err == nil && s.Schema != AuditRecord:
		if err := follows(last.Schema, s); err != nil {
			return 0, fmt.Errorf("%w: %s: %w", ErrIncompatible, what, err)
		}
	case err != nil && !notFound(err): // not found: the subject is new
		return 0, refusedOr(what, err)
	}
	fits, err := r.cfg.Client.CheckCompatibility(ctx, subject, latest, s)
	switch {
	case err == nil && !fits.Is:
		return 0, fmt.Errorf("%w: %s", ErrIncompatible, what)
	case err != nil && !notFound(err): // not found: the subject is new
		return 0, refusedOr(what, err)
	}
	id, err := r.cfg.Client.RegisterSchema(ctx, subject, s, -1, -1)
	if err != nil {
		return 0, refusedOr(what, err)
	}
	return id, nil
}

// follows returns an error that says what is different about a derived schema that
// may not follow the last one.
func follows(last, derived sr.Schema) error {
	switch {
	case last.Type != derived.Type:
		return errors.New("the registered schema is of another format")
	case derived.Type == sr.TypeJSON:
		return CompatibleJSON(last.Schema, derived.Schema)
	}
	return Compatible(last.Schema, derived.Schema)
}

// notFound reports whether the registry itself says "not found", by one of its codes
// (40401 subject, 40402 version, 40403 schema, 40404 soft-deleted subject). If the
// bare 404 of a proxy or a wrong base URL counted, it would quarantine whole topics.
func notFound(err error) bool {
	var e *sr.ResponseError
	return errors.As(err, &e) && e.StatusCode == http.StatusNotFound && e.ErrorCode >= 40401 && e.ErrorCode <= 40404
}

// refusedOr is ErrIncompatible where the registry refuses the schema (409; 422:
// it does not take it for a valid one), else ErrUnavailable.
func refusedOr(what string, err error) error {
	var e *sr.ResponseError
	if errors.As(err, &e) && (e.StatusCode == http.StatusConflict || e.StatusCode == http.StatusUnprocessableEntity) {
		return fmt.Errorf("%w: %s (status %d)", ErrIncompatible, what, e.StatusCode)
	}
	return unavailable(what, err)
}

// UnavailableError is an [ErrUnavailable] in words of our own: the text of a response
// body, or of a library that quotes it, is not ours to log.
type UnavailableError struct {
	What  string // was asked for: "schema id 5"
	Cause string // "connection refused", "status 404, code 0"; CauseStopped where the caller gave up
}

// CauseStopped is the cause of a request that its own caller has cancelled.
const CauseStopped = "stopped"

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%v: %s: %s", ErrUnavailable, e.What, e.Cause)
}

// Unwrap is ErrUnavailable.
func (e *UnavailableError) Unwrap() error { return ErrUnavailable }

func unavailable(what string, err error) error {
	return &UnavailableError{What: what, Cause: cause(err)}
}

func cause(err error) string {
	var (
		answer *sr.ResponseError
		errno  syscall.Errno
		dns    *net.DNSError
		slow   net.Error
	)
	switch {
	case errors.As(err, &answer):
		return fmt.Sprintf("status %d, code %d", answer.StatusCode, answer.ErrorCode)
	case errors.Is(err, context.Canceled):
		return CauseStopped
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return "timed out"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &dns):
		return "host name not found"
	}
	return "no usable answer"
}
