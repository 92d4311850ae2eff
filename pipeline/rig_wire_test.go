package pipeline

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire is a dialer that can lose answers and die.
type wire struct {
	mu    sync.Mutex
	conns []net.Conn
	dead  bool
	lose  int // how many answers to EndTxn to lose, after the broker acted
	lost  int
	// killAt is the request at which everything dies: before the broker has it,
	// or, late, after it has acted.
	killAt *kmsg.Key
	late   bool
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return nil, errBroken
	}
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.conns = append(w.conns, c)
	return &wiredConn{Conn: c, wire: w}, nil
}

// die cuts everything for good: the broker sees a process that was killed.
func (w *wire) die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut()
}

func (w *wire) cut() {
	w.dead = true
	for _, c := range w.conns {
		_ = c.Close()
	}
}

type wiredConn struct {
	net.Conn
	wire *wire
}

// Write looks for requests: 4 bytes size, then the API key.
func (c *wiredConn) Write(b []byte) (int, error) {
	kill := len(b) > 6 && c.wire.killAt != nil && kmsg.Key(binary.BigEndian.Uint16(b[4:])) == *c.wire.killAt
	if kill && !c.wire.late {
		c.wire.die()
		return 0, errBroken
	}
	n, err := c.Conn.Write(b)
	if kill {
		time.Sleep(300 * time.Millisecond) // the broker acts meanwhile
		c.wire.die()
	}
	if err == nil && len(b) > 6 && kmsg.Key(binary.BigEndian.Uint16(b[4:])) == kmsg.EndTxn {
		c.wire.mu.Lock()
		defer c.wire.mu.Unlock()
		if c.wire.lose > 0 {
			c.wire.lose--
			c.wire.lost++
			time.Sleep(30 * time.Millisecond) // the broker acts meanwhile
			_ = c.Conn.Close()
		}
	}
	return n, err
}

// wired gives the enforcer a wire of its own.
func wired(w *wire) func(*Config) {
	return func(cfg *Config) { cfg.KafkaOpts = append(cfg.KafkaOpts, kgo.Dialer(w.dial)) }
}
