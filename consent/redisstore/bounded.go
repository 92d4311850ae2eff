package redisstore

import (
	"bytes"
	"context"
	"net"
	"strings"
	"syscall"

	"github.com/consentstream/consentstream/consent"
)

// The client library allocates whatever length a reply announces before it has
// read a byte of it, and reads a value of 512 MB whole before anybody can look
// at its MAC. So what comes from the server passes a filter first, which knows
// just enough RESP2 to see lengths. It costs a few ns a value.

// Bounds of a reply.
const (
	// maxValue is the longest value that any command of ours gets: a row. INFO
	// takes some 8 KB.
	maxValue = headRow + consent.MaxRowBytes + macSize
	maxLine  = 4 << 10 // a status, an integer, an error
	// EXEC's array and those in it take two; HELLO's list of modules has maps, and in
	// each the list of the module's arguments.
	maxDepth = 4
	// An array has no more items than its request has bytes. HELLO is short, and its
	// answer is what the server was started with.
	smallArray = 1 << 10
	// An exchange may take what its request asks for: a tag takes tagCost bytes
	// there and is answered with one value. What asks for something else (INFO)
	// asks for little.
	tagCost     = len("$16\r\n") + len(consent.Tag{}) + len("\r\n")
	perByte     = (maxValue+len("$65536\r\n\r\n"))/tagCost + 1
	smallChange = 2 * maxValue
)

// replyError is why a connection was closed on what the server said. Nothing of
// that is in it.
type replyError struct {
	code Code
	// element is the item of the outermost array that it was found in, which in
	// a transaction is the number of the command; -1 outside of one.
	element int
}

func (e *replyError) Error() string { return "redis reply: " + string(e.code) }

// filter walks the replies of one connection, in pieces of any length.
type filter struct {
	payload int64 // bytes of a value that are still to come, its CRLF included
	kind    byte  // type of the line that is read; 0 between lines
	length  int   // bytes of the line so far
	header  []byte
	open    [maxDepth]int64 // items that are still to come, from the outermost array
	depth   int
	items   int64 // of the outermost array

	asked int64 // bytes of the request
	left  int64 // bytes that its replies may still take
}

// request notes bytes of a request. first tells that it is a new one.
func (f *filter) request(n int, first bool) {
	if first {
		f.asked, f.left = 0, int64(smallChange)
	}
	f.asked += int64(n)
	f.left += int64(n) * int64(perByte)
}

// take walks the next bytes. After an error it must not be used again.
func (f *filter) take(b []byte) error {
	if f.left -= int64(len(b)); f.left < 0 {
		return f.refuse(ReplyTooLarge)
	}
	for len(b) > 0 {
		if f.payload > 0 {
			n := min(f.payload, int64(len(b)))
			b = b[n:]
			if f.payload -= n; f.payload == 0 {
				f.done()
			}
			continue
		}
		if f.kind == 0 {
			f.kind, f.length, f.header, b = b[0], 0, f.header[:0], b[1:]
			if strings.IndexByte(types, f.kind) < 0 {
				return f.refuse(Malformed)
			}
			continue
		}
		end := bytes.IndexByte(b, '\n')
		text := b
		if end >= 0 {
			text = b[:end]
		}
		b = b[len(text):]
		if err := f.line(text, end >= 0); err != nil {
			return err
		}
		if end >= 0 {
			b, f.kind = b[1:], 0
		}
	}
	return nil
}

// line takes a piece of a line without its type; whole tells that it was the last.
func (f *filter) line(text []byte, whole bool) error {
	f.length += len(text)
	if f.kind == '$' || f.kind == '*' {
		if f.length > maxHeader {
			return f.refuse(Malformed)
		}
		if !whole || len(f.header) > 0 {
			f.header = append(f.header, text...)
			text = f.header
		}
		if !whole {
			return nil
		}
		return f.announced(text)
	}
	if f.length > maxLine {
		return f.refuse(ReplyTooLarge)
	}
	if whole {
		f.done()
	}
	return nil
}

// types are those of RESP2; another is RESP3, or no RESP at all.
const types = "+-:$*"

// maxHeader is more than a length that can be meant has digits, and CR.
const maxHeader = 20

// announced is what follows from a length, whose line ends with CR.
func (f *filter) announced(text []byte) error {
	last := len(text) - 1
	if last < 0 || text[last] != '\r' {
		return f.refuse(Malformed)
	}
	text = text[:last]
	n, number := length(text)
	switch {
	case !number && !digits(text):
		return f.refuse(Malformed)
	case !number:
		return f.refuse(ReplyTooLarge)
	case n < 0 || n == 0 && f.kind == '*':
		f.done()
		return nil
	case f.kind == '$' && n > maxValue, f.kind == '*' && int64(n) > max(f.asked, smallArray):
		return f.refuse(ReplyTooLarge)
	case f.kind == '$':
		f.payload = int64(n) + 2
		return nil
	case f.depth == maxDepth:
		return f.refuse(Malformed)
	}
	if f.depth == 0 {
		f.items = int64(n)
	}
	f.open[f.depth] = int64(n)
	f.depth++
	return nil
}

// done ends an item, and every array whose last it was.
func (f *filter) done() {
	for f.depth > 0 {
		f.open[f.depth-1]--
		if f.open[f.depth-1] > 0 {
			return
		}
		f.depth--
	}
}

func (f *filter) refuse(c Code) error {
	if f.depth == 0 {
		return &replyError{c, -1}
	}
	return &replyError{c, int(f.items - f.open[0])}
}

// digits reports whether text is all decimal digits, of whatever number.
func digits(text []byte) bool {
	return len(text) > 0 && len(bytes.Trim(text, "0123456789")) == 0
}

// boundedConn is a connection whose replies the filter has seen before the
// client sees them. One goroutine uses it at a time, as the pool hands it out.
type boundedConn struct {
	net.Conn
	filter  filter
	reading bool // since the last request
	err     error
}

// Write implements net.Conn.
func (c *boundedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.filter.request(n, c.reading)
	c.reading = false
	return n, err
}

// Read implements net.Conn. What is refused is not given out, and nothing after
// it: the pool closes a connection that fails, and the server's rest is not read.
func (c *boundedConn) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.Conn.Read(b)
	c.reading = true
	if c.err = c.filter.take(b[:n]); c.err != nil {
		return 0, c.err
	}
	return n, err
}

// sysConn keeps what the pool uses to see that an idle connection is gone.
type sysConn struct {
	*boundedConn
	syscall.Conn
}

func newBoundedConn(c net.Conn) net.Conn {
	b := &boundedConn{Conn: c, reading: true}
	if sys, ok := c.(syscall.Conn); ok {
		return sysConn{b, sys}
	}
	return b
}

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// bounded makes every connection of a dialer a bounded one.
func bounded(dial dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return newBoundedConn(c), nil
	}
}
