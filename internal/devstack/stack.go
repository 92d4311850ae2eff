package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/sr/srfake"
)

// Config says what a Stack starts with. The zero Config is a stack without
// topics on free ports.
type Config struct {
	Topics []Topic
	// KafkaPort, RegistryPort and RedisPort are loopback ports; 0 takes a free
	// one. StartVirtual ignores them.
	KafkaPort, RegistryPort, RedisPort int
}

// Stack is a running embedded stack. The three servers are open to tests, which
// inject faults there (Kafka.ControlKey, Registry.Intercept, Redis.SetError).
type Stack struct {
	Kafka    *kfake.Cluster
	Registry *srfake.Registry
	Redis    *miniredis.Miniredis

	virtual     *kfake.VirtualNetwork // nil: sockets
	registryURL string
	registry    *http.Server // nil: virtual
	closeOnce   sync.Once
	stopWatch   func() bool
}

// Start runs the stack on loopback until ctx ends or Close is called.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	s := &Stack{Redis: miniredis.NewMiniRedis()}
	err := errors.Join(
		s.startKafka(cfg, kfake.Ports(cfg.KafkaPort)),
		s.startRegistry(ctx, cfg.RegistryPort),
		s.Redis.StartAddr(fmt.Sprintf("127.0.0.1:%d", cfg.RedisPort)),
	)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("embedded stack: %w", err)
	}
	BePrimary(s.Redis)
	s.stopWatch = context.AfterFunc(ctx, s.Close)
	return s, nil
}

// StartVirtual runs the stack without a socket, for a testing/synctest bubble;
// it has to be called, and closed, within the bubble.
func StartVirtual(cfg Config) (*Stack, error) {
	s := &Stack{
		Redis:       miniredis.NewMiniRedis(),
		Registry:    srfake.NewRegistry(),
		virtual:     new(kfake.VirtualNetwork),
		registryURL: "http://registry.invalid",
	}
	// The port is a name here; kfake advertises it.
	if err := s.startKafka(cfg, kfake.Ports(9092), kfake.ListenFn(s.virtual.Listen)); err != nil {
		s.Close()
		return nil, fmt.Errorf("embedded stack: %w", err)
	}
	conn, err := s.Redis.Dial() // a miniredis without listener starts with its first connection
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("embedded stack: %w", err)
	}
	_ = conn.Close()
	s.Redis.ClockTTL(true)
	BePrimary(s.Redis)
	return s, nil
}

func (s *Stack) startKafka(cfg Config, opts ...kfake.Opt) error {
	cluster, err := kfake.NewCluster(append(opts,
		kfake.NumBrokers(1),
		kfake.ClusterID("consentstream-devstack"),
	)...)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	s.Kafka = cluster
	stampOnAppend(cluster)
	for _, t := range cfg.Topics {
		if err := s.CreateTopic(t); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) startRegistry(ctx context.Context, port int) error {
	s.Registry = srfake.NewRegistry()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	s.registryURL = "http://" + listener.Addr().String()
	s.registry = &http.Server{Handler: s.Registry.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.registry.Serve(listener) }() // ends with Close
	return nil
}

// CreateTopic makes a topic; its error names the topic.
func (s *Stack) CreateTopic(t Topic) error {
	if err := s.Kafka.CreateTopic(t.Name, max(t.Partitions, 1), t.Configs); err != nil {
		return fmt.Errorf("kafka: create topic %s: %w", t.Name, err)
	}
	return nil
}

// RestartRedis brings a closed Redis (Redis.Close) back on its address, with its
// data; Redis.Restart alone would forget that it is a primary.
func (s *Stack) RestartRedis() error {
	if err := s.Redis.Restart(); err != nil {
		return err
	}
	BePrimary(s.Redis)
	return nil
}

// KafkaAddr is the host:port of the broker.
func (s *Stack) KafkaAddr() string { return s.Kafka.ListenAddrs()[0] }

// RegistryURL is the base URL of the schema registry.
func (s *Stack) RegistryURL() string { return s.registryURL }

// RedisAddr is the host:port of Redis; in a virtual stack a mere name.
func (s *Stack) RedisAddr() string {
	if s.virtual != nil {
		return "redis.invalid:6379"
	}
	return s.Redis.Addr()
}

// DialKafka connects to the broker; it fits kgo.Dialer.
func (s *Stack) DialKafka(ctx context.Context, network, addr string) (net.Conn, error) {
	if s.virtual != nil {
		return s.virtual.DialContext(ctx, network, addr)
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// DialRedis connects to Redis; it fits the Dialer of go-redis.
func (s *Stack) DialRedis(ctx context.Context, network, addr string) (net.Conn, error) {
	if s.virtual != nil {
		return s.Redis.Dial()
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// HTTPClient reaches the registry; it fits sr.HTTPClient.
func (s *Stack) HTTPClient() *http.Client {
	if s.virtual != nil {
		return &http.Client{Transport: inProcess{s.Registry.Handler()}}
	}
	return &http.Client{Timeout: 10 * time.Second}
}

// Close stops the three servers and waits for their goroutines that matter:
// after it nobody listens. It may be called again.
func (s *Stack) Close() {
	s.closeOnce.Do(func() {
		if s.stopWatch != nil {
			s.stopWatch()
		}
		if s.registry != nil {
			_ = s.registry.Close()
		}
		s.Redis.Close()
		if s.Kafka != nil {
			s.Kafka.Close()
		}
	})
}

// inProcess serves a request by calling the handler on the caller's goroutine.
type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	t.handler.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}
