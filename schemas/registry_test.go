package schemas

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// registryClock is a clock that only sleeping moves.
type registryClock struct {
	now   time.Time
	slept time.Duration
}

func (c *registryClock) Now() time.Time { return c.now }

func (c *registryClock) Sleep(ctx context.Context, d time.Duration) error {
	c.now, c.slept = c.now.Add(d), c.slept+d
	return ctx.Err()
}

// registryAt returns a Registry on url with a timeout of 200 ms.
func registryAt(t *testing.T, url string) (*Registry, *registryClock) {
	t.Helper()
	cl, err := sr.NewClient(sr.URLs(url), sr.HTTPClient(&http.Client{Timeout: 200 * time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	clock := &registryClock{now: time.UnixMilli(1e12)}
	r, err := NewRegistry(RegistryConfig{Client: cl, Now: clock.Now, Sleep: clock.Sleep})
	if err != nil {
		t.Fatal(err)
	}
	return r, clock
}

// answer is a canned HTTP answer.
type answer struct {
	status int
	body   string
	slow   bool
}

// canned answers every request with what it holds and counts the requests.
type canned struct {
	answer   atomic.Pointer[answer]
	requests atomic.Int64
}

func (c *canned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.requests.Add(1)
	a := c.answer.Load()
	if a.slow {
		select {
		case <-r.Context().Done():
		case <-time.After(2 * time.Second):
		}
		return
	}
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.body))
}

func cannedRegistry(t *testing.T, a answer) (*Registry, *registryClock, *canned) {
	t.Helper()
	c := &canned{}
	c.answer.Store(&a)
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	r, clock := registryAt(t, srv.URL)
	return r, clock, c
}

const canaryBody = "c4n4ry-body"

func TestRegistrySchemaFaults(t *testing.T) {
	const good = `{"schema":"\"string\""}`
	tests := []struct {
		name     string
		first    answer
		want     error
		requests int64
		// requests that a second Schema at once, and one after 31 s, cause
		again, later int64
	}{
		{"found", answer{200, good, false}, nil, 1, 0, 0},
		{"500", answer{500, `{"error_code":50001,"message":"` + canaryBody + `"}`, false}, ErrUnavailable, 1, 1, 1},
		{"401", answer{401, canaryBody, false}, ErrUnavailable, 1, 1, 1},
		{"404 of the registry", answer{404, `{"error_code":40403,"message":"` + canaryBody + `"}`, false}, ErrUnknownSchema, 3, 0, 3},
		{"404 of a proxy", answer{404, "<html>" + canaryBody, false}, ErrUnavailable, 1, 1, 1},
		{"slow", answer{200, good, true}, ErrUnavailable, 1, 1, 1},
		{"no JSON", answer{200, canaryBody, false}, ErrUnavailable, 1, 1, 1},
		{"protobuf", answer{200, `{"schemaType":"PROTOBUF","schema":"x"}`, false}, ErrUnknownSchema, 1, 0, 1},
		{"references", answer{200, `{"schema":"\"a.B\"","references":[{"name":"a.B","subject":"b","version":1}]}`, false}, ErrUnsupportedSchema, 1, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, clock, c := cannedRegistry(t, tt.first)
			ask := func(when string, want int64) {
				t.Helper()
				c.requests.Store(0)
				text, err := r.Schema(t.Context(), 7, Avro)
				if n := c.requests.Load(); !errors.Is(err, tt.want) || n != want {
					t.Errorf("%s: %v after %d requests, want %v after %d", when, err, n, tt.want, want)
				}
				if (text != "") != (err == nil) {
					t.Errorf("%s: schema %q with error %v", when, text, err)
				}
				if err != nil && strings.Contains(err.Error(), canaryBody) {
					t.Errorf("%s: the error quotes the registry: %v", when, err)
				}
			}
			ask("first", tt.requests)
			if clock.slept > 2*time.Second {
				t.Errorf("slept %v", clock.slept)
			}
			ask("again", tt.again)
			clock.now = clock.now.Add(31 * time.Second)
			ask("later", tt.later)
			if errors.Is(tt.want, ErrUnavailable) {
				c.answer.Store(&answer{200, good, false})
				if text, err := r.Schema(t.Context(), 7, Avro); text != `"string"` || err != nil {
					t.Errorf("after recovery: %q, %v", text, err)
				}
			}
		})
	}
}

func TestRegistryFindsLateSchema(t *testing.T) {
	r, _, c := cannedRegistry(t, answer{404, `{"error_code":40403,"message":"Schema not found"}`, false})
	slow := r.cfg.Sleep
	r.cfg.Sleep = func(ctx context.Context, d time.Duration) error {
		if c.requests.Load() == 2 {
			c.answer.Store(&answer{200, `{"schema":"\"string\""}`, false})
		}
		return slow(ctx, d)
	}
	if text, err := r.Schema(t.Context(), 7, Avro); text != `"string"` || err != nil || c.requests.Load() != 3 {
		t.Errorf("%q, %v after %d requests; want the schema at the third", text, err, c.requests.Load())
	}
}

func TestRegistryStopsWithContext(t *testing.T) {
	r, _, c := cannedRegistry(t, answer{404, `{"error_code":40403}`, false})
	ctx, cancel := context.WithCancel(t.Context())
	r.cfg.Sleep = func(context.Context, time.Duration) error { cancel(); return ctx.Err() }
	if _, err := r.Schema(ctx, 7, Avro); !errors.Is(err, ErrUnavailable) || c.requests.Load() != 1 {
		t.Errorf("%v after %d requests, want ErrUnavailable after 1", err, c.requests.Load())
	}
}

// Records of garbage name any number of ids: they must not be waited for one by
// one, and a schema that is late is waited for again when they have stopped.
func TestRegistryManyUnknownIDs(t *testing.T) {
	r, clock, c := cannedRegistry(t, answer{404, `{"error_code":40403}`, false})
	for id := range 500 {
		if _, err := r.Schema(t.Context(), id, Avro); !errors.Is(err, ErrUnknownSchema) {
			t.Fatal(err)
		}
	}
	if n := c.requests.Load(); clock.slept > 10*time.Second || n > 520 {
		t.Errorf("500 unknown ids took %s of waiting and %d requests", clock.slept, n)
	}
	clock.now, clock.slept = clock.now.Add(negativeCache), 0
	if _, _ = r.Schema(t.Context(), 1000, Avro); clock.slept != 1500*time.Millisecond {
		t.Errorf("later, an unknown id was waited for %s", clock.slept)
	}
}

func TestRegistryForgetsOldRefusals(t *testing.T) {
	r, clock, _ := cannedRegistry(t, answer{404, `{"error_code":40403}`, false})
	for id := range 50 {
		_, _ = r.Schema(t.Context(), id, Avro)
		clock.now = clock.now.Add(10 * time.Second)
	}
	if n := len(r.refused); n > 4 {
		t.Errorf("%d refusals remembered", n)
	}
}

const (
	schemaV1 = `{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":["null","int"],"default":null}]}`
	schemaV2 = `{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}`
	schemaV3 = `{"type":"record","name":"R","fields":[{"name":"a","type":["null","string"]}]}`
)

func TestRegistryRegister(t *testing.T) {
	fake := srfake.New(srfake.WithGlobalCompat(sr.CompatBackward))
	t.Cleanup(fake.Close)
	requests := 0
	incompatible := false // srfake takes every schema for compatible
	fake.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		requests++
		if incompatible && strings.HasPrefix(r.URL.Path, "/compatibility/") {
			_, _ = w.Write([]byte(`{"is_compatible":false,"messages":["` + canaryBody + `"]}`))
			return true
		}
		return false
	})
	r, _ := registryAt(t, fake.URL())
	id1, err := r.Register(t.Context(), "crm.analytics-value", schemaV1, Avro)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := r.Schema(t.Context(), id1, Avro); err != nil || text != schemaV1 {
		t.Errorf("Schema(%d) = %q, %v", id1, text, err)
	}
	requests = 0
	if id, err := r.Register(t.Context(), "crm.analytics-value", schemaV1, Avro); id != id1 || err != nil || requests != 0 {
		t.Errorf("cached: %d, %v, %d requests", id, err, requests)
	}
	fresh, _ := registryAt(t, fake.URL())
	if id, err := fresh.Register(t.Context(), "crm.analytics-value", schemaV1, Avro); id != id1 || err != nil || requests != 1 {
		t.Errorf("already there: %d, %v, %d requests; want %d by one look-up", id, err, requests, id1)
	}
	id2, err := r.Register(t.Context(), "crm.analytics-value", schemaV2, Avro)
	if err != nil || id2 == id1 {
		t.Errorf("second version: %d, %v", id2, err)
	}
	incompatible = true
	_, err = r.Register(t.Context(), "crm.analytics-value", schemaV3, Avro)
	if !errors.Is(err, ErrIncompatible) || strings.Contains(err.Error(), canaryBody) {
		t.Errorf("incompatible: %v", err)
	}
	if _, ok := fake.GetSchema("crm.analytics-value", 3); ok {
		t.Error("the incompatible schema was registered")
	}
	incompatible = false
	if _, err = r.Register(t.Context(), "crm.analytics-value", schemaV3, Avro); err != nil {
		t.Errorf("a refusal was cached: %v", err)
	}
}

// A JSON Schema is one to the registry, and no Avro schema to us; what a purpose
// would newly see is refused before the registry is asked.
func TestRegistryJSONSchema(t *testing.T) {
	fake := srfake.New()
	t.Cleanup(fake.Close)
	r, _ := registryAt(t, fake.URL())
	derive := func(rules ...rule) string {
		_, p := projectWith(t, rules, func(paths []string) (Layout, error) { return NewJSONSchema("{}", "", paths) })
		return p.Schema()
	}
	id, err := r.Register(t.Context(), "s", derive(rule{"a", keep}), JSONSchema)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := fake.GetSchema("s", 1); !ok || s.Schema.Type != sr.TypeJSON {
		t.Errorf("registered %+v", s)
	}
	for range 2 { // and from the cache
		if text, err := r.Schema(t.Context(), id, JSONSchema); err != nil || text != derive(rule{"a", keep}) {
			t.Errorf("%s, %v", text, err)
		}
		if text, err := r.Schema(t.Context(), id, Avro); !errors.Is(err, ErrUnknownSchema) {
			t.Errorf("an Avro schema %s, %v", text, err)
		}
	}
	_, err = r.Register(t.Context(), "s", derive(rule{"a", keep}, rule{"b", keep}), JSONSchema)
	var what *IncompatibleError
	if !errors.Is(err, ErrIncompatible) || !errors.As(err, &what) || what.Changes[0] != "would newly see b (any type)" {
		t.Errorf("a widening: %v", err)
	}
	if _, err := r.Register(t.Context(), "s", schemaV1, Avro); !errors.Is(err, ErrIncompatible) {
		t.Errorf("another format: %v", err)
	}
}

func TestRegistryRegisterFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		answer
		want error
	}{
		{"409", answer{409, `{"error_code":409,"message":"` + canaryBody + `"}`, false}, ErrIncompatible},
		{"422", answer{422, `{"error_code":42201,"message":"` + canaryBody + `"}`, false}, ErrIncompatible},
		{"500", answer{500, canaryBody, false}, ErrUnavailable},
		{"403", answer{403, canaryBody, false}, ErrUnavailable},
		{"404 of a proxy", answer{404, canaryBody, false}, ErrUnavailable},
		{"slow", answer{200, "", true}, ErrUnavailable},
	} {
		for _, at := range []string{"/subjects/s", "/compatibility/", "/subjects/s/versions"} {
			t.Run(tt.name+at, func(t *testing.T) {
				fake := srfake.New()
				t.Cleanup(fake.Close)
				fake.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
					if !strings.HasPrefix(r.URL.Path, at) || at == "/subjects/s" && r.URL.Path != at {
						return false
					}
					if tt.slow {
						// The server notices that the client is gone only
						// once the body is read.
						_, _ = io.Copy(io.Discard, r.Body)
						<-r.Context().Done()
						return true
					}
					w.WriteHeader(tt.status)
					_, _ = w.Write([]byte(tt.body))
					return true
				})
				r, _ := registryAt(t, fake.URL())
				_, err := r.Register(t.Context(), "s", schemaV1, Avro)
				if !errors.Is(err, tt.want) || strings.Contains(err.Error(), canaryBody) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				fake.ClearInterceptors()
				if id, err := r.Register(t.Context(), "s", schemaV1, Avro); err != nil || id == 0 {
					t.Errorf("after recovery: %d, %v", id, err)
				}
			})
		}
	}
}

func TestRegistryDown(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	r, _ := registryAt(t, srv.URL)
	_, err := r.Schema(t.Context(), 7, Avro)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
	if _, err := NewRegistry(RegistryConfig{}); err == nil {
		t.Error("an empty config was accepted")
	}
}

// texts answers every id with a schema of a megabyte.
type texts struct {
	RegistryClient
	asked int
}

func (c *texts) SchemaByID(context.Context, int) (sr.Schema, error) {
	c.asked++
	return sr.Schema{Schema: strings.Repeat("x", 1<<20)}, nil
}

func (c *texts) LookupSchema(context.Context, string, sr.Schema) (sr.SubjectSchema, error) {
	c.asked++
	return sr.SubjectSchema{ID: 1}, nil
}

// TestRegistryCacheIsBounded: whoever may register schemas cannot fill the memory
// with their texts; what is forgotten is asked for again.
func TestRegistryCacheIsBounded(t *testing.T) {
	clock := &registryClock{}
	c := &texts{}
	r, err := NewRegistry(RegistryConfig{Client: c, Now: clock.Now, Sleep: clock.Sleep})
	if err != nil {
		t.Fatal(err)
	}
	for id := range 200 {
		if _, err := r.Schema(t.Context(), id, Avro); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Register(t.Context(), "s", strings.Repeat("y", 1<<20-id), Avro); err != nil {
			t.Fatal(err)
		}
		if n := len(r.schemas) + len(r.registered); n<<20 > maxCached {
			t.Fatalf("%d texts of a megabyte are held after %d schemas", n, id)
		}
	}
	for range 2 { // the last is cached
		if _, err := r.Schema(t.Context(), 199, Avro); err != nil || c.asked != 400 {
			t.Errorf("asked %d times, %v", c.asked, err)
		}
	}
	if _, err := r.Schema(t.Context(), 0, Avro); err != nil || c.asked != 401 {
		t.Errorf("asked %d times, %v", c.asked, err)
	}
}

// What a topic's readers would newly see is not registered, whatever the
// registry would take; what was registered once is no news.
func TestRegistryRefusesWidening(t *testing.T) {
	for _, audit := range []bool{false, true} {
		fake := srfake.New(srfake.WithGlobalCompat(sr.CompatNone))
		t.Cleanup(fake.Close)
		r, _ := registryAt(t, fake.URL())
		narrow, wide := rec(`"long"`), strings.Replace(rec(`"long"`), `}]`, `},{"name":"g","type":"long"}]`, 1)
		if audit {
			wide = AuditRecord
		}
		if _, err := r.Register(t.Context(), "s", narrow, Avro); err != nil {
			t.Fatal(err)
		}
		_, err := r.Register(t.Context(), "s", wide, Avro)
		var what *IncompatibleError
		switch {
		case audit && err != nil:
			t.Errorf("the audit record: %v", err)
		case !audit && (!errors.Is(err, ErrIncompatible) || !errors.As(err, &what) || what.Error() != "would newly see g (long)"):
			t.Errorf("got %v", err)
		}
		for _, text := range []string{wide, narrow} { // as by somebody who may
			if _, _, err := fake.RegisterSchema("t", sr.Schema{Schema: text}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Register(t.Context(), "t", wide, Avro); err != nil {
			t.Errorf("registered before: %v", err)
		}
	}
}
